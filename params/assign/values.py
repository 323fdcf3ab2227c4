"""From stored arrays to the params tree: shape and dtype compared before any bytes are read, numbers checked after.

Keras on NumPy stores the weights of a float64 policy as float32, and casts them when it loads them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnet import tree
from fnet.constants import constant
from fnet.core.parameters import faulty
from fnet.types import Array, Param, ParamTree
from params.assign.engine_layouts import from_cudnn
from params.assign.weight_paths import OF_TRAINING, Loaded
from params.errors import WeightsMismatch, quoted
from params.file.model_file import StoredArray


def values(arrays: Loaded, expected: ParamTree) -> dict[str, Any]:
    """The params tree: every stored array compared with its `Param`, then read."""
    want = dict(tree.items(expected))
    arrays = from_cudnn(arrays, expected)
    for path, param in want.items():
        if path not in arrays and path[-1] == OF_TRAINING:
            arrays = {**arrays, path: np.zeros(param.shape, param.dtype)}
        if path not in arrays:
            raise WeightsMismatch(f"no array for {quoted('/'.join(map(str, path)))}")
        compare_with(path, arrays[path], param)
    read: dict[str, Array] = {}
    loaded = {}
    for path, item in arrays.items():
        if not isinstance(item, StoredArray):
            loaded[path] = _checked(path, item)
            continue
        if item.place not in read:
            array = item.load()
            read[item.place] = _checked(path, array.astype("float64") if _widens(item, want.get(path)) else array)
        loaded[path] = read[item.place]
    return tree.nest({path: loaded[path] for path in [*want, *(p for p in loaded if p not in want)]})


def compare_with(path: tuple[Any, ...], item: Any, param: Param) -> None:
    """Raise WeightsMismatch where an array is not what the parameter at `path` must be."""
    shape, dtype = tuple(item.shape), str(item.dtype)
    if shape == tuple(param.shape) and dtype == param.dtype:
        return
    name, place = "/".join(map(str, path)), getattr(item, "place", "the config")
    if len(shape) != len(param.shape) or any(w not in (None, d) for d, w in zip(shape, param.shape, strict=True)):
        expected = ["any" if d is None else d for d in param.shape]
        raise WeightsMismatch(f"{quoted(name)} must have the shape {expected}, but {quoted(place)} has {list(shape)}")
    if isinstance(item, StoredArray) and dtype != param.dtype and not _widens(item, param):
        raise WeightsMismatch(f"{quoted(name)} must be {param.dtype}, but {quoted(place)} is {dtype}")


def _widens(item: StoredArray, param: Param | None) -> bool:
    return param is not None and (item.dtype, param.dtype) == ("float32", "float64")


def _checked(path: tuple[Any, ...], value: Array) -> Array:
    """An array that nobody can change, without NaN, infinity or negative variance."""
    array = np.asarray(value)
    if (wrong := faulty(path, array)) is not None:
        raise WeightsMismatch(f"{quoted('/'.join(map(str, path)))} {wrong}")
    return constant(array)
