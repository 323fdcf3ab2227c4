"""Models prepared to be called often: `jit`, `compile`, and params that are on the device already."""

from __future__ import annotations

import functools
import mmap
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.inference.string_split import split_host
from fnet.layers.wrappers import carried
from fnet.types import Params


def jit(model: Any) -> Callable[[Params, Any], Any]:
    """`model` compiled by XLA on JAX, itself on NumPy: `(params, x) -> y` with the same results.

    Equal models share one compilation. A model that begins with strings runs that part in NumPy first.
    """
    return model if backend.name() == "numpy" else _jit(model)


@functools.lru_cache(maxsize=64)
def _jit(model: Any) -> Callable[[Params, Any], Any]:
    host, numeric = split_host(model)
    if host is not None and not numeric.names:
        run: Callable[[Params, Any], Any] = model  # all of it runs in NumPy, and may give strings
        return run
    traced = ops.jit(numeric)
    if host is None:
        return lambda params, x: traced(ops.native(params), ops.native(x))
    return lambda params, x: traced(ops.native(params), host(params, x))


@functools.lru_cache(maxsize=64)
def jit_carried(model: Any) -> Callable[[Params, Any, Any], tuple[Any, Any]]:
    """`carried` of a stateful model, compiled."""
    host, numeric = split_host(model)
    traced = ops.jit(functools.partial(carried, numeric))
    if host is None:
        return traced
    return lambda params, x, state: traced(params, host(params, x), state)


def compile(model: Any, params: Params) -> Callable[[Any], Any]:  # noqa: A001 - the field's word
    """`f(x)`: the model with these parameters fixed, prepared once to be called often.

    What XLA cannot compile, because sizes in it depend on values (`bincount`, say), runs operation by operation.
    """
    if backend.name() == "numpy":
        return functools.partial(model, params)
    return functools.partial(Compiled(model), tree.map(on_device, params))


class Compiled:
    """`(params, x) -> y`: a model under jit, unless that turns out not to be possible."""

    def __init__(self, model: Any) -> None:
        self.model, self.run = model, jit(model)

    def __call__(self, params: Params, x: Any) -> Any:
        try:
            return self.run(params, x)
        except ops.UNTRACEABLE:
            if self.run is self.model:
                raise
        self.run = self.model
        return self.model(params, x)


# --- params on a device ---------------------------------------------------------------------------

_copies: dict[int, tuple[weakref.ref[Any], Any]] = {}
"""{id of a read-only array: (the array, its copy on the device)}; an entry goes when its array does."""


def on_device(leaf: Any) -> Any:
    """A leaf of the params as an array of the backend; the copy of one that cannot change is made once."""
    if backend.name() == "numpy" or not isinstance(leaf, np.ndarray):
        return ops.asarray(ops.native(leaf))
    key, value = id(leaf), _is_value(leaf)
    kept = _copies.get(key)
    if kept is not None and value and kept[0]() is leaf:
        return kept[1]
    _copies.pop(key, None)
    made = ops.asarray(ops.native(leaf), copy=True)
    if value and made is not leaf:
        _copies[key] = (weakref.ref(leaf, functools.partial(_forget, key)), made)
    return made


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    kept = _copies.get(key)
    if kept is not None and kept[0] is gone:
        del _copies[key]


def _is_value(leaf: Any) -> bool:
    """Whether nobody can change an array: it, all that it is a view of, and the bytes below are read-only."""
    while isinstance(leaf, np.ndarray):
        if leaf.flags.writeable:
            return False
        leaf = leaf.base
    if isinstance(leaf, memoryview):
        leaf = leaf.obj
    return leaf is None or isinstance(leaf, bytes) or (isinstance(leaf, mmap.mmap) and memoryview(leaf).readonly)
