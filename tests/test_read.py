"""`read`: every container and layout that Keras and h5py write, in place and within limits."""

import io
import json
import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from fnet.inference import schedule
from params import CorruptFile, LimitExceeded, Limits, UnsafeFile, WeightsMismatch, errors, load_keras
from params.file import containers, hdf5
from params.file.model_file import StoredArray
from params.file.reading import opened, read
from params.file.strict_json import parse
from tests import hostile
from tests.hostile import BIAS, KERNEL, dense_vars, h5, keras_zip, legacy

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's save

LIBVERS = (None, ("earliest", "v108"), ("v108", "v108"), ("v110", "v110"), "latest")


def folder(tmp_path, **parts):
    """A `.keras` as a folder."""
    root = tmp_path / "model"
    root.mkdir()
    files = {"config.json": hostile.text(hostile.dense_config()), "metadata.json": hostile.METADATA, **parts}
    files.setdefault("model.weights.h5", hostile.dense_weights())
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def assert_dense(file):
    group = file.arrays.groups["layers/dense"]
    kernel, bias = group.arrays
    assert (group.name, group.named) == ("dense", {})
    assert (kernel.place, kernel.shape, kernel.dtype) == ("layers/dense/vars/0", (3, 2), "float32")
    np.testing.assert_array_equal(kernel.load(), KERNEL)
    np.testing.assert_array_equal(bias.load(), BIAS)
    assert not kernel.load().flags.writeable
    assert kernel.load().flags.c_contiguous
    assert kernel.load().flags.aligned


# --- containers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [0, 8])
@pytest.mark.parametrize("how", ["bytes", "bytearray", "memoryview", "path", "text", "file", "buffer"])
def test_a_keras_file_is_read_from_any_source(tmp_path, how, method):
    data = keras_zip(method=method)
    path = tmp_path / "m.keras"
    path.write_bytes(data)
    with path.open("rb") as handle:
        source = {
            "bytes": data, "bytearray": bytearray(data), "memoryview": memoryview(data), "path": path,
            "text": str(path), "file": handle, "buffer": io.BytesIO(data),
        }[how]  # fmt: skip
        file = read(source)
    assert (file.format, file.keras_version) == ("keras-zip", "3.15.1")
    assert file.label == ("'m.keras'" if how in ("path", "text", "file") else "the model file")
    assert file.config == hostile.dense_config()
    assert_dense(file)


def test_a_large_file_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAP_FROM", 100)
    path = tmp_path / "m.keras"
    path.write_bytes(keras_zip())
    file = read(path)
    with path.open("rb") as handle:
        assert_dense(read(handle))
    path.unlink()
    assert_dense(file)


def test_a_file_is_read_from_where_it_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAP_FROM", 100)
    path = tmp_path / "m"
    path.write_bytes(b"before" + keras_zip())
    with path.open("rb") as handle:
        handle.seek(6)
        assert_dense(read(handle))


def test_a_folder_is_read(tmp_path):
    words = {"assets/layers/lookup/vocabulary.txt": "a\nb", "assets/readme.txt": "x", "README.md": "x"}
    file = read(folder(tmp_path, **words))
    assert (file.format, file.keras_version, file.label) == ("keras-dir", "3.15.1", "'model'")
    assert file.assets == {"layers/lookup/vocabulary.txt": b"a\nb"}
    assert_dense(file)


def test_a_folder_in_a_cache_of_the_hub_is_read(tmp_path):
    root = folder(tmp_path)
    (tmp_path / "cache" / "snapshots").mkdir(parents=True)
    (tmp_path / "cache" / "blobs").mkdir()
    for path in root.iterdir():
        blob = tmp_path / "cache" / "blobs" / path.name
        path.rename(blob)
        path.symlink_to(blob)
    root = root.rename(tmp_path / "cache" / "snapshots" / "abc")
    assert_dense(read(root))


def test_a_folder_with_a_link_to_elsewhere_is_refused(tmp_path):
    root = folder(tmp_path)
    (root / "config.json").rename(tmp_path / "elsewhere.json")
    (root / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UnsafeFile, match="a link to a file outside"):
        read(root)


def test_an_incomplete_folder_is_refused(tmp_path):
    with pytest.raises(CorruptFile, match=r"no config\.json"):
        read(tmp_path)


def test_vocabularies_are_bounded():
    file = read(keras_zip(members=[("assets/a/vocabulary.txt", "x" * 50), ("assets/other.txt", "y")]))
    assert file.assets == {"a/vocabulary.txt": b"x" * 50}
    members = [("assets/a/vocabulary.txt", "x" * 50), ("assets/b/vocabulary.txt", "x" * 51)]
    with pytest.raises(LimitExceeded, match="has 51 bytes; 50 are allowed"):
        read(keras_zip(members=members), Limits(vocabulary=100))


def test_two_equal_copies_of_a_vocabulary_are_fine():
    names = ("assets/t/vocabulary.txt", "assets/t/_lookup_layer/vocabulary.txt")
    assert len(read(keras_zip(members=[(name, "a\u2028\nb") for name in names])).assets) == 2


def test_metadata_may_be_missing():
    config = json.dumps(hostile.dense_config())
    data = hostile.zip_of(("config.json", config), ("model.weights.h5", hostile.dense_weights()), ("assets/", ""))
    assert read(data).keras_version is None


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.keras")
    with pytest.raises(TypeError, match="path, bytes or a binary file object, not int"):
        read(3)
    with pytest.raises(TypeError, match="binary mode"):
        read(io.StringIO("x"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorruptFile, match="neither a regular file nor a folder"):
        read(tmp_path / "pipe")
    number, other = os.pipe()
    os.close(other)
    with os.fdopen(number, "rb") as pipe, pytest.raises(CorruptFile, match="the file is empty"):
        read(pipe)


def test_sizes_are_limited(tmp_path):
    data = keras_zip()
    (tmp_path / "m").write_bytes(data)
    for source in (data, tmp_path / "m", io.BytesIO(data)):
        with pytest.raises(LimitExceeded, match=r"Limits\.total"):
            read(source, Limits(total=len(data) - 1))
    with pytest.raises(LimitExceeded, match="allowed"):
        read(data, Limits(config=10))
    with pytest.raises(LimitExceeded, match=r"35 bytes; `Limits\.config` allows 34"):
        read(b'{"class_name": "Dense", "config":{}', Limits(config=34))
    with pytest.raises(LimitExceeded, match="members in the zip"):
        read(data, Limits(steps=2))
    with pytest.raises(LimitExceeded, match=r"Limits\.config"):
        read(legacy(), Limits(config=250))
    with pytest.raises(LimitExceeded, match="more text than any model needs"):
        read(legacy(), Limits(config=1))
    assert_dense(read(data, Limits(total=len(data))))


# --- layouts --------------------------------------------------------------------------------------------------


def test_weights_alone_are_read():
    file = read(hostile.dense_weights())
    assert (file.format, file.config, file.keras_version) == ("weights-h5", None, None)
    assert_dense(file)


def test_arrays_come_in_the_order_of_numbers_and_named_ones_apart():
    def write(file):
        group = file.create_group("layers/many/vars")
        for number in reversed(range(12)):
            group.create_dataset(str(number), data=np.float32(number))
        group.create_dataset("idf_weights", data=BIAS)
        file.create_group("layers/none/vars")
        file.create_group("vars")
        file.create_group("optimizer/vars").create_dataset("0", data=np.full(3, b"text"))
        dense_vars(file, path="optimizer/dense")

    groups = read(h5(write)).arrays.groups
    assert set(groups) == {"layers/many", "layers/none", ""}
    assert [float(array.load()) for array in groups["layers/many"].arrays] == list(range(12))
    assert list(groups["layers/many"].named) == ["idf_weights"]
    assert groups["layers/none"].name is None


def test_a_missing_number_is_noticed():
    def write(file):
        dense_vars(file)
        file.move("layers/dense/vars/0", "layers/dense/vars/2")

    with pytest.raises(WeightsMismatch, match="some are missing"):
        read(h5(write))


TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f2", ">f4", ">f8", ">i4", ">u8"]


@pytest.mark.parametrize("libver", LIBVERS)
def test_every_type_and_storage_is_read(libver):
    chunks = (50, 40) if libver in ("latest", ("v110", "v110")) else (7, 30)
    storages = {
        "plain": {}, "chunked": {"chunks": chunks}, "gzip": {"chunks": chunks, "compression": "gzip"},
        "all": {"chunks": chunks, "compression": 9, "shuffle": True, "fletcher32": True},
        "sum": {"chunks": chunks, "fletcher32": True}, "shuffle": {"chunks": chunks, "shuffle": True},
    }  # fmt: skip
    wanted = {}

    def write(file):
        group = file.create_group("layers/x/vars")
        for kind in TYPES:
            for name, storage in storages.items():
                array = (np.arange(2000).reshape(50, 40) % 120).astype(kind)
                wanted[f"{kind} {name}".replace(">", "big ")] = array
                group.create_dataset(f"{kind} {name}".replace(">", "big "), data=array, **storage)
            wanted[f"{kind} scalar"] = np.ones((), kind)
            wanted[f"{kind} empty"] = np.ones((0, 3), kind)
            for name in ("scalar", "empty"):
                group.create_dataset(f"{kind} {name}", data=wanted[f"{kind} {name}"])

    named = read(h5(write, **({} if libver is None else {"libver": libver}))).arrays.groups["layers/x"].named
    assert set(named) == set(wanted)
    for name, array in wanted.items():
        found = named[name].load()
        assert found.dtype == array.dtype.newbyteorder("=")
        assert named[name].dtype == found.dtype.name
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("libver", LIBVERS)
@pytest.mark.parametrize("count", [1, 9, 400, 3000])
def test_groups_of_every_size_are_read(libver, count):
    """From links in the header through symbol tables and deep B-trees to fractal heaps."""

    def write(file):
        group = file.create_group("vars", track_order=count == 9)
        for number in range(count):
            group.create_dataset(str(number), data=np.int32(number))
        for number in range(min(count, 300)):
            group.attrs[f"attribute {number}"] = "ä" * (number % 50)
        group.attrs["name"] = "näme"

    found = read(h5(write, **({} if libver is None else {"libver": libver}))).arrays.groups[""]
    assert found.name == "näme"
    assert [int(array.load()) for array in found.arrays] == list(range(count))


def test_compact_arrays_are_read():
    def write(file):
        group = file.create_group("vars")
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        made = h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3, 2)), layout)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, KERNEL)

    np.testing.assert_array_equal(read(h5(write)).arrays.groups[""].arrays[0].load(), KERNEL)


@pytest.mark.parametrize("tagged", [True, False])
def test_bfloat16_is_widened(tagged):
    values = np.array([1.5, -2, 3e38, 1e-40], "f4")
    stored = (values.view("u4") >> 16).astype("u2").view("V2")

    def write(file):
        made = file.create_group("vars").create_dataset("0", data=stored)
        if tagged:
            made.attrs["dtype"] = "bfloat16"

    array = read(h5(write)).arrays.groups[""].arrays[0]
    assert (array.dtype, array.load().dtype) == ("bfloat16", np.float32)
    np.testing.assert_array_equal(array.load(), (stored.view("u2").astype("u4") << 16).view("f4"))


PLAIN = {  # messages of the types i4 and f4: class, flags, size, offset and precision; exponent, mantissa and bias
    "int32": struct.pack("<BBBBIHH", 0x10, 8, 0, 0, 4, 0, 32),
    "float32": struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127),
}


@pytest.mark.parametrize(("name", "place", "value"), [
    *((name, *change) for name in PLAIN for change in ((4, 3), (8, 1), (10, 31))),
    *(("float32", *change) for change in ((1, 0), (1, 0x60), (2, 30), (12, 22), (13, 7), (14, 1), (16, 126))),
])  # fmt: skip
def test_numbers_of_another_layout_are_not_read_as_if_they_were_plain(name, place, value):
    message = bytearray(PLAIN[name])
    assert hdf5.datatype(memoryview(message)) == hdf5.Type(name, 4)
    message[place] = value
    assert not hdf5.datatype(memoryview(message)).readable


def test_types_that_are_not_numbers_are_named():
    for value, name in [
        (np.zeros(2, "c8"), "compound"), (np.zeros(2, "S3"), "string"), (np.zeros(2, "V4"), "opaque"),
        (np.array(["a"], object), "text"), (np.zeros(2, [("a", "f4")]), "compound"),
        (np.zeros(2, "g"), "unusual float"),
    ]:  # fmt: skip
        with pytest.raises(WeightsMismatch, match=f"holds {name}"):
            read(h5(lambda f, value=value: f.create_group("vars").create_dataset("0", data=value)))
    for kind, name in [
        (h5py.enum_dtype({"A": 0, "B": 1}, "i1"), "enum"), (h5py.vlen_dtype("f4"), "variable-length"),
        (np.dtype(("f4", (2,))), "array"), (h5py.ref_dtype, "reference"),
    ]:  # fmt: skip
        with pytest.raises(WeightsMismatch, match=f"holds {name}"):
            read(
                h5(lambda f, kind=kind: f.create_group("vars").create_dataset("0", (3,), kind, data=None, chunks=(3,)))
            )


def test_a_bool_that_is_neither_is_refused():
    data = bytearray(h5(lambda f: f.create_group("vars").create_dataset("0", data=np.ones(64, bool))))
    at = data.index(b"\1" * 64)
    data[at] = 2
    with pytest.raises(CorruptFile, match="neither 0 nor 1"):
        read(bytes(data)).arrays.groups[""].arrays[0].load()


# --- legacy ---------------------------------------------------------------------------------------------------


def test_a_legacy_file_is_read_in_its_own_order():
    layers = [
        ("zebra", ("zebra/kernel:0", KERNEL), ("zebra/bias:0", BIAS)),
        ("flat",),
        ("bn", ("bn/bn/gamma", BIAS)),
        ("deep/er", ("deep/er/w", BIAS)),
    ]

    def change(file):
        top = file["model_weights"].create_group("top_level_model_weights")
        top.attrs["weight_names"] = [b"loose"]
        top.create_dataset("loose", data=BIAS)
        dense_vars(file, path="optimizer_weights/x")
        file["model_weights/flat"].attrs["weight_names"] = np.zeros(0)

    file = read(legacy(layers=layers, change=change))
    assert (file.format, file.keras_version, file.config) == ("h5", "2.15.0", hostile.legacy_config())
    assert [layer.name for layer in file.arrays.layers] == ["zebra", "flat", "bn", "deep/er"]
    assert [name for name, _ in file.arrays.layers[0].arrays] == ["zebra/kernel:0", "zebra/bias:0"]
    assert [len(layer.arrays) for layer in file.arrays.layers] == [2, 0, 1, 1]
    np.testing.assert_array_equal(file.arrays.layers[0].arrays[0][1].load(), KERNEL)
    np.testing.assert_array_equal(file.arrays.top_level[0][1].load(), BIAS)
    assert len(file.arrays.every) == 5


def test_legacy_weights_alone_and_names_as_bytes_are_read():
    def write(file):
        file.attrs["layer_names"] = np.array([b"dense", b"none"])
        file.create_group("dense").attrs["weight_names"] = np.array([b"dense/kernel:0"])
        file["dense"].create_dataset("dense/kernel:0", data=KERNEL)
        file.create_group("none")

    file = read(h5(write))
    assert (file.format, file.config, file.keras_version) == ("h5", None, None)
    assert [(layer.name, len(layer.arrays)) for layer in file.arrays.layers] == [("dense", 1), ("none", 0)]


def test_long_lists_of_names_are_split_over_attributes():
    names = [f"layer_{n}" for n in range(100)]

    def change(file):
        holder = file["model_weights"]
        del holder.attrs["layer_names"]
        for part in range(4):
            holder.attrs[f"layer_names{part}"] = names[part * 25 : part * 25 + 25]
        for name in names:
            holder.create_group(name)

    assert [layer.name for layer in read(legacy(layers=[], change=change)).arrays.layers] == names


# --- shards ---------------------------------------------------------------------------------------------------


def shards(tmp_path, index=None, second=("1",)):
    """A model in two files; the second begins in the middle of a group."""
    (tmp_path / "x_00000.weights.h5").write_bytes(h5(lambda f: dense_vars(f, bias=None)))

    def write(file):
        group = file.create_group("layers/dense/vars")
        for name in second:
            group.create_dataset(name, data=BIAS)

    (tmp_path / "x_00001.weights.h5").write_bytes(h5(write))
    both = ["x_00000.weights.h5", "x_00001.weights.h5"]
    index = {"/layers/dense/vars": both, "/optimizer/vars": both[1]} if index is None else index
    path = tmp_path / "x.weights.json"
    path.write_text(json.dumps({"metadata": {"total_size": 32}, "weight_map": index}))
    return path


def test_shards_are_joined(tmp_path):
    file = read(shards(tmp_path))
    assert (file.format, file.config) == ("weights-json", None)
    assert_dense(file)


@pytest.mark.parametrize(
    ("index", "error", "match"),
    [
        ({"a": "../x.weights.h5"}, UnsafeFile, "not the name of a shard"),
        ({"a": "/x.weights.h5"}, UnsafeFile, "not the name of a shard"),
        ({"a": ["passwd"]}, UnsafeFile, "not the name of a shard"),
        ({"a": 3}, UnsafeFile, "not the name of a shard"),
        ({"a": "x_00009.weights.h5"}, WeightsMismatch, "not next to the index"),
        ({"a": "x_00000.weights.h5"}, WeightsMismatch, "in none of the shards"),
        ({"/layers/dense/vars": "x_00001.weights.h5"}, WeightsMismatch, "some are missing"),
        ([], CorruptFile, r"nor the index of sharded weights \(`weight_map`\)"),
    ],
)
def test_broken_indexes_are_refused(tmp_path, index, error, match):
    with pytest.raises(error, match=match):
        read(shards(tmp_path, index))


def test_an_array_in_two_shards_is_refused(tmp_path):
    with pytest.raises(WeightsMismatch, match="in two shards"):
        read(shards(tmp_path, second=("0", "1")))


def test_all_shards_together_are_limited(tmp_path):
    path = shards(tmp_path)
    zeros = np.zeros(100_000, "f4")
    for number in range(2):
        (tmp_path / f"x_0000{number}.weights.h5").write_bytes(
            h5(lambda f, n=number: f.create_group("vars").create_dataset(str(n), data=zeros, compression="gzip"))
        )
    with pytest.raises(LimitExceeded, match="its shards hold more"):
        read(path, Limits(total=700_000))


def test_the_index_alone_says_what_is_missing(tmp_path):
    with pytest.raises(CorruptFile, match="a sharded file is read by its path"):
        read(shards(tmp_path).read_bytes())


# --- parts ----------------------------------------------------------------------------------------------------


def test_nan_and_infinity_are_read_where_they_are_asked_for():
    text = "[Infinity, -Infinity, 1.5, NaN]"
    *numbers, nan = parse(text, "x", Limits(), nonfinite=True)
    assert numbers == [float("inf"), float("-inf"), 1.5]
    assert nan != nan
    for bare in ("Infinity", "NaN"):
        with pytest.raises(CorruptFile, match=rf"x at '\[0\]': {bare} is not JSON"):
            parse(f"[{bare}]", "x", Limits())
        with pytest.raises(CorruptFile, match=rf"x at 'layers\[1\]\.config\.rate': {bare} is not JSON"):
            parse(f'{{"layers": [{{"a": {{}}}}, {{"b": [], "config": {{"rate": {bare}}}}}]}}', "x", Limits())
    with pytest.raises(CorruptFile, match="beyond any float"):
        parse("1e999", "x", Limits(), nonfinite=True)


def test_strict_json_gives_what_json_gives():
    value = {"a": [1, -2.5, None, True, 'ä\U0001f600\\"[{'], "b": {"c": {}}}
    assert parse(json.dumps(value), "x", Limits()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode(), "x", Limits()) == value
    nested = "[" * 64 + "]" * 64
    assert parse(nested, "x", Limits()) == json.loads(nested)
    with pytest.raises(LimitExceeded, match="deeper"):
        parse("[" + nested + "]", "x", Limits())
    assert parse(str(2**64 - 1), "x", Limits()) == 2**64 - 1
    for number in (2**64, -(2**64), 10**30):
        with pytest.raises(CorruptFile, match="too large an integer"):
            parse(str(number), "x", Limits())


@pytest.mark.parametrize("length", [7, 300_001])
def test_odd_lengths_and_large_chunks_have_checksums_too(length):
    array = np.arange(length).astype("u1")
    data = h5(lambda f: f.create_group("vars").create_dataset("0", data=array, chunks=(length,), fletcher32=True))
    np.testing.assert_array_equal(read(data).arrays.groups[""].arrays[0].load(), array)


def test_an_empty_checksum_is_refused():
    with pytest.raises(CorruptFile, match="too short for its checksum"):
        hdf5._fletcher32(memoryview(b"abc"))


def test_a_heap_of_names_counts_by_its_size():
    heap = b"HEAP" + bytes(4) + struct.pack("<QQQ", 1 << 20, 1, 32) + bytes(1 << 20)
    assert hdf5._local_heap(hdf5.Buffer(memoryview(heap), 20_000), 0) == bytes(1 << 20)
    with pytest.raises(LimitExceeded):  # many groups may name one heap
        hdf5._local_heap(hdf5.Buffer(memoryview(heap), 10_000), 0)


@pytest.mark.parametrize("what", [BIAS.tobytes(), hdf5.SIGNATURE, b"TREE"], ids=["numbers", "signature", "structure"])
def test_damaged_weights_are_told_as_such_whatever_else_is_found_meanwhile(what, monkeypatch):
    data = bytearray(keras_zip())
    data[data.index(what)] ^= 1
    threads, started = [], schedule.started
    monkeypatch.setattr(schedule, "started", lambda work: threads.append(work) or started(work))
    for least in (0, containers.THREAD_FROM):
        monkeypatch.setattr(containers, "THREAD_FROM", least)
        for reading_all in (read, load_keras):
            with pytest.raises(CorruptFile, match=r"'model\.weights\.h5' is damaged: its size"):
                reading_all(bytes(data))
    assert len(threads) == 6  # three members in both calls


def test_an_interrupt_waits_for_no_checksum_and_stays_one(monkeypatch):
    data = bytearray(keras_zip())
    data[data.index(BIAS.tobytes())] ^= 1
    monkeypatch.setattr(containers, "THREAD_FROM", 0)
    with pytest.raises(KeyboardInterrupt), opened(bytes(data)):
        raise KeyboardInterrupt


def test_the_reader_knows_no_path():
    source = Path(hdf5.__file__).read_text("utf-8")
    assert "open(" not in source.replace("open_file(", "")


# --- what Keras itself writes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_model():
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(4, name="head")]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def loaded(file):
    return [array.load() for array in file.arrays.every]


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.weights.json", "folder"])
def test_what_keras_writes_is_read(tmp_path, keras_model, name):
    import keras

    path = tmp_path / name
    if name == "folder":
        keras.saving.save_model(keras_model, path, zipped=False)
    elif name.endswith(".weights.json"):
        keras_model.save_weights(path, max_shard_size=1300 / 1024**3)
    else:
        (keras_model.save_weights if "weights" in name else keras_model.save)(path)
    file = read(path)
    wanted = sorted(keras_model.get_weights(), key=lambda array: array.shape)
    found = sorted(loaded(file), key=lambda array: array.shape)
    for left, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(left, right)
    if "weights" not in name:
        assert file.keras_version == keras.__version__
        assert file.config["class_name"] == "Sequential"


def test_errors_name_what_is_wrong_in_the_file():
    from tests import hostile

    with pytest.raises(CorruptFile, match=r"the model file: model\.weights\.h5: .*truncated"):
        read(hostile.keras_zip(weights=hostile.dense_weights()[:-40]))
    for text, place in (
        ('{"a": [1, {"b": {"c": [0, 1e999]}}]}', r"a\[1\]\.b\.c\[1\]"),
        ('{"layers": [{"name": "1e999", "config": {"rate": 1e999}}]}', r"layers\[0\]\.config\.rate"),
        ('{"a": {"b": 1e999}}', r"a\.b"),
        ('{"a": [[], 99999999999999999999]}', r"a\[1\]"),
    ):
        with pytest.raises(CorruptFile, match=rf"config\.json at '{place}'"):
            read(hostile.keras_zip(text))


@pytest.mark.parametrize(("limit", "least"), [("config", 32), ("depth", 4), ("steps", 14), ("layers", 4)])
def test_a_limit_of_json_allows_what_it_says(limit, least):
    text = '{"layers": [[1, 2], {"a": [3]}]}'
    assert parse(text, "x", Limits(**{limit: least})) == json.loads(text)
    with pytest.raises(LimitExceeded):
        parse(text, "x", Limits(**{limit: least - 1}))


@pytest.mark.parametrize(("text", "count"), [
    ('{"layers": [1, 2]}', 4), ('{"cells": [1, 2, 3]}', 6), ('{"cell": {}}', 2), ('{"cell": "relu"}', 0),
    ('{"layer": {"a": 1}, "backward_layer": {}}', 4), ('{"layers": [{"inbound_nodes": [1]}]}', 2),
    ('{"layers": [{"inbound_nodes": [1, 2, 3]}, {"inbound_nodes": []}]}', 6),
])  # fmt: skip
def test_layers_count_with_a_call_and_further_calls_alone(text, count):
    assert parse(text, "x", Limits(layers=max(count, 1))) == json.loads(text)
    if count:
        with pytest.raises(LimitExceeded):
            parse(text, "x", Limits(layers=count - 1))


def test_the_key_that_is_there_twice_is_named():
    with pytest.raises(CorruptFile, match=r"^x: key 'a' appears twice"):
        parse('{"b": 2, "a": 1, "c": 4, "a": 3}', "x", Limits())


def test_checking_sums_is_work_that_counts():
    block = bytes(range(120))
    file = hdf5.Buffer(memoryview(block + hdf5.checksum(block).to_bytes(4, "little")), steps=10)
    assert file.guarded(0, 120) == block
    with pytest.raises(LimitExceeded):
        file.guarded(0, 120)


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (CorruptFile("broken"), CorruptFile, "'m': broken"),
        (UnsafeFile("a pickle"), UnsafeFile, "'m': a pickle"),
        (CorruptFile("'m': broken"), CorruptFile, "'m': broken"),
        (MemoryError(), LimitExceeded, "'m': reading it takes more memory than there is"),
        (RecursionError(), LimitExceeded, "'m': reading it takes more memory than there is"),
        (KeyError("a"), CorruptFile, "'m': KeyError where data was expected: 'a'"),
        (ZeroDivisionError("by 0"), CorruptFile, "'m': ZeroDivisionError where data was expected: by 0"),
    ],
)
def test_what_goes_wrong_names_the_file_once(raised, kind, message):
    with pytest.raises(kind) as caught, errors.reading("'m'"):
        raise raised
    assert (type(caught.value), str(caught.value)) == (kind, message)


@pytest.mark.parametrize("kind", [CorruptFile, ValueError])
def test_a_long_story_is_cut(kind):
    with pytest.raises(CorruptFile) as caught, errors.reading("'m'"):
        raise kind("n" * 999)
    assert len(str(caught.value)) == errors.LONGEST


def test_what_is_no_fault_of_the_file_goes_on_as_it_is():
    with pytest.raises(AttributeError), errors.reading("'m'"):
        raise AttributeError


def test_an_array_that_cannot_be_read_is_named_whatever_its_format():
    def read(values):
        return StoredArray("dense/vars/0", (2,), "float32", lambda: np.frombuffer(bytes(values), "float32").reshape(2))

    with pytest.raises(CorruptFile, match=r"^array 'dense/vars/0': cannot reshape array of size 1"):
        read(4).load()
    assert not read(8).load().flags.writeable
