"""One architecture of each family of keras.applications: from a file, on both backends, against Keras.

The weights are drawn, not trained. The moving statistics are those of a batch of images, disturbed: activations
stay near 1 in deep models, as after training, and a statistic that is lost or swapped shows.
"""

import zlib

import keras
import numpy as np
import pytest

import fnet
from compare import reference, yardstick
from fnet import tree
from params import load_keras

SIZES = {
    "ConvNeXtTiny": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "EfficientNetV2S": 64,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "NASNetMobile": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "VGG16": 48,
    "Xception": 71,
}
"""{architecture: height and width of the images}, near the smallest that it takes."""

ROWS = 2

SEEDS = {"EfficientNetV2S": 1}
"""{architecture: seed of its weights}; 0 for others. Here seed 0 makes rounding errors of some images grow to
hundredths of the largest value, in any order of sums: the yardstick would measure luck."""


def drawn(name, shape, rng):
    """Values for the variable `name`: kernels as He et al. 2015 scale them, all else near what Keras begins with."""
    if "kernel" in name:
        # A depthwise kernel (height, width, channels, 1) adds up over its window only.
        fan_in = np.prod(shape[:2]) if shape[-1] == 1 or name.startswith("depthwise") else np.prod(shape[:-1])
        return rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    middle = 1 if name == "gamma" else 0
    return middle + 0.1 * rng.standard_normal(shape)


def settle(model, size, rng):
    """Give every batch normalization the statistics of its inputs, disturbed."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.momentum = 0.0
    if layers:
        model(pixels(size, 8), training=True)
    for layer in layers:
        layer.momentum = 0.99
        deviation = np.sqrt(layer.moving_variance + layer.epsilon)
        layer.moving_mean.assign_add(0.1 * deviation * rng.standard_normal(deviation.shape))
        layer.moving_variance.assign(layer.moving_variance * rng.uniform(0.8, 1.25, deviation.shape))


def build(name, size, folder, seed=0, **options):
    """A seeded model that gives logits, and its file."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)  # of the dropout while the statistics of batch normalization settle
    top = (
        {"include_top": False, "pooling": "avg"} if name == "VGG16" else {"classes": 10, "classifier_activation": None}
    )
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), **{**top, **options})
    rng = np.random.default_rng(zlib.crc32(name.encode()) + seed)
    for variable in model.trainable_variables:
        variable.assign(drawn(variable.name, variable.shape, rng))
    settle(model, size, rng)
    path = folder / f"{name}.keras"
    model.save(path)
    return model, path


def pixels(size, rows=ROWS):
    """Images as float32 from 0 to 255; the models that do not scale them themselves take what comes."""
    return np.random.default_rng(1).uniform(0, 255, (rows, size, size, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_architecture_meets_the_yardstick_on_both_backends(name, tmp_path):
    keras_model, path = build(name, SIZES[name], tmp_path, SEEDS.get(name, 0))
    x = pixels(SIZES[name])
    expected = np.asarray(keras_model(x, training=False))
    with reference.float64(path) as wide:
        exact = np.asarray(wide(x.astype("float64"), training=False))
    assert 1e-3 < np.abs(exact).max() < 1e6, "activations vanish or explode: the weights test nothing"

    model, params = load_keras(path)
    found = {"numpy": model(params, x), "predict": fnet.predict(model, params, x, batch_size=1)}
    with fnet.backend.using("jax"):
        found["jax"] = fnet.jit(model)(tree.map(fnet.backend.ops.asarray, params), fnet.backend.ops.asarray(x))
    judged = {how: yardstick.judge(y, expected, exact) for how, y in found.items()}
    assert {how: j for how, j in judged.items() if not j.held} == {}
