"""Rows of operations that pick, place, sort, search and make."""

from __future__ import annotations

import numpy as np

from fnet import operations as o
from tests.cases.operations.row import A, B, Gram, I, M, Odd, OpCase, P, rows

INDEXING = [
    *[
        OpCase(o.get_item, (A((4, 5, 6)),), {"key": key})
        for key in (
            *(1, -1, slice(1, 3), (slice(None), 2), (Ellipsis, 0), (slice(None), None, slice(None, None, -1))),
            *((0, slice(1, None), slice(None, None, 2)), (Ellipsis, None), None, (slice(None), slice(-2, None))),
        )
    ],
    *rows((o.get_item,), A((4, 5)), A((), "int32", 0, 4)),
    *rows((o.get_item,), A((4, 5)), [slice(None), A((), "int32", 0, 4)]),
    *rows((o.take,), A((4, 5)), A((3, 2), "int32", -4, 4), axis=1),
    *rows((o.take,), A((4, 5)), A((3,), "int32", 0, 20)),
    *rows((o.take,), A((4, 5)), [0, 2], axis=0),
    *rows((o.take_along_axis,), A((4, 5)), A((4, 2), "int32", -5, 5), axis=1),
    *rows((o.take_along_axis,), A((4, 5)), A((1, 5), "int32", 0, 4), axis=0),
    *rows((o.take_along_axis,), A((4, 5)), A((7,), "int32", -20, 20), axis=None),
    *rows((o.slice,), A((4, 5)), (1, 2), shape=(2, 3)),
    *rows((o.slice,), A((4, 5)), A((2,), "int32", 0, 2), shape=(2, 3)),
    *(row for shape in ((2, -1), (-1, 3)) for row in rows((o.slice,), A((4, 5)), (1, 2), shape=shape)),
    *rows((o.slice_update,), A((4, 5)), (1, 2), A((2, 3))),
    *rows((o.scatter,), A((4, 1), "int32", 0, 3), A((4, 2)), shape=(5, 2)),
    *rows((o.scatter_update,), A((5, 2)), [[1], [3]], A((2, 2))),
    *[
        OpCase(o.scatter_update, (A((5,)), A((4, 1), "int32", 0, 3), A((4,))), {"reduction": reduction})
        for reduction in ("add", "max", "min", "mul")
    ],
    *rows((o.where,), B, M, I),
    *rows((o.where,), B, M, 0.0),
    *rows((o.where,), A((2, 1), "bool"), 1, A((1, 3), "int32")),
    OpCase(o.where, (B,), jit=False),
    *rows((o.select,), [B, B], [M, P], 7.0),
    *rows((o.select,), [B, B], [I, I], 7.5),
    *rows((o.select,), [B, B], [B, B], 7),
    *rows((o.select,), [B, B], [M, 2], -1.5),
    *rows((o.select,), [B, B], [I, 1.5], 2),
    *rows((o.sort, o.argsort), A((3, 5)), axis=0),
    *rows((o.sort, o.argsort), A((3, 5)), axis=None),
    *rows((o.top_k,), A((3, 5)), k=2),
    *rows((o.top_k,), A((3, 9), "int32", 0, 3), k=4),
    *rows((o.in_top_k,), A((4,), "int32", 0, 5), A((4, 5)), k=2),
    *rows((o.in_top_k,), A((9,), "int32", -2, 4), A((9, 2)), k=2),  # some are no classes
    *rows((o.searchsorted,), [1.0, 2.0, 3.0], A((4,), center=2.0)),
    *rows((o.searchsorted,), [1.0, 2.0, 3.0], [1.0, 2.5], side="right"),
    *(row for side in ("left", "right") for row in rows((o.searchsorted,), [-9.0, 0.0], Odd((7,)), side=side)),
    *rows((o.digitize,), A((3, 4)), bins=(-1.0, 0.0, 0.5)),
    *rows((o.digitize,), A((3, 4), "int32"), bins=(-2.5, -0.5, 0.5, 1.5, 2.5)),
    *rows((o.isin,), A((3, 4), "int32"), [1, 3]),
    *rows((o.isin,), A((3, 4), "int32"), A((3,), "int32"), invert=True),
    OpCase(o.unique, (A((3, 6), "int32"),), jit=False),
    OpCase(
        o.unique, (A((9,), "int32"),), {"return_index": True, "return_inverse": True, "return_counts": True}, jit=False
    ),
    OpCase(o.unique, (A((6, 2), "int32", 0, 2),), {"axis": 0, "return_counts": True}, jit=False),
    OpCase(
        o.unique,
        (A((9,), "int32"),),
        {"sorted": False, "return_index": True, "return_inverse": True, "return_counts": True},
        jit=False,
    ),
    OpCase(o.unique, (A((2, 6), "int32", 0, 2),), {"sorted": False, "axis": -1, "return_inverse": True}, jit=False),
    OpCase(o.unique, (A((9,), "int32"),), {"size": 12, "return_index": True, "return_counts": True}, jit=False),
    *rows((o.unravel_index,), A((5,), "int32", 0, 24), shape=(2, 3, 4)),
    *rows((o.unravel_index,), A((5, 2), "int32", 0, 24), shape=(2, 3, 4)),
    *rows((o.one_hot,), A((3, 4), "int32", -1, 6), num_classes=5),
    *rows((o.one_hot,), A((3, 4), "int32", 0, 5), num_classes=5, axis=0, dtype="int32"),
    *rows((o.one_hot,), A((3,), "int32", 0, 5), num_classes=5, dtype="bool"),
    *rows((o.one_hot, o.multi_hot), A((3, 4), "int32", 0, 6), num_classes=6, sparse=True),
    *rows((o.multi_hot,), A((3, 4), "int32", 0, 6), num_classes=6),
    *rows((o.zeros_like, o.ones_like), M, dtype="bool"),
    *rows((o.full_like,), M, 2),
    *rows((o.full_like,), M, 2.5, dtype="int32"),
    *rows((o.full,), A(()), shape=(2, 3)),
    *rows((o.arange,), 7),
    *rows((o.arange,), 2.5, 9, 3),
    OpCase(o.arange, (A((), "int32", 5, 9),), jit=False),
    OpCase(o.arange, (A((), "int32", 1, 3), 9, 2), jit=False),
    *rows((o.linspace, o.logspace, o.geomspace), A((3,), center=3.0, scale=0.2), A((3,), center=6.0, scale=0.2), num=5),
    *rows((o.linspace,), A(()), 3.0, num=4, endpoint=False),
    *rows((o.linspace,), A((2,)), A((2,), center=9.0), num=4, axis=-1, retstep=True),
    *rows((o.view,), A((2, 4), "int32"), dtype="int8"),
    *rows((o.view,), A((2, 4), "int16"), dtype="int32"),
    *rows((o.vander,), A((4,))),
    *rows((o.argpartition,), A((7,), "int32", 0, 90), kth=2),
    *rows((o.vander,), A((4,), "int32"), N=3, increasing=True),
]

OTHERS = [
    OpCase(o.eig, (Gram((2, 4, 4)),), check=lambda values, vectors: (np.sort(values.real),), skip_modes=("jax-jit",)),
]
