"""Matrix products: einsum of two operands as one, which NumPy's own does not do, and few rows with many columns."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from fnet.records import dataclass

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What axes are called; `string` takes as long to import as three of our files."""


@dataclass(frozen=True)
class Product:
    """Axes of each operand summed alone, their orders (batch, rows or contracted, ...), and the result's order."""

    sums: tuple[tuple[int, ...], tuple[int, ...]]
    orders: tuple[tuple[int, ...], tuple[int, ...]]
    batch: int
    contracted: int
    out: tuple[int, ...]


def einsum(equation: str, *operands: Any) -> Any:
    """`np.einsum(equation, *operands)`; two operands go through `np.matmul` wherever it can express them."""
    operands = tuple(map(np.asarray, operands))
    require_sizes(equation, *(x.shape for x in operands))
    if len(operands) == 2:
        product = product_of(equation.replace(" ", ""), *(x.ndim for x in operands))
        if product is not None:
            return _multiplied(product, *operands)
    return np.einsum(equation, *operands, optimize=True)


@functools.lru_cache(maxsize=1024)
def require_sizes(equation: str, *shapes: tuple[int, ...]) -> None:
    """Refuse to sum axes of different sizes: NumPy and JAX stretch a size of 1, TensorFlow does not."""
    terms, _, out = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms.split(","), shapes, strict=False):
        before, _, after = term.partition("...")
        for letter, size in (*zip(before, shape, strict=False), *zip(after[::-1], shape[::-1], strict=False)):
            if letter not in out and sizes.setdefault(letter, size) != size:
                raise ValueError(f"{equation!r} of {shapes} sums axes {letter!r} of sizes {sizes[letter]} and {size}")


@functools.lru_cache(maxsize=1024)
def product_of(equation: str, rank_a: int, rank_b: int) -> Product | None:
    """How a matrix product computes `equation`; None where it cannot (diagonals, implicit output)."""
    if "->" not in equation or equation.count(",") != 1:
        return None
    terms, out = equation.split("->")
    a, b = terms.split(",")
    unused = [c for c in LETTERS if c not in equation]
    widths = [rank - len(term) + 3 for term, rank in ((a, rank_a), (b, rank_b)) if "..." in term]
    if widths and (max(widths) > len(unused) or "..." not in out):
        return None
    filler = "".join(unused[: max(widths, default=0)])
    a, b = (_expand(term, rank, filler) for term, rank in ((a, rank_a), (b, rank_b)))
    out = out.replace("...", filler)
    if len(a) != rank_a or len(b) != rank_b or any(len(set(term)) != len(term) for term in (a, b, out)):
        return None
    if not set(out) <= set(a + b):
        return None
    return _product(a, b, out)


def _expand(term: str, rank: int, filler: str) -> str:
    """`term` with a letter for each axis that "..." stands for; they align at the end, as in broadcasting."""
    width = rank - len(term) + 3
    return term.replace("...", filler[len(filler) - width :]) if "..." in term else term


def _product(a: str, b: str, out: str) -> Product:
    batch = [c for c in out if c in a and c in b]
    contracted = [c for c in a if c in b and c not in out]
    rows = [c for c in a if c in out and c not in b]
    columns = [c for c in b if c in out and c not in a]
    lone_a, lone_b = (tuple(i for i, c in enumerate(t) if c not in o + out) for t, o in ((a, b), (b, a)))
    kept_a, kept_b = ([c for c in t if c in o + out] for t, o in ((a, b), (b, a)))
    order_a = tuple(kept_a.index(c) for c in [*batch, *rows, *contracted])
    order_b = tuple(kept_b.index(c) for c in [*batch, *contracted, *columns])
    order = [*batch, *rows, *columns]
    result = tuple(order.index(c) for c in out)
    return Product((lone_a, lone_b), (order_a, order_b), len(batch), len(contracted), result)


def _multiplied(product: Product, a: Any, b: Any) -> Any:
    a = np.sum(a, axis=product.sums[0]) if product.sums[0] else a
    b = np.sum(b, axis=product.sums[1]) if product.sums[1] else b
    a, b = a.transpose(product.orders[0]), b.transpose(product.orders[1])
    batch, inner = product.batch, product.contracted
    rows, columns = a.shape[batch : a.ndim - inner], b.shape[batch + inner :]
    depth = math.prod(b.shape[batch : batch + inner])
    left = a.reshape(*a.shape[:batch], math.prod(rows), depth)
    right = b.reshape(*b.shape[:batch], depth, math.prod(columns))
    y = matmul(left, right)
    return y.reshape((*y.shape[:batch], *rows, *columns)).transpose(product.out)


FLOAT32 = np.dtype("float32")
FEW_ROWS, MANY_ROWS = 5, 48
"""With fewer rows a product is at the speed of the memory as it is, with more at that of the processor."""

UNPACKED = 1_000_000
"""OpenBLAS does products of up to so many multiplications without packing their operands anew."""

SMALL_KERNEL = 8192
"""Packing many rows takes as long as a third of their products with so few entries, or half of it."""

DEEPEST = 448
"""Where OpenBLAS packs it adds up no more terms than these in a row, which is more exact for longer sums."""


def matmul(x: Any, kernel: Any, out: Any = None) -> Any:
    """(..., in) @ (in, out): some columns or rows at a time where that is faster, in up to half the time."""
    arrays = isinstance(x, np.ndarray) and isinstance(kernel, np.ndarray)  # or what JAX traces, which NumPy refuses
    plain = not arrays or kernel.ndim != 2 or not x.dtype == kernel.dtype == FLOAT32
    if not plain and out is None and x.ndim == 2 and len(x) < FEW_ROWS:
        return np.dot(x, kernel)  # begins sooner than `np.matmul`
    rows, width = (0, 0) if plain or not kernel.flags.c_contiguous else _piece(x.shape, kernel.shape)
    if not width and (not rows or not x.flags.c_contiguous):
        return np.matmul(x, kernel, out=out)
    depth, columns = kernel.shape
    y = np.empty((*x.shape[:-1], columns), x.dtype) if out is None else out
    if width:
        np.matmul(x, _side_by_side(kernel, width), out=_side_by_side(y, width))
        return y
    x_rows, y_rows = x.reshape(-1, depth), y.reshape(-1, columns, copy=False)
    whole = len(x_rows) // rows * rows
    np.matmul(x_rows[:whole].reshape(-1, rows, depth), kernel, out=y_rows[:whole].reshape(-1, rows, columns))
    np.matmul(x_rows[whole:], kernel, out=y_rows[whole:])
    return y


def _side_by_side(matrix: Any, width: int) -> Any:
    """(n, columns) as a view (columns / width, n, width)."""
    return matrix.reshape(len(matrix), -1, width, copy=False).swapaxes(0, 1)


@functools.lru_cache(maxsize=1024)
def _piece(shape: tuple[int, ...], kernel: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) that are taken at a time where that is faster; 0: all of them."""
    rows, (depth, columns) = math.prod(shape[:-1]), kernel
    if not rows * depth * columns or shape[-1] != depth or not _never_packs_small_products():
        return 0, 0
    if len(shape) == 2 and FEW_ROWS <= rows <= MANY_ROWS:
        width = min(1 << max(UNPACKED // (rows * depth), 1).bit_length() - 1, columns & -columns)
        return 0, width if 32 <= width < columns else 0
    small = depth * columns <= SMALL_KERNEL and depth <= DEEPEST and rows * depth * columns > UNPACKED
    return min(512, UNPACKED // (depth * columns) // 16 * 16) if small else 0, 0


@functools.cache
def _never_packs_small_products() -> bool:
    """Whether this is OpenBLAS on a processor for which it has such kernels, those with AVX-512."""
    about: Any = np.show_config(mode="dicts")
    simd = about.get("SIMD Extensions", {}).get("found", [])
    blas = about.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return "openblas" in blas and any(name.startswith(("AVX512", "X86_V4")) for name in simd)
