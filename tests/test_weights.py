"""Weights by the rules of the Keras that wrote the file (`golden/make_weights.py`), and layers of one's own."""

import io
import json
import re
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

import fnet
from compare import yardstick
from fnet import Param, bind, dense, tree
from params import (
    CorruptFile,
    ModelFileError,
    UnsafeFile,
    UnsupportedLayer,
    WeightsMismatch,
    WeightsWarning,
    from_keras,
    load_keras,
    load_weights,
)
from params.assign import group_names, weight_paths
from params.convert.generations import NEWEST, ages_of, version_of
from params.file.keras_objects import survey
from tests import hostile, parity
from tests.golden.archives import FOLDER, config_in, named, npz, read

ARCHIVES = sorted(FOLDER.glob("weights-*.zip"))
FILES = [(archive, name) for archive in ARCHIVES for name in zipfile.ZipFile(archive).namelist()]
PLAIN = ("repeated", "branches", "levels", "wrapped", "lookups", "fast")
WHOLE = [(a, n) for a, n in FILES if n.endswith((".keras", ".h5")) and ".weights." not in n and n.startswith(PLAIN)]


def assert_as_then(model, params, archive, name):
    record = npz(archive, name)
    inputs = [record[key] for key in sorted(record) if key.startswith("x")]
    y = model(params, inputs if len(inputs) > 1 else inputs[0])
    assert np.ptp(record["y0"]) > 0.1
    assert yardstick.error(y, record["y0"]) < 1e-5


@pytest.mark.parametrize(("archive", "name"), WHOLE, ids=named)
def test_files_of_keras_2(archive, name):
    assert_as_then(*load_keras(read(archive, name)), archive, name.partition(".")[0])


@pytest.mark.parametrize(("archive", "name"), [(a, n) for a, n in WHOLE if n.endswith(".keras")], ids=named)
def test_weights_alone_into_the_model_that_has_others(archive, name):
    """Their file tells neither version nor names."""
    model, params = load_keras(read(archive, name))
    empty = tree.map(lambda leaf: leaf * 0 if leaf.dtype.kind == "f" else leaf, params)
    case = name.partition(".")[0]
    assert_as_then(model, load_weights(read(archive, f"{case}.weights.h5"), model, empty), archive, case)
    assert_as_then(model, load_weights(read(archive, f"{case}.weights.h5"), model, params), archive, case)


# --- layers of one's own --------------------------------------------------------------------------


def _block_rule(x, *, units):
    def kernel():
        return {"kernel": Param((x.shape[-1], units)), "bias": Param((units,), "zeros")}

    own = {"offset": Param(x.shape[-1:]), "gain": Param(x.shape[-1:])}
    rest, heads = ({name: kernel() for name in ("dense", "dense_1")} for _ in range(2))
    return x, own | {"first": kernel(), "rest": rest, "heads": heads, "body": rest | {"dense_2": kernel()}}


def block(params, x, *, units):
    """Block of `golden/make_weights.py`."""
    x = dense(params["first"], x * params["gain"] + params["offset"])
    x = dense(params["rest"]["dense_1"], dense(params["rest"]["dense"], x, activation="tanh"))
    x = dense(params["heads"]["dense"], x) * dense(params["heads"]["dense_1"], x)
    x = np.maximum(dense(params["body"]["dense"], x), 0)
    return dense(params["body"]["dense_2"], dense(params["body"]["dense_1"], x))


block_layer = fnet.layer(shape=_block_rule)(block)


def _turned_rule(x, *, units):
    y, params = _block_rule(x, units=units)
    return y, {"gain": params.pop("gain"), **params}


turned = fnet.layer(shape=_turned_rule)(block)
"""The same with its two vectors in the other order."""


@pytest.mark.parametrize("archive", ARCHIVES, ids=named)
def test_layers_inside_a_layer_of_ones_own(archive):
    """As attributes, in lists and dicts, in a model; with a warning about arrays that the file does not tell apart."""
    with pytest.warns(WeightsWarning, match=r"Block'? 'block\w*': .* which of offset, gain"):
        made = load_keras(read(archive, "blocks.keras"), custom={"tests>Block": block_layer})
    assert_as_then(*made, archive, "blocks")
    with pytest.warns(WeightsWarning, match="shape rule"):
        again = load_weights(read(archive, "blocks.weights.h5"), *made)
    assert_as_then(made[0], again, archive, "blocks")


@pytest.mark.parametrize("archive", ARCHIVES, ids=named)
def test_a_wrong_order_of_equal_shapes_is_never_taken_in_silence(archive):
    with pytest.warns(WeightsWarning, match="which of gain, offset") as said:
        load_keras(read(archive, "blocks.keras"), custom={"tests>Block": turned})
    assert said[0].filename == __file__


# --- layers that hold layers ----------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Encoder(keras.layers.Layer):
    """Does not support masks, but the layers in it read the one that its input carries."""

    def __init__(self, units, initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.units, self.initializer = units, keras.initializers.get(initializer)
        self.attention = keras.layers.MultiHeadAttention(2, units)
        self.norm = keras.layers.LayerNormalization()
        self.feed = keras.Sequential([keras.layers.Dense(5, "relu"), keras.layers.Dense(units)])
        self.lstm = keras.layers.LSTM(units, return_sequences=True)

    def call(self, x):
        return self.feed(self.norm(self.lstm(x) + self.attention(x, x)))

    def get_config(self):
        return super().get_config() | {
            "units": self.units, "initializer": keras.initializers.serialize(self.initializer)
        }  # fmt: skip


def encoder_parts(*, units):
    return {
        "attention": fnet.bind(fnet.multi_head_attention, num_heads=2, key_dim=units),
        "norm": fnet.layer_normalization,
        "feed": fnet.sequential(
            dense=fnet.bind(fnet.dense, units=5, activation="relu"), dense_1=fnet.bind(fnet.dense, units=units)
        ),
        "lstm": fnet.bind(fnet.lstm, units=units, return_sequences=True),
    }


def encoder_rule(x, *, units, initializer):
    assert initializer == "he_normal"
    inputs = {"attention": (x, x)}
    return x, {name: fnet.infer(part, inputs.get(name, x))[1] for name, part in encoder_parts(units=units).items()}


def encoder_layer(children):
    @fnet.layer(shape=encoder_rule, mask="own", children=children)
    def encoder(params, x, *, units, initializer):
        parts = encoder_parts(units=units)
        attended = parts["attention"](params["attention"], (x, x)).values
        y = parts["norm"](params["norm"], parts["lstm"](params["lstm"], x).values + attended)
        return parts["feed"](params["feed"], y)

    return encoder


def test_children_of_a_layer_of_ones_own_have_the_places_and_order_of_keras(tmp_path):
    """The cell of an LSTM was not found; gamma and beta are in no doubt. The initializer is its name."""
    keras_model, rows = masked_at(Encoder(3), tmp_path / "m.keras")
    rng = np.random.default_rng(0)
    keras_model.set_weights([rng.normal(size=w.shape).astype("f") for w in keras_model.get_weights()])
    keras_model.save(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, params = load_keras(tmp_path / "m.keras", custom={"tests>Encoder": encoder_layer(encoder_parts)})
    np.testing.assert_allclose(fnet.predict(model, params, rows), keras_model.predict(rows, verbose=0), atol=1e-6)
    with pytest.raises(WeightsMismatch, match=r"lstm/kernel .*lstm/cell/vars/0"):
        load_keras(tmp_path / "m.keras", custom={"tests>Encoder": encoder_layer(None)})


@keras.saving.register_keras_serializable("tests")
class Looked(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lookup, self.vectors = keras.layers.StringLookup(), keras.layers.Embedding(5, 2)

    def call(self, x):
        return self.vectors(self.lookup(x))


def lookup_parts():
    return {"lookup": fnet.string_lookup, "vectors": fnet.bind(fnet.embedding, input_dim=5, output_dim=2)}


def looked_rule(x):
    ids, table = fnet.infer(fnet.string_lookup, x)
    y, vectors = fnet.infer(lookup_parts()["vectors"], ids)
    return y, {"lookup": table, "vectors": vectors}


@fnet.layer(shape=looked_rule, children=lookup_parts, entrance=fnet.Entrance(host=True))
def looked(params, x):
    return lookup_parts()["vectors"](params["vectors"], fnet.string_lookup(params["lookup"], x))


def test_a_lookup_in_a_layer_of_ones_own_has_the_vocabulary_of_the_file(tmp_path):
    import tensorflow as tf

    step, rows = Looked(name="l"), np.array([["b", "a"], ["c", "?"]])
    step.lookup.adapt(["b", "b", "a", "c", "c", "c"])
    x = keras.Input((2,), dtype="string")
    keras_model = keras.Model(x, step(x))
    keras_model.save(tmp_path / "m.keras")
    expected = keras_model.predict(tf.constant(rows), verbose=0)
    for words in (None, {"l/lookup": ["c", "b", "a"]}):
        model, params = load_keras(tmp_path / "m.keras", custom={"l": looked}, vocabulary=words)
        np.testing.assert_array_equal(fnet.predict(model, params, rows), expected)
    assert np.ptp(expected, axis=(0, 1)).min() > 0
    with pytest.raises(ModelFileError, match=r"takes strings says so: @fnet.layer\(shape=..., entrance"):
        load_keras(tmp_path / "m.keras", custom={"l": fnet.layer(shape=looked_rule)(looked.__wrapped__)})


# --- one layer replaced by its name ---------------------------------------------------------------


@keras.saving.register_keras_serializable("masks")
class Twice(keras.layers.Layer):
    def call(self, x):
        return x * 2


def doubled_by(rule=None):
    return fnet.layer(shape=lambda x: (x, {}), mask=rule)(lambda params, x: x * 2)


def masked_at(step, path):
    """A model of Keras with a mask before `step`, saved; three rows for it."""
    masked = keras.layers.Embedding(9, 3, mask_zero=True)
    keras_model = keras.Sequential([keras.Input((4,)), masked, step, keras.layers.LSTM(2)])
    keras_model.save(path)
    return keras_model, np.array([[3, 4, 0, 0], [1, 2, 3, 0], [0, 0, 5, 6]])


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_function_in_the_place_of_a_lambda_loses_masks_as_keras_does(wrapped, tmp_path):
    """A function that said nothing kept the mask: other numbers than Keras's."""
    step = keras.layers.Lambda(lambda x: x * 2, (3,) if wrapped else (4, 3), name="l")
    step = keras.layers.TimeDistributed(step) if wrapped else step  # which keeps the mask itself
    keras_model, rows = masked_at(step, tmp_path / "m.keras")
    doubled = doubled_by()
    model, params = load_keras(tmp_path / "m.keras", custom={"l": doubled})  # without a warning
    expected = keras_model.predict(rows, verbose=0)
    np.testing.assert_allclose(fnet.predict(model, params, rows), expected, atol=1e-6)
    assert repr(model).count("masks='drop'") == 1
    fnet.save(tmp_path / "m.safetensors", model, params, custom={"doubled": doubled})
    for rule in (None, "keep"):  # the file holds what became of it
        again, params = fnet.load(tmp_path / "m.safetensors", custom={"doubled": doubled_by(rule)})
        np.testing.assert_allclose(fnet.predict(again, params, rows), expected, atol=1e-6)
    kept, params = load_keras(tmp_path / "m.keras", custom={"l": doubled_by("keep")})
    assert (np.abs(fnet.predict(kept, params, rows) - expected).max() < 1e-6) == wrapped


@pytest.mark.parametrize(
    "step",
    [Twice(name="l"), keras.layers.Lambda(lambda x: x * 2, (4, 3), name="l", mask=lambda x, mask: mask)],
    ids=["a class", "a Lambda with mask="],
)
def test_what_becomes_of_a_mask_at_a_layer_of_ones_own_is_said(step, tmp_path):
    """Whether it is kept is in code of the user's, so where the function does not say so it is told."""
    _, rows = masked_at(step, tmp_path / "m.keras")
    answers = []
    for rule in ("drop", "keep", None):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model, params = load_keras(tmp_path / "m.keras", custom={"l": doubled_by(rule)})
        answers.append(fnet.predict(model, params, rows))
        assert [w.filename for w in said] == ([] if rule else [__file__])
    assert "a mask comes to 'l' and is passed on" in str(said[0].message)
    assert 'mask="own" where layers inside it are attention' in str(said[0].message)
    assert np.abs(answers[1] - answers[0]).max() > 1e-3
    np.testing.assert_array_equal(answers[1], answers[2])
    x = keras.Input((4,))
    keras.Model(x, Twice(name="l")(x)).save(tmp_path / "m.keras")
    load_keras(tmp_path / "m.keras", custom={"l": doubled_by()})  # no mask, no warning


def test_only_dropping_masks_is_an_option_of_every_layer():
    assert fnet.bind(doubled_by(), masks="drop").own_options == {}
    with pytest.raises(TypeError, match="no option 'masks'"):
        fnet.bind(doubled_by(), masks="keras2")


@fnet.layer(shape=lambda x: (x, {}))
def plus(params, x):
    return x + 1


@fnet.layer(shape=lambda x, *, k: (x, {}))
def times(params, x, *, k):
    return x * k


@fnet.layer(shape=lambda x: (x, {}))
def halved(params, x):
    return x / 2


@fnet.layer(shape=lambda x: (x, {}))
def own(params, x):
    return x - 1


FUNCTIONS = {"halved": halved, "tests>own": own}
LAMBDAS = [(a, n) for a, n in FILES if n in ("lambdas.keras", "lambdas.h5")]


@pytest.mark.parametrize(("archive", "name"), LAMBDAS, ids=named)
def test_functions_in_the_places_of_lambdas(archive, name):
    data = read(archive, name)
    subs = sorted(set(re.findall(rb'"name": "(sequential\w*)"', zipped_config(data))))
    first, second = (sub.decode() for sub in subs)
    with pytest.raises(ModelFileError, match=f"say which, '{first}/scale' or '{second}/scale'"):
        load_keras(data, custom={"plus": plus, "scale": times, **FUNCTIONS})
    places = {f"{first}/scale": times, f"{second}/scale": bind(times, k=3.0)}
    assert_as_then(*load_keras(data, custom={"plus": plus, **places, **FUNCTIONS}), archive, "lambdas")
    with pytest.raises(ModelFileError, match=r"custom\['plas'\] is the name of no layer.*there are 'plus'"):
        load_keras(data, custom={"plas": plus, "plus": plus, **places, **FUNCTIONS})
    with pytest.raises((UnsafeFile, UnsupportedLayer), match=r"custom=\{'plus': my_layer\}"):
        load_keras(data, custom={**places, **FUNCTIONS})
    with pytest.raises(UnsupportedLayer, match=r"activation 'tests>own'.*custom=\{'tests>own': my_activation\}"):
        load_keras(data, custom={"plus": plus, **places, "halved": halved})


def zipped_config(data):
    if data[:2] == b"PK":
        return read(io.BytesIO(data), "config.json")
    return data


# --- weights and model in two files ---------------------------------------------------------------


def config_of(archive, name):
    return read(io.BytesIO(read(archive, f"{name}.keras")), "config.json")


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_the_code_of_a_lambda_that_is_replaced_does_not_matter(ending, tmp_path):
    keras_model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1, name="lambda_1")])
    keras_model.save(path := tmp_path / f"m.{ending}")
    with pytest.raises(UnsafeFile, match=r"custom={.lambda_1.: my_layer}"):
        load_keras(path)
    model, params = load_keras(path, custom={"lambda_1": plus})
    np.testing.assert_array_equal(model(params, draw(2, 3)), draw(2, 3) + 1)


@pytest.mark.parametrize("archive", ARCHIVES, ids=named)
@pytest.mark.parametrize("end", ["weights.h5", "h5", "keras"])
def test_a_config_and_the_weights_of_another_file(archive, end, tmp_path):
    version = re.sub(r".*-(2\.\d+).*", r"\1.0", archive.name)
    config = json.loads(config_of(archive, "branches")) | {"keras_version": version}
    (tmp_path / "model.json").write_text(json.dumps(config))
    made = load_keras(tmp_path / "model.json", weights=read(archive, f"branches.{end}"))
    assert_as_then(*made, archive, "branches")
    with pytest.raises(CorruptFile, match=r"without its weights.*load_keras\(path, weights=\.\.\.\)"):
        load_keras(tmp_path / "model.json")
    with pytest.raises(CorruptFile, match="holds no weights"):
        load_weights(tmp_path / "model.json", *made)


def test_a_config_keeps_its_vocabulary_next_to_the_weights_of_another_file(tmp_path):
    lookup = keras.layers.StringLookup()
    lookup.adapt(["b", "a", "b"])
    x = keras.Input((2,), dtype="string")
    keras_model = keras.Model(x, keras.layers.Embedding(4, 3, name="table")(lookup(x)))
    keras_model.save(tmp_path / "m.keras")
    keras_model.save_weights(tmp_path / "w.weights.h5")
    model, params = load_keras(tmp_path / "m.keras", weights=tmp_path / "w.weights.h5")
    table = params["table"]["embeddings"]
    np.testing.assert_array_equal(model(params, np.array([["a", "b"], ["c", "a"]])), table[[[2, 1], [0, 2]]])


def test_a_config_of_keras_3_has_the_age_that_it_or_its_weights_say():
    whole = read(FOLDER / "keras-3.6.0.zip", "images.keras")
    config = read(io.BytesIO(whole), "config.json")
    model, weights = load_keras(whole)[0], weights_of(whole)
    last = json.dumps({**json.loads(config), "keras_version": "3.8.0"}).encode()
    with pytest.warns(UserWarning, match=r"3.6 or later, by its keys.*for the last of them, 3.8;") as warned:
        newest = load_keras(config, weights=weights)[0]
    assert warned[0].filename == __file__
    assert newest == load_keras(last, weights=weights)[0]
    said = json.dumps({**json.loads(config), "keras_version": "3.6.0"}).encode()
    assert load_keras(config, weights=whole)[0] == model == load_keras(said, weights=weights)[0] != newest


@pytest.mark.parametrize("version", ["2.7.0", "2.15.0"])
def test_a_config_of_keras_2_without_a_version_has_the_age_of_its_weights(version):
    """Up to 2.7 Resizing gives float32 under any policy."""
    place = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 4, 4, 1]}}
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    options = {"name": "y", "dtype": policy, "height": 2, "width": 2, "interpolation": "bilinear"}
    layers = [place, {"class_name": "Resizing", "config": options}]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    whole = hostile.legacy(config, [("y",)], lambda file: file.attrs.modify("keras_version", version))
    model, _ = load_keras(json.dumps(config).encode(), weights=whole)
    assert model == load_keras(whole)[0]
    assert model["y"].dtype == {"2.7.0": "float32", "2.15.0": "mixed_float16"}[version]


@pytest.mark.parametrize("archive", sorted(FOLDER.glob("*-3.*.zip")), ids=named)
def test_the_keys_of_a_config_tell_its_age(archive):
    """A config of `model.to_json()` has no version: models of 3.0 to 3.3 ran by the rules of the newest Keras."""
    version = version_of(archive.stem.rpartition("-")[2])
    for name in (name for name in zipfile.ZipFile(archive).namelist() if name.endswith(".keras")):
        first, last = ages_of(survey(config_in(read(archive, name)), {}).objects)
        assert first <= version <= last, name
        assert (first, last) != ((3, 0), NEWEST), name


def weights_of(whole):
    """The weights file in a `.keras`, which does not contain its version."""
    return read(io.BytesIO(whole), "model.weights.h5")


def legacy(*layers):
    def write(file):
        file.attrs["layer_names"] = [name for name, _ in layers]
        for name, arrays in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}" for key in arrays]
            for key, array in arrays.items():
                group.create_dataset(f"{name}/{key}", data=array)

    return hostile.h5(write)


def draw(*shape, seed=0):
    return np.random.default_rng(sum(shape) + seed).standard_normal(shape).astype("float32")


def test_layers_that_have_no_names_in_their_file_are_not_loaded_by_name():
    model = fnet.sequential(dense=bind(dense, units=2))
    params = fnet.init(model, 0, (None, 3))
    data = hostile.dense_weights(name="")
    np.testing.assert_array_equal(load_weights(data, model, params, (None, 3))["dense"]["kernel"], hostile.KERNEL)
    with pytest.raises(WeightsMismatch, match=r"have no names in this file .*: load them in order"):
        load_weights(data, model, params, (None, 3), by_name=True)


def test_weights_by_name_and_those_that_fit():
    steps = {"a": bind(dense, units=4), "b": bind(dense, units=5), "c": bind(dense, units=2)}
    model = fnet.sequential(**steps)
    params = fnet.init(model, 0, (None, 3))
    b, c, d = ({"kernel:0": draw(*shape), "bias:0": draw(shape[1])} for shape in ((4, 6), (5, 2), (7, 7)))
    data = legacy(("d", d), ("c", c), ("b", b))
    with pytest.raises(WeightsMismatch):
        load_weights(data, model, params, (None, 3))
    with pytest.raises(WeightsMismatch, match="'b/kernel' must have the shape"):
        load_weights(data, model, params, (None, 3), by_name=True)
    with pytest.warns(WeightsWarning, match=r"of 1 layers.*kept as they were: a, b; .*fit: b \(.*not in the model: d$"):
        got = load_weights(data, model, params, (None, 3), by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(got["c"]["kernel"], c["kernel:0"])
    for name in ("a", "b"):
        np.testing.assert_array_equal(got[name]["kernel"], params[name]["kernel"])
    data = legacy(("x", {"kernel:0": draw(3, 4), "bias:0": draw(4)}), ("y", b), ("z", c))
    with pytest.warns(WeightsWarning, match="of 2 layers.*kept as they were: b") as said:
        got = load_weights(data, model, params, (None, 3), skip_mismatch=True)
    assert said[0].filename == __file__
    np.testing.assert_array_equal(got["a"]["kernel"], draw(3, 4))
    with pytest.raises(WeightsMismatch, match="by_name=True"):
        load_weights(legacy(("x", c)), model, params, (None, 3), skip_mismatch=True)


def test_weights_alone_are_listed():
    gates = {f"lstm_1_{m}_{g}": draw(3, 4) for g in "icfo" for m in "WU"}
    data = legacy(("conv", {"kernel:0": draw(3, 3, 2, 4)}), ("lstm_1", gates))
    with pytest.raises(UnsupportedLayer, match=r"arrays of Keras 1, 2 layers.* conv \(Conv2D\?\): kernel 3x3x2x4; l"):
        load_keras(data)
    with pytest.raises(UnsupportedLayer, match=r"layers/dense 'dense' \(Dense\?\): 0 3x2, 1 2"):
        load_keras(hostile.dense_weights())
    model = fnet.sequential(lstm=bind(fnet.lstm, units=4))
    with pytest.raises(WeightsMismatch, match="of Keras 1: load it once in Keras 2"):
        load_weights(legacy(("lstm_1", gates)), model, fnet.init(model, 0, (None, 5, 3)), (None, 5, 3))


GUESSES = {
    "SimpleRNN": {"kernel": (3, 4), "recurrent_kernel": (4, 4), "bias": (4,)},
    "GRU": {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (2, 12)},
    "LSTM": {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)},
    "BatchNormalization": {"gamma": (4,), "beta": (4,), "moving_mean": (4,), "moving_variance": (4,)},
    "LayerNormalization": {"gamma": (4,), "beta": (4,)},
    "DepthwiseConv2D": {"depthwise_kernel": (3, 3, 2, 1), "bias": (2,)},
    "SeparableConv2D": {"depthwise_kernel": (3, 3, 2, 1), "pointwise_kernel": (1, 1, 2, 4)},
    "Embedding": {"embeddings": (5, 2)},
    "Dense": {"kernel": (3, 4), "bias": (4,)},
    "Conv1D": {"kernel": (3, 2, 4)},
    "Conv3D": {"kernel": (3, 3, 3, 2, 4)},
    "LSTM of Keras 1": {f"x_{m}_{g}": (3, 4) for g in "icfo" for m in "WU"},
    "GRU of Keras 1": {f"x_{m}_{g}": (3, 4) for g in "zrh" for m in "WU"},
}


@pytest.mark.parametrize("name", GUESSES)
def test_the_class_of_arrays_is_guessed(name):
    data = legacy(("x", {f"{array}:0": draw(*shape) for array, shape in GUESSES[name].items()}))
    with pytest.raises(UnsupportedLayer, match=rf": x \({name}\?\): "):
        load_keras(data)


def test_one_name_of_arrays_in_two_layers_of_a_nested_model():
    """In Keras 2 the kernel of a depthwise convolution is depthwise_kernel, as one of the two of a separable one."""
    made = keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            keras.layers.DepthwiseConv2D(3, use_bias=False, name="d"),
            keras.layers.SeparableConv2D(4, 3, use_bias=False, name="s"),
        ]
    )
    names = ("d/depthwise_kernel:0", "s/depthwise_kernel:0", "s/pointwise_kernel:0")
    layers = [
        {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 5, 5, 2], "dtype": "float32"}},
        {"class_name": "DepthwiseConv2D", "config": {"name": "d", "kernel_size": [3, 3], "use_bias": False}},
        {"class_name": "SeparableConv2D", "config": {"name": "s", "filters": 4, "kernel_size": 3, "use_bias": False}},
    ]
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": layers}}
    outer = {"class_name": "Sequential", "config": {"name": "outer", "layers": [layers[0], inner]}}
    arrays = zip(names, made.get_weights(), strict=True)
    model, params = load_keras(hostile.legacy(outer, [("inner", *arrays)]))
    x = draw(2, 5, 5, 2)
    np.testing.assert_allclose(model(params, x), made(x), atol=1e-6)


def test_a_binary_file_that_was_saved_as_text():
    for data in (hostile.legacy(), b"\x89HDF\r\n\x1a\n" + bytes(range(256))):
        spoilt = data.decode("utf-8", "replace").encode()
        with pytest.raises(CorruptFile, match="begins EF BF BD"):
            load_keras(spoilt)
    for start, begins in (
        (b"?HDF\r\n\x1a\n", "3F 48"),
        (b"\x89HDF\n\x1a\n", "89 48"),
        (b"\x89HDF\r\r\n\x1a\r\n", "89 48"),
    ):
        with pytest.raises(CorruptFile, match=f"saved it as such.*begins {begins}"):
            load_keras(start + bytes(range(256)))


# --- files of Keras 3, and names in legacy files --------------------------------------------------


def test_the_config_of_keras_3_and_weights_by_name(tmp_path):
    x = keras.Input((4,))
    y = keras.layers.Dense(3, name="b")(keras.layers.Dense(4, name="a")(x))
    keras_model = keras.Model(x, keras.layers.LSTM(2, name="c")(keras.layers.Reshape((3, 1))(y)))
    (tmp_path / "model.json").write_text(keras_model.to_json())
    keras_model.save_weights(tmp_path / "w.weights.h5")
    model, params = load_keras(tmp_path / "model.json", weights=tmp_path / "w.weights.h5")
    np.testing.assert_allclose(model(params, draw(2, 4)), keras_model(draw(2, 4)), atol=1e-6)
    other = fnet.sequential(c=bind(fnet.lstm, units=2), b=bind(dense, units=5), a=bind(dense, units=4))
    before = fnet.init(other, 0, (None, 3, 1))
    with pytest.warns(WeightsWarning, match=r"of 1 layers.*kept as they were: b, a; because"):
        got = load_weights(tmp_path / "w.weights.h5", other, before, (None, 3, 1), by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(got["c"]["recurrent_kernel"], params["c"]["recurrent_kernel"])
    np.testing.assert_array_equal(got["a"]["kernel"], before["a"]["kernel"])


@pytest.mark.parametrize("suffix", ["weights.h5", "keras", "h5"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_with_fewer_or_more_arrays_than_the_file_is_no_match(bias, suffix, tmp_path):
    """Its kernel alone would be another function: Keras leaves such a layer as it was, or refuses the file."""
    path = tmp_path / f"w.{suffix}"
    layers = [keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b", use_bias=bias)]
    keras_model = keras.Sequential([keras.Input((3,)), *layers])
    (keras_model.save_weights if suffix == "weights.h5" else keras_model.save)(path)
    model = fnet.sequential(a=bind(dense, units=4), b=bind(dense, units=2, use_bias=not bias))
    params = fnet.init(model, 0, (None, 3))
    message = "'b' has . arrays" if suffix == "h5" else "not used.*dense_1/vars/1'" if bias else "missing: 'b/bias "
    with pytest.raises(WeightsMismatch, match=message):
        load_weights(path, model, params, (None, 3), by_name=True)
    for by_name in (False, True):
        with pytest.warns(WeightsWarning, match=f"of 1 layers.*kept as they were: b;.*{message}"):
            got = load_weights(path, model, params, (None, 3), by_name=by_name, skip_mismatch=True)
        np.testing.assert_array_equal(got["a"]["kernel"], layers[0].kernel)
        np.testing.assert_array_equal(got["b"]["kernel"], params["b"]["kernel"])


@pytest.mark.parametrize(
    "options", [{"by_name": True}, {"skip_mismatch": True}], ids=lambda options: next(iter(options))
)
def test_weights_that_a_file_names_are_found_layer_by_layer(options):
    """Those of tf-idf have names, all others numbers. A warning is an error here."""
    data = read(FOLDER / "keras-3.15.1.zip", "words.keras")
    model, params = load_keras(data)
    empty = tree.map(lambda a: np.zeros_like(a) if a.dtype == "float32" else a, params)
    got = load_weights(data, model, empty, **options)
    assert not np.array_equal(empty["string_lookup_3"]["idf_weights"], params["string_lookup_3"]["idf_weights"])
    for (path, leaf), (_, expected) in zip(tree.items(got), tree.items(params), strict=True):
        np.testing.assert_array_equal(leaf, expected, str(path))


@fnet.layer(shape=lambda x: (x, {"gain": Param(x.shape[-1:]), "offset": Param(x.shape[-1:])}))
def shifted(params, x):
    return x * params["gain"] + params["offset"]


def custom_file(*arrays):
    layer = {"class_name": "Shifted", "config": {"name": "s", "trainable": True, "batch_input_shape": [None, 3]}}
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
    return hostile.legacy(config, [("s", *arrays)])


def test_names_tell_arrays_of_one_shape_in_legacy_files():
    gain, offset = draw(3) + 5, draw(3)
    x = draw(2, 3)
    data = custom_file(("s/offset:0", offset), ("s/gain:0", gain))
    model, params = load_keras(data, custom={"Shifted": shifted})
    np.testing.assert_allclose(model(params, x), x * gain + offset, rtol=1e-6)
    with pytest.warns(WeightsWarning, match="which of s/gain, s/offset.*; the file calls them u, v, and params"):
        load_keras(custom_file(("s/u:0", gain), ("s/v:0", offset)), custom={"Shifted": shifted})
    with pytest.raises(UnsupportedLayer, match="Shifted 's' is a custom layer"):
        load_keras(data)


class Drifting(keras.layers.Layer):
    """Made in the order count, gain, mean, offset, of which the second and last are trained."""

    def build(self, shape):
        for name in ("count", "gain", "mean", "offset"):
            setattr(self, name, self.add_weight(shape=shape[-1:], name=name, trainable=name in ("gain", "offset")))

    def call(self, x):
        return (x - self.mean) * self.gain / self.count + self.offset


DRIFTING = {name: Param((3,), trainable=name in ("gain", "offset")) for name in ("count", "gain", "mean", "offset")}


@fnet.layer(shape=lambda x: (x, DRIFTING))
def drifting(params, x):
    return (x - params["mean"]) * params["gain"] / params["count"] + params["offset"]


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_what_training_moves_comes_first_in_a_layer_of_ones_own(ending, tmp_path):
    keras_model = keras.Sequential([keras.Input((3,)), Drifting()])
    keras_model.set_weights([draw(3) + number + 3 for number in range(4)])
    keras_model.save(tmp_path / f"m.{ending}")
    x = draw(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeightsWarning)
        model, params = load_keras(tmp_path / f"m.{ending}", custom={"Drifting": drifting})
    np.testing.assert_allclose(model(params, x), keras_model(x), rtol=1e-6)


def test_a_rule_that_does_not_say_what_training_moves_is_told_how():
    """Names do not tell the kernels of two layers of a model inside apart; statistics are last in the file."""
    first, mean, last = {"kernel": Param((4,))}, {"moving_mean": Param((2,))}, {"kernel": Param((3,))}
    rule = {"net": {"dense": first, "batch_normalization": mean, "dense_1": last}}
    own = fnet.layer(shape=lambda x: (x, rule))(lambda params, x: x * params["net"]["dense"]["kernel"])
    sizes = {"dense_4/kernel": 4, "dense_5/kernel": 3, "batch_normalization/moving_mean": 2}
    data = custom_file(*((f"s/sequential/{name}:0", draw(size)) for name, size in sizes.items()))
    with pytest.raises(WeightsMismatch, match=r"expected 'moving_mean' but the file has .*dense_5.*trainable=False"):
        load_keras(data, custom={"Shifted": own})


@pytest.mark.parametrize("by_name", [False, True])
def test_boundaries_of_a_discretization_are_no_arrays_of_a_legacy_file(by_name, tmp_path):
    """One that was adapted, in Keras 2, has an array there; one whose boundaries are in its config has none."""
    x = keras.Input((3,))
    y = keras.layers.Embedding(3, 2)(keras.layers.Discretization(bin_boundaries=[-0.5, 0.5])(x))
    keras_model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)))
    keras_model.save(tmp_path / "m.h5")
    model, params = load_keras(tmp_path / "m.h5")
    zeros = {key: part if "discretization" in key else tree.map(np.zeros_like, part) for key, part in params.items()}
    got = load_weights(tmp_path / "m.h5", model, zeros, by_name=by_name)  # without a warning
    np.testing.assert_allclose(model(got, draw(2, 3)), keras_model(draw(2, 3)), atol=1e-6)


def drop_names(file):
    """Remove the names of layers, as in a file of Keras 3.5 or earlier."""
    file.visititems(lambda _, item: item.attrs.pop("name", None) and None)


def test_a_graph_in_another_order_than_keras_lists_its_layers(tmp_path):
    """A file without names counts layers of a class from the deepest to the outputs."""
    x = keras.Input((4,), name="x")
    p, q, r = (keras.layers.Dense(4, name=name) for name in "pqr")
    keras_model = keras.Model(x, keras.layers.Add(name="sum")([p(x), q(r(x))]))
    keras_model.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "r+") as file:
        drop_names(file)
    step = bind(dense, units=4)
    model = fnet.graph(
        inputs="x", p=(step, "x"), r=(step, "x"), q=(step, "r"), sum=(fnet.add, ("p", "q")), outputs="sum"
    )
    params = load_weights(tmp_path / "w.weights.h5", model, fnet.init(model, 0, (None, 4)), (None, 4))
    np.testing.assert_allclose(model(params, draw(2, 4)), keras_model(draw(2, 4)), atol=1e-6)


def test_layers_of_a_legacy_file_in_another_order_are_told_by_their_names():
    step = bind(dense, units=4, use_bias=False)
    model = fnet.graph(inputs="x", p=(step, "x"), q=(step, "p"), r=(step, "q"), outputs="r")
    kernels = {name: draw(4, 4) + number for number, name in enumerate("rpq")}
    data = legacy(*((name, {"kernel:0": kernel}) for name, kernel in kernels.items()))
    params = load_weights(data, model, fnet.init(model, 0, (None, 4)), (None, 4))
    for name, kernel in kernels.items():
        np.testing.assert_array_equal(params[name]["kernel"], kernel)


@pytest.mark.parametrize("kind", ["Sequential", "TimeDistributed"])
def test_what_holds_layers_without_weights_counts_once_however_often_it_is_called(kind, tmp_path):
    """A file without names counts models and wrappers, and the second of these two has the weights."""
    layers = keras.layers

    def holder(layer):
        if kind == "Sequential":
            return keras.Sequential([keras.Input((3, 4)), layer])
        return layers.TimeDistributed(layer)

    x, twice = keras.Input((3, 4)), holder(layers.Activation("tanh"))
    keras_model = keras.Model(x, holder(layers.Dense(2))(layers.Add()([twice(x), twice(layers.Softmax()(x))])))
    keras_model.save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    parity.fill(keras_model)
    keras_model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        drop_names(file)
    got, x = load_weights(tmp_path / "m.weights.h5", model, params), draw(2, 3, 4)
    np.testing.assert_allclose(model(got, x), keras_model(x), atol=1e-6)
    np.testing.assert_allclose(fnet.predict(model, got, x), keras_model(x), atol=1e-6)


@pytest.mark.parametrize("over_devices", [(0, 2), (1,), (0, 1, 2)])
def test_batch_normalization_over_devices_has_a_name_of_its_own(over_devices, tmp_path):
    """Keras 2.12 to 2.15 name the groups of `SyncBatchNormalization` after that class; some or all of three here."""
    names = [f"{'sync_' * (number in over_devices)}batch_normalization_{number + 5}" for number in range(3)]
    keras_model = keras.Sequential([keras.Input((4,)), *(keras.layers.BatchNormalization(name=name) for name in names)])
    parity.fill(keras_model)
    keras_model.save(tmp_path / "m.keras")
    keras_model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        drop_names(file)
        for name, end in zip(names, ("", "_1", "_2"), strict=True):
            file.move(f"layers/batch_normalization{end}", f"layers/{name}")
        for base in {name[:-2] for name in names}:
            for number, name in enumerate(sorted(name for name in names if name.startswith(base))):
                file.move(f"layers/{name}", f"layers/{base}_{number}" if number else f"layers/{base}")
    model, params = load_keras(tmp_path / "m.keras")
    got, x = load_weights(tmp_path / "m.weights.h5", model, tree.map(np.zeros_like, params)), draw(2, 4)
    np.testing.assert_allclose(model(got, x), keras_model(x), atol=1e-6)


def test_keras_on_numpy_stores_float64_as_float32():
    keras_model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="float64", name="dense")])
    kernel, bias = (weight.astype("float32") for weight in keras_model.get_weights())
    weights = hostile.h5(lambda file: hostile.dense_vars(file, kernel=kernel, bias=bias))
    model, params = load_keras(hostile.changed_zip(parity.saved(keras_model), weights=weights))
    x = draw(2, 4)
    y = model(params, x)
    assert y.dtype == params["dense"]["kernel"].dtype == "float64"
    np.testing.assert_allclose(y, x.astype("float64") @ kernel.astype("float64") + bias, rtol=1e-12)


def test_frozen_layers_stand_after_the_others_in_legacy_files(tmp_path):
    """Keras lists what training moves first; the arrays of cells have no names that say whose they are."""
    steps = [keras.layers.LSTM(3, return_sequences=True, trainable=trainable) for trainable in (False, True, False)]
    keras_model = keras.Sequential([keras.Input((4, 3)), keras.Sequential([keras.Input((4, 3)), *steps])])
    parity.fill(keras_model)
    keras_model.save(tmp_path / "m.h5")
    model, params = load_keras(tmp_path / "m.h5")
    x = draw(2, 4, 3)
    np.testing.assert_allclose(model(params, x), keras_model(x), atol=1e-6)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("owner", ["of the layer", "none"])
def test_a_frozen_model_in_a_legacy_file(owner, by_name, tmp_path):
    """As of transfer learning: what was frozen is in no weights file, and no layer of fnet is. With Keras 2's names."""
    layers = keras.layers
    steps = [keras.Input((6, 6, 2)), layers.DepthwiseConv2D(3), layers.BatchNormalization(), layers.Conv2D(3, 2)]
    base = keras.Sequential([*steps, layers.BatchNormalization(), layers.Flatten()], name="base", trainable=False)
    keras_model = keras.Sequential([keras.Input((6, 6, 2)), base, layers.Dense(2), layers.BatchNormalization()])
    parity.fill(keras_model)
    keras_model.save(tmp_path / "m.h5")
    model, params = load_keras(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        group = file["model_weights/base"]
        names = [str(name) for name in group.attrs["weight_names"]]
        new = [name.replace("depthwise_conv2d/kernel", "depthwise_conv2d/depthwise_kernel") for name in names]
        new = new if owner == "of the layer" else [f"{n}/{name.rpartition('/')[2]}" for n, name in enumerate(new)]
        for name, other in zip(names, new, strict=True):
            if name != other:
                group.move(name, other)
        group.attrs["weight_names"] = new
    got = load_weights(tmp_path / "m.h5", model, tree.map(np.zeros_like, params), by_name=by_name)
    x = draw(2, 6, 6, 2)
    np.testing.assert_array_equal(model(got, x), model(params, x))
    assert np.ptp(model(params, x)) > 0


@pytest.mark.parametrize("archive", ARCHIVES, ids=named)
def test_layers_of_cudnn_by_name(archive):
    model, params = load_keras(read(archive, "fast.h5"))
    empty = tree.map(np.zeros_like, params)
    assert_as_then(model, load_weights(read(archive, "fast.h5"), model, empty, by_name=True), archive, "fast")


def test_layers_of_one_name_that_are_not_one_layer_next_to_one_that_is(tmp_path):
    shared = keras.layers.Dense(4, name="shared")
    parts = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="own"), shared], name=n) for n in "ab"]
    keras_model = keras.Sequential([keras.Input((4,)), *parts])
    keras_model.save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    parity.fill(keras_model)
    keras_model.save_weights(tmp_path / "m.weights.h5")
    x = draw(2, 4)
    got = load_weights(tmp_path / "m.weights.h5", model, params)
    np.testing.assert_allclose(model(got, x), keras_model(x), atol=1e-6)


def test_a_message_shows_the_end_of_a_long_path():
    """The beginning is the same for every path of the model."""
    path = "layers/sequential" + "/layers/sequential" * 4 + "/layers/dense_7"
    with pytest.raises(WeightsMismatch, match=r"'\.\.\.\S+/layers/dense_7/vars/0'"):
        load_keras(hostile.keras_zip(weights=hostile.h5(lambda file: hostile.dense_vars(file, path=path))))
    whole, cut = weight_paths.listing([], ["a" * 64, "b" * 65]).split(", ")
    assert (whole, cut) == (f"{LEFT}'{'a' * 64}'", f"'...{'b' * 61}'")


@pytest.mark.parametrize(("count", "end"), [(3, "2'"), (4, "2' and 1 more")])
def test_a_message_shows_three_arrays(count, end):
    assert weight_paths.listing([], [str(i) for i in range(count)]) == f"{LEFT}'0', '1', '{end}"


LEFT = "the arrays of the file are not those of its model; not used by the model: "


def test_a_file_of_keras_1_with_other_layers_is_said_to_be_one():
    stored = [(name, (f"{name}_W", hostile.KERNEL), (f"{name}_b", hostile.BIAS)) for name in ("dense_1", "dense_2")]
    with pytest.raises(WeightsMismatch, match=r"2 stored.*those of Keras 1: load it once in Keras 2"):
        load_keras(hostile.legacy(layers=stored))


@pytest.mark.parametrize(("version", "groups", "expected"), [
    ("2.12.0", [], [group_names.KERAS_2_12]),
    ("2.13.1", [], [group_names.KERAS_2_12]),
    ("2.14.0", [], [group_names.KERAS_2_14]),
    ("2.15.0", [], [group_names.KERAS_2_15]),
    ("2.20.1", [], [group_names.KERAS_2_15]),
    ("3.0.5", ["_layer_checkpoint_dependencies/dense"], [group_names.KERAS_3]),
    (None, ["_layer_checkpoint_dependencies/dense"], [group_names.KERAS_2_12, group_names.KERAS_2_14]),
    (None, ["layers/dense"], [group_names.KERAS_3, group_names.KERAS_2_15]),
    ("", [], [group_names.KERAS_3, group_names.KERAS_2_15]),
])  # fmt: skip
def test_the_version_of_a_file_says_how_its_groups_are_named(version, groups, expected):
    assert list(group_names.namings(version, groups)) == expected


@pytest.mark.parametrize(("naming", "order"), [
    (group_names.KERAS_2_12, ["B", "_b", "a", "c"]),
    (group_names.KERAS_2_14, ["B", "_b", "a", "c"]),
    (group_names.KERAS_2_15, ["c", "a", "_b", "B"]),
    (group_names.KERAS_3, ["B", "a", "c", "_b"]),
])  # fmt: skip
def test_each_generation_meets_the_attributes_of_a_layer_in_an_order_of_its_own(naming, order):
    assert naming.ordered(["a", "c", "_b", "B"]) == order


def gru_with_one_prelu(version, layers, place):
    """A file of a GRU whose activations are one PReLU, stored at the first of them that this Keras met."""
    shared = {**hostile.entry("PReLU", "p", shared_axes=None), "shared_object_id": 7}
    gru = hostile.entry("GRU", "gru", units=2, activation=shared, recurrent_activation=shared, reset_after=True)

    def write(file):
        for number, shape in enumerate([(3, 6), (2, 6), (2, 6)]):
            file[f"{layers}/gru/cell/vars/{number}"] = np.ones(shape, "float32")
        file[f"{layers}/gru/{place}/vars/0"] = np.float32([2, 3])

    config = hostile.sequential_config(hostile.input_entry(4, 3), gru)
    return hostile.keras_zip(config, hostile.h5(write), json.dumps({"keras_version": version}))


@pytest.mark.parametrize(("version", "layers", "place"), [
    ("2.12.0", "_layer_checkpoint_dependencies", "activation"),
    ("2.14.0", "_layer_checkpoint_dependencies", "activation"),
    ("2.15.0", "layers", "recurrent_activation"),
    ("3.15.1", "layers", "activation"),
])  # fmt: skip
def test_what_two_attributes_share_is_where_the_keras_of_the_file_met_it_first(version, layers, place):
    _, params = load_keras(gru_with_one_prelu(version, layers, place))
    for name in ("activation", "recurrent_activation"):
        np.testing.assert_array_equal(params["gru"][name]["alpha"], [2, 3])


def test_metrics_of_a_layer_are_no_part_of_the_model():
    """Keras 2.12 and 2.13 keep what `add_metric` counts, and metrics that are attributes of a layer, with the layer."""

    def write(file):
        for place in ("_metrics/mean", "_layer_checkpoint_dependencies/add_metric/_metrics/mean"):
            file[f"{place}/vars/0"] = np.float32(5)

    metric = {"class_name": "AddMetric", "config": {"name": "m", "aggregation": "mean", "metric_name": "kl"}}
    config = hostile.sequential_config(hostile.input_entry(3), metric)
    model, params = load_keras(hostile.keras_zip(config, hostile.h5(write), json.dumps({"keras_version": "2.13.1"})))
    np.testing.assert_array_equal(model(params, np.eye(3)), np.eye(3, dtype="float32"))


def test_outputs_by_name_are_ordered_by_their_names_in_a_weights_file(tmp_path):
    x = keras.Input((3,))
    keras_model = keras.Model(x, {"z": keras.layers.Dense(2)(x), "a": keras.layers.Dense(2)(x)})
    model, params = from_keras(keras_model)
    keras_model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        drop_names(file)
    again = load_weights(tmp_path / "m.weights.h5", model, tree.map(np.zeros_like, params))
    values = np.eye(3, dtype="float32")
    for name, y in keras_model(values).items():
        np.testing.assert_allclose(model(again, values)[name], y, atol=1e-6)


SOME = [{"by_name": True}, {"skip_mismatch": True}, {"by_name": True, "skip_mismatch": True}]


@pytest.mark.parametrize("suffix", ["weights.h5", "keras", "h5"])
def test_loading_what_fits_loads_what_a_complete_load_does(suffix, tmp_path):
    """A graph that lists two layers of one shape the other way round got the arrays of one in the other."""
    x = keras.Input((4,))
    p, q = keras.layers.Dense(4, name="p"), keras.layers.Dense(4, name="q")
    keras_model = keras.Model(x, keras.layers.Dense(2, name="head")(keras.layers.Add(name="sum")([p(x), q(x)])))
    path = tmp_path / f"w.{suffix}"
    (keras_model.save_weights if suffix == "weights.h5" else keras_model.save)(path)

    def model(units):
        branches = {name: (bind(dense, units=4), "x") for name in "qp"}
        nodes = {"x": bind(fnet.input_layer, shape=(None, 4)), **branches, "sum": (fnet.add, ["q", "p"])}
        return fnet.graph({**nodes, "head": (bind(dense, units=units), "sum")}, inputs="x", outputs="head")

    params = fnet.init(model(2), 0)
    for options in [{}, *SOME]:
        got = load_weights(path, model(2), params, **options)  # without a warning
        np.testing.assert_array_equal(got["p"]["kernel"], p.kernel)
        np.testing.assert_array_equal(got["q"]["kernel"], q.kernel)
    with pytest.warns(WeightsWarning, match="of 2 layers.*kept as they were: head;"):
        got = load_weights(path, model(3), fnet.init(model(3), 0), skip_mismatch=True)
    np.testing.assert_array_equal(got["p"]["kernel"], p.kernel)


def _parted(wide, more):
    """A Keras model with layers inside others. wide: whether some are wider; more: whether there is one more."""
    layers, units = keras.layers, 5 if wide else 3
    inner = [layers.Dense(4), layers.Dense(units), layers.Dense(4)]
    spare = keras.Sequential([layers.Dense(2), *([layers.Dense(2)] if more else [])])
    cells = layers.RNN([layers.SimpleRNNCell(4), layers.SimpleRNNCell(units)], return_sequences=True)
    x = keras.Input((None, 4))
    y = layers.TimeDistributed(keras.Sequential([keras.Input((4,)), *inner]))(x)
    y = layers.MultiHeadAttention(2, 3, value_dim=units)(y, y)
    return keras.Model(x, spare(layers.Dense(4)(cells(y))))


@pytest.mark.parametrize(("wide", "more"), [(True, 1), (True, 2), (False, 1)])
def test_layers_inside_others_that_do_not_fit_are_kept_alone(wide, more, tmp_path):
    """As in Keras: its models, cells and attentions load whatever of them fits; all of them were kept."""
    before, stored = _parted(wide, more == 2), _parted(False, more == 1)
    before.save(tmp_path / "before.keras")
    stored.save_weights(tmp_path / "m.weights.h5")
    model, params = load_keras(tmp_path / "before.keras")
    with pytest.warns(WeightsWarning) as told:
        got = load_weights(tmp_path / "m.weights.h5", model, params, skip_mismatch=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        before.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    _, expected = fnet.from_keras(before)
    for (path, leaf), (_, theirs) in zip(tree.items(got), tree.items(expected), strict=True):
        np.testing.assert_array_equal(leaf, theirs, str(path))
    message = str(told[0].message)
    assert ("value_dense/kernel' must have the shape [4, 2, 5]" in message) == wide
    assert ("in the file, but not in the model: 'layers/sequential/layers/dense_1'" in message) == (more == 1)


@pytest.mark.parametrize("outside", [False, True])
def test_a_layer_that_two_models_share_is_found_with_each_option(outside, tmp_path):
    """A file has it once, in the first; the model does not record that it is one layer."""
    x, shared = keras.Input((4,)), keras.layers.Dense(4, name="d")
    one = keras.Sequential([keras.Input((4,)), shared], name="one")
    two = keras.Sequential([keras.Input((4,)), shared, keras.layers.Dense(3, name="e")], name="two")
    keras.Model(x, [(shared if outside else one)(x), two(x)]).save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    for before in (params, tree.map(np.zeros_like, params)):
        for options in SOME:
            got = load_weights(tmp_path / "m.keras", model, before, **options)  # without a warning
            for (path, leaf), (_, expected) in zip(tree.items(got), tree.items(params), strict=True):
                np.testing.assert_array_equal(leaf, expected, str(path))


def test_each_array_of_a_part_of_the_layers_is_looked_for_once(tmp_path, monkeypatch):
    """For each layer all of them were gone through: 800 layers took seconds."""
    keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(2) for _ in range(20))]).save(tmp_path / "m.keras")
    model, loaded = load_keras(tmp_path / "m.keras")
    looked_for = []
    array_of = weight_paths.array_of
    monkeypatch.setattr(weight_paths, "array_of", lambda found, slot: looked_for.append(slot) or array_of(found, slot))
    fnet.load_weights(tmp_path / "m.keras", model, loaded, by_name=True)
    assert len(looked_for) == 40


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.up, self.down = keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(4)

    def call(self, x):
        return x + self.down(self.up(x))


@keras.saving.register_keras_serializable("tests")
class WithoutGraph(keras.Model):
    """Keras looks at attributes by the alphabet: "norm" is after "layers", so its file has it in that list."""

    def __init__(self, **options):
        super().__init__(**options)
        self.second, self.first = keras.layers.Dense(4), keras.layers.Dense(4)
        self.blocks = [Block(), Block()]
        self.head = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(2)])
        self.norm = keras.layers.BatchNormalization()

    def call(self, x):
        x = self.first(self.second(x))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_subclassed_model_is_filled_where_its_steps_are_named_as_its_attributes(suffix, tmp_path):
    keras_model, x = WithoutGraph(), draw(3, 4)
    keras_model.compile("adam", "mse")
    keras_model(x)
    keras_model.optimizer.build(keras_model.trainable_variables)
    parity.fill(keras_model)
    (keras_model.save if suffix == ".keras" else keras_model.save_weights)(path := tmp_path / f"m{suffix}")
    step, inputs = bind(dense, units=4), bind(fnet.input_layer, shape=(None, 4))
    block = fnet.graph(
        x=inputs,
        up=(bind(dense, units=4, activation="tanh"), "x"),
        down=(step, "up"),
        y=(fnet.add, ("x", "down")),
        inputs="x",
        outputs="y",
    )
    steps = {
        "x": inputs,
        "second": step,
        "first": step,
        "blocks": fnet.sequential(block=block, block_1=block),
        "norm": fnet.batch_normalization,
        "head": fnet.sequential(inner=step, scores=bind(dense, units=2)),
    }
    model = fnet.sequential(steps)
    params = load_weights(path, model, fnet.init(model, 0))
    np.testing.assert_allclose(model(params, x), keras_model(x), rtol=1e-5, atol=1e-5)
    other = fnet.sequential({**steps, "head": bind(dense, units=3)})
    for options in SOME[1:]:
        with pytest.warns(WeightsWarning, match="kept as they were: .*head"):
            got = load_weights(path, other, fnet.init(other, 0), **options)
        np.testing.assert_array_equal(got["blocks"]["block_1"]["up"]["kernel"], keras_model.blocks[1].up.kernel)


class Tower(keras.Model):
    """A subclass of Model: layers under attributes, before and after `layers` in the alphabet, alone and in lists."""

    def __init__(self):
        super().__init__(name="tower")
        self.stem = keras.layers.Dense(4, activation="tanh")
        self.norm = keras.layers.BatchNormalization()
        self.branch = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(4)])
        self.early = [keras.layers.Dense(4) for _ in range(2)]
        self.stack = [keras.layers.Dense(4) for _ in range(2)]
        self.head = keras.layers.Dense(3)

    def call(self, x):
        for layer in (self.stem, self.norm, self.branch, *self.early, *self.stack, self.head):
            x = layer(x)
        return x


FOUR = bind(dense, units=4)
TOWER = fnet.sequential(
    stem=bind(dense, units=4, activation="tanh"),
    norm=fnet.batch_normalization,
    branch=fnet.sequential(one=FOUR, two=FOUR),
    early=fnet.sequential(one=FOUR, two=FOUR),
    stack=fnet.sequential(dense=FOUR, dense_1=FOUR),
    head=bind(dense, units=3),
)


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    """(folder with the files, inputs, outputs)"""
    folder, model, x = tmp_path_factory.mktemp("tower"), Tower(), draw(2, 4)
    model(x)
    for number, variable in enumerate(model.weights):
        variable.assign(abs(draw(*variable.shape, seed=number)) + 0.1)
    model.save(folder / "tower.keras")
    model.save_weights(folder / "tower.weights.h5")
    return folder, x, np.asarray(model(x, training=False))


@pytest.mark.parametrize("suffix", ["keras", "weights.h5"])
@pytest.mark.parametrize("options", [{}, {"skip_mismatch": True}], ids=str)
def test_a_subclass_of_model_fills_a_model_with_its_attributes_as_names(suffix, options, tower):
    folder, x, y = tower
    params = load_weights(folder / f"tower.{suffix}", TOWER, fnet.init(TOWER, 0, (None, 4)), (None, 4), **options)
    assert yardstick.error(TOWER(params, x), y) < 1e-5


def test_a_subclass_of_model_that_does_not_fit_is_told_by_its_attributes(tower):
    """Layers in the list of all have a number there and no name."""
    file, params = tower[0] / "tower.weights.h5", fnet.init(TOWER, 0, (None, 4))
    with pytest.warns(WeightsWarning, match="3 layers were loaded; kept as they were: stem, norm, stack; "):
        loaded = load_weights(file, TOWER, params, (None, 4), by_name=True)
    whole = load_weights(file, TOWER, params, (None, 4))
    np.testing.assert_array_equal(loaded["early"]["two"]["kernel"], whole["early"]["two"]["kernel"])
    np.testing.assert_array_equal(loaded["stem"]["kernel"], params["stem"]["kernel"])
    model = fnet.sequential(head=bind(dense, units=3), body=FOUR)
    with pytest.raises(WeightsMismatch, match=r"missing: 'body/kernel \(at body/vars/0\)'.*not used by .*: 'branch/"):
        load_weights(file, model, fnet.init(model, 0, (None, 4)), (None, 4))
    model = fnet.sequential(body=FOUR)
    with pytest.warns(WeightsWarning, match="weights of 0 layers were loaded; kept as they were: body; in the file"):
        load_weights(file, model, fnet.init(model, 0, (None, 4)), (None, 4), by_name=True)


BLOCK = fnet.graph(
    {"first": (FOUR, "x"), "second": (FOUR, "first"), "norm": (fnet.layer_normalization, "second")},
    inputs="x",
    outputs="norm",
)


@pytest.mark.parametrize("listed", [True, False])
def test_subclasses_of_model_inside_one_of_keras_2_15(listed, tmp_path):
    """2.15 goes through the attributes from z to a, so what comes after `layers` is there by class: "block", "block_1".
    A model of fnet does not record that its graphs are of this class."""
    blocks = {"blocks": fnet.sequential(one=BLOCK, two=BLOCK)} if listed else {"block": BLOCK}
    model = fnet.sequential(stem=FOUR, **blocks, head=bind(dense, units=2))
    params = fnet.init(model, 0, (None, 4))
    place, expected = {"stem": "stem", "head": "layers/dense"}, {}
    for number, block in enumerate([("blocks", "one"), ("blocks", "two")] if listed else [("block",)]):
        home = f"layers/block_{number}" if number else "layers/block"
        for name, at in (("first", "layers/dense"), ("second", "second"), ("norm", "norm")):
            place["/".join((*block, name))] = f"{home}/{at}"
    with h5py.File(path := tmp_path / "m.weights.h5", "w") as file:
        for number, (path_in, leaf) in enumerate(tree.items(params)):
            expected[path_in] = np.full_like(leaf, number)
            at = "01"[path_in[-1] in ("bias", "beta")]
            file[f"{place['/'.join(path_in[:-1])]}/vars/{at}"] = expected[path_in]
    for path_in, leaf in tree.items(load_weights(path, model, params, (None, 4))):
        np.testing.assert_array_equal(leaf, expected[path_in], str(path_in))


def test_graphs_inside_a_subclass_of_model_are_not_taken_by_the_order_of_their_calls(tmp_path):
    """`__init__` may make them in another one, which alone is in a file of 2.15."""
    model = fnet.sequential(b=BLOCK, a=BLOCK, stem=FOUR)
    with h5py.File(path := tmp_path / "m.weights.h5", "w") as file:
        for home in ("layers/block/", "layers/block_1/"):
            for at in ("layers/dense", "second", "norm"):
                file[f"{home}{at}/vars/0"] = np.ones((4,) if at == "norm" else (4, 4))
                file[f"{home}{at}/vars/1"] = np.ones(4)
        file["stem/vars/0"], file["stem/vars/1"] = np.ones((4, 4)), np.ones(4)
    with pytest.raises(WeightsMismatch, match="not used by the model: 'layers/block"):
        load_weights(path, model, fnet.init(model, 0, (None, 4)), (None, 4))


@pytest.mark.parametrize("suffix", ["keras", "weights.h5"])
def test_automatic_names_of_another_session_do_not_matter(suffix, tmp_path):
    def made():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Dense(3)])

    first, again, x = made(), made(), draw(2, 3)
    first.save(path := tmp_path / f"m.{suffix}") if suffix == "keras" else first.save_weights(
        path := tmp_path / "w.weights.h5"
    )
    model, params = load_keras(again.to_json().encode(), weights=path)
    np.testing.assert_allclose(model(params, x), first(x), rtol=1e-5, atol=1e-6)
    config = json.loads(first.to_json())
    assert load_keras(json.dumps(first.get_config()).encode(), weights=path)[0] == from_keras(first)[0]
    layers = config["config"]["layers"]
    layers[1]["config"]["name"], layers[2]["config"]["name"] = (layers[at]["config"]["name"] for at in (2, 1))
    with pytest.raises(WeightsMismatch, match="belong to a layer named"):
        load_keras(json.dumps(config).encode(), weights=path)


def test_the_config_of_an_h5_serves_for_the_weights_of_a_keras_file(tmp_path):
    keras_model, x = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), draw(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for suffix in ("h5", "keras"):
            keras_model.save(tmp_path / f"m.{suffix}")
    for config, weights in (("h5", "keras"), ("keras", "h5")):
        model, params = load_keras(tmp_path / f"m.{config}", weights=tmp_path / f"m.{weights}")
        np.testing.assert_allclose(model(params, x), keras_model(x), rtol=1e-5)


def test_a_fault_of_a_layer_of_the_caller_is_not_told_as_one_of_the_file(tmp_path):
    @fnet.layer(shape=lambda x, y: (x, {}))
    def sums(params, x, y):
        return x + y

    x, layer = keras.Input((3,)), keras.layers.Lambda(lambda x: x[0] + x[1], name="sum", output_shape=(3,))
    for model in (keras.Model(x, layer([x, x])), keras.Sequential([x, layer])):
        model.save(tmp_path / "m.keras")
        with pytest.raises(ModelFileError, match=r"custom: the layer given for Lambda 'sum': .*does not take"):
            load_keras(tmp_path / "m.keras", custom={"sum": sums})


def test_floats_of_64_bits_are_read_as_the_32_of_the_layer():
    """Arrays written by hand are often float64, and Keras casts them."""
    kernel, bias = hostile.KERNEL / 3, hostile.BIAS / 3
    arrays = {"kernel": kernel.astype("float64") + 1e-12, "bias": bias.astype("float64")}
    whole = hostile.changed(**arrays)()
    legacy = hostile.legacy(None, [("dense", *((f"dense/{name}:0", array) for name, array in arrays.items()))])
    for data in (whole, legacy):
        _, params = load_keras(data)
        assert params["dense"]["kernel"].dtype == "float32"
        np.testing.assert_array_equal(params["dense"]["kernel"], arrays["kernel"].astype("float32"))


def test_a_model_that_is_shared_inside_another_loads_from_the_config_and_weights_of_keras_2_12(tmp_path):
    """One of two namings met the shared layers nowhere, which ended the search: the file was called inconsistent."""

    def functional(name, steps, **more):
        first = {"class_name": "InputLayer", "name": f"{name}_x", "inbound_nodes": []}
        first["config"] = {"name": f"{name}_x", "batch_input_shape": [None, 2], "dtype": "float32"}
        made = [first, *({**step, "inbound_nodes": [[[read, call, 0, {}]]]} for step, read, call in steps)]
        last = made[-1]["name"]
        ends = {
            "input_layers": [[f"{name}_x", 0, 0]],
            "output_layers": [[last, int("layers" in made[-1]["config"]), 0]],
        }
        return {"class_name": "Functional", "name": name, "config": {"name": name, "layers": made, **ends}, **more}

    def unit(name):
        return {"class_name": "Dense", "name": name, "config": {"name": name, "units": 2, "use_bias": False}}

    inner = functional("inner", [(unit("a"), "inner_x", 0)])
    outer = functional("outer", [(inner, "outer_x", 0), (unit("b"), "inner", 1)])
    config = functional("model", [(outer, "model_x", 0), ({**inner, "shared_object_id": 7}, "outer", 1)])
    (tmp_path / "model.json").write_text(json.dumps({**config, "keras_version": "2.12.0", "backend": "tensorflow"}))
    a, b = np.float32([[1, 2], [3, 4]]), np.float32([[5, 6], [7, 9]])
    place = "_layer_checkpoint_dependencies"
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file[f"{place}/functional/{place}/functional/{place}/dense/vars/0"] = a
        file[f"{place}/functional/{place}/dense/vars/0"] = b
    model, params = load_keras(tmp_path / "model.json", weights=tmp_path / "model.weights.h5")
    x = np.float32([[1, -1], [2, 5]])
    np.testing.assert_allclose(model(params, x), x @ a @ b @ a)
