"""Activation functions against Keras on TensorFlow: accuracy, extreme values, arguments; never a warning."""

import math

import keras
import numpy as np
import pytest

from compare import yardstick
from fnet import backend
from fnet.activation_functions import ACTIVATIONS, activate
from fnet.backend import ops
from tests import parity

NAMES = sorted(set(ACTIVATIONS) - {"threshold", "hard_sigmoid_keras2"})
POINTWISE = sorted(set(NAMES) - {"glu", "log_softmax", "softmax", "sparsemax"})
BIG = np.finfo(np.float32).max
EXTREME = np.array([0, -0.0, 1e-30, 1e4, -1e4, 88, -88, 89, -104, 1e20, -1e20, BIG, -BIG, np.inf, -np.inf], np.float32)
ARGUMENTS = [
    ("relu", {"negative_slope": 0.2}),
    ("relu", {"max_value": 1.5}),
    ("relu", {"threshold": 0.4}),
    ("relu", {"threshold": -0.4, "max_value": 1.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 6, "threshold": 0.4}),
    ("relu", {"negative_slope": 2.0, "max_value": 1.0}),
    ("leaky_relu", {"negative_slope": 0.4}),
    ("elu", {"alpha": 0.3}),
    ("celu", {"alpha": 0.5}),
    ("celu", {"alpha": 3.0}),
    ("gelu", {"approximate": True}),
    ("glu", {"axis": 1}),
    ("hard_shrink", {"threshold": 0.31}),
    ("soft_shrink", {"threshold": 0.31}),
    ("threshold", {"threshold": 0.3, "default_value": -2.0}),
    ("squareplus", {"b": 3}),
    ("softmax", {"axis": 0}),
    ("softmax", {"axis": 1}),
    ("log_softmax", {"axis": 0}),
    ("sparsemax", {"axis": 0}),
    ("sparsemax", {"axis": 1}),
]
NAN_KEPT = [name for name in NAMES if name != "linear"]


def keras_function(name):
    return getattr(keras.activations, name)


def assert_as_keras(name, x, **arguments):
    ours = np.asarray(ACTIVATIONS[name](x, **arguments))
    theirs = np.asarray(keras_function(name)(x, **arguments))
    exact = np.asarray(keras_function(name)(x.astype("float64"), **arguments))
    parity.assert_parity(ours, theirs, exact)


SHAPE = (41, 10)
"""One for all values that are judged entry by entry: JAX compiles a function once for each shape."""


def wide(*shape, ends=(0, 0.5, 1, 2.5, 3, 6)):
    """Numbers of several sizes, among them `ends`, of both signs, where the pieces of a function may meet."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape) * rng.choice([0.01, 1.0, 10.0], shape)
    x.flat[::5] = np.resize([*ends, *np.negative(ends)], x.flat[::5].shape)
    return x.astype("float32")


@pytest.mark.parametrize("name", NAMES)
def test_accuracy(name, each_backend):
    assert_as_keras(name, wide(*SHAPE))


@pytest.mark.parametrize(("name", "arguments"), ARGUMENTS, ids=str)
def test_arguments(name, arguments, each_backend):
    assert_as_keras(name, wide(6, 4, 3, ends=list(map(float, arguments.values()))), **arguments)


@pytest.mark.parametrize("name", POINTWISE)
def test_ends_of_the_number_line(name, each_backend):
    x = np.resize(EXTREME, SHAPE)
    ours = np.asarray(ACTIVATIONS[name](ops.asarray(x)), "float64")
    theirs = np.asarray(keras_function(name)(x), "float64")
    # Relative to each entry, which is stricter than the yardstick: the largest is 3e38. Denormals are flushed to 0.
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-36)


@pytest.mark.parametrize("arguments", [{"threshold": 0.5}, {"threshold": 0.5, "negative_slope": 0.1}, {"max_value": 3}])
def test_relu_with_arguments_at_the_ends(arguments, each_backend):
    theirs = np.asarray(keras.activations.relu(EXTREME, **arguments))
    ours = np.asarray(ACTIVATIONS["relu"](EXTREME, **arguments))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)  # of each entry, as above


@pytest.mark.parametrize("name", NAN_KEPT)
def test_nan_propagates(name, each_backend):
    x = np.resize(np.array([np.nan, *range(1, SHAPE[-1])], np.float32), SHAPE)
    y = np.asarray(ACTIVATIONS[name](x))
    assert np.isnan(y[0, 0]), f"{name} lost a NaN: {y}"


@pytest.mark.parametrize("name", ["log_softmax", "sparsemax"])
def test_nan_reaches_what_keras_says(name, each_backend):
    rows = np.array([[np.nan, 1, 2], [1, 2, np.nan], [1, 2, 3], [np.nan] * 3], np.float32)
    theirs = np.asarray(getattr(keras.activations, name)(rows))
    np.testing.assert_array_equal(np.isnan(np.asarray(ACTIVATIONS[name](rows))), np.isnan(theirs))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1e4, 0, -1e4], [1, 0, 0]),
        ([3e38, 3e38, -3e38], [0.5, 0.5, 0]),
        ([-np.inf, 0, 0], [0, 0.5, 0.5]),
        ([-np.inf] * 3, [np.nan] * 3),
        ([np.inf, 0, 0], [np.nan] * 3),  # Keras on TensorFlow: [nan, 0, 0], whose argmax looks like a class
        ([np.nan, 0, 1], [np.nan] * 3),
    ],
)
def test_softmax_of_extreme_rows(row, expected, each_backend):
    np.testing.assert_array_equal(np.asarray(ACTIVATIONS["softmax"](np.array([row], np.float32)))[0], expected)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax", "selu", "softplus", "sparsemax"])
def test_float64_stays_float64(name):
    x = wide(5, 4).astype("float64")
    theirs = np.asarray(keras_function(name)(x))
    assert yardstick.error(ACTIVATIONS[name](x), theirs) < 1e-14  # in float64: the floor is that of float32


def test_hard_sigmoid_of_keras_2_is_another_function(each_backend):
    x = np.array([-2.5, 0, 1, 3], np.float32)
    parity.assert_close(activate("hard_sigmoid_keras2", {}, x), np.array([0, 0.5, 0.7, 1]))


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no activation 'rleu'; known: celu, elu"):
        activate("rleu", {}, np.zeros(2))


def test_glu_of_an_odd_axis():
    with pytest.raises(ValueError, match="must be even; got shape"):
        ACTIVATIONS["glu"](np.zeros((2, 3)))


@pytest.mark.parametrize("name", POINTWISE)
def test_large_arrays_as_small_ones(name):
    """NumPy takes large arrays in pieces, and single numbers as scalars."""
    x = wide(3, 7, 5000)
    whole = ACTIVATIONS[name](x)
    pieces = np.stack([ACTIVATIONS[name](row) for row in x])
    parity.assert_close(whole, pieces)
    numbers = [ACTIVATIONS[name](number) for number in x[0, 0, :9]]
    np.testing.assert_allclose(numbers, whole[0, 0, :9], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(ACTIVATIONS[name](x.T), ACTIVATIONS[name](np.ascontiguousarray(x.T)))


@pytest.mark.parametrize("name", POINTWISE)
def test_slopes_on_jax_are_those_of_keras_also_at_the_ends(name):
    import jax
    import tensorflow as tf

    x = np.array([-1e4, -200, -100, -89, -10, -3.0, -0.3, 0.3, 2.5, 10, 89, 200, 1e4], np.float32)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = tf.reduce_sum(getattr(keras.activations, name)(tensor))
    expected = tape.gradient(y, tensor).numpy()
    expected = np.where(np.isnan(expected), 0, expected)  # Keras has NaN in places, far below 0
    with backend.using("jax"):
        slopes = jax.grad(lambda a: activate(name, {}, a).sum())(ops.asarray(x))
    parity.assert_close(slopes, expected)


@pytest.mark.parametrize(("name", "slope"), [("relu", 0), ("relu6", 0), ("softplus", 0.5), ("silu", 0.5)])
def test_slope_at_0_on_jax_is_that_of_tensorflow(name, slope):
    import jax

    with backend.using("jax"):
        assert float(jax.grad(lambda a: activate(name, {}, a))(0.0)) == slope


def test_gelu_is_exact_in_its_tail(each_backend):
    """As x * erfc(-x / sqrt 2) / 2 is, in float64; 1 + erf(x) would be 0 there."""
    x = np.concatenate([np.linspace(-12, 12, 481), [-6.0, -9.0]]).astype("float32")
    exact = np.array([0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in x.astype(float)])
    y = np.asarray(ACTIVATIONS["gelu"](ops.asarray(x)), np.float64)
    np.testing.assert_allclose(y, exact, rtol=3e-5)
    assert (y[x < 0] < 0).all()


@pytest.mark.parametrize("name", POINTWISE)
def test_tails_have_small_relative_errors(name):
    """Against the same function in float64; where the formula cancels, in Keras too, the absolute error counts."""
    x = np.concatenate([np.linspace(-80, 80, 641), [1e-8, -1e-8, 1e-4, -1e-4, 0.0]]).astype("float32")
    y, exact = (np.asarray(ACTIVATIONS[name](x.astype(dtype)), np.float64) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(
        y, exact, rtol=2e-5, atol={"tanh_shrink": 1e-11, "squareplus": 5e-6}.get(name, 1e-37), err_msg=name
    )


def test_no_rows_are_copied():
    """A softmax works in place, which what it is given may not allow."""
    empty = np.broadcast_to(np.float32(0), (0, 3))
    assert activate("softmax", {}, empty).shape == (0, 3)
