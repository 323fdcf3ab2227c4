"""The table of test cases: at least one for each layer, by family. `tests/test_telling.py` finds layers without one.

`tests/test_cases.py` runs every case on NumPy, NumPy with read-only arrays and JAX jit, compares it with its Keras
twin by the yardstick, pickles it and evaluates its repr.
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
    """One case.

    layer: the fnet layer function. options: its options, and those of the Keras twin unless there are `twin_options`.
    shapes: one shape, or a tuple or dict of shapes, batch axis included. twin: the name of a class in keras.layers, or
    a function of the keras module that returns the Keras layer. dtype: of the inputs ("float32", or "int32" ids below
    `high`). mask: whether the first input gets a mask (batch, time) with leading, inner, trailing and all-masked rows;
    or the positions or keys of the inputs that get one. extra: more entries of a dict of inputs. call: keyword
    arguments of the Keras call. order: positions of Keras's weights in the order of the shape rule, where they differ;
    other weights are left out.
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
    """The inputs, instead of random ones of `shapes`: strings, for example."""
    params: Any = None
    """The params, for layers with a state that is not a Keras weight: vocabularies."""
    plain: Any = None
    """For layers that only `fnet.optimize` makes: the step before it, which also defines the weights."""
    idle: str = ""
    """Why the output may be constant or the input, or options or a mask may change nothing (see `tests.telling`)."""

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
    """(batch, time): ragged rows, rows with a hole, empty and full ones, in an order that depends on `turn`.

    The first and last step differ in the ragged row and in the one with a hole, which begins with False. With fewer
    than four rows the full and the empty one are left out.
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
"""The modules of cases, one a family."""


def all_cases() -> list[Case]:
    """Every case of every family."""
    families = [importlib.import_module(f"tests.cases.{family}") for family in FAMILIES]
    return [case for family in families for case in family.CASES]


def fast_cases(cases: list[Case] | None = None) -> list[Case]:
    """The first and the middle case of each layer."""
    groups = _by_layer(all_cases() if cases is None else cases)
    return [group[i] for group in groups for i in sorted({0, len(group) // 2})]


def marked_cases(cases: list[Case] | None = None) -> list[Any]:
    """The cases as pytest parameters, marked slow except `fast_cases`: compiling all of them on JAX takes minutes."""
    cases = all_cases() if cases is None else cases
    fast = {id(case) for case in fast_cases(cases)}
    by_layer = [case for group in _by_layer(cases) for case in group]
    return [case if id(case) in fast else pytest.param(case, marks=pytest.mark.slow) for case in by_layer]


def telling_cases() -> list[Case]:
    """The cases with a value of an option, with or without a mask, that no earlier case of the layer has.

    They are the fast ones on NumPy, without those that `marked_cases` runs on both backends.
    """
    chosen = []
    for group in _by_layer(all_cases()):
        shown: set[Any] = set()
        for i, case in enumerate(group):
            shows = {(name, repr(value), bool(case.mask)) for name, value in case.options.items()}
            shows |= {("mask", case.mask), *case.extra}
            if shows - shown and i not in (0, len(group) // 2):
                chosen.append(case)
            shown |= shows
    return chosen


def _by_layer(cases: list[Case]) -> list[list[Case]]:
    by_layer: dict[Any, list[Case]] = {}
    for case in cases:
        by_layer.setdefault(case.layer, []).append(case)
    return list(by_layer.values())
