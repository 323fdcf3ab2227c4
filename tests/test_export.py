"""ONNX and StableHLO: what is written computes the same, what cannot is refused; each conversion takes seconds."""

import re

import numpy as np
import pytest

import fnet
from fnet import ExportError, bind, cli, tree
from fnet.core import infer
from fnet.export.exactness import drawn, in_float64, verdicts
from fnet.export.programs import flat
from tests import exported, parity


def small():
    model = fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 4)),
        hidden=bind(fnet.dense, units=3, activation="relu"),
        scores=bind(fnet.dense, units=2),
    )
    return model, fnet.init(model, 0)


def test_a_model_in_float64_is_the_reference():
    model, params = small()
    x = drawn(fnet.Spec((None, 4)), 3)
    assert in_float64(model)(tree.map(np.float64, params), np.float64(x)).dtype == np.float64
    plain = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 4)), y=fnet.operations.exp)
    assert in_float64(plain)({}, np.float64(x)).dtype == np.float64
    (same,) = verdicts(model, params, x, model(params, x))
    assert same.holds
    assert 0 < same.error == same.own < 1e-6
    (other,) = verdicts(model, params, x, model(params, x) * np.float32(1.00001))
    assert not other.holds
    still = tree.map(np.zeros_like, params)
    for bias, off, holds in ((0, 1e-7, False), (0, 0, True), (1e-7, -2e-7, False)):  # nothing, and next to nothing
        still["scores"]["bias"] = np.full(2, bias, np.float32)
        assert verdicts(model, still, x, model(still, x) + np.float32(off))[0].holds is holds
    half = fnet.sequential(
        y=bind(fnet.reversible_embedding, input_dim=5, output_dim=4, reverse=True, reverse_dtype="float16")
    )
    table = {"y": {"embeddings": np.linspace(-1, 1, 20, dtype="float32").reshape(5, 4)}}
    (rounded,) = verdicts(half, table, x, half(table, x))
    assert 1e-5 < rounded.own < 1e-2  # against float64, although an option of the layer says float16
    (wrong,) = verdicts(model, params, x, model(params, x)[:1])
    assert wrong.error == float("inf")
    ids = fnet.sequential(y=bind(fnet.operations.argmax, axis=-1))
    place = np.argmax(x, -1).astype("int32")
    assert [verdicts(ids, {}, x, y)[0].error for y in (place, place + 1)] == [0, float("inf")]


@pytest.mark.slow
def test_what_counts_in_bins_is_exported_with_a_free_number_of_rows(tmp_path):
    options = {"tile_grid_size": (2, 2), "value_range": (0, 1)}
    model = fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 4, 6, 1)),
        y=bind(fnet.contrast_limited_adaptive_histogram_equalization, **options),
    )
    (one, three) = fnet.to_stablehlo(model, {}, tmp_path / "m.stablehlo")
    assert one.holds
    assert three.holds


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool", "object"])
def test_an_onnx_file_is_given_the_dtype_that_it_takes(dtype):
    onnx = pytest.importorskip("onnx")
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x, y = (onnx.helper.make_tensor_value_info(name, kind, [2]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
    program = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    given = np.array(["a", "\u00fc"]) if dtype == "object" else np.array([1, 0], "int8")
    (found,) = fnet.load_onnx(program.SerializeToString())(given)
    assert found.dtype == dtype
    assert found.tolist() == given.tolist()
    with pytest.raises(fnet.InvalidInput, match=r"takes 1 array\(s\), one for each input, in order; got 2"):
        fnet.load_onnx(program.SerializeToString())(given, given)
    for other, shown in ((np.array([2**40, 1]), 2**40), ([1, 2.5], r"2\.5"), (np.array([1, np.nan]), "nan")):
        if dtype in ("int32", "bool"):
            with pytest.raises(fnet.InvalidInput, match=f"takes {dtype}, which does not hold {shown} at"):
                fnet.load_onnx(program.SerializeToString())(other)
    if dtype != "object":
        jnp = pytest.importorskip("jax.numpy")
        assert fnet.load_onnx(program.SerializeToString())(jnp.asarray(given))[0].tolist() == given.tolist()
    if dtype == "int32":
        with pytest.raises(fnet.InvalidInput, match="takes int32: invalid literal"):
            fnet.load_onnx(program.SerializeToString())(np.array(["a", "b"]))


@pytest.mark.parametrize("load", [fnet.load_onnx, fnet.load_stablehlo])
def test_what_is_no_program_is_one_error(load, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "broken").write_bytes(b"x" * 40)
    for source in (b"", b"x" * 40, tmp_path / "broken"):
        with pytest.raises(fnet.InvalidInput, match="the program cannot be read: "):
            load(source)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(TypeError):
        load(3)


def test_a_shape_has_the_dtype_that_the_model_declares():
    ids, x = bind(fnet.input_layer, shape=(None, None), dtype="int32"), bind(fnet.input_layer, shape=(None, 3))
    one = fnet.sequential(ids=ids, y=bind(fnet.embedding, input_dim=4, output_dim=2))
    assert infer.inputs_of(one, ((None, 7),)) == fnet.Spec((None, 7), "int32")
    assert infer.inputs_of(one, (fnet.Spec((None, 7), "uint8"),)) == fnet.Spec((None, 7), "uint8")  # the caller says
    assert infer.inputs_of(one[1:], ((None, 7),)) == fnet.Spec((None, 7))
    shapes, specs = [(None, 7), (None, 3)], [fnet.Spec((None, 7), "int32"), fnet.Spec((None, 3))]
    several = fnet.graph(ids=ids, x=x, inputs=("ids", "x"), outputs=("ids", "x"))
    assert infer.inputs_of(several, tuple(shapes)) == infer.inputs_of(several, (tuple(shapes),)) == tuple(specs)
    named = fnet.graph(ids=ids, x=x, inputs={"b": "ids", "a": "x"}, outputs=("ids", "x"))
    assert infer.inputs_of(named, (dict(zip("ba", shapes, strict=True)),)) == dict(zip("ba", specs, strict=True))


def test_inputs_are_drawn_alike_at_each_call_and_take_their_names():
    takes = {"ids": fnet.Spec((None, None), "int32"), "x": fnet.Spec((None, 3))}
    first, again = drawn(takes, 2), drawn(takes, 2)
    assert first["ids"].shape == (2, 4)
    assert set(first["ids"].flat) == {0, 1}
    np.testing.assert_array_equal(first["x"], again["x"])
    model, params = small()
    _, specs, names = flat(model, params, fnet.infer(model, fnet.Spec((None, 4)))[0])
    assert (len(specs), names) == (1, ["x"])


def test_texts_are_refused_before_anything_is_imported(tmp_path):
    model = fnet.sequential(
        words=bind(fnet.input_layer, shape=(None,), dtype="string"), ids=bind(fnet.hashing, num_bins=3)
    )
    with pytest.raises(ExportError, match="takes strings"):
        fnet.to_onnx(model, {}, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_keras_files_and_says_what_suffixes_there_are(tmp_path, capsys, caplog):
    model, params = small()
    fnet.save(tmp_path / "m.safetensors", model, params)
    assert cli.main(["export", str(tmp_path / "m.safetensors"), str(tmp_path / "m.keras")]) == 0
    read, _ = fnet.load_keras(tmp_path / "m.keras")
    assert read == model
    assert cli.main(["export", str(tmp_path / "m.safetensors"), str(tmp_path / "m.bin")]) == 2
    assert ".onnx, .stablehlo, .keras" in caplog.text


def test_the_command_exports_with_a_size_for_free_axes(tmp_path, monkeypatch, caplog):
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    model = fnet.sequential(x=bind(fnet.input_layer, shape=(None, None, 2)), y=bind(fnet.lstm, units=3))
    params = fnet.init(model, 0)
    fnet.save("m.safetensors", model, params)
    assert cli.main(["export", "m.safetensors", "m.stablehlo"]) == 1
    hint = "that requires a constant; sizes are free here: give them, (None, 100, 3), or in a shell --size 100"
    assert caplog.text.endswith(f"{hint}\n")
    with pytest.raises(fnet.ExportError, match=re.escape(hint)):
        fnet.to_stablehlo(model, params, "m.stablehlo")
    assert cli.main(["export", "m.safetensors", "m.stablehlo", "--size", "4"]) == 0
    x = np.ones((5, 4, 2), "float32")
    parity.assert_close(fnet.load_stablehlo("m.stablehlo")(x)[0], model(params, x))
    for output, size in (("m.stablehlo", "0"), ("m.keras", "4")):
        assert cli.main(["export", "m.safetensors", output, "--size", size]) == 2


def test_the_page_of_exports_is_made_of_what_was_seen_and_has_every_layer():
    assert (exported.DOCS / "exports.md").read_text("utf-8") == exported.page()
    seen = exported.seen()
    assert [kind for kind in exported.WRITERS if not set(exported.cases()) <= set(seen[kind])] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", exported.WRITERS)
def test_what_the_page_of_exports_says_is_still_so(kind):
    pytest.importorskip("jax2onnx")
    seen = exported.seen()[kind]
    for name, (case, *_) in list(exported.cases().items())[::5]:
        refused = seen[name]["refused"]
        assert (exported.outcome(case, kind) == "yes") is not bool({case.id, "first row"} & set(refused)), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "layer",
    [
        "category_encoding",
        "conv3d_transpose",
        "discretization",
        "einsum_dense",
        "locally_connected1d",
        "max_pooling1d",
        "zero_padding2d",
    ],
)
def test_what_the_converter_to_onnx_lacks_is_said_in_other_words(layer):
    pytest.importorskip("jax2onnx")
    rows = [case for case in exported.cases()[layer] if len(case.shapes) > 1]
    assert [exported.outcome(case, "ONNX") for case in rows[:2]] == ["yes"] * len(rows[:2])


def image_model():
    return fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 8, 8, 1)),
        conv=bind(fnet.conv2d, filters=3, kernel_size=3, padding="same", activation="relu"),
        pool=fnet.max_pooling2d,
        norm=fnet.batch_normalization,
        mean=fnet.average_pooling2d,
        flat=fnet.flatten,
        scores=bind(fnet.dense, units=2, activation="softmax"),
    )


def text_model():
    return fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 6), dtype="int32"),
        words=bind(fnet.embedding, input_dim=7, output_dim=3, mask_zero=True),
        both=bind(fnet.bidirectional, layer=bind(fnet.lstm, units=4)),
        scores=bind(fnet.dense, units=2),
    )


def attention_model():
    return fnet.graph(
        x=bind(fnet.input_layer, shape=(None, 6, 4)),
        heads=(bind(fnet.multi_head_attention, num_heads=2, key_dim=3), ("x", "x")),
        sum=(fnet.add, ("x", "heads")),
        norm=(fnet.layer_normalization, "sum"),
        inputs="x",
        outputs="norm",
    )


def four_bit_model():
    return fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 5)),
        scores=bind(fnet.dense, units=3, quantization="int4_dynamic"),
    )


MODELS = {"images": image_model, "texts": text_model, "attention": attention_model, "int4": four_bit_model}


def test_a_program_is_read_from_a_path_and_from_bytes(tmp_path):
    model, params = small()
    assert all(verdict.holds for verdict in fnet.to_stablehlo(model, params, tmp_path / "m.stablehlo"))
    jax = pytest.importorskip("jax")
    program = pytest.importorskip("jax.export").deserialize(bytearray((tmp_path / "m.stablehlo").read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    x = drawn(fnet.Spec((None, 4)), 5)
    for source in (tmp_path / "m.stablehlo", str(tmp_path / "m.stablehlo"), (tmp_path / "m.stablehlo").read_bytes()):
        run = fnet.load_stablehlo(source)
        for (y,) in (run(x), jax.jit(run)(x)):
            assert verdicts(model, params, x, [np.asarray(y)])[0].holds


def test_arrays_of_jax_are_cast_to_integers_unseen_also_where_they_are_traced(tmp_path):
    jax = pytest.importorskip("jax")
    ids = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 2), dtype="int32"), y=fnet.identity)
    fnet.to_stablehlo(ids, {}, tmp_path / "m.stablehlo")
    run = fnet.load_stablehlo(tmp_path / "m.stablehlo")
    for call in (run, jax.jit(run)):
        assert call(jax.numpy.array([[1.5, 2]]))[0].tolist() == [[1, 2]]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_stablehlo_is_read_and_called_again(name, tmp_path):
    pytest.importorskip("jax")
    model = MODELS[name]()
    params = fnet.init(model, 0)
    found = fnet.to_stablehlo(model, params, tmp_path / "m.stablehlo")
    assert all(verdict.holds for verdict in found)
    x = drawn(fnet.core.infer.input_spec(model), 5)
    (y,) = fnet.load_stablehlo(tmp_path / "m.stablehlo")(x)
    assert all(verdict.holds for verdict in verdicts(model, params, x, [np.asarray(y)]))


@pytest.mark.slow
def test_an_onnx_file_has_the_version_of_the_operators_that_is_asked_for(tmp_path):
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("jax2onnx")
    model, params = small()
    for options, version in (({}, 21), ({"opset": 18}, 18)):
        fnet.to_onnx(model, params, tmp_path / "m.onnx", **options)
        assert [item.version for item in onnx.load(tmp_path / "m.onnx").opset_import if not item.domain] == [version]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_onnx_runs_in_onnx_runtime(name, tmp_path):
    pytest.importorskip("jax2onnx")
    model = MODELS[name]()
    params = fnet.init(model, 0)
    found = fnet.to_onnx(model, params, tmp_path / "m.onnx")
    assert all(verdict.holds for verdict in found)
    x = drawn(fnet.core.infer.input_spec(model), 5)
    assert all(v.holds for v in verdicts(model, params, x, fnet.load_onnx(tmp_path / "m.onnx")(x)))
