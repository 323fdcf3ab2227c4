"""Up-sampling by a whole factor. All of them drop masks."""

from __future__ import annotations

from collections.abc import Sequence

from fnet.backend import xp
from fnet.core.rules import layer
from fnet.layers import image
from fnet.layers.numeric import float_rule
from fnet.layers.windows import per_axis, spatial_axes
from fnet.resampling import require_interpolation
from fnet.shapes import require_numbers
from fnet.types import Array, DataFormat, Params, ParamTree, PerAxis, Positive, Spec


def _factors(x: Array | Spec, size: PerAxis, rank: int, data_format: str | None) -> dict[int, int]:
    """{spatial axis: how many times as long it becomes}."""
    axes = spatial_axes(f"up_sampling{rank}d", x.shape, rank, data_format)
    return dict(zip(axes, per_axis(size, rank, "size"), strict=True))


def _enlarged(x: Spec, size: PerAxis, rank: int, data_format: str | None) -> tuple[Spec, ParamTree]:
    factors = _factors(x, size, rank, data_format)
    sizes = (None if known is None else known * factors.get(axis, 1) for axis, known in enumerate(x.shape))
    return Spec(tuple(sizes), x.dtype), {}


def _repeat(x: Array, size: PerAxis, rank: int, data_format: str | None) -> Array:
    """Every entry `factor` times along each spatial axis, in one copy."""
    spread, wide, shape = [], [], []
    factors = _factors(x, size, rank, data_format)
    for axis, known in enumerate(x.shape):
        factor = factors.get(axis, 1)
        spread += [known, 1]
        wide += [known, factor]
        shape.append(known * factor)
    return xp.broadcast_to(x.reshape(spread), wide).reshape(shape)


@layer(shape=lambda x, *, size: _enlarged(x, size, 1, None), mask="drop")
def up_sampling1d(params: Params, x: Array, *, size: Positive = 2) -> Array:
    """(batch, time, channels) -> (batch, time * size, channels): every step `size` times.

    Mask: dropped. Source: keras.layers.UpSampling1D.

    >>> up_sampling1d({}, np.array([[[1.0], [2.0]]]))[0, :, 0]
    array([1., 1., 2., 2.])
    """
    return _repeat(x, size, 1, None)


def _up_sampling2d_rule(
    x: Spec, *, size: PerAxis, data_format: str | None, interpolation: str, keeps_integers: bool
) -> tuple[Spec, ParamTree]:
    require_interpolation(interpolation)
    if interpolation != "nearest":
        require_numbers(x)
        x = x if keeps_integers else float_rule(x)[0]
    return _enlarged(x, size, 2, data_format)


@layer(shape=_up_sampling2d_rule, mask="drop")
def up_sampling2d(
    params: Params,
    x: Array,
    *,
    size: Positive | Sequence[Positive] = (2, 2),
    data_format: DataFormat | None = "channels_last",
    interpolation: str = "nearest",
    half_pixels: bool = True,
    keeps_integers: bool = True,
    rounds_integers: bool = True,
) -> Array:
    """(batch, height, width, channels) -> (batch, height * size[0], width * size[1], channels).

    interpolation: "nearest" repeats pixels; the others are those of `resizing`, as are `keeps_integers`
    and `rounds_integers`.
    half_pixels: where it is False, "bilinear" measures from the corners of pixels, as Keras did before 2.4.
    Mask: dropped. Source: keras.layers.UpSampling2D.

    >>> up_sampling2d({}, np.ones((1, 2, 3, 4)), size=(2, 3)).shape
    (1, 4, 9, 4)
    """
    if interpolation == "nearest":
        return _repeat(x, size, 2, data_format)
    height, width = (x.shape[axis] * factor for axis, factor in _factors(x, size, 2, data_format).items())
    interpolation = interpolation if half_pixels or interpolation != "bilinear" else "bilinear from corners"
    return image.resizing(
        {},
        x,
        height=height,
        width=width,
        interpolation=interpolation,
        data_format=data_format,
        keeps_integers=keeps_integers,
        rounds_integers=rounds_integers,
    )


@layer(shape=lambda x, *, size, data_format: _enlarged(x, size, 3, data_format), mask="drop")
def up_sampling3d(
    params: Params,
    x: Array,
    *,
    size: Positive | Sequence[Positive] = (2, 2, 2),
    data_format: DataFormat | None = "channels_last",
) -> Array:
    """(batch, d1, d2, d3, channels) -> each spatial axis `size` times as long, by repeating.

    Mask: dropped. Source: keras.layers.UpSampling3D.

    >>> up_sampling3d({}, np.ones((1, 2, 3, 4, 5)), size=2).shape
    (1, 4, 6, 8, 5)
    """
    return _repeat(x, size, 3, data_format)
