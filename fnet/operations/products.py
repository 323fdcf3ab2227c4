"""Products of tensors: matmul, einsum and their like, outer and cross products, correlations.

Integers are multiplied as floats, as in Keras, and the result is an integer again. Source: keras.ops.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from fnet.backend import ops, xp
from fnet.core.room import numbers, size, work_of_products
from fnet.dtypes import (
    counted,
    factors,
    floating,
    is_bool,
    product_dtype,
    result_type,
    strong,
    tensor,
    tensors_dtype,
)
from fnet.operations.rules import operation
from fnet.shapes import axes_of, broadcast_shapes, fit, joined, shape_of, sized, total
from fnet.types import Array, Shape, Spec


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    left = (1, *a) if len(a) == 1 else a
    right = (*b, 1) if len(b) == 1 else b
    if left[-1] is not None and right[-2] is not None and left[-1] != right[-2]:
        raise ValueError(f"matmul of {a} and {b}: the last axis of the first must be the one before last of the second")
    y = (*broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    y = y[:-2] + y[-1:] if len(a) == 1 else y
    return y[:-1] if len(b) == 1 else y


def _matmul_rule(x1: Any, x2: Any) -> Spec:
    dtype = product_dtype(x1, x2) if 1 not in (len(shape_of(x1)), len(shape_of(x2))) else None
    return Spec(_matmul_shape(shape_of(x1), shape_of(x2)), dtype or tensors_dtype(x1, x2))


def _terms(first: Sequence[int | None], second: Sequence[int | None]) -> int:
    """How many products make up a number that sums over axes of these sizes: one of the two may be unknown."""
    return math.prod(max(sized(pair, 1)) for pair in zip(first, second, strict=False))


def _room(rule: Callable[..., Spec], axis: int = -2) -> Callable[[tuple[Any, Any]], tuple[int, int]]:
    """Memory and work of products over the last axis of the first tensor and this or the only one of the second."""
    return lambda x: work_of_products(rule(*x), _terms(shape_of(x[0])[-1:], shape_of(x[1])[axis:][:1]))


@operation(_matmul_rule, room=_room(_matmul_rule))
def matmul(x1: Array, x2: Array) -> Array:
    """(..., n, k) @ (..., k, m) -> (..., n, m); a single axis is a row on the left, a column on the right."""
    x1, x2 = tensor(x1), tensor(x2)
    dtype = _matmul_rule(x1, x2).dtype
    (x1, x2), _ = factors(x1, x2)
    return tensor(xp.matmul(x1, x2), dtype)


def _dot_rule(x1: Any, x2: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    if not a or not b:
        return Spec((*a, *b), tensors_dtype(x1, x2))
    joined(a[-1:], b[-2:][:1])
    return Spec((*a[:-1], *b[:-2], *b[-1:]) if len(b) > 1 else a[:-1], tensors_dtype(x1, x2))


@operation(_dot_rule, room=_room(_dot_rule))
def dot(x1: Array, x2: Array) -> Array:
    """The sum of products over the last axis of `x1` and the last but one (or only) axis of `x2`."""
    (x1, x2), dtype = factors(x1, x2)
    return tensor(xp.dot(x1, x2), dtype)


def _vdot_rule(x1: Any, x2: Any) -> Spec:
    joined((total(shape_of(x1)),), (total(shape_of(x2)),))
    return Spec((), tensors_dtype(x1, x2))


@operation(_vdot_rule)
def vdot(x1: Array, x2: Array) -> Array:
    """The sum of all products of two tensors of one size."""
    (x1, x2), dtype = factors(x1, x2)
    return tensor(xp.dot(x1.reshape(-1), x2.reshape(-1)), dtype)


def _inner_rule(x1: Any, x2: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    if a and b:
        joined(a[-1:], b[-1:])
    return Spec((*a[:-1], *b[:-1]) if a and b else (*a, *b), tensors_dtype(x1, x2))


@operation(_inner_rule, room=_room(_inner_rule, -1))
def inner(x1: Array, x2: Array) -> Array:
    """The sum of products over the last axis of both."""
    (x1, x2), dtype = factors(x1, x2)
    return tensor(xp.inner(x1, x2), dtype)


@operation(lambda x1, x2: Spec((total(shape_of(x1)), total(shape_of(x2))), tensors_dtype(x1, x2)))
def outer(x1: Array, x2: Array) -> Array:
    """Every number of `x1` times every number of `x2`."""
    x1, x2 = strong(x1, x2)
    return x1.reshape(-1, 1) * x2.reshape(-1)


def _tensordot_axes(axes: Any, rank1: int, rank2: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, int):
        if not 0 <= axes <= min(rank1, rank2):
            raise ValueError(f"tensordot over {axes} axes of {rank1} and {rank2}")
        return tuple(range(rank1 - axes, rank1)), tuple(range(axes))
    first, second = ((a,) if isinstance(a, int) else tuple(a) for a in axes)
    if len(first) != len(second):
        raise ValueError(f"tensordot sums over pairs of axes; got {first} and {second}")
    return axes_of(first, rank1), axes_of(second, rank2)


def _tensordot_rule(x1: Any, x2: Any, *, axes: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    first, second = _tensordot_axes(axes, len(a), len(b))
    for i, j in zip(first, second, strict=True):
        if a[i] is not None and b[j] is not None and a[i] != b[j]:
            raise ValueError(f"tensordot of {a} and {b}: axes {i} and {j} differ in size")
    rest = [d for i, d in enumerate(a) if i not in first] + [d for i, d in enumerate(b) if i not in second]
    return Spec(tuple(rest), tensors_dtype(x1, x2))


def _tensordot_room(x: tuple[Any, Any], *, axes: Any) -> tuple[int, int]:
    a, b = map(shape_of, x)
    first, second = _tensordot_axes(axes, len(a), len(b))
    terms = _terms([a[i] for i in first], [b[j] for j in second])
    return work_of_products(_tensordot_rule(*x, axes=axes), terms)


@operation(_tensordot_rule, room=_tensordot_room)
def tensordot(x1: Array, x2: Array, *, axes: Any = 2) -> Array:
    """The sum of products over pairs of axes: the last `axes` of x1 and first of x2, or (axes of x1, axes of x2)."""
    (x1, x2), dtype = factors(x1, x2)
    return tensor(xp.tensordot(x1, x2, axes=_tensordot_axes(axes, x1.ndim, x2.ndim)), dtype)


def _expanded(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with unused capitals in place of "..."."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"einsum {subscripts!r} names {len(terms)} operands, got {len(ranks)}")
    free = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in subscripts]
    longest = max([r - len(t) + 3 for t, r in zip(terms, ranks, strict=True) if "..." in t], default=0)
    dots = "".join(free[:longest])
    spelt = []
    for term, rank in zip(terms, ranks, strict=True):
        width = rank - len(term) + 3 if "..." in term else 0
        spelt.append(term.replace("...", dots[longest - width :]))
    if not arrow:
        letters = re.sub(r"[^a-zA-Z]", "", left)
        right = ("..." if longest else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return spelt, right.replace("...", dots)


def _einsum_sizes(operands: Sequence[Any], subscripts: str) -> tuple[dict[str, int | None], str]:
    """({letter: size of its axes}, the letters of the result)."""
    terms, result = _expanded(subscripts, [len(shape_of(x)) for x in operands])
    sizes: dict[str, int | None] = {}
    for term, x in zip(terms, operands, strict=True):
        fit(" ".join(term) or "...", shape_of(x))
        for letter, width in zip(term, shape_of(x), strict=True):
            other = sizes.get(letter, width)
            if letter not in result and None not in (width, other) and width != other:
                raise ValueError(f"einsum {subscripts!r} sums axes {letter!r} of sizes {other} and {width}")
            (sizes[letter],) = broadcast_shapes((sizes.get(letter, 1),), (width,))
    return sizes, result


def _einsum_rule(*operands: Any, subscripts: str) -> Spec:
    sizes, result = _einsum_sizes(operands, subscripts)
    return Spec(tuple(sizes[letter] for letter in result), product_dtype(*operands))


def _einsum_room(x: Sequence[Any], *, subscripts: str) -> tuple[int, int]:
    sizes, result = _einsum_sizes(x, subscripts)
    summed = [width or 1 for letter, width in sizes.items() if letter not in result]
    return work_of_products(_einsum_rule(*x, subscripts=subscripts), math.prod(summed))


@operation(_einsum_rule, room=_einsum_room)
def einsum(*operands: Array, subscripts: str) -> Array:
    """The sum of products that `subscripts` names: einsum(x, w, subscripts="bi,ij->bj")."""
    arrays = [tensor(x) for x in operands]
    dtype = product_dtype(*arrays)
    arrays, _ = factors(*arrays)
    terms, result = _expanded(subscripts, [x.ndim for x in arrays])
    return tensor(ops.einsum(f"{','.join(terms)}->{result}", *arrays), dtype)


def _kron_rule(x1: Any, x2: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)
    return Spec(tuple(total((m, n)) for m, n in zip(a, b, strict=True)), tensors_dtype(x1, x2))


@operation(_kron_rule)
def kron(x1: Array, x2: Array) -> Array:
    """The Kronecker product: each number of `x1` times all of `x2`, side by side."""
    return xp.kron(*strong(x1, x2))


def _cross_rule(x1: Any, x2: Any, *, axisa: int, axisb: int, axisc: int, axis: int | None) -> Spec:
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = list(shape_of(x1)), list(shape_of(x2))
    widths = (a.pop(axisa), b.pop(axisb))
    y = broadcast_shapes(tuple(a), tuple(b))
    if None in widths and 3 not in widths:
        raise NotImplementedError(f"cross of vectors of unknown size, {a} and {b}: 2 or 3 numbers give another result")
    if not {*widths} <= {2, 3, None}:
        raise ValueError(f"cross takes vectors of 2 or 3 numbers; got {widths}")
    if widths == (2, 2):
        return Spec(y, tensors_dtype(x1, x2))
    place = axisc if axisc >= 0 else len(y) + 1 + axisc
    return Spec((*y[:place], 3, *y[place:]), tensors_dtype(x1, x2))


def _three(x: Array) -> Array:
    return xp.concatenate([x, xp.zeros_like(x[..., :1])], axis=-1) if x.shape[-1] == 2 else x


@operation(_cross_rule)
def cross(x1: Array, x2: Array, *, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """The cross product of vectors of 2 or 3 numbers; if both have 2, only the third number of the result."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x1, x2 = strong(x1, x2)
    flat = x1.shape[axisa] == x2.shape[axisb] == 2
    a, b = (_three(xp.moveaxis(x, i, -1)) for x, i in ((x1, axisa), (x2, axisb)))
    (a0, a1, a2), (b0, b1, b2) = ((v[..., 0], v[..., 1], v[..., 2]) for v in (a, b))
    third = a0 * b1 - a1 * b0
    return third if flat else xp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, third], axis=axisc)


def _cdist_rule(x: Spec, y: Spec) -> Spec:
    joined(x.shape[-1:], y.shape[-1:])
    return Spec(
        (*broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-2]),
        result_type(x.dtype, y.dtype, "float"),
    )


def _cdist_room(x: tuple[Spec, Spec]) -> tuple[int, int]:
    """All differences, and their squares."""
    memory = 2 * size(_cdist_rule(*x)) * _terms(x[0].shape[-1:], x[1].shape[-1:])
    return memory, memory


@operation(_cdist_rule, room=_cdist_room)
def cdist(x: Array, y: Array) -> Array:
    """(..., n, d), (..., m, d) -> (..., n, m): Euclidean distances."""
    x, y = floating(x, y)
    gap = x[..., :, None, :] - y[..., None, :, :]
    return xp.sqrt(xp.sum(gap * gap, axis=-1))


def _correlate_rule(x1: Spec, x2: Spec, *, mode: str, pads: str) -> Shape:
    (n,), (m,) = x1.shape, x2.shape
    if n is None or m is None:
        return (None,)
    length = {"valid": n - m + 1, "same": max(n, m) if pads == "keras3" else n, "full": n + m - 1}[mode]
    return () if length == 1 and pads != "keras3" else (length,)


@operation(_correlate_rule, room=lambda x: work_of_products(x[0], numbers(x[1])))
def correlate(
    x1: Array,
    x2: Array,
    *,
    mode: Literal["valid", "same", "full"] = "valid",
    pads: Literal["keras3", "keras3.12"] = "keras3",
) -> Array:
    """(n,), (m,) -> the sum of products of `x1` and `x2` at every shift; `mode` "valid", "same", "full".

    pads: "keras3.12" as Keras before 3.13: "same" has the length of `x1`, "full" widens both tensors and is off by one
    for some lengths, and a result of one number is a scalar.
    """
    name = tensors_dtype(x1, x2)
    wide = name if "float" in name else "float64" if name == "int64" else "float32"
    x1, x2 = tensor(x1, wide), tensor(x2, wide)
    if pads != "keras3":
        n, m = len(x1), len(x2)
        if mode == "full":
            x1, x2 = _around(x1, m - 1), _around(x2, n - 1)
        x1 = x1 if mode == "valid" else _around(x1, len(x2) - 1)
        return xp.squeeze(xp.correlate(x1, x2, mode="valid"))
    if mode != "same":
        return xp.correlate(x1, x2, mode=mode)
    whole = xp.correlate(x1, x2, mode="full")
    length = max(len(x1), len(x2))
    start = (len(whole) - length) // 2
    return whole[start : start + length]


def _around(x: Array, zeros: int) -> Array:
    """(n,) -> (n + zeros,): half of the zeros before, half after; an odd one after."""
    return xp.pad(x, (zeros // 2, zeros - zeros // 2))


# --- diagonals ------------------------------------------------------------------------------------


def _trace_rule(x: Spec, *, axis1: int, axis2: int) -> Shape:
    removed = axes_of((axis1, axis2), len(x.shape))
    return tuple(d for i, d in enumerate(x.shape) if i not in removed)


@operation(_trace_rule)
def trace(
    x: Array,
    *,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    sums: Literal["keras3", "keras3.11", "keras3.2"] = "keras3",
) -> Array:
    """The sum of the diagonal of the planes (axis1, axis2).

    sums: integers of 8 and 16 bits add up in 32 bits; with "keras3.2" to int32, even if unsigned; likewise with
    "keras3.11" (Keras 3.3 to 3.11), but in 8 or 16 bits, which wrap around.
    """
    original = tensor(x)
    x = counted(original)
    narrow = original.dtype != x.dtype and sums != "keras3"
    if narrow:
        x = original if sums == "keras3.11" and not is_bool(original) else ops.cast(original, "int32")
    y = xp.sum(xp.diagonal(x, offset=offset, axis1=axis1, axis2=axis2), axis=-1, dtype=x.dtype)
    return ops.cast(y, "int32") if narrow else y
