"""Cases of the layers that prepare text, categories, numbers, images and sound."""

import numpy as np

import fnet
from fnet import bind
from tests.cases import Case

TOKENS = ["cat", "dog", "a b", "é", "b", "a"]
TEXTS = np.array(["A cat, a DOG!", "É é b\u00a0c", "", "a\tb\r\nx\x0ba\x0cb", "b “a” 'b' a-b cat"])
IDF = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7]


def text(x=TEXTS, idle="", **options):
    """A case of text_vectorization."""
    weights = {"idf_weights": IDF} if options.get("output_mode") == "tf_idf" else {}
    step = bind(fnet.text_vectorization, **options)
    return Case(
        fnet.text_vectorization,
        x.shape,
        options,
        idle=idle,
        twin=lambda keras: keras.layers.TextVectorization(**options, **weights, vocabulary=TOKENS),
        feed=x,
        params=fnet.vocabulary_params(step, TOKENS, weights.get("idf_weights")),
    )


def lookup(layer, twin, tokens, x, idle="", **options):
    """A case of a lookup layer."""
    weights = {"idf_weights": IDF[: len(tokens)]} if options.get("output_mode") == "tf_idf" else {}
    return Case(
        layer,
        x.shape,
        options,
        idle=idle,
        twin=lambda keras: getattr(keras.layers, twin)(**options, **weights, vocabulary=tokens),
        feed=x,
        params=fnet.vocabulary_params(bind(layer, **options), tokens, weights.get("idf_weights")),
    )


def strings(x, **options):
    return lookup(fnet.string_lookup, "StringLookup", ["a", "b", "é"], x, **options)


def integers(x, **options):
    return lookup(fnet.integer_lookup, "IntegerLookup", [12, 36, -5, 2**40], x, **options)


KNOWN = np.array([["a", "b"], ["é", "a"]])
WORDS = np.array([["a", "x", ""], ["é", "yy", "b"], ["zzz", "a", "a"]])
NUMBERS = np.array([[12, 7, 0], [36, -5, -9], [12, 2**40, 2**40 + 1]])
IN_TABLE = "the params hold where ids begin"
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")

TEXT = [
    text(),
    text(TEXTS[:, None], output_sequence_length=4),
    text(output_sequence_length=9, max_tokens=20),
    text(standardize="lower"),
    text(standardize="strip_punctuation", split="character", output_sequence_length=12),
    text(standardize=None, split="character"),
    text(standardize="lower", split=None),
    text(np.array([["cat", "B", "b"], ["", "dog", "a"]]), split=None, standardize="lower", ngrams=2),
    text(np.array([["cat", "B", "b"], ["", "dog", "a"]]), split=None, output_sequence_length=2),
    text(TEXTS[:, None], split=None, output_mode="one_hot"),
    text(ngrams=2),
    text(ngrams=(2,), output_mode="count"),
    text(ngrams=(1, 3), output_sequence_length=5),
    *(text(output_mode=mode) for mode in MODES[2:]),
    *(text(output_mode=mode, max_tokens=12, pad_to_max_tokens=True) for mode in MODES[2:]),
    text(output_mode="count", split=None, standardize=None),
]

LOOKUP = [
    *(strings(WORDS, output_mode=mode) for mode in MODES),
    *(strings(WORDS[0], output_mode=mode, mask_token="") for mode in MODES),
    *(strings(WORDS, output_mode=mode, num_oov_indices=3, mask_token="") for mode in MODES),
    *(strings(KNOWN, idle=IN_TABLE, output_mode=mode, num_oov_indices=0) for mode in MODES),
    strings(WORDS[:, :1], output_mode="one_hot", max_tokens=7, pad_to_max_tokens=True),
    strings(np.stack([WORDS, WORDS[::-1]]), output_mode="count"),
    strings(WORDS, num_oov_indices=3, salt=7),
    strings(np.array([[0, 1, 2, 3], [4, 5, 9, -1]]), invert=True),
    strings(np.array([[0, 1, 2, 3], [4, 5, 9, -1]]), invert=True, mask_token="[M]", oov_token="?", num_oov_indices=2),
    *(integers(NUMBERS, output_mode=mode) for mode in MODES),
    *(integers(NUMBERS, output_mode=mode, num_oov_indices=3, mask_token=0) for mode in MODES),
    integers(NUMBERS[[0, 0, 1, 2], [0, 0, 1, 1]], idle=IN_TABLE, num_oov_indices=0),
    integers(NUMBERS, num_oov_indices=3, oov_method="farmhash"),
    integers(NUMBERS, num_oov_indices=3, oov_method="farmhash", salt=(3, 5)),
    integers(np.array([[0, 1, 2], [3, 9, -1]]), invert=True, mask_token=0),
    integers(np.array([[0, 1, 2], [3, 9, -1]]), invert=True, oov_token=-7),
    integers(NUMBERS[:, :1], output_mode="one_hot", max_tokens=9, pad_to_max_tokens=True),
    integers(NUMBERS[:, :1], output_mode="count", max_tokens=8, pad_to_max_tokens=True),
]


def hashed(x, idle="", **options):
    return Case(fnet.hashing, x.shape, {"num_bins": 7, **options}, twin="Hashing", feed=x, idle=idle)


def crossed(x, **options):
    return Case(fnet.hashed_crossing, tuple(c.shape for c in x), options, twin="HashedCrossing", feed=x)


HASHING = [
    *(hashed(WORDS, output_mode=mode) for mode in MODES[:4]),
    *(hashed(NUMBERS, output_mode=mode, mask_value=12) for mode in MODES[:4]),
    hashed(WORDS[0], mask_value="", salt=(3, 5), output_mode="count"),
    hashed(WORDS[:, :1], salt=133, output_mode="one_hot"),
    hashed(NUMBERS + 0.75),
    hashed(WORDS, idle="one bin", mask_value="", num_bins=1),
    hashed(WORDS, mask_value="", num_bins=2),
    hashed(WORDS, dtype="int32"),
    crossed((WORDS[0], NUMBERS[1]), num_bins=5),
    crossed((WORDS[0], NUMBERS[1]), num_bins=5, dtype="int32"),
    crossed((WORDS[:, :1], NUMBERS[:, 1:2], NUMBERS[:, 2:]), num_bins=1000, output_mode="one_hot"),
]

BOUNDS = [-0.75, 0.0, 0.1, 1.5]
NUMERIC = [
    Case(fnet.rescaling, (2, 3, 4), {"scale": 23.5, "offset": 42.1}, twin="Rescaling", mask=True),
    Case(fnet.rescaling, (2, 5, 3), {"scale": [0.1, 2.0, -3.0], "offset": [1, 2, 3]}, twin="Rescaling"),
    Case(fnet.rescaling, (2, 3), {"scale": 1 / 255}, twin="Rescaling", dtype="int32", high=256),
    *(
        Case(fnet.normalization, (3, 4, 5, 6), {"axis": axis, "invert": invert}, twin="Normalization", order=(0, 1))
        for axis in (None, -1, 1, (1, 3), (-1, 2))
        for invert in (False, True)
    ),
    Case(fnet.normalization, (4, 3), {"mean": 3.0, "variance": 2.0}, twin="Normalization", mask=False),
    Case(fnet.normalization, (4, 3), {"mean": [1.0, 2.0, 3.0], "variance": [0.0, 4.0, 1e-20]}, twin="Normalization"),
    Case(
        fnet.normalization,
        (2, 3, 4),
        {"axis": (1, 2), "mean": [1.0, 2.0, 3.0, 4.0], "variance": [2.0, 4.0, 1.0, 3.0], "invert": True},
        twin="Normalization",
        mask=True,
    ),
    *(
        Case(fnet.discretization, shape, {"bin_boundaries": BOUNDS, "output_mode": mode}, twin="Discretization")
        for mode in MODES[:4]
        for shape in ((3, 4), (5,), (3, 1))
    ),
    Case(fnet.discretization, (3, 4), {"bin_boundaries": [1.0, 5.0]}, twin="Discretization", dtype="int32"),
    Case(fnet.discretization, (2, 3, 4), {"bin_boundaries": BOUNDS, "output_mode": "count"}, twin="Discretization"),
    *(
        Case(
            fnet.category_encoding,
            shape,
            {"num_tokens": 9, "output_mode": mode},
            twin="CategoryEncoding",
            dtype="int32",
            high=9 - 6 * (mode == "count"),
            idle="one id a row: the modes agree" if shape == (3, 1) else "",
        )
        for mode in MODES[1:4]
        for shape in ((3, 4), (5,), (3, 1), (2, 3, 4))
    ),
    Case(
        fnet.category_encoding,
        (2, 6),
        {"num_tokens": 4, "output_mode": "count"},
        twin="CategoryEncoding",
        feed={
            "inputs": np.array([[0, 1, 1, 3, 3, 3], [2, 2, 0, 0, 0, 1]], "int32"),
            "count_weights": np.array([[0.5, 1, 2, 0.1, 0.2, 0.3], [1, 2, 3, 4, 5, 6]], "float32"),
        },
    ),
]

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 13, 10, 3)).astype("uint8")
WHOLE = "crops nothing"
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")


def resized(shape, height, width, idle="", **options):
    return Case(fnet.resizing, shape, {"height": height, "width": width, **options}, twin="Resizing", idle=idle)


IMAGES = [
    *(resized((2, 13, 10, 3), *size, interpolation=i) for i in INTERPOLATIONS for size in ((7, 23), (29, 4))),
    *(resized((2, 13, 10, 3), 4, 23, interpolation=i, antialias=True) for i in INTERPOLATIONS),
    resized((2, 13, 10, 3), 13, 10, idle="the same size"),
    resized((13, 10, 3), 6, 6, interpolation="bicubic"),
    resized((2, 3, 13, 10), 6, 17, data_format="channels_first"),
    resized((3, 13, 10), 6, 17, data_format="channels_first", interpolation="lanczos3"),
    *(resized((2, *size, 3), 8, 6, crop_to_aspect_ratio=True) for size in ((13, 10), (10, 13), (7, 3))),
    *(resized((2, *size, 3), 8, 6, pad_to_aspect_ratio=True, fill_value=0.5) for size in ((13, 5), (10, 13), (7, 3))),
    resized((13, 10, 3), 8, 16, pad_to_aspect_ratio=True, interpolation="nearest"),
    *(
        Case(
            fnet.resizing,
            PIXELS.shape,
            {"height": 17, "width": 5, "interpolation": i},
            twin="Resizing",
            feed=PIXELS.astype(kind),
        )
        for i in ("nearest", "bilinear", "bicubic")
        for kind in ("uint8", "int32")
    ),
    *(
        Case(
            fnet.center_crop, shape, {"height": 8, "width": 7}, twin="CenterCrop", idle=WHOLE * (shape == (2, 8, 7, 1))
        )
        for shape in ((2, 13, 10, 3), (13, 10, 3), (2, 8, 7, 1), (2, 9, 5, 3), (5, 12, 2), (1, 3, 3, 1))
    ),
    Case(
        fnet.center_crop, (2, 3, 13, 4), {"height": 8, "width": 7, "data_format": "channels_first"}, twin="CenterCrop"
    ),
    Case(fnet.center_crop, PIXELS.shape, {"height": 5, "width": 6}, twin="CenterCrop", feed=PIXELS),
    Case(fnet.auto_contrast, (2, 6, 5, 3), {"value_range": (0, 1)}, twin="AutoContrast"),
    Case(fnet.auto_contrast, (6, 5, 3), {"value_range": [-3, 3]}, twin="AutoContrast"),
    Case(fnet.auto_contrast, PIXELS.shape, {}, twin="AutoContrast", feed=PIXELS),
    Case(
        fnet.auto_contrast, (2, 4, 4, 2), {}, twin="AutoContrast", feed=np.full((2, 4, 4, 2), 7, "float32"), idle="even"
    ),
    *(
        Case(
            fnet.contrast_limited_adaptive_histogram_equalization,
            x.shape,
            options,
            twin="ContrastLimitedAdaptiveHistogramEqualization",
            feed=x,
            label=f"clahe-{x.shape}-{x.dtype}-{options}",
        )
        for x, options in (
            (PIXELS, {"tile_grid_size": (2, 2)}),
            (PIXELS.astype("float32"), {"tile_grid_size": (4, 3), "clip_limit": 1.5}),
            ((PIXELS / 255).astype("float32"), {"tile_grid_size": (3, 2), "clip_limit": 0.0, "value_range": (0, 1)}),
            (PIXELS.transpose(0, 3, 1, 2).astype("float32"), {"data_format": "channels_first"}),
            (PIXELS[0], {"tile_grid_size": (3, 5)}),
        )
    ),
]


def stft(shape, **options):
    return Case(fnet.stft_spectrogram, shape, {"frame_length": 16, "frame_step": 5, **options}, twin="STFTSpectrogram")


def channels_first_stft(shape, **options):
    """The twin with channels last: Keras's convolution on the CPU takes nothing else."""
    options = {"frame_length": 16, "frame_step": 5, **options}

    def twin(keras):
        back = (3, 1, 2) if options.get("expand_dims") else (2, 1)
        layers = keras.layers
        return keras.Sequential([layers.Permute((2, 1)), layers.STFTSpectrogram(**options), layers.Permute(back)])

    return Case(fnet.stft_spectrogram, shape, {**options, "data_format": "channels_first"}, twin=twin)


def mel(shape, **options):
    options = {"fft_length": 64, "sequence_stride": 20, "num_mel_bins": 12, **options}

    def twin(keras):
        # Under float64 Keras fails on a reference power that is a Python number.
        power = np.dtype(keras.config.dtype_policy().name).type(options.get("ref_power", 1.0))
        return keras.layers.MelSpectrogram(**{**options, "ref_power": power})

    return Case(fnet.mel_spectrogram, shape, options, twin=twin)


AUDIO = [
    *(stft((2, 50, 2), mode=mode) for mode in ("log", "magnitude", "psd", "real", "imag", "stft", "angle")),
    stft((2, 50, 2), padding="same", expand_dims=True, fft_length=32),
    channels_first_stft((2, 3, 50), padding="same", window="hamming", periodic=True),
    channels_first_stft((2, 3, 50), expand_dims=True, scaling="spectrum", mode="stft"),
    stft((2, 50, 1), scaling=None, frame_step=None, window=None),
    stft((2, 16, 1), mode="real"),
    mel((3, 200)),
    mel((200,), power_to_db=False, mag_exp=1.0),
    mel((2, 150), sequence_length=40, window="hamming", max_freq=7000.0, min_freq=100.0),
    mel((2, 150), min_power=3.0),
    mel((2, 150), sequence_length=41),
    mel((2, 150), sequence_length=40, window=None),
    mel((2, 150), num_mel_bins=3, sampling_rate=41, min_freq=1.0),
    mel((2, 150), top_db=10.0, ref_power=0.5, min_power=1e-4, sampling_rate=8000),
]

PIPELINE = [
    Case(
        fnet.pipeline,
        (2, 6, 5, 3),
        {"layers": (bind(fnet.rescaling, scale=2.0, offset=0.5), bind(fnet.center_crop, height=4, width=4))},
        twin=lambda keras: keras.layers.Pipeline([keras.layers.Rescaling(2.0, 0.5), keras.layers.CenterCrop(4, 4)]),
        label="pipeline",
    ),
    Case(
        fnet.pipeline,
        (2, 6, 5, 3),
        {"layers": (bind(fnet.rescaling, scale=2.0), bind(fnet.rescaling, scale=3.0, offset=1.0))},
        twin=lambda keras: keras.layers.Pipeline([keras.layers.Rescaling(2.0), keras.layers.Rescaling(3.0, 1.0)]),
        label="pipeline-rescaling",
    ),
]

CASES = [*TEXT, *LOOKUP, *HASHING, *NUMERIC, *IMAGES, *AUDIO, *PIPELINE]
