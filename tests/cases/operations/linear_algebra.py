"""Rows of products, linear algebra and signals."""

from __future__ import annotations

import numpy as np

from fnet import operations as o
from tests.cases.operations.row import A, Deficient, Gram, M, OpCase, P, Sorted, rows

SQUARE = A((2, 3, 3))

LINEAR_ALGEBRA = [
    *rows((o.matmul,), A((2, 3)), A((3, 4))),
    *rows((o.matmul,), A((5, 1, 2, 3)), A((4, 3, 2))),
    *rows((o.matmul,), A((3,)), A((2, 3, 4))),
    *rows((o.matmul,), A((2, 5, 3)), A((3,))),
    *rows((o.matmul,), A((2, 3)), A((3, 4), "int32")),
    *rows((o.dot,), A((2, 3)), A((4, 3, 5))),
    *rows((o.dot,), A((2, 3)), A((3,))),
    *rows((o.dot,), A((2, 3)), A(())),
    *rows((o.vdot,), M, M),
    *rows((o.inner,), A((2, 3)), A((4, 3))),
    *rows((o.outer,), M, A((4,))),
    *rows((o.tensordot,), A((2, 3, 4)), A((3, 4, 5))),
    *rows((o.tensordot,), A((2, 3, 4)), A((4, 3)), axes=((1, 2), (1, 0))),
    *rows((o.tensordot,), A((2, 3)), A((4,)), axes=0),
    *rows((o.einsum,), A((2, 3, 4)), A((4, 5)), subscripts="abc,cd->abd"),
    *rows((o.einsum,), A((2, 3, 4, 5)), A((2, 6, 4, 5)), subscripts="BTNH,BSNH->BNTS"),
    *rows((o.einsum,), A((2, 3, 4)), A((2, 4)), subscripts="b...k,bk->b..."),
    *rows((o.einsum,), A((2, 3, 3)), subscripts="bii->bi"),
    *rows((o.einsum,), A((2, 3)), A((3, 4)), A((4,)), subscripts="ij,jk,k"),
    *rows((o.einsum,), A((2, 3), "int8"), A((3, 4), "int8"), subscripts="ij,jk->ik"),
    *rows((o.kron,), M, A((2, 2))),
    *rows((o.kron,), A((3,)), A((2, 2))),
    *rows((o.kron,), M, A((2,))),
    *rows((o.cross,), A((4, 3)), A((4, 3))),
    *rows((o.cross,), A((4, 2)), A((4, 2))),
    *rows((o.cross,), A((4, 2)), A((4, 3))),
    *rows((o.cross,), A((3, 4)), A((3, 4)), axis=0),
    *rows((o.cdist,), A((2, 3, 4)), A((2, 5, 4))),
    *rows((o.cdist,), A((3, 4), "int32"), A((5, 4), "int32")),
    *rows((o.correlate,), A((7,)), A((3,)), mode="full"),
    *rows((o.correlate,), A((7,)), A((4,)), mode="same"),
    *rows((o.correlate,), A((7,)), A((3,))),
    *rows((o.trace,), A((3, 3, 4)), offset=1),
    *rows((o.trace,), A((2, 3, 3), "int8"), axis1=1, axis2=2),
    *rows((o.inv, o.det, o.slogdet), SQUARE),
    *rows((o.lu_factor,), A((6, 6))),
    *rows((o.norm,), A((3, 4))),
    *rows((o.norm,), A((2, 3, 4)), axis=(0, 2)),
    *[OpCase(o.norm, (A((3, 4)),), {"ord": ord_, "axis": 1}) for ord_ in (1, 2, 3, float("inf"), float("-inf"))],
    *rows((o.norm,), A((4, 6), "int32", 0, 2), ord=0, axis=1),
    *[
        OpCase(o.norm, (A((2, 3, 4)),), {"ord": ord_, "axis": (1, 2), "keepdims": True})
        for ord_ in ("fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf"))
    ],
    *rows((o.solve,), SQUARE, A((2, 3, 2))),
    *rows((o.solve,), A((3, 3)), A((3,))),
    *rows((o.solve_triangular,), A((2, 3, 3), center=2.0), A((2, 3, 2)), lower=True),
    *rows((o.solve_triangular,), A((3, 3), center=2.0), A((3,))),
    *rows((o.lstsq,), A((5, 3)), A((5, 2))),
    *rows((o.lstsq,), A((5, 3)), A((5,))),
    *rows((o.pinv,), A((2, 4, 3))),
    *rows((o.matrix_rank,), Deficient((3, 4, 4))),
    OpCase(o.matrix_rank, (A((2, 3, 4), scale=0.0),), idle="zeros have no rank"),
    *rows((o.svd,), A((2, 4, 3)), compute_uv=False),
    OpCase(o.svd, (A((2, 4, 3)),), {"full_matrices": False}, check=lambda u, s, v: (s, np.abs(u), np.abs(v))),
    OpCase(o.qr, (A((2, 4, 3)),), check=lambda q, r: (np.abs(q), np.abs(r))),
    *rows((o.inv,), A((3, 2, 2), "float16")),
    OpCase(o.qr, (A((4, 3), "float16"),), check=lambda q, r: (np.abs(q), np.abs(r))),
    OpCase(o.qr, (A((4, 3)),), {"mode": "complete"}, check=lambda q, r: (np.abs(q[:, :3]), np.abs(r))),
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

SIGNALS = [
    *rows((o.fft,), (A((3, 8)), A((3, 8)))),
    *rows((o.fft2, o.ifft2), (A((2, 4, 6)), A((2, 4, 6)))),
    *rows((o.rfft,), A((3, 8))),
    *rows((o.rfft,), A((3, 8)), fft_length=10),
    *rows((o.irfft,), (A((3, 5)), A((3, 5)))),
    *rows((o.irfft,), (A((3, 5)), A((3, 5))), fft_length=7),
    *rows((o.view_as_complex,), A((3, 2))),
    *rows((o.view_as_real,), A((3,), "complex64")),
    *rows((o.polar,), P, M),
    *rows((o.extract_sequences,), A((2, 10)), sequence_length=4, sequence_stride=3),
    *rows((o.stft,), A((2, 30)), sequence_length=8, sequence_stride=3, fft_length=10),
    *rows((o.stft,), A((2, 30)), sequence_length=8, sequence_stride=4, fft_length=8, window="hamming", center=False),
    *rows((o.stft,), A((2, 30)), sequence_length=8, sequence_stride=4, fft_length=8, window=None),
    *rows((o.stft,), A((2, 30)), sequence_length=7, sequence_stride=4, fft_length=8),
    *rows((o.istft,), (A((2, 7, 5)), A((2, 7, 5))), sequence_length=8, sequence_stride=2, fft_length=8),
    *rows((o.istft,), (A((2, 7, 6)), A((2, 7, 6))), sequence_length=8, sequence_stride=3, fft_length=10, length=15),
    *[
        OpCase(layer, (A((6, 2)), A((6,), "int32", -2, 4)), {"num_segments": 5})
        for layer in (o.segment_sum, o.segment_max, o.segment_min, o.segment_prod)
    ],
    *[
        OpCase(layer, (A((6,)), Sorted((6,), "int32", 1, 6)), {"sorted": True}, jit=False)
        for layer in (o.segment_sum, o.segment_max, o.segment_min, o.segment_prod)
    ],
]
