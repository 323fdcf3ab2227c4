"""Layers that drop or add noise in training: the identity unless their params hold a key under "rng".

`fnet.with_rng` puts the keys there. All keep the mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fnet import random
from fnet.backend import xp
from fnet.core import infer
from fnet.core.rules import layer
from fnet.types import Array, DataFormat, NotNegative, Params, Positive, Rate


def _by_rate(*, rate: float) -> bool:
    return rate > 0


def drop(rng: Array, x: Array, rate: float, noise_shape: Sequence[int | None] | None = None) -> Array:
    """`x` with entries zeroed at `rate` and the rest divided by 1 - rate, as Keras in training.

    noise_shape: sizes of what is drawn (None: that of `x`), broadcast against `x`: entries drop together along 1s.
    """
    if rate >= 1:
        return xp.zeros_like(x)
    kept = random.uniform(rng, _noise_sizes(x, noise_shape)) >= rate
    return xp.where(kept, x * (1 / (1 - rate)), 0)


def _noise_sizes(x: Array, noise_shape: Sequence[int | None] | None) -> tuple[int, ...]:
    if noise_shape is None:
        return tuple(x.shape)
    if len(noise_shape) != x.ndim:
        raise ValueError(f"noise_shape has a size for each of the {x.ndim} axes; got {noise_shape}")
    return tuple(d if n is None else n for n, d in zip(noise_shape, x.shape, strict=True))


@layer(shape=infer.identity, rng=_by_rate)
def dropout(params: Params, x: Array, *, rate: Rate, noise_shape: Sequence[Positive | None] | None = None) -> Array:
    """(...) -> (...): `x`; with params["rng"], entries zeroed at `rate` and the rest divided by 1 - rate.

    noise_shape: see `drop`. Source: keras.layers.Dropout; Srivastava et al. 2014.

    >>> dropout({}, np.ones(2), rate=0.5)
    array([1., 1.])
    """
    return drop(params["rng"], x, rate, noise_shape) if rate > 0 and "rng" in params else x


def _spatial(params: Params, x: Array, rate: float, channels: int) -> Array:
    if rate == 0 or "rng" not in params:
        return x
    shape = [1] * x.ndim
    shape[0], shape[channels] = x.shape[0], x.shape[channels]
    return drop(params["rng"], x, rate, shape)


@layer(shape=infer.identity, rng=_by_rate)
def spatial_dropout1d(params: Params, x: Array, *, rate: Rate) -> Array:
    """(batch, time, channels): as `dropout`, whole channels of a sample at a time.

    Source: keras.layers.SpatialDropout1D; Tompson et al. 2014.
    """
    return _spatial(params, x, rate, -1)


@layer(shape=infer.identity, rng=_by_rate)
def spatial_dropout2d(
    params: Params, x: Array, *, rate: Rate, data_format: DataFormat | None = "channels_last"
) -> Array:
    """(batch, height, width, channels): as `dropout`, whole channels of a sample at a time.

    Source: keras.layers.SpatialDropout2D.
    """
    return _spatial(params, x, rate, 1 if data_format == "channels_first" else -1)


@layer(shape=infer.identity, rng=_by_rate)
def spatial_dropout3d(
    params: Params, x: Array, *, rate: Rate, data_format: DataFormat | None = "channels_last"
) -> Array:
    """(batch, d1, d2, d3, channels): as `dropout`, whole channels of a sample at a time.

    Source: keras.layers.SpatialDropout3D.
    """
    return _spatial(params, x, rate, 1 if data_format == "channels_first" else -1)


SELU_FLOOR = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
"""The limit of selu at minus infinity: the value that alpha dropout inserts."""


@layer(shape=infer.identity, rng=_by_rate)
def alpha_dropout(
    params: Params, x: Array, *, rate: Rate, noise_shape: Sequence[Positive | None] | None = None
) -> Array:
    """(...) -> (...): `x`; with params["rng"], entries set to the floor of selu at `rate`, mean and variance kept.

    noise_shape: see `drop`. Source: keras.layers.AlphaDropout; Klambauer et al. 2017.
    """
    if rate == 0 or "rng" not in params:
        return x
    kept = random.uniform(params["rng"], _noise_sizes(x, noise_shape)) >= rate
    a = ((1 - rate) * (1 + rate * SELU_FLOOR**2)) ** -0.5
    return a * xp.where(kept, x, SELU_FLOOR) - a * SELU_FLOOR * rate


@layer(shape=infer.identity, rng=_by_rate)
def gaussian_dropout(params: Params, x: Array, *, rate: Rate) -> Array:
    """(...) -> (...): `x`; with params["rng"], times normal noise of mean 1 and variance rate / (1 - rate).

    Source: keras.layers.GaussianDropout; Srivastava et al. 2014.
    """
    if rate == 0 or "rng" not in params:
        return x
    noise = random.normal(params["rng"], x.shape).astype(x.dtype)
    return x * (1 + math.sqrt(rate / (1 - rate)) * noise)


@layer(shape=infer.identity, rng=lambda *, stddev: stddev > 0)
def gaussian_noise(params: Params, x: Array, *, stddev: NotNegative) -> Array:
    """(...) -> (...): `x`; with params["rng"], plus normal noise of deviation `stddev`.

    Source: keras.layers.GaussianNoise.
    """
    if stddev == 0 or "rng" not in params:
        return x
    return x + stddev * random.normal(params["rng"], x.shape).astype(x.dtype)


@layer(shape=infer.identity)
def activity_regularization(params: Params, x: Array) -> Array:
    """(...) -> (...): `x` itself; its penalty matters in training only.

    Source: keras.layers.ActivityRegularization.
    """
    return x
