"""Rows of reductions, running sums and statistics."""

from __future__ import annotations

from fnet import operations as o
from tests.cases.operations.row import A, I, M, Odd, OpCase, P, rows

REDUCE = (
    *(o.sum, o.mean, o.var, o.std, o.any, o.all, o.amax, o.amin, o.max, o.min, o.prod, o.nansum, o.nanprod),
    *(o.nanmax, o.nanmin, o.nanmean, o.nanvar, o.nanstd),
)

REDUCTIONS = [
    *rows(REDUCE, A((2, 3, 4))),
    *rows([f for f in REDUCE if f not in (o.any, o.all)], A((2, 3, 4)), axis=(0, -1), keepdims=True),
    *rows((o.any, o.all), A((1, 9, 2), "bool"), axis=(0, -1), keepdims=True),
    *rows((o.any, o.all), A((6, 2), "int32", 0, 2), axis=1),
    *rows(REDUCE[11:], A((3, 4), nan=True), axis=1),
    *rows((o.ptp, o.logsumexp), A((2, 3, 4)), axis=1, keepdims=True),
    *rows((o.ptp, o.logsumexp), A((2, 3, 4), scale=300.0)),
    *rows((o.max, o.min), M, axis=1, initial=0.5),
    *rows((o.argmax, o.argmin, o.nanargmax, o.nanargmin), A((2, 3, 4))),
    *rows((o.argmax, o.argmin, o.nanargmax, o.nanargmin), A((2, 3, 4)), axis=1, keepdims=True),
    *rows((o.argmax, o.argmin, o.nanargmax, o.nanargmin), A((60, 2), nan=True), axis=1),  # some rows are NaN throughout
    *rows((o.argmax, o.argmin), Odd((4, 5)), axis=1),
    *rows((o.count_nonzero,), I, axis=1),
    *rows((o.count_nonzero,), A((4, 5, 3), "int32", 0, 2), axis=(0, -1)),
    *rows((o.average,), A((2, 3, 4)), axis=1),
    *rows((o.average,), M, P, axis=1),
    *rows((o.average,), A((2, 3, 4)), A((3,), center=2.0, scale=0.2), axis=1),
    *rows((o.cumsum, o.cumprod, o.nancumsum, o.nancumprod), A((2, 3, 4)), axis=1),
    *rows((o.cumsum, o.cumprod), A((2, 3, 4))),
    *rows((o.nancumsum, o.nancumprod), A((3, 4), nan=True), axis=1),
    *[
        OpCase(layer, (A((3, 4, 5)), q), {"axis": axis, "method": method, "keepdims": keep})
        for layer, q in ((o.quantile, 0.3), (o.quantile, [0.1, 0.75]), (o.percentile, 30.0), (o.nanquantile, 0.3))
        for axis, method, keep in (
            *((None, "linear", False), (1, "linear", False), ((0, 2), "linear", False), (1, "lower", False)),
            *((1, "higher", False), (1, "midpoint", False), (1, "nearest", False)),
        )
    ],
    *rows((o.quantile, o.percentile), A((3, 4, 5)), 0.3, axis=1, keepdims=True),
    *rows((o.median, o.nanmedian), A((3, 4, 5)), axis=1),
    *rows((o.median,), A((3, 4)), axis=0, keepdims=True),
    *rows((o.nanquantile, o.nanpercentile), A((3, 7), nan=True), 0.4, axis=1),
    *rows((o.nanmedian,), A((3, 7), nan=True), axis=1),
    *rows((o.quantile,), A((3, 7), nan=True), 0.4, axis=1),
    *rows((o.histogram,), A((20,)), bins=5),
    *rows((o.histogram,), A((20,)), bins=4, range=(-1.0, 1.0)),
    OpCase(o.bincount, (A((9,), "int32", 0, 6),), {}, jit=False),
    OpCase(o.bincount, (A((9,), "int32", 0, 6),), {"sparse": True, "minlength": 9}, jit=False),
    OpCase(o.bincount, (A((2, 9), "int32", 0, 6),), {"minlength": 8}, jit=False),
    OpCase(o.bincount, (A((9,), center=3.0),), {}, jit=False),
    *rows((o.corrcoef,), A((3, 9))),
    *rows((o.diff,), A((3, 5)), n=2),
    *rows((o.diff,), A((3, 5), "bool"), axis=0),
    *rows((o.trapezoid,), A((3, 5)), dx=0.5, axis=0),
]
