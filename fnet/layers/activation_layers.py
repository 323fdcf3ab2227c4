"""Activation layers: the functions of `fnet.activation_functions` as steps, and PReLU, which has parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from fnet.activation_functions import IN_LAYERS, Activation, activate, halved
from fnet.backend import xp
from fnet.core import infer
from fnet.core.infer import activation_child
from fnet.core.rules import OF_FLOATS, layer
from fnet.dtypes import floats_of, in_floats
from fnet.errors import InvalidInput
from fnet.masks import Masked
from fnet.shapes import axes_of, require_numbers
from fnet.types import Array, Axis, Masks, NotNegative, Param, Params, ParamTree, Spec

relu_of, elu_of, softmax_of = (IN_LAYERS[name] for name in ("relu", "elu", "softmax"))

MASKED_OUT = -1e9
"""What stands for minus infinity where a softmax is masked, as in Keras."""
SoftmaxMasks: TypeAlias = Literal["keras2", "keras3.12", "keras3"]
"""Values of `masks` here: to Keras 3.9; 3.10 to 3.12; later."""


def _activation_rule(x: Spec, *, activation: Activation) -> tuple[Spec, ParamTree]:
    if activation in ("relu", "relu6"):
        require_numbers(x)
    x = x if activation in KEEP_INTEGERS else floats_of(x)
    if activation == "glu":
        return Spec(halved(x.shape, len(x.shape) - 1), x.dtype), {}
    return x, activation_child(activation, x)


KEEP_INTEGERS = (None, "linear", "relu", "relu6")
"""Activations that give integers for integers; the others compute in floats."""


@layer(shape=_activation_rule, rounding=OF_FLOATS, by_row=2)  # softmax of one number a row mixes them
def activation(params: Params, x: Array, *, activation: Activation) -> Array:
    """(...) -> (...): a named function of `fnet.activation_functions`, or an activation layer.

    params: "activation", for an activation layer that has some. Mask: kept. Errors: ValueError for an unknown
    name, with the known ones. Source: keras.layers.Activation.

    >>> activation({}, np.array([-1.0, 2.0]), activation="relu")
    array([0., 2.])
    """
    if activation not in KEEP_INTEGERS:
        x = in_floats(x, params)
    return activate(activation, params, x)


def _relu_rule(x: Spec, *, negative_slope: float, keeps_integers: bool) -> tuple[Spec, ParamTree]:
    require_numbers(x)
    return (floats_of(x) if negative_slope and not keeps_integers else x), {}


@layer(shape=_relu_rule, rounding=OF_FLOATS)
def relu(
    params: Params,
    x: Array,
    *,
    max_value: NotNegative | None = None,
    negative_slope: NotNegative = 0.0,
    threshold: NotNegative = 0.0,
    masks: Masks = "keras3",
    keeps_integers: bool = False,
) -> Array:
    """(...) -> (...): x above `threshold`, at most `max_value`; negative_slope * (x - threshold) below.

    keeps_integers: integers stay integers with a slope, too, which loses its fraction, as in Keras 2.
    Mask: kept; lost with masks="keras2" (before Keras 2.6). Source: keras.layers.ReLU.

    >>> relu({}, np.array([-1.0, 2.0, 9.0]), max_value=6.0)
    array([0., 2., 6.])
    """
    if x.dtype.kind in "iu" and negative_slope and not keeps_integers:
        x = in_floats(x, params)
    elif x.dtype.kind in "iu":
        negative_slope, threshold = int(negative_slope), int(threshold)
        max_value = None if max_value is None else int(max_value)
    return relu_of(x, negative_slope, max_value, threshold)


@layer(shape=infer.identity, floats=True, rounding=OF_FLOATS)
def leaky_relu(params: Params, x: Array, *, negative_slope: float = 0.3) -> Array:
    """(...) -> (...): x above 0, negative_slope * x below. Mask: kept. Source: keras.layers.LeakyReLU.

    >>> leaky_relu({}, np.array([-1.0, 2.0]))
    array([-0.3,  2. ])
    """
    return relu_of(x, negative_slope)


@layer(shape=infer.identity, floats=True)
def elu(params: Params, x: Array, *, alpha: float = 1.0) -> Array:
    """(...) -> (...): x above 0, alpha * (exp(x) - 1) below. Mask: kept. Source: keras.layers.ELU.

    >>> elu({}, np.array([-np.inf, 2.0]), alpha=0.5)
    array([-0.5,  2. ])
    """
    return elu_of(x, alpha)


def _prelu_rule(x: Spec, *, shared_axes: Sequence[int] | int | None) -> tuple[Spec, ParamTree]:
    shared = {shared_axes} if isinstance(shared_axes, int) else set(shared_axes or ())
    if not all(-len(x.shape) + 2 <= axis < len(x.shape) for axis in shared):
        raise ValueError(f"shared_axes {shared_axes!r} are not axes of {x}")
    # Keras writes sizes by index into shape[1:], so a negative axis counts from there as well.
    taken = {axis - 1 if axis > 0 else axis - 1 + len(x.shape) - 1 for axis in shared}
    return x, {"alpha": Param(tuple(1 if i in taken else d for i, d in enumerate(x.shape[1:])), "zeros")}


@layer(shape=_prelu_rule, floats=True)
def prelu(params: Params, x: Array, *, shared_axes: Sequence[int] | int | None = None) -> Array:
    """(batch, ...) -> (batch, ...): x above 0, alpha * x below, with an alpha of its own for each place.

    params: alpha (...), of size 1 along `shared_axes` (counted with the batch axis). Mask: kept.
    Source: keras.layers.PReLU; He et al. 2015.

    >>> prelu({"alpha": np.array([0.5, 0.0])}, np.array([[-2.0, 3.0]]))
    array([[-1.,  3.]])
    """
    alpha = params["alpha"]
    if alpha.shape != x.shape[1:] and alpha.shape != _prelu_rule(x, shared_axes=shared_axes)[1]["alpha"].shape:
        raise ValueError("an alpha of different sizes, which would broadcast")
    return xp.where(x > 0, x, alpha * x)


def _softmax_rule(x: Spec, *, axis: Axis) -> tuple[Spec, ParamTree]:
    if not axes_of(axis, len(x.shape)):
        raise ValueError("a softmax over no axis")
    return x, {}


@layer(shape=_softmax_rule, mask="own", floats=True)
def softmax(params: Params, x: Any, *, axis: Axis = -1, masks: SoftmaxMasks = "keras3") -> Any:
    """(...) -> (...): exp(x) normalised to sum 1 over `axis` (several axes, or None for all, that of the rows too).

    Mask: kept, and obeyed: what it hides gets probability 0, wherever it broadcasts against `x`; a row in which
    all is hidden is all 0, but with masks="keras2" as if nothing were hidden. Numbers above 0.5 hide nothing; up
    to "keras3.12" they weigh.
    Errors: InvalidInput for a mask that does not broadcast, as Keras.
    Source: keras.layers.Softmax.

    >>> softmax({}, Masked(np.array([[0.0, 5.0, 0.0]]), np.array([[True, False, True]]))).values
    array([[0.5, 0. , 0.5]])
    """
    if isinstance(x, Masked):
        return Masked(masked_softmax(x.values, x.mask, axis, masks), x.mask)
    return softmax_of(x, axis)


def masked_softmax(x: Array, mask: Array, axis: Axis, masks: str, several: bool = False) -> Array:
    """softmax over `axis` of the places where `mask` (broadcast against `x`; numbers: above 0.5) is True.

    Up to "keras3.12" -1e9 (1 - mask) is added instead, so places that are all hidden are weighed among each other;
    "keras3.12" then multiplies by the mask. Over several axes, or one that stands for `several`, the logarithm of a
    sum is subtracted there, which next to -1e9 is lost: each of such places has weight 1.
    """
    _check_broadcast(x, mask)
    if masks == "keras3":
        seen = mask if mask.dtype == bool else mask > 0.5
        return xp.where(seen, softmax_of(xp.where(seen, x, MASKED_OUT), axis), 0)
    shares = mask.astype(x.dtype)
    x = x + (1 - shares) * MASKED_OUT
    axes = axes_of(axis, x.ndim)
    if several or (axis is not None and len(axes) > 1):
        top = xp.max(x, axis=axes, keepdims=True)
        y = xp.exp(x - (xp.log(xp.sum(xp.exp(x - top), axis=axes, keepdims=True)) + top))
    else:
        y = softmax_of(x, axes)
    return y * shares if masks == "keras3.12" else y


def _check_broadcast(x: Array, mask: Array) -> None:
    sizes = zip(reversed(mask.shape), reversed(x.shape), strict=False)
    if mask.ndim > x.ndim or any(m not in (1, d) for m, d in sizes):
        raise InvalidInput(
            f"softmax takes a mask that broadcasts against its input; got a mask of shape {tuple(mask.shape)} "
            f"for {tuple(x.shape)}. A mask (batch, time) fits an input (batch, time) only"
        )
