"""Noise layers with an rng: distribution and scaling as in Keras's training; without one they are the identity."""

import keras
import numpy as np
import pytest

import fnet
from fnet import bind, tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.options import kinds
from fnet.types import Rate
from tests import parity
from tests.cases import all_cases

SHAPE = (2000, 2, 30)  # spatial dropout draws 60,000 times: means of two sides differ by 0.008 (one sigma)
STEPS = [
    (bind(fnet.dropout, rate=0.3), lambda: keras.layers.Dropout(0.3)),
    (bind(fnet.dropout, rate=1.0), lambda: keras.layers.Dropout(1.0)),
    (bind(fnet.alpha_dropout, rate=0.3), lambda: keras.layers.AlphaDropout(0.3)),
    (bind(fnet.gaussian_dropout, rate=0.3), lambda: keras.layers.GaussianDropout(0.3)),
    (bind(fnet.gaussian_noise, stddev=0.4), lambda: keras.layers.GaussianNoise(0.4)),
    (bind(fnet.spatial_dropout1d, rate=0.3), lambda: keras.layers.SpatialDropout1D(0.3)),
]


FIRST = {case.layer: case for case in reversed(all_cases())}
RATES = [(layer, option) for layer in FIRST for option, kind in kinds(layer).items() if kind == Rate]


def name(value):
    return value.function.__name__ if isinstance(value, fnet.Bound) else ""


def noisy(step, x, seed=0):
    return np.asarray(step(fnet.with_rng(step, {}, seed), ops.asarray(x)))


@pytest.mark.parametrize(("step", "twin"), STEPS, ids=name)
def test_mean_and_deviation_are_those_of_keras(step, twin, each_backend):
    keras.utils.set_random_seed(0)
    x = np.full(SHAPE, 2.0, "float32")
    ours, theirs = noisy(step, x), np.asarray(twin()(x, training=True))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours.mean(), theirs.mean(), atol=0.06)  # of drawn numbers, and so the next
    np.testing.assert_allclose(ours.std(), theirs.std(), atol=0.06)


@pytest.mark.parametrize("step", [step for step, _ in STEPS[:3]], ids=name)
def test_values_are_those_of_keras(step):
    """Dropout knows two values only; which entries get which is up to the rng."""
    x = np.full(SHAPE, 2.0, "float32")
    theirs = dict(STEPS)[step]()(x, training=True)
    parity.assert_close(np.unique(noisy(step, x)), np.unique(theirs))


@pytest.mark.parametrize("step", [STEPS[i][0] for i in (0, 2, 3, 4)], ids=name)
def test_same_key_same_noise_on_both_backends(step):
    x = np.ones((3, 4), "float32")
    found = {}
    for backend in fnet.backend.BACKENDS:
        with fnet.backend.using(backend):
            found[backend] = noisy(step, x), noisy(step, x), noisy(step, x, 1)
            np.testing.assert_array_equal(found[backend][0], found[backend][1])
            assert not np.array_equal(found[backend][0], found[backend][2])
    parity.assert_close(found["numpy"][0], found["jax"][0])


@pytest.mark.parametrize("layer", [fnet.dropout, fnet.alpha_dropout], ids=lambda layer: layer.__name__)
def test_noise_shape_drops_together(layer, each_backend):
    with pytest.raises(fnet.InvalidInput, match=r"noise_shape has a size for each of the 3 axes; got \(1, None\)"):
        noisy(bind(layer, rate=0.5, noise_shape=(1, None)), np.ones((8, 5, 10), "float32"))
    y = noisy(bind(layer, rate=0.5, noise_shape=(None, 1, None)), np.ones((8, 5, 10), "float32"))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert len(np.unique(y[:, 0])) == 2


@pytest.mark.parametrize(
    ("layer", "shape", "axes", "options"),
    [
        (fnet.spatial_dropout1d, (8, 5, 10), (1,), {}),
        (fnet.spatial_dropout2d, (8, 5, 3, 10), (1, 2), {}),
        (fnet.spatial_dropout2d, (8, 10, 5, 3), (2, 3), {"data_format": "channels_first"}),
        (fnet.spatial_dropout3d, (8, 2, 5, 3, 10), (1, 2, 3), {}),
        (fnet.spatial_dropout3d, (8, 10, 2, 5, 3), (2, 3, 4), {"data_format": "channels_first"}),
    ],
)
def test_spatial_dropout_drops_whole_channels(layer, shape, axes, options, each_backend):
    y = noisy(bind(layer, rate=0.5, **options), np.ones(shape, "float32"))
    np.testing.assert_array_equal(y.min(axis=axes), y.max(axis=axes))
    assert set(np.unique(y)) == {0.0, 2.0}


def test_stochastic_depth_drops_whole_samples(each_backend):
    y = noisy(bind(fnet.stochastic_depth, drop_path_rate=0.5), np.ones((64, 2, 3), "float32"))
    np.testing.assert_array_equal(y.min(axis=(1, 2)), y.max(axis=(1, 2)))
    assert set(np.unique(y)) == {0.0, 2.0}


@pytest.mark.parametrize("step", [step for step, _ in STEPS], ids=name)
def test_identity_without_a_key(step, each_backend):
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    assert step({}, x) is x


@pytest.mark.parametrize(("layer", "option"), RATES, ids=lambda part: getattr(part, "__name__", part))
def test_each_rate_of_each_layer_acts_with_its_key(layer, option):
    case = FIRST[layer]
    x, rates = case.inputs(), {other: 0.0 for of, other in RATES if of is layer}
    plain, step = (bind(layer, **case.options | rates | changed) for changed in ({}, {option: 0.5}))
    params = fnet.init(plain, 0, infer.spec(x))
    without = tree.leaves(plain(params, x))
    first, again, *others = (tree.leaves(step(fnet.with_rng(step, params, seed), x)) for seed in (1, 1, 2, 3))
    assert all(map(np.array_equal, first, again))
    assert any(not np.array_equal(without[0], y) for y, *_ in (first, *others))
    assert len({np.asarray(y).tobytes() for y, *_ in (first, *others)}) > 1


def test_rate_zero_asks_for_no_key():
    assert fnet.with_rng(bind(fnet.dropout, rate=0.0), {}, 0) == {}
