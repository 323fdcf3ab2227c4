"""Normalization layers. Batch normalization has its moving statistics, as at inference, unless told otherwise.

All compute y = (x - mean) / sqrt(variance + epsilon) * gamma + beta; they differ in whose mean and variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnet.backend import ops, xp
from fnet.core import infer
from fnet.core.layer import bind
from fnet.core.model import flow
from fnet.core.rules import Rounding, layer
from fnet.dtypes import floats_of, in_floats, is_float
from fnet.errors import InvalidInput
from fnet.layers.merging import l2_normalize
from fnet.layers.windows import Sizes, remembered
from fnet.masks import masked, parted, values_of
from fnet.shapes import axes_of, broadcast_shapes
from fnet.types import Array, Param, Params, ParamTree, Positive, Shape, Spec

Axes = int | Sequence[int]


def _affine(shape: Shape, scale: bool, center: bool) -> dict[str, Param]:
    gamma = {"gamma": Param(shape, "ones")} if scale else {}
    return {**gamma, **({"beta": Param(shape, "zeros")} if center else {})}


def _batch_rule(
    x: Spec, *, axis: Axes, center: bool, scale: bool, renorm: bool, virtual_batch_size: int | None
) -> tuple[Spec, ParamTree]:
    axes, wide = _across(x.shape, axis)
    if 0 in axes:
        raise ValueError(f"axis {axis!r} of {x} is that of the rows, which have no statistics of their own")
    shape: Shape = (x.shape[axes[0]],)
    if len(axes) > 1 or virtual_batch_size is not None:
        shape = wide
    if virtual_batch_size is not None:
        shape = (shape[0], 1, *shape[1:])
    zero, one = Param(shape, "zeros", trainable=False), Param(shape, "ones", trainable=False)
    moments = {"moving_mean": zero, "moving_variance": one}
    extra = {"moving_stddev": one, "renorm_mean": zero, "renorm_stddev": one} if renorm else {}
    return x, {**_affine(shape, scale, center), **moments, **extra}


@layer(shape=_batch_rule, mask="own", floats=True, rounding=Rounding(keeps=("params",)))
def batch_normalization(
    params: Params,
    x: Any,
    *,
    axis: Axes = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    renorm: bool = False,
    virtual_batch_size: Positive | None = None,
    training: bool = False,
    masked_moments: bool = True,
) -> Any:
    """(...) -> (...): gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta along `axis`.

    params: gamma, beta (unless `scale`, `center` are False), moving_mean, moving_variance, all (channels,), and
    with `renorm` moving_stddev, renorm_mean, renorm_stddev, which inference does not read. Keras 2 has two more
    forms: over several axes they have the rank of x, 1 at the other axes, and with `virtual_batch_size` (of training)
    another axis of 1 after the first.
    training: use the mean and variance of the batch in place of the moving ones, as in a Keras model that calls the
    layer with training=True. Mask: kept; with `training` they are those of the visible entries, unless
    `masked_moments` is False, as before Keras 2.12.
    Source: keras.layers.BatchNormalization; Ioffe and Szegedy 2015.

    >>> one = np.ones(2)
    >>> batch_normalization({"gamma": one, "beta": one, "moving_mean": one, "moving_variance": one},
    ...                     np.array([[1.0, 2.0]]), epsilon=0.0)
    array([[1., 2.]])
    """
    values, mask = parted(x)
    axes, wide = _across(values.shape, axis)
    if training:
        mean, variance = batch_moments(values, mask if masked_moments else None, axes)
        shape = params["moving_mean"].shape if "moving_mean" in params else (-1,)
        params = {**params, "moving_mean": mean.reshape(shape), "moving_variance": variance.reshape(shape)}
    factor, offset = batch_factors(params, epsilon, center, scale)
    if factor.ndim == 1 and factor.shape[0] != values.shape[axes[0]]:
        raise ValueError("another number of channels, which would broadcast")
    if axes != (values.ndim - 1,) or virtual_batch_size is not None:
        factor, offset = factor.reshape(wide), offset.reshape(wide)
    return masked(ops.affine(values, factor, offset), mask)


@remembered
def _across(shape: Shape, axis: Axes) -> tuple[Sizes, Any]:
    """(`axis` as axes counted from the front, `shape` with 1 for all others)."""
    axes = axes_of(axis, len(shape))
    return axes, tuple(size if a in axes else 1 for a, size in enumerate(shape))


def batch_moments(x: Array, mask: Array | None, kept: Sequence[int]) -> tuple[Array, Array]:
    """The mean and variance over all axes but `kept`, of the entries where `mask` is True."""
    axes = tuple(a for a in range(x.ndim) if a not in kept)
    if mask is None:
        return ops.mean(x, axes), ops.center(x, axes)[1]
    shown = xp.broadcast_to(mask[..., None], x.shape)
    count = xp.sum(shown, axis=axes, keepdims=True).astype(x.dtype) + 1e-7
    mean = xp.sum(xp.where(shown, x, 0), axis=axes, keepdims=True) / count
    variance = xp.sum(xp.where(shown, (x - mean) ** 2, 0), axis=axes, keepdims=True) / count
    return mean, variance


def batch_factors(
    params: Params,
    epsilon: float,
    center: bool,
    scale: bool,
    sqrt: Callable[[Array], Array] | None = None,
) -> tuple[Array, Array]:
    """(factor, offset), each (channels,), with which batch normalization is x * factor + offset."""
    factor = 1 / (sqrt or xp.sqrt)(params["moving_variance"] + epsilon)
    factor = factor * params["gamma"] if scale else factor
    offset = -params["moving_mean"] * factor
    return factor, offset + params["beta"] if center else offset


def _sorted_axes(axis: Axes) -> list[int]:
    return [axis] if isinstance(axis, int) else sorted(axis)


def _layer_rule(
    x: Spec, *, axis: Axes, center: bool, scale: bool, rms_scaling: bool, sorts_axes: bool
) -> tuple[Spec, ParamTree]:
    axes_of(axis, len(x.shape))
    named = [axis] if isinstance(axis, int) else axis
    shape = tuple(x.shape[a] for a in (_sorted_axes(axis) if sorts_axes else named))
    return floats_of(x), _affine(shape, scale or rms_scaling, center and not rms_scaling)


def _moved(y: Array, params: Params, wide: Shape, scale: bool, center: bool) -> Array:
    """`y`, an array made by the layer, times gamma plus beta, each of the sizes `wide`."""
    if scale:
        y *= params["gamma"].reshape(wide)
    if center:
        y += params["beta"].reshape(wide)
    return y


def _truncated(y: Array, kind: Any, dtype: Any = None) -> Array:
    """For inputs of the integer dtype `kind`: `y` truncated to it, as Keras does, then as `dtype`; else `y`."""
    if kind.kind not in "iub":
        return y
    y = ops.cast(y, "int32") if kind.kind == "u" else y  # so that -1 wraps around
    return ops.cast(ops.cast(y, kind.name), (dtype or kind).name)


@layer(shape=_layer_rule, rounding=Rounding(keeps=("inputs", "params")))
def layer_normalization(
    params: Params,
    x: Array,
    *,
    axis: Axes = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    rms_scaling: bool = False,
    keeps_integers: bool = True,
    sorts_axes: bool = True,
) -> Array:
    """(...) -> (...): mean 0 and variance 1 over `axis` (one or several) of each sample, then gamma and beta.

    params: gamma, beta (unless `scale`, `center` are False), of the sizes of the axes, ascending; with
    sorts_axes=False, as in Keras before 3.14, of the sizes in the order of `axis`, read on along the ascending ones.
    `rms_scaling` (which Keras deprecates) divides x, not x - mean, by the deviation, and has gamma only. Of integers
    the result is truncated to integers (in floats), as in Keras from 3.11 on, unless `keeps_integers` is False. Near
    the largest float, where Keras's sums overflow to NaN, the result on NumPy is gamma * 0 + beta.
    Mask: kept. Source: keras.layers.LayerNormalization; Ba et al. 2016.

    >>> layer_normalization({"gamma": np.ones(2), "beta": np.zeros(2)}, np.array([[1.0, 3.0]]), epsilon=0.0)
    array([[-1.,  1.]])
    """
    kind, x = x.dtype, in_floats(x, params)
    kind = kind if keeps_integers else x.dtype
    axes, wide = _across(x.shape, axis)
    y, variance = ops.center(x, axes)
    inverse = 1 / xp.sqrt(variance + epsilon)
    if rms_scaling:
        return _truncated(x * inverse * params["gamma"].reshape(wide), kind, x.dtype)
    y *= inverse
    return _truncated(_moved(y, params, wide, scale, center), kind, x.dtype)


def _group_rule(
    x: Spec, *, groups: int, axis: int, center: bool, scale: bool, keeps_integers: bool
) -> tuple[Spec, ParamTree]:
    channels = x.shape[axis]
    if channels is None or (groups != -1 and (groups < 1 or channels % groups)):
        raise InvalidInput(f"group_normalization takes channels that {groups} groups divide; axis {axis} of {x}")
    return x if keeps_integers else floats_of(x), _affine((channels,), scale, center)


@layer(shape=_group_rule, rounding=Rounding(keeps=("inputs", "params")))
def group_normalization(
    params: Params,
    x: Array,
    *,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    keeps_integers: bool = False,
) -> Array:
    """(batch, ...) -> (batch, ...): mean 0 and variance 1 over each group of channels and all positions.

    The channels of `axis` fall into `groups` runs of equal size; -1: every channel for itself.
    params: gamma, beta (channels,) unless `scale`, `center` are False. Of integers the result is truncated, as in
    `layer_normalization`; with `keeps_integers`, as in Keras 3.7 to 3.14, it is one of integers. Mask: kept.
    Source: keras.layers.GroupNormalization; Wu and He 2018.

    >>> group_normalization({}, np.array([[1.0, 3.0, 5.0, 9.0]]), groups=2, epsilon=0.0, center=False, scale=False)
    array([[-1.,  1., -1.,  1.]])
    """
    kind, x = x.dtype, in_floats(x, params)
    axis = axis % x.ndim
    channels = x.shape[axis]
    groups = channels if groups == -1 else groups
    grouped = x.reshape(*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    y, variance = ops.center(grouped, tuple(a for a in range(1, grouped.ndim) if a != axis))
    y *= 1 / xp.sqrt(variance + epsilon)
    y = _moved(y.reshape(x.shape), params, _across(x.shape, axis)[1], scale, center)
    return _truncated(y, kind, None if keeps_integers else x.dtype)


def _rms_rule(x: Spec, *, axis: Axes) -> tuple[Spec, ParamTree]:
    axes_of(axis, len(x.shape))
    scale = tuple(x.shape[a] for a in _sorted_axes(axis))
    return Spec(broadcast_shapes(x.shape, scale), x.dtype), {"scale": Param(scale, "ones")}


@layer(shape=_rms_rule, mask="drop")
def rms_normalization(params: Params, x: Array, *, axis: Axes = -1, epsilon: float = 1e-6) -> Array:
    """(...) -> (...): x / sqrt(mean(x^2) + epsilon) * scale over `axis` (one or several).

    params: scale, of the sizes of the axes; like Keras it aligns with the last axes of x. Integers give integers.
    Mask: dropped, as by Keras. Source: keras.layers.RMSNormalization; Zhang and Sennrich 2019.

    >>> rms_normalization({"scale": np.ones(2)}, np.array([[3.0, -3.0]]), epsilon=0.0)
    array([[ 1., -1.]])
    """
    kind, x = x.dtype, in_floats(x, params)
    axes = tuple(_sorted_axes(axis))
    if params["scale"].shape != tuple(x.shape[a] for a in axes):
        raise ValueError("a scale of different sizes, which would broadcast")
    y = x * (1 / xp.sqrt(ops.mean_square(x, axes) + epsilon))
    return _truncated(y * params["scale"], kind)


def _unit_rule(x: Spec, *, axis: Axes) -> tuple[Spec, ParamTree]:
    axes_of(axis, len(x.shape))
    return x, {}


@layer(shape=_unit_rule, floats=True)
def unit_normalization(params: Params, x: Array, *, axis: Axes = -1, least_norm: float = 1e-12) -> Array:
    """(...) -> (...): x / |x| over `axis` (one or several); a norm below `least_norm` counts as that.

    Zeros stay zeros. least_norm: 1e-6 in Keras before 3.6. Mask: kept. Source: keras.layers.UnitNormalization.

    >>> unit_normalization({}, np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return l2_normalize(x, tuple(_sorted_axes(axis)), least_norm)


def _spectral_rule(x: Spec, *, layer: Callable[..., Any], keeps_integers: bool) -> tuple[Any, ParamTree]:
    y, inner = infer.infer(layer, x)
    kernel = inner.get("kernel", inner.get("embeddings"))
    if kernel is None:
        raise InvalidInput(f"spectral_normalization wraps layers with a kernel or embeddings; got {bind(layer)!r}")
    u = Param((1, kernel.shape[-1]), "uniform", trainable=False)
    y = Spec(y.shape, x.dtype) if keeps_integers else y
    return y, {"vector_u": u, "layer": inner}


@layer(shape=_spectral_rule, mask="own", children=lambda *, layer: {"layer": layer})
def spectral_normalization(
    params: Params, x: Any, *, layer: Callable[..., Any], power_iterations: Positive = 1, keeps_integers: bool = True
) -> Any:
    """The output of `layer`: at inference its stored kernel, which training has normalized, is used as it is.

    params: "layer", those of `layer`; vector_u (1, n), of training. `power_iterations` matters in training only.
    The result has the dtype of x, integers too, as in Keras 3, unless `keeps_integers` is False.
    Mask: as `layer` does. Source: keras.layers.SpectralNormalization; Miyato et al. 2018.

    >>> kernel = {"kernel": np.ones((2, 1)), "bias": np.zeros(1)}
    >>> spectral_normalization({"layer": kernel}, np.ones((1, 2)), layer=dense)
    array([[2.]])
    """
    x = in_floats(x, params) if is_float(values_of(x)) else x
    y = flow(layer, params["layer"], x)
    dtype = values_of(x).dtype
    # Keras casts to the dtype of the input, also the rows of an embedding to that of its ids.
    return y if not keeps_integers or values_of(y).dtype == dtype else values_of(y).astype(dtype)
