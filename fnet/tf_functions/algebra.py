"""Products of tensors, norms and matrices. Source: TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet import operations
from fnet.backend import xp
from fnet.core.options import asking
from fnet.dtypes import is_complex, together
from fnet.dtypes import tensor as as_tensor
from fnet.operations.linear_algebra import factor, norm_of
from fnet.shapes import broadcast_shapes, fit, joined, reduced_shape
from fnet.tf_functions.elementwise import squares
from fnet.tf_functions.rules import (
    REAL,
    as_spec,
    dtype_like,
    function,
    of_keras,
    room_like,
    room_of,
    rule_of,
    same_in_keras,
    same_rule,
)
from fnet.types import Array, Axis, Spec

# --- products -------------------------------------------------------------------------------------


def _turned(spec: Spec, turn: bool) -> Spec:
    return Spec((*spec.shape[:-2], spec.shape[-1], spec.shape[-2]), spec.dtype) if turn else spec


def _factors(
    x: Sequence[Any], *, transpose_a: bool, transpose_b: bool, adjoint_a: bool, adjoint_b: bool
) -> tuple[Spec, Spec]:
    """The two factors after transposing, as float32."""
    left, right = _turned(as_spec(x[0]), transpose_a or adjoint_a), _turned(as_spec(x[1]), transpose_b or adjoint_b)
    return Spec(left.shape), Spec(right.shape)


def _matmul_rule(a: Any, b: Any, *, output_type: str | None, **turns: Any) -> Spec:
    return Spec(rule_of(operations.matmul, _factors((a, b), **turns)).shape, output_type or dtype_like(a, b))


def _matmul_room(x: Sequence[Any], **turns: Any) -> tuple[int, int]:
    return room_of(operations.matmul, _factors(x, **turns))


def _turn(x: Array, transpose: bool, adjoint: bool) -> Array:
    x = xp.swapaxes(x, -1, -2) if transpose or adjoint else x
    return xp.conj(x) if adjoint and is_complex(x) else x


@function(asking(_matmul_rule, _factors), "linalg.matmul", room=asking(_matmul_room, _factors))
def matmul(
    a: Array,
    b: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: str | None = None,
) -> Array:
    """(..., n, k) @ (..., k, m), each optionally transposed in its last two axes; "sparse" is a hint."""
    a, b = together(a, b)
    a, b = (as_tensor(x, output_type) for x in (a, b))
    return xp.matmul(_turn(a, transpose_a, adjoint_a), _turn(b, transpose_b, adjoint_b))


def _matvec_rule(a: Any, b: Any, *, transpose_a: bool, adjoint_a: bool) -> Spec:
    left, right = _turned(as_spec(a), transpose_a or adjoint_a), as_spec(b)
    return Spec((*broadcast_shapes(left.shape[:-2], right.shape[:-1]), left.shape[-2]), dtype_like(a, b))


def _matvec_room(x: Sequence[Any], *, transpose_a: bool, adjoint_a: bool) -> tuple[int, int]:
    matrix, vector = _turned(as_spec(x[0]), transpose_a or adjoint_a), as_spec(x[1])
    return room_of(operations.matmul, (Spec(matrix.shape), Spec((*vector.shape, 1))))


@function(_matvec_rule, "linalg.matvec", room=_matvec_room)
def matvec(
    a: Array,
    b: Array,
    *,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
) -> Array:
    """(..., n, k) @ (..., k); "sparse" is a hint."""
    a, b = together(a, b)
    return xp.matmul(_turn(a, transpose_a, adjoint_a), b[..., None])[..., 0]


@of_keras(operations.tensordot, "tensordot")
def tensordot(a: Array, b: Array, *, axes: Any) -> Any:
    """The sum of products over pairs of axes: the last `axes` of a and first of b, or (axes of a, axes of b)."""
    return (a, b), {"axes": axes}


def _einsum_rule(inputs: Sequence[Any], *, equation: str) -> Spec:
    specs = tuple(Spec(as_spec(x).shape) for x in inputs)
    return Spec(rule_of(operations.einsum, specs, subscripts=equation).shape, dtype_like(*inputs))


def _einsum_room(x: Sequence[Any], *, equation: str) -> tuple[int, int]:
    return room_of(operations.einsum, x, subscripts=equation)


@function(_einsum_rule, "raw_ops.Einsum", room=_einsum_room)
def einsum(inputs: Sequence[Array], *, equation: str) -> Array:
    """The sum of products that `equation` names: "bi,ij->bj"."""
    return operations.einsum({}, tuple(together(*inputs)), subscripts=equation)


def _keras_dot_rule(x: Any, y: Any) -> Spec:
    left, right = as_spec(x), as_spec(y)
    fit("... k, ... k m", left.shape, right.shape)
    return Spec((*left.shape[:-1], *right.shape[:-2], right.shape[-1]), dtype_like(x, y))


@function(_keras_dot_rule, "keras.backend.dot", room=room_like(operations.dot))
def keras_dot(x: Array, y: Array) -> Array:
    """The sum of products over the last axis of `x` and the last but one of `y`."""
    return xp.dot(*together(x, y))


def _cross_rule(a: Any, b: Any) -> Spec:
    shape = joined(as_spec(a).shape, as_spec(b).shape)
    joined(shape[-1:], (3,))
    return Spec(shape, dtype_like(a, b))


@function(_cross_rule, "linalg.cross")
def cross(a: Array, b: Array) -> Array:
    """The cross product of vectors of 3 numbers."""
    return operations.cross({}, tuple(together(a, b)))


# --- norms ----------------------------------------------------------------------------------------


def _norm_rule(tensor: Any, *, ord: Any, axis: Axis, keepdims: bool) -> Spec:  # noqa: A002
    if ord not in ("euclidean", "fro") and not isinstance(ord, int | float):
        raise ValueError(f"the norm {ord!r}: a number is expected, or 'euclidean'")
    spec = as_spec(tensor)
    return Spec(reduced_shape(spec.shape, axis, keepdims), REAL.get(spec.dtype, spec.dtype))


def _norm_room(x: Any, *, ord: Any, axis: Axis) -> tuple[int, int]:  # noqa: A002
    return room_of(operations.norm, x, ord=ord, axis=axis)


@function(_norm_rule, "norm", "linalg.norm", room=_norm_room)
def norm(tensor: Array, *, ord: Any = "euclidean", axis: Axis = None, keepdims: bool = False) -> Array:  # noqa: A002
    """The norm `ord` over one axis or all (of vectors), or over two (of matrices)."""
    x = as_tensor(tensor)
    planes = tuple(axis) if isinstance(axis, Sequence) and len(axis) == 2 else None
    if ord in ("euclidean", "fro") or (ord == 2 and planes is None):
        return xp.sqrt(xp.sum(xp.real(squares(x)), axis=axis, keepdims=keepdims))
    if planes is not None:
        kind = float(ord) if ord in (math.inf, -math.inf) else ord
        return norm_of(x, kind, planes, keepdims).astype(x.dtype)
    size = xp.abs(x)
    if ord == math.inf:
        return xp.max(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return xp.sum(size, axis=axis, keepdims=keepdims, dtype=size.dtype)
    return xp.power(xp.sum(xp.power(size, ord), axis=axis, keepdims=keepdims), 1 / ord)


@function(same_rule, "math.l2_normalize", "nn.l2_normalize", "keras.backend.l2_normalize")
def l2_normalize(x: Array, *, axis: Axis = None, epsilon: float = 1e-12) -> Array:
    """x / sqrt(max(sum(|x|^2), epsilon)) over `axis`."""
    x = as_tensor(x)
    square = xp.sum(xp.real(squares(x)), axis=axis, keepdims=True)
    return x * (1 / xp.sqrt(xp.maximum(square, as_tensor(epsilon, square.dtype.name))))


def _normalize_rule(tensor: Any, *, ord: Any, axis: Axis) -> tuple[Spec, Spec]:  # noqa: A002
    return same_rule(tensor), _norm_rule(tensor, ord=ord, axis=axis, keepdims=True)


@function(_normalize_rule, "linalg.normalize", room=_norm_room)
def normalize(tensor: Array, *, ord: Any = "euclidean", axis: Axis = None) -> tuple[Array, Array]:  # noqa: A002
    """(tensor / norm, norm)."""
    length = norm({}, tensor, ord=ord, axis=axis, keepdims=True)
    return as_tensor(tensor) / length, length


@function(same_rule, "clip_by_norm")
def clip_by_norm(t: Array, *, clip_norm: float, axes: Axis = None) -> Array:
    """`t` scaled down where its 2-norm over `axes` is above `clip_norm`."""
    t = as_tensor(t)
    square = xp.sum(t * t, axis=axes, keepdims=True)
    length = xp.where(square > 0, xp.sqrt(xp.where(square > 0, square, xp.ones_like(square))), square)
    return t * clip_norm / xp.maximum(length, clip_norm)


# --- matrices -------------------------------------------------------------------------------------


def _square_rule(x: Any) -> Spec:
    fit("... n n", as_spec(x).shape)
    return same_rule(x)


def _solve_rule(matrix: Any, rhs: Any) -> Spec:
    fit("... n n, ... n m", as_spec(matrix).shape, as_spec(rhs).shape)
    joined(as_spec(matrix).shape[:-2], as_spec(rhs).shape[:-2])
    return same_rule(rhs)


det = same_in_keras(operations.det, "x", "", "linalg.det")
slogdet = same_in_keras(operations.slogdet, "x", "", "linalg.slogdet")


@function(_square_rule, "linalg.inv", room=room_like(operations.inv))
def inv(x: Array, *, adjoint: bool = False) -> Array:
    """The inverse of square matrices."""
    y = xp.linalg.inv(as_tensor(x))
    return xp.swapaxes(y, -1, -2) if adjoint else y


@function(_square_rule, "linalg.cholesky", room=room_like(operations.cholesky))
def cholesky(x: Array) -> Array:
    """The lower triangle L with L @ L^T = x."""
    return xp.tril(factor(as_tensor(x)))


@function(_solve_rule, "linalg.solve", room=room_like(operations.solve))
def solve(matrix: Array, rhs: Array, *, adjoint: bool = False) -> Array:
    """x with matrix @ x = rhs."""
    matrix, rhs = together(matrix, rhs)
    return xp.linalg.solve(xp.swapaxes(matrix, -1, -2) if adjoint else matrix, rhs)


@function(lambda x: Spec(x.shape[:-2], x.dtype), "linalg.trace")
def trace(x: Array) -> Array:
    """The sum of the diagonal of the last two axes."""
    x = as_tensor(x)
    return xp.sum(xp.diagonal(x, axis1=-2, axis2=-1), axis=-1, dtype=x.dtype)


@function(lambda a: _turned(as_spec(a), True), "linalg.matrix_transpose")
def matrix_transpose(a: Array, *, conjugate: bool = False) -> Array:
    """`a` with its last two axes exchanged."""
    y = xp.swapaxes(as_tensor(a), -1, -2)
    return xp.conj(y) if conjugate else y


@function(lambda matrix: _turned(as_spec(matrix), True), "linalg.adjoint")
def adjoint(matrix: Array) -> Array:
    """`matrix` transposed and conjugated."""
    return _turn(as_tensor(matrix), True, True)


@function(same_rule, "linalg.band_part")
def band_part(x: Array, *, num_lower: int, num_upper: int) -> Array:
    """`x` with 0 except on `num_lower` diagonals below and `num_upper` above the main one (-1: all of them)."""
    x = as_tensor(x)
    down = np.arange(x.shape[-2])[:, None] - np.arange(x.shape[-1])[None, :]
    inside = ((num_lower < 0) | (down <= num_lower)) & ((num_upper < 0) | (-down <= num_upper))
    return xp.where(inside, x, xp.zeros_like(x))


def _diag_rule(diagonal: Any, *, k: int) -> Spec:
    spec = as_spec(diagonal)
    size = None if spec.shape[-1] is None else spec.shape[-1] + abs(k)
    return Spec((*spec.shape[:-1], size, size), spec.dtype)


@function(_diag_rule, "linalg.diag")
def diag(diagonal: Array, *, k: int = 0, padding_value: float = 0) -> Array:
    """(..., n) -> matrices with these numbers on diagonal `k`, `padding_value` elsewhere."""
    x = as_tensor(diagonal)
    size = x.shape[-1] + abs(k)
    on = np.eye(size, k=k, dtype=bool)
    padded = xp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1])])
    rows = padded[..., :, None] if k >= 0 else padded[..., None, :]
    return xp.where(on, rows, xp.full_like(rows, padding_value))


@of_keras(operations.diagonal, "linalg.diag_part")
def diag_part(x: Array, *, k: int = 0) -> Any:
    """Diagonal `k` of the last two axes."""
    return x, {"offset": k, "axis1": -2, "axis2": -1}


def _set_diag_rule(input: Any, diagonal: Any, *, k: int) -> Spec:  # noqa: A002
    joined(rule_of(diag_part, as_spec(input), k=k).shape, as_spec(diagonal).shape)
    return same_rule(input)


@function(_set_diag_rule, "linalg.set_diag")
def set_diag(input: Array, diagonal: Array, *, k: int = 0) -> Array:  # noqa: A002
    """`input` with `diagonal` as diagonal `k` of its last two axes."""
    x, line = together(input, diagonal)
    height, width = x.shape[-2:]
    places = np.arange(height) - max(-k, 0)
    rows = xp.take(line, np.clip(places, 0, line.shape[-1] - 1), axis=-1)[..., None]
    return xp.where(np.eye(height, width, k, dtype=bool), rows, x)
