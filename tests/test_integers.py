"""Integers and booleans where a layer computes in floats: what lookups, encodings and comparisons give, say."""

import h5py
import keras
import numpy as np
import pytest

import fnet
from fnet import Masked, backend, bind, tree
from fnet import operations as o
from params import from_keras, load_keras
from tests import parity
from tests.cases import Case

SEQUENCE, IMAGE = (2, 5, 4), (2, 4, 6, 2)

LAYERS = [
    Case(fnet.dense, SEQUENCE, {"units": 3}, twin="Dense"),
    Case(fnet.einsum_dense, SEQUENCE, {"equation": "abx,xy->aby", "output_shape": (5, 3)}, twin="EinsumDense"),
    Case(fnet.simple_rnn, SEQUENCE, {"units": 3}, twin="SimpleRNN"),
    Case(fnet.simple_rnn, SEQUENCE, {"units": 3}, twin="SimpleRNN", mask=True),
    Case(fnet.lstm, SEQUENCE, {"units": 3, "return_sequences": True}, twin="LSTM"),
    Case(fnet.gru, SEQUENCE, {"units": 3, "reset_after": False}, twin="GRU"),
    Case(fnet.batch_normalization, SEQUENCE, {}, twin="BatchNormalization"),
    Case(fnet.global_average_pooling1d, SEQUENCE, {}, twin="GlobalAveragePooling1D"),
    Case(fnet.global_average_pooling2d, IMAGE, {}, twin="GlobalAveragePooling2D"),
    Case(fnet.leaky_relu, SEQUENCE, {"negative_slope": 0.3}, twin="LeakyReLU"),
    Case(fnet.relu, SEQUENCE, {}, twin="ReLU"),
    Case(fnet.relu, SEQUENCE, {"max_value": 2.5}, twin="ReLU"),
    Case(fnet.relu, SEQUENCE, {"negative_slope": 0.2}, twin="ReLU"),
    *(Case(fnet.activation, SEQUENCE, {"activation": a}, twin="Activation") for a in ("relu", "relu6", "tanh")),
    Case(fnet.activation, SEQUENCE, {"activation": "exponential"}, twin="Activation"),
    Case(fnet.up_sampling2d, IMAGE, {"interpolation": "nearest"}, twin="UpSampling2D"),
    Case(fnet.up_sampling2d, IMAGE, {"interpolation": "bilinear"}, twin="UpSampling2D"),
]


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
def test_integers_are_computed_with_as_keras_does(case):
    integers = np.random.default_rng(3).integers(-3, 8, case.shapes).astype("int32")
    parity.assert_case(Case(**{**vars(case), "feed": integers}))


TRUNCATED = [
    Case(fnet.layer_normalization, SEQUENCE, {}, twin="LayerNormalization"),
    Case(fnet.layer_normalization, SEQUENCE, {"axis": (1, 2), "center": False}, twin="LayerNormalization"),
    Case(fnet.group_normalization, SEQUENCE, {"groups": 2}, twin="GroupNormalization"),
    Case(fnet.rms_normalization, SEQUENCE, {}, twin="RMSNormalization"),
]


@pytest.mark.parametrize("kind", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("case", TRUNCATED, ids=lambda case: case.id)
def test_normalized_integers_are_truncated_as_by_keras(case, kind):
    integers = np.random.default_rng(3).integers(-3, 8, case.shapes).astype(kind)
    parity.assert_case(Case(**{**vars(case), "feed": integers}))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("case", [Case(fnet.average, (SEQUENCE,) * 3, {}, twin="Average")])
def test_the_mean_of_small_integers(case, kind):
    integers = tuple(np.random.default_rng(i).integers(0, 250, SEQUENCE).astype(kind) for i in range(3))
    parity.assert_case(Case(**{**vars(case), "feed": integers}))


def test_the_mean_of_large_integers_is_float64_where_there_is_such_a_thing():
    """As Keras's on TensorFlow."""
    for kind in ("int32", "int64", "uint32"):
        y = fnet.average({}, (np.full((1, 2), 4, kind), np.full((1, 2), 7, kind)))
        np.testing.assert_array_equal(y, np.full((1, 2), 5.5))
        assert y.dtype == "float64"
        assert fnet.infer(bind(fnet.average), (fnet.Spec((1, 2), kind),) * 2)[0].dtype == "float64"


PRODUCTS = [o.matmul, o.dot, o.vdot, o.inner, bind(o.tensordot, axes=1), bind(o.einsum, subscripts="ab,bc->ac")]


@pytest.mark.parametrize("product", PRODUCTS)
def test_products_of_integers_are_those_of_their_floats(product):
    """As on TensorFlow: 2**24 + 1 is no float32."""
    x = np.full((1, 1), 2**24 + 1, "int32"), np.ones((1, 1), "int32")
    y = bind(product)({}, x)
    assert (y.dtype, int(y.ravel()[0])) == ("int32", 2**24)


def test_integers_beyond_32_bits_next_to_floats_are_floats(each_backend):
    x, number = np.array([1e9, 3e9, 5e9], "float32"), 3_000_000_000
    for operation in (o.multiply, o.subtract, o.less, o.not_equal):
        y = np.asarray(operation({}, (x, number)))
        np.testing.assert_array_equal(y, np.asarray(operation({}, (x, float(number)))))
        assert y.dtype in ("float32", "bool")


def test_integers_beyond_32_bits_next_to_integers_wrap_in_margins_and_are_floats_in_quotients(each_backend):
    x = np.array([[1, 3]], "int32")
    assert o.pad({}, x, pad_width=((0, 0), (1, 0)), constant_values=2**40 + 5).tolist() == [[5, 1, 3]]
    for kind in ("int32", "uint8", "bool", "float32"):
        y = o.divide({}, (x.astype(kind), 2**40))
        assert y.dtype == "float32"
        np.testing.assert_array_equal(y, x.astype(kind) / np.float32(2**40))


@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "uint32", "bool"])
def test_integers_are_compared_with_any(kind, each_backend):
    """JAX has no int64 unless told; such comparisons failed there at the call."""
    x = np.array([[0, 1, 3, 127]]).astype(kind)
    for number in (2**40, -(2**40), 300, -3, 3, 2**31 - 1, 2**31):
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
            compare, whole = getattr(o, name), x.astype("int64")
            np.testing.assert_array_equal(compare({}, (x, number)), getattr(np, name)(whole, number))
            np.testing.assert_array_equal(compare({}, (number, x)), getattr(np, name)(number, whole))


def test_a_start_is_the_extreme_of_nothing(each_backend):
    nothing = np.zeros((2, 0), "float32")
    assert o.max({}, nothing, axis=1, initial=-5).tolist() == [-5, -5]
    assert o.min({}, nothing, initial=7).tolist() == 7
    assert o.max({}, np.float32([1, 9]), initial=4).tolist() == 9


def test_an_open_batch_may_be_the_one_that_is_broadcast():
    spec, _ = fnet.infer(fnet.bind(o.broadcast_to, shape=(3, 1, 4)), fnet.Spec((None, 4)))
    assert spec.shape == (3, 1, 4)
    for shape in ((4,), (1, 3, 5)):
        with pytest.raises(fnet.InvalidInput, match="broadcast"):
            fnet.infer(fnet.bind(o.broadcast_to, shape=shape), fnet.Spec((None, 4)))


def test_products_of_bytes_are_added_up_without_wrapping(each_backend):
    x = np.full((1, 9), 100, "int8")
    y = fnet.dot({}, (x, x), axes=1)
    assert y.dtype == "int32"
    np.testing.assert_array_equal(y, [[90000]])


PAIR = ((2, 4, 3), (2, 5, 3))
IN_INTEGERS = [
    (Case(fnet.attention, PAIR, {"use_scale": True}, twin="Attention"), ("bool", "int8", "uint8", "int32")),
    (
        Case(fnet.attention, PAIR, {"use_scale": True, "score_mode": "concat"}, twin="Attention", high=120),
        ("uint8", "int64"),
    ),
    (Case(fnet.attention, PAIR, {"score_mode": "concat"}, twin="Attention", high=120), ("int8", "uint8")),
    (Case(fnet.additive_attention, PAIR, {}, twin="AdditiveAttention", high=120), ("int8", "int32")),
    (Case(fnet.masking, SEQUENCE, {}, twin="Masking"), ("bool", "uint8", "uint64")),
    *(
        (Case(layer, (SEQUENCE,) * 2, {}, twin=twin), ("uint64",))
        for layer, twin in ((fnet.add, "Add"), (fnet.subtract, "Subtract"), (fnet.maximum, "Maximum"))
    ),
]


@pytest.mark.parametrize(
    ("case", "kind"), [(c, k) for c, kinds in IN_INTEGERS for k in kinds], ids=lambda x: getattr(x, "id", x)
)
def test_integers_are_integers_until_keras_makes_them_floats(case, kind):
    """Scores of bytes wrap around, those of booleans are booleans, and two of uint64 give uint32."""
    rng = np.random.default_rng(3)
    drawn = tree.map(lambda a: rng.integers(0, 2 if kind == "bool" else case.high, a.shape).astype(kind), case.inputs())
    parity.assert_case(Case(**{**vars(case), "feed": drawn}))


def attention_layers():
    return [
        (bind(fnet.multi_head_attention, num_heads=2, key_dim=3), lambda k: k.layers.MultiHeadAttention(2, 3)),
        (
            bind(fnet.group_query_attention, head_dim=2, num_query_heads=2, num_key_value_heads=1),
            lambda k: k.layers.GroupQueryAttention(2, 2, 1),
        ),
        (bind(fnet.attention), lambda k: k.layers.Attention()),
    ]


@pytest.mark.parametrize("kinds", [("int32", "float32"), ("float32", "int32")])
@pytest.mark.parametrize(("step", "twin"), attention_layers(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_attention_takes_integers_beside_floats(step, twin, kinds, each_backend):
    x = tuple(np.random.default_rng(i).integers(-2, 3, (2, 4, 6)).astype(kind) for i, kind in enumerate(kinds))
    _, wanted = fnet.infer(step, fnet.core.infer.spec(x))
    params = tree.map(lambda p: np.full(p.shape, 0.1, "float32"), wanted)
    y = step(params, x)
    floats = step(params, tuple(a.astype("float32") for a in x))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(y), np.asarray(floats))


def test_masks_given_by_name_stay_booleans():
    x, mask = np.ones((2, 3, 4), "int32"), np.array([[True, False, True], [True, True, False]])
    params = {"kernel": np.ones((4, 2), "float32"), "recurrent_kernel": np.ones((2, 2), "float32")}
    step = bind(fnet.simple_rnn, use_bias=False)
    for name in backend.BACKENDS:
        with backend.using(name):
            by_name = step(params, {"sequences": x, "mask": mask})
            np.testing.assert_array_equal(by_name, step(params, Masked(x.astype("float32"), mask)))


def test_the_dtype_is_that_of_the_params():
    x = np.ones((1, 2), "int64")
    for dtype in ("float32", "float64"):
        ones = np.ones(2, dtype)
        params = {"gamma": ones, "beta": ones, "moving_mean": ones, "moving_variance": ones}
        assert fnet.batch_normalization(params, x).dtype == dtype
    assert fnet.leaky_relu({}, x).dtype == np.float32


def test_shape_rules_say_floats_too():
    y, _ = fnet.infer(bind(fnet.lstm, units=3), fnet.Spec((None, 4, 2), "int32"))
    assert y == fnet.Spec((None, 3), "float32")


@pytest.mark.parametrize("name", ["prod", "cumsum", "cumprod", "ones_like", "zeros_like", "full_like"])
def test_an_operation_without_a_dtype_takes_that_of_its_input(name):
    import keras

    options = {"fill_value": 2} if name == "full_like" else {}
    x = keras.Input((4,), dtype="int16")
    keras_model = keras.Model(x, getattr(keras.ops, name)(x, **options))
    model, params = from_keras(keras_model)
    feed = np.array([[1, 2, 3, 4], [100, 200, 5, 0]], "int16")
    y, expected = model(params, feed), np.asarray(keras_model(feed))
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


OLD = {
    ("GlobalAveragePooling1D", "2.15.0"): [[1, -2], [235, 100]],
    ("LayerNormalization", "2.15.0"): [[[0.9997779, -0.9997779]], [[0.9999997, -0.9999997]]],
    ("LayerNormalization", "3.10.0"): [[[0.9997779, -0.9997779]], [[0.9999997, -0.9999997]]],
    ("SpectralNormalization", "2.15.0"): [[[-0.75, -1.75]], [[274.75, 199.75]]],
    ("ReLU", "2.15.0"): [[[-1, -4]], [[5, 5]]],
}
"""{(class, Keras): what that Keras gives for `ROWS`, of a sequence its first step}."""
ROWS = np.array([[[1, -2], [2, -3], [2, -3]], [[200, 100], [250, 100], [255, 101]]], "int32")


def of_earlier_keras(name, version, dtype, path):
    """A model of one layer in a file that says it is of this version of Keras."""
    options = {
        "ReLU": {"max_value": 5.5, "negative_slope": 1.5, "threshold": 2.5},
        "SpectralNormalization": {"layer": keras.layers.Dense(2)},
    }.get(name, {})
    layer = getattr(keras.layers, name)(**options)
    keras_model = keras.Sequential([keras.Input((3, 2), dtype=dtype), layer])
    if "layer" in options:
        layer.layer.set_weights([np.array([[1.0, 0.5], [0.75, 1.0]]), np.array([-0.25, -0.25])])
    keras_model.save(path)
    with h5py.File(path, "r+") as file:
        for holder in (file, file["model_weights"]):
            holder.attrs["keras_version"] = version
    return load_keras(path)


@pytest.mark.parametrize(("name", "version"), OLD)
def test_integers_in_files_of_an_earlier_keras(name, version, tmp_path):
    model, params = of_earlier_keras(name, version, "int32", tmp_path / "m.h5")
    y, expected = model(params, ROWS), np.array(OLD[name, version])
    assert y.dtype == fnet.infer(model, fnet.Spec((2, 3, 2), "int32"))[0].dtype
    assert (y.dtype.kind == "i") == (name in ("GlobalAveragePooling1D", "ReLU"))
    np.testing.assert_allclose(y[:, :1] if expected.ndim == 3 else y, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["GlobalAveragePooling1D", "LayerNormalization", "ReLU", "SpectralNormalization"])
def test_the_rules_for_integers_do_not_keep_a_model_of_floats_from_keras_3(name, tmp_path):
    model, params = of_earlier_keras(name, "2.15.0", "float32", tmp_path / "m.h5")
    fnet.to_keras(model, params, tmp_path / "m.keras")
    y = keras.saving.load_model(tmp_path / "m.keras")(ROWS.astype("float32"))
    np.testing.assert_allclose(model(params, ROWS.astype("float32")), y, atol=1e-6)


def test_an_id_that_32_bits_hold_unsigned_is_not_one_counted_from_the_end(each_backend):
    ids, table = np.array([[2**32 - 1]], "uint32"), {"embeddings": np.ones((3, 2), "float32")}
    if each_backend == "jax":
        assert np.isnan(fnet.embedding(table, ids)).all()
    else:
        with pytest.raises(fnet.InvalidInput, match="index 4294967295 is out of bounds"):
            fnet.embedding(table, ids)
