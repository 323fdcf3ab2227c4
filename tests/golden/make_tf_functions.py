"""Writes `tf-functions-VERSION.zip` next to itself: models that call functions of TensorFlow, and their outputs.

Keras 2 wrote such calls into its files by the name of the function (`TFOpLambda`, `SlicingOpLambda`). Every family
below is one model with an output for each case. The files here are from TensorFlow 2.4.4, 2.12.1 and 2.15.1 (2.9 writes
what 2.12 does); run this with the Python where that version is installed. A case that a version does not know is left
out there.
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

K, L = tf.keras.backend, tf.keras.layers
NODES = "--nodes" in sys.argv
RNG = np.random.default_rng(0)
VERSION = ".".join(tf.__version__.split(".")[:2])


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


INPUTS = {
    "x": draw(2, 4, 6),
    "y": draw(2, 4, 6),
    "p": RNG.uniform(0.1, 2, (2, 4, 6)).astype("float32"),
    "u": RNG.uniform(-0.9, 0.9, (2, 4, 6)).astype("float32"),
    "s": np.abs(draw(2, 4, 4)) + 4 * np.eye(4, dtype="float32"),
    "i": RNG.integers(0, 4, (2, 4)).astype("int32"),
    "j": RNG.integers(-9, 10, (2, 4)).astype("int32"),
    "b": RNG.integers(0, 256, (2, 4)).astype("uint8"),
    "img": RNG.uniform(0, 1, (2, 6, 8, 3)).astype("float32"),
    "byte": RNG.integers(0, 256, (2, 6, 8, 3)).astype("uint8"),
    "vol": draw(2, 4, 5, 4, 2),
    "wave": draw(2, 40),
}
"""{name: input}; a model takes those that its cases name."""

C = draw(6)
TABLE = draw(5, 3)
KERNEL = draw(3, 3, 3, 5)


def unary(names, of="x"):
    """Cases that call functions of one tensor."""

    def case(name):
        def call(t):
            f = tf
            for part in name.split("."):
                f = getattr(f, part)
            return f(t[of])

        return call

    return {name: case(name) for name in names.split()}


def binary(names, left="x", right="y"):
    """Cases that call functions of two tensors."""

    def case(name):
        def call(t):
            f = tf
            for part in name.split("."):
                f = getattr(f, part)
            return f(t[left], t[right])

        return call

    return {name: case(name) for name in names.split()}


FAMILIES = {
    "unary": {
        **unary("math.abs math.negative math.sign math.square math.exp math.expm1 math.sin"),
        **unary("math.cos math.tan"),
        **unary("math.atan math.sinh math.cosh math.tanh math.asinh math.floor math.ceil"),
        **unary("math.rint math.round"),
        **unary("math.erf math.erfc math.sigmoid math.log_sigmoid math.softplus math.is_nan"),
        **unary("math.is_finite"),
        **unary("math.is_inf math.reciprocal math.bessel_i0 identity stop_gradient"),
        **unary("math.angle"),
        **unary("math.sqrt math.rsqrt math.log math.log1p", of="p"),
        **unary("math.asin math.acos math.atanh math.erfinv", of="u"),
        "acosh": lambda t: tf.acosh(t["p"] + 1),
        "ndtri": lambda t: tf.math.ndtri(tf.abs(t["u"])),
        "erfcinv": lambda t: tf.math.erfcinv(t["p"] * 0.9),
        "halves": lambda t: tf.round(tf.cast(t["j"], tf.float32) / 2),
        "of_integers": lambda t: [
            tf.abs(t["j"]),
            -t["j"],
            tf.square(t["j"]),
            tf.sign(t["j"]),
            tf.bitwise.invert(t["j"]),
        ],
        "not": lambda t: tf.logical_not(t["x"] > 0),
        "operators": lambda t: [-t["x"], abs(t["x"]), ~(t["x"] > 0)],
    },
    "activations": {
        **unary("nn.relu nn.relu6 nn.elu nn.selu nn.softsign nn.leaky_relu nn.gelu nn.silu"),
        **unary("nn.crelu"),
        **unary("nn.softmax nn.log_softmax nn.sigmoid nn.tanh nn.softplus nn.swish"),
        "leaky": lambda t: tf.nn.leaky_relu(t["x"], alpha=0.3),
        "gelu_tanh": lambda t: tf.nn.gelu(t["x"], approximate=True),
        "softmax_axis": lambda t: tf.nn.softmax(t["x"], axis=1),
        "log_softmax_axis": lambda t: tf.nn.log_softmax(t["x"], 1),
        "silu_beta": lambda t: tf.nn.silu(t["x"], beta=1.5),
        **{
            f"keras_{name}": lambda t, name=name: getattr(tf.keras.activations, name)(t["x"])
            for name in (
                *("elu", "exponential", "gelu", "hard_sigmoid", "linear", "relu", "selu", "sigmoid", "softmax"),
                *("softplus", "softsign", "swish", "tanh"),
            )
        },
        "keras_relu_max": lambda t: tf.keras.activations.relu(t["x"], max_value=1.0),
        "keras_relu_alpha": lambda t: tf.keras.activations.relu(t["x"], alpha=0.1),
        "keras_relu_threshold": lambda t: tf.keras.activations.relu(t["x"], threshold=0.5),
        "backend_relu": lambda t: K.relu(t["x"], alpha=0.1, max_value=2.0),
        "backend_elu": lambda t: K.elu(t["x"], alpha=0.5),
        "backend_hard_sigmoid": lambda t: K.hard_sigmoid(t["x"]),
    },
    "arithmetic": {
        **binary("math.add math.subtract math.multiply math.divide math.truediv"),
        **binary("math.divide_no_nan math.floordiv"),
        **binary("math.floormod math.maximum math.minimum math.squared_difference math.atan2"),
        **binary("math.multiply_no_nan"),
        **binary("math.nextafter math.xlog1py realdiv truncatemod", right="p"),
        **binary("math.pow math.xlogy math.xdivy", left="p"),
        "operators": lambda t: [
            *(t["x"] + t["y"], t["x"] - t["y"], t["x"] * t["y"], t["x"] / t["y"], t["x"] // t["p"], t["x"] % t["p"]),
            *(
                t["p"] ** t["y"],
                t["x"] + 1,
                t["x"] - 2.5,
                t["x"] * 3,
                t["x"] / 4,
                t["x"] // 0.3,
                t["x"] % 0.7,
                t["x"] ** 2,
            ),
        ],
        "reflected": lambda t: [
            *(1 + t["x"], 1 - t["x"], 2.5 * t["x"], 1 / t["p"], 2 // t["p"], 2 % t["p"], 2.0 ** t["x"])
        ],
        "numpy_right": lambda t: [t["x"] + C, t["x"] * C, t["x"] - C, t["x"] / (C + 4)],
        "numpy_left": lambda t: [C + t["x"], C * t["x"], C - t["x"]],
        "numpy_double": lambda t: t["x"] * (C.astype("float64") / 3),
        "numpy_scalar": lambda t: t["x"] * np.float32(0.1),
        "tensor_constant": lambda t: [t["x"] * tf.constant(C), tf.constant(C) * t["x"], t["x"] + tf.constant(2.0)],
        "matrix_constant": lambda t: t["x"] * np.arange(24, dtype="float32").reshape(4, 6),
        "keywords": lambda t: [tf.add(x=t["x"], y=1.0), tf.multiply(y=t["x"], x=3.0, name="named")],
        "integers": lambda t: [
            *(t["j"] + 1, t["j"] - t["i"], t["j"] * 2, t["j"] / 2, t["j"] // 2, t["j"] % 3, t["j"] // (t["i"] + 1)),
            *(t["j"] / (t["i"] + 1), tf.truncatediv(t["j"], 2), tf.truncatemod(t["j"], 3), tf.pow(t["i"], 2)),
            *(tf.maximum(t["j"], 0), tf.math.floordiv(t["j"], 4), tf.compat.v1.div(t["j"], 2), 7 - t["j"]),
        ],
        "bytes": lambda t: [t["b"] / 255, t["b"] // 2, t["b"] + 1],
        "bits": lambda t: [
            *(tf.bitwise.bitwise_and(t["j"], 3), tf.bitwise.bitwise_or(t["j"], 3), tf.bitwise.bitwise_xor(t["j"], 5)),
            *(tf.bitwise.left_shift(t["i"], 2), tf.bitwise.right_shift(t["i"], 1)),
        ],
        "wide": lambda t: tf.cast(t["x"], tf.float64) * 0.1 + C.astype("float64"),
        "add_n": lambda t: [tf.add_n([t["x"], t["y"], t["p"]]), tf.math.scalar_mul(2.0, t["x"])],
        "clip": lambda t: [tf.clip_by_value(t["x"], -0.5, 0.5), tf.clip_by_value(t["x"], t["u"], 1.0)],
        "clip_norm": lambda t: [tf.clip_by_norm(t["x"], 1.0), tf.clip_by_norm(t["x"], 0.5, axes=[2])],
        "complex": lambda t: tf.abs(tf.complex(t["x"], t["y"])),
        "complex_parts": lambda t: [f(tf.complex(t["x"], t["y"])) for f in (tf.math.real, tf.math.imag, tf.math.angle)],
    },
    "logic": {
        **binary("math.equal math.not_equal math.greater math.greater_equal math.less"),
        **binary("math.less_equal"),
        "operators": lambda t: [
            t["x"] > t["y"],
            t["x"] >= 0,
            t["x"] < 0,
            t["x"] >= 0.5,
            tf.equal(t["i"], 2),
            tf.not_equal(t["i"], 2),
        ],
        "between": lambda t: [
            *(tf.logical_and(t["x"] > 0, t["y"] > 0), tf.logical_or(t["x"] > 0, t["y"] > 0)),
            tf.math.logical_xor(t["x"] > 0, t["y"] > 0),
        ],
        "where": lambda t: [
            *(
                tf.where(t["x"] > 0, t["x"], t["y"]),
                tf.where(t["x"] > 0, t["x"], 0.0),
                tf.where(t["x"] > 0, 1.0, t["y"]),
            ),
            *(tf.where(t["x"] > 0, tf.zeros_like(t["x"]), t["x"]), tf.where(t["i"] > 1, t["i"], -1)),
        ],
        "where_broadcast": lambda t: tf.where(t["i"][:, :, None] > 1, t["x"], t["y"][:, :1]),
        "where_places": lambda t: tf.where(t["i"] > 1),
    },
    "dtypes": {
        "cast": lambda t: [tf.cast(t["x"], "int32"), tf.cast(t["i"], tf.float32), tf.cast(t["x"] > 0, tf.float32)],
        "cast_wide": lambda t: [tf.cast(t["i"], tf.int64), tf.cast(t["x"], tf.float64), tf.cast(t["x"], tf.bool)],
        "half": lambda t: tf.cast(tf.cast(t["x"], tf.float16) * 0.1, tf.float32),
        "saturate": lambda t: tf.saturate_cast(t["x"] * 300, tf.uint8),
        "convert": lambda t: tf.convert_to_tensor(t["x"]),
        "ensure": lambda t: tf.ensure_shape(t["x"], (None, 4, 6)),
    },
    "reductions": {
        **unary("math.reduce_sum math.reduce_mean math.reduce_max math.reduce_min"),
        **unary("math.reduce_prod"),
        **unary("math.reduce_std math.reduce_variance math.reduce_logsumexp"),
        **unary("math.reduce_euclidean_norm"),
        **unary("math.count_nonzero math.zero_fraction"),
        "axis": lambda t: [
            *(
                tf.reduce_sum(t["x"], 1),
                tf.reduce_mean(t["x"], axis=[1, 2]),
                tf.reduce_max(t["x"], axis=-1, keepdims=True),
            ),
            *(tf.reduce_min(t["x"], (0, 1)), tf.reduce_prod(t["x"], 2), tf.math.reduce_std(t["x"], 1, keepdims=True)),
            *(tf.math.reduce_variance(t["x"], -1), tf.reduce_logsumexp(t["x"], axis=[-1, -2])),
        ],
        "of_truth": lambda t: [tf.reduce_any(t["x"] > 1, 1), tf.reduce_all(t["x"] > -1, axis=-1)],
        "of_integers": lambda t: [
            tf.reduce_sum(t["j"], 1),
            tf.reduce_mean(t["j"], 1),
            tf.reduce_max(t["j"]),
            tf.reduce_prod(t["i"], -1),
        ],
        "of_bytes": lambda t: [tf.reduce_sum(t["b"], 1), tf.reduce_mean(t["b"], 1)],
        "count": lambda t: tf.math.count_nonzero(t["i"], axis=1, keepdims=True, dtype=tf.int32),
        "arg": lambda t: [
            *(tf.argmax(t["x"]), tf.argmax(t["x"], axis=-1), tf.argmin(t["x"], 1), tf.argmax(t["x"], 2, tf.int32))
        ],
        "running": lambda t: [
            *(tf.cumsum(t["x"], axis=1), tf.cumsum(t["x"], -1, exclusive=True), tf.cumsum(t["x"], 1, reverse=True)),
            *(tf.math.cumprod(t["x"], 2), tf.math.cumprod(t["x"], 2, exclusive=True, reverse=True)),
        ],
        "sort": lambda t: [tf.sort(t["x"]), tf.sort(t["x"], axis=1, direction="DESCENDING")],
        "argsort": lambda t: [tf.argsort(t["i"]), tf.argsort(t["x"], axis=1, direction="DESCENDING")],
        "top_k": lambda t: [*tf.math.top_k(t["x"], 3), *tf.math.top_k(t["i"], k=2)],
        "in_top_k": lambda t: tf.math.in_top_k(t["i"][:, 0], t["x"][:, 0], 2),
        "searchsorted": lambda t: tf.searchsorted(tf.sort(t["x"][:, 0]), t["y"][:, 0]),
        "unique": lambda t: list(tf.unique(tf.reshape(t["i"], [-1]))),
        "segments": lambda t: [
            f(t["x"], tf.constant([1, 0]), 3)
            for f in (tf.math.unsorted_segment_sum, tf.math.unsorted_segment_mean, tf.math.unsorted_segment_sqrt_n)
        ],
    },
    "shapes": {
        "shape": lambda t: [tf.shape(t["x"]), tf.size(t["x"]), tf.rank(t["x"]), tf.shape(t["x"], out_type=tf.int64)],
        "reshape": lambda t: [
            *(tf.reshape(t["x"], [-1, 24]), tf.reshape(t["x"], (-1, 2, 12)), tf.reshape(t["x"], [-1])),
            *(tf.reshape(t["x"], [tf.shape(t["x"])[0], 24]), tf.reshape(t["x"], tf.reverse(tf.shape(t["y"]), [0]))),
            *(
                tf.reshape(t["x"], [-1, tf.shape(t["x"])[1] * 6]),
                tf.reshape(t["x"], tf.stack([tf.shape(t["x"])[0], 6, 4])),
            ),
            tf.reshape(t["x"], tf.concat([tf.shape(t["x"])[:1], [3, 8]], axis=0)),
        ],
        "reshaped_then_dense": lambda t: tf.keras.layers.Dense(2)(tf.reshape(t["x"], [tf.shape(t["x"])[0], 24])),
        "flat_then_dense": lambda t: tf.keras.layers.Dense(2)(
            tf.reshape(t["x"], [-1, tf.reduce_prod(tf.shape(t["x"])[1:])])
        ),
        "transpose": lambda t: [
            tf.transpose(t["x"]),
            tf.transpose(t["x"], [0, 2, 1]),
            tf.transpose(t["x"], perm=(2, 0, 1)),
        ],
        "expand": lambda t: [tf.expand_dims(t["x"], 1), tf.expand_dims(t["x"], -1), tf.expand_dims(t["x"], axis=0)],
        "squeeze": lambda t: [
            tf.squeeze(t["x"][:, :1], axis=1),
            tf.squeeze(t["x"][:, :1, :1], [1, 2]),
            tf.squeeze(t["x"][:, :, :1], -1),
        ],
        "tile": lambda t: [tf.tile(t["x"], [1, 2, 1]), tf.tile(t["x"], [1, 1, tf.shape(t["i"])[1]])],
        "repeat": lambda t: [
            tf.repeat(t["x"], 2, axis=1),
            tf.repeat(t["x"], [1, 0, 2, 1], axis=1),
            tf.repeat(t["i"], 2),
        ],
        "pad": lambda t: [
            *(tf.pad(t["x"], [[0, 0], [1, 2], [0, 1]]), tf.pad(t["x"], [[0, 0], [1, 2], [0, 1]], constant_values=1.5)),
            *(
                tf.pad(t["x"], [[0, 0], [1, 2], [0, 3]], "REFLECT"),
                tf.pad(t["x"], [[0, 0], [1, 2], [0, 0]], mode="SYMMETRIC"),
            ),
        ],
        "order": lambda t: [
            tf.reverse(t["x"], [1]),
            tf.reverse(t["x"], axis=[-1, 1]),
            tf.roll(t["x"], 1, axis=1),
            tf.roll(t["x"], [1, -2], [1, 2]),
        ],
        "reverse_sequence": lambda t: tf.reverse_sequence(t["x"], t["i"][:, 0], seq_axis=1, batch_axis=0),
        "stack": lambda t: [
            tf.stack([t["x"], t["y"]]),
            tf.stack([t["x"], t["y"]], axis=-1),
            tf.stack([t["i"], 2 * t["i"]], 1),
        ],
        "unstack": lambda t: [*tf.unstack(t["x"], axis=1), *tf.unstack(t["x"], num=6, axis=-1)],
        "split": lambda t: [
            *(*tf.split(t["x"], 2, axis=1), *tf.split(t["x"], [1, 2, 3], axis=-1), *tf.split(t["x"], [2, -1], axis=2)),
            *tf.split(t["x"], num_or_size_splits=3, axis=2),
        ],
        "concat": lambda t: [
            *(tf.concat([t["x"], t["y"]], -1), tf.concat(values=[t["x"], t["y"], t["p"]], axis=1)),
            tf.concat([t["x"], np.ones((2, 4, 1), "float32")], axis=2),
        ],
        "broadcast": lambda t: [
            tf.broadcast_to(t["x"][:, :1], [2, 4, 6]),
            tf.broadcast_to(t["x"][:, :1], tf.shape(t["x"])),
        ],
        "new": lambda t: [
            *(tf.zeros_like(t["x"]), tf.ones_like(t["x"]), tf.zeros_like(t["x"], dtype=tf.int32), tf.ones_like(t["i"])),
            *(tf.fill(tf.shape(t["x"]), 2.0), tf.fill([tf.shape(t["x"])[0], 3], 1), tf.zeros([tf.shape(t["x"])[0], 3])),
            *(tf.ones(tf.shape(t["i"])), tf.range(tf.shape(t["x"])[1]), tf.range(0, tf.shape(t["x"])[2], 2)),
            *(tf.linspace(t["x"][0, 0, 0], 2.0, 5), tf.eye(tf.shape(t["x"])[1]), tf.sequence_mask(t["i"], 5)),
            *(tf.sequence_mask(t["i"], maxlen=4, dtype=tf.float32), tf.sequence_mask(t["i"][:, 0])),
        ],
        "positions": lambda t: t["x"] + tf.cast(tf.range(tf.shape(t["x"])[1]), tf.float32)[None, :, None],
    },
    "indexing": {
        "getitem": lambda t: [
            *(
                t["x"][0],
                t["x"][:, 0],
                t["x"][:, -1],
                t["x"][..., 0],
                t["x"][:, 1:3],
                t["x"][:, ::2],
                t["x"][..., ::-1],
            ),
            *(
                t["x"][:, None],
                t["x"][..., tf.newaxis],
                t["x"][:, :, 1:-1],
                t["x"][:, 3:0:-1, 2],
                t["x"][:, tf.newaxis, ..., 0],
            ),
            *(t["x"][0, 1, 2], t["x"][0, ..., 2:], t["x"][:, :100]),
        ],
        "tensor_bounds": lambda t: [
            *(t["x"][:, : tf.shape(t["i"])[1] - 1], t["x"][:, t["i"][0, 0]], t["x"][tf.shape(t["i"])[0] - 1]),
            t["x"][:, tf.shape(t["x"])[1] // 2 :],
        ],
        "masks": lambda t: [
            tf.boolean_mask(t["x"], t["i"] > 1),
            t["x"][t["x"] > 0],
            tf.boolean_mask(t["x"], t["i"][0] > 1, axis=1),
        ],
        "slice": lambda t: [
            tf.slice(t["x"], [0, 1, 2], [-1, 2, 3]),
            tf.slice(t["x"], [0, 0, 1], [tf.shape(t["x"])[0], 2, 2]),
        ],
        "strided": lambda t: [
            *(tf.strided_slice(t["x"], [0, 1], [2, 3]), tf.strided_slice(t["x"], [0, 3, 0], [2, 0, 6], [1, -1, 2])),
            tf.strided_slice(t["x"], [0, 1, 0], [0, 0, 3], [1, 1, 1], begin_mask=1, end_mask=3, shrink_axis_mask=0),
            tf.strided_slice(t["x"], [0, 2], [0, 3], shrink_axis_mask=2, end_mask=1),
        ],
        "gather": lambda t: [
            *(tf.gather(t["x"], [0, 2], axis=1), tf.gather(TABLE, t["i"]), tf.gather(t["x"], t["i"][0], axis=2)),
            *(tf.gather(t["x"], t["i"], batch_dims=1), tf.gather(t["x"], t["i"], axis=2, batch_dims=1)),
            *(tf.gather(t["x"], 1, axis=-1), tf.gather(t["x"], [[0, 1], [2, 3]], axis=1)),
        ],
        "gather_nd": lambda t: [
            tf.gather_nd(t["x"], t["i"][:, :2] % 2),
            tf.gather_nd(t["x"], t["i"][..., None], batch_dims=1),
        ],
        "lookup": lambda t: tf.nn.embedding_lookup(tf.constant(TABLE), t["i"]),
        "one_hot": lambda t: [
            *(
                tf.one_hot(t["i"], 4),
                tf.one_hot(t["i"], depth=3, on_value=2.0, off_value=-1.0),
                tf.one_hot(t["i"], 4, axis=1),
            ),
            tf.one_hot(t["i"], 4, dtype=tf.int32),
        ],
        "scatter": lambda t: [
            tf.scatter_nd(t["i"][..., None] % 4, t["x"], [4, 6]),
            tf.tensor_scatter_nd_update(t["x"], [[0, 1], [1, 2]], t["y"][:, 0]),
            tf.tensor_scatter_nd_add(t["x"], [[0, 1], [1, 2]], t["y"][:, 0]),
            tf.tensor_scatter_nd_sub(t["x"], [[0, 1], [1, 2]], t["y"][:, 0]),
            tf.tensor_scatter_nd_max(t["x"], [[0, 1], [1, 2]], t["y"][:, 0]),
            tf.tensor_scatter_nd_min(t["x"], [[0, 1], [1, 2]], t["y"][:, 0]),
        ],
    },
    "algebra": {
        "matmul": lambda t: [
            *(
                tf.matmul(t["x"], t["y"], transpose_b=True),
                t["x"] @ tf.transpose(t["y"], [0, 2, 1]),
                t["x"] @ C[:, None],
            ),
            *(tf.matmul(t["x"], t["y"], transpose_a=True), tf.linalg.matvec(t["x"], t["y"][:, 0])),
            *(tf.matmul(t["x"], t["y"], adjoint_b=True), tf.matmul(t["i"], t["j"], transpose_b=True)),
        ],
        "tensordot": lambda t: [
            *(tf.tensordot(t["x"], np.ones((6, 2), "float32"), 1), tf.tensordot(t["x"], TABLE[:4], axes=[[1], [0]])),
            tf.tensordot(t["x"], t["y"], axes=([1, 2], [1, 2])),
        ],
        "norm": lambda t: [
            *(tf.norm(t["x"]), tf.norm(t["x"], axis=-1), tf.norm(t["x"], ord=1, axis=1, keepdims=True)),
            *(tf.norm(t["x"], ord=np.inf, axis=-1), tf.norm(t["x"], ord=3, axis=-1), tf.norm(t["x"], axis=[1, 2])),
            *(tf.norm(t["x"], ord=2, axis=2), tf.norm(t["x"], "fro", axis=[-2, -1]), tf.norm(t["x"], 1, axis=[-2, -1])),
        ],
        "l2_normalize": lambda t: [
            tf.math.l2_normalize(t["x"], axis=-1),
            tf.nn.l2_normalize(t["x"], [1, 2], epsilon=1.0),
            tf.math.l2_normalize(t["x"]),
        ],
        "normalize": lambda t: list(tf.linalg.normalize(t["x"], axis=-1)),
        **unary("linalg.det linalg.inv linalg.trace linalg.matrix_transpose linalg.adjoint", of="s"),
        **unary("linalg.diag_part", of="s"),
        "cholesky": lambda t: tf.linalg.cholesky(tf.matmul(t["s"], t["s"], transpose_b=True)),
        "solve": lambda t: tf.linalg.solve(t["s"], t["x"]),
        "cross": lambda t: tf.linalg.cross(t["x"][..., :3], t["y"][..., :3]),
        "band": lambda t: [tf.linalg.band_part(t["s"], -1, 0), tf.linalg.band_part(t["x"], 1, 2)],
        "diag": lambda t: [tf.linalg.diag(t["x"]), tf.linalg.diag(t["x"], k=1), tf.linalg.diag_part(t["x"], k=-1)],
    },
    "networks": {
        "moments": lambda t: [*tf.nn.moments(t["x"], axes=[1]), *tf.nn.moments(t["x"], [1, 2], keepdims=True)],
        "bias": lambda t: [tf.nn.bias_add(t["x"], C), tf.nn.bias_add(t["x"], C[:4], data_format="NCHW")],
        "batch_normalization": lambda t: [
            tf.nn.batch_normalization(t["x"], t["y"], t["p"], None, None, 1e-3),
            tf.nn.batch_normalization(t["x"], *tf.nn.moments(t["x"], [1], keepdims=True), C, C, 1e-5),
        ],
        "lrn": lambda t: tf.nn.local_response_normalization(t["img"], depth_radius=1, bias=2.0, alpha=0.1, beta=0.75),
        "losses": lambda t: [
            *(tf.nn.l2_loss(t["x"]), tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.abs(t["u"]), logits=t["x"])),
            tf.nn.softmax_cross_entropy_with_logits(labels=t["p"], logits=t["x"]),
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=t["i"], logits=t["x"]),
        ],
        "conv2d": lambda t: [
            *(tf.nn.conv2d(t["img"], KERNEL, 1, "SAME"), tf.nn.conv2d(t["img"], KERNEL, [1, 2, 2, 1], "VALID")),
            *(
                tf.nn.conv2d(t["img"], KERNEL, strides=2, padding="SAME"),
                tf.nn.conv2d(t["img"], KERNEL, 1, "SAME", dilations=2),
            ),
            tf.nn.conv2d(t["img"], KERNEL, 1, [[0, 0], [1, 0], [2, 1], [0, 0]]),
        ],
        "conv1d": lambda t: [
            tf.nn.conv1d(t["x"], KERNEL[0, :, :, :].repeat(2, 1), 1, "SAME"),
            tf.nn.conv1d(t["x"], KERNEL[0].repeat(2, 1), stride=2, padding="VALID"),
        ],
        "conv3d": lambda t: tf.nn.conv3d(t["vol"], KERNEL[:2, :2, None, :2], [1, 1, 1, 1, 1], "SAME"),
        "convolution": lambda t: tf.nn.convolution(t["img"], KERNEL, padding="SAME"),
        "depthwise": lambda t: [
            tf.nn.depthwise_conv2d(t["img"], KERNEL[..., :2], [1, 1, 1, 1], "SAME"),
            tf.nn.depthwise_conv2d(t["img"], KERNEL[..., :2], [1, 2, 2, 1], "VALID"),
        ],
        "separable": lambda t: tf.nn.separable_conv2d(
            t["img"], KERNEL[..., :2], KERNEL.reshape(1, 1, -1)[:, :, :24].reshape(1, 1, 6, 4), [1, 1, 1, 1], "SAME"
        ),
        "transposed": lambda t: [
            tf.nn.conv2d_transpose(t["img"], KERNEL.transpose(0, 1, 3, 2), [2, 12, 16, 5], 2, "SAME"),
            tf.nn.conv2d_transpose(t["img"], KERNEL.transpose(0, 1, 3, 2), [2, 11, 15, 5], 2, "SAME"),
            tf.nn.conv2d_transpose(t["img"], KERNEL.transpose(0, 1, 3, 2), [2, 13, 17, 5], [2, 2], "VALID"),
            tf.nn.conv2d_transpose(
                t["img"], KERNEL.transpose(0, 1, 3, 2), tf.stack([tf.shape(t["img"])[0], 12, 16, 5]), 2
            ),
        ],
        "max_pool": lambda t: [
            *(tf.nn.max_pool2d(t["img"], 2, 2, "VALID"), tf.nn.max_pool(t["img"], 3, 2, "SAME")),
            *(tf.nn.max_pool1d(t["x"], 2, 1, "SAME"), tf.nn.max_pool3d(t["vol"], 2, 2, "SAME")),
        ],
        "avg_pool": lambda t: [
            *(
                tf.nn.avg_pool2d(t["img"], [2, 2], [2, 2], "SAME"),
                tf.nn.avg_pool(t["img"], [1, 3, 3, 1], [1, 1, 1, 1], "SAME"),
            ),
            *(tf.nn.avg_pool1d(t["x"], 2, 2, "VALID"), tf.nn.avg_pool3d(t["vol"], 2, 2, "VALID")),
        ],
        "blocks": lambda t: [tf.nn.space_to_depth(t["img"], 2), tf.nn.depth_to_space(tf.concat([t["img"]] * 4, -1), 2)],
    },
    "images": {
        **{
            f"resize_{method}": lambda t, method=method: [
                *(tf.image.resize(t["img"], (9, 5), method=method), tf.image.resize(t["img"], [12, 16], method)),
                tf.image.resize(t["img"], [3, 4], method=method, antialias=True),
            ]
            for method in (
                "bilinear",
                "bicubic",
                "nearest",
                "area",
                "lanczos3",
                "lanczos5",
                "gaussian",
                "mitchellcubic",
            )
        },
        "resize_bytes": lambda t: [tf.image.resize(t["byte"], (9, 5)), tf.image.resize(t["byte"], (9, 5), "nearest")],
        "resize_to_other": lambda t: tf.image.resize(t["img"], tf.shape(t["img"])[1:3] * 2),
        "resize_aspect": lambda t: tf.image.resize(t["img"], (12, 12), preserve_aspect_ratio=True),
        **unary("image.flip_left_right image.flip_up_down image.transpose image.rot90", of="img"),
        **unary("image.rgb_to_grayscale image.rgb_to_hsv image.rgb_to_yiq image.rgb_to_yuv", of="img"),
        **unary("image.hsv_to_rgb image.yiq_to_rgb image.yuv_to_rgb", of="img"),
        **unary("image.per_image_standardization", of="img"),
        **unary("image.sobel_edges image.total_variation", of="img"),
        "gradients": lambda t: list(tf.image.image_gradients(t["img"])),
        "gray_to_rgb": lambda t: tf.image.grayscale_to_rgb(t["img"][..., :1]),
        "gray_bytes": lambda t: tf.image.rgb_to_grayscale(t["byte"]),
        "convert": lambda t: [
            tf.image.convert_image_dtype(t["byte"], tf.float32),
            tf.image.convert_image_dtype(t["img"], tf.uint8, saturate=True),
        ],
        "adjust": lambda t: [
            *(
                tf.image.adjust_brightness(t["img"], 0.2),
                tf.image.adjust_contrast(t["img"], 2.0),
                tf.image.adjust_gamma(t["img"], 2.0, 1.5),
            ),
            *(tf.image.adjust_saturation(t["img"], 0.5), tf.image.adjust_hue(t["img"], 0.2)),
        ],
        "crops": lambda t: [
            *(tf.image.central_crop(t["img"], 0.5), tf.image.crop_to_bounding_box(t["img"], 1, 2, 3, 4)),
            *(tf.image.pad_to_bounding_box(t["img"], 1, 2, 9, 12), tf.image.resize_with_crop_or_pad(t["img"], 4, 12)),
        ],
        "patches": lambda t: tf.image.extract_patches(t["img"], [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
    },
    "signals": {
        "fft": lambda t: [
            tf.abs(f(tf.complex(t["x"], t["y"])))
            for f in (tf.signal.fft, tf.signal.ifft, tf.signal.fft2d, tf.signal.ifft2d)
        ],
        "shift": lambda t: [tf.signal.fftshift(t["x"]), tf.signal.ifftshift(t["x"], axes=[1])],
        "frame": lambda t: [
            tf.signal.frame(t["wave"], 8, 4),
            tf.signal.frame(t["wave"], 8, 5, pad_end=True),
            tf.signal.overlap_and_add(t["x"], 2),
        ],
        "stft": lambda t: [
            tf.abs(tf.signal.stft(t["wave"], 16, 8)),
            tf.abs(tf.signal.stft(t["wave"], frame_length=12, frame_step=4, fft_length=32, pad_end=True)),
        ],
        "dct": lambda t: [tf.signal.dct(t["wave"]), tf.signal.dct(t["wave"], norm="ortho", n=16)],
    },
    "backend": {
        "dot": lambda t: [
            K.dot(t["x"], K.constant(np.ones((6, 2)))),
            K.batch_dot(t["x"], t["y"], axes=2),
            K.batch_dot(t["x"], t["y"], axes=[1, 1]),
        ],
        "reductions": lambda t: [
            *(
                K.sum(t["x"], axis=1),
                K.mean(t["x"], axis=[1, 2]),
                K.max(t["x"], -1),
                K.min(t["x"], 1, keepdims=True),
                K.prod(t["x"], 2),
            ),
            *(
                K.var(t["x"], 1),
                K.std(t["x"], -1),
                K.any(t["x"] > 1, 1),
                K.all(t["x"] > -1, -1),
                K.mean(t["x"] > 0, axis=-1),
            ),
            *(
                K.argmax(t["x"]),
                K.argmin(t["x"], 1),
                K.logsumexp(t["x"], 1) if hasattr(K, "logsumexp") else K.sum(t["x"]),
            ),
            *(K.cumsum(t["x"], 1), K.cumprod(t["x"], 1)),
        ],
        "elementwise": lambda t: [
            *(
                K.square(t["x"]),
                K.abs(t["x"]),
                K.sqrt(t["x"]),
                K.exp(t["x"]),
                K.log(t["p"]),
                K.round(t["x"]),
                K.sign(t["x"]),
            ),
            *(
                K.pow(t["p"], 2),
                K.clip(t["x"], -1, 1),
                K.sin(t["x"]),
                K.cos(t["x"]),
                K.maximum(t["x"], t["y"]),
                K.minimum(t["x"], 0.0),
            ),
            *(K.sigmoid(t["x"]), K.tanh(t["x"]), K.softmax(t["x"]), K.softplus(t["x"]), K.softsign(t["x"])),
            *(K.equal(t["i"], 1), K.not_equal(t["i"], 1), K.greater(t["x"], 0), K.less_equal(t["x"], t["y"])),
        ],
        "shapes": lambda t: [
            *(
                K.reshape(t["x"], (-1, 24)),
                K.permute_dimensions(t["x"], (0, 2, 1)),
                K.expand_dims(t["x"]),
                K.squeeze(t["x"][:, :1], 1),
            ),
            *(
                K.batch_flatten(t["x"]),
                K.flatten(t["x"]),
                K.repeat(t["x"][:, 0], 3),
                K.repeat_elements(t["x"], 2, 1),
                K.tile(t["x"], [1, 2, 1]),
            ),
            *(
                K.concatenate([t["x"], t["y"]], axis=-1),
                K.stack([t["x"], t["y"]], axis=1),
                K.reverse(t["x"], 1),
                K.shape(t["x"]),
            ),
            *(
                K.temporal_padding(t["x"], (1, 2)),
                K.spatial_2d_padding(t["img"], ((1, 0), (0, 2))),
                K.cast(t["i"], "float32"),
            ),
            *(
                K.zeros_like(t["x"]),
                K.ones_like(t["x"]),
                K.one_hot(t["i"], 4),
                K.gather(t["x"], [0, 1]),
                K.transpose(t["x"][:, 0]),
            ),
        ],
        "networks": lambda t: [
            *(
                K.l2_normalize(t["x"], axis=-1),
                K.bias_add(t["x"], K.constant(C)),
                K.batch_normalization(t["x"], C, C * C, C, C, epsilon=1e-3),
            ),
            *(
                K.conv2d(t["img"], K.constant(KERNEL), padding="same"),
                K.pool2d(t["img"], (2, 2), (2, 2)),
                K.pool2d(t["img"], (2, 2), pool_mode="avg"),
            ),
            *(
                K.resize_images(t["img"], 2, 2, "channels_last"),
                K.resize_images(t["img"], 2, 3, "channels_last", interpolation="bilinear"),
            ),
            *(
                K.depthwise_conv2d(t["img"], K.constant(KERNEL[..., :2])),
                K.conv1d(t["x"], K.constant(KERNEL[0].repeat(2, 1))),
            ),
        ],
        "switch": lambda t: K.switch(t["x"] > 0, t["x"], t["y"]),
        "phases": lambda t: [K.stop_gradient(t["x"]), K.in_test_phase(t["x"] * 2, t["y"])],
        "distance": lambda t: K.sqrt(K.maximum(K.sum(K.square(t["x"] - t["y"]), axis=-1, keepdims=True), K.epsilon())),
        "losses": lambda t: [
            tf.keras.losses.mean_squared_error(t["x"], t["y"]),
            tf.keras.losses.mean_absolute_error(t["x"], t["y"]),
            tf.keras.losses.cosine_similarity(t["x"], t["y"]),
            tf.keras.losses.huber(t["x"], t["y"]),
        ],
        "crossentropy": lambda t: [
            *(
                K.binary_crossentropy(tf.abs(t["u"]), K.sigmoid(t["x"])),
                K.categorical_crossentropy(t["p"], K.softmax(t["x"])),
            )
        ],
    },
    "masks": {
        name: lambda t, f=f: L.LSTM(2)(f(L.Embedding(4, 3, mask_zero=True)(t["i"])))
        for name, f in {
            "cast": lambda e: tf.cast(e, tf.float32),
            "backend_cast": lambda e: K.cast(e, "float32"),
            "convert": tf.convert_to_tensor,
            "add_n": lambda e: tf.add_n([e]),
            "real": tf.math.real,
            "to_float": tf.compat.v1.to_float,
            "linear": tf.keras.activations.linear,
            "identity": tf.identity,
            "stop_gradient": tf.stop_gradient,
            "and_back": lambda e: tf.cast(tf.cast(e, tf.float64), tf.float32),
            "add": lambda e: e + 1.0,
            "getitem": lambda e: e[:, :],
            "concat": lambda e: tf.concat([e], -1),
            "relu": tf.nn.relu,
            "residual": lambda e: e + tf.nn.relu(e),
            "residual_of_the_same": lambda e: tf.cast(e, tf.float32) + e,
            "merged_with_a_function": lambda e: L.Add()([e, tf.nn.relu(e)]),
            "merged_with_the_same": lambda e: L.Add()([tf.cast(e, tf.float32), e + 1.0]),
        }.items()
    },
    "mask_arguments": {
        "not_equal": lambda t: L.LSTM(2)(t["x"], mask=tf.not_equal(t["i"], 0)),
        "compute_mask": lambda t: masked_twice(t["i"]),
        "sequence_mask": lambda t: L.GlobalAveragePooling1D()(t["x"], mask=tf.sequence_mask(t["i"][:, 0] + 1, 4)),
        "attention_mask": lambda t: L.MultiHeadAttention(1, 2)(t["x"], t["y"], attention_mask=t["s"] > 0.5),
    },
    "rare": {
        "segments": lambda t: [
            f(t["x"], tf.constant([1, 0]), 3)
            for f in (tf.math.unsorted_segment_max, tf.math.unsorted_segment_min, tf.math.unsorted_segment_prod)
        ],
        "polyval": lambda t: [tf.math.polyval([2.0, t["y"][:, :1], -1.0], t["x"]), tf.math.polyval([t["y"]], t["p"])],
        "weighted": lambda t: tf.nn.weighted_cross_entropy_with_logits(t["p"], t["x"], pos_weight=2.5),
        "fake_quant": lambda t: [
            tf.quantization.fake_quant_with_min_max_args(t["x"], min=-1.0, max=0.5, num_bits=4),
            tf.quantization.fake_quant_with_min_max_vars(t["x"], -0.7, t["p"][0, 0, 0], narrow_range=True),
            tf.quantization.fake_quant_with_min_max_vars_per_channel(t["x"], -t["p"][0, 0], t["p"][0, 1], num_bits=3),
        ],
        "crops": lambda t: [
            tf.image.crop_and_resize(t["img"], t["x"][0, :, :4], t["i"][0] // 2, [5, 3], extrapolation_value=0.5),
            tf.image.crop_and_resize(t["byte"], [[0.1, 0, 0.7, 1]], [1], crop_size=(1, 4)),
            tf.image.crop_and_resize(t["img"], t["u"][0, :, :4] / 2 + 0.5, t["i"][1] // 2, [4, 6], method="nearest"),
        ],
    },
    "constants": {
        "attention_mask": lambda t: [
            L.MultiHeadAttention(2, 3)(t["x"], t["y"], attention_mask=np.tril(np.ones((1, 4, 4), "float32"))),
            L.MultiHeadAttention(2, 3)(t["x"], t["y"], t["y"], tf.constant(np.tril(np.ones((1, 4, 4), bool)))),
            L.MultiHeadAttention(2, 3)(t["x"], np.ones((2, 5, 6), "float32")),
        ],
        "merging": lambda t: [
            *(L.Add()([t["x"], np.full((1, 4, 6), 0.5, "float32")]), L.Multiply()([t["x"], tf.constant(INPUTS["y"])])),
            *(L.Maximum()([tf.constant(INPUTS["y"]), t["x"]]), L.Subtract()([t["x"], tf.constant(INPUTS["y"])])),
            *(L.Concatenate()([t["x"], tf.constant(INPUTS["y"])]), L.Average()([t["x"], tf.constant(INPUTS["y"])])),
            L.Dot(axes=2)([t["x"], tf.constant(INPUTS["y"])]),
        ],
        "attention": lambda t: L.Attention()([t["x"], tf.constant(INPUTS["y"])]),
        "initial_state": lambda t: [
            L.GRU(3)(t["x"], initial_state=tf.constant(INPUTS["x"][:, 0, :3])),
            L.LSTM(3)(t["x"], initial_state=[tf.constant(INPUTS["x"][:, 0, :3]), tf.constant(INPUTS["y"][:, 0, :3])]),
        ],
        "mask": lambda t: [
            L.LSTM(2)(t["x"], mask=tf.constant([[True, True, False, True], [True, False, False, False]])),
            L.GlobalAveragePooling1D()(
                t["x"], mask=tf.constant([[True, True, False, True], [True, False, False, True]])
            ),
            L.Softmax()(t["s"], mask=np.tril(np.ones((1, 4, 4), "float32"))),
        ],
        "model": lambda t: both_added()([t["x"], tf.constant(INPUTS["y"])]),
    },
}


OF_NODES = (
    *("unary", "activations", "arithmetic", "logic", "dtypes", "reductions", "shapes", "indexing", "algebra"),
    "networks",
)
NO_NODES = {
    *("silu_beta", "clip_norm", "ensure", "axis", "in_top_k", "math.reduce_logsumexp", "math.zero_fraction"),
    *("searchsorted", "segments", "unique", "erfcinv", "ndtri", "math.angle", "math.bessel_i0", "complex_parts"),
    *("shape", "new", "flat_then_dense", "losses", "scatter", "diag", "cross", "reverse_sequence", "transposed"),
    *("separable", "max_pool", "avg_pool", "linalg.diag_part", "linalg.trace", "solve"),
}
"""Cases that nodes cannot express, or whose operations are not in the table."""


def masked_twice(ids):
    embedding = L.Embedding(4, 3, mask_zero=True)
    return L.LSTM(2)(embedding(ids), mask=embedding.compute_mask(ids))


def both_added():
    inner = [L.Input((4, 6)), L.Input((4, 6))]
    return tf.keras.Model(inner, L.Add()(inner))


def tensors():
    return {name: tf.keras.Input(value.shape[1:], dtype=value.dtype.name, name=name) for name, value in INPUTS.items()}


def flat(value):
    return [leaf for leaf in tf.nest.flatten(value) if NODES or hasattr(leaf, "_keras_history")]


def model_of(cases):
    """(model, names of its outputs, cases that this version does not know)."""
    given = tensors()
    outputs, names, unknown = [], [], []
    for name, case in cases.items():
        try:
            made = flat(case(given))
        except (AttributeError, TypeError, ValueError, NotImplementedError, RuntimeError) as error:
            unknown.append(f"{name}: {type(error).__name__}: {str(error)[:150]}")
            continue
        outputs += made
        names += [f"{name}_{number}" for number in range(len(made))]
    return tf.keras.Model(given, outputs), names, unknown


def save(archive, name, model, names):
    """Write the model as `NAME.h5`, and as `NAME.keras` where this version writes that, with its outputs."""
    for weight in model.weights:
        weight.assign(draw(*weight.shape))
    given = model({key: tf.constant(INPUTS[key]) for key in model.input_names})
    given = given if isinstance(given, list) else [given]
    arrays = {f"y{i:03}": np.asarray(y) for i, y in enumerate(given)}
    buffer = io.BytesIO()
    np.savez(buffer, names=np.array(names), **{f"x_{key}": INPUTS[key] for key in model.input_names}, **arrays)
    archive.writestr(f"{name}.npz", buffer.getvalue(), zipfile.ZIP_DEFLATED)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/m.h5", include_optimizer=False)
        archive.write(f"{folder}/m.h5", f"{name}.h5", zipfile.ZIP_DEFLATED)
        if tuple(map(int, VERSION.split("."))) >= (2, 12):
            try:
                model.save(f"{folder}/m.keras", save_format="keras")
                archive.write(f"{folder}/m.keras", f"{name}.keras", zipfile.ZIP_DEFLATED)
            except TypeError as error:  # 2.15 cannot write `...`
                print(f"{name}.keras: {str(error)[:80]}")


def main():
    """Write all families into one archive, or those named, and keep the others there; `--single FOLDER` writes an
    archive with a model for each case to the folder; `--nodes`, in TensorFlow 2.4, writes the nodes of graphs
    (`TensorFlowOpLayer`) that 2.0 to 2.3 wrote."""
    single = sys.argv[2] if sys.argv[1:2] == ["--single"] else None
    named = [] if single else [name for name in sys.argv[1:] if name != "--nodes"]
    path = Path(single or Path(__file__).parent) / f"tf-{'nodes' if NODES else 'functions'}-{VERSION}.zip"
    if NODES:
        from tensorflow.python.keras.engine import keras_tensor

        keras_tensor.disable_keras_tensors()
    kept = {}
    if named and path.exists():
        with zipfile.ZipFile(path) as archive:
            kept = {n: archive.read(n) for n in archive.namelist() if n.partition(".")[0] not in named}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in kept.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
        for family, cases in FAMILIES.items():
            if named and family not in named:
                continue
            if NODES:
                cases = {n: case for n, case in cases.items() if n not in NO_NODES}
            if NODES and family not in OF_NODES:
                continue
            for name, part in (
                {f"{family}-{n}": {n: c} for n, c in cases.items()}.items() if single else [(family, cases)]
            ):
                try:
                    model, names, unknown = model_of(part)
                except (IndexError, ValueError) as error:
                    print(f"{name}: no model: {str(error)[:100]}")
                    continue
                for line in unknown:
                    print(f"{family}: left out {line}")
                save(archive, name, model, names)


if __name__ == "__main__":
    main()
