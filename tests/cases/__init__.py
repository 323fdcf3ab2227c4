"""THE table: one row (or more) a layer, by family. A layer without a row does not exist.

`tests/test_cases.py` runs every row on NumPy, NumPy with read-only arrays and JAX jit, compares it with its Keras
twin at the yardstick, pickles it and evaluates its repr.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fnet import bind


@dataclass(frozen=True)
class Case:
    """One row.

    layer: the fnet layer function. options: its options, which are also those of the Keras twin unless
    `twin` is given. shapes: one shape, or a tuple/dict of shapes, batch axis included. twin: the name of a
    class in keras.layers, or a function of the keras module that returns the Keras layer. dtype: of the
    inputs ("float32", or "int32" ids below `high`). mask: put a mask (batch, time) with leading, inner,
    trailing and all-masked rows on the first input, or on the inputs at these positions or keys. extra: more
    entries of a dict of inputs, as they are. call: keyword arguments of the Keras call. order: positions of
    Keras's weights in the order of the shape rule, where they differ; others are left out.
    """

    layer: Callable[..., Any]
    shapes: Any
    options: dict[str, Any] = field(default_factory=dict)
    twin: str | Callable[[Any], Any] = ""
    twin_options: dict[str, Any] | None = None
    dtype: str = "float32"
    high: int = 10
    mask: bool | tuple[int | str, ...] = False
    extra: dict[str, Any] = field(default_factory=dict)
    order: tuple[int, ...] | None = None
    call: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    feed: Any = None
    """The inputs themselves, in place of random ones of `shapes`: strings, say."""
    params: Any = None
    """The params themselves, for layers whose state is no Keras weight: vocabularies."""
    plain: Any = None
    """What `fnet.optimize` makes the step of, for layers that Keras lacks: its weights are those of this step."""
    idle: str = ""
    """Why the output may be constant or the input, or options or a mask may change nothing: see `tests.telling`."""

    @property
    def step(self):
        return bind(self.layer, **self.options)

    @property
    def id(self) -> str:
        options = ",".join(f"{k}={v!r:.30}" for k, v in self.options.items())
        marks = f"-masked{self.mask}" if isinstance(self.mask, tuple) else "-masked" if self.mask else ""
        marks += f"-{self.call}" if self.call else ""
        marks += f"-{','.join(self.extra)}" if self.extra else ""
        return self.label or f"{self.layer.__name__}({options})-{self.shapes}{marks}"

    def keras_layer(self, keras: Any, dtype: str) -> Any:
        """The Keras twin under a dtype policy."""
        keras.config.set_dtype_policy(dtype)
        try:
            if callable(self.twin):
                return self.twin(keras)
            cls = getattr(keras.layers, self.twin)
            return cls(**(self.options if self.twin_options is None else self.twin_options))
        finally:
            keras.config.set_dtype_policy("float32")

    def inputs(self, seed: int = 0) -> Any:
        """Random inputs: a tree of arrays of the shapes of this case."""
        if self.feed is not None:
            return self.feed
        drawn = _draw(self.shapes, np.random.default_rng(seed), self.dtype, self.high)
        return {**drawn, **self.extra} if self.extra else drawn

    def masks(self) -> dict[int | str | None, np.ndarray]:
        """{position or key of an input (None: the only one): its mask (batch, time)}, all-False rows among them."""
        if self.mask is True:
            several = isinstance(self.shapes, dict) or not isinstance(self.shapes[0], int)
            first = next(iter(self.shapes)) if isinstance(self.shapes, dict) else 0
            return {first if several else None: _mask(_first_shape(self.shapes), 0)}
        return {at: _mask(self.shapes[at], n) for n, at in enumerate(self.mask or ())}


def _first_shape(shapes: Any) -> Any:
    while not isinstance(shapes, tuple) or not isinstance(shapes[0], int):
        shapes = next(iter(shapes.values())) if isinstance(shapes, dict) else shapes[0]
    return shapes


def _mask(shape: Any, turn: int) -> np.ndarray:
    """(batch, time): rows ragged, with a hole, empty and full, in an order that depends on `turn`.

    First and last step differ in the ragged row and in the one with a hole, which begins with False. Fewer rows than
    four leave out the full and the empty one, more repeat them.
    """
    batch, time = shape[:2]
    if time == 1:
        return np.arange(batch)[:, None] % 2 == turn % 2
    ragged, full, hole = np.ones((3, time), bool)
    ragged[-max(1, time // 3) :] = False
    hole[0] = False
    hole[time // 2] = time < 4
    kinds = [ragged, hole, np.zeros(time, bool), full]
    several = kinds[: min(max(batch, 2), 4)]
    return np.stack([several[(row + turn) % len(several)] for row in range(batch)])


def _draw(shapes: Any, rng: np.random.Generator, dtype: str, high: int) -> Any:
    if isinstance(shapes, dict):
        return {key: _draw(item, rng, dtype, high) for key, item in shapes.items()}
    if isinstance(shapes, tuple) and shapes and not isinstance(shapes[0], int):
        return tuple(_draw(item, rng, dtype, high) for item in shapes)
    if dtype.startswith("int"):
        return rng.integers(0, high, shapes).astype(dtype)
    return rng.standard_normal(shapes).astype(dtype)


FAMILIES = (
    "activation",
    "attention",
    "convolution",
    "core",
    "einsum",
    "merging",
    "normalization",
    "pooling",
    "preprocessing",
    "recurrent",
    "regularization",
    "reshaping",
)
"""The modules of rows, one a family."""


def all_cases() -> list[Case]:
    """Every row of every family."""
    families = [importlib.import_module(f"tests.cases.{family}") for family in FAMILIES]
    return [case for family in families for case in family.CASES]


def fast_cases(cases: list[Case] | None = None) -> list[Case]:
    """The first and the middle row of each layer."""
    return [rows[i] for rows in _by_layer(all_cases() if cases is None else cases) for i in sorted({0, len(rows) // 2})]


def marked_cases(cases: list[Case] | None = None) -> list[Any]:
    """The rows as pytest parameters, slow but for `fast_cases`: compiling all of them on JAX takes minutes."""
    cases = all_cases() if cases is None else cases
    fast = {id(case) for case in fast_cases(cases)}
    by_layer = [case for rows in _by_layer(cases) for case in rows]
    return [case if id(case) in fast else pytest.param(case, marks=pytest.mark.slow) for case in by_layer]


def telling_cases() -> list[Case]:
    """The rows that show a value of an option, with a mask or without, that no row of the layer before them shows.

    They are the fast ones on NumPy, less those that `marked_cases` runs on both backends.
    """
    chosen = []
    for rows in _by_layer(all_cases()):
        shown: set[Any] = set()
        for i, case in enumerate(rows):
            shows = {(name, repr(value), bool(case.mask)) for name, value in case.options.items()}
            shows |= {("mask", case.mask), *case.extra}
            if shows - shown and i not in (0, len(rows) // 2):
                chosen.append(case)
            shown |= shows
    return chosen


def _by_layer(cases: list[Case]) -> list[list[Case]]:
    by_layer: dict[Any, list[Case]] = {}
    for case in cases:
        by_layer.setdefault(case.layer, []).append(case)
    return list(by_layer.values())
