"""The self-test of a saved model: its outputs for generated rows at the time when it was saved.

The rows are not stored, only how to generate them: uniform floats in [-1, 1), whole numbers below a bound (ids, also
where the input is declared as floats), words, all from `fnet.random`, which gives the same bits everywhere. Of large
outputs some values are stored, at even distances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fnet
from fnet import random, tree
from fnet.core import infer
from fnet.types import Params, Spec
from params.errors import CorruptFile, quoted

ROWS, MOST = 2, 256
"""The number of generated rows; the most values that are stored of an output."""
TRIES = [(size, below, ids) for ids in (False, True) for size in (16, 64, 256) for below in (100, 10, 2)]
"""(size of unknown axes, bound of whole numbers, whether floats are whole too); the first that the model takes."""
WORDS = ["the", "of", "good", "bad", "7", "makanan", "enak", "kamar", "kotor", "a"]
ALLOWED = {"float16": 5e-3, "bfloat16": 5e-2}
"""{declared dtype of an output: difference relative to its largest value}; 1e-4 for all others."""


def record(model: Any, params: Params) -> dict[str, Any] | None:
    """The self-test of a model, as JSON; None where it takes no such rows, or returns NaN or infinity."""
    for size, below, ids in TRIES:
        try:
            y = _leaves(run(model, params, size, below, ids))
        except (ValueError, LookupError):  # fnet.InvalidInput among them
            continue
        if not all(np.isfinite(leaf).all() for leaf in y.values() if leaf.dtype.kind == "f"):
            return None
        outputs = {path: {"shape": list(leaf.shape), "values": _values(leaf).tolist()} for path, leaf in y.items()}
        return {"size": size, "below": below, **({"ids": True} if ids else {}), "outputs": outputs}
    return None


def check(model: Any, params: Params, kept: Any) -> tuple[float, list[str]]:
    """(largest difference, relative to the largest value of the output; messages) of a model and its self-test `kept`.

    Raises CorruptFile for one that `record` cannot have made.
    """
    match kept:
        case {"size": int(size), "below": int(below), "outputs": dict(outputs), **more} if (
            way := (size, below, more.get("ids", False))
        ) in TRIES:
            pass
        case _:
            raise CorruptFile(f"the self-test is {quoted(kept)}")
    try:
        y = _leaves(run(model, params, *way))
    except (ValueError, LookupError) as error:  # `record` stores only what the model takes
        raise CorruptFile(f"the self-test does not run: {error}") from error
    if y.keys() != outputs.keys():
        raise CorruptFile(f"the self-test has the outputs {quoted(list(outputs))}, the model {quoted(list(y))}")
    declared = _named(infer.infer(model, infer.inputs_of(model))[0])  # bfloat16 outputs are float32 arrays
    worst, wrong = 0.0, list[str]()
    for path, leaf in y.items():
        values, expected = _values(leaf), _kept_values(path, leaf, outputs[path])
        if leaf.dtype.kind != "f":
            if count := int((values != expected).sum()):
                wrong.append(f"{path} is not what it was: {count} of {values.size} values differ")
            continue
        difference = float(np.abs(values - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-30))
        worst = max(worst, difference)
        if not difference <= (allowed := ALLOWED.get(declared[path].dtype, 1e-4)):
            wrong.append(f"{path} differs by {difference:.3g} of its largest value; {allowed:g} is allowed")
    return worst, wrong


def _kept_values(path: str, leaf: np.ndarray[Any, Any], output: Any) -> np.ndarray[Any, Any]:
    """The stored values of an output. Raises CorruptFile where they do not have its shape and kind."""
    match output:
        case {"shape": list(shape), "values": list(values)} if shape == list(leaf.shape):
            expected, now = np.asarray(values), _values(leaf)
            numbers = now.dtype.kind == "f" and expected.dtype.kind in "fi"
            if expected.shape == now.shape and (numbers or expected.dtype.kind == now.dtype.kind):
                return expected
    raise CorruptFile(f"the self-test has for the output {quoted(path)}: {quoted(output)}")


def _leaves(y: Any) -> dict[str, np.ndarray[Any, Any]]:
    """{path: array} of the outputs."""
    return {path: np.asarray(leaf) for path, leaf in _named(y).items()}


def _named(y: Any) -> dict[str, Any]:
    """{path: leaf} of the outputs."""
    return {tree.path_name(path) or "output": leaf for path, leaf in tree.items(y)}


def run(model: Any, params: Params, size: int, below: int, ids: bool) -> Any:
    """The outputs of the model for generated rows. Raises ValueError where it does not take them."""
    count, takes = iter(range(1000)), infer.inputs_of(model)
    rows = tree.map(lambda s: _made(s, next(count), size, below, ids), takes)
    return fnet.predict(model, params, rows, optimize=False)


def _made(spec: Spec, number: int, size: int, below: int, ids: bool) -> Any:
    """The generated rows for input number `number`."""
    shape = (ROWS, *(size if d is None else d for d in spec.shape[1:]))
    key = random.fold_in(random.key(20), number)
    if spec.dtype == "string":
        bits = np.asarray(random.bits(key, (*shape, 8)))
        words = np.array(WORDS)[bits % len(WORDS)]
        return np.array([" ".join(row) for row in words.reshape(-1, 8)], object).reshape(shape)
    if spec.dtype == "bool":
        return np.asarray(random.bernoulli(key, 0.5, shape))
    if "int" in spec.dtype or ids:
        return (np.asarray(random.bits(key, shape)) % below).astype(spec.dtype)
    return np.asarray(random.uniform(key, shape, -1.0, 1.0))


def _values(y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """At most `MOST` values of an output, at even distances, of dtypes that JSON has."""
    flat = y.reshape(-1)
    if flat.size > MOST:
        flat = flat[np.linspace(0, flat.size - 1, MOST).round().astype(int)]
    if flat.dtype.kind == "f":
        return flat.astype(np.float64)
    return flat.astype(str) if flat.dtype.kind in "SO" else flat.astype(np.int64) if flat.dtype.kind == "u" else flat
