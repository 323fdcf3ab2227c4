"""Models that are called often: `jit`, `compile`, and what XLA compiled for `predict`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fnet import backend, rewrites, tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.diagnosis import require_order
from fnet.inference.device import is_value, on_device
from fnet.inference.in_predict import in_predict
from fnet.inference.string_split import has_host, split_host
from fnet.latest import Latest
from fnet.layers.wrappers import carried
from fnet.strings import is_strings
from fnet.types import Params


def jit(model: Any) -> Callable[[Params, Any], Any]:
    """`(params, x) -> y` with the results of `model`: compiled by XLA on JAX; on NumPy, `model` itself.

    So one script serves both. On NumPy `fnet.compile` and `fnet.predict` are the faster forms.

    Equal models share one compilation. A model that begins with strings runs that part in NumPy first.
    """
    require_order("jit(model)", model)
    run = model if backend.name() == "numpy" else _jit(model)
    taken = ops.native if has_host(model) else ops.whole
    return model if run is model else lambda params, x: run(ops.native(params), taken(x))


@functools.lru_cache(maxsize=64)
def _jit(model: Any) -> Callable[[Params, Any], Any]:
    """`jit` on JAX, for arrays of native byte order."""
    host, numeric = split_host(model)
    if host is not None and not numeric.names:
        run: Callable[[Params, Any], Any] = model  # all of it runs in NumPy, and may give strings
        return run
    traced = ops.jit(numeric)
    if host is None:
        return traced

    def run_both(params: Params, x: Any) -> Any:
        """Strings that no layer has turned into numbers stay in NumPy: no device holds them."""
        read = host(params, x)
        return (numeric if any(map(is_strings, tree.leaves(read))) else traced)(params, ops.whole(read))

    return run_both


@functools.lru_cache(maxsize=64)
def jit_carried(model: Any) -> Callable[[Params, Any, Any], tuple[Any, Any]]:
    """`carried` of a stateful model, compiled."""
    host, numeric = split_host(model)
    traced = ops.jit(functools.partial(carried, numeric))
    if host is None:
        return traced
    return lambda params, x, state: traced(params, host(params, x), state)


def compile(model: Any, params: Params, *, optimize: bool = True) -> Callable[[Any], Any]:  # noqa: A001 - the field's word
    """`f(x)`: the model with the current values of these parameters, prepared once to be called often.

    optimize: whether to run `fnet.optimize(model, params)`; if not, the values are those of `model(params, x)` or, for
    integers into preprocessing layers, of `predict`.
    A model that XLA cannot compile, because a size in it depends on values (`bincount`), runs operation by operation.
    """
    require_order("compile(model, params)", model, params)
    model = in_predict(model)
    if optimize:
        model, params = rewrites.optimize(model, params)
    kept = tree.map(on_device, params)
    if backend.name() == "numpy":
        return functools.partial(model, tree.map(_as_it_is_now, kept))
    run = Compiled(model, kept if may_be_constants(params, kept) else None)
    taken = ops.native if has_host(model) else ops.whole
    return lambda x: run(kept, taken(x))


def _as_it_is_now(leaf: Any) -> Any:
    """A leaf, or a copy of a NumPy array that may change."""
    return leaf.copy("K") if isinstance(leaf, np.ndarray) and not is_value(leaf) else leaf


CONSTANTS = 160 << 20
"""The most bytes of params that are compiled as constants, once for each shape of the inputs."""


def may_be_constants(params: Params, on_device_params: Params) -> bool:
    """Whether params that never change should be compiled as constants: XLA stores them in its preferred layout.

    params: those of the caller, which must be NumPy arrays; on_device_params: the same on the device.
    """
    if backend.name() == "numpy" or not ops.on_cpu():
        return False
    return all(isinstance(leaf, np.ndarray) for leaf in tree.leaves(params)) and _bytes(on_device_params) <= CONSTANTS


class Compiled:
    """`(params, x) -> y`, of native byte order: a model under jit, or the model itself where that is not possible.

    constants: the params of all calls, where they are compiled as constants.
    """

    def __init__(self, model: Any, constants: Params | None = None) -> None:
        self.model = model
        self.run = model if backend.name() == "numpy" else _jit(model)
        self.constants = constants
        most = 64 if constants is None else max(1, 4 * CONSTANTS // max(1, _bytes(constants)))
        self.compiled: Latest[Any, Callable[..., Any] | None] = Latest(most)
        """{shapes and dtypes: the compiled function; None where that is not possible}."""

    def __call__(self, params: Params, x: Any) -> Any:
        try:
            if self._is_constant_with(x) and (run := self._for(params, x, alone=True)) is not None:
                return run(x)
            return self.run(params, x)
        except ops.UNTRACEABLE:
            if self.run is self.model:
                raise
        self.run, self.constants = self.model, None
        return self.model(params, x)

    def for_threads(self, params: Params, batches: list[Any]) -> Callable[[Any], Any] | None:
        """x -> NumPy arrays, for these params and `batches`, to be called by several threads at once.

        None where that gains nothing: the model begins with strings, cannot be compiled, or does not run on a CPU.
        """
        if backend.name() == "numpy":
            return functools.partial(self.model, params)
        if self.run is self.model:
            return None
        runs = {_spec(batch): batch for batch in batches}
        runs = {key: self._for(params, batch, alone=False) for key, batch in runs.items()}
        return None if None in runs.values() else lambda x: tree.map(ops.to_numpy, runs[_spec(x)](x))

    def ahead(self, x: Any) -> Callable[[Any], Any] | None:
        """What was compiled with the constants for the whole of `x`, or None."""
        return self.compiled.get((True, _spec(x))) if self._is_constant_with(x) else None

    def _is_constant_with(self, x: Any) -> bool:
        """Whether to use the constants: `x` is not on another device already."""
        return self.constants is not None and all(isinstance(a, np.ndarray) for a in tree.leaves(x))

    def _for(self, params: Params, batch: Any, alone: bool) -> Callable[[Any], Any] | None:
        """`x -> y`, compiled for such a batch. alone: whether one thread at a time calls it."""
        leading = () if self._is_constant_with(batch) else (params,)
        key = (alone, _spec(batch), *map(_spec, leading))
        run = self.compiled.computed(key, functools.partial(self._ahead, leading, batch, alone))
        return run if run is None or not leading else functools.partial(run, *leading)

    def _ahead(self, leading: tuple[Params, ...], batch: Any, alone: bool) -> Callable[..., Any] | None:
        """Compile for params (unless they are constants) and a batch; None where that is not possible."""
        if split_host(self.model)[0] is not None:
            return None
        function = self.model if leading else functools.partial(self.model, self.constants)
        try:
            return ops.ahead(function, *leading, batch, convolves=alone and _convolves(self.model))
        except ops.UNTRACEABLE:
            return None


def _convolves(model: Any) -> bool:
    """Whether a model has convolutions, and no attention."""
    names = [step.function.__name__ for step in infer.layers_in(model)]
    return any("conv" in name for name in names) and not any("attention" in name for name in names)


def _bytes(params: Params) -> int:
    return sum(a.nbytes for a in tree.leaves(params))


def _spec(x: Any) -> Any:
    """Containers, shapes and dtypes of a tree of arrays, as a value."""
    if isinstance(x, Mapping):
        return tuple((key, _spec(item)) for key, item in x.items())
    if isinstance(x, list | tuple):
        return (x.__class__, *map(_spec, x))
    return None if x is None else (x.shape, x.dtype)
