"""Calls of loaded models: every structure of inputs that Keras takes gives the same outputs in the same structure."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import fnet
from fnet import tree
from params import load_keras
from params.table.operations import in_order
from tests import parity

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras's save
    pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match:UserWarning"),
    pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict:UserWarning"),
]
A = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
B = A * 2


def vector(name):
    return keras.Input((4,), name=name)


def one():
    a = vector("a")
    return keras.Model(a, layers.Dense(2)(a))


def one_in_lists():
    a = vector("a")
    return keras.Model([a], [layers.Dense(2)(a)])


def one_in_nested_lists():
    a = vector("a")
    return keras.Model(a, [[layers.Dense(2)(a)]])


def one_in_dicts():
    a = vector("a")
    return keras.Model({"a": a}, {"o": layers.Dense(2)(a)})


def nested_outputs():
    a = vector("a")
    return keras.Model(a, {"z": a, "a": a * 2.0, "m": [a + 1.0, [a * 3.0]]})


def several():
    a, b = vector("a"), vector("b")
    return keras.Model([a, b], [a - b * 2.0, a])


def several_reversed():
    a, b = vector("a"), vector("b")
    return keras.Model([b, a], a - b * 2.0)


def named():
    a, b = vector("a"), vector("b")
    return keras.Model({"a": a, "b": b}, a - b * 2.0)


def named_reversed():
    a, b = vector("a"), vector("b")
    return keras.Model({"b": b, "a": a}, a - b * 2.0)


def named_and_listed():
    a, b, c = vector("a"), vector("b"), vector("c")
    return keras.Model({"u": a, "v": [b, c]}, a - b * 2.0 + c * 3.0)


def in_sequence():
    return keras.Sequential([vector("a"), layers.Dense(2)])


def nested_list_of_one():
    i, a = vector("i"), vector("a")
    inner = keras.Model([i], [layers.Dense(4)(i)])
    y = inner(a)
    return keras.Model(a, layers.Add()([y[0] if isinstance(y, list) else y, a]))


def nested_dicts():
    i, j, a = vector("i"), vector("j"), vector("a")
    y = keras.Model({"j": j, "i": i}, {"s": i + j, "d": i - j})({"i": a, "j": a * 3.0})
    return keras.Model(a, [y["d"], y["s"]])


ONE = {
    "array": A,
    "list": [A],
    "tuple": (A,),
    "by name": {"a": A},
    "tensor": A,
    "no rows": A[:0],
    "one axis more": A[..., None],
    "float64": A.astype("float64"),
    "integers": (A * 9).astype("int64"),
    "booleans": A > 0,
}
TWO = {"list": [A, B], "tuple": (A, B), "by name": {"b": B, "a": A}, "by name, and more": {"a": A, "b": B, "c": A}}
ROWS = [
    *((build, x) for build in (one, one_in_lists, one_in_nested_lists, nested_outputs, in_sequence) for x in ONE),
    *((build, x) for build in (nested_list_of_one, nested_dicts) for x in ("array", "list", "by name")),
    *((one_in_dicts, x) for x in ("array", "by name")),
    *((build, x) for build in (several, several_reversed, named) for x in TWO),
    *((named_reversed, x) for x in ("by name", "by name, and more")),
]


def load(build, tmp_path):
    keras.utils.set_random_seed(1)
    keras_model = build()
    keras_model.save(tmp_path / "m.keras")
    return keras_model, *load_keras(tmp_path / "m.keras")


def assert_same(ours, theirs):
    assert isinstance(theirs, tf.Tensor) or type(ours) is type(theirs)
    for (place, a), (wanted, b) in zip(tree.items(ours), tree.items(theirs), strict=True):
        assert place == wanted
        assert a.dtype == b.dtype.as_numpy_dtype
        parity.assert_close(a, b)


@pytest.mark.parametrize(("build", "x"), ROWS, ids=lambda value: getattr(value, "__name__", value))
def test_inputs_and_outputs_have_the_structure_of_keras(build, x, tmp_path):
    keras_model, model, params = load(build, tmp_path)
    given = (TWO if "several" in build.__name__ or "named" in build.__name__ else ONE)[x]
    given = tf.constant(given) if x == "tensor" else given
    assert_same(model(params, given), keras_model(given))


@pytest.mark.parametrize("x", [{"u": A, "v": [B, A]}, {"u": A, "v": (B, A)}, [A, B, A]])
def test_dicts_of_lists(x, tmp_path):
    keras_model, model, params = load(named_and_listed, tmp_path)
    assert_same(model(params, x), keras_model(x))


def test_a_tuple_of_outputs_is_a_list_behind_a_file(tmp_path):
    a = vector("a")
    keras.Model(a, (a, a * 2.0)).save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    assert type(model(params, A)) is type(keras.models.load_model(tmp_path / "m.keras")(A))


@pytest.mark.parametrize(
    ("build", "x", "match"),
    [
        (one, A[0], "expected"),
        (one, np.ones((3, 4, 4), "float32"), "expected"),
        (one, [A, B], "2 arrays for one input"),
        (one, None, "not optional"),
        (in_sequence, A[0], "expected"),
        (in_sequence, [A, B], "2 arrays for one input"),
        (one, {"p": A, "q": B}, "2 arrays for one input: 'p', 'q'; give the one that the model takes"),
        (several, A, "takes 2 inputs"),
        (several, [A, B, A], "takes 2 inputs"),
        (several, [A, None], "not optional"),
        (several, {"a": A}, "missing inputs: 'b'"),
        (several, {"a": A, "q": B}, "missing inputs: 'b'"),
        (named, {"a": A, "q": B}, "missing inputs: 'b'"),
        (named_reversed, [A, B], "give a dict with 'b', 'a'"),
    ],
)
def test_what_keras_refuses_is_refused(build, x, match, tmp_path):
    keras_model, model, params = load(build, tmp_path)
    if not (build is in_sequence and isinstance(x, list)):  # of which Keras takes the first in silence
        with pytest.raises((ValueError, TypeError)):
            keras_model(x)
    with pytest.raises(fnet.InvalidInput, match=match):
        model(params, x)


def test_arguments_of_an_operation_go_by_their_names():
    arrange = in_order(("x", "mean", "scale"))
    assert arrange({"scale": 3, "x": 1}) == (1, None, 3)
    assert arrange({"mean": 2, "scale": 3, "x": 1}) == (1, 2, 3)
    assert arrange({"x": 1, "mean": 2}) == (1, 2)
    assert arrange({"x": 1, "another": 4}) == (1, 4)


def test_lists_of_numbers_and_strings_are_arrays(tmp_path):
    _, model, params = load(one, tmp_path)
    parity.assert_close(model(params, A.tolist()), model(params, A))
    text = keras.Input((1,), dtype="string", name="a")
    keras_model = keras.Model(text, layers.StringLookup(vocabulary=["a", "b"])(text))
    keras_model.save(tmp_path / "text.keras")
    model, params = load_keras(tmp_path / "text.keras")
    wanted = keras_model(np.array([["b"], ["q"]])).numpy()
    for x in (np.array([["b"], ["q"]]), [["b"], ["q"]], ["b", "q"], np.array([[b"b"], [b"q"]])):
        np.testing.assert_array_equal(model(params, x), wanted)
