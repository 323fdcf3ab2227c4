"""Models prepared to be called often: `jit`, `compile`, and params that are on the device already."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fnet import backend, rewrites, tree
from fnet.backend import ops
from fnet.inference.device import on_device
from fnet.inference.string_split import split_host
from fnet.layers.wrappers import carried
from fnet.types import Params


def jit(model: Any) -> Callable[[Params, Any], Any]:
    """`model` compiled by XLA on JAX, itself on NumPy: `(params, x) -> y` with the same results.

    Equal models share one compilation. A model that begins with strings runs that part in NumPy first.
    """
    run = _traced(model)
    return model if run is model else lambda params, x: run(ops.native(params), ops.native(x))


def _traced(model: Any) -> Callable[[Params, Any], Any]:
    """`jit` for arrays of native byte order."""
    return model if backend.name() == "numpy" else _jit(model)


@functools.lru_cache(maxsize=64)
def _jit(model: Any) -> Callable[[Params, Any], Any]:
    host, numeric = split_host(model)
    if host is None:
        return ops.jit(numeric)
    if not numeric.names:
        run: Callable[[Params, Any], Any] = model  # all of it runs in NumPy, and may give strings
        return run
    traced = ops.jit(numeric)
    return lambda params, x: traced(params, host(params, x))


@functools.lru_cache(maxsize=64)
def jit_carried(model: Any) -> Callable[[Params, Any, Any], tuple[Any, Any]]:
    """`carried` of a stateful model, compiled."""
    host, numeric = split_host(model)
    traced = ops.jit(functools.partial(carried, numeric))
    if host is None:
        return traced
    return lambda params, x, state: traced(params, host(params, x), state)


def compile(model: Any, params: Params, *, optimize: bool = True) -> Callable[[Any], Any]:  # noqa: A001 - the field's word
    """`f(x)`: the model with these parameters, as they are now, prepared once to be called often.

    optimize: whether `fnet.optimize` makes it faster; without, the values are those of `model(params, x)`.
    What XLA cannot compile, because sizes in it depend on values (`bincount`, say), runs operation by operation.
    """
    if optimize:
        model, params = rewrites.optimize(model, params)
    if backend.name() == "numpy":
        return functools.partial(model, params)
    run, kept = Compiled(model), tree.map(on_device, params)
    return lambda x: run(kept, ops.native(x))


class Compiled:
    """`(params, x) -> y`, of native byte order: a model under jit, unless that turns out not to be possible."""

    def __init__(self, model: Any) -> None:
        self.model, self.run = model, _traced(model)
        self.ahead: dict[Any, Any] = {}

    def __call__(self, params: Params, x: Any) -> Any:
        try:
            return self.run(params, x)
        except ops.UNTRACEABLE:
            if self.run is self.model:
                raise
        self.run = self.model
        return self.model(params, x)

    def for_threads(self, params: Params, batches: list[Any]) -> Callable[[Any], Any] | None:
        """x -> NumPy arrays for these very params and `batches`, to be called in several threads at once.

        None where that is no gain: the model begins with strings, cannot be compiled, or runs on no CPU.
        """
        if backend.name() == "numpy":
            return functools.partial(self.model, params)
        host, numeric = split_host(self.model)
        if host is not None or self.run is self.model:
            return None
        compiled = {}
        for batch in batches:
            key = _spec(batch)
            if key not in compiled:
                compiled[key] = self._ahead(numeric, params, batch, (_spec(params), key))
        if None in compiled.values():
            return None
        return lambda x: tree.map(ops.to_numpy, compiled[_spec(x)](params, x))

    def _ahead(self, model: Any, params: Params, batch: Any, key: Any) -> Any:
        """`model` compiled for such arguments, under the settings of the thread that asks."""
        if key not in self.ahead:
            try:
                self.ahead[key] = ops.ahead(model, params, batch)
            except ops.UNTRACEABLE:
                self.ahead[key] = None
        return self.ahead[key]


def _spec(x: Any) -> Any:
    """Shapes and dtypes of a tree of arrays, as a value."""
    return tuple((path, a.shape, a.dtype) for path, a in tree.items(x))
