"""The linear algebra of matrices in the last two axes: inverses, factors, solutions, norms.

Source: keras.ops.linalg.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from fnet import tree
from fnet.backend import ops, xp
from fnet.core.room import size, work_of_products
from fnet.dtypes import as_floats, is_integral, tensor, widened
from fnet.errors import InvalidInput
from fnet.operations.rules import Operation, named, operation
from fnet.shapes import axes_of, fit, reduced_shape, sized
from fnet.types import Array, Shape, Spec

DIRECT, ITERATIVE = 2, 32
"""About how many multiply-adds there are per n^3 of an n x n matrix: for direct solutions, and for iterative ones."""


def _room(times: int, x: Any) -> tuple[int, int]:
    """Copies of the matrices in 64 bits, and work that grows with the third power of their size."""
    matrices = x if isinstance(x, Spec) else x[0]
    memory = 4 * size(matrices)
    return memory, memory + work_of_products(matrices, times * max(sized(matrices.shape[-2:], 1), default=1))[1]


_solved, _searched = partial(_room, DIRECT), partial(_room, ITERATIVE)


def _square(x: Spec) -> Shape:
    if len(x.shape) < 2 or (None not in x.shape[-2:] and x.shape[-1] != x.shape[-2]):
        raise ValueError(f"square matrices are needed in the last two axes; got {x.shape}")
    return x.shape


def _matrix_rule(x: Spec) -> Spec:
    return Spec(_square(x), x.dtype)


def _scalar_rule(x: Spec) -> Spec:
    return Spec(_square(x)[:-2], x.dtype)


def _of_half(compute: Callable[[Array], Any], x: Array) -> Any:
    """`compute(x)`, float16 via float32, as LAPACK has none. Raises InvalidInput for integers, like TensorFlow."""
    x = tensor(x)
    if is_integral(x.dtype.name):
        raise InvalidInput(f"a matrix of floats is expected, not of {x.dtype.name}; cast it first")
    return tree.map(lambda y: tensor(y, x.dtype.name), compute(widened(x)))


def factor(x: Array) -> Array:
    """The lower Cholesky factors of a stack of matrices; NaN for a matrix that has none, not an error for all."""
    try:
        return _lower_factor(x)
    except np.linalg.LinAlgError:
        return np.full_like(x, np.nan) if x.ndim == 2 else np.stack([factor(matrix) for matrix in x])


def _lower_factor(x: Array) -> Array:
    """`factor` from the lower triangle alone, while JAX would read both. Raises LinAlgError where there is none."""
    return xp.linalg.cholesky(xp.tril(x) + xp.conj(_transposed(xp.tril(x, -1))))


def _of_finite(compute: Callable[[Array], Any], x: Array) -> Any:
    """`compute` on a stack of matrices; NaN for those with NaN or infinity, on which LAPACK may never end."""
    bad = ~xp.isfinite(x).all(axis=(-2, -1))
    outputs = compute(xp.where(bad[..., None, None], xp.zeros_like(x), x))
    return tree.map(lambda y: xp.where(xp.expand_dims(bad, tuple(range(bad.ndim, y.ndim))), xp.nan, y), outputs)


def _singular(x: Array, full_matrices: bool = False) -> tuple[Array, Array, Array]:
    """(U, singular values, V transposed)."""
    u, s, vt = _of_finite(lambda x: tuple(xp.linalg.svd(x, full_matrices=full_matrices)), x)
    return u, s, vt


def _singular_values(x: Array) -> Array:
    return _of_finite(lambda x: xp.linalg.svd(x, compute_uv=False), x)


def norm_of(x: Array, kind: Any, axes: Sequence[Any], keepdims: bool) -> Array:
    """The norm `kind` of the vectors in one axis, or of the matrices in two."""
    if len(axes) == 1 or kind not in (2, -2, "nuc"):
        return xp.linalg.norm(x, kind, tuple(axes) if len(axes) == 2 else axes[0], keepdims)
    s = _singular_values(xp.moveaxis(x, axes, (-2, -1)))
    y = xp.sum(s, axis=-1) if kind == "nuc" else xp.max(s, axis=-1) if kind == 2 else xp.min(s, axis=-1)
    return xp.expand_dims(y, tuple(axis % x.ndim for axis in axes)) if keepdims else y


def _solved_triangle(triangle: Array, b: Array, lower: bool) -> Array:
    """The x with triangle @ x = b, b (..., n, k); by substitution where a 0 on the diagonal makes infinities."""
    try:
        return xp.linalg.solve(triangle, b)
    except np.linalg.LinAlgError:
        y = np.zeros(b.shape, b.dtype)
    for row in range(b.shape[-2])[:: 1 if lower else -1]:
        known = (triangle[..., row, None, :] @ y)[..., 0, :]
        y[..., row, :] = (b[..., row, :] - known) / triangle[..., row, row, None]
    return y


def _transposed(x: Array) -> Array:
    return xp.swapaxes(x, -1, -2)


@operation(_matrix_rule, room=_solved)
def inv(x: Array) -> Array:
    """The inverse of square matrices. Errors: a singular one raises InvalidInput on NumPy and is inf or NaN on JAX."""
    return _of_half(xp.linalg.inv, x)


@operation(_scalar_rule, room=_solved)
def det(x: Array) -> Array:
    """The determinant of square matrices."""
    return xp.linalg.det(tensor(x))


@operation(lambda x: (_scalar_rule(x), _scalar_rule(x)), room=_solved)
def slogdet(x: Array) -> tuple[Array, Array]:
    """(sign of the determinant, log of its magnitude)."""
    sign, log = xp.linalg.slogdet(tensor(x))
    return sign, log


@operation(_scalar_rule, room=_solved)
def logdet(x: Array) -> Array:
    """The log of the determinant of Hermitian positive definite matrices; NaN for others."""
    return 2 * xp.sum(xp.log(xp.diagonal(factor(tensor(x)), axis1=-2, axis2=-1)), axis=-1)


def _with_upper(name: str, text: str, compute: Callable[[Array, bool], Array]) -> Operation:
    def apply(x: Array, *, upper: bool = False) -> Array:
        return compute(tensor(x), upper)

    return operation(_matrix_rule, room=_solved)(named(name, text, apply))


def _cholesky(x: Array, upper: bool) -> Array:
    lower = _lower_factor(x)
    return xp.conj(_transposed(lower)) if upper else lower


def _cholesky_inverse(x: Array, upper: bool) -> Array:
    triangle = xp.triu(x) if upper else xp.tril(x)
    inverse = _solved_triangle(triangle, xp.broadcast_to(xp.eye(x.shape[-1], dtype=x.dtype), x.shape), not upper)
    return inverse @ _transposed(inverse) if upper else _transposed(inverse) @ inverse


cholesky = _with_upper("cholesky", "L with L @ L.T = x (upper: its transpose), of positive definite x.", _cholesky)
cholesky_inverse = _with_upper(
    "cholesky_inverse", "The inverse of the matrix whose Cholesky factor is x.", _cholesky_inverse
)


@operation(lambda x: (Spec(_square(x)[:-1], x.dtype), _matrix_rule(x)), room=_searched)
def eigh(x: Array) -> tuple[Array, Array]:
    """(ascending eigenvalues, eigenvectors in columns) of symmetric matrices; the signs of vectors are arbitrary."""
    values, vectors = _of_finite(lambda x: tuple(xp.linalg.eigh(x)), tensor(x))
    return values, vectors


def _eig_rule(x: Spec) -> tuple[Spec, Spec]:
    dtype = "complex128" if x.dtype in ("float64", "complex128") else "complex64"
    return Spec(_square(x)[:-1], dtype), Spec(x.shape, dtype)


@operation(_eig_rule, room=_searched)
def eig(x: Array) -> tuple[Array, Array]:
    """(complex eigenvalues, eigenvectors in columns) of square matrices, in an arbitrary order."""
    values, vectors = xp.linalg.eig(tensor(x))
    dtype = "complex128" if tensor(x).dtype.name in ("float64", "complex128") else "complex64"
    return ops.cast(values, dtype), ops.cast(vectors, dtype)


def _lu_rule(x: Spec) -> tuple[Spec, Spec]:
    if len(x.shape) < 2:
        raise ValueError(f"matrices are needed in the last two axes; got {x.shape}")
    return x, Spec(x.shape[:-1], "int32")


@operation(_lu_rule, room=_solved)
def lu_factor(x: Array) -> tuple[Array, Array]:
    """(L below and U on and above the diagonal, int32 places p) with x = (L @ U)[p], by partial pivoting."""
    factors, order = ops.lu(tensor(x))
    return factors, ops.cast(xp.argsort(order, axis=-1), "int32")


def _qr_rule(x: Spec, *, mode: str) -> tuple[Spec, Spec]:
    *batch, m, n = x.shape
    inner = m if mode == "complete" else None if m is None or n is None else min(m, n)
    return Spec((*batch, m, inner), x.dtype), Spec((*batch, inner, n), x.dtype)


@operation(_qr_rule, room=_searched)
def qr(x: Array, *, mode: Literal["reduced", "complete"] = "reduced") -> tuple[Array, Array]:
    """(Q, R) with Q @ R = x, `mode` "reduced" or "complete"."""
    q, r = _of_half(lambda x: tuple(xp.linalg.qr(x, mode=mode)), x)
    return q, r


def _svd_rule(x: Spec, *, full_matrices: bool, compute_uv: bool) -> Any:
    *batch, m, n = x.shape
    k = None if m is None or n is None else min(m, n)
    values = Spec((*batch, k), x.dtype)
    if not compute_uv:
        return values
    left, right = (m, n) if full_matrices else (k, k)
    return Spec((*batch, m, left), x.dtype), values, Spec((*batch, right, n), x.dtype)


@operation(_svd_rule, room=_searched)
def svd(x: Array, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """(U, singular values, V transposed), or the values alone; the signs of vectors are arbitrary."""
    return _singular(tensor(x), full_matrices) if compute_uv else _singular_values(tensor(x))


def _solve_rule(a: Spec, b: Spec) -> Spec:
    _square(a)
    fit("... n n, ... n k", a.shape, b.shape if len(b.shape) == len(a.shape) else (*b.shape, 1))
    return b


def _as_columns(b: Array, rank: int) -> Array:
    return b[..., None] if b.ndim == rank - 1 else b


@operation(_solve_rule, room=_solved)
def solve(a: Array, b: Array) -> Array:
    """x with a @ x = b, for square matrices `a` and vectors or matrices `b`."""
    a, b = tensor(a), tensor(b)
    return xp.linalg.solve(a, _as_columns(b, a.ndim)).reshape(b.shape)


@operation(_solve_rule, room=_solved)
def solve_triangular(a: Array, b: Array, *, lower: bool = False) -> Array:
    """x with a @ x = b, where only one triangle of `a` is read."""
    a, b = tensor(a), tensor(b)
    triangle = xp.tril(a) if lower else xp.triu(a)
    return _solved_triangle(triangle, _as_columns(b, a.ndim), lower).reshape(b.shape)


def _lstsq_rule(a: Spec, b: Spec) -> Spec:
    fit("rows columns, rows k", a.shape, b.shape if len(b.shape) > 1 else (*b.shape, 1))
    return Spec((a.shape[1], *b.shape[1:]), a.dtype)


@operation(_lstsq_rule, room=_searched)
def lstsq(a: Array, b: Array, *, rcond: float | None = None) -> Array:
    """(m, n), (m,) or (m, k) -> the x with the least |a @ x - b|; singular values below rcond * largest count as 0."""
    a, b = tensor(a), tensor(b)
    cut = float(np.finfo(a.dtype).eps) * max(a.shape) if rcond is None else rcond
    u, s, vt = _singular(a)
    inverse = _inverse_where(s >= cut * s[0], s)[:, None]
    return (_transposed(vt) @ (inverse * (_transposed(u) @ _as_columns(b, 2)))).reshape(a.shape[1], *b.shape[1:])


def _inverse_where(kept: Array, s: Array) -> Array:
    """1 / s where `kept`, else 0."""
    return xp.where(kept, 1 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))


@operation(lambda x: Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype), room=_searched)
def pinv(x: Array, *, rcond: float | None = None) -> Array:
    """The pseudo-inverse; singular values below rcond * largest (10 max(m, n) eps) count as 0."""
    x = tensor(x)
    cut = 10.0 * max(x.shape[-2:]) * float(np.finfo(x.dtype).eps) if rcond is None else rcond
    u, s, vt = _singular(x)
    inverse = _inverse_where(s > cut * xp.max(s, axis=-1, keepdims=True), s)
    return (_transposed(vt) * inverse[..., None, :]) @ _transposed(u)


@operation(lambda x: Spec(x.shape[:-2], "int32"), room=_searched)
def matrix_rank(x: Array, *, tol: float | None = None) -> Array:
    """The int32 number of singular values above `tol` (eps * max(m, n) * the largest)."""
    x = tensor(x)
    s = _singular_values(x)
    eps = float(np.finfo(x.dtype).eps)
    limit = eps * max(x.shape[-2:]) * xp.max(s, axis=-1, keepdims=True) if tol is None else tol
    return xp.sum(s > limit, axis=-1).astype("int32")


def _norm_room(x: Spec, *, ord: Any, axis: int | Sequence[int] | None) -> tuple[int, int]:  # noqa: A002 - Keras's name
    """The norms 2, -2 and "nuc" of matrices need singular values."""
    axes = axes_of(axis, len(x.shape))
    if len(axes) != 2 or ord not in (2, -2, "nuc"):
        return 0, 0
    others = tuple(width for at, width in enumerate(x.shape) if at not in axes)
    return _searched(Spec((*others, x.shape[axes[0]], x.shape[axes[1]]), x.dtype))


@operation(lambda x, *, axis, keepdims: reduced_shape(x.shape, axis, keepdims), room=_norm_room)
def norm(
    x: Array,
    *,
    ord: Any = None,  # noqa: A002 - Keras's name
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Array:
    """The norm over one axis (of vectors) or two (of matrices); `axis=None`: over all axes, by default the 2-norm."""
    x = as_floats(x)
    axes = axes_of(axis, x.ndim)
    if ord is None:
        return xp.sqrt(xp.sum(xp.abs(x) ** 2, axis=axes, keepdims=keepdims))
    if len(axes) > 2:
        raise ValueError(f"norm takes one or two axes, got {axes}")
    kind = math.inf if ord == "inf" else -math.inf if ord == "-inf" else ord
    return tensor(norm_of(x, kind, axes, keepdims), x.dtype.name)
