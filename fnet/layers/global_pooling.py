"""Pooling over whole axes: global_average_pooling1d/2d/3d, global_max_pooling1d/2d/3d.

Source: keras.layers.GlobalAveragePooling1D and so on. Unlike TensorFlow's, global max pooling lets NaN through.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from fnet.backend import ops, xp
from fnet.core.rules import OF_FLOATS, layer
from fnet.dtypes import floats_of, in_floats
from fnet.errors import InvalidInput
from fnet.layers.windows import Sizes, join_shape, over_axes, remembered, spatial_axes, split_shape
from fnet.masks import parted
from fnet.types import Array, DataFormat, Params, ParamTree, Spec

CHUNK = 256
"""Sums over longer axes are made of partial sums, so that rounding errors do not accumulate."""


def _global_rule(rank: int, x: Spec, *, data_format: str | None, keepdims: bool) -> tuple[Spec, ParamTree]:
    name = f"global_pooling{rank}d"
    sizes, channels = split_shape(name, x.shape, rank, data_format)
    _reject_empty(name, sizes)
    ones = (1,) * rank if keepdims else ()
    return Spec(join_shape(x.shape[0], ones, channels, data_format), x.dtype), {}


def _average_rule(
    rank: int, x: Spec, *, data_format: str | None, keepdims: bool, keeps_integers: bool
) -> tuple[Spec, ParamTree]:
    y, params = _global_rule(rank, x, data_format=data_format, keepdims=keepdims)
    return y if keeps_integers else floats_of(y), params


def _reject_empty(name: str, sizes: Any) -> None:
    if 0 in sizes:
        raise InvalidInput(f"{name} has nothing to pool: the spatial axes are {tuple(sizes)}")


@remembered
def _axes(rank: int, shape: Sizes, data_format: str | None) -> tuple[int, ...]:
    """The spatial axes of an input, checked."""
    name = f"global_pooling{rank}d"
    axes = spatial_axes(name, shape, rank, data_format)
    _reject_empty(name, [shape[axis] for axis in axes])
    return tuple(axes)


def _sum(x: Array, axis: int) -> Array:
    """The sum over one axis, kept with size 1; a long axis in chunks."""
    size = x.shape[axis]
    if size > 2 * CHUNK:
        whole = size - size % CHUNK
        lead = (slice(None),) * axis
        rest = x[(*lead, slice(whole, None))]
        parts = x[(*lead, slice(0, whole))]
        parts = parts.reshape(*x.shape[:axis], whole // CHUNK, CHUNK, *x.shape[axis + 1 :])
        x = xp.concatenate([xp.sum(parts, axis=axis + 1), rest], axis=axis)
        return _sum(x, axis)
    return ops.total(x, axis)


def _mean(rank: int, x: Array, params: Params, data_format: str | None, keepdims: bool, keeps_integers: bool) -> Array:
    """The mean over the spatial axes, one after the other."""
    if keeps_integers and x.dtype.kind in "iu":
        return _integer_mean(x, _axes(rank, x.shape, data_format), keepdims)
    x = in_floats(x, params)
    axes = _axes(rank, x.shape, data_format)
    count = 1
    for axis in axes:
        count *= x.shape[axis]
        x = _sum(x, axis)
    return (x if keepdims else xp.squeeze(x, axes)) / count


def _integer_mean(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The mean truncated towards 0, as TensorFlow divides integers."""
    total = xp.sum(x.astype("int64"), axis=axes, keepdims=keepdims)
    count = math.prod(x.shape[axis] for axis in axes)
    return (xp.sign(total) * (xp.abs(total) // count)).astype(x.dtype)


@layer(shape=partial(_average_rule, 1), mask="own", rounding=OF_FLOATS)
def global_average_pooling1d(
    params: Params,
    x: Any,
    *,
    data_format: DataFormat | None = None,
    keepdims: bool = False,
    keeps_integers: bool = False,
    weighs: bool = False,
) -> Array:
    """(batch, steps, channels) -> (batch, channels), or (batch, 1, channels) with `keepdims`: the mean.

    No params. Mask: dropped after use; masked steps count neither in the sum nor in the number, and a row without any
    step left is NaN, as in Keras. data_format: "channels_last" (also None) or "channels_first".
    weighs: numbers in a mask are weights, as in Keras before 3.15; otherwise any number but 0 is True.
    keeps_integers: without a mask, the mean of integers is an integer, truncated towards 0, as in Keras 2.
    Errors: InvalidInput for zero steps. Source: keras.layers.GlobalAveragePooling1D.

    >>> global_average_pooling1d({}, np.array([[[1.], [3.]]]))
    array([[2.]])
    """
    values, mask = parted(x)
    if mask is None:
        return _mean(1, values, params, data_format, keepdims, keeps_integers)
    (axis,), values = _axes(1, values.shape, data_format), in_floats(values, params)
    inside = xp.expand_dims(mask, 3 - axis)
    seen = inside != 0
    values, inside = xp.where(seen, values, xp.zeros_like(values)), inside if weighs else seen
    values = values * inside.astype(values.dtype) if weighs else values
    mean = _sum(values, axis) / xp.sum(inside, axis=axis, keepdims=True).astype(values.dtype)
    return mean if keepdims else xp.squeeze(mean, axis)


@over_axes("global_average_pooling{}d", _average_rule, mask="drop", rounding=OF_FLOATS)
def _average_pooling(
    rank: int,
    params: Params,
    x: Array,
    *,
    data_format: DataFormat | None = None,
    keepdims: bool = False,
    keeps_integers: bool = False,
) -> Array:
    """The layers global_average_pooling2d and global_average_pooling3d."""
    return _mean(rank, x, params, data_format, keepdims, keeps_integers)


global_average_pooling2d = _average_pooling(
    2,
    """(batch, height, width, channels) -> (batch, channels), or (batch, 1, 1, channels) with `keepdims`: the mean.

    No params. Mask: dropped. data_format: "channels_last" (also None) or "channels_first". keeps_integers: the mean of
    integers is an integer, truncated towards 0, as in Keras 2.
    Errors: InvalidInput for an empty spatial axis.
    """,
)

global_average_pooling3d = _average_pooling(
    3, "(batch, depth, height, width, channels) -> (batch, channels), as global_average_pooling2d."
)


@over_axes("global_max_pooling{}d", _global_rule, mask="drop")
def _max_pooling(
    rank: int, params: Params, x: Array, *, data_format: DataFormat | None = None, keepdims: bool = False
) -> Array:
    """The layers global_max_pooling1d, global_max_pooling2d, global_max_pooling3d."""
    return ops.max_over(x, _axes(rank, x.shape, data_format), keepdims)


global_max_pooling1d = _max_pooling(
    1,
    """(batch, steps, channels) -> (batch, channels), or (batch, 1, channels) with `keepdims`: the maximum.

    No params. Mask: dropped, as in Keras: the values of masked steps can win. NaN propagates.
    data_format: "channels_last" (also None) or "channels_first". Errors: InvalidInput for zero steps.

    >>> global_max_pooling1d({}, np.array([[[1.], [3.]]]))
    array([[3.]])
    """,
)

global_max_pooling2d = _max_pooling(
    2, "(batch, height, width, channels) -> (batch, channels), as global_max_pooling1d."
)

global_max_pooling3d = _max_pooling(
    3, "(batch, depth, height, width, channels) -> (batch, channels), as global_max_pooling1d."
)
