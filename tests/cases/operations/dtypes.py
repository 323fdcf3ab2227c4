"""Rows that differ in dtypes only."""

from __future__ import annotations

from dataclasses import replace

from fnet import operations as o
from tests.cases.operations.elementwise import BINARY, POSITIVE, PREDICATES, UNARY
from tests.cases.operations.reductions import REDUCE
from tests.cases.operations.row import DTYPES, A, rows

NO_KERNEL = {
    *((o.negative, "uint8"), (o.negative, "uint16"), (o.negative, "bool")),
    *((o.sign, "bool"), (o.real, "bool"), (o.round, "bool")),
}
"""What TensorFlow cannot compute."""

_ROWS = [
    *[row for d in DTYPES for row in rows([f for f in (*UNARY, *PREDICATES) if (f, d) not in NO_KERNEL], A((2, 3), d))],
    *[row for d in DTYPES for row in rows(POSITIVE[:5], A((2, 3), d, 1, 9, center=3.0, scale=0.3))],
    *[
        row
        for d in DTYPES
        for e in DTYPES
        if d != e
        for row in rows((*BINARY[:4], BINARY[6]), A((5,), d, 0), A((5,), e, 1, center=3.0))
    ],
    *[row for d in DTYPES for row in rows(REDUCE, A((4, 3), d), axis=1)],
    *[
        row
        for d in DTYPES
        for row in rows((o.argmax, o.argmin, o.cumsum, o.cumprod, o.sort, o.argsort), A((4, 3), d), axis=0)
    ],
    *[row for d in ("float32", "int32", "int8", "bool") for row in rows((o.matmul, o.dot), A((2, 3), d), A((3, 2), d))],
]

BY_DTYPE = [replace(case, skip_modes=("numpy-readonly", "jax-jit"), idle="shows dtypes") for case in _ROWS]
"""The backends promote alike whether jitted or not."""
