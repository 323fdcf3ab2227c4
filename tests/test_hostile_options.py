"""Options beyond what Keras takes are refused at load, and no size that a file names costs anything there."""

import contextlib
import json
import time
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import fnet
from fnet import Spec, bind, sequential, tree
from fnet.core import infer, room
from fnet.core.options import option_names
from fnet.core.rules import rules_of
from fnet.shapes import sized
from fnet.tf_functions import FUNCTIONS
from params import Limits, ModelFileError, load, load_keras, save
from params.errors import CorruptFile, LimitExceeded
from params.output_sizes import require_room
from tests.cases import all_cases
from tests.cases.operations import CASES
from tests.hostile import entry, h5, input_entry, keras_zip, sequential_config
from tests.hostile_options import REFUSED, huge, specs
from tests.hostile_sizes import lookup_model, packed
from tests.operation_parity import arrays_of, fnet_input
from tests.test_hostile_sizes import MEMORY, SECONDS, peak

pytestmark = pytest.mark.usefixtures("own_garbage")

NO_WEIGHTS = h5(lambda file: file.create_group("layers"))
BROKEN = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


def model_file(class_name, shape, options):
    if class_name == "Bidirectional":
        options = {"layer": entry("LSTM", "lstm", units=2), **options}
    return keras_zip(sequential_config(input_entry(*shape), entry(class_name, "layer", **options)), NO_WEIGHTS)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row[0]}-{json.dumps(row[2])}")
def test_an_option_that_keras_refuses_is_refused_by_name(row):
    assert_refused(*row)


def assert_refused(class_name, shape, options):
    """Assert that the options are refused, by name."""
    with pytest.raises(ModelFileError) as caught:
        load_keras(model_file(class_name, shape, options))
    assert "does not have" not in str(caught.value)
    assert "not those of its model" not in str(caught.value), "the option was taken; only the weights were missed"


@pytest.mark.slow
@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row[0]}-{json.dumps(row[2])}")
def test_keras_refuses_it(row):
    import keras

    with pytest.raises(Exception):  # noqa: B017, PT011 - Keras has a dozen types for it
        built(keras, *row)


def built(keras, class_name, shape, options):
    """A Keras layer on a symbolic input, whose output must have sizes, and on numbers."""
    if class_name == "Bidirectional":
        options = {"layer": keras.layers.LSTM(2), **options}
    layer = getattr(keras.layers, class_name)(**options)
    for x in (keras.Input(shape), np.ones((2, *shape), "float32")):
        y = layer(x, x) if class_name == "MultiHeadAttention" else layer([x, x] if class_name == "Attention" else x)
        assert all(size is None or size >= 0 for size in y.shape)


@pytest.mark.parametrize("numbers", [
    (10**9,), pytest.param((10**5, 10**7, 2**62, -(10**9), -1, 0), marks=pytest.mark.slow)])  # fmt: skip
def test_no_integer_costs_anything_in_a_shape_rule(numbers):
    """Files are not trusted with sizes: shapes follow by arithmetic, dtypes from arrays of one element."""
    count = 0
    for label, step, x in huge(*numbers):
        before, start = peak(reset=True), time.process_time()
        with contextlib.suppress(*BROKEN):
            infer.infer(step, x)
        assert time.process_time() - start < 0.5, label
        assert peak() - before < 32 << 20, label
        count += 1
    assert count > 700 * len(numbers)


OPERATIONS = {
    "bincount": ("bincount", {"minlength": 1 << 23}, "int32", None),
    "diff": ("diff", {"n": 10**10}, "float32", None),
    "repeat": ("repeat", {"repeats": 10**12, "axis": 1}, "float32", LimitExceeded),
    "tile": ("tile", {"repeats": (1, 10**12)}, "float32", LimitExceeded),
    "one_hot": ("one_hot", {"num_classes": 10**12}, "int32", LimitExceeded),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_saved_model_may_name_any_size(tmp_path, name):
    operation, options, dtype, refused = OPERATIONS[name]
    step = bind(getattr(fnet.operations, operation), **options)
    model = sequential(x=bind(fnet.input_layer, shape=(None, 4), dtype=dtype), y=step)
    before, start = peak(reset=True), time.process_time()
    save(tmp_path / "m", model, {})
    assert load(tmp_path / "m", limits=Limits(depth=512, outputs=10**20))[0] == model
    with pytest.raises(refused) if refused else contextlib.nullcontext():
        load(tmp_path / "m")
    assert time.process_time() - start < SECONDS
    assert peak() - before < MEMORY


PADDED = {"output_mode": "tf_idf", "idf_weights": [1.0], "pad_to_max_tokens": True}


@pytest.mark.parametrize("options", [{"num_oov_indices": (1 << 20) + 1}, {"max_tokens": (1 << 24) + 1, **PADDED}])
def test_what_a_vocabulary_is_filled_up_with_is_bounded_whatever_the_limits(options):
    with pytest.raises(ModelFileError, match=r"num_oov_indices|16777217 columns"):
        load_keras(packed(lookup_model(vocabulary=["a"], **options)), limits=Limits(outputs=10**20))


def other_sizes(x):
    """Inputs in which one array has another size, or an axis more or less; rows stay what they are."""
    if not isinstance(x, fnet.Spec):
        for place, item in x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, tuple | list) else ():
            for other in other_sizes(item):
                yield {**x, place: other} if isinstance(x, dict) else type(x)([*x[:place], other, *x[place + 1 :]])
        return
    for axis, size in list(enumerate(x.shape))[min(1, len(x.shape) - 1) :]:
        yield from (
            fnet.Spec((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype) for n in {size + 1, size - 1, 1} - {0}
        )
    yield fnet.Spec((*x.shape, 2), x.dtype)
    yield fnet.Spec(x.shape[:-1], x.dtype)


def ones_of(specs, dtype="float32"):
    def ones(spec):
        if not hasattr(spec, "dtype"):
            return spec
        return np.ones(sized(spec.shape, 1), {"bfloat16": dtype, "string": "U3"}.get(spec.dtype, spec.dtype))

    return tree.map(ones, specs)


NOT_THERE = "picks what is not there"
"""The message for an index beyond a table, which depends on numbers."""
OF_TOKENS = ("string_lookup", "integer_lookup", "text_vectorization")
"""Layers whose params are tables, which cannot hold any numbers."""


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 8))])
def test_what_loads_can_be_called(part):
    """2,000 of 18,000 inputs of other sizes went through the rules of their layer or operation, and not through it.

    What the rules let pass is not tried here: they know it all.
    """
    refused = called = 0
    for number, case in enumerate([*all_cases(), *CASES]):
        step = bind(case.layer, **case.options)
        if number % 8 != part or step.function.__name__ in OF_TOKENS:
            continue
        for x in other_sizes(specs(case)):
            try:
                rows = infer.trace(step, x)
            except (ModelFileError, *BROKEN):
                refused += 1
                continue
            try:
                step(ones_of(infer.params_of(rows)), ones_of(x))
                called += 1
            except fnet.InvalidInput as error:
                assert NOT_THERE in str(error) or "Singular" in str(error), (step, x)  # noqa: PT017 - no failure
    assert min(refused, called) > 200


AWKWARD = (0, -1, 7, 0.5, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -(1 << 31), (1 << 31) - 1)


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 8))])
def test_whatever_numbers_come_they_have_an_answer_or_are_refused_by_type(part):
    """Singular matrices, ids of nothing and sizes of gigabytes were errors of NumPy's, and took the gigabytes."""
    answered = refused = 0
    for number, case in enumerate([*all_cases(), *CASES]):
        step = bind(case.layer, **case.options)
        if number % 8 != part or step.function.__name__ in OF_TOKENS:
            continue
        params = ones_of(infer.params_of(infer.trace(step, specs(case))))
        ones = ones_of(specs(case))
        for place, first in enumerate(tree.leaves(ones)):
            if getattr(first, "dtype", np.dtype("U")).kind == "U":
                continue
            with np.errstate(all="ignore"):
                each = np.array(AWKWARD).astype(first.dtype)
            for array in (*(np.full(first.shape, n) for n in each), np.resize(each, first.shape)):
                left = iter(range(100))
                try:
                    step(params, tree.map(lambda a: array if next(left) == place else a, ones))  # noqa: B023
                    answered += 1
                except fnet.InvalidInput as error:
                    assert not isinstance(error, MemoryError), (step, array.flat[:3])  # noqa: PT017 - no failure
                    refused += 1
    assert min(answered // 50, refused) > 5


TF = fnet.tf_functions


@pytest.mark.parametrize(("step", "x"), [
    (TF.tile, (np.ones((1, 3)), np.array([1 << 20, 1 << 20]))), (TF.tile, (np.ones((1, 3)), np.array([1, -1]))),
    (TF.zeros, (np.array([1 << 20, 1 << 20]),)), (TF.ones, (np.array([-1]),)),
    (TF.fill, (np.array([1 << 62]), 1.0)), (TF.eye, (np.array(1 << 20), None, ())),
    (TF.numbers, (np.array(1 << 30), None, 1)), (TF.linspace, (0.0, 1.0, np.array(1 << 30))),
    (TF.sequence_mask, (np.array([1 << 30]), None)), (TF.one_hot, (np.ones(3, int), np.array(1 << 30))),
    (TF.repeat, (np.ones(3), np.array(1 << 30))), (TF.pad, (np.ones(3), np.array([[0, 1 << 30]]))),
    (TF.resize, (np.ones((1, 2, 2, 1), "f"), np.array([1 << 15, 1 << 15]))),
    (TF.scatter_nd, (np.array([[0]]), np.ones(1), np.array([1 << 30]))),
    (TF.unsorted_segment_sum, (np.ones(3), np.array([0, 1, 2]), np.array(1 << 30))),
    (TF.reshape, (np.ones(3), np.array([2]))), (TF.broadcast_to, (np.ones(3), np.array([2]))),
    (TF.inv, np.zeros((2, 2))),
])  # fmt: skip
def test_sizes_that_numbers_make_are_bounded_and_refused_by_type(step, x):
    before = peak(reset=True)
    with pytest.raises(fnet.InvalidInput) as caught:
        step({}, x)
    assert peak() - before < 32 << 20
    assert not isinstance(caught.value, MemoryError)


@pytest.mark.parametrize(("step", "x"), [
    (bind(fnet.mel_spectrogram, fft_length=512, sequence_stride=1), fnet.Spec((None, 10**5))),
    (bind(fnet.hashing, num_bins=7), fnet.Spec((None, 10**7), "int32")),
    (bind(fnet.hashed_crossing, num_bins=7), (fnet.Spec((10**7,), "int32"),) * 2),
])  # fmt: skip
def test_what_a_layer_takes_is_bounded(step, x):
    """A row of four numbers, repeated before, took a gigabyte in them."""
    assert room.of(step, x).memory > 900 << 20


def test_words_are_joined_to_no_more_than_there_are():
    step = bind(fnet.text_vectorization, ngrams=10**12)
    assert step(fnet.vocabulary_params(step, ["", "[UNK]", "a", "a b"]), ["a b"]).tolist() == [[2, 1, 3]]


IMAGE, POINTS = fnet.Spec((None, 20, 3)), fnet.Spec((None, 2))
IMAGES, POINTS_OF_EACH = fnet.Spec((None, 20, 20, 3)), fnet.Spec((None, 4, 2))


@pytest.mark.parametrize(("step", "x"), [
    (bind(fnet.operations.reshape, newshape=[-1, 7]), fnet.Spec((None, 3))),
    (bind(fnet.operations.reshape, newshape=[-1, 11, 8, 3]), fnet.Spec((None, 3))),
    (bind(fnet.operations.split, indices_or_sections=5), fnet.Spec((None, 3))),
    (bind(fnet.operations.perspective_transform), (IMAGE, POINTS, POINTS)),  # four points
    (bind(fnet.operations.perspective_transform), (IMAGES, POINTS_OF_EACH, POINTS_OF_EACH)),  # on no line
])  # fmt: skip
def test_what_needs_certain_sizes_of_the_batch_or_numbers_loads(step, x):
    assert infer.trace(step, x)


def test_a_search_is_in_a_vector():
    with pytest.raises(fnet.InvalidInput, match="n are expected"):
        infer.trace(bind(fnet.operations.searchsorted), (fnet.Spec((2, 3)), fnet.Spec((4,))))


def test_patches_of_an_unknown_number_of_channels_have_one():
    unknown = fnet.Spec((None,) * 4)
    assert infer.infer(bind(fnet.operations.extract_patches, size=2), unknown)[0] == unknown


def test_a_difference_of_more_steps_than_there_are_is_empty():
    x = np.ones((2, 4), "float32")
    assert bind(fnet.operations.diff, n=10**9)({}, x).shape == (2, 0)
    with pytest.raises(ValueError, match="at least 0"):
        infer.infer(bind(fnet.operations.diff, n=-1), fnet.Spec((2, 4)))


def test_files_of_keras_2_are_held_to_what_it_took():
    """Slopes below 0, noise above 1 and no copies of a row were legal there, not a negative number of them."""
    for class_name, options, legal in (
        ("LeakyReLU", {"negative_slope": -0.5}, "2.15.0"),
        ("GaussianNoise", {"stddev": 2.0}, "2.15.0"),
        ("RepeatVector", {"n": 0}, "2.15.0"),
        ("RepeatVector", {"n": -1}, None),
    ):
        config = sequential_config(input_entry(4), entry(class_name, "layer", **options))
        for version in ("2.15.0", "3.15.1"):
            metadata = json.dumps({"keras_version": version})
            data = keras_zip(config, NO_WEIGHTS, metadata, method=zipfile.ZIP_DEFLATED)
            if version != legal:
                with pytest.raises(ModelFileError, match="it must be"):
                    load_keras(data)
            else:
                assert load_keras(data)[0]


FREE = {
    *("oov_token", "mask_token", "mask_value"),  # texts of the user's own
    *("vocabulary_size", "encoding_dtype", "input_dtype"),  # looked at where they are used
    ("stft_spectrogram", "window"),  # the kernels in the file tell what SciPy made of the name
}


def texts():
    """(layer or operation, its options in some case, the name of one that is a text, Specs of its inputs)."""
    seen = set()
    for case in [*all_cases(), *CASES]:
        for name, default in option_names(case.layer).items():
            text = isinstance(case.options.get(name, default), str) and name != "dtype"
            names = {name, (case.layer.__name__, name), *([name] if name.endswith("activation") else [])}
            if text and not names & FREE and (case.layer, name) not in seen:
                seen.add((case.layer, name))
                yield case, name


@pytest.mark.parametrize(("case", "name"), list(texts()), ids=lambda value: getattr(value, "id", value))
def test_a_text_that_an_option_does_not_know_is_refused_by_its_rule(case, name):
    """Some were taken for the default, others were noticed at the first call."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        infer.infer(bind(case.layer, **{**case.options, name: "magic"}), specs(case))


BEYOND = [
    ("UpSampling1D", (8, 3), {"size": 10**9}),
    ("CenterCrop", (8, 8, 3), {"height": 10**5, "width": 10**5}),
    ("ZeroPadding2D", (8, 8, 3), {"padding": 10**5}),
    ("RepeatVector", (4,), {"n": 10**9}),
    ("AdaptiveMaxPooling1D", (8, 3), {"output_size": 10**9}),
    ("CategoryEncoding", (4,), {"num_tokens": 10**9, "output_mode": "one_hot"}),
    ("Resizing", (8, 8, 3), {"height": 10**6, "width": 10**6}),
]


@pytest.mark.parametrize("row", BEYOND, ids=lambda row: row[0])
def test_outputs_that_no_memory_holds_are_refused_at_load(row):
    data = model_file(*row)
    with pytest.raises(LimitExceeded, match=r"'layer' gives .* the model (holds|writes) .* MiB, and `Limits.outputs`"):
        load_keras(data)
    assert load_keras(data, limits=Limits(outputs=10**20))
    found = fnet.explain(data)
    assert not found.supported
    assert "Limits.outputs" in str(found)


ASKING = {  # (layers of Keras, shape of the input)
    "the padding of a tall image": (
        [("Resizing", {"height": 1, "width": 4000, "pad_to_aspect_ratio": True})], (4000, 1, 1)
    ),
    "a long recurrence": ([("RepeatVector", {"n": 10**6}), ("SimpleRNN", {"units": 1})], (4,)),
    "tiles": ([("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": [10**4, 10**4]})], (8, 8, 3)),
    "padding by dilation": (
        [("DepthwiseConv2D", {"kernel_size": 2, "padding": "same", "dilation_rate": 10**7})], (8, 8, 3)
    ),
    "an open size": ([("UpSampling1D", {"size": 10**7})], (None, 3)),
    "much work in little memory": (
        [("UpSampling2D", {"size": 200}), *[("MaxPooling2D", {"pool_size": 99, "strides": 1, "padding": "same"})] * 9],
        (8, 8, 1),
    ),
    "inside a wrapper": (
        [("TimeDistributed", {"layer": sequential_config(
            input_entry(8, 8, 3), entry("UpSampling2D", "up", size=1000), entry("GlobalMaxPooling2D", "pool"))})],
        (9, 8, 8, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKING)
def test_what_a_small_file_may_ask_for_is_bounded_at_load(name):
    layers, shape = ASKING[name]
    entries = [entry(kind, f"l{number}", **options) for number, (kind, options) in enumerate(layers)]
    with pytest.raises(LimitExceeded, match=r"the model (holds|writes) .* MiB"):
        load_keras(keras_zip(sequential_config(input_entry(*shape), *entries), NO_WEIGHTS))


def test_large_inputs_and_many_params_may_ask_for_more():
    def rows(size, filters):
        conv = bind(fnet.conv2d, filters=filters, kernel_size=3, padding="same")
        return infer.trace(sequential(conv), fnet.Spec((None, size, size, 3)))

    def attention(length):
        specs = (fnet.Spec((1, length, 4)),) * 2
        return infer.trace(bind(fnet.multi_head_attention, num_heads=8, key_dim=1), specs)

    require_room(attention(1000), Limits())
    with pytest.raises(LimitExceeded, match="holds"):
        require_room(attention(10_000), Limits())
    require_room(rows(1024, 64), Limits())
    with pytest.raises(LimitExceeded, match="holds"):
        require_room(rows(1024, 4096), Limits())
    require_room(rows(1024, 4096), Limits(outputs=1 << 36))


@pytest.mark.parametrize("packed", ["by HDF5", "by the zip", ""])
def test_params_that_were_compressed_ask_for_as_much_as_their_file(packed):
    """A few kilobytes of zeros asked for what gigabytes of params may."""
    zeros, options = np.zeros((1000, 1000), "f4"), {"compression": "gzip"} if packed == "by HDF5" else {}
    weights = h5(lambda file: file.create_dataset("layers/dense/vars/0", data=zeros, **options))
    wide = [entry("Dense", "dense", units=1000, use_bias=False), entry("RepeatVector", "repeated", n=20_000)]
    method = zipfile.ZIP_DEFLATED if packed == "by the zip" else zipfile.ZIP_STORED
    data = keras_zip(sequential_config(input_entry(1000), *wide), weights, method=method)
    small = Limits(outputs=1 << 20)
    assert load_keras(data)
    assert fnet.explain(data, limits=small).supported == (not packed)
    with pytest.raises(LimitExceeded, match="its file and the row allow") if packed else contextlib.nullcontext():
        load_keras(data, limits=small)


def conv(filters, rank=2, size=3):
    function = {1: fnet.conv1d, 2: fnet.conv2d, 3: fnet.conv3d}[rank]
    return bind(function, filters=filters, kernel_size=size, padding="same")


HONEST = {
    "audio": ([conv(64, 1)] * 3, (160_000, 1)),
    "denoising": ([conv(64)] * 16, (480, 640, 1)),
    "microscopy": ([conv(16), fnet.max_pooling2d, conv(32), fnet.up_sampling2d, conv(1)], (2048, 2048, 1)),
    "super-resolution": ([conv(64, size=9), conv(32, size=5), conv(3, size=5)], (1024, 1024, 3)),
    "video": ([conv(32, 3), conv(64, 3)], (16, 112, 112, 3)),
    "frames": ([bind(fnet.time_distributed, layer=conv(32))] * 2, (60, 128, 128, 3)),
    "radar": (
        [bind(fnet.conv_lstm2d, filters=64, kernel_size=3, padding="same", return_sequences=True)] * 2,
        (20, 128, 128, 1),
    ),
    "upscaling": (
        [conv(56, size=5), conv(12), conv(56, size=1),
         bind(fnet.conv2d_transpose, filters=1, kernel_size=9, strides=4, padding="same")], (480, 640, 1)),
    "long series": ([bind(fnet.lstm, units=16, return_sequences=True)] * 2, (20_000, 1)),
}  # fmt: skip


def test_windows_that_a_convolution_copies_count():
    """These were counted by their products alone, of which they have few: 8 seconds, and gigabytes for one row."""
    wide = [fnet.Spec((None, 64, 64, 1)), bind(fnet.conv2d_transpose, filters=1, kernel_size=(10_000, 3))]
    for x, step, does in (
        (*wide, "writes"),
        (wide[0], bind(wide[1], strides=2), "writes"),
        (fnet.Spec((None, 512, 512, 1)), conv(1, size=256), "writes"),
        (fnet.Spec((None, 400, 4096, 1)), conv(1, size=400), "holds"),
        (fnet.Spec((None, 4, 4096, 1)), bind(fnet.conv2d_transpose, filters=1, kernel_size=300, strides=2), "holds"),
        (fnet.Spec((None, 20, 1)), bind(fnet.conv1d_transpose, filters=1, kernel_size=100_000, strides=2), "writes"),
    ):
        with pytest.raises(LimitExceeded, match=does):
            require_room(infer.trace(step, x), Limits())


def test_what_each_step_in_time_reads_counts():
    """Zeros of 60 MB compress to 60 KB; each step in time reads all of them."""
    images = bind(fnet.conv_lstm2d, filters=2, kernel_size=1000, padding="same")
    long = bind(fnet.lstm, units=2000)
    for step, shape, does in ((long, (None, 2000, 1), "writes"), (images, (None, 24, 6, 5, 2), "holds")):
        with pytest.raises(LimitExceeded, match=does):
            require_room(infer.trace(step, fnet.Spec(shape)), Limits(), 1 << 16)


def test_a_beam_as_wide_as_keras_has_it_by_default_searches_a_long_row():
    beam = bind(fnet.operations.ctc_decode, strategy="beam_search")
    require_room(infer.trace(beam, (fnet.Spec((None, 1000, 100)), fnet.Spec((None,), "int32"))), Limits())


@pytest.mark.parametrize("name", HONEST)
def test_models_as_people_have_them_need_no_other_limits(name):
    steps, shape = HONEST[name]
    require_room(infer.trace(sequential(*steps), fnet.Spec((None, *shape))), Limits())


def test_what_a_model_holds_is_what_is_alive_at_once():
    wide = [bind(fnet.dense, units=1000) for _ in range(10)]
    in_turn = room.of(sequential(*wide), fnet.Spec((1, 1000)))
    nodes = {f"n{number}": (step, "x") for number, step in enumerate(wide)}
    together = room.of(fnet.graph(nodes, inputs="x", outputs=tuple(nodes)), fnet.Spec((1, 1000)))
    assert in_turn.work == together.work
    assert in_turn.memory == 4000 * (1 + 1 + 3)  # the input of the model, what the step before gave, the step
    assert together.memory == 4000 * (1 + 9 + 3)


QUERY, KEY = fnet.Spec((1, 8, 500, 4)), fnet.Spec((1, 8, 300, 4))


@pytest.mark.parametrize(("step", "x", "held", "work"), [
    (fnet.attention, (QUERY, KEY), 2 * 8 * 500 * 300 * 4, 8 * 500 * 300 * (2 * 4 + 4 / room.PRODUCTS)),
    (bind(fnet.attention, score_mode="concat"), (QUERY, KEY), 2 * 8 * 500 * 300 * 4 * 4, 2 * 8 * 500 * 300 * 4 * 4),
    (fnet.additive_attention, (QUERY, KEY), 2 * 8 * 500 * 300 * 4 * 4, 2 * 8 * 500 * 300 * 4 * 4),
    (bind(fnet.multi_head_attention, num_heads=3, key_dim=16), (QUERY, KEY), 2 * 3 * 8**2 * 500 * 300 * 4, None),
    (bind(fnet.multi_head_attention, num_heads=3, key_dim=16, attention_axes=2), (QUERY, KEY),
     2 * 3 * 8 * 500 * 300 * 4, 3 * 8 * 500 * 300 * (2 * 4 + 1)),
    (bind(fnet.lstm, units=5, return_state=True), fnet.Spec((2, 10, 3)), 4 * 2 * 10 * 5 * 4, 10 * ((1 << 16) + 180)),
    # every step with padding; windows of one step and of the state, which is as long as an output
    (bind(fnet.conv_lstm1d, filters=5, kernel_size=7), fnet.Spec((1, 10, 20, 3)),
     4 * 10 * 14 * 5 * 4 + 10 * (2 * 20 * 3 * 4) + 7 * 3 * 4 + 2 * 20 * 5 * 4 + 7 * 5 * 4,
     10 * ((1 << 16) + 7 * (3 + 5) * 20 + 20 + 480 + 800 + 14 * 7 * (3 + 5) * (4 + 5 * 4 / room.PRODUCTS))),
    # the images as whole tiles, here 16 by 10, and a map of 256 numbers for each of the tiles and those around them
    (bind(fnet.contrast_limited_adaptive_histogram_equalization, tile_grid_size=(4, 2)), fnet.Spec((2, 13, 10, 3)),
     *(8 * 4 * (2 * 16 * 10 * 3 + 256 * 2 * 6 * 4 * 3),) * 2),
    (fnet.operations.dot_product_attention, (fnet.Spec((3, 500, 8, 16)), *(fnet.Spec((3, 300, 8, 16)),) * 2),
     2 * 3 * 8 * 500 * 300 * 4, 3 * 8 * 500 * 300 * (2 * 4 + 1)),
])  # fmt: skip
def test_what_a_layer_declares_by_hand(step, x, held, work):
    found = bind(step).fill(rules_of(step).room)(x)
    assert found == (held, found[1] if work is None else work)


ROOMY = [case for case in all_cases() if rules_of(case.step).room is not None and case.feed is None]
ONE_IMAGE = ("resizing", "contrast_limited_adaptive_histogram_equalization")
"""Layers that also take images without an axis of rows."""
BATCHED = [c for c in ROOMY if c.layer.__name__ not in ONE_IMAGE or len(c.shapes) > 3]
A_LAYER = list({case.layer: case for case in BATCHED}.values())


def test_what_a_layer_declares_grows_with_the_rows():
    """Twice the rows need twice the memory; only work that is done once for all rows stays the same."""
    for case in BATCHED:
        x, rule = infer.spec(case.inputs()), case.step.fill(rules_of(case.step).room)
        if min(len(spec.shape) for spec in fnet.tree.leaves(x)) < (rules_of(case.step).by_row or 0):
            continue  # attention of vectors, where each row attends to all
        one, two, three = (
            np.array(rule(fnet.tree.map(lambda spec, n=n: replace(spec, shape=(16 * n, *spec.shape[1:])), x)))
            for n in (1, 2, 3)
        )
        assert (two[0], *(three - two)) == (2 * one[0], *(two - one)), case.id
        assert one[1] <= two[1] > 0, case.id


@pytest.mark.parametrize("cases", [A_LAYER, pytest.param(ROOMY, marks=pytest.mark.slow)], ids=["a layer", "all"])
def test_what_a_layer_takes_is_about_what_it_declares(cases):
    """Of as many rows as take a quarter of a MiB."""
    for case in cases:
        step, x = case.step, case.inputs()
        params = fnet.init(step, 0, infer.spec(x)) if case.params is None else case.params
        times = -(-(1 << 18) // room.of(step, infer.spec(x)).memory)
        assert_takes_what_it_says(case.id, step, params, longer(x, times, 0, 1))


def longer(x, times, axis, least):
    """`x` with `times` as many numbers along an axis, in arrays of at least `least` axes."""
    return fnet.tree.map(lambda a: np.concatenate([a] * times, axis) if np.ndim(a) >= least else a, x)


def specs_of(x):
    return fnet.tree.map(lambda a: infer.spec(a) if isinstance(a, np.ndarray) else a, x)


def assert_takes_what_it_says(label, step, params, x):
    """Assert that a call takes neither far more nor far less than declared, with inputs of four bytes a number."""
    step(params, x)  # what is kept from the first call on is not counted
    tracemalloc.start()
    try:
        step(params, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = room.of(step, specs_of(x)).memory
    took = peak + 4 * sum(a.size for a in fnet.tree.leaves(x) if isinstance(a, np.ndarray))
    assert held / 12 <= took <= 3.5 * held + (1 << 14), (label, held, took)


ALL_OPERATIONS = [case for case in CASES if arrays_of(case.draw())]
AN_OPERATION = list({case.layer: case for case in ALL_OPERATIONS[::-1]}.values())


@pytest.mark.parametrize(
    "cases", [AN_OPERATION, pytest.param(ALL_OPERATIONS, marks=pytest.mark.slow)], ids=["an operation", "all"]
)
def test_what_an_operation_takes_is_about_what_it_declares(cases):
    """For longer axes of all inputs, or of those with the most axes; a few operations take no longer ones."""
    done = set()
    for case in cases:
        step, x = bind(case.layer, **case.options), fnet_input(case, case.draw())
        deepest = max(a.ndim for a in arrays_of(x))
        for axis in range(deepest):
            for least in {axis + 1, deepest}:
                with contextlib.suppress(*BROKEN):
                    held = room.of(step, specs_of(longer(x, 8, axis, least))).memory
                    x_longer = longer(x, min(-(-(1 << 21) // held), 1 << 14), axis, least)
                    if room.of(step, specs_of(x_longer)).memory < 1 << 25:
                        assert_takes_what_it_says((case, axis), step, {}, x_longer)
                        done.add(case.id)
    assert len(done) > 0.97 * len(cases)


def test_what_is_declared_of_unknown_sizes_is_that_of_one():
    """But of kernels and of what stretches, whose sizes then remain unknown."""
    seen = 0
    for case in (*A_LAYER, *AN_OPERATION):
        step, x = bind(case.layer, **case.options), specs(case)
        first, *others = room.arrays(x)
        rule = None if case.layer.__name__.endswith(("conv", "conv_transpose")) else rules_of(step).room
        for axis in range(len(first.shape) if rule else 0):
            for these in ([first], [first, *others]):
                one, unknown = (of_size(x, these, axis, size) for size in (1, None))
                with contextlib.suppress(*BROKEN):
                    infer.infer(step, one)
                    infer.infer(step, unknown)
                    seen += 1
                    assert step.fill(rule)(one) == step.fill(rule)(unknown), (case.id, axis)
    assert seen > 600


def of_size(x, these, axis, size):
    """The Specs `x`; the axis of `these` that are of the rank of the first has another size."""

    def other(spec):
        if spec not in these or len(spec.shape) != len(these[0].shape):
            return spec
        return replace(spec, shape=(*spec.shape[:axis], size, *spec.shape[axis + 1 :]))

    return tree.map(other, x)


def of_shape(*shape):
    return np.random.default_rng(0).random(shape, "float32")


SQUARE, CORNERS = of_shape(500, 500), {"padding": [[0, 0], [50, 50], [50, 50], [0, 0]]}
PHOTO, KERNEL = of_shape(1, 100, 100, 8), of_shape(3, 3, 8, 8)
AT_ONE = {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"}


@pytest.mark.parametrize(("name", "x", "options"), [
    ("linalg.solve", (SQUARE, SQUARE), {}),
    ("norm", SQUARE, {"ord": 2, "axis": [0, 1]}),
    ("math.erfinv", of_shape(300_000), {}),
    ("math.bessel_i0", of_shape(300_000), {}),
    ("unique", of_shape(100_000), {}),
    ("searchsorted", (of_shape(2, 1000), of_shape(2, 1000)), {}),
    ("signal.overlap_and_add", of_shape(300, 100), {"frame_step": 50}),
    ("signal.dct", of_shape(3000, 60), {"n": 300}),
    ("signal.frame", of_shape(20_000, 2), {"frame_length": 100, "frame_step": 10, "axis": 0, "pad_end": True}),
    ("signal.stft", of_shape(2, 20_000), {"frame_length": 100, "frame_step": 10, "fft_length": 1024}),
    ("image.crop_and_resize", (PHOTO, of_shape(30, 4), np.zeros(30, "int32"), [50, 50]), {}),
    ("image.resize", (PHOTO, [300, 300]), {}),
    ("image.resize", (PHOTO, [60, 900]), {}),
    ("image.resize", (PHOTO, [300, 9000]), {"preserve_aspect_ratio": True}),
    ("image.resize_with_pad", PHOTO, {"target_height": 300, "target_width": 300}),
    ("image.extract_patches", PHOTO, {"sizes": [1, 3, 3, 1], **AT_ONE}),
    ("nn.local_response_normalization", of_shape(10, 10, 10, 8), {"depth_radius": 1000}),
    ("nn.conv2d", (PHOTO, KERNEL), CORNERS),
    ("nn.separable_conv2d", (PHOTO, of_shape(3, 3, 8, 1), of_shape(1, 1, 8, 8)), {}),
    ("nn.conv2d_transpose", (PHOTO, KERNEL, [1, 200, 200, 8]), {"strides": 2}),
    ("nn.conv2d_transpose", (PHOTO[:, :4, :4], KERNEL, [1, 1000, 1000, 8]), {"strides": 500, "padding": "VALID"}),
    ("nn.max_pool2d", PHOTO, {"ksize": 3, "strides": 1, **CORNERS}),
    ("nn.pool", PHOTO, {"ksize": [9, 9], "pooling_type": "AVG", "padding": "SAME"}),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_a_function_of_tensorflow_takes_is_about_what_it_declares(name, x, options):
    assert_takes_what_it_says(name, bind(FUNCTIONS[name], **options), {}, x)


LARGE = fnet.Spec((2000, 2000))


@pytest.mark.parametrize(("name", "x", "options"), [
    ("linalg.matmul", (LARGE, fnet.Spec((9, 2000))), {"transpose_b": True}),
    ("linalg.matvec", (LARGE, LARGE), {}),
    ("tensordot", (LARGE, LARGE), {"axes": 1}),
    ("keras.backend.dot", (LARGE, LARGE), {}),
    ("raw_ops.Einsum", [LARGE, LARGE], {"equation": "ij,jk->ik"}),
    *((f"linalg.{name}", LARGE, {}) for name in ("det", "slogdet", "inv", "cholesky")),
    ("linalg.normalize", LARGE, {"ord": 2, "axis": [0, 1]}),
    ("nn.depthwise_conv2d", (fnet.Spec((1, 400, 400, 64)), fnet.Spec((3, 3, 64, 2))), {}),
    ("nn.avg_pool2d", fnet.Spec((1, 400, 400, 64)), {"ksize": 31}),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_the_work_of_a_function_of_tensorflow_is_more_than_to_read_and_to_write(name, x, options):
    (traced,) = infer.trace(bind(FUNCTIONS[name], **options), x)
    assert room.of_trace([traced]).work > room.size(traced.inputs) + room.size(traced.outputs)


def test_rules_of_room_ask_for_options_that_there_are():
    for home in (fnet.layers, fnet.operations, fnet.tf_functions):
        for name in dir(home):
            own = getattr(getattr(getattr(home, name), "rules", None), "room", None)
            assert own is None or set(option_names(own)) <= set(option_names(getattr(home, name))), name


IMAGE4, PICTURE, MATRIX = fnet.Spec((2, 9, 8, 4)), fnet.Spec((8, 9, 3)), fnet.Spec((2600, 2600))
PHOTOS = fnet.Spec((1000, 1000, 3))
COSTLY = [
    ("conv", (IMAGE4, Spec((3, 3, 4, 5))), {"padding": "same", "dilation_rate": 10**5}, 2441613, 2441613),
    ("conv_transpose", (IMAGE4, Spec((3, 3, 5, 4))), {"padding": "same", "dilation_rate": 10**5}, 9766198, 53713488),
    ("conv_transpose", (IMAGE4, Spec((3, 3, 5, 4))), {"strides": 10**4}, 2075263, 1169750),
    ("depthwise_conv", (IMAGE4, Spec((3, 3, 4, 2))), {"padding": "same", "dilation_rate": 10**5}, 2441613, 2441613),
    ("separable_conv", (IMAGE4, Spec((3, 3, 4, 2)), Spec((1, 1, 8, 5))),
      {"padding": "same", "dilation_rate": 10**5}, 2441613, 2441613),
    ("separable_conv", (IMAGE4, Spec((3, 3, 4, None)), Spec((1, 1, 8, 5))), {"padding": "same"}, 0, 0),
    ("max_pool", Spec((1, 1000, 1000, 8)), {"pool_size": 999, "strides": 1, "padding": "same"}, 183, 61096),
    ("adaptive_max_pool", Spec((1, 4, 4, 900)), {"output_size": (10**5, 1)}, 6179, 5493),
    ("unfold", Spec((1, 3, 8, 8)), {"kernel_size": 2, "padding": 10**4, "stride": 10**4}, 4581, 4581),
    ("fold", Spec((2, 4, 1)), {"output_size": 2, "kernel_size": 2, "padding": 10**4, "stride": 10**5}, 161744, 646979),
    ("gaussian_blur", PICTURE, {"kernel_size": (10**7, 5)}, 4692, 6623),
    ("extract_patches", PICTURE, {"size": 3, "strides": 1, "padding": "same", "dilation_rate": 10**4}, 9163, 9163),
    ("resize", Spec((4, 1000, 3)), {"size": (10**5, 1)}, 3440, 3435),
    ("resize", PHOTOS, {"size": (1, 10**4), "pad_to_aspect_ratio": True}, 114830, 114807),
    ("resize", PHOTOS, {"size": (1, 10**4), "pad_to_aspect_ratio": True, "crop_to_aspect_ratio": True}, 389, 366),
    ("extract_sequences", Spec((2, 10)), {"sequence_length": 10**8, "sequence_stride": 3}, 762, 762),
    ("stft", Spec((2, 30)),
      {"sequence_length": 8, "sequence_stride": 4, "fft_length": 10**8, "center": False}, 762, 762),
    ("stft", Spec((2, 30)), {"sequence_length": 8, "sequence_stride": 10**5, "fft_length": 10**8}, 7629, 28991),
    ("istft", (Spec((2, 7, 5)),) * 2, {"sequence_length": 8, "sequence_stride": 2, "fft_length": 10**5}, 23, 76473),
    ("istft", (Spec((2, 7, 5)),) * 2, {"sequence_length": 8, "sequence_stride": 30_000, "fft_length": 10**5}, 36, 224),
    ("ctc_decode", (Spec((3, 9, 5)), Spec((3,), "int32")),
      {"strategy": "beam_search", "beam_width": 10**4}, 9162, 82466),
    ("ctc_loss", (Spec((1, 10**4), "int32"), Spec((1, 10**4, 2)), *[Spec((1,), "int32")] * 2), {}, 3052, 3052),
    ("argpartition", Spec((10**5,)), {"kth": 10**5}, 9539, 9539),
    ("multi_hot", Spec((1, 10**5), "int32"), {"num_classes": 10**4}, 7630, 7629),
    ("map_coordinates", (Spec((1,) * 30), Spec((30, 1))), {"order": 1}, 0, 67633152),
    ("diff", Spec((10**6,)), {"n": 10**6}, 7, 3814701),
    ("segment_sum", (Spec((1000,)), Spec((1000,), "int32")), {"num_segments": 10**6, "sorted": True}, 7640, 7633),
    ("scale_and_translate", (Spec((1000, 4)), (10**5, 4), np.ones(1), np.ones(1)),
      {"spatial_dims": (0,), "method": "linear"}, 2296, 3077),
    ("matmul", (MATRIX, MATRIX), {}, 77, 1124),
    ("dot", (MATRIX, MATRIX), {}, 77, 1124),
    ("inner", (MATRIX, MATRIX), {}, 77, 1124),
    ("tensordot", (MATRIX, MATRIX), {"axes": 1}, 77, 1124),
    ("einsum", (MATRIX, MATRIX), {"subscripts": "ab,bc->ac"}, 77, 1124),
    ("cdist", (MATRIX, MATRIX), {}, 134171, 134171),
    ("correlate", (Spec((10**6,)),) * 2, {"mode": "full"}, 22, 59619),
    ("dot_product_attention", (Spec((1, 10**4, 8, 1)),) * 3, {}, 6104, 6152),
    ("solve", (MATRIX, MATRIX), {}, 180, 2275),
    ("norm", MATRIX, {"ord": 2}, 154, 33652),
    ("norm", Spec((2600, 3, 2, 2600)), {"ord": "nuc", "axis": (0, 3)}, 928, 201914),
    ("norm", MATRIX, {"ord": 1}, 51, 25),
    *((name, MATRIX, {}, 180, 2249) for name in ("inv", "cholesky")),
    ("det", MATRIX, {}, 154, 2224),
    *((name, MATRIX, {}, 257, 33704) for name in ("svd", "eig", "qr")),
    *((name, MATRIX, {}, 180, 33678) for name in ("eigh", "pinv")),
    ("matrix_rank", MATRIX, {}, 154, 33652),
]  # fmt: skip
"""(operation, Specs of its inputs, options, MiB held, MiB of work): nearly all of it too much for a small file."""


@pytest.mark.parametrize(("name", "x", "options", "held", "work"), COSTLY)
def test_what_an_operation_takes_is_bounded(name, x, options, held, work):
    given = room.of_trace(infer.trace(bind(getattr(fnet.operations, name), **options), x))
    assert (given.memory >> 20, given.work >> 20) == (held, work)


@pytest.mark.parametrize(("name", "options", "first", "second"), [
    ("matmul", {}, (2600, None), (None, 2600)),
    ("dot", {}, (2600, None), (None, 2600)),
    ("inner", {}, (2600, None), (2600, None)),
    ("tensordot", {"axes": 1}, (2600, None), (None, 2600)),
    ("einsum", {"subscripts": "ab,bc->ac"}, (2600, None), (None, 2600)),
    ("cdist", {}, (2600, None), (2600, None)),
])  # fmt: skip
def test_the_size_of_an_axis_that_is_summed_over_may_be_known_of_either_operand(name, options, first, second):
    bound = bind(getattr(fnet.operations, name), **options)
    rooms = [room.of_trace(infer.trace(bound, x)) for x in ((MATRIX, Spec(second)), (Spec(first), MATRIX))]
    assert rooms[0].work == rooms[1].work > 1000 << 20


@pytest.mark.parametrize("sizes", [(2600, 2600), (2600, None), (None, 2600)])
def test_a_dot_layer_works_as_much_as_its_products_are(sizes):
    first, second = Spec((1, 2600, sizes[0])), Spec((1, 2600, sizes[1]))
    needed = room.of_trace(infer.trace(bind(fnet.layers.dot, axes=(2, 2)), (first, second)))
    assert 1090 < needed.work >> 20 < 1130


def test_a_product_with_a_number_sums_over_nothing():
    assert room.of_trace(infer.trace(fnet.operations.dot, (Spec(()), MATRIX))).work < 100 << 20


@pytest.mark.parametrize(("name", "x", "options"), [
    ("round", PICTURE, {"decimals": 1000}),
    ("round", PICTURE, {"decimals": -1000}),
    ("fake_quant_with_min_max_vars", (PICTURE, 0.0, 1.0), {"num_bits": 10**5}),
    ("fake_quant_with_min_max_vars", (PICTURE, 0.0, 1.0), {"num_bits": 1}),
    ("ssim", (PICTURE, PICTURE), {"filter_size": 10}),
    ("fold", fnet.Spec((2, 12, 20)), {"output_size": (5, 6), "kernel_size": 10**4}),
    ("fold", fnet.Spec((2, 12, 21)), {"output_size": (5, 6), "kernel_size": 2}),
    ("ctc_decode", (fnet.Spec((3, 9, 5)), fnet.Spec((3,), "int32")),
     {"strategy": "beam_search", "beam_width": 2, "top_paths": 3}),
])  # fmt: skip
def test_an_option_that_no_call_can_take_is_refused_by_the_rule(name, x, options):
    with pytest.raises(ValueError, match=r"must be|does not fit|needed|too few"):
        infer.trace(bind(getattr(fnet.operations, name), **options), x)


HALF_CHECKED = [
    ("AutoContrast", (8, 8, 3), {"value_range": [1]}),
    ("ContrastLimitedAdaptiveHistogramEqualization", (8, 8, 3), {"tile_grid_size": [0, 8]}),
    ("ContrastLimitedAdaptiveHistogramEqualization", (8, 8, 3), {"tile_grid_size": [8]}),
    ("BatchNormalization", (4,), {"axis": 0}),
    ("Conv1D", (8, 3), {"filters": 2, "kernel_size": 2, "strides": 2**62}),
    ("Conv1D", (8, 3), {"filters": 1e300, "kernel_size": 2}),
    ("Discretization", (4,), {"bin_boundaries": [2.0, 1.0]}),
    ("Hashing", (4,), {"num_bins": 3, "salt": [1, 2, 3]}),
    ("Hashing", (4,), {"num_bins": 3, "dtype": "string"}),
    ("Hashing", (4,), {"num_bins": 3, "mask_value": ""}),
    ("MelSpectrogram", (400,), {"fft_length": 64, "sequence_length": 65}),
    ("MelSpectrogram", (400,), {"fft_length": 64, "window": [1.0, 2.0]}),
    ("MelSpectrogram", (400,), {"fft_length": 64, "window": "blackman"}),
    ("Normalization", (4, 3), {"mean": "x", "variance": "x"}),
    ("Normalization", (4, 3), {"mean": [1.0, 2.0], "variance": [1.0, 2.0]}),
    ("Normalization", (4, 3), {"mean": [[[[1.0]]]], "variance": 1.0}),
    ("Rescaling", (4, 3), {"scale": [1.0, 2.0]}),
    ("Rescaling", (4, 3), {"scale": 1.0, "offset": []}),
    ("Softmax", (4, 3), {"axis": [1, 1]}),
]


@pytest.mark.parametrize("row", HALF_CHECKED, ids=lambda row: f"{row[0]}-{json.dumps(row[2])}")
def test_what_would_fail_at_the_first_call_is_refused_at_load(row):
    assert_refused(*row)


STRINGLESS = {
    "Dense": {"units": 2}, "Activation": {"activation": "relu"}, "Softmax": {}, "ReLU": {}, "UnitNormalization": {},
    "Rescaling": {"scale": 2.0}, "CategoryEncoding": {"num_tokens": 3}, "Discretization": {"bin_boundaries": [1.0]},
    "MelSpectrogram": {"fft_length": 2}, "Embedding": {"input_dim": 3, "output_dim": 2}, "Normalization": {},
    "BatchNormalization": {},
}  # fmt: skip
MISSHAPEN = [
    ("Resizing", [None, 4], {"height": 2, "width": 2}), ("AutoContrast", [None, 4], {}),
    ("ContrastLimitedAdaptiveHistogramEqualization", [None, 4], {}),
    ("RepeatVector", [None, 3, 4], {"n": 2}), ("STFTSpectrogram", [None, 8, 3, 2], {"frame_length": 4}),
    ("Dense", [], {"units": 2}), ("Dense", 3, {"units": 2}),
]  # fmt: skip


def test_a_sequential_model_has_layers():
    with pytest.raises(CorruptFile, match="has no layers"):
        load_keras(keras_zip(sequential_config(input_entry(4), sequential_config()), NO_WEIGHTS))


@pytest.mark.parametrize("vocabulary", [{"a": 1}, 3, True, 1.5])
def test_a_vocabulary_is_a_list_of_tokens(vocabulary):
    config = sequential_config(input_entry(1, dtype="string"), entry("StringLookup", "look", vocabulary=vocabulary))
    with pytest.raises(CorruptFile, match=r"^the model file: the vocabulary of 'look' is .*, not a list of tokens$"):
        load_keras(keras_zip(config, NO_WEIGHTS))


@pytest.mark.parametrize("name", STRINGLESS)
def test_layers_of_numbers_refuse_strings_at_load(name):
    config = sequential_config(input_entry(4, dtype="string"), entry(name, "layer", **STRINGLESS[name]))
    with pytest.raises(ModelFileError, match="numbers are expected, not strings"):
        load_keras(keras_zip(config, NO_WEIGHTS))


@pytest.mark.parametrize("row", MISSHAPEN, ids=lambda row: f"{row[0]}-{row[1]}")
def test_inputs_of_other_axes_than_a_layer_takes_are_refused_at_load(row):
    first = input_entry(4)
    first["config"]["batch_shape"] = row[1]
    with pytest.raises(ModelFileError, match=r"batch_shape|takes|3 axes"):
        load_keras(keras_zip(sequential_config(first, entry(row[0], "layer", **row[2])), NO_WEIGHTS))


def test_attention_over_some_axes_needs_the_others_to_be_equal():
    with pytest.raises(ValueError, match="not in attention_axes"):
        infer.infer(
            bind(fnet.multi_head_attention, num_heads=1, key_dim=2, attention_axes=(2,)),
            (fnet.Spec((None, 5, 4, 3)), fnet.Spec((None, 6, 4, 3))),
        )


@pytest.mark.parametrize("axes", [(), (0,), -3, (1, 1)])
def test_attention_is_over_axes_within_a_row(axes):
    """Keras has other equations for such axes: of the batch, of one row of it. The last axis is that of the heads."""
    with pytest.raises(ValueError, match="each once"):
        infer.infer(
            bind(fnet.multi_head_attention, num_heads=1, key_dim=2, attention_axes=axes), (fnet.Spec((2, 5, 3)),) * 2
        )


def test_a_saved_model_names_dtypes_that_there_are():
    with pytest.raises(ValueError, match="would have the dtype 'magic'"):
        infer.infer(bind(fnet.discretization, bin_boundaries=(1.0,), index_dtype="magic"), fnet.Spec((None, 4)))


def test_a_block_is_inside_of_what_it_is_taken_of():
    block = bind(fnet.operations.slice, shape=(1, 2))
    assert fnet.infer(block, (fnet.Spec((None, 4)), (0, 2)))[0] == fnet.Spec((1, 2))
    with pytest.raises(ValueError, match="is not inside"):
        infer.infer(block, (fnet.Spec((None, 4)), (0, 3)))


def test_a_range_of_numbers_in_the_file_has_a_size():
    assert fnet.infer(bind(fnet.operations.arange), (0, 10**9, 3))[0] == fnet.Spec((333333334,), "int32")
    assert fnet.infer(bind(fnet.operations.arange), (5, 2))[0] == fnet.Spec((0,), "int32")


def test_numbers_beyond_int32_are_no_other_numbers():
    """They wrapped around: 2**32 was index 0."""
    with pytest.raises(fnet.InvalidInput, match="beyond int32"):
        fnet.operations.take({}, (np.arange(3.0), 1 << 32))


def test_an_axis_that_an_operation_does_not_have_is_refused_by_its_rule():
    """Some were noticed at the first call."""
    seen = set()
    for case in CASES:
        for name in option_names(case.layer):
            if name.startswith("axis") and (case.layer, name) not in seen:
                seen.add((case.layer, name))
                for axis in (10**9, -(10**9), 40):
                    with pytest.raises((ValueError, IndexError)):
                        infer.infer(bind(case.layer, **{**case.options, name: axis}), specs(case))
    assert len(seen) > 60


@pytest.mark.parametrize(("operation", "x"), [
    ("slice_update", (fnet.Spec((None, 4)), (0, 1, 0), np.ones((1, 1)))),
    ("slice_update", (fnet.Spec((None, 4)), (0, 1), np.ones((1, 1, 1)))),
    ("scatter_update", (fnet.Spec((None, 4)), np.array([[0, 0, 0]]), np.ones(1))),
    ("scatter_update", (fnet.Spec((None, 4)), np.array([[0, 0]]), np.ones((1, 1)))),
    ("scatter_update", (fnet.Spec((None, 4)), 3, np.ones(1))),
    ("ctc_decode", (fnet.Spec((None, 4, 3)), 1 << 31)),
])  # fmt: skip
def test_arguments_that_do_not_fit_each_other_are_refused_by_the_rule(operation, x):
    with pytest.raises(ValueError, match=r"updates|indices|lengths"):
        infer.infer(bind(getattr(fnet.operations, operation)), x)


@pytest.mark.parametrize(("version", "dtype", "expected"), [
    ("3.6.0", "int64", "int64"), ("3.6.0", "float16", "float16"), ("3.6.0", "float32", "float32"),
    ("2.15.0", "int32", "int32"), ("3.15.1", "float16", "int32")])  # fmt: skip
def test_bins_had_the_dtype_of_the_layer(version, dtype, expected):
    layer = entry("Discretization", "bins", bin_boundaries=[0.0, 1.0], output_mode="int", dtype=dtype)
    data = keras_zip(sequential_config(input_entry(3), layer), NO_WEIGHTS, json.dumps({"keras_version": version}))
    model, params = load_keras(data)
    assert model(params, np.zeros((1, 3), "float32")).dtype == expected


@pytest.mark.parametrize("stateful", [1, True])
@pytest.mark.parametrize("batch", [None, 2])
def test_states_are_kept_only_of_batches_whose_size_the_file_says(stateful, batch):
    config = sequential_config(input_entry(4, 3), entry("LSTM", "lstm", units=2, stateful=stateful))
    config["config"]["layers"][0]["config"]["batch_shape"][0] = batch
    config["config"]["layers"][1]["build_config"] = {"input_shape": [batch, 4, 3]}
    refused = "needs batches of one size" if batch is None else "missing"  # it has no weights
    with pytest.raises(ModelFileError, match=refused):
        load_keras(keras_zip(config, NO_WEIGHTS))
