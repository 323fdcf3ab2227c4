"""Every hostile file is loaded or refused in 2 seconds of work and 512 MiB of memory."""

import contextlib
import os
import re
import sys
import time
from pathlib import Path

import pytest

import fnet
from fnet.core import infer
from params import LimitExceeded, ModelFileError, load_keras
from params.convert import functional
from params.convert.conversion import Conversion
from params.file.keras_objects import Names
from tests.hostile import dense_config, dense_weights, entry, input_entry, keras_zip, sequential_config
from tests.hostile_sizes import EITHER, LSTM, SIZES, WRAPPERS, call, called_often, chain, nested, packed, relu
from tests.hostile_sizes import functional as config_of

pytestmark = pytest.mark.usefixtures("own_garbage")

SECONDS, MEMORY = 2.0, 512 << 20


def peak(reset=False):
    """The most memory that this process has held since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text("ascii"))[1]) << 10


def answer(load, data):
    """(the error of `load` for a file, or None; seconds of work; bytes of memory)."""
    measured = sys.platform == "linux" and os.access("/proc/self/clear_refs", os.W_OK)
    before = peak(reset=True) if measured else 0
    start = time.process_time()
    try:
        load(data)
        error = None
    except ModelFileError as caught:
        error = caught
    return error, time.process_time() - start, (peak() - before) if measured else 0


def check(load, data, errors, most=1 << 20):
    error, seconds, memory = answer(load, data)
    allowed = SECONDS * max(1, len(data) / most)
    for _ in range(3):  # a busy machine can only add to the work that is counted
        seconds = min(seconds, answer(load, data)[1]) if seconds >= allowed else seconds
    assert seconds < allowed, f"{seconds:.1f} s: {error}"
    assert memory < MEMORY, f"{memory >> 20} MiB: {error}"
    assert error is None if not errors else isinstance(error, errors), repr(error)
    assert len(str(error)) <= 450


FAST = [name for number, name in enumerate(SIZES) if number % 6 == 0]


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in SIZES])  # fmt: skip
def test_size_and_repetition_cost_no_more_than_the_file(name):
    check(load_keras, SIZES[name].build(), SIZES[name].errors)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=() if name in FAST[::4] else pytest.mark.slow) for name in SIZES])  # fmt: skip
def test_what_is_explained_costs_no_more(name):
    check(fnet.explain, SIZES[name].build(), (ModelFileError, type(None)))


@pytest.mark.parametrize("fate", [
    (entry("LSTM", "after", units=2), "used"), (entry("RNN", "after", cell=entry("GRUCell", "c", units=2)), "used"),
    (entry("ConvLSTM1D", "after", filters=2, kernel_size=1), "used"), (entry("Softmax", "after"), "?"),
    (entry("BatchNormalization", "after"), "kept"), (entry("TimeDistributed", "after", layer=relu("r")), "kept"),
], ids=lambda fate: fate[0]["class_name"])  # fmt: skip
@pytest.mark.parametrize("size", [10**6, 10**9])
def test_masks_of_many_steps_are_explained_without_the_steps(size, fate):
    layer, mask = fate
    shape = (size, 5, 3) if layer["class_name"] == "ConvLSTM1D" else (size, 3)
    data = packed(sequential_config(input_entry(*shape), entry("Masking", "before"), layer))
    check(fnet.explain, data, ())
    assert [step.mask for step in fnet.explain(data).steps][-2:] == ["made", mask]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SIZES if set(SIZES[name].errors) in (set(), set(EITHER))])
def test_what_loads_runs_within_the_same_bounds(name):
    from tests.survey import arrays  # which measures as this file does

    data = SIZES[name].build()
    try:
        model, params = load_keras(data)
    except ModelFileError:
        assert SIZES[name].errors
        return
    x = arrays(infer.input_spec(model))
    check(lambda _: model(params, x), data, ())
    check(lambda _: fnet.predict(model, params, x), data, ())


def test_names_in_a_file_of_weights_alone_are_cut():
    from tests import hostile

    data = hostile.h5(lambda f: hostile.dense_vars(f, path="layers/\x1b[31m" + "/n" * 30 + "n" * 1000))
    with pytest.raises(ModelFileError, match="weights") as caught:
        load_keras(data)
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_names_of_many_layers_of_one_class_are_given_without_counting_again():
    names, start = Names(), time.process_time()
    assert [names.fresh("dense") for _ in range(6_000)][-2:] == ["dense_5998", "dense_5999"]
    assert time.process_time() - start < 1


@pytest.mark.parametrize(("config", "reads"), [(chain(90, reverse=True), 90), (called_often(90), 179)])
def test_what_a_call_reads_is_asked_once_whatever_the_order_of_the_layers(config, reads, monkeypatch):
    seen, read_by = [], functional._read_by
    monkeypatch.setattr(functional, "_read_by", lambda *a: (seen.append(need) or need for need in read_by(*a)))
    load_keras(packed(config))
    assert len(seen) == reads


@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name not in ("bidirectional_both", "sequential")])
def test_a_layer_in_wrappers_is_converted_once_at_any_depth(wrapper, monkeypatch):
    seen, inner = [], Conversion.inner
    monkeypatch.setattr(Conversion, "inner", lambda *a, **k: (seen.append(a[1].name), inner(*a, **k))[1])
    with contextlib.suppress(ModelFileError):
        load_keras(packed(nested(5, LSTM, WRAPPERS[wrapper])))
    assert len(set(seen)) == len(seen) == 5


def test_as_many_arrays_as_is_said_come_from_the_calls_of_a_file(monkeypatch):
    data = packed(chain(3))
    monkeypatch.setattr(functional, "MOST_OUTPUTS", 3)
    load_keras(data)
    monkeypatch.setattr(functional, "MOST_OUTPUTS", 2)
    with pytest.raises(LimitExceeded, match="the calls of layers give more than 2 arrays"):
        load_keras(data)


def test_layers_that_wait_for_one_another_come_in_the_order_of_the_file():
    names = ["d", "b", "c"]
    layers = {name: (relu(name), [call("late")]) for name in names}
    late = {"late": (relu("late"), [call("a")])}
    model, _ = load_keras(packed(config_of({**layers, **late, "add": (entry("Add", "add"), [call(*names)])}, "add")))
    assert model.names == ("a", "late", *names, "add")


def test_what_training_used_is_not_read():
    config = {**dense_config(), "compile_config": {"loss": {"class_name": "__lambda__", "config": {"value": "AAEC"}}}}
    load_keras(keras_zip(config, dense_weights()))
