"""The parameters of a model: initialized, checked, split into trainable ones and the rest, given random keys."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from fnet import random, tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.diagnosis import require_arrays, require_order
from fnet.core.model import EMPTY, Model
from fnet.core.rules import rules_of
from fnet.core.sources import describe
from fnet.dtypes import is_float
from fnet.errors import InvalidInput, InvalidParams, printable
from fnet.initializers import INITIALIZERS
from fnet.shapes import fits
from fnet.tree import Path
from fnet.types import Array, Param, Params


def needed(model: Any, *input_shapes: Any) -> dict[Path, Param]:
    """{path: Param} of the parameters that a model has."""
    _, params = infer.infer(model, infer.inputs_of(model, input_shapes))
    return dict(tree.items(params))


def init(model: Any, key: Array | int, *input_shapes: Any) -> dict[str, Any]:
    """Fresh parameters with Keras's default initializers.

    key: an int or uint32[2]; the same key gives the same numbers on both backends. input_shapes: one for
    each input, batch axis included; not needed when the model begins with `input_layer`.
    """
    leaves, expected, rng = {}, needed(model, *input_shapes), random.as_key(key)
    for number, (path, param) in enumerate(expected.items()):
        if None in param.shape and param.dtype.startswith("float"):
            raise ValueError(
                f"{_join(path)} would be {_described(param)}: give the size (units=, filters=, ...) of its layer"
            )
        sizes = tuple(0 if d is None else d for d in param.shape)
        make = param.initializer if callable(param.initializer) else INITIALIZERS[param.initializer]
        leaves[path] = ops.cast(ops.asarray(make(random.fold_in(rng, number), sizes)), param.dtype)
    return tree.nest(leaves)


def differences(model: Any, params: Params, *input_shapes: Any) -> list[str]:
    """Why `params` are not the parameters of `model`: one line for each leaf.

    Names, shapes and dtypes are compared, and the values are checked: no NaN, infinity or negative variance.
    """
    return misplaced(needed(model, *input_shapes), params) or [
        f"{_join(path)}: {wrong}" for path, leaf in tree.items(params) if (wrong := faulty(path, leaf)) is not None
    ]


def misplaced(expected: Mapping[Path, Param], params: Params) -> list[str]:
    """The differences in names, shapes and dtypes alone."""
    leaves = dict(tree.items(params))
    lines = [f"missing {_join(path)}: {_described(param)}" for path, param in expected.items() if path not in leaves]
    for path, leaf in leaves.items():
        if path not in expected and path[-1] == "rng":
            continue
        if not hasattr(leaf, "dtype"):
            lines.append(f"{_join(path)}: expected an array, got a {type(leaf).__name__}")
        elif path not in expected:
            lines.append(f"extra {_join(path)}: {leaf.dtype}{list(leaf.shape)}")
        elif not _matches(leaf, expected[path]):
            lines.append(f"{_join(path)}: expected {_described(expected[path])}, got {leaf.dtype}{list(leaf.shape)}")
    return lines


def _matches(leaf: Array, param: Param) -> bool:
    """Whether an array has the shape and the dtype of a parameter."""
    same_shape = leaf.shape == param.shape or fits(leaf.shape, param.shape)  # the first is usual, and fast
    return same_shape and _holds(leaf.dtype, param.dtype)


_NARROWER = {"bfloat16": "float32", "float64": "float32", "int64": "int32"}


@functools.cache
def _holds(stored: Any, dtype: str) -> bool:
    """Whether an array of a dtype may hold a parameter: NumPy has no bfloat16, and JAX by default no 64 bits."""
    return stored.name in (dtype, _NARROWER.get(dtype))


def faulty(path: Path, leaf: Array) -> str | None:
    """What is wrong with the values of a parameter: NaN, infinity, a negative variance; None where nothing is.

    A `constant` of a graph may hold any number: masks that are added have -inf.
    """
    if "float" not in leaf.dtype.name or not leaf.size or path[-1] == "value":
        return None
    numbers = ops.to_numpy(leaf)
    if not np.isfinite(numbers).all():
        return "holds NaN or infinity: the training diverged or the file is damaged"
    if str(path[-1]).endswith("variance") and numbers.min() < 0:
        return f"holds a negative variance, {float(numbers.min()):.4g}"
    return None


def check(model: Any, params: Params, *input_shapes: Any) -> None:
    """Raise InvalidParams, listing every leaf that is missing, extra, of the wrong shape or dtype, or not finite."""
    require_order("check(model, params)", model, params)
    require_arrays(params)
    lines = differences(model, params, *input_shapes)
    if lines:
        if all(line.startswith("extra ") for line in lines):
            lines.append("fnet.pruned(model, params) leaves them out")
        raise InvalidParams("these parameters do not fit the model:\n  " + "\n  ".join(lines))


def _join(path: Path) -> str:
    return printable(tree.path_name(path))


def _described(param: Param) -> str:
    return f"{param.dtype}{['any' if d is None else d for d in param.shape]}".replace("'", "")


def with_rng(model: Any, params: Params, key: Array | int) -> dict[str, Any]:
    """`params` with a random key for every step that drops values or adds noise.

    These steps act then as under Keras's `training=True`; without `rng` they are the identity.
    """
    require_order("with_rng(model, params, key)", model, params)
    return _with_rng(model, params, random.as_key(key))


def _with_rng(step: Any, params: Params, rng: Array) -> dict[str, Any]:
    entries = dict(params)
    numbers: dict[str, int] = {}
    for name, child in infer.children(step):
        number = numbers.setdefault(name, len(numbers) + 1)  # steps that share params share the key
        entry = _with_rng(child, entries.get(name, EMPTY), random.fold_in(rng, number))
        if entry:
            entries[name] = entry
    if not isinstance(step, Model) and infer.by_options(rules_of(step).rng, step):
        entries["rng"] = random.fold_in(rng, 0)
    return entries


def partition(model: Any, params: Params, *input_shapes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(trainable, rest) of `params`; the rest is moving statistics, tables, integers and rng.

    `jax.grad` and optax take the first; `merge` joins the two again.
    """
    require_order("partition(model, params)", model, params)
    expected = needed(model, *input_shapes)
    trainable: dict[Path, Any] = {}
    rest: dict[Path, Any] = {}
    for path, leaf in tree.items(params):
        is_trained = path in expected and expected[path].trainable and is_float(leaf)
        (trainable if is_trained else rest)[path] = leaf
    return tree.nest(trainable), tree.nest(rest)


def merge(trainable: Params, rest: Params) -> dict[str, Any]:
    """The params tree from the two parts that `partition` gave.

    Raises InvalidInput for what are not such parts: not dicts, or an array in the one where the other has a dict.
    """
    if not isinstance(trainable, Mapping) or not isinstance(rest, Mapping):
        raise InvalidInput(f"merge takes what partition gave: two dicts of arrays; got {describe((trainable, rest))}")
    leaves = {**dict(tree.items(rest)), **dict(tree.items(trainable))}
    within = next((path for path in leaves for n in range(1, len(path)) if path[:n] in leaves), None)
    if within is not None:
        raise InvalidInput(
            f"{tree.path_name(within)!r} is in an array of the other part: these are not two parts of one tree"
        )
    return tree.nest(leaves)
