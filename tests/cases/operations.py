"""Rows of fnet.operations: operation, inputs, options. The Keras twin is the class that the op table names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fnet import operations as o
from fnet import tree


@dataclass(frozen=True)
class A:
    """A random input: shape, dtype, and the range of integers or the offset and scale of floats."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: int = -4
    high: int = 5
    center: float = 0.0
    scale: float = 1.0
    nan: bool = False

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.dtype == "bool":
            return rng.random(self.shape) < 0.5
        if "int" in self.dtype:
            return rng.integers(0 if self.dtype[0] == "u" and self.low < 0 else self.low, self.high, self.shape).astype(
                self.dtype
            )
        values = rng.standard_normal(self.shape) * self.scale + self.center
        if self.nan:
            values = np.where(rng.random(self.shape) < 0.3, np.nan, values)
        return values.astype(self.dtype)


@dataclass(frozen=True)
class Gram(A):
    """Positive definite matrices."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        a = rng.standard_normal(self.shape)
        return (a @ np.swapaxes(a, -1, -2) + np.eye(self.shape[-1])).astype(self.dtype)


@dataclass(frozen=True)
class OpCase:
    """One row. inputs: the tensors and literals of the Keras call, in order. jit=False: its size depends on values.

    exact=False: the result is unique up to signs only; `check` compares what is unique instead.
    """

    layer: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    jit: bool = True
    check: Callable[..., Any] | None = None
    skip_modes: tuple[str, ...] = ()
    floor: float = 0.0
    """Added to the yardstick where Keras itself is not exact to 1e-6."""

    def __post_init__(self) -> None:
        if not self.jit:
            object.__setattr__(self, "skip_modes", ("jax-jit",))

    @property
    def id(self) -> str:
        inputs = ",".join(
            f"{i.dtype}{list(i.shape)}" if isinstance(i, A) else repr(i)[:30] for i in tree.leaves(list(self.inputs))
        )
        options = ",".join(f"{k}={v!r:.30}" for k, v in self.options.items())
        return f"{self.layer.__name__}({inputs};{options})"

    def draw(self, seed: int = 0) -> tuple[Any, ...]:
        rng = np.random.default_rng(seed)
        return tree.map(lambda a: a.draw(rng) if isinstance(a, A) else a, self.inputs)


def _rows(layers: Any, *inputs: Any, **options: Any) -> list[OpCase]:
    return [OpCase(layer, inputs, options) for layer in layers]


M = A((2, 3))
P = A((2, 3), center=3.0, scale=0.3)
U = A((2, 3), scale=0.3)
I = A((2, 3), "int32")  # noqa: E741
B = A((2, 3), "bool")
DTYPES = ("float32", "float16", "int32", "int64", "int8", "uint8", "uint16", "bool")

UNARY = (
    *(o.absolute, o.abs, o.fabs, o.negative, o.sign, o.square, o.exp, o.exp2, o.expm1, o.sin, o.cos, o.tan, o.arctan),
    *(o.sinh, o.cosh, o.tanh, o.arcsinh, o.sinc, o.deg2rad, o.rad2deg, o.floor, o.ceil, o.trunc, o.copy, o.real),
    *(
        o.isreal,
        o.isnan,
        o.isinf,
        o.isposinf,
        o.isneginf,
        o.isfinite,
        o.signbit,
        o.logical_not,
        o.cbrt,
        o.round,
        o.angle,
    ),
    *(o.ndim, o.size, o.ravel, o.zeros_like, o.ones_like, o.empty_like, o.nan_to_num, o.i0),
)
POSITIVE = (o.sqrt, o.log, o.log2, o.log10, o.log1p, o.arccosh)
BINARY = (
    *(o.add, o.subtract, o.multiply, o.divide, o.true_divide, o.divide_no_nan, o.maximum, o.minimum, o.fmax, o.fmin),
    *(o.equal, o.not_equal, o.greater, o.greater_equal, o.less, o.less_equal),
    *(o.logical_and, o.logical_or, o.logical_xor, o.arctan2, o.hypot, o.heaviside, o.logaddexp, o.logaddexp2),
)
REDUCE = (
    *(o.sum, o.mean, o.var, o.std, o.any, o.all, o.amax, o.amin, o.max, o.min, o.prod, o.nansum, o.nanprod),
    *(o.nanmax, o.nanmin, o.nanmean, o.nanvar, o.nanstd),
)
ACTIVATIONS = (
    *(o.relu6, o.sigmoid, o.softplus, o.softsign, o.silu, o.log_sigmoid, o.hard_sigmoid, o.hard_silu, o.mish),
    *(o.hard_tanh, o.selu, o.tanh_shrink, o.sparse_plus, o.sparse_sigmoid, o.relu, o.leaky_relu, o.elu, o.celu),
    *(o.gelu, o.squareplus, o.hard_shrink, o.soft_shrink, o.softmax, o.log_softmax, o.sparsemax),
)

ELEMENTWISE = [
    *_rows(UNARY, A((2, 3, 2), scale=2.0)),
    *_rows(POSITIVE, P),
    *_rows((o.arcsin, o.arccos, o.arctanh, o.erf, o.erfc, o.erfinv), U),
    *_rows((o.reciprocal, o.rsqrt), P),
    *_rows(BINARY, M, M),
    *_rows(BINARY, A((2, 1, 3)), A((4, 1))),
    *_rows((o.add, o.subtract, o.multiply, o.divide, o.maximum, o.minimum, o.power, o.divide_no_nan), P, 2.5),
    *_rows((o.add, o.subtract, o.multiply, o.divide, o.maximum, o.minimum), 2, P),
    *_rows((o.add, o.multiply, o.divide, o.minimum), I, 2.5),
    *_rows((o.add, o.multiply, o.divide, o.minimum, o.not_equal, o.greater, o.logical_and), I, 2),
    *_rows((o.add, o.multiply, o.not_equal, o.less), M, [1.0, 2.0, 3.0]),
    *_rows((o.add, o.multiply), A((2, 3), "float16"), 2.5),
    *_rows((o.add, o.multiply), B, 2),
    *_rows((o.not_equal, o.equal, o.less), M, 0),
    *_rows((o.mod, o.fmod, o.floor_divide), M, P),
    *_rows((o.mod, o.floor_divide, o.fmod), I, 3),
    *_rows((o.gcd, o.lcm), I, A((2, 3), "int32", 1, 9)),
    *_rows((o.power,), P, U),
    *_rows((o.power,), I, 2),
    *_rows((o.ldexp,), M, I),
    *_rows((o.nextafter,), M, P),
    *_rows((o.bitwise_and, o.bitwise_or, o.bitwise_xor), I, A((2, 3), "int8")),
    *_rows((o.bitwise_left_shift, o.left_shift, o.bitwise_right_shift, o.right_shift), I, 2),
    *_rows((o.bitwise_not, o.bitwise_invert), I),
    *_rows((o.round,), A((2, 3), scale=100.0), decimals=1),
    *_rows((o.round,), A((2, 3), "int32", -200, 200), decimals=-1),
    *_rows((o.clip,), M, x_min=-0.5, x_max=0.5),
    *_rows((o.clip,), I, x_min=-1, x_max=2),
    *_rows((o.nan_to_num,), A((3, 4), nan=True), nan=1.5),
    *_rows((o.isclose,), M, M, rtol=0.5, atol=0.1),
    *_rows((o.isclose,), A((3, 4), nan=True), A((3, 4), nan=True), equal_nan=True),
    *_rows((o.allclose,), M, M),
    *[
        row
        for d in DTYPES
        for row in _rows((o.cast, o.saturate_cast), A((2, 3), scale=50.0), dtype=d)
        if d[0] != "u" or row.layer is o.saturate_cast
    ],
    *_rows((o.cast,), I, dtype="bool"),
    *_rows((o.cast,), I, dtype="float32"),
    *_rows((o.convert_to_tensor, o.array), I, dtype="float32"),
    OpCase(o.nonzero, (I,), jit=False),
    *_rows((o.stop_gradient, o.imag, o.conj, o.conjugate), M),
]

BY_DTYPE = [
    *[row for d in DTYPES for row in _rows(UNARY, A((2, 3), d))],
    *[row for d in DTYPES for row in _rows(POSITIVE[:5], A((2, 3), d, 1, 9, center=3.0, scale=0.3))],
    *[
        row
        for d in DTYPES
        for e in DTYPES
        if d != e
        for row in _rows(BINARY[:4] + BINARY[6:7], A((3,), d, 0), A((3,), e, 1, center=3.0))
    ],
    *[row for d in DTYPES for row in _rows(REDUCE, A((2, 3), d), axis=1)],
    *[
        row
        for d in DTYPES
        for row in _rows((o.argmax, o.argmin, o.cumsum, o.cumprod, o.sort, o.argsort), A((2, 3), d), axis=1)
    ],
    *[
        row
        for d in ("float32", "int32", "int8", "bool")
        for row in _rows((o.matmul, o.dot), A((2, 3), d), A((3, 2), d))
    ],
]

REDUCTIONS = [
    *_rows(REDUCE, A((2, 3, 4))),
    *_rows(REDUCE, A((2, 3, 4)), axis=(0, -1), keepdims=True),
    *_rows(REDUCE[11:], A((3, 4), nan=True), axis=1),
    *_rows((o.ptp, o.logsumexp), A((2, 3, 4)), axis=1, keepdims=True),
    *_rows((o.ptp, o.logsumexp), A((2, 3, 4), scale=300.0)),
    *_rows((o.max, o.min), M, axis=1, initial=0.5),
    *_rows((o.argmax, o.argmin, o.nanargmax, o.nanargmin), A((2, 3, 4))),
    *_rows((o.argmax, o.argmin, o.nanargmax, o.nanargmin), A((2, 3, 4)), axis=1, keepdims=True),
    *_rows((o.nanargmax, o.nanargmin), A((4, 3), nan=True), axis=1),
    *_rows((o.count_nonzero,), I, axis=1),
    *_rows((o.average,), A((2, 3, 4)), axis=1),
    *_rows((o.average,), M, P, axis=1),
    *_rows((o.average,), A((2, 3, 4)), A((3,), center=2.0, scale=0.2), axis=1),
    *_rows((o.cumsum, o.cumprod, o.nancumsum, o.nancumprod), A((2, 3, 4)), axis=1),
    *_rows((o.cumsum, o.cumprod), A((2, 3, 4))),
    *_rows((o.nancumsum, o.nancumprod), A((3, 4), nan=True), axis=1),
    *[
        OpCase(layer, (A((3, 4, 5)), q), {"axis": axis, "method": method, "keepdims": keep})
        for layer, q in ((o.quantile, 0.3), (o.quantile, [0.1, 0.75]), (o.percentile, 30.0), (o.nanquantile, 0.3))
        for axis, method, keep in (
            *((None, "linear", False), (1, "linear", False), ((0, 2), "linear", False), (1, "lower", False)),
            *((1, "higher", False), (1, "midpoint", False), (1, "nearest", False)),
        )
    ],
    *_rows((o.quantile, o.percentile), A((3, 4, 5)), 0.3, axis=1, keepdims=True),
    *_rows((o.median, o.nanmedian), A((3, 4, 5)), axis=1),
    *_rows((o.median,), A((3, 4)), axis=0, keepdims=True),
    *_rows((o.nanquantile, o.nanpercentile), A((3, 7), nan=True), 0.4, axis=1),
    *_rows((o.nanmedian,), A((3, 7), nan=True), axis=1),
    *_rows((o.quantile,), A((3, 7), nan=True), 0.4, axis=1),
    *_rows((o.histogram,), A((20,)), bins=5),
    *_rows((o.histogram,), A((20,)), bins=4, range=(-1.0, 1.0)),
    OpCase(o.bincount, (A((9,), "int32", 0, 6),), {}, jit=False),
    OpCase(o.bincount, (A((2, 9), "int32", 0, 6),), {"minlength": 8}, jit=False),
    *_rows((o.corrcoef,), A((3, 9))),
    *_rows((o.diff,), A((3, 5)), n=2),
    *_rows((o.diff,), A((3, 5), "bool"), axis=0),
    *_rows((o.trapezoid,), A((3, 5)), dx=0.5, axis=0),
]

SHAPING = [
    *_rows((o.reshape,), A((2, 6)), newshape=(-1, 3)),
    *_rows((o.reshape,), A((2, 6)), newshape=(2, 3, 2)),
    *_rows((o.expand_dims,), M, axis=1),
    *_rows((o.expand_dims,), M, axis=(0, -1)),
    *_rows((o.squeeze,), A((2, 1, 3, 1))),
    *_rows((o.squeeze,), A((2, 1, 3, 1)), axis=-1),
    *_rows((o.transpose,), A((2, 3, 4))),
    *_rows((o.transpose,), A((2, 3, 4)), axes=(0, 2, 1)),
    *_rows((o.swapaxes,), A((2, 3, 4)), axis1=0, axis2=-1),
    *_rows((o.moveaxis,), A((2, 3, 4)), source=0, destination=-1),
    *_rows((o.moveaxis,), A((2, 3, 4)), source=(0, 1), destination=(2, 0)),
    *_rows((o.broadcast_to,), A((3, 1)), shape=(2, 3, 4)),
    *_rows((o.flip,), A((2, 3)), axis=1),
    *_rows((o.flip, o.flipud, o.fliplr), A((2, 3))),
    *_rows((o.roll,), A((2, 3)), shift=1),
    *_rows((o.roll,), A((2, 3)), shift=2, axis=1),
    *_rows((o.rot90,), A((2, 3, 4))),
    *_rows((o.rot90,), A((2, 3, 4)), k=3, axes=(1, 2)),
    *_rows((o.concatenate,), [M, I], axis=1),
    *_rows((o.concatenate,), [M, M, M], axis=-1),
    *_rows((o.append,), M, I),
    *_rows((o.append,), M, M, axis=1),
    *_rows((o.stack,), [M, M], axis=1),
    *_rows((o.stack,), [M, M, M], axis=-1),
    *_rows((o.hstack, o.vstack, o.dstack), [M, M]),
    *_rows((o.hstack, o.dstack), [A((3,)), A((3,))]),
    *_rows((o.split,), A((4, 6)), indices_or_sections=3, axis=1),
    *_rows((o.split,), A((4, 6)), indices_or_sections=[1, 4], axis=-1),
    *_rows((o.array_split,), A((4, 7)), indices_or_sections=3, axis=1),
    *_rows((o.hsplit, o.vsplit), A((4, 6)), indices_or_sections=2),
    *_rows((o.dsplit,), A((2, 3, 4)), indices_or_sections=2),
    *_rows((o.unstack,), A((2, 3, 4)), axis=1),
    *_rows((o.tile,), M, repeats=(2, 1, 2)),
    *_rows((o.tile,), M, repeats=2),
    *_rows((o.repeat,), M, repeats=2, axis=1),
    *_rows((o.repeat,), M, repeats=2),
    *_rows((o.repeat,), M, repeats=(1, 3), axis=0),
    *_rows((o.pad,), M, pad_width=((1, 2), (0, 1))),
    *_rows((o.pad,), M, pad_width=1, constant_values=2.0),
    *_rows((o.pad,), A((4, 5)), pad_width=((1, 2), (2, 1)), mode="reflect"),
    *_rows((o.pad,), A((4, 5)), pad_width=((1, 2), (2, 1)), mode="symmetric"),
    *_rows((o.diagonal,), A((3, 4, 5)), offset=1),
    *_rows((o.diagonal,), A((3, 4, 5)), axis1=-2, axis2=-1),
    *_rows((o.diag,), A((3,)), k=1),
    *_rows((o.diag,), A((3, 4)), k=-1),
    *_rows((o.diagflat,), M, k=-1),
    *_rows((o.tril, o.triu), A((2, 3, 4)), k=1),
    *_rows((o.tril, o.triu), A((3, 4)), k=-1),
    *_rows((o.meshgrid,), A((3,)), A((4,))),
    *_rows((o.meshgrid,), A((3,)), A((4,)), A((2,)), indexing="ij"),
    *_rows((o.rearrange,), A((2, 6, 3)), pattern="b (h w) c -> b w (c h)", axes_lengths={"h": 2}),
    *_rows((o.rearrange,), A((2, 3, 4)), pattern="a b c -> c (a b)"),
]

INDEXING = [
    *[
        OpCase(o.get_item, (A((4, 5, 6)),), {"key": key})
        for key in (
            *(1, -1, slice(1, 3), (slice(None), 2), (Ellipsis, 0), (slice(None), None, slice(None, None, -1))),
            *((0, slice(1, None), slice(None, None, 2)), (Ellipsis, None), None, (slice(None), slice(-2, None))),
        )
    ],
    *_rows((o.get_item,), A((4, 5)), A((3,), "int32", 0, 4)),
    *_rows((o.get_item,), A((4, 5)), [slice(None), A((3,), "int32", 0, 4)]),
    *_rows((o.take,), A((4, 5)), A((3, 2), "int32", -4, 4), axis=1),
    *_rows((o.take,), A((4, 5)), A((3,), "int32", 0, 20)),
    *_rows((o.take,), A((4, 5)), [0, 2], axis=0),
    *_rows((o.take_along_axis,), A((4, 5)), A((4, 2), "int32", -5, 5), axis=1),
    *_rows((o.take_along_axis,), A((4, 5)), A((1, 5), "int32", 0, 4), axis=0),
    *_rows((o.slice,), A((4, 5)), (1, 2), shape=(2, 3)),
    *_rows((o.slice,), A((4, 5)), A((2,), "int32", 0, 2), shape=(2, 3)),
    *_rows((o.slice_update,), A((4, 5)), (1, 2), A((2, 3))),
    *_rows((o.scatter,), A((4, 1), "int32", 0, 3), A((4, 2)), shape=(5, 2)),
    *_rows((o.scatter_update,), A((5, 2)), [[1], [3]], A((2, 2))),
    *[
        OpCase(o.scatter_update, (A((5,)), A((4, 1), "int32", 0, 3), A((4,))), {"reduction": reduction})
        for reduction in ("add", "max", "min", "mul")
    ],
    *_rows((o.where,), B, M, I),
    *_rows((o.where,), B, M, 0.0),
    *_rows((o.where,), A((2, 1), "bool"), 1, A((1, 3), "int32")),
    OpCase(o.where, (B,), jit=False),
    *_rows((o.select,), [B, B], [M, P], 7.0),
    *_rows((o.sort, o.argsort), A((3, 5)), axis=0),
    *_rows((o.sort, o.argsort), A((3, 5)), axis=None),
    *_rows((o.top_k,), A((3, 5)), k=2),
    *_rows((o.top_k,), A((3, 9), "int32", 0, 3), k=4),
    *_rows((o.in_top_k,), A((4,), "int32", 0, 5), A((4, 5)), k=2),
    *_rows((o.searchsorted,), [1.0, 2.0, 3.0], A((2, 3), center=2.0)),
    *_rows((o.searchsorted,), [1.0, 2.0, 3.0], [1.0, 2.5], side="right"),
    *_rows((o.digitize,), A((3, 4)), bins=(-1.0, 0.0, 0.5)),
    *_rows((o.digitize,), A((3, 4), "int32"), bins=(-1.0, 0.0, 2.0)),
    *_rows((o.isin,), A((3, 4), "int32"), [1, 3]),
    *_rows((o.isin,), A((3, 4), "int32"), A((3,), "int32"), invert=True),
    OpCase(o.unique, (A((3, 6), "int32"),), jit=False),
    OpCase(
        o.unique, (A((9,), "int32"),), {"return_index": True, "return_inverse": True, "return_counts": True}, jit=False
    ),
    OpCase(o.unique, (A((6, 2), "int32", 0, 2),), {"axis": 0, "return_counts": True}, jit=False),
    OpCase(o.unique, (A((9,), "int32"),), {"size": 12, "return_index": True, "return_counts": True}, jit=False),
    *_rows((o.unravel_index,), A((5,), "int32", 0, 24), shape=(2, 3, 4)),
    *_rows((o.one_hot,), A((3, 4), "int32", -1, 6), num_classes=5),
    *_rows((o.one_hot,), A((3, 4), "int32", 0, 5), num_classes=5, axis=0, dtype="int32"),
    *_rows((o.one_hot,), A((3,), "int32", 0, 5), num_classes=5, dtype="bool"),
    *_rows((o.multi_hot,), A((3, 4), "int32", 0, 6), num_classes=6),
    *_rows((o.zeros_like, o.ones_like), M, dtype="bool"),
    *_rows((o.full_like,), M, 2),
    *_rows((o.full_like,), M, 2.5, dtype="int32"),
    *_rows((o.full,), A(()), shape=(2, 3)),
    OpCase(o.arange, (A((), "int32", 5, 9),), jit=False),
    OpCase(o.arange, (A((), "int32", 1, 3), 9, 2), jit=False),
    *_rows(
        (o.linspace, o.logspace, o.geomspace), A((3,), center=3.0, scale=0.2), A((3,), center=6.0, scale=0.2), num=5
    ),
    *_rows((o.linspace,), A(()), 3.0, num=4, endpoint=False),
    *_rows((o.linspace,), A((2,)), A((2,), center=9.0), num=4, axis=-1, retstep=True),
    *_rows((o.view,), A((2, 4), "int32"), dtype="int8"),
    *_rows((o.view,), A((2, 4), "int16"), dtype="int32"),
    *_rows((o.vander,), A((4,))),
    *_rows((o.vander,), A((4,), "int32"), N=3, increasing=True),
]

SQUARE = A((2, 3, 3))

LINEAR_ALGEBRA = [
    *_rows((o.matmul,), A((2, 3)), A((3, 4))),
    *_rows((o.matmul,), A((5, 1, 2, 3)), A((4, 3, 2))),
    *_rows((o.matmul,), A((3,)), A((2, 3, 4))),
    *_rows((o.matmul,), A((2, 5, 3)), A((3,))),
    *_rows((o.matmul,), A((2, 3)), A((3, 4), "int32")),
    *_rows((o.dot,), A((2, 3)), A((4, 3, 5))),
    *_rows((o.dot,), A((2, 3)), A((3,))),
    *_rows((o.dot,), A((2, 3)), A(())),
    *_rows((o.vdot,), M, M),
    *_rows((o.inner,), A((2, 3)), A((4, 3))),
    *_rows((o.outer,), M, A((4,))),
    *_rows((o.tensordot,), A((2, 3, 4)), A((3, 4, 5))),
    *_rows((o.tensordot,), A((2, 3, 4)), A((4, 3)), axes=((1, 2), (1, 0))),
    *_rows((o.tensordot,), A((2, 3)), A((4,)), axes=0),
    *_rows((o.einsum,), A((2, 3, 4)), A((4, 5)), subscripts="abc,cd->abd"),
    *_rows((o.einsum,), A((2, 3, 4, 5)), A((2, 6, 4, 5)), subscripts="BTNH,BSNH->BNTS"),
    *_rows((o.einsum,), A((2, 3, 4)), A((2, 4)), subscripts="b...k,bk->b..."),
    *_rows((o.einsum,), A((2, 3, 3)), subscripts="bii->bi"),
    *_rows((o.einsum,), A((2, 3)), A((3, 4)), A((4,)), subscripts="ij,jk,k"),
    *_rows((o.einsum,), A((2, 3), "int8"), A((3, 4), "int8"), subscripts="ij,jk->ik"),
    *_rows((o.kron,), M, A((2, 2))),
    *_rows((o.cross,), A((4, 3)), A((4, 3))),
    *_rows((o.cross,), A((4, 2)), A((4, 2))),
    *_rows((o.cross,), A((4, 2)), A((4, 3))),
    *_rows((o.cross,), A((3, 4)), A((3, 4)), axis=0),
    *_rows((o.cdist,), A((2, 3, 4)), A((2, 5, 4))),
    *_rows((o.correlate,), A((7,)), A((3,)), mode="full"),
    *_rows((o.correlate,), A((7,)), A((4,)), mode="same"),
    *_rows((o.correlate,), A((7,)), A((3,))),
    *_rows((o.trace,), A((3, 3, 4)), offset=1),
    *_rows((o.trace,), A((2, 3, 3), "int8"), axis1=1, axis2=2),
    *_rows((o.inv, o.det, o.slogdet, o.lu_factor), SQUARE),
    *_rows((o.norm,), A((2, 3, 4))),
    *[OpCase(o.norm, (A((3, 4)),), {"ord": ord_, "axis": 1}) for ord_ in (1, 2, 3, 0, float("inf"), float("-inf"))],
    *[
        OpCase(o.norm, (A((2, 3, 4)),), {"ord": ord_, "axis": (1, 2), "keepdims": True})
        for ord_ in ("fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf"))
    ],
    *_rows((o.solve,), SQUARE, A((2, 3, 2))),
    *_rows((o.solve,), A((3, 3)), A((3,))),
    *_rows((o.solve_triangular,), A((2, 3, 3), center=2.0), A((2, 3, 2)), lower=True),
    *_rows((o.solve_triangular,), A((3, 3), center=2.0), A((3,))),
    *_rows((o.lstsq,), A((5, 3)), A((5, 2))),
    *_rows((o.lstsq,), A((5, 3)), A((5,))),
    *_rows((o.pinv,), A((2, 4, 3))),
    *_rows((o.matrix_rank,), A((2, 4, 3))),
    *_rows((o.svd,), A((2, 4, 3)), compute_uv=False),
    OpCase(o.svd, (A((2, 4, 3)),), {"full_matrices": False}, check=lambda u, s, v: (s, np.abs(u), np.abs(v))),
    OpCase(o.qr, (A((2, 4, 3)),), check=lambda q, r: (np.abs(q), np.abs(r))),
    OpCase(o.qr, (A((4, 3)),), {"mode": "complete"}, check=lambda q, r: (np.abs(q[:, :3]), np.abs(r))),
]

SIGNALS = [
    *_rows((o.fft,), (A((3, 8)), A((3, 8)))),
    *_rows((o.fft2, o.ifft2), (A((2, 4, 6)), A((2, 4, 6)))),
    *_rows((o.rfft,), A((3, 8))),
    *_rows((o.rfft,), A((3, 8)), fft_length=10),
    *_rows((o.irfft,), (A((3, 5)), A((3, 5)))),
    *_rows((o.irfft,), (A((3, 5)), A((3, 5))), fft_length=7),
    *_rows((o.view_as_complex,), A((3, 2))),
    *_rows((o.view_as_real,), A((3,), "complex64")),
    *_rows((o.polar,), P, M),
    *_rows((o.extract_sequences,), A((2, 10)), sequence_length=4, sequence_stride=3),
    *_rows((o.stft,), A((2, 30)), sequence_length=8, sequence_stride=3, fft_length=10),
    *_rows((o.stft,), A((2, 30)), sequence_length=8, sequence_stride=4, fft_length=8, window="hamming", center=False),
    *_rows((o.stft,), A((2, 30)), sequence_length=8, sequence_stride=4, fft_length=8, window=None),
    *_rows((o.istft,), (A((2, 7, 5)), A((2, 7, 5))), sequence_length=8, sequence_stride=2, fft_length=8),
    *_rows((o.istft,), (A((2, 7, 6)), A((2, 7, 6))), sequence_length=8, sequence_stride=3, fft_length=10, length=15),
    *[
        OpCase(layer, (A((6, 2)), A((6,), "int32", 0, 4)), {"num_segments": 5})
        for layer in (o.segment_sum, o.segment_max, o.segment_min, o.segment_prod)
    ],
    *[
        OpCase(layer, (A((6,)), [0, 0, 1, 1, 2, 2]), {"sorted": True}, jit=False)
        for layer in (o.segment_sum, o.segment_max)
    ],
]

NEURAL = [
    *_rows(ACTIVATIONS, A((3, 6), scale=3.0)),
    *_rows((o.relu,), A((3, 6), scale=3.0), negative_slope=0.1, max_value=2.0, threshold=0.5),
    *_rows((o.leaky_relu,), A((3, 6)), negative_slope=0.4),
    *_rows((o.elu, o.celu), A((3, 6)), alpha=0.7),
    *_rows((o.gelu,), A((3, 6)), approximate=False),
    *_rows((o.squareplus,), A((3, 6)), b=3),
    *_rows((o.hard_shrink, o.soft_shrink), A((3, 6)), threshold=0.31),
    *_rows((o.threshold,), A((3, 6)), threshold=0.2, default_value=-1.0),
    *_rows((o.softmax, o.log_softmax), A((3, 4, 2)), axis=1),
    *_rows((o.softmax, o.log_softmax), A((3, 4, 2)), axis=None),
    *_rows((o.glu,), A((3, 6)), axis=-1),
    *_rows((o.moments,), A((3, 4, 2)), axes=(0, 2), keepdims=True),
    *_rows((o.moments,), A((3, 4), "float16"), axes=(1,)),
    *_rows((o.batch_norm,), A((2, 3, 4)), A((3,)), A((3,), center=2.0, scale=0.1), A((3,)), A((3,)), axis=1),
    *_rows((o.batch_norm,), A((2, 3, 4)), A((4,)), A((4,), center=2.0, scale=0.1), axis=-1, epsilon=0.1),
    *_rows((o.layer_norm,), A((2, 3, 4)), A((4,)), A((4,))),
    *_rows((o.rms_norm,), A((2, 3, 4)), A((4,))),
    *_rows((o.rms_norm,), A((2, 3, 4)), axis=(1, 2), epsilon=0.1),
    *_rows((o.normalize,), A((2, 3, 4))),
    *_rows((o.normalize,), A((2, 3, 4)), axis=1, order=3),
    *_rows((o.binary_crossentropy,), A((2, 3), center=0.5, scale=0.1), A((2, 3), center=0.5, scale=0.1)),
    *_rows((o.binary_crossentropy,), A((2, 3), center=0.5, scale=0.1), A((2, 3), scale=3.0), from_logits=True),
    *_rows((o.categorical_crossentropy,), A((2, 3), center=0.5, scale=0.1), A((2, 3), center=0.5, scale=0.1)),
    *_rows((o.categorical_crossentropy,), A((2, 3), center=0.5, scale=0.1), M, from_logits=True),
    *_rows((o.sparse_categorical_crossentropy,), A((2,), "int32", 0, 3), A((2, 3), center=0.5, scale=0.1)),
    *_rows((o.sparse_categorical_crossentropy,), A((2, 1), "int32", 0, 3), M, from_logits=True),
    *_rows((o.psnr,), M, M, max_val=2.0),
    *_rows((o.dot_product_attention,), A((2, 3, 4, 5)), A((2, 6, 4, 5)), A((2, 6, 4, 5))),
    *_rows((o.dot_product_attention,), A((2, 6, 4, 5)), A((2, 6, 2, 5)), A((2, 6, 2, 5)), is_causal=True),
    *_rows(
        (o.dot_product_attention,),
        A((2, 3, 4, 5)),
        A((2, 6, 4, 5)),
        A((2, 6, 4, 5)),
        A((2, 4, 3, 6)),
        A((2, 1, 3, 6), "bool"),
        0.3,
    ),
]

WINDOWS = [
    *_rows((o.conv,), A((2, 9, 4)), A((3, 4, 5)), strides=2, padding="same"),
    *_rows((o.conv,), A((2, 9, 8, 4)), A((3, 2, 2, 6)), strides=(1, 2)),
    *_rows((o.conv,), A((2, 4, 9, 8)), A((3, 2, 4, 6)), data_format="channels_first", padding="same"),
    *_rows((o.conv,), A((2, 9, 8, 4)), A((3, 3, 4, 6)), dilation_rate=2),
    *_rows((o.conv_transpose,), A((2, 5, 6, 3)), A((3, 3, 4, 3)), strides=2, padding="same"),
    *_rows((o.conv_transpose,), A((2, 5, 3)), A((3, 4, 3)), strides=2, output_padding=1),
    *_rows((o.depthwise_conv,), A((2, 9, 8, 4)), A((3, 3, 4, 2)), padding="same"),
    *_rows((o.depthwise_conv,), A((2, 9, 4)), A((3, 4, 1)), strides=2),
    *_rows((o.separable_conv,), A((2, 9, 8, 4)), A((3, 3, 4, 2)), A((1, 1, 8, 5)), strides=(2, 2)),
    *_rows((o.max_pool, o.average_pool), A((2, 7, 8, 3)), pool_size=(3, 2), strides=2, padding="same"),
    *_rows((o.max_pool, o.average_pool), A((2, 7, 3)), pool_size=2),
    *_rows((o.max_pool, o.average_pool), A((2, 3, 7, 8)), pool_size=2, data_format="channels_first"),
    *_rows((o.adaptive_max_pool, o.adaptive_average_pool), A((2, 7, 8, 3)), output_size=(3, 5)),
    *_rows((o.unfold,), A((2, 3, 7, 8)), kernel_size=(3, 2), dilation=(1, 2), padding=1, stride=2),
    *_rows((o.fold,), A((2, 12, 20)), output_size=(5, 6), kernel_size=2),
    *_rows((o.fold,), A((2, 18, 12)), output_size=(5, 6), kernel_size=3, padding=1, stride=(2, 1), dilation=(1, 2)),
    *_rows((o.depth_to_space,), A((2, 3, 4, 8)), block_size=2),
    *_rows((o.space_to_depth,), A((2, 4, 6, 3)), block_size=2),
    *_rows((o.depth_to_space,), A((2, 8, 3, 4)), block_size=2, data_format="channels_first"),
    *_rows((o.space_to_depth,), A((2, 3, 4, 6)), block_size=2, data_format="channels_first"),
]

IMAGE = A((2, 6, 7, 3), center=0.5, scale=0.15)
SHEAR = A((8,), center=0.1, scale=0.3)

IMAGES = [
    *_rows((o.crop_images,), IMAGE, top_cropping=1, left_cropping=2, target_height=4, target_width=3),
    *_rows((o.crop_images,), A((5, 6, 3)), top_cropping=1, bottom_cropping=1, left_cropping=0, right_cropping=2),
    *_rows((o.pad_images,), IMAGE, top_padding=1, left_padding=2, target_height=9, target_width=10),
    *_rows(
        (o.pad_images,),
        A((2, 3, 5, 6)),
        top_padding=1,
        bottom_padding=1,
        left_padding=0,
        right_padding=2,
        data_format="channels_first",
    ),
    *_rows((o.rgb_to_grayscale, o.rgb_to_hsv, o.hsv_to_rgb, o.gaussian_blur, o.sobel_edges), IMAGE),
    *_rows(
        (o.rgb_to_grayscale, o.rgb_to_hsv, o.hsv_to_rgb),
        A((3, 5, 6), center=0.5, scale=0.15),
        data_format="channels_first",
    ),
    *_rows((o.gaussian_blur,), A((5, 6, 3)), kernel_size=(3, 5), sigma=(0.7, 1.3)),
    *[
        OpCase(o.resize, (IMAGE,), {"size": size, "interpolation": kind, "antialias": smooth})
        for size, kind, smooth in (
            *(((9, 5), "bilinear", False), ((3, 4), "bilinear", True), ((9, 5), "nearest", False)),
            *(((9, 5), "bicubic", False), ((4, 9), "lanczos3", False), ((3, 4), "area", False)),
        )
    ],
    *_rows((o.resize,), IMAGE, size=(4, 4), crop_to_aspect_ratio=True),
    *_rows((o.resize,), A((2, 6, 7, 3), "uint8", 0, 255), size=(4, 4)),
    *_rows((o.extract_patches,), IMAGE, size=(3, 2)),
    *_rows((o.extract_patches,), A((6, 7, 3)), size=3, strides=1, padding="same"),
    *_rows((o.extract_patches,), A((2, 4, 5, 6, 2)), size=(2, 2, 3)),
    *_rows((o.ssim,), A((2, 14, 13, 3), center=0.5, scale=0.15), A((2, 14, 13, 3), center=0.5, scale=0.15)),
    *_rows((o.ssim,), A((8, 9, 3), center=0.5, scale=0.15), A((8, 9, 3), center=0.5, scale=0.15), filter_size=5),
    *[
        OpCase(o.affine_transform, (IMAGE, SHEAR), {"interpolation": kind, "fill_mode": mode})
        for kind in ("bilinear", "nearest")
        for mode in ("constant", "nearest", "reflect", "wrap")
    ],
    *_rows((o.affine_transform,), IMAGE, A((2, 8), center=0.1, scale=0.2), fill_value=0.5),
    *_rows(
        (o.perspective_transform,),
        IMAGE,
        [[0.0, 0.0], [5.0, 1.0], [0.0, 4.0], [6.0, 5.0]],
        [[1.0, 0.0], [6.0, 0.0], [0.0, 5.0], [5.0, 4.0]],
    ),
    *[
        OpCase(o.map_coordinates, (A((5, 6)), A((2, 4, 3), center=2.0, scale=2.0)), {"order": order, "fill_mode": mode})
        for order in (0, 1)
        for mode in ("constant", "nearest", "wrap", "mirror", "reflect")
    ],
]

POSITIVE_DEFINITE = [
    OpCase(o.cholesky_inverse, (A((2, 3, 3), center=2.0, scale=0.4),), {"upper": upper}, floor=1e-4)
    for upper in (False, True)
]

DEFINITE = [
    OpCase(layer, (Gram((2, 4, 4)),), options, check=check)
    for layer, options, check in (
        *((o.cholesky, {}, None), (o.cholesky, {"upper": True}, None), (o.logdet, {}, None)),
        (o.eigh, {}, lambda values, vectors: (values, np.abs(vectors))),
    )
]

OTHERS = [
    OpCase(o.eig, (Gram((2, 4, 4)),), check=lambda values, vectors: (np.sort(values.real),), skip_modes=("jax-jit",)),
    OpCase(o.argpartition, (A((7,), "int32", 0, 90),), {"kth": 2}, check=lambda order: (order[:3],)),
]

CASES = [
    *(*ELEMENTWISE, *REDUCTIONS, *SHAPING, *INDEXING, *LINEAR_ALGEBRA, *SIGNALS, *NEURAL, *WINDOWS, *IMAGES),
    *(*POSITIVE_DEFINITE, *DEFINITE, *OTHERS),
    *(replace(case, skip_modes=("numpy-readonly", "jax-jit")) for case in BY_DTYPE),
]
