"""Mask rules against Keras: which layers keep, drop, combine masks, on drawn shapes and masks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import fnet
from fnet import bind
from fnet.masks import Masked, mask_of
from tests import parity

ONE = [
    (fnet.activation, "Activation", {"activation": "relu"}),
    (fnet.relu, "ReLU", {}),
    (fnet.leaky_relu, "LeakyReLU", {}),
    (fnet.elu, "ELU", {}),
    (fnet.unit_normalization, "UnitNormalization", {}),
    (fnet.dropout, "Dropout", {"rate": 0.5}),
    (fnet.spatial_dropout1d, "SpatialDropout1D", {"rate": 0.5}),
    (fnet.gaussian_noise, "GaussianNoise", {"stddev": 0.5}),
    (fnet.activity_regularization, "ActivityRegularization", {}),
    (fnet.flatten, "Flatten", {}),
    (fnet.permute, "Permute", {"dims": (2, 1)}),
    (fnet.reshape, "Reshape", {"target_shape": (-1,)}),
    (fnet.zero_padding1d, "ZeroPadding1D", {}),
    (fnet.up_sampling1d, "UpSampling1D", {}),
]
SEVERAL = [
    (fnet.add, "Add", {}),
    (fnet.average, "Average", {}),
    (fnet.multiply, "Multiply", {}),
    (fnet.maximum, "Maximum", {}),
    (fnet.minimum, "Minimum", {}),
    (fnet.concatenate, "Concatenate", {"axis": 1}),
    (fnet.concatenate, "Concatenate", {"axis": -1}),
    (fnet.attention, "Attention", {}),
    (fnet.additive_attention, "AdditiveAttention", {"use_scale": False}),
]
SHAPES = st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(1, 3))
EXAMPLES = settings(max_examples=15)


def _draw(seed, shape, count, masked):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype("float32") for _ in range(count)]
    masks = [rng.random(shape[:2]) < 0.5 if on else None for on in masked]
    return arrays, masks


def _in_keras(array, mask):
    tensor = tf.convert_to_tensor(array)
    if mask is not None:
        keras.src.backend.set_keras_mask(tensor, tf.convert_to_tensor(mask))
    return tensor


def _in_fnet(array, mask):
    return array if mask is None else Masked(array, mask)


def assert_same(ours, theirs):
    parity.assert_close(ours, theirs)
    mask, wanted = mask_of(ours), getattr(theirs, "_keras_mask", None)
    assert (mask is None) == (wanted is None), f"mask {mask}, Keras gives {wanted}"
    if wanted is not None:
        np.testing.assert_array_equal(mask, np.asarray(wanted))


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize(("layer", "twin", "options"), ONE, ids=lambda value: getattr(value, "__name__", None))
@EXAMPLES
@given(seed=st.integers(0, 99), shape=SHAPES, masked=st.booleans())
def test_layers_of_one_input(layer, twin, options, seed, shape, masked):
    (array,), (mask,) = _draw(seed, shape, 1, [masked])
    theirs = getattr(keras.layers, twin)(**options)(_in_keras(array, mask))
    assert_same(bind(layer, **options)({}, _in_fnet(array, mask)), theirs)


@pytest.mark.parametrize(("layer", "twin", "options"), SEVERAL, ids=lambda value: getattr(value, "__name__", None))
@EXAMPLES
@given(seed=st.integers(0, 99), shape=SHAPES, masked=st.lists(st.booleans(), min_size=2, max_size=3))
def test_layers_of_several_inputs(layer, twin, options, seed, shape, masked):
    arrays, masks = _draw(seed, shape, len(masked), masked)
    pairs = list(zip(arrays, masks, strict=True))
    theirs = getattr(keras.layers, twin)(**options)([_in_keras(*pair) for pair in pairs])
    assert_same(bind(layer, **options)({}, [_in_fnet(*pair) for pair in pairs]), theirs)
