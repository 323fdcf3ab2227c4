"""Layers of keras.applications: LayerScale, StochasticDepth (ConvNeXt), CustomScaleLayer (InceptionResNetV2)."""

from __future__ import annotations

from collections.abc import Sequence

from fnet import random
from fnet.backend import xp
from fnet.core import infer
from fnet.core.rules import layer
from fnet.shapes import broadcast_shapes, require_kept
from fnet.types import Array, Param, Params, ParamTree, Positive, Rate, Spec


def _layer_scale_rule(x: Spec, *, projection_dim: int) -> tuple[Spec, ParamTree]:
    if projection_dim != 1 and x.shape[-1] not in (None, projection_dim):
        raise ValueError(f"layer_scale has {projection_dim} numbers for the last axis; got {x}")
    return x, {"gamma": Param((projection_dim,), "ones")}


@layer(shape=_layer_scale_rule, mask="drop", floats=True)
def layer_scale(params: Params, x: Array, *, projection_dim: Positive | None = None) -> Array:
    """(..., channels) -> (..., channels): x * gamma.

    params: gamma (projection_dim,). Mask: dropped.
    Source: keras.src.applications.convnext.LayerScale; Touvron et al. 2021.

    >>> layer_scale({"gamma": np.array([2.0, 3.0])}, np.ones((1, 2)))
    array([[2., 3.]])
    """
    y = x * params["gamma"]
    require_kept(y, x, "layer_scale")
    return y


@layer(shape=infer.identity, rng=lambda *, drop_path_rate: drop_path_rate > 0)
def stochastic_depth(params: Params, x: Array, *, drop_path_rate: Rate) -> Array:
    """(batch, ...) -> (batch, ...): `x`; with params["rng"], whole samples zeroed at `drop_path_rate`.

    Mask: kept, as an attribute of the same array in Keras.
    Source: keras.src.applications.convnext.StochasticDepth; Huang et al. 2016.
    """
    if drop_path_rate == 0 or "rng" not in params:
        return x
    keep = 1 - drop_path_rate
    kept = random.uniform(params["rng"], (x.shape[0], *(1,) * (x.ndim - 1))) < keep
    return xp.where(kept, x / keep, 0)


@layer(shape=lambda x: (Spec(broadcast_shapes(*(spec.shape for spec in x)), x[0].dtype), {}), mask="drop", floats=True)
def custom_scale_layer(params: Params, x: Sequence[Array], *, scale: float) -> Array:
    """(a, b), which broadcast -> a + b * scale.

    Mask: dropped. Source: keras.src.applications.inception_resnet_v2.CustomScaleLayer.

    >>> custom_scale_layer({}, (np.ones(2), np.ones(2)), scale=0.5)
    array([1.5, 1.5])
    """
    first, second = x
    return first + second * scale
