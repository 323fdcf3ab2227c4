"""Images at the edges: every size against TensorFlow's numbers, integers, NaN, unknown options."""

from functools import partial

import keras
import numpy as np
import pytest

import fnet
from fnet.layers.image import resize
from fnet.resampling import INTERPOLATIONS
from params import UnsupportedLayer
from tests import parity

SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (7, 7), (8, 16), (31, 5), (224, 13), (13, 224), (100, 300), (4, 50)]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_size_has_tensorflows_numbers(interpolation, antialias):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for have, wanted, width in [(*sizes, 11) for sizes in SIZES] + [(7, 7, 4)]:  # the last: the size that it has
        x = rng.standard_normal((2, have, 4, 3)).astype("float32")
        theirs = tf.image.resize(x, (wanted, width), method=interpolation, antialias=antialias).numpy()
        ours = resize(x, (wanted, width), interpolation, antialias)
        assert ours.dtype == theirs.dtype
        parity.assert_close(ours, theirs)


@pytest.mark.parametrize("antialias", [False, True])
def test_integers_round_as_tensorflow_rounds_them(antialias):
    """Many results are halves: the order of the axes decides where they go."""
    import tensorflow as tf

    x = np.random.default_rng(0).integers(0, 256, (8, 24, 30, 3)).astype("float32")
    for size in ((12, 15), (8, 10), (6, 15), (32, 50), (100, 75)):
        theirs = tf.image.resize(x, size, antialias=antialias).numpy()
        np.testing.assert_array_equal(np.round(resize(x, size, "bilinear", antialias)), np.round(theirs))


def test_images_that_have_the_size_are_returned_as_they_are_unless_the_kernel_blurs():
    x = np.arange(8).reshape(1, 2, 2, 2)
    assert [name for name in INTERPOLATIONS if resize(x, (2, 2), name) is not x] == ["gaussian", "mitchellcubic"]


def test_bicubic_is_tensorflows_not_the_exact_cubic():
    """TensorFlow reads the cubic from a table; JAX evaluates it: 5e-4 apart on the same image."""
    import jax
    import tensorflow as tf

    x = np.random.default_rng(0).standard_normal((1, 9, 7, 3)).astype("float32")
    ours = resize(x, (20, 31), "bicubic")
    parity.assert_close(ours, tf.image.resize(x, (20, 31), "bicubic"))
    assert np.abs(ours - np.asarray(jax.image.resize(x, (1, 20, 31, 3), "cubic"))).max() > 1e-4


def test_constant_images_stay_constant():
    x = np.full((1, 6, 5, 2), 0.7, "float32")
    for interpolation in INTERPOLATIONS:
        parity.assert_close(resize(x, (13, 3), interpolation, antialias=True), np.full((1, 13, 3, 2), np.float32(0.7)))


def test_nan_spoils_only_the_pixels_that_read_it():
    x = np.zeros((1, 40, 40, 1), "float32")
    x[0, 3, 3] = np.nan
    for interpolation in INTERPOLATIONS:
        y = resize(x, (50, 50), interpolation)
        assert np.isnan(y).any()
        assert np.isfinite(y[0, 20:]).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64", "float16"])
def test_resizing_keeps_the_dtype(dtype, each_backend):
    x = (np.arange(48).reshape(1, 4, 4, 3) * 5).astype(dtype)
    y = fnet.resizing({}, x, height=9, width=2, interpolation="bicubic")
    assert y.dtype == (dtype if each_backend == "numpy" or dtype != "float64" else "float32")
    assert y.shape == (1, 9, 2, 3)


def test_integers_stay_within_their_range():
    x = np.tile(np.array([0, 255], "uint8"), 8).reshape(1, 16, 1, 1)
    y = fnet.resizing({}, x, height=33, width=1, interpolation="lanczos5")
    assert (y.min(), y.max()) == (0, 255)


def test_the_contrast_of_images_that_are_nearly_flat_stays_within_the_range(each_backend):
    """Its products are of 3e9, where float32 has steps of 256."""
    flat = (200 + np.random.default_rng(0).integers(0, 3, (2, 5, 4, 3)) * 2**-16).astype("float32")
    y = fnet.auto_contrast({}, flat)
    assert (y.min(), y.max()) == (0, 255)


def test_unknown_options_name_the_known_ones():
    x = np.zeros((1, 4, 4, 1), "float32")
    with pytest.raises(
        ValueError, match="nearest, bilinear, bicubic, lanczos3, lanczos5, gaussian, mitchellcubic, area"
    ):
        fnet.resizing({}, x, height=2, width=2, interpolation="cubic")
    with pytest.raises(ValueError, match="only 'constant'"):
        fnet.resizing({}, x, height=2, width=2, fill_mode="reflect")
    with pytest.raises(ValueError, match="hann and hamming"):
        fnet.init(fnet.bind(fnet.stft_spectrogram, window="kaiser"), 0, (None, 500, 1))


@pytest.mark.parametrize("window", ["hann", "hamming", None, [0.5] * 12])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("periodic", [False, True])
def test_fresh_stft_kernels_are_kerass(window, scaling, periodic):
    import keras

    options = {"frame_length": 12, "window": window, "scaling": scaling, "periodic": periodic}
    layer = keras.layers.STFTSpectrogram(**options)
    layer.build((None, 50, 1))
    ours = fnet.init(fnet.bind(fnet.stft_spectrogram, **options), 0, (None, 50, 1))
    for name, theirs in zip(("real_kernel", "imag_kernel"), layer.get_weights(), strict=True):
        np.testing.assert_allclose(ours[name], theirs, atol=5e-6)  # Keras rounds the angles to float32


def test_mel_decibels_of_silence_are_finite(each_backend):
    for dtype in ("float32", "float16"):
        y = np.asarray(fnet.mel_spectrogram({}, np.zeros((1, 4000), dtype)))
        assert np.isfinite(y).all()


def test_before_3_6_resizing_cut_off_the_fractions_of_bytes():
    pixels = np.arange(486).reshape(3, 6, 9, 3).astype("uint8")
    step = fnet.bind(fnet.resizing, height=4, width=8, interpolation="bicubic", rounds_integers=False)
    assert step({}, pixels)[0, 0, :, 0].tolist() == [4, 8, 11, 14, 18, 21, 24, 28]  # of Keras 3.0.5


@pytest.mark.parametrize("name", ["RandomInvert", "RandomFlip"])
def test_augmentation_hands_on_images_with_boxes(name, each_backend):
    import keras

    from params import from_keras

    layer = getattr(keras.layers, name)()
    layer.bounding_box_format = "xyxy"
    shapes = {"images": ((8, 8, 3), "uint8"), "boxes": ((2, 4), "int32"), "labels": ((2,), "float32")}
    images, boxes, labels = (keras.Input(shape, dtype=dtype) for shape, dtype in shapes.values())
    given = layer({"images": images, "bounding_boxes": {"boxes": boxes, "labels": labels}})
    keras_model = keras.Model([images, boxes, labels], [given["images"], *given["bounding_boxes"].values()])
    model, params = from_keras(keras_model)
    x = [np.full((1, *shape), 3, dtype) for shape, dtype in shapes.values()]
    for ours, theirs in zip(fnet.predict(model, params, x), keras_model.predict([*x], verbose=0), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop", "RandomCrop", "AutoContrast"])
def test_a_format_of_boxes_changes_no_images(name, tmp_path):
    """Boxes themselves are refused by name."""
    import keras

    sizes = {} if name == "AutoContrast" else {"height": 3, "width": 4}
    layer = partial(getattr(keras.layers, name), **sizes, bounding_box_format="xyxy")
    images = keras.Input((6, 8, 3))
    keras_model = keras.Model(images, layer()(images))
    keras_model.save(tmp_path / "images.keras")
    model, params = fnet.load_keras(tmp_path / "images.keras")
    x = np.random.default_rng(0).uniform(0, 255, (2, 6, 8, 3)).astype("float32")
    parity.assert_close(model(params, x), np.asarray(keras_model(x, training=False)))
    if name in ("CenterCrop", "RandomCrop"):
        return  # Keras itself fails on symbolic boxes
    boxes, labels = keras.Input((2, 4)), keras.Input((2,))
    given = layer()({"images": images, "bounding_boxes": {"boxes": boxes, "labels": labels}})
    keras.Model([images, boxes, labels], given).save(tmp_path / "boxes.keras")
    with pytest.raises(UnsupportedLayer, match=f"{name} '.*': boxes next to images are not supported"):
        fnet.load_keras(tmp_path / "boxes.keras")


@pytest.mark.parametrize(("mode", "last"), [("constant", 1.2), ("nearest", 3), ("reflect", 3), ("wrap", 0)])
def test_what_lies_between_the_middle_of_the_last_pixel_and_the_edge(mode, last):
    x = np.tile(np.arange(4, dtype="float32")[:, None], (1, 2, 1, 1))
    moved = np.array([1, 0, 0.6, 0, 1, 0, 0, 0], "float32")
    y = fnet.operations.affine_transform({}, (x, moved), fill_mode=mode)
    np.testing.assert_allclose(y.reshape(2, 4), [[0.6, 1.6, 2.6, last]] * 2, rtol=1e-6)
    np.testing.assert_allclose(y, keras.ops.image.affine_transform(x, moved, fill_mode=mode), rtol=1e-6)
