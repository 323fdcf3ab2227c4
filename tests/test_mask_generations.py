"""Masks by the rules of the Keras that wrote the file (`golden/make_masks.py`), next to what it gave then."""

import json

import keras
import numpy as np
import pytest

import fnet
from compare import yardstick
from fnet import bind
from fnet.core.model import Node
from fnet.layers import merging
from fnet.masks import mask_of, masked, values_of
from params import UnsupportedLayer, load_keras
from params.assign.weights_file import _layers
from params.convert.legacy_config import modern
from params.convert.models import convert
from tests import hostile, parity
from tests.golden.archives import FOLDER, files, named, npz, read

FILES = files("masks-*.zip")
FAST = ("masks-2.4.0", "masks-2.9.0", "masks-2.15.0", "masks-3.6.0", "masks-3.10.0", "masks-3.15.1")
FEW = {"concatenate_with_an_input", "states_and_merges", "words_then_sentences", "transformer", "nested_of_several"}
"""The cases that run on JAX as well in the fast tests."""
HALF = {"casts", "half_precision"}
"""The cases that compute in float16."""


def assert_as_then(archive, name, most):
    record = npz(archive, name.partition(".")[0])
    inputs = [record[key] for key in record if key.startswith("x_")]
    model, params = load_keras(read(archive, name))
    found = model(params, inputs if len(inputs) > 1 else inputs[0])
    found = found if isinstance(found, list) else [found]
    assert len(found) == sum(key.startswith("y") for key in record)
    for number, ours in enumerate(found):
        theirs = record[f"y{number}"]
        ours = np.asarray(ours)
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=f"output {number}")
        assert yardstick.error(np.nan_to_num(ours), np.nan_to_num(theirs)) < most, f"output {number}"


@pytest.mark.parametrize(
    ("archive", "name"),
    [pytest.param(a, n, marks=[] if a.stem in FAST else pytest.mark.slow) for a, n in FILES],
    ids=named,
)
def test_masks_go_as_they_went_then(archive, name):
    assert_as_then(archive, name, 2e-3 if name.partition(".")[0] in HALF else 2e-6)


@pytest.mark.parametrize(
    ("archive", "name"),
    [pytest.param(a, n, marks=[] if n.partition(".")[0] in FEW and a.stem == FAST[-1] else pytest.mark.slow)
     for a, n in FILES],
    ids=named,
)  # fmt: skip
def test_masks_go_so_on_jax(archive, name):
    with fnet.backend.using("jax"):
        assert_as_then(archive, name, 2e-3 if name.partition(".")[0] in HALF else 2e-6)


def layer(name, config, *calls):
    return {
        "class_name": name,
        "config": config | {"trainable": True},
        "name": config["name"],
        "inbound_nodes": list(calls),
    }


def model(*layers, outputs, inputs=("x", "m")):
    feeds = [
        {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 5, 4] if n == "x" else [None, 5], "dtype": d, "name": n},
            "name": n,
            "inbound_nodes": [],
        }
        for n, d in (("x", "float32"), ("m", "bool"))
        if n in inputs
    ]
    ends = {"input_layers": [[n, 0, 0] for n in inputs], "output_layers": [[n, 0, 0] for n in outputs]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": [*feeds, *layers], **ends}}


def test_a_causal_attention_is_no_mask_of_keras_2():
    """It was refused where it casts its query."""
    heads = {"name": "h", "num_heads": 1, "key_dim": 2, "dtype": "float16"}
    call = ["x", 0, 0, {"value": ["x", 0, 0], "use_causal_mask": True}]
    converted = convert(
        modern(model(layer("MultiHeadAttention", heads, [call]), outputs=["h"])), version=(2, 15), legacy=True
    )
    assert dict(converted.step.nodes)["h"].step.options["use_causal_mask"] is True


@pytest.mark.parametrize("version", [(3, 3), (3, 12)])
def test_a_cast_that_loses_a_mask_is_a_node_which_to_keras_can_write(version, tmp_path):
    dense = layer("Dense", {"name": "d", "units": 3, "dtype": "float16"}, [["x", 0, 0, {}]])
    masking = layer("Masking", {"name": "k", "dtype": "float32"}, [["x", 0, 0, {}]])
    last = layer("LSTM", {"name": "l", "units": 3, "dtype": "float32"}, [["k", 0, 0, {}]])
    half = layer("LSTM", {"name": "h", "units": 3, "dtype": "float16"}, [["k", 0, 0, {}]])
    whole = model(dense, masking, last, half, outputs=["d", "l", "h"], inputs=("x",))
    step = convert(modern(whole), version=version, legacy=True).step
    cast = bind(fnet.operations.cast, dtype="float16")
    assert dict(step.nodes)["h_cast"] == Node(cast, "k")
    assert dict(step.nodes)["h"].sources == "h_cast"
    fnet.to_keras(step, fnet.init(step, 0), tmp_path / "model.keras")


@pytest.mark.parametrize("version", [(3, 3), (3, 12)])
def test_a_cast_before_a_layer_is_no_layer_in_the_order_of_a_weights_file(version):
    """Groups without names went to other layers of their class: Keras counts no depth for the cast."""
    masking = layer("Masking", {"name": "k", "dtype": "float32"}, [["x", 0, 0, {}]])
    chain = [("b", "x", "float32"), ("c", "b", "float32"), ("d", "c", "float32"), ("e", "k", "float16")]
    chain += [("f", "e", "float32")]
    dense = [layer("Dense", {"name": n, "units": 3, "dtype": d}, [[of, 0, 0, {}]]) for n, of, d in chain]
    end = layer("Add", {"name": "a", "dtype": "float32"}, [[["d", 0, 0, {}], ["f", 0, 0, {}]]])
    step = convert(modern(model(masking, *dense, end, outputs=["a"], inputs=("x",))), version=version, legacy=True).step
    assert {"e_cast", "f_cast"} <= dict(step.nodes).keys()
    order = [name for name in _layers(step) if name in dict.fromkeys("bcdef")]
    assert order == ["b", "c", "e", "d", "f"]


def test_a_cast_before_a_second_call_of_a_layer_is_no_layer_either():
    masking = layer("Masking", {"name": "k", "dtype": "float32"}, [["x", 0, 0, {}]])
    chain = [("b", "x"), ("c", "b"), ("d", "c"), ("e", "k")]
    dense = [layer("Dense", {"name": n, "units": 4, "dtype": "float32"}, [[of, 0, 0, {}]]) for n, of in chain]
    twice = layer("ReLU", {"name": "r", "dtype": "float16"}, [["k", 0, 0, {}]], [["e", 0, 0, {}]])
    end = layer("Add", {"name": "a", "dtype": "float32"}, [[["d", 0, 0, {}], ["r", 1, 0, {}], ["r", 0, 0, {}]]])
    config = modern(model(masking, *dense, twice, end, outputs=["a"], inputs=("x",)))
    step = convert(config, version=(3, 3), legacy=True).step
    assert "r_cast_1" in dict(step.nodes)
    assert [name for name in _layers(step) if name in dict.fromkeys("bcde")] == ["b", "c", "e", "d"]


def test_a_mask_given_to_a_layer_that_casts_its_input_is_not_that_of_the_output():
    """Before Keras 3.11 the output has the mask that the input carries, which the cast lost: an error of 0.2."""
    mask = layer("Masking", {"name": "k", "dtype": "float32"}, [["x", 0, 0, {}]])
    half = {"units": 3, "dtype": "float16"}
    given = layer("GRU", {"name": "g", "return_sequences": True, **half}, [["k", 0, 0, {"mask": ["m", 0, 0]}]])
    end = layer("LSTM", {"name": "e", **half}, [["g", 0, 0, {}]])
    whole = modern(model(mask, given, end, outputs=["e"]))
    sources = {v: dict(convert(whole, version=v, legacy=True).step.nodes)["e"].sources for v in ((3, 10), (3, 11))}
    assert sources == {(3, 10): fnet.masked_by("g", None), (3, 11): "g"}


def test_what_masks_of_keras_2_do_that_fnet_cannot_say_is_refused_by_name():
    config = model(
        layer("GroupNormalization", {"name": "g", "groups": 2}, [["x", 0, 0, {"mask": ["m", 0, 0]}]]), outputs=["g"]
    )
    with pytest.raises(UnsupportedLayer, match="GroupNormalization 'g' was called with a mask"):
        convert(modern(config), version=(2, 15), legacy=True)
    heads = {"name": "h", "num_heads": 1, "key_dim": 2, "dtype": "float16"}
    config = model(
        layer("Masking", {"name": "k", "mask_value": 0.0}, [["x", 0, 0, {}]]),
        layer("MultiHeadAttention", heads, [["k", 0, 0, {"value": ["k", 0, 0]}]]),
        outputs=["h"],
    )
    with pytest.raises(UnsupportedLayer, match="MultiHeadAttention 'h' casts its query"):
        convert(modern(config), version=(2, 15), legacy=True)
    inner = model(layer("Dense", {"name": "d", "units": 4}, [["x", 0, 0, {}]]), outputs=["d"], inputs=("x",))
    middle = model(
        {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {"mask": ["m", 0, 0]}]]]}, outputs=["inner"]
    )
    middle["config"]["output_layers"] = [["inner", 1, 0]]
    outer = model(
        {**middle, "name": "middle", "inbound_nodes": [[["x", 0, 0, {}], ["m", 0, 0, {}]]]}, outputs=["middle"]
    )
    outer["config"]["output_layers"] = [["middle", 1, 0]]
    inner["config"]["name"], middle["config"]["name"] = "inner", "middle"
    with pytest.raises(UnsupportedLayer, match="'middle' calls a model inside it with an explicit mask on its own"):
        convert(modern(outer), version=(2, 15), legacy=True)
    both = model(layer("Dense", {"name": "d", "units": 4}, [["x", 0, 0, {}]]), outputs=["d"])
    calls = [[["x", 0, 0, {"mask": [["m", 0, 0], None]}], ["m", 0, 0, {}]]]
    some = model({**both, "name": "both", "inbound_nodes": calls}, outputs=["both"])
    both["config"]["name"], some["config"]["output_layers"] = "both", [["both", 1, 0]]
    with pytest.raises(UnsupportedLayer, match="was called with masks for some of its inputs only"):
        convert(modern(some), version=(2, 15), legacy=True)


def test_a_repr_shows_the_rule_of_its_generation():
    archive = FOLDER / "masks-2.15.0.zip"
    text = repr(load_keras(read(archive, "add.h5"))[0])
    assert "bind(add, masks='keras2')" in text
    text = repr(load_keras(read(archive, "transformer.h5"))[0])
    assert "masked_by(" not in text  # attention of Keras 2 leaves masks where they are
    assert "dropout" in text


ONE, TWO = fnet.Spec((None, 3, 4)), (fnet.Spec((None, 3, 4)), fnet.Spec((None, 3, 4)))


@pytest.mark.parametrize(
    ("step", "spec"),
    [
        *[(bind(step), TWO) for step in (merging.add, merging.subtract, merging.average, merging.concatenate)],
        *[(bind(step), ONE) for step in (fnet.relu, fnet.softmax, fnet.identity, fnet.normalization)],
        (bind(fnet.rescaling, scale=2.0), ONE),
        (bind(fnet.lstm, units=2), ONE),
        (bind(fnet.rnn, cell=bind(fnet.gru_cell, units=2)), ONE),
        (bind(fnet.bidirectional, layer=bind(fnet.gru, units=2)), ONE),
        (bind(fnet.time_distributed, layer=bind(fnet.dense, units=2)), ONE),
        (bind(fnet.input_layer, shape=(None, 3, 4)), ONE),
        (bind(fnet.multi_head_attention, num_heads=2, key_dim=3), TWO),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_generation_that_there_is_not_is_told(step, spec):
    with pytest.raises(ValueError, match=r"'masks' = 'keras9'.*; it must be 'keras2'"):
        fnet.infer(bind(step, masks="keras9"), spec)


def two_masks(version, merge, given):
    """A `.keras` file in which what carries a mask is given `given` in a call and then merged; of another version."""
    i, j = keras.Input((3,), dtype="int32"), keras.Input((3,), dtype="bool")
    x = keras.layers.Embedding(4, 2, mask_zero=True)(i)
    y = keras.layers.LSTM(2, return_sequences=True)(x, mask={"input": j, "its own": keras.ops.not_equal(i, 0)}[given])
    z = keras.layers.GlobalAveragePooling1D()(getattr(keras.layers, merge)()([y, x]))
    return hostile.changed_zip(parity.saved(keras.Model([i, j], z)), metadata={"keras_version": version})


@pytest.mark.parametrize("merge", ["Maximum", "Multiply"])
def test_a_merge_by_a_mask_that_a_call_hides_is_refused(merge):
    """Found in a file of Keras 3.10, an error of 0.9."""
    with pytest.raises(UnsupportedLayer, match=f"{merge} .* one of the two masks"):
        load_keras(two_masks("3.10.0", merge, "input"))


@pytest.mark.parametrize(
    ("version", "merge", "given"),
    [
        ("3.10.0", "Add", "input"),
        ("3.10.0", "Maximum", "its own"),
        ("3.3.3", "Maximum", "input"),
        ("3.11.0", "Maximum", "input"),
    ],
)
def test_other_merges_of_two_masks_load(version, merge, given):
    load_keras(two_masks(version, merge, given))


def masked_twice(layer, reader):
    """A `.keras` of Keras 3.6: what a model gives, perhaps with a mask, is given a mask in a call of `layer`; Keras did
    not know the mask that comes out, so the call of `reader` has none."""
    i, j = keras.Input((3, 2)), keras.Input((3,), dtype="bool")
    x = keras.Sequential([keras.Input((3, 2)), keras.layers.Masking()])(i)
    y = layer([x, i], mask=[j, None]) if layer.name.startswith("attention") else layer(x, mask=j)
    data = parity.saved(keras.Model([i, j], reader(y)))
    config = json.loads(hostile.members_of(data)["config.json"])
    config["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"].pop("mask", None)
    return hostile.changed_zip(data, config=config, metadata={"keras_version": "3.6.0"})


@pytest.mark.parametrize(
    ("name", "options"),
    [("LSTM", {"units": 2, "return_sequences": True}), ("Attention", {})],
)
def test_a_mask_of_a_model_that_a_call_hides_is_refused_where_it_is_used(name, options):
    """Outputs of files of Keras 3.0 to 3.10 were off by up to 1.5."""
    layer = getattr(keras.layers, name)(**options)
    with pytest.raises(UnsupportedLayer, match=r"GRU 'g' uses the mask of an input .* one of the two masks"):
        load_keras(masked_twice(layer, keras.layers.GRU(2, name="g")))
    load_keras(masked_twice(layer, keras.layers.Dense(2)))


def test_a_mask_that_is_given_to_a_batch_normalization_is_not_used():
    """It is for training; the output carries that of the model, also in Keras 3.6.0 and 3.10.0."""
    data = masked_twice(keras.layers.BatchNormalization(), keras.layers.GlobalAveragePooling1D())
    model, params = load_keras(data)
    x, given = np.array([[[1, 2], [0, 0], [3, 4]]], "float32"), np.array([[True, True, False]])
    parity.assert_close(model(params, [x, given]), x[:, ::2].mean(1) / np.sqrt(1.001))


def test_a_query_whose_mask_is_only_passed_on(each_backend):
    query = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    step = fnet.graph(
        {"m": (fnet.masking, "x"), "a": (bind(fnet.attention, hides_queries=False), ("m", fnet.masked_by("m", None)))},
        inputs="x",
        outputs="a",
    )
    x = np.concatenate([query, np.zeros((1, 1, 2), "float32")], 1)
    y = step({}, x)
    parity.assert_close(y, fnet.attention({}, (x, x)))
    assert np.abs(np.asarray(y)[0, 2]).max() > 1
    pooled = fnet.sequential(a=step, p=fnet.global_average_pooling1d)
    parity.assert_close(pooled({}, x), np.asarray(y)[:, :2].mean(1))


def test_a_model_in_time_distributed_knows_which_times_are_hidden(each_backend):
    """The product of hidden inputs is 0 in Keras 3; fnet gave the layer only masks of words in times."""
    plus = bind(fnet.rescaling, scale=1.0, offset=1.0)
    inner = fnet.graph({"a": (plus, "x"), "y": (fnet.multiply, ("a", "a"))}, inputs="x", outputs="y")
    x = np.array([[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]], "float32")
    y = fnet.sequential(m=fnet.masking, t=bind(fnet.time_distributed, layer=inner))({}, x)
    parity.assert_close(y, np.array([[[4.0, 9.0], [0.0, 0.0], [16.0, 25.0]]], "float32"))


class Sums(keras.Layer):
    def call(self, inputs, mask=None):
        return inputs[0] + 2 * inputs[1]


def with_own_mask(params, x):
    first, second = map(values_of, x)
    return masked(first + 2 * second, mask_of(x[0]))


def sums_of_a_model(version):
    """A `.keras` of another version: a layer of its own of what a model gives with a mask, which its call has not."""
    i = keras.Input((3, 2))
    x = keras.Sequential([keras.Input((3, 2)), keras.layers.Masking()])(i)
    data = parity.saved(keras.Model(i, keras.layers.GlobalAveragePooling1D(name="mean")(Sums(name="sums")([x, i]))))
    config = json.loads(hostile.members_of(data)["config.json"])
    for item in config["config"]["layers"][-2:]:
        item["inbound_nodes"][0]["kwargs"]["mask"] = [None, None] if item["name"] == "sums" else None
    return hostile.changed_zip(data, config=config, metadata={"keras_version": version})


@pytest.mark.parametrize(
    ("version", "carries"), [("3.3.3", False), ("3.6.0", True), ("3.10.0", True), ("3.11.0", False)]
)
def test_the_mask_of_a_layer_of_ones_own_with_several_inputs(version, carries):
    """Keras 3.4 to 3.10 took the masks that the inputs carry, whatever the call says; before, none."""
    x = np.array([[[1, 2], [0, 0], [3, 4]]], "float32")
    plain = fnet.layer(shape=lambda x: (x[0], {}), mask="keep")(lambda params, x: x[0] + 2 * x[1])
    own = fnet.layer(shape=lambda x: (x[0], {}), mask="own")(with_own_mask)
    model, params = load_keras(sums_of_a_model(version), custom={"sums": plain})
    parity.assert_close(model(params, x), 3 * (x[:, ::2] if carries else x).mean(1))
    if carries:
        with pytest.raises(UnsupportedLayer, match=r"'mean' uses the mask .* or None, in a call"):
            load_keras(sums_of_a_model(version), custom={"sums": own})
    else:
        model, params = load_keras(sums_of_a_model(version), custom={"sums": own})
        parity.assert_close(model(params, x), 3 * x.mean(1))


@pytest.mark.parametrize("version", ["3.3.3", "3.10.0"])
@pytest.mark.parametrize("place", [0, 1])
def test_an_input_that_a_layer_of_ones_own_gives_has_its_own_mask(version, place):
    """In Keras a mask is an attribute of the array, whatever the rules of layers say (run: 3.3.3, 3.15.1)."""
    x = np.array([[[1, 2], [0, 0], [3, 4]]], "float32")
    own = fnet.layer(shape=lambda x: (x[place], {}), mask="keep")(lambda params, x: x[place])
    model, params = load_keras(sums_of_a_model(version), custom={"sums": own})
    seen = place == 0 or version == "3.10.0"  # from 3.4 on an array without a mask takes that of the first input
    parity.assert_close(model(params, x), x[:, ::2].mean(1) if seen else x.mean(1))


@pytest.mark.parametrize(
    ("call", "makes", "hidden"),
    [
        ([["m", 0, 0, {}], ["b", 0, 0, {}]], True, False),
        ([["m", 0, 0, {}], ["b", 0, 0, {}]], False, True),
        ([["m", 0, 0, {"second": ["b", 0, 0]}]], True, True),
    ],
)
def test_outputs_of_keras_2_keep_their_masks_where_all_have_one(call, makes, hidden):
    """The second output is the first input. Where the first has no mask, the second took that of the second input,
    unless this is another argument (run: TF 2.15)."""

    def layer(name, class_name, *calls, **config):
        return {"class_name": class_name, "name": name, "config": {"name": name} | config, "inbound_nodes": [*calls]}

    own = fnet.layer(shape=lambda x: ((x[0], x[0]), {}), mask="keep")
    shape = {"batch_input_shape": [None, 3, 2], "dtype": "float32"}
    layers = [
        *(layer(name, "InputLayer", **shape) for name in "ab"),
        layer("m", "Masking", [["a", 0, 0, {}]]),
        layer("own", "Own", call),
        layer("mean", "GlobalAveragePooling1D", [["own", 0, 1, {}]]),
    ]
    ends = {"input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["mean", 0, 0]]}
    config = layer("model", "Functional", layers=layers, **ends)
    data = hostile.keras_zip(config, hostile.h5(dict), {"keras_version": "2.15.0"})
    custom = {"Own": own(lambda params, x: (x[0] + x[1] if makes else x[0], x[0]))}
    model, params = load_keras(data, custom=custom)
    x = np.array([[[1, 2], [0, 0], [3, 4]]], "float32")
    parity.assert_close(model(params, [x, x]), (x[:, ::2] if hidden else x).mean(1))


class Pairs(keras.Layer):
    def call(self, inputs):
        return inputs[0] + 2 * inputs[1]


@pytest.mark.parametrize("version", ["3.0.5", "3.3.3", "3.6.0", "3.11.0"])
def test_the_mask_that_a_layer_of_ones_own_with_several_inputs_makes(version):
    """A layer whose call takes no mask: `compute_mask` may make one of the values, in every version."""
    a, b, i = (keras.Input((3, 2)) for _ in range(3))
    inner = keras.Model([a, b], Pairs(name="pairs")([a, b]))
    data = parity.saved(keras.Model(i, keras.layers.GlobalAveragePooling1D()(inner([i, i]))))
    data = hostile.changed_zip(data, metadata={"keras_version": version})

    @fnet.layer(shape=lambda x: (x[0], {}), mask="own")
    def pairs(params, x):
        first, second = map(values_of, x)
        return masked(first + 2 * second, (first != 0).any(-1))

    x = np.array([[[1, 2], [0, 0], [3, 4]]], "float32")
    model, params = load_keras(data, custom={"pairs": pairs})
    parity.assert_close(model(params, x), 3 * x[:, ::2].mean(1))
