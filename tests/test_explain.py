"""`explain`: all that is refused at once, sizes and masks, from configs of golden files with parts changed."""

import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, cli
from fnet.core import infer
from params import CorruptFile, UnsupportedLayer
from params.explaining import refusals
from params.explaining.pictured import picture
from params.explaining.sizes import by_path, sizes
from params.store.keras_file import keras_bytes
from tests import hostile
from tests.golden.archives import FOLDER, config_in, files, golden, read
from tests.hostile import (
    dense_entry,
    dense_weights,
    input_entry,
    keras_zip,
    legacy,
    legacy_config,
    sequential_config,
)
from tests.hostile_sizes import NO_WEIGHTS, chain, packed


def config(name):
    return config_in(golden(f"{name}.keras"))


def file(value):
    """A `.keras` with this config and no arrays."""
    return keras_zip(value, NO_WEIGHTS)


def layer(value, name):
    return next(item for item in value["config"]["layers"] if item["config"]["name"] == name)


def steps(explanation):
    return {step.path: step for step in explanation.steps}


def test_a_model_that_loads_is_explained_without_its_weights():
    value = fnet.explain(file(config("cnn")))
    assert value.supported
    assert (value.keras_version, value.inputs, value.outputs) == (
        "3.15.1",
        "float32[None, 8, 8, 3]",
        "float32[None, 3]",
    )
    conv = steps(value)["conv2d"]
    assert (conv.keras, conv.output, conv.params) == ("Conv2D", "float32[None, 8, 8, 4]", 3 * 3 * 3 * 4 + 4)
    assert (conv.flops, conv.bytes) == (2 * 3 * 3 * 3 * 4 * 64, 4 * 64 * 4)
    assert conv.fnet.startswith("bind(conv2d, filters=4")
    _, params = fnet.load_keras(golden("cnn.keras"))
    assert value.params == sum(leaf.size for leaf in fnet.tree.leaves(params))


def test_the_arrays_of_a_file_are_not_read():
    assert fnet.explain(keras_zip(config("cnn"), b"no HDF5 at all")).supported


@pytest.mark.parametrize(("version", "policy"), [("2.15.0", "mixed_float16"), ("3.15.1", "float16")])
def test_the_dtype_policies_of_a_legacy_file_are_those_of_its_keras(version, policy):
    """The statistics of Keras 2 were float32 next to 16 bits; Keras 3 writes `.h5` files too."""
    norm = {"name": "norm", "trainable": True, "batch_input_shape": [None, 2], "dtype": "float16"}
    config = {"class_name": "Sequential", "config": [{"class_name": "BatchNormalization", "config": norm}]}
    ones = np.ones(2, policy.replace("mixed_float16", "float32"))
    arrays = [("norm", *((f"norm/{name}", ones) for name in ("gamma", "beta", "mean", "variance")))]
    data = legacy(config, arrays, lambda file: file.attrs.modify("keras_version", version))
    (explained,) = (step for step in fnet.explain(data).steps if step.keras == "BatchNormalization")
    assert (explained.policy, explained.fnet) == (policy, f"bind(batch_normalization, dtype='{policy}')")
    assert repr(fnet.load_keras(data)[0].steps[-1][1]) == explained.fnet


def test_shapes_that_a_model_of_several_inputs_was_built_for():
    own = {"module": "keras.layers", "registered_name": None}
    layers = [{**own, "class_name": "Concatenate", "config": {"name": "joined"}}]
    built = {**own, "module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    built["build_config"] = {"input_shape": [[None, 3], [None, 4]]}
    explained = fnet.explain(json.dumps(built).encode())
    assert (explained.inputs, explained.outputs) == ("float32[None, 3], float32[None, 4]", "float32[None, 7]")
    assert not explained.problems
    assert fnet.load_keras(keras_zip(built, NO_WEIGHTS))[0]({}, [np.ones((2, 3)), np.ones((2, 4))]).shape == (2, 7)
    del built["build_config"]
    message = "Sequential 's' was saved before it was built, so the shapes of its inputs are unknown"
    assert message in fnet.explain(json.dumps(built).encode()).problems[0]
    for weights, although in ((NO_WEIGHTS, ""), (dense_weights(), " although it holds 2 arrays")):
        with pytest.raises(UnsupportedLayer, match=f"{message}{although}; call it once, or begin with keras.Input"):
            fnet.load_keras(keras_zip(built, weights))
    config = legacy_config()
    del config["config"]["layers"][0]["config"]["batch_input_shape"]
    with pytest.raises(UnsupportedLayer, match=r"saved before it was built.* although it holds 2 arrays; call it once"):
        fnet.load_keras(legacy(config))


def test_shapes_of_inputs_with_names_that_a_model_was_built_for():
    layers = [{"module": None, "registered_name": "Own>Wider", "class_name": "Wider", "config": {"name": "wider"}}]
    built = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    built["build_config"] = {"input_shape": {"few": [None, 3], "many": [None, 4]}}
    wider = fnet.layer(shape=lambda x: (x["many"], {}), mask="drop")(lambda params, x: x["many"])
    found = fnet.explain(keras_zip(built, NO_WEIGHTS), custom={"Own>Wider": wider})
    assert (found.inputs, found.outputs) == ("float32[None, 3], float32[None, 4]", "float32[None, 4]")


def test_sizes_after_a_refused_layer_are_not_guessed():
    """Its output is in no file of Keras 2: its input was shown as its output, and parameters counted by that."""
    value = config("cnn")
    for entry in value["config"]["layers"]:
        entry.pop("build_config", None)
    layer(value, "re_lu")["class_name"] = "Fancy"
    found = fnet.explain(file(value))
    assert [p for p, step in steps(found).items() if step.output == "?"] == ["re_lu", "flatten", "dropout", "dense"]
    assert (steps(found)["dense"].params, steps(found)["dense"].status, found.outputs, found.held_bytes) == (
        *(None, "supported"), "?", None,
    )  # fmt: skip
    assert "dense" in str(found).partition("not counted, for their sizes are not in the configuration: ")[2]
    assert picture(file(value)).count('class="shape"') == len(found.steps) - 4


def test_all_that_is_refused_is_told_at_once():
    value = config("cnn")
    layer(value, "batch_normalization")["class_name"] = "Fancy"
    layer(value, "max_pooling2d")["config"]["padding"] = "circular"
    layer(value, "re_lu")["class_name"] = "Lambda"
    with pytest.raises(fnet.ModelFileError):
        fnet.load_keras(file(value))
    found = fnet.explain(file(value))
    assert not found.supported
    refused = [path for path, step in steps(found).items() if step.status == "refused"]
    assert refused == ["batch_normalization", "max_pooling2d", "re_lu"]
    assert [any(word in text for text in found.problems) for word in ("Fancy", "circular", "Lambda")] == [True] * 3
    assert len(found.problems) == 3
    assert steps(found)["dense"].output == "float32[None, 3]"  # what comes after is known, as the file tells shapes


def test_a_number_where_a_tensor_belongs_is_told_as_loading_tells_it():
    """What a refused layer is said to give was a number, without a dtype."""
    value = chain(2)
    value["config"]["layers"][2] = {**value["config"]["layers"][2], "class_name": "Add"}
    value["config"]["layers"][2]["inbound_nodes"][0]["args"].insert(0, -1)
    (problem,) = fnet.explain(packed(value)).problems
    assert "was called with -1 by position, which is not a tensor" in problem


def test_a_refused_layer_gives_what_the_file_says_of_it():
    value = config("merges")
    layer(value, "concatenate_2")["class_name"] = "Fancy"
    for tensor in layer(value, "multiply")["inbound_nodes"][0]["args"][0]:
        tensor["config"].update(shape=[None, 3, 12], keras_history=["concatenate_2", 0, 0])
    assert steps(fnet.explain(file(value)))["multiply"].output == "float32[None, 3, 12]"


def test_after_many_refused_calls_no_others_are_looked_for(monkeypatch):
    """The whole model was converted once more for each of them: 300, in 6 kB, took ten seconds."""
    rounds, convert = [], refusals.convert
    monkeypatch.setattr(refusals, "MOST", 100)
    monkeypatch.setattr(refusals, "convert", lambda *a, **k: rounds.append(a) or convert(*a, **k))
    value = chain(30)
    for entry in value["config"]["layers"][1:]:
        entry["inbound_nodes"][0]["kwargs"] = {"unknown": 1}
    found = fnet.explain(file(value))
    assert len(rounds) == 2 + 100 // 31
    assert len([step for step in found.steps if step.status == "refused"]) == 5
    assert found.problems[-1] == "5 layers are refused, and perhaps more: no others were looked for"


@pytest.mark.parametrize("inside", [False, True])
def test_the_layers_of_a_sequential_whose_inputs_do_not_fit_are_told_by_name(inside):
    layers = [hostile.entry("Conv2D", "conv", filters=2, kernel_size=[2, 2]), dense_entry()]
    if inside:
        layers = [{**sequential_config(), "config": {"name": "inner", "layers": layers}}]
    found = fnet.explain(file(sequential_config(input_entry(3), *layers)))
    (refused,) = [step for step in found.steps if step.status == "refused"]
    assert (refused.path, refused.keras) == ("inner/conv" if inside else "conv", "Conv2D")
    assert "Conv2D 'conv': conv2d takes 4 axes" in refused.note


def test_a_refused_layer_that_somebody_gives_a_function_for_is_none():
    value = config("cnn")
    layer(value, "re_lu")["class_name"] = "Lambda"
    assert not fnet.explain(file(value)).supported
    assert fnet.explain(file(value), custom={"re_lu": fnet.relu}).supported


def test_calls_are_looked_at_too():
    value = config("merges")
    layer(value, "concatenate_2")["inbound_nodes"][0]["kwargs"]["unknown"] = 3
    layer(value, "attention")["inbound_nodes"][0]["kwargs"]["other"] = 3
    found = fnet.explain(file(value))
    refused = {path: step.note for path, step in steps(found).items() if step.status == "refused"}
    assert list(refused) == ["concatenate_2", "attention"]
    assert all(word in note for word, note in zip(("'unknown'", "'other'"), refused.values(), strict=True))


def test_layers_of_models_in_models_are_named_by_their_path():
    value = config("cnn")
    inner = json.loads(json.dumps(value))
    inner["config"]["name"] = "block"
    inner["config"]["layers"] = inner["config"]["layers"][:3]
    layer(inner, "batch_normalization")["class_name"] = "Lambda"
    value["config"]["layers"][1:3] = [inner]
    found = fnet.explain(file(value))
    assert [step.path for step in found.steps if step.status == "refused"] == ["block/batch_normalization"]
    assert steps(found)["dense"].output == "float32[None, 3]"
    assert fnet.explain(file(value), custom={"block/batch_normalization": fnet.identity}).supported


HEADS = fnet.bind(fnet.multi_head_attention, num_heads=2, key_dim=3, value_dim=2)
GROUPED = fnet.bind(fnet.group_query_attention, head_dim=3, num_query_heads=2, num_key_value_heads=1)


@pytest.mark.parametrize(("attention", "kernels", "scores"), [
    (HEADS, 2 * (4 * 3 + 4 * 3 + 4 * 2 + 2 * 4), 2 * (3 + 2) * 7),
    (GROUPED, 4 * (2 * 3 + 3 + 3 + 2 * 3), 2 * (3 + 3) * 7),
])  # fmt: skip
def test_products_of_queries_keys_and_values_count(attention, kernels, scores):
    sources = {"query": "x", "value": "y"}
    x, y = (fnet.bind(fnet.input_layer, shape=(None, time, 4)) for time in (5, 7))
    model = fnet.graph({"x": x, "y": y, "attended": (attention, sources)}, inputs=("x", "y"), outputs="attended")
    found = fnet.explain(keras_bytes(model, fnet.init(model, 0)))
    assert steps(found)["attended"].flops == 2 * 5 * (kernels + scores)


@pytest.mark.parametrize(("step", "shape", "flops"), [
    (bind(fnet.conv2d, filters=4, kernel_size=3), (8, 9, 3), 2 * 27 * 4 * 6 * 7),
    (bind(fnet.conv2d, filters=4, kernel_size=3, data_format="channels_first"), (3, 8, 9), 2 * 27 * 4 * 6 * 7),
    (bind(fnet.conv2d_transpose, filters=4, kernel_size=3), (8, 9, 3), 2 * 27 * 4 * 8 * 9),
    (bind(fnet.lstm, units=2), (5, 3), 2 * 5 * 4 * (3 + 2) * 2),
    (bind(fnet.time_distributed, layer=bind(fnet.lstm, units=2)), (6, 5, 3), 2 * 6 * 5 * 4 * (3 + 2) * 2),
    (bind(fnet.conv_lstm2d, filters=2, kernel_size=3), (5, 8, 9, 3), None),
    (bind(fnet.dense, units=2), (None, 3), None),
    (bind(fnet.batch_normalization), (4, 3), 12),
    (bind(fnet.reshape, target_shape=(6,)), (2, 3), 0),
    (bind(fnet.dropout, rate=0.5), (4,), 0),
])  # fmt: skip
def test_operations_for_one_row(step, shape, flops):
    rows = by_path(infer.trace(fnet.sequential(a=step), fnet.Spec((None, *shape))))
    assert sizes(rows)["a"]["flops"] == flops


def test_masks_are_made_kept_used_and_lost():
    assert {path: step.mask for path, step in steps(fnet.explain(golden("cells.keras"))).items() if step.mask} == {
        "masking": "made", "rnn": "kept", "time_distributed": "kept", "bidirectional_1": "used",
    }  # fmt: skip


def test_old_files_say_which_rules_they_follow():
    found = fnet.explain(read(FOLDER / "keras-2.9.0.zip", "words.h5"))
    assert (found.keras_version, found.format) == ("2.9.0", "h5")
    assert steps(found)["text_vectorization"].age == {"encoding_dtype": "float32"}
    assert any("rules of an older Keras" in text and "text_vectorization" in text for text in found.unusual)


@pytest.mark.parametrize("version", ["3.15.1", pytest.param("2.9.0", marks=pytest.mark.slow)])
def test_golden_files_are_explained_as_they_load(version):
    for archive, name in files(f"keras-{version}.zip"):
        if not name.endswith((".keras", ".h5")) or name.endswith(".weights.h5"):
            continue
        found = fnet.explain(read(archive, name))
        try:
            _, params = fnet.load_keras(read(archive, name))
        except fnet.ModelFileError:
            assert not found.supported, name
            continue
        assert found.supported, name
        assert "?" not in [step.mask for step in found.steps]
        if not any(step.params is None for step in found.steps):
            assert found.params == sum(leaf.size for leaf in fnet.tree.leaves(params)), name
        json.dumps(found.as_dict(), allow_nan=False)


def test_weights_alone_and_broken_configs_are_typed_errors():
    with pytest.raises(UnsupportedLayer, match="weights but no model"):
        fnet.explain(golden("cnn.weights.h5"))
    for value in ({"class_name": "Sequential", "config": {"layers": 3}}, {"class_name": "Sequential", "config": []}):
        with pytest.raises(CorruptFile):
            fnet.explain(file(value))


def test_steps_of_a_nested_model_are_below_a_line_with_its_path():
    lines = str(fnet.explain(read(FOLDER / "teachable-machine.zip", "keras_model.h5"))).splitlines()
    at = lines.index("sequential/mobilenetv2_0.35_224/")
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["input_1", "Conv1", "bn_Conv1"]
    steps = [line for line in lines[4 : lines.index("", 4)] if not line.endswith("/")]
    assert len({len(line) for line in steps}) < 4  # in columns
    assert {line.startswith("  ") for line in steps} == {True, False}
    assert max(map(len, steps)) < 200  # as wide as what is in them, up to 44 each


def test_the_command_prints_a_page_or_json(tmp_path, capsys):
    (tmp_path / "cnn.keras").write_bytes(golden("cnn.keras"))
    assert cli.main(["explain", str(tmp_path / "cnn.keras")]) == 0
    page = capsys.readouterr().out
    assert page.startswith("cnn.keras: keras-zip, written by Keras 3.15.1; 10 layers and operations\n")
    assert "conv2d" in page
    assert "fnet runs this model." in page
    assert "not counted" not in page
    (tmp_path / "bad.keras").write_bytes(golden("refused_code.keras"))
    assert cli.main(["explain", str(tmp_path / "bad.keras"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["supported"] is False
    assert [step["status"] for step in told["steps"]] == ["supported", "refused"]


def test_no_family_of_functions_is_imported_that_the_file_does_not_use(tmp_path):
    (tmp_path / "cnn.keras").write_bytes(golden("cnn.keras"))
    code = f"import sys, fnet; fnet.explain({str(tmp_path / 'cnn.keras')!r}); print('fnet.tf_functions' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]
    )
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_resnet50_takes_less_than_a_second(tmp_path):
    import keras

    keras.applications.ResNet50(weights=None).save(tmp_path / "m.keras")
    seconds = []
    for _ in range(3):
        start = time.process_time()
        found = fnet.explain(tmp_path / "m.keras")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1
    assert found.params == 25_636_712
    assert 7.7e9 < found.flops < 7.8e9


def test_a_store_whose_model_does_not_fit_together_is_told_so():
    header = {"__metadata__": {
        "format": "fnet", "format_version": "1", "empty": "[]", "checksums": "{}", "labels": "null", "scale": "null",
        "model": json.dumps({"sequential": [
            ["x", {"bind": ["input_layer", [["shape", {"tuple": [None, 3]}]], None]}],
            ["inside", {"graph": [[["y", {"layer": "relu"}, {"at": ["a", 0]}, None]], "a", "y"]}]]}),
    }}  # fmt: skip
    text = json.dumps(header).encode()
    for look in (fnet.explain, picture):
        with pytest.raises(CorruptFile, match="does not fit together"):
            look(len(text).to_bytes(8, "little") + text)


def test_a_store_is_explained_from_its_header(tmp_path):
    path = tmp_path / "cnn.safetensors"
    model, params = fnet.load_keras(golden("cnn.keras"))
    fnet.save(path, model, params)
    data = path.read_bytes()
    cut = data[: 8 + int.from_bytes(data[:8], "little")]  # no arrays at all
    for source in (path, str(path), data, cut):
        value = fnet.explain(source)
        assert value.supported
        of_file = {step.path: step for step in fnet.explain(golden("cnn.keras")).steps}
        for step in value.steps:
            other = of_file[step.path]
            assert (step.keras, step.output, step.params, step.flops, step.policy, step.fnet) == (
                other.keras, other.output, other.params, other.flops, other.policy, other.fnet
            )  # fmt: skip
    assert str(value).startswith("the model file: fnet store 1; ")
    assert "labels:" not in str(value)
    fnet.save(path, model, params, labels=("cat", "dog", "owl"), scale=0.5)
    assert "labels: cat, dog, owl\ninputs are multiplied by 0.5 first\n" in str(fnet.explain(path))


def test_masks_of_a_store_are_those_of_its_file(tmp_path):
    model = fnet.load_keras(golden("rnn.keras"))
    fnet.save(tmp_path / "m.safetensors", *model)
    masks = {step.path: step.mask for step in fnet.explain(tmp_path / "m.safetensors").steps}
    assert masks == {step.path: step.mask for step in fnet.explain(golden("rnn.keras")).steps}
    assert {"made", "used"} <= set(masks.values())


def test_a_store_of_no_model_says_so(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2, "float32")}, tmp_path / "a.safetensors")
    with pytest.raises(CorruptFile, match=r"'a.safetensors': a .safetensors file that fnet.save did not write"):
        fnet.explain(tmp_path / "a.safetensors")


def test_a_store_whose_model_does_not_say_what_it_takes(tmp_path):
    fnet.save(tmp_path / "m.safetensors", fnet.sequential(d=fnet.bind(fnet.dense, units=2)), {"d": {}})
    (step,) = fnet.explain(tmp_path / "m.safetensors").steps
    assert (step.path, step.keras, step.params) == ("d", "Dense", None)


def test_calls_with_training_are_worth_a_look():
    value = config("activations")
    (call,) = layer(value, "gaussian_dropout")["inbound_nodes"]
    call["kwargs"]["training"] = True
    assert any("called with training=True: gaussian_dropout" in text for text in fnet.explain(file(value)).unusual)
    assert not any("training=True" in text for text in fnet.explain(file(config("activations"))).unusual)


def test_several_dtype_policies_are_worth_a_look():
    value = config("activations")
    layer(value, "dense_20")["config"]["dtype"] = "mixed_float16"
    assert "several dtype policies: float32, mixed_float16" in fnet.explain(file(value)).unusual
    assert not any("policies" in text for text in fnet.explain(file(config("activations"))).unusual)


def test_one_unit_of_softmax_and_a_newer_keras_are_worth_a_look():
    one, two = (sequential_config(input_entry(3), dense_entry(n, activation="softmax")) for n in (1, 2))
    for value, version, remarks in (
        (one, "3.15.9", ["softmax over one unit (dense) gives 1 for every row"]),
        (two, "3.16.0", ["written by a Keras newer than 3.15, the newest that fnet was tried on"]),
        (two, "3.15.9", []),
    ):
        data = keras_zip(value, NO_WEIGHTS, json.dumps({"keras_version": version}))
        assert list(fnet.explain(data).unusual) == remarks


def test_the_limits_of_a_layer_are_told_once():
    layers = [hostile.entry("RandomBrightness", name, factor=0.2) for name in "xy"]
    page = str(fnet.explain(file(sequential_config(input_entry(4, 4, 3), *layers))))
    assert page.count("\nlimits:\n- RandomBrightness: the identity at inference\n") == page.count("identity") == 1


MODELS = Path(__file__).parent.parent / "examples" / "models"


@pytest.mark.parametrize("name", ["cifar10-cnn", "nusax-lstm", "cnn.keras"])
def test_what_is_held_at_once_is_what_a_run_takes(name):
    """And no more: the working memory of a step (windows of a convolution, gates of an LSTM) comes on top."""
    source = golden(name) if name.endswith(".keras") else MODELS / f"{name}.safetensors"
    model, params = fnet.load_keras(source) if isinstance(source, bytes) else fnet.load(source)
    (spec,) = fnet.tree.leaves(fnet.core.infer.input_spec(model))
    x = np.array([["ramah"]], object) if spec.dtype == "string" else np.zeros((1, *spec.shape[1:]), "float32")
    model(params, x)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        model(params, x)
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    held = fnet.explain(source).held_bytes
    assert 0.9 * held <= taken <= 4 * held + 20_000


def test_what_is_held_at_once_is_counted(tmp_path):
    """A residual block: what goes past it is held, what it has used is not."""
    x = fnet.bind(fnet.input_layer, shape=(None, 10))
    wide, narrow = fnet.bind(fnet.dense, units=100), fnet.bind(fnet.dense, units=10)
    block = fnet.graph(
        x=x, a=(wide, "x"), b=(wide, "a"), c=(narrow, "b"), sum=(fnet.add, ("c", "x")), inputs="x", outputs="sum"
    )
    for model in (block, fnet.sequential(x=x, block=block, last=narrow)):  # what goes in is not counted
        fnet.save(tmp_path / "m.safetensors", model, fnet.init(model, 0))
        assert fnet.explain(tmp_path / "m.safetensors").held_bytes == 4 * (100 + 100)


def test_what_is_wrong_with_the_model_as_a_whole_is_one_problem():
    found = fnet.explain(packed(chain(3, close=True)))
    (problem,) = found.problems
    assert "calls that read each other in a circle: 'r0', 'r1', 'r2'" in problem
    assert not found.supported


def test_a_config_that_is_none_is_told_as_by_the_loader():
    data, said = keras_zip({"class_name": "Sequential", "config": 3}), []
    for function in (fnet.load_keras, fnet.explain):
        with pytest.raises(CorruptFile) as raised:
            function(data)
        said.append(str(raised.value))
    assert said == ["the model file: the config of Sequential is not an object but 3"] * 2
