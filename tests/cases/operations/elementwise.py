"""Rows of operations on single numbers."""

from __future__ import annotations

from fnet import operations as o
from tests.cases.operations.row import DTYPES, A, B, I, M, OpCase, P, U, rows

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

ELEMENTWISE = [
    *rows(UNARY, A((2, 3, 2), scale=2.0)),
    *rows(POSITIVE, P),
    *rows((o.arcsin, o.arccos, o.arctanh, o.erf, o.erfc, o.erfinv), U),
    *rows((o.reciprocal, o.rsqrt), P),
    *rows(BINARY, M, M),
    *rows(BINARY, A((2, 1, 3)), A((4, 1))),
    *rows((o.add, o.subtract, o.multiply, o.divide, o.maximum, o.minimum, o.power, o.divide_no_nan), P, 2.5),
    *rows((o.add, o.subtract, o.multiply, o.divide, o.maximum, o.minimum), 2, P),
    *rows((o.add, o.multiply, o.divide, o.minimum), I, 2.5),
    *rows((o.add, o.multiply, o.divide, o.minimum, o.not_equal, o.greater, o.logical_and), I, 2),
    *rows((o.add, o.multiply, o.not_equal, o.less), M, [1.0, 2.0, 3.0]),
    *rows((o.add, o.multiply), A((2, 3), "float16"), 2.5),
    *rows((o.add, o.multiply), B, 2),
    *rows((o.not_equal, o.equal, o.less), M, 0),
    *rows((o.mod, o.fmod, o.floor_divide), M, P),
    *rows((o.mod, o.floor_divide, o.fmod), I, 3),
    *rows((o.gcd, o.lcm), I, A((2, 3), "int32", 1, 9)),
    *rows((o.power,), P, U),
    *rows((o.power,), I, 2),
    *rows((o.ldexp,), M, I),
    *rows((o.nextafter,), M, P),
    *rows((o.bitwise_and, o.bitwise_or, o.bitwise_xor), I, A((2, 3), "int8")),
    *rows((o.bitwise_left_shift, o.left_shift, o.bitwise_right_shift, o.right_shift), I, 2),
    *rows((o.bitwise_not, o.bitwise_invert), I),
    *rows((o.round,), A((2, 3), scale=100.0), decimals=1),
    *rows((o.round,), A((2, 3), "int32", -200, 200), decimals=-1),
    *rows((o.clip,), M, x_min=-0.5, x_max=0.5),
    *rows((o.clip,), I, x_min=-1, x_max=2),
    *rows((o.nan_to_num,), A((3, 4), nan=True), nan=1.5),
    *rows((o.isclose,), M, M, rtol=0.5, atol=0.1),
    *rows((o.isclose,), A((3, 4), nan=True), A((3, 4), nan=True), equal_nan=True),
    *rows((o.allclose,), M, M),
    *[
        row
        for d in DTYPES
        for row in rows((o.cast, o.saturate_cast), A((2, 3), scale=50.0), dtype=d)
        if d[0] != "u" or row.layer is o.saturate_cast
    ],
    *rows((o.cast,), I, dtype="bool"),
    *rows((o.cast,), I, dtype="float32"),
    *rows((o.convert_to_tensor, o.array), I, dtype="float32"),
    OpCase(o.nonzero, (I,), jit=False),
    *rows((o.stop_gradient, o.imag, o.conj, o.conjugate), M),
]
