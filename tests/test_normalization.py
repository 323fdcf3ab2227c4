"""Normalization of difficult data, and changes that must have no effect."""

import keras
import numpy as np
import pytest

import fnet
from fnet import bind
from fnet.masks import Masked
from tests import parity

HARD = {
    "1000 +- 1e-3": 1000 + 1e-3 * np.random.default_rng(0).standard_normal((4, 6, 64)),
    "1e5 +- 1": 1e5 + np.random.default_rng(1).standard_normal((4, 6, 64)),
    "tiny": 1e-12 * np.random.default_rng(2).standard_normal((4, 6, 64)),
    "large": 1e15 * np.random.default_rng(3).standard_normal((4, 6, 64)),
    "constant": np.full((4, 6, 64), 7.7),
}
ROWS = [
    ("LayerNormalization", fnet.layer_normalization, {}),
    ("LayerNormalization", fnet.layer_normalization, {"axis": (1, 2), "epsilon": 1e-6}),
    ("LayerNormalization", fnet.layer_normalization, {"axis": 1}),
    ("GroupNormalization", fnet.group_normalization, {"groups": 4}),
    ("GroupNormalization", fnet.group_normalization, {"groups": 2, "axis": 1, "epsilon": 1e-6}),
    ("RMSNormalization", fnet.rms_normalization, {}),
    ("UnitNormalization", fnet.unit_normalization, {}),
]


@pytest.mark.parametrize("data", HARD)
@pytest.mark.parametrize(("twin", "layer", "options"), ROWS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_hard_data_at_the_yardstick(twin, layer, options, data, each_backend):
    x = HARD[data].astype("float32")
    step = bind(layer, **options)
    single, double = (getattr(keras.layers, twin)(**options, dtype=d) for d in ("float32", "float64"))
    theirs, exact = np.asarray(single(x)), np.asarray(double(x.astype("float64")))
    ours = np.asarray(step(fnet.init(step, 0, x.shape), x))
    assert ours.dtype == np.float32
    parity.assert_parity(ours, theirs, exact)


@pytest.mark.parametrize("data", HARD)
def test_cosines_of_hard_data_at_the_yardstick(data, each_backend):
    x, y = HARD[data].astype("float32"), HARD[data][::-1].astype("float32")
    single, double = (keras.layers.Dot(2, normalize=True, dtype=d) for d in ("float32", "float64"))
    theirs, exact = np.asarray(single([x, y])), np.asarray(double([x.astype("float64"), y.astype("float64")]))
    parity.assert_parity(np.asarray(fnet.dot({}, (x, y), axes=2, normalize=True)), theirs, exact)


def test_batch_statistics_at_the_edges(each_backend):
    """A variance of -1 gives NaN, of 0 a factor 1 / sqrt(epsilon), of infinity 0."""
    one = np.ones(3, "float32")
    moving = np.array([-1, 0, np.inf], "float32")
    params = {"gamma": one, "beta": 0 * one, "moving_mean": 0 * one, "moving_variance": moving}
    y = np.asarray(fnet.batch_normalization(params, np.ones((1, 3), "float32")))
    parity.assert_close(y[0], np.array([np.nan, 1000**0.5, 0]))


def test_the_statistics_of_no_rows_are_none(each_backend):
    step = bind(fnet.batch_normalization, training=True)
    assert step(fnet.init(step, 0, (None, 3)), np.zeros((0, 3), "float32")).shape == (0, 3)


def test_a_batch_that_is_masked_as_a_whole_has_the_moments_that_keras_gives_it(each_backend):
    x = np.random.default_rng(4).standard_normal((2, 3, 4)).astype("float32")
    layer, none = keras.layers.BatchNormalization(), np.zeros((2, 3), bool)
    y = np.asarray(layer(x, training=True, mask=none))
    params = {"gamma": np.ones(4, "float32"), "beta": np.zeros(4, "float32")}
    params |= {"moving_mean": params["beta"], "moving_variance": params["gamma"]}
    ours = bind(fnet.batch_normalization, training=True)(params, Masked(x, none))
    np.testing.assert_allclose(ours.values, y, rtol=1e-5)


def test_batch_normalization_does_not_look_at_the_mask(each_backend):
    step = fnet.batch_normalization
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    params = fnet.init(step, 0, x.shape)
    hidden = step(params, Masked(x, np.zeros((2, 3), bool)))
    np.testing.assert_array_equal(hidden.values, step(params, x))
    np.testing.assert_array_equal(hidden.mask, np.zeros((2, 3), bool))


def test_inputs_are_not_written_to():
    x = np.random.default_rng(0).standard_normal((2, 6, 8)).astype("float32")
    before = x.copy()
    for layer in (fnet.batch_normalization, fnet.layer_normalization, bind(fnet.group_normalization, groups=2)):
        layer(fnet.init(layer, 0, x.shape), x)
    np.testing.assert_array_equal(x, before)


def test_groups_must_divide_the_channels():
    with pytest.raises(fnet.InvalidInput, match="takes channels that 3 groups divide"):
        fnet.infer(bind(fnet.group_normalization, groups=3), fnet.Spec((None, 4)))


def test_spectral_normalization_needs_a_kernel():
    step = bind(fnet.spectral_normalization, layer=fnet.layer_normalization)
    with pytest.raises(fnet.InvalidInput, match="wraps layers with a kernel or embeddings"):
        fnet.infer(step, fnet.Spec((None, 4)))


@pytest.mark.parametrize("shape", [(2, 64, 64, 3), (5, 7, 3), (4, 2000), (0, 4), (3, 4, 1)])
def test_batch_normalization_of_every_size(shape, each_backend):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype("float32")
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    params = {name: rng.random(shape[-1]).astype("float32") for name in names}
    deviation = np.sqrt(params["moving_variance"] + 1e-3)
    expected = params["gamma"] * (x - params["moving_mean"]) / deviation + params["beta"]
    parity.assert_close(fnet.batch_normalization(params, x), expected)


def test_a_batch_that_is_hidden_as_a_whole_has_mean_and_variance_0(each_backend):
    x, layer = np.arange(24, dtype="float32").reshape(2, 3, 4), bind(fnet.batch_normalization, training=True)
    y = fnet.core.model.flow(layer, fnet.init(layer, 0, x.shape), Masked(x, np.zeros((2, 3), bool)))
    np.testing.assert_allclose(y.values, x / np.sqrt(np.float32(1e-3)), rtol=1e-6)


@pytest.mark.parametrize("row", [[1e38] * 4, [3e38, 1e38], [3.4e38, 3.4e38, 3.39e38]])
def test_near_the_largest_float_the_result_is_beta_or_nan_as_in_keras(row, each_backend):
    """Keras's sums overflow, and those of groups here do; those over last axes on NumPy do not."""
    x, offset = np.float32([row]), np.arange(len(row), dtype="float32")
    params = {"gamma": np.ones_like(offset), "beta": offset}
    expected = offset if each_backend == "numpy" else np.full_like(offset, np.nan)
    np.testing.assert_array_equal(fnet.layer_normalization(params, x)[0], expected)
    assert np.isnan(keras.layers.LayerNormalization()(x)).all()
    assert np.isnan(fnet.group_normalization(params, x[:, None], groups=1)).all()
