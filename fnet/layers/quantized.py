"""Kernels and tables of 8 and 4 bits, as `model.quantize(...)` of Keras makes them.

The option `quantization` of dense, einsum_dense, embedding, reversible_embedding and the attention layers says how:
"int8"                inputs are quantized too, row by row: integer products, exact;
"int8_weight_only"    float inputs times the integer kernel;
"int4"                two values in a byte, one scale a column; "int4_dynamic" quantizes the inputs as well;
"float8"              inputs and kernel rounded to the values of 8-bit floats (e4m3), the bias to bfloat16;
"int4/128"            rows in blocks of 128 (any size), each with its own scale and zero point;
"int4_rows"           as "int8_weight_only" except for two rows in a byte, and "int4_rows_dynamic" as "int8" except for
                      that: kernels in files of Keras 3.11 to 3.13.

Integers are multiplied as floats: matrix products of floats are fast everywhere, and exact while every partial sum
stays below 2^24. Sources: keras.quantizers; keras.layers.Dense, EinsumDense, Embedding, ReversibleEmbedding.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fnet.backend import ops, xp
from fnet.records import dataclass
from fnet.types import Array, Param, Params, Shape

EXACT = 1024
"""How many products of values from -128 to 127 add up exactly in float32: 1024 * 128 * 128 = 2^24."""


@dataclass(frozen=True)
class Scheme:
    """bits of a value; block: rows that share a scale and a zero point (0: all, without zero point); inputs:
    whether the inputs are quantized too; rows: whether the values that share a byte are of two rows."""

    bits: int
    block: int = 0
    inputs: bool = False
    rows: bool = False


@functools.cache
def scheme(quantization: str) -> Scheme:
    """The scheme of an option value. Raises ValueError for anything but the forms above."""
    known = {
        "int8": Scheme(8, inputs=True),
        "int8_weight_only": Scheme(8),
        "int4": Scheme(4),
        "int4_dynamic": Scheme(4, inputs=True),
        "int4_rows": Scheme(4, rows=True),
        "int4_rows_dynamic": Scheme(4, inputs=True, rows=True),
        "float8": Scheme(8, inputs=True),
    }
    if quantization in known:
        return known[quantization]
    block = re.fullmatch(r"int4/([1-9]\d{0,8})", quantization)
    if block is None:
        raise ValueError(f"quantization {quantization!r}; use {', '.join(map(repr, known))} or 'int4/<block size>'")
    return Scheme(4, int(block[1]))


# --- parameters -----------------------------------------------------------------------------------


def _fixed(shape: Shape, initializer: Any = "zeros", dtype: str = "int8") -> Param:
    return Param(shape, initializer, dtype, trainable=False)


def _blocks(block: int) -> Any:
    def rows_to_blocks(key: Array, shape: Sequence[int]) -> Array:
        """The number of the block that each row belongs to."""
        return xp.arange(shape[0]) // block

    return rows_to_blocks


def kernel_params(
    quantization: str, kernel: Shape, summed: Sequence[int], scale: Shape, bias: Mapping[str, Param]
) -> dict[str, Param]:
    """{kernel, bias, kernel_scale[, kernel_zero, g_idx]} in Keras's order.

    kernel: the shape that it would have in floats. summed: its axes over which a product sums. scale: the shape of
    kernel_scale for 8 bits. With 4 bits the kernel is a matrix (rows, columns / 2) of bytes; where rows share bytes it
    keeps its shape except for half the size of the first summed axis.
    """
    how = scheme(quantization)
    if quantization == "float8":
        return {"kernel": Param(kernel), **bias, **_float8_state()}
    if how.bits == 8 or how.rows:
        if how.rows:
            kernel = tuple(d and (d + 1) // 2 if a == min(summed, default=0) else d for a, d in enumerate(kernel))
        return {"kernel": _fixed(kernel), **bias, "kernel_scale": _fixed(scale, "ones", "float32")}
    rows, columns = (
        math.prod(d or 0 for a, d in enumerate(kernel) if (a in summed) == inside) for inside in (True, False)
    )
    packed = {"kernel": _fixed((rows, (columns + 1) // 2)), **bias}
    if not how.block:
        return {**packed, "kernel_scale": _fixed((columns,), "ones", "float32")}
    groups = (-(-rows // how.block), columns)
    return {
        **packed,
        "kernel_scale": _fixed(groups, "ones", "float32"),
        "kernel_zero": _fixed(groups),
        "g_idx": _fixed((rows,), _blocks(how.block), "float32"),
    }


def _float8_state() -> dict[str, Param]:
    """The scales, and the history of largest values (any length) from which training sets them."""
    state = {}
    for name in ("inputs", "kernel", "outputs_grad"):
        state[f"{name}_scale"] = _fixed((), "ones", "float32")
        state[f"{name}_amax_history"] = _fixed((None,), "zeros", "float32")
    return state


def table_params(quantization: str, rows: int, columns: int, untied: bool = False) -> dict[str, Param]:
    """{embeddings, embeddings_scale[, embeddings_zero, g_idx][, reverse_embeddings, ..._scale[, ..._zero]]}."""
    how = scheme(quantization)
    packed = (columns + 1) // 2 if how.bits == 4 else columns
    groups = (-(-columns // how.block),) if how.block else ()
    params = {"embeddings": _fixed((rows, packed)), "embeddings_scale": _fixed((rows, *groups), "ones", "float32")}
    if how.block:
        params["embeddings_zero"] = _fixed((rows, *groups))
        params["g_idx"] = _fixed((columns,), _blocks(how.block), "float32")
    if untied:
        params["reverse_embeddings"] = _fixed((packed, rows))
        params["reverse_embeddings_scale"] = _fixed((*groups, rows), "ones", "float32")
        if how.block:
            params["reverse_embeddings_zero"] = _fixed((*groups, rows), dtype="float32")
    return params


# --- integers as floats ---------------------------------------------------------------------------


def quantize_inputs(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """(whole numbers from -127 to 127, scale), so that x is about numbers / scale; one scale over `axes`."""
    scale = ops.opaque(127 / (xp.max(xp.abs(x), axis=axes, keepdims=True) + 1e-7))
    return xp.clip(xp.round(x * scale), -127, 127), scale


def round_float8(x: Array, scale: Array) -> Array:
    """`x` rounded to the multiples by `scale` of the 8-bit floats e4m3: 3 bits after the first, at most 448."""
    x = xp.clip(x / scale, -448, 448)
    _, exponent = xp.frexp(x)
    exponent = xp.maximum(exponent, -5) - 4  # of the last bit that is kept; denormals below 2^-6
    return xp.ldexp(xp.round(xp.ldexp(x, -exponent)), exponent) * scale


def rounded(quantization: str | None, bias: Array | None) -> Array | None:
    """The bias as it is added: "float8" rounds it to bfloat16."""
    return ops.round_bfloat16(bias) if quantization == "float8" and bias is not None else bias


def unpack(packed: Array, size: int | None, axis: int = -1) -> Array:
    """Bytes that hold two values each -> twice as many from -8 to 7 along `axis`, cut to `size`; low half first."""
    packed = xp.moveaxis(ops.asarray(packed), axis, -1).astype("uint8")  # ONNX shifts no signed numbers
    halves = (xp.stack([packed & 15, packed >> 4], axis=-1) ^ 8).astype("int8") - 8
    values = halves.reshape(*packed.shape[:-1], 2 * packed.shape[-1])[..., :size]
    return xp.moveaxis(values, -1, axis)


def unblock(values: Array, scale: Array, zero: Array, groups: Array, axis: int = 0) -> Array:
    """(values - zero) * scale, with the scale and zero of the group of each row (or column, for `axis` -1)."""
    groups = ops.asarray(groups).astype("int32")
    scale, zero = (xp.take(ops.asarray(a), groups, axis=axis, mode="clip") for a in (scale, zero))
    return (values.astype(scale.dtype) - zero.astype(scale.dtype)) * scale


def exact_einsum(equation: str, q: Array, kernel: Array) -> Array:
    """einsum of whole numbers of 8 bits: `q` in floats, `kernel` int8; exact except for one rounding at the end."""
    kernel = kernel.astype(q.dtype)
    pieces = list(_pieces(equation, q, kernel))
    if len(pieces) == 1:
        return pieces[0]
    total = pieces[0].astype("int32")
    for piece in pieces[1:]:
        total = total + piece.astype("int32")
    return total.astype(q.dtype)


def _pieces(equation: str, q: Array, kernel: Array) -> Iterator[Array]:
    """The einsum as summands that are each exact in the dtype of `q`: the longest summed axis is halved."""
    (a, b), out = equation.split("->")[0].split(","), equation.split("->")[1]
    sizes = {**dict(zip(a, q.shape, strict=True)), **dict(zip(b, kernel.shape, strict=True))}
    summed = [letter for letter in sizes if letter not in out]
    if q.dtype.itemsize > 4 or math.prod(sizes[letter] for letter in summed) <= EXACT:
        yield ops.einsum(equation, q, kernel)
        return
    longest = max(summed, key=lambda letter: sizes[letter])
    half = sizes[longest] // 2
    for part in (slice(half), slice(half, None)):
        yield from _pieces(equation, _cut(q, a, longest, part), _cut(kernel, b, longest, part))


def _cut(x: Array, term: str, letter: str, part: slice) -> Array:
    return x[tuple(part if c == letter else slice(None) for c in term)]


# --- products -------------------------------------------------------------------------------------


def product(quantization: str, equation: str, params: Params, x: Array, kernel_shape: Shape | None = None) -> Array:
    """einsum(equation, x, kernel) for the arrays of `kernel_params`; the equation without "...".

    kernel_shape: of the kernel in floats, for 4 bits.
    """
    if quantization == "float8":
        return ops.einsum(equation, *_float8_operands(params, x))
    how, kernel, scale = scheme(quantization), params["kernel"], params["kernel_scale"]
    (term, letters), out = equation.split("->")[0].split(","), equation.split("->")[1]
    if how.rows and kernel_shape is not None:
        axis = next((a for a, letter in enumerate(letters) if letter not in out), 0)
        kernel = unpack(kernel, kernel_shape[axis], axis)
    elif how.bits == 4:
        kernel = unpack(kernel, scale.shape[-1])
        kernel = unblock(kernel, scale, params["kernel_zero"], params["g_idx"]) if how.block else kernel / scale
        kernel, scale = kernel.reshape(kernel_shape), None
    if not how.inputs:
        y = ops.einsum(equation, x, kernel.astype(x.dtype))
        return y if scale is None else y / scale
    q, rows = quantize_inputs(x, tuple(a for a, letter in enumerate(term) if letter not in out))
    rows = _aligned(rows, term, out)
    return (
        ops.einsum(equation, q, kernel) / rows if scale is None else exact_einsum(equation, q, kernel) / (rows * scale)
    )


def _aligned(scale: Array, term: str, out: str) -> Array:
    """A scale with the axes of `term`, those not in `out` of size 1, so that it broadcasts with `out`."""
    kept = [letter for letter in out if letter in term]
    order = [*(a for a, letter in enumerate(term) if letter not in out), *(term.index(letter) for letter in kept)]
    scale = xp.transpose(scale, order)
    sizes = dict(zip(kept, scale.shape[len(term) - len(kept) :], strict=True))
    return scale.reshape(*(sizes.get(letter, 1) for letter in out))


def matmul(quantization: str, params: Params, x: Array) -> Array:
    """x (..., rows) @ kernel (rows, columns) of `kernel_params`."""
    if quantization == "float8":
        x, kernel = _float8_operands(params, x)
        return x @ kernel
    how, kernel, scale = scheme(quantization), params["kernel"], params["kernel_scale"]
    if how.bits == 4:
        kernel = unpack(kernel, x.shape[-1], 0) if how.rows else unpack(kernel, scale.shape[-1])
    if how.block:
        return x @ unblock(kernel, scale, params["kernel_zero"], params["g_idx"])
    return _scaled_matmul(how, x, kernel, scale)


def _float8_operands(params: Params, x: Array) -> tuple[Array, Array]:
    kernel = ops.asarray(params["kernel"])
    return round_float8(x, params["inputs_scale"]), round_float8(kernel, params["kernel_scale"])


def _scaled_matmul(how: Scheme, x: Array, kernel: Array, scale: Array) -> Array:
    if not how.inputs:
        return x @ kernel.astype(x.dtype) / scale
    q, rows = quantize_inputs(x, (-1,))
    lead = "abcdefghijklmnopqrstuvwx"[: x.ndim - 1]
    return exact_einsum(f"{lead}Y,YZ->{lead}Z", q, kernel) / (scale * rows)


# --- tables ---------------------------------------------------------------------------------------


def lookup(quantization: str, params: Params, ids: Array, size: int | None) -> Array:
    """ids (...) -> their rows (..., size) of the table of `table_params`."""
    how = scheme(quantization)
    rows, scale = ops.take(params["embeddings"], ids), ops.take(params["embeddings_scale"], ids)
    if how.bits == 4:
        rows = unpack(rows, size)
    if not how.block:
        return rows.astype(scale.dtype) / scale[..., None]
    return unblock(rows, scale, ops.take(params["embeddings_zero"], ids), params["g_idx"], axis=-1)


def reverse_lookup(quantization: str, params: Params, x: Array, size: int | None, tied: bool) -> Array:
    """x (..., size) times the transposed table, or times reverse_embeddings (size, rows) unless `tied`."""
    how = scheme(quantization)
    start = "embeddings" if tied else "reverse_embeddings"
    names = [start, f"{start}_scale", *([f"{start}_zero"] if how.block else [])]
    table, scale, *zero = (xp.swapaxes(params[n], 0, -1) if tied else ops.asarray(params[n]) for n in names)
    if how.bits == 4:
        table = unpack(table, size, axis=0)
    if how.block:
        return x @ unblock(table, scale, zero[0], params["g_idx"])
    return _scaled_matmul(how, x, table, scale)
