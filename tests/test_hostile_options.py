"""Options beyond what Keras takes are refused at load, and no size that a file names costs anything there."""

import contextlib
import json
import time
import zipfile

import numpy as np
import pytest

import fnet
from fnet import bind, sequential
from fnet.core import infer
from params import ModelFileError, load, load_keras, save
from tests.hostile import entry, h5, input_entry, keras_zip, sequential_config
from tests.hostile_options import REFUSED, huge
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
    with pytest.raises(ModelFileError) as caught:
        load_keras(model_file(*row))
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
    "bincount": ("bincount", {"minlength": 10**9}, "int32"),
    "diff": ("diff", {"n": 10**10}, "float32"),
    "repeat": ("repeat", {"repeats": 10**12, "axis": 1}, "float32"),
    "tile": ("tile", {"repeats": (1, 10**12)}, "float32"),
    "one_hot": ("one_hot", {"num_classes": 10**12}, "int32"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_saved_model_may_name_any_size(tmp_path, name):
    operation, options, dtype = OPERATIONS[name]
    step = bind(getattr(fnet.operations, operation), **options)
    model = sequential(x=bind(fnet.input_layer, shape=(None, 4), dtype=dtype), y=step)
    before, start = peak(reset=True), time.process_time()
    save(tmp_path / "m", model, {})
    assert load(tmp_path / "m")[0] == model
    assert time.process_time() - start < SECONDS
    assert peak() - before < MEMORY


def test_a_difference_of_more_steps_than_there_are_is_empty():
    x = np.ones((2, 4), "float32")
    assert bind(fnet.operations.diff, n=10**9)({}, x).shape == (2, 0)
    with pytest.raises(ValueError, match="at least 0"):
        infer.infer(bind(fnet.operations.diff, n=-1), fnet.Spec((2, 4)))


def test_files_of_keras_2_are_held_to_what_it_took():
    """Slopes below 0 and noise above 1 were legal there."""
    for class_name, options in (("LeakyReLU", {"negative_slope": -0.5}), ("GaussianNoise", {"stddev": 2.0})):
        config = sequential_config(input_entry(4), entry(class_name, "layer", **options))
        for version, refused in (("2.15.0", False), ("3.15.1", True)):
            metadata = json.dumps({"keras_version": version})
            data = keras_zip(config, NO_WEIGHTS, metadata, method=zipfile.ZIP_DEFLATED)
            if refused:
                with pytest.raises(ModelFileError, match="it must be"):
                    load_keras(data)
            else:
                assert load_keras(data)[0]
