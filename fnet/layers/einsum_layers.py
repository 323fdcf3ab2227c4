"""Layers built on einsum and on the embedding table read both ways."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from fnet.activation_functions import Activation, activate
from fnet.backend import ops, xp
from fnet.core.infer import activation_child
from fnet.core.rules import Rounding, layer
from fnet.dtypes import promoted
from fnet.layers import quantized
from fnet.layers.basic import embedding
from fnet.masks import values_of
from fnet.types import Array, Param, Params, ParamTree, Positive, Shape, Spec


def _terms(equation: str, rank: int) -> tuple[str, str, str]:
    """The three terms of "abc,cd->abd", with unused capitals in place of "..."."""
    inputs, output = equation.replace(" ", "").split("->")
    x, kernel = inputs.split(",")
    unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    filler = "".join(unused[: rank - len(x.replace("...", ""))])
    return x.replace("...", filler), kernel, output.replace("...", filler)


def _output_shape(
    x: Spec, equation: str, output_shape: int | Sequence[int | None]
) -> tuple[str, str, str, dict[str, int | None]]:
    """The terms of the equation and {letter: size}: from the input, and from `output_shape` for new axes.

    `output_shape` leaves out the batch axis and the axes that "..." stands for.
    """
    term, kernel, output = _terms(equation, len(x.shape))
    sizes: dict[str, int | None] = dict(zip(term, x.shape, strict=True))
    hidden = len(term) - len(equation.split(",")[0].replace("...", "").replace(" ", ""))
    elided = "..." in equation
    left = elided and equation.replace(" ", "").startswith("...")
    named = output[max(hidden, 1) :] if left else output[1 : len(output) - hidden]
    sizes_out = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
    if len(named) != len(sizes_out):
        raise ValueError(f"output_shape of {equation!r} is the sizes of the axes {named!r}; got {sizes_out}")
    for letter, size in zip(named, sizes_out, strict=True):
        known = sizes.get(letter)
        if None not in (known, size) and known != size:
            raise ValueError(f"{equation!r} of {x} cannot give {sizes_out}: axis {letter!r} has the size {known}")
        sizes[letter] = known if size is None else size
    return term, kernel, output, sizes


def _bias_shape(output: str, bias_axes: str, sizes: dict[str, int | None]) -> Shape:
    """Sizes of the output axes in `bias_axes` (in the order of the output), 1 for those between and after."""
    first = min(output.index(c) for c in bias_axes)
    return tuple(sizes[c] if c in bias_axes else 1 for c in output[first:])


def _einsum_dense_rule(
    x: Spec,
    *,
    equation: str,
    output_shape: int | Sequence[int | None],
    activation: Activation,
    bias_axes: str | None,
    quantization: str | None,
) -> tuple[Spec, ParamTree]:
    _, kernel, output, sizes = _output_shape(x, equation, output_shape)
    y = Spec(tuple(sizes[c] for c in output), x.dtype)
    bias = {"bias": Param(_bias_shape(output, bias_axes, sizes), "zeros")} if bias_axes else {}
    shape = tuple(sizes[c] for c in kernel)
    params = {"kernel": Param(shape), **bias}
    if quantization is not None:
        summed = [a for a, c in enumerate(kernel) if c not in output]
        scale = tuple(sizes[c] if c in kernel else 1 for c in output)
        params = quantized.kernel_params(quantization, shape, summed, scale, bias)
    return y, {**params, **activation_child(activation, y)}


@layer(shape=_einsum_dense_rule, mask="drop", floats=True)
def einsum_dense(
    params: Params,
    x: Array,
    *,
    equation: str,
    output_shape: int | Sequence[int | None] | None = None,
    activation: Activation = None,
    bias_axes: str | None = None,
    quantization: str | None = None,
) -> Array:
    """(...) -> (...): y = activation(einsum(equation, x, kernel) + bias).

    equation: "abc,cd->abd", "...x,xy->...y" or "ab...,bc->ac...". output_shape: sizes of the output without the
    batch axis and what "..." stands for; None where the input tells. bias_axes: letters of the output, any order.
    params: kernel, with the axes that the equation gives it; bias, with those of `bias_axes` in the output's order;
    with `quantization` those of `fnet.layers.quantized.kernel_params` (4 bits need `output_shape` in the call).
    Mask: dropped, as by Keras. Source: keras.layers.EinsumDense.

    >>> einsum_dense({"kernel": np.ones((2, 3))}, np.ones((1, 2)), equation="ab,bc->ac", output_shape=3)
    array([[2., 2., 2.]])
    """
    if quantization is None:
        _require_shared(equation, x.shape, params["kernel"].shape)
        y = ops.einsum(equation, x, params["kernel"])
    else:
        y = _quantized(quantization, equation, params, x, output_shape)
    if bias_axes:
        y += quantized.rounded(quantization, params["bias"])
    return activate(activation, params, y)


@functools.lru_cache(maxsize=256)
def _require_shared(equation: str, x: Shape, kernel: Shape) -> None:
    """Raise ValueError where an axis that both have, summed or not, has another size: einsum would stretch a 1."""
    term, letters, _ = _terms(equation, len(x))
    sizes = dict(zip(term, x, strict=True))
    if any(sizes.get(letter, size) != size for letter, size in zip(letters, kernel, strict=True)):
        raise ValueError(f"{equation!r} of an input {x} and a kernel {kernel}, which would broadcast")


def _quantized(quantization: str, equation: str, params: Params, x: Array, output_shape: Any) -> Array:
    shape = None
    if quantized.scheme(quantization).bits == 4:
        _, kernel, _, sizes = _output_shape(Spec(x.shape), equation, output_shape)
        shape = tuple(sizes[c] for c in kernel)
    x_term, kernel, output = _terms(equation, x.ndim)
    return quantized.product(quantization, f"{x_term},{kernel}->{output}", params, x, shape)


def _reversible_rule(
    x: Spec,
    *,
    input_dim: int,
    output_dim: int,
    tie_weights: bool,
    reverse: bool,
    reverse_dtype: str | None,
    quantization: str | None,
) -> tuple[Spec, ParamTree]:
    if reverse and x.shape[-1] not in (None, output_dim):
        raise ValueError(f"the embeddings to reverse have {output_dim} numbers each; got {x}")
    untied = {} if tie_weights else {"reverse_embeddings": Param((output_dim, input_dim), "uniform")}
    shape = (*x.shape[:-1], input_dim) if reverse else (*x.shape, output_dim)
    own = None if quantization else reverse_dtype
    wide = "float64" if x.dtype == "float64" else "float32"
    y = Spec(shape, (own or wide) if reverse else "float32")
    if quantization is not None:
        return y, quantized.table_params(quantization, input_dim, output_dim, not tie_weights)
    return y, {"embeddings": Param((input_dim, output_dim), "uniform"), **untied}


def _reversed_dtype(*, reverse: bool, reverse_dtype: str | None, quantization: str | None) -> str | None:
    return (None if quantization else reverse_dtype) or "wider" if reverse else None


@layer(shape=_reversible_rule, mask="own", rounding=Rounding(keeps=("inputs",), gives=_reversed_dtype))
def reversible_embedding(
    params: Params,
    x: Any,
    *,
    input_dim: Positive | None = None,
    output_dim: Positive | None = None,
    tie_weights: bool = True,
    mask_zero: bool = False,
    reverse_dtype: str | None = None,
    logit_soft_cap: float | None = None,
    reverse: bool = False,
    quantization: str | None = None,
) -> Any:
    """(...) of ids -> (..., output_dim), as `embedding`; with `reverse` (..., output_dim) -> (..., input_dim).

    In reverse: x @ embeddings^T, or x @ reverse_embeddings unless `tie_weights`, computed in `reverse_dtype` where
    given; then, with `logit_soft_cap`, cap * tanh(logits / cap).
    params: embeddings (input_dim, output_dim); reverse_embeddings (output_dim, input_dim) when not tied; with
    `quantization` those of `fnet.layers.quantized.table_params`, and `reverse_dtype` is not heeded, as in Keras.
    Mask: as `embedding`; in reverse dropped. Source: keras.layers.ReversibleEmbedding; Press and Wolf 2016.

    >>> reversible_embedding({"embeddings": np.eye(2)}, np.array([[2.0, 3.0]]), reverse=True)
    array([[2., 3.]])
    """
    if not reverse:
        return embedding(
            params, x, input_dim=input_dim, output_dim=output_dim, mask_zero=mask_zero, quantization=quantization
        )
    x = values_of(x)
    if quantization is not None:
        logits = quantized.reverse_lookup(quantization, params, x, output_dim, tie_weights)
        return _capped(logits, logit_soft_cap)
    kernel = xp.swapaxes(params["embeddings"], 0, 1) if tie_weights else params["reverse_embeddings"]
    if reverse_dtype is not None:
        x, kernel = ops.cast(x, reverse_dtype), ops.cast(kernel, reverse_dtype)
    x, kernel = promoted(x, kernel)
    logits = _capped(x @ kernel, logit_soft_cap)
    return logits if reverse_dtype is None else ops.cast(logits, reverse_dtype)


def _capped(logits: Array, cap: float | None) -> Array:
    return logits if cap is None else xp.tanh(logits / cap) * cap
