"""random_fourier_features, of Keras 2: inner products of its outputs come near a kernel of its inputs."""

from __future__ import annotations

from fnet.backend import xp
from fnet.core.rules import Rounding, layer
from fnet.errors import InvalidInput
from fnet.types import Array, Param, Params, ParamTree, Positive, Spec


def _rule(x: Spec, *, output_dim: int) -> tuple[Spec, ParamTree]:
    if len(x.shape) != 2:
        raise InvalidInput(f"random_fourier_features takes (batch, in); got {x}")
    return Spec((x.shape[0], output_dim), "float32"), {
        "kernel_scale": Param((1,), "ones"),
        "unscaled_kernel": Param((x.shape[1], output_dim), trainable=False),
        "bias": Param((output_dim,), "zeros", trainable=False),
    }


@layer(shape=_rule, mask="drop", rounding=Rounding(keeps=("params",), gives=lambda: "float32"))
def random_fourier_features(params: Params, x: Array, *, output_dim: Positive) -> Array:
    """(batch, in) -> (batch, output_dim): cos(x @ unscaled_kernel / kernel_scale + bias).

    params: kernel_scale (1,), unscaled_kernel (in, output_dim), bias (output_dim,). float32 under every dtype policy.
    Mask: dropped. Keras 3 has no such layer. Source: keras.layers.experimental.RandomFourierFeatures; Rahimi and
    Recht 2007.

    >>> params = {"kernel_scale": np.array([2.0]), "unscaled_kernel": np.ones((1, 2)), "bias": np.zeros(2)}
    >>> random_fourier_features(params, np.array([[0.0]]), output_dim=2)
    array([[1., 1.]])
    """
    x = x.astype("float32")  # as Keras does, also with what is wider
    return xp.cos(x @ (params["unscaled_kernel"] * (1 / params["kernel_scale"])) + params["bias"])
