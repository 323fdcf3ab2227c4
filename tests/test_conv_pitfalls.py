"""The known ways to get convolution and pooling wrong, each with a test; and cases that Keras on TensorFlow cannot run.

Expected values are written out or computed by plain loops over windows, independent of fnet and of Keras.
"""

import itertools

import numpy as np
import pytest

import fnet
from compare import yardstick
from fnet import bind
from fnet.backend import numpy_conv, ops
from fnet.errors import InvalidInput, InvalidParams
from fnet.layers.windows import same_padding
from fnet.masks import Masked
from tests import parity


def image(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def plain_conv2d(x, kernel, strides, pads):
    """Correlation by loops, in float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), *pads, (0, 0)))
    rows = range(0, x.shape[1] - kernel.shape[0] + 1, strides[0])
    columns = range(0, x.shape[2] - kernel.shape[1] + 1, strides[1])
    return np.stack(
        [
            np.stack(
                [
                    np.einsum("nijc,ijcf->nf", x[:, r : r + kernel.shape[0], c : c + kernel.shape[1]], kernel)
                    for c in columns
                ],
                axis=1,
            )
            for r in rows
        ],
        axis=1,
    )


# --- "same" padding -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "window", "stride", "expected"),
    [
        *((5, 3, 1, (1, 1)), (5, 2, 1, (0, 1)), (5, 4, 1, (1, 2)), (6, 3, 2, (0, 1)), (5, 3, 2, (1, 1))),
        *((224, 7, 2, (2, 3)), (4, 1, 2, (0, 0)), (5, 2, 3, (0, 0)), (7, 2, 3, (0, 1)), (1, 4, 1, (1, 2))),
    ],
)
def test_same_padding_is_split_as_tensorflow_does_with_the_odd_zero_at_the_end(size, window, stride, expected):
    assert same_padding(size, window, stride) == expected


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("kernel", [(2, 2), (4, 3), (1, 4), (3, 3)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("channels", [3, 256])
def test_same_convolution_of_even_kernels_and_strides(kernel, strides, channels):
    x, weights = image(2, 6, 7, channels), image(*kernel, channels, 4, seed=1)
    pads = [same_padding(n, k, s) for n, k, s in zip((6, 7), kernel, strides, strict=True)]
    expected = plain_conv2d(x, weights, strides, pads)
    y = fnet.conv2d({"kernel": weights}, x, strides=strides, padding="same", use_bias=False)
    parity.assert_close(y, expected)


@pytest.mark.usefixtures("each_backend")
def test_an_even_window_reaches_further_to_the_right():
    x = np.array([[[1.0], [2.0], [3.0]]], np.float32)
    kernel = np.ones((2, 1, 1), np.float32)
    y = fnet.conv1d({"kernel": kernel}, x, padding="same", use_bias=False)
    np.testing.assert_array_equal(np.asarray(y)[0, :, 0], [3, 5, 3])
    y = fnet.conv1d({"kernel": kernel}, x, padding="causal", use_bias=False)
    np.testing.assert_array_equal(np.asarray(y)[0, :, 0], [1, 3, 5])


# --- pooling --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("each_backend")
def test_pooling_obeys_its_padding():
    x = np.arange(1, 6, dtype=np.float32).reshape(1, 5, 1)
    assert fnet.max_pooling1d({}, x).shape == (1, 2, 1)
    y = fnet.max_pooling1d({}, x, padding="same")
    np.testing.assert_array_equal(np.asarray(y)[0, :, 0], [2, 4, 5])


@pytest.mark.usefixtures("each_backend")
def test_average_pooling_does_not_count_the_padding():
    x = np.full((1, 5, 5, 1), 7, np.float32)
    for size, strides in itertools.product((2, 3, 4), (1, 2, 3)):
        y = fnet.average_pooling2d({}, x, pool_size=size, strides=strides, padding="same")
        np.testing.assert_array_equal(np.asarray(y), np.full(y.shape, 7, np.float32))


@pytest.mark.usefixtures("each_backend")
def test_max_pooling_never_takes_the_padding():
    x = np.full((1, 3, 3, 1), -5, np.float32)
    y = fnet.max_pooling2d({}, x, pool_size=3, strides=1, padding="same")
    np.testing.assert_array_equal(np.asarray(y), x)


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("channels", [1, 64])
def test_nan_goes_through_max_pooling_and_nowhere_else(channels):
    """Keras loses NaN here: TensorFlow always, XLA's reductions in arrays of some thousands."""
    x = image(1, 64, 64, channels)
    x[0, 10, 20, 0] = np.nan
    wide = bind(fnet.max_pooling2d, pool_size=16, strides=16)
    for step, place in ((fnet.max_pooling2d, (5, 10, 0)), (wide, (0, 1, 0)), (fnet.global_max_pooling2d, (0,))):
        y = np.asarray(fnet.jit(bind(step))({}, x))
        assert np.isnan(y[(0, *place)])
        assert np.isnan(y).sum() == 1
    for layer in (fnet.adaptive_max_pooling2d, fnet.adaptive_average_pooling2d):
        y = fnet.jit(bind(layer, output_size=(7, 9)))({}, x)
        assert 1 <= np.isnan(np.asarray(y)).sum() <= 4


@pytest.mark.usefixtures("each_backend")
def test_nan_and_infinity_stay_within_their_window_of_a_convolution():
    x, kernel = image(1, 12, 12, 4), image(3, 3, 4, 8, seed=1)
    for value in (np.nan, np.inf):
        x[0, 6, 7, 2] = value
        y = np.asarray(fnet.conv2d({"kernel": kernel}, x, padding="same", use_bias=False))
        broken = ~np.isfinite(y).all(axis=-1)[0]
        expected = np.zeros((12, 12), bool)
        expected[5:8, 6:9] = True
        np.testing.assert_array_equal(broken, expected)
    np.testing.assert_array_equal(np.isinf(y[0, 5:8, 6:9]), True)


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive_pooling_to_size_one_is_global_pooling(rank):
    """TensorFlow aborts the whole process here, so it cannot be a case of the table."""
    x = image(2, *(5, 4, 3)[:rank], 2)
    axes = tuple(range(1, rank + 1))
    for kind, reduce in (("max", np.max), ("average", np.mean)):
        y = getattr(fnet, f"adaptive_{kind}_pooling{rank}d")({}, x, output_size=1)
        parity.assert_close(y, reduce(x, axis=axes, keepdims=True))


@pytest.mark.usefixtures("each_backend")
def test_a_long_mean_is_as_exact_as_a_short_one():
    x = (image(1, 200_000, 3) + 1000).astype(np.float32)
    exact = x.astype(np.float64).mean(axis=1)
    y = np.asarray(fnet.global_average_pooling1d({}, x))
    assert y.dtype == np.float32
    assert yardstick.error(y, exact) < 5e-7  # a promise of its own: the yardstick would let a plain sum pass


@pytest.mark.usefixtures("each_backend")
def test_masks_are_dropped_except_by_the_average_that_uses_them_up():
    values, mask = image(3, 4, 2), np.array([[1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    x = Masked(values, mask)
    kernel = {"kernel": image(2, 2, 3), "bias": np.zeros(3, np.float32)}
    for y in (fnet.conv1d(kernel, x), fnet.max_pooling1d({}, x), fnet.global_max_pooling1d({}, x)):
        assert not isinstance(y, Masked)
    np.testing.assert_array_equal(np.asarray(fnet.global_max_pooling1d({}, x)), values.max(axis=1))
    first = fnet.global_average_pooling1d({}, Masked(np.moveaxis(values, 1, 2), mask), data_format="channels_first")
    last = fnet.global_average_pooling1d({}, x)
    parity.assert_close(first, last)
    parity.assert_close(np.asarray(last)[1], values[1, 3])
    assert np.isnan(np.asarray(last)[2]).all()


# --- edges ----------------------------------------------------------------------------------------

LAYERS = [
    (bind(fnet.conv1d, filters=3, kernel_size=2), (9, 4)),
    (bind(fnet.conv2d, filters=4, kernel_size=3, strides=2, padding="same"), (9, 8, 4)),
    (bind(fnet.conv2d, filters=4, kernel_size=3, groups=2), (9, 8, 4)),
    (bind(fnet.conv2d, filters=4, kernel_size=1), (9, 8, 4)),
    (bind(fnet.conv3d, filters=4, kernel_size=2), (5, 4, 3, 2)),
    (bind(fnet.conv2d_transpose, filters=4, kernel_size=3, strides=2), (5, 4, 2)),
    (bind(fnet.conv1d_transpose, filters=4, kernel_size=3, padding="same"), (5, 2)),
    (bind(fnet.depthwise_conv2d, kernel_size=3), (5, 4, 2)),
    (bind(fnet.separable_conv2d, filters=2, kernel_size=3), (5, 4, 2)),
    (bind(fnet.max_pooling2d, padding="same"), (5, 4, 2)),
    (bind(fnet.average_pooling3d, padding="same"), (5, 4, 3, 2)),
    (bind(fnet.global_average_pooling2d), (5, 4, 2)),
    (bind(fnet.global_max_pooling1d), (5, 4)),
    (bind(fnet.adaptive_max_pooling2d, output_size=3), (5, 4, 2)),
    (bind(fnet.adaptive_average_pooling1d, output_size=7), (5, 2)),
]


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize(("step", "shape"), LAYERS, ids=lambda value: str(value)[:60])
def test_no_rows_and_any_number_of_rows(step, shape):
    params = fnet.init(step, 0, (None, *shape))
    spec, _ = fnet.infer(step, fnet.Spec((None, *shape)))
    run = fnet.jit(step)
    empty = run(params, ops.asarray(np.zeros((0, *shape), np.float32)))
    assert (empty.shape, str(empty.dtype)) == ((0, *spec.shape[1:]), "float32")
    x = image(7, *shape)
    together = np.asarray(run(params, x))
    for row in range(7):
        parity.assert_close(np.asarray(run(params, x[row : row + 1]))[0], together[row])


@pytest.mark.parametrize(("step", "shape"), LAYERS, ids=lambda value: str(value)[:60])
def test_float64_stays_float64(step, shape):
    params = fnet.tree.map(lambda a: a.astype(np.float64), fnet.init(step, 0, (None, *shape)))
    assert step(params, np.ones((2, *shape))).dtype == np.float64


def test_results_do_not_alias_each_other_and_inputs_stay_as_they_are():
    x, kernel = image(2, 6, 6, 4), image(1, 1, 4, 4, seed=1)
    before = x.copy()
    params = {"kernel": kernel, "bias": np.ones(4, np.float32)}
    first = fnet.conv2d(params, x)
    kept = first.copy()
    fnet.conv2d(params, image(2, 6, 6, 4, seed=5))
    fnet.average_pooling2d({}, x, pool_size=3, strides=1, padding="same")
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(x, before)


def test_blocks_of_rows_and_of_images_give_what_one_block_gives(monkeypatch):
    x, kernel = image(5, 17, 13, 6), {"kernel": image(3, 4, 6, 8, seed=1), "bias": image(8, seed=2)}
    grouped = {"kernel": image(3, 4, 3, 8, seed=1), "bias": image(8, seed=2)}
    upwards = {"kernel": image(3, 4, 8, 6, seed=1), "bias": image(8, seed=2)}

    def results():
        return (
            fnet.conv2d(kernel, x, strides=2, padding="same"),
            fnet.conv2d(grouped, x, padding="same", groups=2),
            fnet.conv2d_transpose(upwards, x, strides=2, padding="same"),
        )

    whole = results()
    for size in (1, 5_000, 40_000, 1 << 18):
        monkeypatch.setattr(numpy_conv, "BLOCK_BYTES", size)
        for a, b in zip(results(), whole, strict=True):
            parity.assert_close(a, b)


def test_blocks_are_as_few_as_fit_and_about_equally_large(monkeypatch):
    monkeypatch.setattr(numpy_conv, "BLOCK_BYTES", 900)
    monkeypatch.setattr(numpy_conv, "TILES", 45)
    halves, whole = [slice(0, 5), slice(5, 10)], slice(None)
    assert numpy_conv._blocks(9, 1, 100) == numpy_conv._blocks(1, 9, 100) == [(whole, whole)]
    assert numpy_conv._blocks(10, 1, 100) == [(images, whole) for images in halves]
    assert numpy_conv._blocks(2, 10, 100) == [(slice(i, i + 1), rows) for i in range(2) for rows in halves]
    assert [*numpy_conv._tile_blocks(4, 2, 10)] == [(slice(i, i + 2), slice(0, 2)) for i in (0, 2)]
    assert [*numpy_conv._tile_blocks(1, 10, 10)] == [(slice(0, 1), slice(r, r + 4)) for r in (0, 4, 8)]


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "shape", "message"),
    [
        (bind(fnet.conv2d, filters=2, kernel_size=5), (None, 4, 9, 3), "does not fit"),
        (bind(fnet.conv1d, filters=2, kernel_size=3, dilation_rate=4), (None, 8, 3), "dilation included"),
        (bind(fnet.max_pooling2d), (None, 1, 1, 3), "too small"),
        (bind(fnet.conv1d, filters=2, kernel_size=3, padding="same"), (None, 0, 3), "too small"),
        (bind(fnet.conv2d, filters=2, kernel_size=3), (28, 28, 1), "add the batch axis"),
        (bind(fnet.conv2d, filters=2, kernel_size=3), (None, 5, 5, 5, 1), "takes 4 axes"),
        (bind(fnet.conv2d, filters=4, kernel_size=3, groups=2), (None, 5, 5, 3), "groups must divide"),
        (bind(fnet.conv2d, filters=4, kernel_size=3, padding="causal"), (None, 5, 5, 3), "padding must be"),
        (bind(fnet.depthwise_conv1d, kernel_size=3, padding="causal"), (None, 5, 3), "it must be 'valid' or 'same'"),
        (bind(fnet.locally_connected1d, filters=4, kernel_size=3), (None, None, 3), "sizes must be known"),
        (bind(fnet.locally_connected1d, filters=4, kernel_size=3, padding="same"), (None, 5, 3), "has padding='valid'"),
        (bind(fnet.locally_connected2d, filters=4, kernel_size=3, implementation=4), (None, 5, 5, 3), "1 or 2 or 3"),
        (bind(fnet.conv2d, filters=4, kernel_size=(3, 3, 3)), (None, 5, 5, 3), "kernel_size must be one int"),
        (bind(fnet.conv2d, filters=4, kernel_size=3, strides=0), (None, 5, 5, 3), "strides must be one int >= 1"),
        (bind(fnet.conv2d, filters=4), (None, 5, 5, 3), "needs kernel_size="),
        (
            bind(fnet.conv2d, filters=4, kernel_size=3, data_format="NCHW"),
            (None, 5, 5, 3),
            "it must be 'channels_last' or",
        ),
        (
            bind(fnet.conv2d_transpose, filters=4, kernel_size=3, strides=2, output_padding=2),
            (None, 5, 5, 3),
            "must be smaller than strides",
        ),
        (bind(fnet.conv1d_transpose, filters=4, kernel_size=3), (None, 0, 3), "empty spatial axis"),
        (
            bind(fnet.conv1d_transpose, filters=4, kernel_size=2, padding="same", output_padding=0),
            (None, 1, 3),
            "leave nothing",
        ),
        (bind(fnet.global_average_pooling1d), (None, 0, 3), "nothing to pool"),
        (bind(fnet.adaptive_max_pooling1d, output_size=2), (None, 0, 3), "nothing to pool"),
        (bind(fnet.adaptive_max_pooling1d), (None, 4, 3), "needs output_size="),
    ],
    ids=lambda value: str(value)[:50],
)
def test_the_shape_rule_says_what_is_wrong(step, shape, message):
    with pytest.raises(ValueError, match=message):
        fnet.infer(step, fnet.Spec(shape))


def test_a_call_says_what_is_wrong_too():
    params = {"kernel": image(3, 3, 4, 8), "bias": np.zeros(8, np.float32)}
    with pytest.raises(InvalidInput, match="does not fit"):
        fnet.conv2d(params, image(1, 2, 2, 4))
    with pytest.raises(InvalidParams, match=r"need a kernel \(any, any, 3, any\); got \(3, 3, 4, 8\)"):
        fnet.conv2d(params, image(1, 5, 5, 3))
    with pytest.raises(InvalidParams, match="need a kernel \\("):
        fnet.conv2d(params, image(1, 5, 5, 4), filters=7)
    with pytest.raises(InvalidParams, match="need a kernel \\("):
        fnet.depthwise_conv2d(params, image(1, 5, 5, 4), depth_multiplier=2)
    with pytest.raises(InvalidParams, match="need a kernel \\("):
        fnet.conv2d_transpose(params, image(1, 5, 5, 4))
    with pytest.raises(InvalidInput, match="takes 4 axes"):
        fnet.max_pooling2d({}, image(5, 5, 4))
    with pytest.raises(InvalidInput, match="nothing to pool"):
        fnet.global_max_pooling1d({}, image(2, 0, 4))


@pytest.mark.parametrize(("channels", "products"), [(8, 1), (200, 2)])
def test_neighbouring_pixels_of_few_channels_are_one_vector_of_about_a_row(monkeypatch, channels, products):
    x, kernel, parts = image(1, 5, 80, channels), image(3, 3, 1, channels, seed=1), []
    inner = numpy_conv._multiply_windows
    monkeypatch.setattr(numpy_conv, "_multiply_windows", lambda *args: parts.append(args) or inner(*args))
    y = numpy_conv._depthwise_conv(x, kernel, (1, 1), (1, 1))
    assert len(parts) == products
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    np.testing.assert_allclose(y, inner(windows, kernel[:, :, 0]), atol=1e-5)
