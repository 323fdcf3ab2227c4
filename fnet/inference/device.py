"""Params on a device: copies that are made once, and whether an array can change at all."""

from __future__ import annotations

import functools
import weakref
from typing import Any

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.constants import is_constant
from fnet.inference.arrays import array

_copies: dict[int, tuple[weakref.ref[Any], Any]] = {}
"""{id of an array that cannot change: (it, its copy on the device)}; an entry goes when its array does."""


def on_device(leaf: Any) -> Any:
    """A leaf of the params as an array of the backend; a leaf that cannot change is copied only once."""
    if is_foreign(leaf):
        leaf = array(leaf)
    if backend.name() == "numpy" or not isinstance(leaf, np.ndarray):
        return ops.asarray(leaf)
    key, value = id(leaf), is_value(leaf)
    kept = _copies.get(key)
    if kept is not None and value and kept[0]() is leaf:
        return kept[1]
    _copies.pop(key, None)
    copied = ops.asarray(leaf, copy=True)
    if value and copied is not leaf and not ops.is_traced(copied):  # a trace ends, and its arrays with it
        _copies[key] = (weakref.ref(leaf, functools.partial(_forget, key)), copied)
    return copied


def require_values(arrays: Any) -> None:
    """Raise TypeError where JAX traces: what `predict` keeps and gives are values."""
    if any(map(ops.is_traced, tree.leaves(arrays))):
        raise TypeError(
            "JAX traces this call (jit, grad, vmap, ...), and predict gives NumPy arrays: call model(params, x) there"
        )


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    kept = _copies.get(key)
    if kept is not None and kept[0] is gone:
        del _copies[key]


def is_value(leaf: Any) -> bool:
    """Whether an array can never change: it is one of JAX's, or in constant memory, or empty."""
    if not isinstance(leaf, np.ndarray):
        return not is_foreign(leaf)
    return not leaf.size or is_constant(leaf)


def is_foreign(leaf: Any) -> bool:
    """Whether a leaf is an array of a library other than NumPy and the backend's, so that it may change."""
    return hasattr(leaf, "__array__") and not ops.is_array(leaf)


def twin(leaf: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A second array on the same constant memory, which keeps that alive but not `leaf`, which is not empty."""
    memory: Any = leaf
    while isinstance(memory, np.ndarray):
        memory = memory.base
    start = np.frombuffer(memory, np.uint8)
    return np.ndarray(leaf.shape, leaf.dtype, memory, leaf.ctypes.data - start.ctypes.data, leaf.strides)
