"""Products of tensors and the linear algebra of matrices in the last two axes.

Integers are multiplied as floats, as in Keras, and the result is an integer again. Source: keras.ops.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.operations.dtypes import floating, is_complex, promoted, result_type, strong, tensor
from fnet.operations.rules import (
    Operation,
    axes_of,
    broadcast_shapes,
    named,
    operation,
    reduced_shape,
    shape_of,
    total,
)
from fnet.types import Array, Shape, Spec

# --- products -------------------------------------------------------------------------------------


def _factors(*xs: Any) -> tuple[list[Array], str]:
    """(the factors as floats, the dtype of their product)."""
    arrays = strong(*xs)
    name = arrays[0].dtype.name
    return (arrays if is_complex(arrays[0]) else floating(*arrays)), name


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    left = (1, *a) if len(a) == 1 else a
    right = (*b, 1) if len(b) == 1 else b
    if left[-1] is not None and right[-2] is not None and left[-1] != right[-2]:
        raise ValueError(f"matmul of {a} and {b}: the last axis of the first must be the one before last of the second")
    made = (*broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    made = made[:-2] + made[-1:] if len(a) == 1 else made
    return made[:-1] if len(b) == 1 else made


def _product_dtype(*xs: Any) -> str:
    names = {str(x.dtype) if hasattr(x, "dtype") else tensor(x).dtype.name for x in xs}
    return "int32" if names == {"int8"} else result_type(*names)


def _matmul_rule(x1: Any, x2: Any) -> Spec:
    dtype = _product_dtype(x1, x2) if 1 not in (len(shape_of(x1)), len(shape_of(x2))) else None
    return Spec(_matmul_shape(shape_of(x1), shape_of(x2)), dtype or _plain_dtype(x1, x2))


def _plain_dtype(*xs: Any) -> str:
    return result_type(*(str(x.dtype) if hasattr(x, "dtype") else tensor(x).dtype.name for x in xs))


@operation(_matmul_rule)
def matmul(x1: Array, x2: Array) -> Array:
    """(..., n, k) @ (..., k, m) -> (..., n, m); a single axis is a row on the left, a column on the right."""
    x1, x2 = tensor(x1), tensor(x2)
    dtype = _matmul_rule(x1, x2).dtype
    (x1, x2), _ = _factors(x1, x2)
    return tensor(xp.matmul(x1, x2), dtype)


def _dot_rule(x1: Any, x2: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    if not a or not b:
        return Spec((*a, *b), _plain_dtype(x1, x2))
    return Spec((*a[:-1], *b[:-2], *b[-1:]) if len(b) > 1 else a[:-1], _plain_dtype(x1, x2))


@operation(_dot_rule)
def dot(x1: Array, x2: Array) -> Array:
    """The sum over the last axis of `x1` and the one before last (or only one) of `x2`."""
    (x1, x2), dtype = _factors(x1, x2)
    return tensor(xp.dot(x1, x2), dtype)


@operation(lambda x1, x2: Spec((), _plain_dtype(x1, x2)))
def vdot(x1: Array, x2: Array) -> Array:
    """The sum of all products of two tensors of one size."""
    (x1, x2), dtype = _factors(x1, x2)
    return tensor(xp.dot(x1.reshape(-1), x2.reshape(-1)), dtype)


def _inner_rule(x1: Any, x2: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    return Spec((*a[:-1], *b[:-1]) if a and b else (*a, *b), _plain_dtype(x1, x2))


@operation(_inner_rule)
def inner(x1: Array, x2: Array) -> Array:
    """The sum over the last axis of both."""
    (x1, x2), dtype = _factors(x1, x2)
    return tensor(xp.inner(x1, x2), dtype)


@operation(lambda x1, x2: Spec((total(shape_of(x1)), total(shape_of(x2))), _plain_dtype(x1, x2)))
def outer(x1: Array, x2: Array) -> Array:
    """Every number of `x1` times every number of `x2`."""
    x1, x2 = strong(x1, x2)
    return x1.reshape(-1, 1) * x2.reshape(-1)


def _tensordot_axes(axes: Any, rank1: int, rank2: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, int):
        return tuple(range(rank1 - axes, rank1)), tuple(range(axes))
    first, second = ((a,) if isinstance(a, int) else tuple(a) for a in axes)
    return axes_of(first, rank1), axes_of(second, rank2)


def _tensordot_rule(x1: Any, x2: Any, *, axes: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    first, second = _tensordot_axes(axes, len(a), len(b))
    for i, j in zip(first, second, strict=True):
        if a[i] is not None and b[j] is not None and a[i] != b[j]:
            raise ValueError(f"tensordot of {a} and {b}: axes {i} and {j} differ in size")
    rest = [d for i, d in enumerate(a) if i not in first] + [d for i, d in enumerate(b) if i not in second]
    return Spec(tuple(rest), _plain_dtype(x1, x2))


@operation(_tensordot_rule)
def tensordot(x1: Array, x2: Array, *, axes: Any = 2) -> Array:
    """The sum over pairs of axes: the last and first `axes` ones, or (axes of x1, axes of x2)."""
    (x1, x2), dtype = _factors(x1, x2)
    return tensor(xp.tensordot(x1, x2, axes=_tensordot_axes(axes, x1.ndim, x2.ndim)), dtype)


def _expanded(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Letters of every operand and of the result, "..." spelt out in capitals that are free."""
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


def _einsum_rule(*operands: Any, subscripts: str) -> Spec:
    terms, result = _expanded(subscripts, [len(shape_of(x)) for x in operands])
    sizes: dict[str, int | None] = {}
    for term, x in zip(terms, operands, strict=True):
        for letter, size in zip(term, shape_of(x), strict=True):
            sizes[letter] = broadcast_shapes((sizes.get(letter, 1),), (size,))[0]
    return Spec(tuple(sizes[letter] for letter in result), _product_dtype(*operands))


@operation(_einsum_rule)
def einsum(*operands: Array, subscripts: str) -> Array:
    """The sum of products that `subscripts` names: einsum(x, w, subscripts="bi,ij->bj")."""
    arrays = [tensor(x) for x in operands]
    dtype = _product_dtype(*arrays)
    factors, _ = _factors(*arrays)
    terms, result = _expanded(subscripts, [x.ndim for x in factors])
    return tensor(ops.einsum(f"{','.join(terms)}->{result}", *factors), dtype)


def _kron_rule(x1: Any, x2: Any) -> Spec:
    a, b = shape_of(x1), shape_of(x2)
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)
    return Spec(tuple(total((m, n)) for m, n in zip(a, b, strict=True)), _plain_dtype(x1, x2))


@operation(_kron_rule)
def kron(x1: Array, x2: Array) -> Array:
    """Every number of `x1` times the whole of `x2`, side by side."""
    return xp.kron(*strong(x1, x2))


def _cross_rule(x1: Any, x2: Any, *, axisa: int, axisb: int, axisc: int, axis: int | None) -> Spec:
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = list(shape_of(x1)), list(shape_of(x2))
    widths = (a.pop(axisa), b.pop(axisb))
    made = broadcast_shapes(tuple(a), tuple(b))
    if widths == (2, 2):
        return Spec(made, _plain_dtype(x1, x2))
    place = axisc if axisc >= 0 else len(made) + 1 + axisc
    return Spec((*made[:place], 3, *made[place:]), _plain_dtype(x1, x2))


def _three(x: Array) -> Array:
    return xp.concatenate([x, xp.zeros_like(x[..., :1])], axis=-1) if x.shape[-1] == 2 else x


@operation(_cross_rule)
def cross(x1: Array, x2: Array, *, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """The cross product of vectors of 2 or 3 numbers; of two of 2, only the third number of the result."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x1, x2 = strong(x1, x2)
    flat = x1.shape[axisa] == x2.shape[axisb] == 2
    a, b = (_three(xp.moveaxis(x, i, -1)) for x, i in ((x1, axisa), (x2, axisb)))
    (a0, a1, a2), (b0, b1, b2) = ((v[..., 0], v[..., 1], v[..., 2]) for v in (a, b))
    third = a0 * b1 - a1 * b0
    return third if flat else xp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, third], axis=axisc)


@operation(lambda x, y: Spec((*broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-2]), x.dtype))
def cdist(x: Array, y: Array) -> Array:
    """(..., n, d), (..., m, d) -> (..., n, m): Euclidean distances."""
    x, y = tensor(x), tensor(y)
    gap = x[..., :, None, :] - y[..., None, :, :]
    return xp.sqrt(xp.sum(gap * gap, axis=-1))


def _correlate_rule(x1: Spec, x2: Spec, *, mode: str) -> Shape:
    (n,), (m,) = x1.shape, x2.shape
    if n is None or m is None:
        return (None,)
    return ({"valid": n - m + 1, "same": max(n, m), "full": n + m - 1}[mode],)


@operation(_correlate_rule)
def correlate(x1: Array, x2: Array, *, mode: str = "valid") -> Array:
    """(n,), (m,) -> sums of products of `x2` laid over `x1` at every shift; `mode` "valid", "same", "full"."""
    name = promoted(x1, x2)[0].dtype.name
    wide = name if "float" in name else "float64" if name == "int64" else "float32"
    x1, x2 = tensor(x1, wide), tensor(x2, wide)
    if mode != "same":
        return xp.correlate(x1, x2, mode=mode)
    whole = xp.correlate(x1, x2, mode="full")
    length = max(len(x1), len(x2))
    start = (len(whole) - length) // 2
    return whole[start : start + length]


# --- diagonals ------------------------------------------------------------------------------------


def _trace_rule(x: Spec, *, axis1: int, axis2: int) -> Shape:
    gone = axes_of((axis1, axis2), len(x.shape))
    return tuple(d for i, d in enumerate(x.shape) if i not in gone)


@operation(_trace_rule)
def trace(x: Array, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The sum of the diagonal of the planes (axis1, axis2)."""
    from fnet.operations.dtypes import counted

    x = counted(tensor(x))
    return xp.sum(xp.diagonal(x, offset=offset, axis1=axis1, axis2=axis2), axis=-1, dtype=x.dtype)


# --- matrices -------------------------------------------------------------------------------------


def _square(x: Spec) -> Shape:
    if len(x.shape) < 2 or (None not in x.shape[-2:] and x.shape[-1] != x.shape[-2]):
        raise ValueError(f"square matrices are needed in the last two axes; got {x.shape}")
    return x.shape


def _matrix_rule(x: Spec) -> Spec:
    return Spec(_square(x), x.dtype)


def _scalar_rule(x: Spec) -> Spec:
    return Spec(_square(x)[:-2], x.dtype)


def _transposed(x: Array) -> Array:
    return xp.swapaxes(x, -1, -2)


@operation(lambda x: Spec(_square(x), x.dtype))
def inv(x: Array) -> Array:
    """The inverse of square matrices. Errors: a singular one raises LinAlgError on NumPy and is inf or NaN on JAX."""
    return xp.linalg.inv(tensor(x))


@operation(_scalar_rule)
def det(x: Array) -> Array:
    """The determinant of square matrices."""
    return xp.linalg.det(tensor(x))


def _slogdet_rule(x: Spec) -> tuple[Spec, Spec]:
    return _scalar_rule(x), _scalar_rule(x)


@operation(_slogdet_rule)
def slogdet(x: Array) -> tuple[Array, Array]:
    """(sign of the determinant, log of its magnitude)."""
    sign, log = xp.linalg.slogdet(tensor(x))
    return sign, log


@operation(_scalar_rule)
def logdet(x: Array) -> Array:
    """The log of the determinant of Hermitian positive definite matrices."""
    factor = xp.linalg.cholesky(tensor(x))
    return 2 * xp.sum(xp.log(xp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)


def _with_upper(name: str, text: str, compute: Callable[[Array, bool], Array]) -> Operation:
    def apply(x: Array, *, upper: bool = False) -> Array:
        return compute(tensor(x), upper)

    return operation(_matrix_rule)(named(name, text, apply))


def _cholesky(x: Array, upper: bool) -> Array:
    lower = xp.linalg.cholesky(x)
    return xp.conj(_transposed(lower)) if upper else lower


def _cholesky_inverse(x: Array, upper: bool) -> Array:
    factor = xp.triu(x) if upper else xp.tril(x)
    inverse = xp.linalg.inv(factor)
    return inverse @ _transposed(inverse) if upper else _transposed(inverse) @ inverse


cholesky = _with_upper("cholesky", "L with L @ L.T = x (upper: its transpose), of positive definite x.", _cholesky)
cholesky_inverse = _with_upper(
    "cholesky_inverse", "The inverse of the matrix whose Cholesky factor is x.", _cholesky_inverse
)


def _eigh_rule(x: Spec) -> tuple[Spec, Spec]:
    return Spec(_square(x)[:-1], x.dtype), _matrix_rule(x)


@operation(_eigh_rule)
def eigh(x: Array) -> tuple[Array, Array]:
    """(ascending eigenvalues, eigenvectors in columns) of symmetric matrices; the signs of vectors are arbitrary."""
    values, vectors = xp.linalg.eigh(tensor(x))
    return values, vectors


def _eig_rule(x: Spec) -> tuple[Spec, Spec]:
    dtype = "complex128" if x.dtype in ("float64", "complex128") else "complex64"
    return Spec(_square(x)[:-1], dtype), Spec(x.shape, dtype)


@operation(_eig_rule)
def eig(x: Array) -> tuple[Array, Array]:
    """(complex eigenvalues, eigenvectors in columns) of square matrices, in an arbitrary order."""
    values, vectors = xp.linalg.eig(tensor(x))
    dtype = "complex128" if tensor(x).dtype.name in ("float64", "complex128") else "complex64"
    return ops.cast(values, dtype), ops.cast(vectors, dtype)


def _lu_rule(x: Spec) -> tuple[Spec, Spec]:
    return x, Spec(x.shape[:-1], "int32")


@operation(_lu_rule)
def lu_factor(x: Array) -> tuple[Array, Array]:
    """(L below and U on and above the diagonal, int32 row order p) with x[p] = L @ U, by partial pivoting."""
    return ops.lu(tensor(x))


def _qr_rule(x: Spec, *, mode: str) -> tuple[Spec, Spec]:
    *batch, m, n = x.shape
    inner = m if mode == "complete" else None if m is None or n is None else min(m, n)
    return Spec((*batch, m, inner), x.dtype), Spec((*batch, inner, n), x.dtype)


@operation(_qr_rule)
def qr(x: Array, *, mode: str = "reduced") -> tuple[Array, Array]:
    """(Q, R) with Q @ R = x, `mode` "reduced" or "complete"."""
    q, r = xp.linalg.qr(tensor(x), mode=mode)
    return q, r


def _svd_rule(x: Spec, *, full_matrices: bool, compute_uv: bool) -> Any:
    *batch, m, n = x.shape
    k = None if m is None or n is None else min(m, n)
    values = Spec((*batch, k), x.dtype)
    if not compute_uv:
        return values
    left, right = (m, n) if full_matrices else (k, k)
    return Spec((*batch, m, left), x.dtype), values, Spec((*batch, right, n), x.dtype)


@operation(_svd_rule)
def svd(x: Array, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """(U, singular values, V transposed), or the values alone; the signs of vectors are arbitrary."""
    if not compute_uv:
        return xp.linalg.svd(tensor(x), full_matrices=full_matrices, compute_uv=False)
    return tuple(xp.linalg.svd(tensor(x), full_matrices=full_matrices))


def _solve_rule(a: Spec, b: Spec) -> Spec:
    _square(a)
    return b


def _as_columns(b: Array, rank: int) -> Array:
    return b[..., None] if b.ndim == rank - 1 else b


@operation(_solve_rule)
def solve(a: Array, b: Array) -> Array:
    """x with a @ x = b, for square matrices `a` and vectors or matrices `b`."""
    a, b = tensor(a), tensor(b)
    return xp.linalg.solve(a, _as_columns(b, a.ndim)).reshape(b.shape)


@operation(_solve_rule)
def solve_triangular(a: Array, b: Array, *, lower: bool = False) -> Array:
    """x with a @ x = b, of which only one triangle of `a` counts."""
    a, b = tensor(a), tensor(b)
    triangle = xp.tril(a) if lower else xp.triu(a)
    return xp.linalg.solve(triangle, _as_columns(b, a.ndim)).reshape(b.shape)


def _lstsq_rule(a: Spec, b: Spec) -> Spec:
    return Spec((a.shape[1], *b.shape[1:]), a.dtype)


@operation(_lstsq_rule)
def lstsq(a: Array, b: Array, *, rcond: float | None = None) -> Array:
    """(m, n), (m,) or (m, k) -> the x of least |a @ x - b|; singular values below rcond * largest count as 0."""
    a, b = tensor(a), tensor(b)
    cut = float(np.finfo(a.dtype).eps) * max(a.shape) if rcond is None else rcond
    u, s, vt = xp.linalg.svd(a, full_matrices=False)
    kept = s >= cut * s[0]
    inverse = xp.where(kept, 1 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))
    columns = b[:, None] if b.ndim == 1 else b
    return (_transposed(vt) @ (inverse[:, None] * (_transposed(u) @ columns))).reshape(a.shape[1], *b.shape[1:])


def _pinv_rule(x: Spec) -> Spec:
    return Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


@operation(_pinv_rule)
def pinv(x: Array, *, rcond: float | None = None) -> Array:
    """The pseudo-inverse; singular values below rcond * largest (10 max(m, n) eps) count as 0."""
    x = tensor(x)
    cut = 10.0 * max(x.shape[-2:]) * float(np.finfo(x.dtype).eps) if rcond is None else rcond
    u, s, vt = xp.linalg.svd(x, full_matrices=False)
    kept = s > cut * xp.max(s, axis=-1, keepdims=True)
    inverse = xp.where(kept, 1 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))
    return (_transposed(vt) * inverse[..., None, :]) @ _transposed(u)


@operation(lambda x: Spec(x.shape[:-2], "int32"))
def matrix_rank(x: Array, *, tol: float | None = None) -> Array:
    """The int32 number of singular values above `tol` (eps * max(m, n) * the largest)."""
    x = tensor(x)
    s = xp.linalg.svd(x, compute_uv=False)
    eps = float(np.finfo(x.dtype).eps)
    limit = eps * max(x.shape[-2:]) * xp.max(s, axis=-1, keepdims=True) if tol is None else tol
    return xp.sum(s > limit, axis=-1).astype("int32")


def _norm_rule(x: Spec, *, axis: int | Sequence[int] | None, keepdims: bool) -> Shape:
    return reduced_shape(x.shape, axis, keepdims)


@operation(_norm_rule)
def norm(
    x: Array,
    *,
    ord: Any = None,  # noqa: A002 - Keras's name
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Array:
    """The norm over one axis (of vectors) or two (of matrices); `axis=None` takes all, 2-norm of all numbers."""
    x = floating(x)[0]
    axes = axes_of(axis, x.ndim)
    if ord is None or (ord == "fro" and len(axes) == 2):
        return xp.sqrt(xp.sum(xp.abs(x) ** 2, axis=axes, keepdims=keepdims))
    if len(axes) > 2:
        raise ValueError(f"norm takes one or two axes, got {axes}")
    kind = math.inf if ord == "inf" else -math.inf if ord == "-inf" else ord
    return tensor(xp.linalg.norm(x, kind, axes if len(axes) == 2 else axes[0], keepdims), x.dtype.name)
