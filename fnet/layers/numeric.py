"""Layers that prepare numbers: rescaling, normalization, bins, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np

from fnet.backend import ops, xp
from fnet.core.rules import Rounding, layer
from fnet.dtypes import in_floats, is_integral, require_no_strings
from fnet.layers.encoding import encode, lookup_spec
from fnet.shapes import axes_of, broadcast_shapes, joined, require_ascending, require_kept, shape_of
from fnet.types import Array, Masks, OneOf, OutputMode, Param, Params, ParamTree, Positive, Shape, Spec

EPSILON = 1e-7
"""Keras's `backend.epsilon()`: the least standard deviation."""


def floats(x: Array) -> Array:
    """`x` as an array of the backend; integers become float32."""
    x = ops.asarray(x)
    return x if x.dtype.kind == "f" else x.astype("float32")


def _constant(value: Any, x: Array) -> Any:
    """A number as it is (it takes the dtype of `x`), a list as an array of that dtype."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value, x.dtype)


def float_rule(x: Spec) -> tuple[Spec, ParamTree]:
    """The shape rule of `floats`."""
    require_no_strings(x)
    return Spec(x.shape, x.dtype if x.dtype.startswith("float") else "float32"), {}


def _require_numbers_along(shape: Shape, **options: Any) -> None:
    """Raise ValueError where numbers or lists do not broadcast over values of `shape`."""
    for name, value in options.items():
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "biuf" or numbers.ndim > len(shape):
            raise ValueError(f"{name} = {value!r:.60}: it must be numbers that broadcast over {shape}")
        stretched = zip(shape, broadcast_shapes(shape, numbers.shape), strict=True)
        if any(size not in (None, wide) for size, wide in stretched):
            raise ValueError(f"{name} of the shape {numbers.shape} does not broadcast over {shape}")


def _rescaling_rule(x: Spec, *, scale: Any, offset: Any) -> tuple[Spec, ParamTree]:
    sizes = {np.asarray(numbers).size for numbers in (scale, offset)} - {1}
    if len(x.shape) == 4 and sizes == {x.shape[1]} and x.shape[-1] not in sizes:
        raise NotImplementedError(
            f"one number for each of the {x.shape[1]} channels on axis 1 is what Keras takes while its global data "
            "format is channels_first, which files do not say; give them the shape (channels, 1, 1)"
        )
    _require_numbers_along(x.shape, scale=scale, offset=offset)
    return float_rule(x)


@layer(shape=_rescaling_rule)
def rescaling(
    params: Params,
    x: Array,
    *,
    scale: float | Sequence[float],
    offset: float | Sequence[float] = 0.0,
    masks: Masks = "keras3",
) -> Array:
    """(...) -> (...): x * scale + offset, numbers or lists that broadcast; integers become float32.

    No params. Mask: kept; lost with masks="keras2". Source: keras.layers.Rescaling.

    >>> rescaling({}, np.array([0, 255]), scale=2 / 255, offset=-1)
    array([-1.,  1.], dtype=float32)
    """
    x = floats(x)
    y = x * _constant(scale, x) + _constant(offset, x)
    require_kept(y, x, "rescaling")
    return y


def _kept(rank: int, axis: int | Sequence[int] | None) -> list[int]:
    return [] if axis is None else sorted(axes_of(axis, rank))


def _normalization_rule(
    x: Spec, *, axis: int | Sequence[int] | None, mean: Any, variance: Any
) -> tuple[Spec, ParamTree]:
    if (mean is None) != (variance is None):
        raise ValueError("normalization takes both mean and variance as options, or neither")
    shape = tuple(x.shape[a] for a in _kept(len(x.shape), axis))
    if mean is not None:
        _require_numbers_along(shape, mean=mean, variance=variance)
    statistics = {"mean": Param(shape, "zeros", trainable=False), "variance": Param(shape, "ones", trainable=False)}
    return float_rule(x)[0], statistics if mean is None else {}


@layer(shape=_normalization_rule)
def normalization(
    params: Params,
    x: Array,
    *,
    axis: int | Sequence[int] | None = -1,
    mean: Any = None,
    variance: Any = None,
    invert: bool = False,
    masks: Masks = "keras3",
) -> Array:
    """(...) -> (...): (x - mean) / max(sqrt(variance), 1e-7); `invert`: x * max(sqrt(variance), 1e-7) + mean.

    params: mean, variance (sizes of the kept axes), unless both are given as options: numbers or lists that
    broadcast over the kept axes from the right. axis: the axes with separate statistics (None: none; the batch axis
    counts). Mask: kept; lost with masks="keras2". Source: keras.layers.Normalization.

    >>> normalization({}, np.array([[1.0], [3.0]]), mean=3.0, variance=4.0)
    array([[-1.],
           [ 0.]])
    """
    x = in_floats(floats(x), params)
    kept = _kept(x.ndim, axis)
    if mean is None and shape_of(params["mean"]) != tuple(x.shape[a] for a in kept):
        raise ValueError("a mean of different sizes, which would broadcast")
    statistics = (params["mean"], params["variance"]) if mean is None else (mean, variance)
    center, spread = (_along(statistic, kept, x) for statistic in statistics)
    deviation = xp.maximum(xp.sqrt(spread), EPSILON)
    y = x * deviation + center if invert else (x - center) / deviation
    require_kept(y, x, "normalization")
    return y


def _along(values: Any, kept: Sequence[int], x: Array) -> Array:
    """Statistics with their axes, counted from the right, at the kept axes of `x`."""
    values = ops.asarray(values, x.dtype)
    shape = [1] * x.ndim
    for position in range(1, values.ndim + 1):
        shape[kept[-position]] = values.shape[-position]
    return values.reshape(shape)


def _discretization_rule(
    x: Spec,
    *,
    bin_boundaries: Sequence[float],
    output_mode: str,
    drops_ones: bool,
    index_dtype: str,
    encoding_dtype: str,
) -> tuple[Spec, ParamTree]:
    require_no_strings(x)
    require_ascending(bin_boundaries, "bin_boundaries")
    shape = x.shape if drops_ones or output_mode != "one_hot" else (*x.shape, 1)
    return lookup_spec(shape, output_mode, len(bin_boundaries) + 1, (index_dtype, encoding_dtype)), {}


@layer(shape=_discretization_rule, mask="drop", rounding=Rounding(keeps=("inputs",)), in_predict={"casts": True})
def discretization(
    params: Params,
    x: Array,
    *,
    bin_boundaries: Sequence[float],
    output_mode: OutputMode = "int",
    drops_ones: bool = True,
    index_dtype: str = "int32",
    encoding_dtype: str = "float32",
    casts: bool | None = None,
    input_dtype: str | None = None,
) -> Array:
    """Numbers (...) -> the bin of each (...), or one_hot, multi_hot, count over the bins (`encoding_dtype`).

    Bin i holds bin_boundaries[i - 1] <= x < bin_boundaries[i]; NaN is in the last. index_dtype: of the bins (int64
    before Keras 3.12). drops_ones, casts, input_dtype: as of `category_encoding`. No params. Mask: dropped.
    Source: keras.layers.Discretization.

    >>> discretization({}, np.array([0.5, 1.0, 7.0]), bin_boundaries=(1.0, 2.0))
    array([0, 1, 2], dtype=int32)
    """
    boundaries = ops.asarray(bin_boundaries, "float32")
    bins = ops.place_of(floats(ops.cast(ops.asarray(x), input_dtype) if casts and input_dtype else x), boundaries)
    if output_mode == "int":
        return ops.cast(bins, index_dtype)
    bins = bins if drops_ones or output_mode != "one_hot" else bins[..., None]
    return encode(bins, output_mode, len(bin_boundaries) + 1, encoding_dtype, backend=ops)


CategoryMode: TypeAlias = Annotated[str, OneOf(("one_hot", "multi_hot", "count"))]


def _category_rule(
    x: Any, *, num_tokens: int, output_mode: str, drops_ones: bool, encoding_dtype: str
) -> tuple[Spec, ParamTree]:
    ids, weights = _with_weights(x)
    require_no_strings(ids, weights)
    if weights is not None:
        joined(ids.shape, weights.shape)
    shape = ids.shape if drops_ones or output_mode != "one_hot" else (*ids.shape, 1)
    weighs = weights is not None and weights.dtype.startswith("float") and not is_integral(encoding_dtype)
    dtype = weights.dtype if weighs else encoding_dtype
    return lookup_spec(shape, output_mode, num_tokens, ("int64", dtype)), {}


def _with_weights(x: Any) -> tuple[Any, Any]:
    """(inputs, count weights or None) from the input of the layer."""
    if isinstance(x, Mapping):
        return x["inputs"], x.get("count_weights")
    return (x[0], x[1]) if isinstance(x, tuple | list) else (x, None)


@layer(shape=_category_rule, mask="drop", in_predict={"casts": True})
def category_encoding(
    params: Params,
    x: Any,
    *,
    num_tokens: Positive,
    output_mode: CategoryMode = "multi_hot",
    drops_ones: bool = True,
    encoding_dtype: str = "float32",
    casts: bool | None = None,
    input_dtype: str | None = None,
) -> Array:
    """Ids -> `encoding_dtype` over `num_tokens` columns: one_hot, multi_hot or count.

    one_hot: (..., n) -> (..., n, columns); a last axis of size 1 is dropped first if `drops_ones` (not so in Keras 3.0
    to 3.3). multi_hot, count: (batch, n) -> (batch, columns).
    x: ids, or (ids, count weights of the same shape) for count. Ids outside of 0..num_tokens-1
    have no column. casts: they are cast to `input_dtype` first, which Keras 3 does where the policy is of integers or
    16 bits; None: in `predict` alone. No params. Mask: dropped. Source: keras.layers.CategoryEncoding.

    >>> category_encoding({}, np.array([[0, 2, 2]]), num_tokens=3, output_mode="count")
    array([[1., 0., 2.]], dtype=float32)
    """
    ids, weights = _with_weights(x)
    if weights is not None and output_mode != "count":
        raise ValueError(f"count weights go with output_mode='count', not {output_mode!r}")
    if weights is not None and is_integral(encoding_dtype):
        weights = ops.cast(weights, encoding_dtype)
    dtype = encoding_dtype if weights is None or weights.dtype.kind != "f" else weights.dtype
    ids = ops.cast(ops.asarray(ids), input_dtype) if casts and input_dtype else ids
    ids = ids if drops_ones or output_mode != "one_hot" else ids[..., None]
    return encode(ids.astype("int32"), output_mode, num_tokens, dtype, weights, ops)
