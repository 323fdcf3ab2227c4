"""The store: saved models come back, a failing disk loses nothing, a broken file is a typed error."""

import contextlib
import json
import mmap
import os
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import save as pack

import fnet
import params
from fnet import at, bind, cli, constants, graph, layer, masked_by, operations, sequential, tree, writing
from fnet.core.rules import rules_of
from fnet.dtypes import FLOATS
from fnet.inference.device import is_value
from fnet.sklearn import FnetClassifier
from params.errors import CorruptFile, LimitExceeded, ModelFileError, UnsupportedLayer, WeightsMismatch
from params.file import containers
from params.store import records, safetensors
from tests.cases import all_cases
from tests.hostile import mistake

GOLDEN = Path(__file__).parent / "golden" / "version-1.safetensors"


def names(folder):
    return [path.name for path in folder.iterdir()]


def model_and_params():
    model = sequential({"in": bind(fnet.input_layer, shape=(None, 3)), "a/b~c": bind(fnet.dense, units=2)})
    return model, fnet.init(model, 0)


def assert_same(left, right):
    assert dict(tree.items(left)).keys() == dict(tree.items(right)).keys()
    for path, leaf in tree.items(left):
        other = tree.get(right, path)
        assert (other.dtype, other.shape) == (leaf.dtype, leaf.shape)
        np.testing.assert_array_equal(other, leaf)


def test_what_is_saved_comes_back(tmp_path):
    model, weights = model_and_params()
    path = tmp_path / "m.safetensors"
    params.save(path, model, weights, labels=["cat", "dög"], scale=1 / 255)
    again, loaded = params.load(path)
    assert again == model
    assert hash(again) == hash(model)
    assert_same(weights, loaded)
    assert all(not leaf.flags.writeable for leaf in tree.leaves(loaded))
    assert params.load_info(path) == {"format_version": 1, "labels": ["cat", "dög"], "scale": 1 / 255}
    assert names(tmp_path) == ["m.safetensors"]


def test_a_scale_may_be_a_number_of_numpy(tmp_path):
    params.save(tmp_path / "m", *model_and_params(), scale=np.float32(2))
    assert params.load_info(tmp_path / "m")["scale"] == 2


@pytest.mark.parametrize("name", ["m", "m.SAFETENSORS", "m.bin"])
def test_a_saved_file_is_known_whatever_its_name(name, tmp_path, capsys):
    x = bind(fnet.input_layer, shape=(None, 2))
    params.save(tmp_path / name, sequential(x=x, half=bind(fnet.rescaling, scale=0.5)), {}, labels=["a", "b"])
    assert fnet.verify(tmp_path / name).holds
    assert fnet.Predict(str(tmp_path / name))({"x": [[2, 4]]})["label"] == ["b"]
    assert FnetClassifier.trained(tmp_path / name).predict([[2, 4]]) == ["b"]
    assert cli.main(["summary", str(tmp_path / name)]) == 0


def test_without_labels_and_scale(tmp_path):
    params.save(str(tmp_path / "m"), *model_and_params())
    assert params.load_info(tmp_path / "m") == {"format_version": 1, "labels": None, "scale": None}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", ">f4", ">i2", "bool"])
def test_arrays_of_every_layout_come_back(tmp_path, dtype):
    base = np.arange(24).reshape(4, 6).astype(dtype)
    arrays = {
        "fortran": np.asfortranarray(base), "transposed": base.T, "sliced": base[::2, 1::3], "reversed": base[::-1],
        "broadcast": np.broadcast_to(base[0], (3, 6)), "scalar": base[0, 0], "empty": base[:0], "cube": base[None],
    }  # fmt: skip
    params.save(tmp_path / "m", fnet.dense, {"all": arrays, "none": {}, "deep": {"er": {}}})
    _, loaded = params.load(tmp_path / "m")
    assert loaded["none"] == {}
    assert loaded["deep"] == {"er": {}}
    for name, array in arrays.items():
        assert loaded["all"][name].dtype == np.asarray(array).dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded["all"][name], array)


def test_jax_arrays_are_saved_and_bfloat16_comes_back_as_float32(tmp_path):
    jnp = pytest.importorskip("jax.numpy")
    params.save(tmp_path / "m", fnet.dense, {"a": jnp.arange(4.0), "b": jnp.asarray([1.5, -2], "bfloat16")})
    _, loaded = params.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded["a"], np.arange(4, dtype="float32"))
    assert loaded["b"].dtype == np.float32
    np.testing.assert_array_equal(loaded["b"], [1.5, -2])
    assert all(map(is_value, tree.leaves(loaded)))


def test_every_layer_of_the_table_comes_back():
    for case in all_cases():
        assert through_json(case.step) == case.step, case.id


@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_are_the_bytes_of_the_file(tmp_path, monkeypatch, mapped):
    monkeypatch.setattr(containers, "MAP_FROM", 0 if mapped else 1 << 40)
    params.save(tmp_path / "m", *model_and_params())
    leaves = tree.leaves(params.load(tmp_path / "m")[1])
    assert {type(bytes_below(leaf)) for leaf in leaves} == {mmap.mmap if mapped else bytes}
    assert all(leaf.flags.aligned and is_value(leaf) for leaf in leaves)


def test_bytes_that_somebody_can_change_are_no_value():
    for data, value in ((b"1234", True), (bytearray(b"1234"), False), (memoryview(b"1234"), True)):
        array = np.frombuffer(data, "u1")
        array.flags.writeable = False
        assert is_value(array) is value
        assert is_value(array[1:]) is value


@pytest.mark.parametrize("block", [0, 1 << 12, 1 << 20])
def test_copies_hold_what_was_copied_and_nobody_can_change_them(monkeypatch, block):
    monkeypatch.setattr(constants, "BLOCK", block)
    monkeypatch.setattr(constants, "SMALL", 1 << 10)
    sizes, memory = [5000, 0, 1, 63, 64, 65, 300, 9000, 12], constants.Constants(14_000)
    numbers = [np.arange(size).astype("u1") for size in sizes]
    copies = [np.frombuffer(memory.copy(each.data), "u1") for each in numbers]
    for given, copy in zip(numbers, copies, strict=True):
        np.testing.assert_array_equal(copy, given)
        assert copy.flags.aligned
        assert is_value(copy)
        with pytest.raises(ValueError, match="WRITEABLE"):
            copy.flags.writeable = True
    if hasattr(mmap, "MADV_HUGEPAGE"):
        assert {type(bytes_below(copy)) for copy in copies} >= {constants._Block}


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="where Python says nothing of pages, bytes are copied")
@pytest.mark.parametrize("sizes", [(17, 4, 900, 65), (5 << 20, 3, 1000)])
def test_copies_begin_where_a_line_of_the_cache_does(sizes):
    memory = constants.Constants(sum(sizes) + 64 * len(sizes))
    copies = [np.frombuffer(memory.copy(memoryview(bytes(size))), "u1") for size in sizes]
    assert [copy.ctypes.data % 64 for copy in copies] == [0] * len(sizes)


def test_memory_that_its_owner_can_write_to_is_no_value():
    with mmap.mmap(-1, 64) as owned:
        view = memoryview(owned).toreadonly()
        array = np.frombuffer(view, "u1")
        assert not is_value(array)
        del array
        view.release()


def bytes_below(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj


def test_arrays_that_begin_anywhere_are_aligned():
    data = pack({"a": np.arange(3, dtype="f8")})
    size = int.from_bytes(data[:8], "little") + 1
    data = size.to_bytes(8, "little") + data[8 : 7 + size] + b" " + data[7 + size :]
    _, header, stored = safetensors.read(memoryview(data), params.Limits())
    ((_, _, array),) = safetensors.tensors(header, stored)
    assert array.flags.aligned
    assert array.tolist() == [0, 1, 2]


LAYERS = records.known_layers()
NAMES = {function: name for name, function in LAYERS.items()}


def through_json(value):
    return records.decode(json.loads(json.dumps(records.encode(value, NAMES), allow_nan=False)), LAYERS)


def test_graphs_come_back():
    inner = sequential(a=bind(fnet.dense, units=2), b=fnet.identity)
    model = graph(
        {
            "x": bind(fnet.input_layer, shape=(None, 4)),
            "h": (inner, "x"),
            "again": (inner, masked_by("h", "x"), "h"),
            "c": (fnet.identity, [{"k": ("h", at("again", 0, "key"))}, 2.5, None, slice(1, None, 2), ...]),
        },
        inputs={"in": "x"},
        outputs=["c", ("h",)],
    )
    assert through_json(model) == model
    assert repr(through_json(model)) == repr(model)


@pytest.mark.parametrize(
    "value", [float("inf"), -float("inf"), np.float32(0.5), np.int64(3), (1, [2, (3,)]), {"a": {1: "b"}}, True, ""]
)
def test_option_values_come_back(value):
    again = through_json(fnet.Bound(fnet.dense, tree.freeze({"activation": value})))
    as_python = value.item() if isinstance(value, np.generic) else value
    assert again == fnet.Bound(fnet.dense, tree.freeze({"activation": as_python}))
    assert through_json(again) == again


def test_nan_and_activation_functions_come_back():
    again = through_json(fnet.Bound(fnet.dense, tree.freeze({"activation": float("nan")})))
    assert np.isnan(again.options["activation"])
    relu = fnet.activation_functions.ACTIVATIONS["relu"]
    assert through_json(relu) is relu


def test_operations_are_known_by_their_own_names():
    names = [name for name in records.known_layers() if name.startswith("operations.")]
    assert names
    assert all(records.known_layers()[name] is getattr(operations, name.partition(".")[2]) for name in names)


@layer(shape=lambda x: (x, {}))
def twice(params, x):
    return 2 * x


def test_layers_of_ones_own_are_saved_by_name_and_given_to_load(tmp_path):
    model = sequential(mine=twice, too=bind(twice))
    for own in (model, sequential(too=bind(twice))):
        with pytest.raises(TypeError, match="twice is not a public layer of fnet"):
            params.save(tmp_path / "m", own, {})
    params.save(tmp_path / "m", model, {}, custom={"twice": twice})
    assert params.load(tmp_path / "m", custom={"twice": twice}) == (model, {})
    with pytest.raises(
        UnsupportedLayer,
        match=r"custom layer .*: give its function, load\(.*, --custom .*=FILE\.py:my_layer'? in a shell",
    ):
        params.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("tree_", "error", "match"),
    [
        ({"a": [np.zeros(2, "f4")]}, TypeError, "leaves are arrays"),
        ({"a": None}, TypeError, "is None; leave it out"),
        ({1: np.zeros(2, "f4")}, TypeError, "keys of params are names"),
        ({"": np.zeros(2, "f4")}, TypeError, "keys of params are names"),
        ({"a": np.zeros(2, complex)}, TypeError, "is complex128"),
        ({"a": np.array(["text"])}, TypeError, "saved are"),
    ],
)
def test_params_that_cannot_be_saved(tmp_path, tree_, error, match):
    with pytest.raises(error, match=match):
        params.save(tmp_path / "m", fnet.dense, tree_)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("own", "name", "writer"),
    [
        ("save", "m.keras", "fnet.to_keras"),
        ("save", "m.H5", "Keras"),
        ("save", "m.onnx", "fnet.to_onnx"),
        ("to_keras", "m.h5", "Keras"),
        ("to_onnx", "m.stablehlo", "fnet.to_stablehlo"),
        ("to_stablehlo", "m.safetensors", "fnet.save"),
    ],
)
def test_a_name_of_another_format_is_refused(tmp_path, own, name, writer):
    given = model_and_params()
    path = tmp_path / name
    with pytest.raises(
        ValueError, match=rf"^fnet\.{own} writes a \.\w+ file, and .* another format: {writer} writes it"
    ):
        fnet.save(path, *given) if own == "save" else getattr(fnet, own)(*given, path)
    assert names(tmp_path) == []


def test_other_arguments_that_cannot_be_saved(tmp_path):
    model, weights = model_and_params()
    for labels in ("cat", [1], {"cat": 0, "dog": 1}):
        with pytest.raises(ValueError, match="labels are a list of texts"):
            params.save(tmp_path / "m", model, weights, labels=labels)
    for labels in ([], ["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match=f"^{len(labels)} labels, but the model has 2 classes$"):
            params.save(tmp_path / "m", model, weights, labels=labels)
    numbers = sequential(x=bind(fnet.input_layer, shape=(None, 3)), mean=bind(fnet.operations.mean, axis=1))
    with pytest.raises(ValueError, match=r"^3 labels, but the model has 2 classes$"):
        params.save(tmp_path / "m", numbers, {}, labels=["a", "b", "c"])
    for scale in (float("nan"), np.float32("nan"), 10**400, 1j, "1", True):
        with pytest.raises(ValueError, match="scale is a finite number"):
            params.save(tmp_path / "m", model, weights, scale=scale)
    with pytest.raises(TypeError, match="'__metadata__' has the name that the format keeps"):
        params.save(tmp_path / "m", fnet.dense, {"__metadata__": np.zeros(1)})
    with pytest.raises(TypeError, match="cannot be saved"):
        params.save(tmp_path / "m", sequential(a=fnet.Bound(fnet.dense, tree.freeze({"units": object()}))), {})
    with pytest.raises(fnet.InvalidParams, match="missing"):
        params.save(tmp_path / "m", model, {})
    assert names(tmp_path) == []


def test_a_missing_file_or_folder_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        params.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        params.save(tmp_path / "none" / "m", *model_and_params())


def test_the_golden_file_of_version_1_still_loads():
    model, weights = params.load(GOLDEN)
    wanted = golden_model()
    assert model == wanted[0]
    assert_same(wanted[1], weights)
    assert params.load_info(GOLDEN) == {"format_version": 1, "labels": ["no", "yes"], "scale": 0.5}


def golden_model():
    """The model in the golden file, which was written by `params.save(GOLDEN, *golden_model(), ["no", "yes"], 0.5)`."""
    model = graph(
        {
            "tokens": bind(fnet.input_layer, shape=(None, 5), dtype="int32"),
            "e": (bind(fnet.embedding, input_dim=4, output_dim=2, mask_zero=True), "tokens"),
            "head/1": (sequential(a=bind(fnet.dense, units=2, activation="relu"), b=fnet.identity), "e"),
        },
        inputs="tokens",
        outputs={"y": "head/1", "e": ("e",)},
    )
    table = np.arange(8, dtype="float32").reshape(4, 2)
    head = {"a": {"kernel": np.eye(2, dtype="float32"), "bias": np.array([0.5, -1], "float32")}}
    return model, {"e": {"embeddings": table}, "head/1": head}


# --- a failing disk -------------------------------------------------------------------------------------------


def failing(monkeypatch, number, action):
    """Make the n-th call to the disk of a save fail. Returns the count of calls so far."""
    count = [0]

    def wrap(owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            count[0] += 1
            if count[0] == number:
                return action(real, name, *args, **kwargs)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for name in ("open", "write", "fsync", "close"):
        wrap(os, name)
    for name in ("replace", "read_bytes"):
        wrap(Path, name)
    return count


def no_space(real, name, *args, **kwargs):
    if name == "close":
        real(*args, **kwargs)
    raise OSError(28, f"no space left, in {name}")


def killed(real, name, *args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("action", [no_space, killed])
@pytest.mark.parametrize("existing", [True, False])
def test_whichever_call_fails_the_old_or_the_new_file_is_there_complete(tmp_path, monkeypatch, action, existing):
    monkeypatch.setattr(writing, "BLOCK", 512)
    model, old = model_and_params()
    new = tree.map(lambda leaf: leaf + 1, old)
    path = tmp_path / "m"
    for number in range(1, 100):
        path.unlink(missing_ok=True)
        if existing:
            params.save(path, model, old)
        with monkeypatch.context() as patch:
            count = failing(patch, number, action)
            try:
                params.save(path, model, new)
                failed = False
            except (OSError, KeyboardInterrupt):
                failed = True
        if path.exists():
            found = params.load(path)[1]
            assert_same(new if found["a/b~c"]["bias"][0] == 1 else old, found)
        else:
            assert failed
            assert not existing
        assert names(tmp_path) in ([], ["m"])
        if not failed:
            assert count[0] < number
            break
    assert number > 8


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda number, data: real(number, data[:100]))
    model, weights = model_and_params()
    params.save(tmp_path / "m", model, weights)
    assert_same(weights, params.load(tmp_path / "m")[1])


def test_a_disk_that_lies_is_noticed(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda number, data: real(number, bytes(len(data))))
    with pytest.raises(OSError, match="does not read back"):
        params.save(tmp_path / "m", *model_and_params())
    assert names(tmp_path) == []


def test_saving_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    params.save(tmp_path / "link", *model_and_params())
    assert (tmp_path / "link").is_symlink()
    assert params.load(tmp_path / "real")[0] == model_and_params()[0]


def test_where_folders_cannot_be_opened_they_are_not(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        writing._flush_folder(tmp_path / "no such folder")
    opened = []
    monkeypatch.setattr(writing.os, "name", "nt")
    monkeypatch.setattr(writing.os, "open", lambda *args: opened.append(args))
    writing._flush_folder(tmp_path / "no such folder")
    assert opened == []


def test_bytes_reach_the_disk_before_the_file_takes_its_name_and_the_name_after(tmp_path, monkeypatch):
    """After a power cut the old or the new file is there: that is what the order of these calls is for."""
    done, kinds = [], {}
    real_open, real_write, real_fsync, real_replace = os.open, os.write, os.fsync, Path.replace

    def opened(path, *args):
        number = real_open(path, *args)
        kinds[number] = "folder" if Path(path).is_dir() else "file"
        return number

    def noted(name, call):
        return lambda number, *args: (done.append(f"{name} {kinds[number]}"), call(number, *args))[1]

    monkeypatch.setattr(writing.os, "open", opened)
    monkeypatch.setattr(writing.os, "write", noted("write", real_write))
    monkeypatch.setattr(writing.os, "fsync", noted("fsync", real_fsync))
    monkeypatch.setattr(Path, "replace", lambda path, new: (done.append("replace"), real_replace(path, new))[1])
    params.save(tmp_path / "m", *model_and_params())
    assert done == ["write file", "fsync file", "replace", "fsync folder"]


# --- broken files ---------------------------------------------------------------------------------------------


def packed(model=None, weights=None, drop=(), **metadata):
    """The bytes of a saved file, with metadata replaced or dropped."""
    weights = {"w": np.arange(3, dtype="float32")} if weights is None else weights
    sums = {name: zlib.crc32(array.tobytes()) for name, array in weights.items()}
    whole = {
        "format": "fnet", "format_version": "1", "model": json.dumps(model or {"layer": "dense"}), "empty": "[]",
        "checksums": json.dumps(sums), "labels": "null", "scale": "null", **metadata,
    }  # fmt: skip
    return pack(weights, {key: text for key, text in whole.items() if key not in drop})


def step(*options):
    return {"bind": ["dense", list(options), None]}


def graph_of(*nodes, inputs="x", outputs="x"):
    return {"graph": [list(nodes), inputs, outputs]}


BROKEN_FILES = {
    "empty": (b"", CorruptFile, "not a complete"),
    "short": (packed()[:-4], CorruptFile, "not a valid"),
    "header too long": (b"\xff" * 16, CorruptFile, "not a complete"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", CorruptFile, "not a complete .*a Git LFS pointer"),
    "no metadata": (pack({"a": np.zeros(2)}), CorruptFile, "fnet.save did not write"),
    "another's": (pack({"a": np.zeros(2)}, {"format": "pt"}), CorruptFile, "fnet.save did not write"),
    "newer": (packed(format_version="2"), CorruptFile, "a newer one wrote it"),
    "no model": (packed(drop=["model"]), CorruptFile, "no model in its metadata"),
    "model no JSON": (packed(model=None, empty="{"), CorruptFile, "not JSON"),
    "empty no list": (packed(empty='{"a": 1}'), CorruptFile, "not a list of texts"),
    "checksums no dict": (packed(checksums="[]"), CorruptFile, "not an object"),
    "damaged": (packed()[:-1] + b"\x7f", CorruptFile, "'w' is damaged"),
    "tensor missing": (packed(checksums='{"w": 4, "v": 5}', weights={}), WeightsMismatch, "were written"),
    "twice": (packed(empty='["w"]'), CorruptFile, "appears twice"),
    "below an array": (
        packed(weights={"w": np.zeros(2, "f8"), "w/v": np.zeros(2, "f4")}), CorruptFile, "below|twice",
    ),
    "complex": (packed(weights={"w": np.zeros(2, "complex64")}), CorruptFile, "a tensor of"),
    "rank": (packed(weights={"w": np.zeros((1,) * 40, "f4")}), LimitExceeded, "rank 40"),
    "bool": (
        packed(weights={"w": np.array([2], "u1").view(bool)}), CorruptFile, "neither 0 nor 1",
    ),
    "model a number": (packed(model=3), CorruptFile, "the model is 3"),
    "model an activation": (packed(model={"activation": "relu"}), CorruptFile, "the model is"),
    "many layers": (
        packed(model={"sequential": [[str(n), {"layer": "relu"}] for n in range(12_001)]}), LimitExceeded, "12001 lay",
    ),
    "deep params": (packed(weights={"a/" * 3000 + "w": np.zeros(2, "f4")}), LimitExceeded, "lies 3000 deep"),
    "two keys": (packed(model={"a": 1, "b": 2}), CorruptFile, "exactly one"),
    "unknown kind": (packed(model={"eval": "1"}), CorruptFile, "not a kind of value"),
    "option missing": (
        packed(model={"sequential": [["i", {"bind": ["input_layer", [], None]}]]}), CorruptFile,
        "input_layer lacks the option 'shape'",
    ),
    "unknown layer": (packed(model={"layer": "os.system"}), UnsupportedLayer, "not a layer of this fnet"),
    "not public": (packed(model={"layer": "predict"}), UnsupportedLayer, "not a layer of this fnet"),
    "private": (packed(model={"layer": "__import__"}), UnsupportedLayer, "not a layer of this fnet"),
    "layer no text": (packed(model={"layer": ["dense"]}), UnsupportedLayer, "not a layer of this fnet"),
    "unknown option": (packed(model=step(["evil", 1])), CorruptFile, "no option"),
    "option twice": (packed(model=step(["units", 1], ["units", 2])), CorruptFile, "a key twice"),
    "option no pair": (packed(model=step(["units"])), CorruptFile, "not the list"),
    "option no list": (packed(model=step("units")), CorruptFile, "not the list"),
    "unhashable key": (packed(model=step([{"dict": 3}, 1])), CorruptFile, "not the list"),
    "policy": (packed(model={"bind": ["dense", [], "evil"]}), CorruptFile, "not a dtype policy"),
    "bind parts": (packed(model={"bind": ["dense"]}), CorruptFile, "not the list"),
    "options no list": (packed(model={"bind": ["dense", 3, None]}), CorruptFile, "not the list"),
    "float": (packed(model=step(["units", {"float": "1"}])), CorruptFile, "'1' is no float in a model"),
    "text": (packed(model=step(["units", {"text": 1}])), CorruptFile, "1 is no text in a model"),
    "activation": (packed(model=step(["activation", {"activation": "evil"}])), CorruptFile, "no activation"),
    "option no name": (packed(model=step([3, 1])), CorruptFile, "3 is not the name of an option"),
    "input shape": (packed(model={"bind": ["input_layer", [["shape", 3]], None]}), CorruptFile, "'shape' = 3"),
    "sequential twice": (
        packed(model={"sequential": [["a", {"layer": "dense"}]] * 2}), CorruptFile, "two steps are named",
    ),
    "sequential no step": (packed(model={"sequential": [["a", 3]]}), CorruptFile, "cannot be made"),
    "sequential no pair": (packed(model={"sequential": [3]}), CorruptFile, "not the list"),
    "graph parts": (packed(model={"graph": [[]]}), CorruptFile, "not the list"),
    "graph source": (packed(model=graph_of(["a", {"layer": "dense"}, "b", None])), CorruptFile, "cannot be made"),
    "graph input": (packed(model=graph_of(["x", {"layer": "dense"}, "x", None])), CorruptFile, "an input of the graph"),
    "graph name": (packed(model=graph_of([3, {"layer": "dense"}, "x", None])), CorruptFile, "name of a node"),
    "graph twice": (packed(model=graph_of(*[["a", {"layer": "dense"}, "x", None]] * 2)), CorruptFile, "twice"),
    "ref": (packed(model=graph_of(["a", {"layer": "dense"}, {"at": [3]}, None])), CorruptFile, "not an element"),
    "deep": (packed(model=None, empty="[" * 600 + "]" * 600), LimitExceeded, "nested deeper"),
}  # fmt: skip


HOLDERS = {
    **dict.fromkeys(("spectral_normalization", "bidirectional", "time_distributed"), "layer"),
    "rnn": "cell", "stacked_rnn_cells": "cells", "pipeline": "layers",
}  # fmt: skip
NO_LAYERS = [1.5, None, "dense", {"tuple": [1]}, {"tuple": [{"tuple": ["a", 3]}]}, {"dict": [["a", 3]]}]


def test_the_layers_that_hold_layers_are_known():
    assert {name for name in fnet.layers.__all__ if rules_of(getattr(fnet.layers, name)).children} == set(HOLDERS)


@pytest.mark.parametrize("value", NO_LAYERS, ids=str)
@pytest.mark.parametrize("name", HOLDERS)
def test_what_is_no_layer_in_a_layer_is_a_typed_error(tmp_path, name, value):
    (tmp_path / "m").write_bytes(packed(model={"bind": [name, [[HOLDERS[name], value]], None]}))
    with pytest.raises(CorruptFile, match="cannot be made"):
        params.load(tmp_path / "m")


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_files_are_typed_errors(tmp_path, name):
    data, error, match = BROKEN_FILES[name]
    (tmp_path / "m").write_bytes(data)
    with pytest.raises(error, match=match) as caught:
        params.load(tmp_path / "m")
    assert str(caught.value).startswith("'m': ")
    assert len(str(caught.value)) <= 400
    assert not mistake(caught.value)


@pytest.mark.parametrize("metadata", [{"labels": "Infinity"}, {"labels": "[1]"}, {"scale": '"x"'}, {"scale": "1e999"}])
def test_broken_info_is_a_typed_error(tmp_path, metadata):
    (tmp_path / "m").write_bytes(packed(**metadata))
    with pytest.raises(CorruptFile):
        params.load_info(tmp_path / "m")


def test_duplicate_keys_in_the_header_are_refused(tmp_path):
    data = packed()
    header = data[8 : 8 + int.from_bytes(data[:8], "little")].rstrip()
    tensor = header[header.index(b'"w"') : -1]
    header = header[:-1] + b"," + tensor + b"}"
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + data[-12:])
    with pytest.raises(CorruptFile, match="twice"):
        params.load(tmp_path / "m")


def test_a_keras_file_is_named(tmp_path):
    for begin in (b"PK\3\4", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "m").write_bytes(begin + bytes(99))
        with pytest.raises(CorruptFile, match="it is a zip or HDF5, as the files of Keras are: load_keras reads those"):
            params.load(tmp_path / "m")


def test_params_of_another_shape_are_refused(tmp_path):
    model, _ = model_and_params()
    (tmp_path / "m").write_bytes(packed(model=records.encode(model, NAMES)))
    with pytest.raises(WeightsMismatch, match="missing"):
        params.load(tmp_path / "m")


@pytest.mark.parametrize("shape", [3, None])
def test_a_model_that_does_not_fit_together_is_refused(tmp_path, shape):
    wrong = {"sequential": [["i", {"bind": ["input_layer", [["shape", shape]], None]}]]}
    (tmp_path / "m").write_bytes(packed(model=wrong))
    for read in (params.load, fnet.explain):
        with pytest.raises(CorruptFile, match="does not fit together"):
            read(tmp_path / "m")


def test_a_file_beyond_the_limits_is_refused(tmp_path):
    params.save(tmp_path / "m", *model_and_params())
    with pytest.raises(LimitExceeded, match=r"Limits\.total"):
        params.load(tmp_path / "m", limits=params.Limits(total=100))
    with pytest.raises(LimitExceeded, match=r"Limits\.config"):
        params.load_info(tmp_path / "m", limits=params.Limits(config=100))


def mutants(data, count, seed):
    """Copies of `data` with a few bytes changed, cut or put in."""
    random = np.random.default_rng(seed)
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(0, header if random.random() < 0.8 else len(mutant)))
            kind = random.integers(0, 4)
            if kind < 2:
                mutant[place] = random.integers(0, 256)
            elif kind == 2:
                del mutant[place : place + int(random.integers(1, 20))]
            else:
                mutant[place:place] = data[int(random.integers(0, header)) :][:15]
        yield bytes(mutant)


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_mutants_load_or_are_typed_errors(tmp_path, count):
    data = GOLDEN.read_bytes()
    path = tmp_path / "m"
    for mutant in mutants(data, count, seed=count):
        path.write_bytes(mutant)
        with contextlib.suppress(ModelFileError):
            params.load(path)


def headers():
    """Headers of 8 bytes of tensors, right and wrong."""
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    half = {**good, "shape": [1]}
    yield from (
        {"a": good},
        {"a": {**good, "dtype": "F64", "shape": []}},
        {"a": {**good, "dtype": "U8", "shape": [2, 4]}},
    )
    yield {"b": {**half, "data_offsets": [4, 8]}, "a": {**half, "data_offsets": [0, 4]}, "__metadata__": {"a": "b"}}
    yield {"a": good, "b": {**good, "shape": [0], "data_offsets": [8, 8]}}
    yield {"a": {**good, "shape": [0, 3], "data_offsets": [0, 0]}, "b": good}
    for key, values in {
        "dtype": ["F8_E4M3", "F4", "C64", "float32", "", None, 1, ["F32"]],
        "shape": [[1], [3], [-2], [2.0], [True, 2], ["2"], [[2]], 2, None, {}, [1 << 62, 2], [1 << 63, 1 << 63], [0]],
        "data_offsets": [
            [0, 4], [0, 9], [-8, 0], [8, 0], [4, 12], [0, 8, 8], [8], [], None, "08", [0.0, 8], [False, 8], [1 << 64],
        ],
    }.items():  # fmt: skip
        yield from ({"a": {**good, key: value}} for value in values)
        yield {"a": {name: value for name, value in good.items() if name != key}}
    yield from ({"a": value} for value in (None, [], "F32", ["F32", [2], [0, 8]], {**good, "more": 1}))
    yield from ({"a": good, "b": good}, {}, {"a": half}, {"a": half, "b": {**half, "data_offsets": [2, 6]}})
    yield {"a": half, "b": {**half, "shape": [0], "data_offsets": [4, 4]}, "c": {**half, "data_offsets": [3, 7]}}
    yield from ({"__metadata__": value, "a": good} for value in ({"a": 1}, [], "a", {"a": None}, {"a": {}}))


def test_what_is_read_is_what_the_library_reads_and_no_more():
    accepted = 0
    for header in headers():
        text = json.dumps(header).encode()
        data = len(text).to_bytes(8, "little") + text + bytes(range(8))
        try:
            _, entries, stored = safetensors.read(memoryview(data), params.Limits())
            arrays = {name: (bytes(part), array) for name, part, array in safetensors.tensors(entries, stored)}
        except ModelFileError:
            continue
        accepted += 1
        reference = dict(deserialize(data))
        assert arrays.keys() == reference.keys()
        for name, (part, array) in arrays.items():
            assert part == reference[name]["data"]
            assert (list(array.shape), array.tobytes()) == (reference[name]["shape"], part)
    assert accepted == 6


def test_neither_saving_nor_loading_needs_the_library(tmp_path):
    code = (
        "import sys; sys.modules['safetensors'] = None; import fnet; "
        f"fnet.save({str(tmp_path / 'm')!r}, *fnet.load({str(GOLDEN)!r})); print(fnet.load_info({str(GOLDEN)!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=GOLDEN.parents[2])
    assert_same(params.load(GOLDEN)[1], params.load(tmp_path / "m")[1])


def saved_as(model, weights, **metadata):
    """The bytes of a file with a model text or arrays that `save` would refuse, for the checks at load."""
    return packed(model=records.encode(model, {f: n for n, f in reversed(records.known_layers().items())}),
                  weights=weights, **metadata)  # fmt: skip


DENSE = sequential(x=bind(fnet.input_layer, shape=(None, 3)), d=bind(fnet.dense, units=2, use_bias=False))
WRONG_ARRAYS = {
    "float64": np.ones((3, 2)),
    "int32": np.ones((3, 2), "int32"),
    "float16": np.ones((3, 2), "float16"),
    "bool": np.ones((3, 2), bool),
    "NaN": np.full((3, 2), np.nan, "float32"),
    "infinity": np.full((3, 2), np.inf, "float32"),
    "transposed": np.ones((2, 3), "float32"),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_arrays_that_load_keras_refuses_are_refused(tmp_path, name):
    (tmp_path / "m").write_bytes(saved_as(DENSE, {"d/kernel": WRONG_ARRAYS[name]}))
    with pytest.raises(WeightsMismatch, match="d/kernel"):
        params.load(tmp_path / "m")
    with pytest.raises(fnet.InvalidParams, match="d/kernel"):
        fnet.check(DENSE, {"d": {"kernel": WRONG_ARRAYS[name]}})
    for other in (np.ones((3, 2), complex), np.full((3, 2), "a"), [[1.0] * 2] * 3):
        with pytest.raises(fnet.InvalidParams, match="d/kernel"):
            fnet.check(DENSE, {"d": {"kernel": other}})


def test_only_a_constant_of_a_graph_may_be_infinite(tmp_path):
    offset = (bind(fnet.constant, shape=(1, 2)), ())
    nodes = {"offset": offset, "value": (bind(fnet.dense, units=2), "x"), "y": (fnet.add, ("value", "offset"))}
    model = fnet.graph(nodes, inputs="x", outputs="y")
    kernel, mask = np.ones((3, 2), "float32"), np.array([[0, -np.inf]], "float32")
    weights = {"value": {"kernel": kernel, "bias": np.zeros(2, "float32")}, "offset": {"value": mask}}
    fnet.check(model, weights, (None, 3))
    params.save(tmp_path / "m", model, weights)
    with pytest.raises(fnet.InvalidParams, match="value/kernel: holds NaN or infinity"):
        fnet.check(model, {**weights, "value": {**weights["value"], "kernel": kernel * np.inf}}, (None, 3))


@pytest.mark.parametrize("policy", [*FLOATS, "mixed_float16", "mixed_bfloat16"])
def test_every_dtype_policy_is_saved(policy, tmp_path):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 3)), d=bind(fnet.dense, units=2, dtype=policy))
    params.save(tmp_path / "m", model, fnet.init(model, 0))
    assert params.load(tmp_path / "m")[0] == model


def test_a_negative_variance_is_refused(tmp_path):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 3)), n=fnet.batch_normalization)
    weights = fnet.init(model, 0)
    weights["n"]["moving_variance"] = np.array([1, -1, 1], "float32")
    with pytest.raises(fnet.InvalidParams, match="n/moving_variance: holds a negative variance"):
        params.save(tmp_path / "m", model, weights)


@pytest.mark.parametrize("option", [("activation", "swosh"), ("units", 0), ("units", "2"), ("units", -1)])
def test_the_option_of_a_wrong_value_is_named(tmp_path, option):
    step = {"bind": ["dense", [["units", 2], list(option)] if option[0] != "units" else [list(option)], None]}
    model = {"sequential": [["x", {"bind": ["input_layer", [["shape", {"tuple": [None, 3]}]], None]}], ["d", step]]}
    (tmp_path / "m").write_bytes(packed(model=model))
    with pytest.raises(CorruptFile, match=f"dense: the option '{option[0]}' = {option[1]!r}.*in 'd'"):
        params.load(tmp_path / "m")


@pytest.mark.parametrize("key", ["checksums", "labels", "scale", "empty"])
@pytest.mark.parametrize("text", ["null", "5", "[]", "{}", '"a"', "true", '[{"a": 1}]', '{"w": null}', "[[]]", "1.5"])
def test_metadata_of_any_kind_are_typed_errors_or_load(tmp_path, key, text):
    (tmp_path / "m").write_bytes(packed(**{key: text}))
    for load in (params.load, params.load_info):
        with contextlib.suppress(ModelFileError):
            load(tmp_path / "m")


def test_a_saved_vocabulary_is_held_to_what_keras_takes(tmp_path):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="string"), s=fnet.string_lookup)
    good = fnet.pack_strings(["[UNK]", "a", "b"])
    params.save(tmp_path / "m", model, {"s": {"vocabulary": good}})
    assert params.load(tmp_path / "m")[0] == model
    for table in (
        fnet.pack_strings(["[UNK]", "a", "a"]),
        {**good, "offsets": np.array([0, 5, 2, 7])},
        {**good, "offsets": np.array([0, 5, 6, 10**9])},
        {**good, "offsets": np.array([1, 5, 6, 7])},
    ):
        weights = {f"s/vocabulary/{key}": array for key, array in table.items()}
        (tmp_path / "m").write_bytes(saved_as(model, weights))
        with pytest.raises(ModelFileError, match=r"vocabulary|table"):
            params.load(tmp_path / "m")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_are_looked_at_also_where_the_model_does_not_say_what_it_takes(tmp_path, value):
    model, weights = bind(fnet.dense, units=1), {"kernel": np.float32([[value]]), "bias": np.zeros(1)}
    with pytest.raises(WeightsMismatch, match="'kernel' holds"):
        params.save(tmp_path / "m", model, weights)
    (tmp_path / "m").write_bytes(saved_as(model, weights))
    with pytest.raises(WeightsMismatch, match="'kernel' holds"):
        params.load(tmp_path / "m")


def test_a_header_beyond_the_limits_is_not_copied():
    size = 8 << 20
    data = memoryview(size.to_bytes(8, "little") + b"{" + b" " * (size - 1))
    tracemalloc.start()
    with pytest.raises(LimitExceeded, match="the header has"):
        safetensors.read(data, containers.Limits(config=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size // 8
