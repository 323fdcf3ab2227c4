"""Training with batch normalization: a pure step that gives the new moving statistics next to the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnet import tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.diagnosis import require_order
from fnet.core.layer import bind, brief
from fnet.core.model import EMPTY, Model, flow
from fnet.layers.norms import batch_moments, batch_normalization
from fnet.masks import parted, strip
from fnet.shapes import axes_of
from fnet.types import Array, Params


def with_statistics(model: Any, params: Params, x: Any, momentum: float = 0.99) -> tuple[Any, dict[str, Any]]:
    """(outputs, new params): the model with every batch normalization by the statistics of this batch.

    Of the new params only the moving means and variances differ: `momentum` times the old plus the rest times those of
    the batch, as Keras's `fit` has it. Keys of randomness are used up, so the new params have none. Nothing is changed
    in place, so it goes through `jax.jit` and, with `has_aux=True`, `jax.grad`. The batch counts by the mask that
    reaches the layer. The model does not know which layers were frozen in Keras (`trainable=False`, which its `fit`
    leaves as they are): their statistics move, too.
    Raises ValueError for a batch normalization inside a wrapper, with `renorm` or virtual batches, and for a momentum
    that is not from 0 to 1.
    """
    require_order("with_statistics(model, params, x)", model, params)
    known = isinstance(momentum, int | float | np.number)
    if not (0 <= momentum <= 1 if known else hasattr(momentum, "dtype")):  # an array may be traced
        raise ValueError(f"momentum is the share that stays of the old statistics, from 0 to 1; got {momentum!r:.40}")
    y, new = ops.exactly(_step, model, params, x, momentum)
    return strip(y), tree.nest({path: leaf for path, leaf in tree.items(new) if path[-1] != "rng"})


def _step(model: Any, params: Params, x: Any, momentum: float) -> tuple[Any, dict[str, Any]]:
    new = dict(params)

    def visit(name: str, key: str, step: Any, x: Any) -> Any:
        entry = new.get(key, EMPTY)
        if isinstance(step, Model):
            y, inner = _step(step, entry, x, momentum)
            if inner:
                new[key] = inner
            return y
        if bind(step).function is batch_normalization:
            new[key] = _moved(step, entry, x, momentum)
            return flow(bind(step, training=True), entry, x)
        if any(layer.function is batch_normalization for layer in infer.layers_in(step)):
            raise ValueError(f"{name!r}: a batch normalization inside {brief(step)} has no statistics of its own here")
        return flow(step, entry, x)

    return model.walk(x, visit), new


def _moved(step: Any, params: Params, x: Any, momentum: float) -> dict[str, Array]:
    """The params of a batch normalization with its moving statistics moved towards those of `x`."""
    options = bind(step).all_options
    if options["renorm"] or options["virtual_batch_size"] is not None:
        raise ValueError(f"{brief(step)}: renorm and virtual batches are not trained here")
    values, mask = parted(x)
    values = values.astype("float32") if values.dtype.itemsize < 4 or values.dtype.kind in "iub" else values
    moments = batch_moments(values, mask if options["masked_moments"] else None, axes_of(options["axis"], values.ndim))
    new = dict(params)
    for name, moment in zip(("moving_mean", "moving_variance"), moments, strict=True):
        old = params[name]
        new[name] = old * momentum + moment.reshape(old.shape).astype(old.dtype) * (1 - momentum)
    return new
