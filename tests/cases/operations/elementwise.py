"""Rows of operations on single numbers."""

from __future__ import annotations

import numpy as np

from fnet import operations as o
from tests.cases.operations.row import DTYPES, A, B, Complex, I, M, Odd, OpCase, P, U, rows

UNARY = (
    *(o.absolute, o.abs, o.fabs, o.negative, o.sign, o.square, o.exp, o.exp2, o.expm1, o.sin, o.cos, o.tan, o.arctan),
    *(o.sinh, o.cosh, o.tanh, o.arcsinh, o.sinc, o.deg2rad, o.rad2deg, o.floor, o.ceil, o.trunc, o.copy, o.real),
    *(o.signbit, o.cbrt, o.round, o.angle, o.ndim, o.size, o.ravel, o.zeros_like, o.ones_like, o.empty_like, o.i0),
)
PREDICATES = (o.isreal, o.isnan, o.isinf, o.isposinf, o.isneginf, o.isfinite, o.logical_not, o.nan_to_num)

POSITIVE = (o.sqrt, o.log, o.log2, o.log10, o.log1p, o.arccosh)

BINARY = (
    *(o.add, o.subtract, o.multiply, o.divide, o.true_divide, o.divide_no_nan, o.maximum, o.minimum, o.fmax, o.fmin),
    *(o.greater, o.greater_equal, o.less, o.less_equal, o.arctan2, o.hypot, o.heaviside, o.logaddexp, o.logaddexp2),
)
LOGICAL = (o.equal, o.not_equal, o.logical_and, o.logical_or, o.logical_xor)
SMALL = A((5, 6), "int32", -2, 4)
ZEROS = A((3, 6), "int32", 0, 2)

NEAR, FAR, CENTER = A((40,), center=2.0, scale=2e-5), A((40,), center=2.0), 2.0
SMALLEST = A((40,), scale=1e-8)
NAN = [1.0, float("nan")]

ELEMENTWISE = [
    *rows(UNARY, A((2, 3, 2), scale=2.0)),
    *rows(PREDICATES, Odd((3, 7))),
    *rows((o.signbit, o.sign, o.abs), Odd((3, 7))),
    *rows(BINARY[:3], A((2, 3), "uint8", 0, 9), -2),
    *rows((o.maximum, o.floor_divide), A((2, 3), "int8", 0, 9), 258),
    *rows((o.add, o.minimum), I, 2**32 + 1),
    *rows(LOGICAL, ZEROS, ZEROS),
    *rows((*LOGICAL[:2], o.greater, o.greater_equal, o.less, o.less_equal, o.maximum, o.minimum), SMALL, SMALL),
    *rows(LOGICAL, ZEROS, A((6,), "bool")),
    *rows(LOGICAL, A((2, 1, 3), "int32", 0, 2), A((4, 1), "int32", 0, 2)),
    *rows((o.logical_and, o.logical_xor), Odd((2, 7)), A((7,), "int32", 0, 2)),
    *rows((o.equal, o.not_equal), Odd((2, 7)), 1.5),
    *rows(POSITIVE, P),
    *rows((o.arcsin, o.arccos, o.arctanh, o.erf, o.erfc, o.erfinv), U),
    *rows((o.reciprocal, o.rsqrt), P),
    *rows(BINARY, M, M),
    *rows(BINARY, A((2, 1, 3)), A((4, 1))),
    *rows((o.add, o.subtract, o.multiply, o.divide, o.maximum, o.minimum, o.power, o.divide_no_nan), P, 3.0),
    *rows((o.add, o.subtract, o.multiply, o.divide, o.maximum, o.minimum), 3, P),
    *rows((o.add, o.multiply, o.divide, o.minimum), I, 2.5),
    *rows((o.add, o.multiply, o.divide, o.minimum, o.not_equal, o.equal, o.greater, o.logical_and), SMALL, 2),
    *rows((o.add, o.multiply, o.less), A((4, 3)), [0.1, 0.2, 0.3]),
    *rows((o.not_equal, o.equal), A((4, 3), "int32", 0, 3), [0.0, 1.0, 2.0]),
    *rows((o.add, o.multiply), A((2, 3), "float16"), 2.5),
    *rows((o.add, o.multiply), B, 2),
    *rows((o.not_equal, o.equal, o.less), Odd((3, 7)), 0),
    *rows((o.mod, o.fmod, o.floor_divide), A((3, 5), scale=9.0), A((3, 5), center=3.0, scale=0.3)),
    *rows((o.mod, o.floor_divide, o.fmod), I, 3),
    *rows((o.gcd, o.lcm), I, A((2, 3), "int32", 1, 9)),
    *rows((o.power,), P, U),
    *rows((o.power,), I, 2),
    *rows((o.ldexp,), M, I),
    OpCase(o.nextafter, (M, P), check=lambda y: ((y - np.float32(1)) * 2**24,)),
    *rows((o.bitwise_and, o.bitwise_or, o.bitwise_xor), I, A((2, 3), "int8")),
    *rows((o.bitwise_left_shift, o.left_shift, o.bitwise_right_shift, o.right_shift), I, 2),
    *rows((o.bitwise_left_shift, o.left_shift, o.bitwise_right_shift, o.right_shift), I, A((2, 3), "int8", -9, 40)),
    *rows((o.bitwise_left_shift, o.left_shift), I, 40),
    *rows((o.bitwise_not, o.bitwise_invert), I),
    *rows((o.round,), A((2, 3), scale=100.0), decimals=1),
    *rows((o.round,), A((2, 3), "int32", -200, 200), decimals=-1),
    OpCase(o.round, (A((2, 3), "int32", 2**24, 2**25),), idle="integers are round"),
    *rows((o.clip,), M, x_min=-0.5, x_max=0.5),
    *rows((o.clip,), I, x_min=-1, x_max=2),
    *rows((o.clip,), I, x_min=-1, x_max=2**32 + 1),
    *rows((o.nan_to_num,), A((3, 4), nan=True), nan=1.5),
    *rows((o.nan_to_num,), Odd((3, 7)), posinf=7.0),
    *rows((o.nan_to_num,), Odd((3, 7)), neginf=-8.0),
    *rows((o.isclose,), NEAR, CENTER),
    *rows((o.isclose,), FAR, CENTER, rtol=0.5, atol=0.1),
    *rows((o.isclose,), SMALLEST, 0.0),
    *rows((o.isclose,), SMALLEST, 0.0, atol=2e-8),
    *rows((o.isclose,), A((9,), "int32", 0, 3), A((9,), "int32", 0, 3)),
    *rows((o.sign, o.reciprocal, o.square, o.abs, o.exp, o.sqrt, o.real, o.imag), Complex((3, 4))),
    *rows((o.add, o.subtract, o.multiply, o.divide), Complex((3, 4)), A((4,), center=3.0)),
    *rows((o.add, o.multiply), Complex((3, 4)), A((4,), "int32", 1)),
    *rows((o.isclose,), Odd((3, 7)), [float("nan")], equal_nan=True),
    *rows((o.isclose,), Odd((3, 7)), Odd((7,))),
    *[
        OpCase(o.allclose, inputs, options)
        for inputs, options in (
            *(((M, M), {}), ((NEAR, CENTER), {}), ((NEAR, CENTER), {"rtol": 1.0}), ((NEAR, CENTER), {"atol": 3.0})),
            *((((NAN, NAN), {})), ((NAN, NAN), {"equal_nan": True})),
        )
    ],
    *[
        row
        for d in DTYPES
        for row in rows((o.cast, o.saturate_cast), A((3, 5), scale=150.0), dtype=d)
        if (d[0] != "u" or row.layer is o.saturate_cast) and d not in ("float32", "bool")
    ],
    *rows((o.cast,), SMALL, dtype="float32"),
    *rows((o.cast, o.saturate_cast), Odd((3, 7)), dtype="bool"),
    *rows((o.cast,), I, dtype="bool"),
    *rows((o.cast,), I, dtype="float32"),
    *rows((o.convert_to_tensor, o.array), I, dtype="float32"),
    OpCase(o.nonzero, (I,), jit=False),
    *rows((o.stop_gradient, o.imag, o.conj, o.conjugate), M),
]
