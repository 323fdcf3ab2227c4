"""From stored arrays to the params tree: shapes and dtypes are checked before any bytes are read, numbers after.

As in Keras, floats are cast to the dtype of their parameter. `CuDNNLSTM` and `CuDNNGRU` of Keras 2 stored arrays in
CuDNN's layout. As in Keras, these are recognised by the bias, which is twice as long, and converted, at any depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fnet import tree
from fnet.constants import constant
from fnet.core.parameters import faulty
from fnet.types import Array, Param, ParamTree
from params.assign.weight_paths import OF_TRAINING, Loaded
from params.errors import WeightsMismatch, quoted
from params.file.model_file import StoredArray


def values(arrays: Loaded, expected: ParamTree) -> dict[str, Any]:
    """The params tree: every stored array is compared with its `Param`, then read."""
    specs = dict(tree.items(expected))
    arrays = from_cudnn(arrays, specs)
    for path, param in specs.items():
        if path not in arrays and path[-1] == OF_TRAINING:
            arrays = {**arrays, path: np.zeros(param.shape, param.dtype)}
        if path not in arrays:
            raise WeightsMismatch(f"no array for {quoted(tree.path_name(path))}")
        compare_with(path, arrays[path], param)
    read: dict[str, Array] = {}
    loaded = {}
    for path, item in arrays.items():
        if not isinstance(item, StoredArray):
            loaded[path] = _checked(path, item)
            continue
        if item.place not in read:
            array, param = item.load(), specs.get(path)
            if param and _casts(item, param):
                with np.errstate(over="ignore"):  # infinity is refused
                    array = array.astype(param.dtype, copy=False)
            read[item.place] = _checked(path, array)
        loaded[path] = read[item.place]
    return tree.nest({path: loaded[path] for path in [*specs, *(p for p in loaded if p not in specs)]})


def compare_with(path: tuple[Any, ...], item: Any, param: Param) -> None:
    """Raise WeightsMismatch where an array does not fit the parameter at `path`."""
    shape, dtype = tuple(item.shape), str(item.dtype)
    if shape == tuple(param.shape) and dtype == param.dtype:
        return
    name, place = tree.path_name(path), getattr(item, "place", "the config")
    if len(shape) != len(param.shape) or any(w not in (None, d) for d, w in zip(shape, param.shape, strict=True)):
        expected = ["any" if d is None else d for d in param.shape]
        raise WeightsMismatch(f"{quoted(name)} must have the shape {expected}, but {quoted(place)} has {list(shape)}")
    if isinstance(item, StoredArray) and dtype != param.dtype and not _casts(item, param):
        raise WeightsMismatch(f"{quoted(name)} must be {param.dtype}, but {quoted(place)} is {dtype}")


CASTS = {
    "float16": ("float32", "float64"),
    "bfloat16": ("float32", "float64"),
    "float32": ("float64",),
    "float64": ("float32",),
}
"""{dtype of an array: those of a parameter to which it is cast, as in Keras}: a kernel with LoRA is stored as the layer
computes, Keras on NumPy stores float64 as float32, and arrays written by hand are often float64."""


def _casts(item: StoredArray, param: Param) -> bool:
    return param.dtype in CASTS.get(item.dtype, ())


def _checked(path: tuple[Any, ...], value: Array) -> Array:
    """A constant array. Raises WeightsMismatch for NaN, infinity or a negative variance."""
    array = np.asarray(value)
    if (wrong := faulty(path, array)) is not None:
        raise WeightsMismatch(f"{quoted(tree.path_name(path))} {wrong}")
    return constant(array)


# --- arrays of CuDNN ---------------------------------------------------------------------------------

NAMES = ("kernel", "recurrent_kernel", "bias")


def from_cudnn(loaded: dict[tuple[Any, ...], Any], specs: dict[tuple[Any, ...], Param]) -> dict[tuple[Any, ...], Any]:
    """`loaded`, arrays for the params of `specs`, with the arrays of CuDNN layers in the layout of today's layers.

    Raises WeightsMismatch for a GRU with reset_after=False, which CuDNN does not have.
    """
    changed = dict(loaded)
    for paths, units, gates in _recurrent(specs):
        bias = loaded.get(paths[2])
        if not isinstance(bias, StoredArray):
            continue
        if gates == 3 and len(specs[paths[2]].shape) == 1 and bias.shape in ((6 * units,), (2, 3 * units)):
            raise WeightsMismatch(
                f"{quoted(bias.place)} has two biases a gate, as CuDNNGRU and GRU(reset_after=True) have; the "
                f"layer at {quoted(tree.path_name(paths[2][:-1]))} is a GRU with reset_after=False, which has one"
            )
        if bias.shape == (2 * gates * units,):
            changed |= {path: _converted(loaded[path], n, gates) for n, path in enumerate(paths) if path in loaded}
    return changed


def _recurrent(specs: dict[tuple[Any, ...], Param]) -> Iterator[tuple[list[tuple[Any, ...]], int, int]]:
    """(paths of kernel, recurrent kernel and bias, units, gates) of each LSTM and GRU."""
    for path, param in specs.items():
        paths = [(*path[:-1], name) for name in NAMES]
        if path == paths[1] and len(param.shape) == 2 and specs.keys() >= set(paths):
            units, width = param.shape
            if units and width in (3 * units, 4 * units):
                yield paths, units, width // units


def _converted(array: StoredArray, number: int, gates: int) -> StoredArray:
    """Array `number` (kernel, recurrent_kernel, bias) of a CuDNN layer in the layout of today's layer.

    CuDNN transposes the matrices of each gate, and has two biases, for the input and for the recurrence. The LSTM adds
    them; the GRU (reset_after) has a row for each.
    """

    def kernel() -> Array:
        parts = np.split(array.load(), gates, axis=1)
        return np.concatenate([part.T.reshape(part.shape, order="F") for part in parts], axis=1)

    def recurrent() -> Array:
        return np.concatenate([part.T for part in np.split(array.load(), gates, axis=1)], axis=1)

    def bias() -> Array:
        both = array.load().reshape(2, -1)
        return both if gates == 3 else both.sum(axis=0)

    shape = array.shape
    if number == 2:
        shape = (2, shape[0] // 2) if gates == 3 else (shape[0] // 2,)
    return replace(array, shape=shape, read=(kernel, recurrent, bias)[number])
