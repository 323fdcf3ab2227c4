"""Sources of every kind, and files that people pass by mistake: each error says what the file is and the way out."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import tarfile
import threading
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import fnet
from compare import yardstick
from params import CorruptFile, UnsafeFile, UnsupportedLayer, load_keras
from params.file import containers
from tests import parity
from tests.golden.archives import FOLDER, npz, read
from tests.hostile import BIAS, KERNEL, changed_zip, dense_config, keras_zip

X = np.ones((1, 3), "float32")


def assert_loads(source):
    model, params = load_keras(source)
    parity.assert_close(model(params, X), X @ KERNEL + BIAS)


def test_teachable_machine():
    """Its `keras_model.h5`: the architecture of the service (`golden/make_teachable.py`)."""
    archive = FOLDER / "teachable-machine.zip"
    model, params = load_keras(read(archive, "keras_model.h5"))
    recorded = npz(archive, "recorded")
    y = model(params, recorded["image"] / np.float32(127.5) - 1)
    assert recorded["exact"].dtype == "float64"
    assert recorded["exact"].std() > 0.05
    assert yardstick.judge(y, recorded["y"], recorded["exact"]).held


# --- sources --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_config_that_another_program_saved(encoding, tmp_path):
    """Editors and shells of Windows write marks or UTF-16; Keras reads these, too."""
    config = json.dumps(dense_config()).encode(encoding)
    assert_loads(changed_zip(keras_zip(), config=config))
    (tmp_path / "model.json").write_bytes(config)
    (tmp_path / "m.keras").write_bytes(keras_zip())
    for source in (config, tmp_path / "model.json"):
        model, params = load_keras(source, weights=tmp_path / "m.keras")
        parity.assert_close(model(params, X), X @ KERNEL + BIAS)


def test_a_config_that_json_wrote_twice(tmp_path):
    """`json.dump(model.to_json(), file)`."""
    (tmp_path / "model.json").write_text(json.dumps(json.dumps(dense_config())))
    for source in (tmp_path / "model.json", (tmp_path / "model.json").read_bytes()):
        model, params = load_keras(source, weights=keras_zip())
        parity.assert_close(model(params, X), X @ KERNEL + BIAS)
    with pytest.raises(CorruptFile, match=r"is not JSON: Expecting property name"):
        load_keras(json.dumps("{class_name}").encode())


@pytest.mark.parametrize(
    "kind", [str, Path, os.path.basename, lambda path: Path(path.name)], ids=["text", "path", "name", "relative"]
)
def test_paths(kind, tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.write_bytes(keras_zip())
    monkeypatch.chdir(tmp_path)
    assert_loads(kind(path))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_contents(kind):
    assert_loads(kind(keras_zip()))


@pytest.mark.parametrize("buffering", [-1, 0])
def test_open_files(buffering, tmp_path):
    path = tmp_path / "any name"
    path.write_bytes(keras_zip())
    with path.open("rb", buffering=buffering) as file:
        assert_loads(file)


@pytest.mark.parametrize("buffering", [-1, 0])
def test_pipes_are_read_to_their_end(buffering):
    data, (read_end, write_end) = keras_zip(), os.pipe()

    def write():
        with os.fdopen(write_end, "wb", buffering=0) as file:
            for start in range(0, len(data), 1000):
                file.write(data[start : start + 1000])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(read_end, "rb", buffering=buffering) as file:
        assert_loads(file)
    writer.join()


class Trickle(io.RawIOBase):
    """A stream that cannot seek and gives a few bytes at a time, as a socket may."""

    def __init__(self, data):
        self.inner = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, count=-1):
        return self.inner.read(min(count, 777) if count >= 0 else 777)


def test_streams_may_give_few_bytes_at_a_time():
    assert_loads(Trickle(keras_zip()))


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_files_unpacked_while_they_are_read(module, tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAP_FROM", 100)  # so that mapping the packed bytes would show
    with module.open(tmp_path / "packed", "wb") as file:
        file.write(keras_zip())
    with module.open(tmp_path / "packed") as file:
        assert_loads(file)


@pytest.mark.parametrize("before", [b"", b"PK\3\4 other bytes"], ids=["alone", "after other bytes"])
@pytest.mark.parametrize("wide", [False, True], ids=["32 bits", "64 bits"])
@pytest.mark.parametrize("comment", [b"", b"a comment" * 99])
def test_the_list_of_a_zip_is_what_zipfile_reads(before, wide, comment, monkeypatch):
    if wide:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)  # so that sizes and places are written in 64 bits
    buffer = io.BytesIO(before)
    with zipfile.ZipFile(io.BytesIO(keras_zip())) as archive, zipfile.ZipFile(buffer, "a") as copy:
        copy.comment = comment
        copy.writestr("assets/\N{GREEK SMALL LETTER ALPHA}.txt", b"")
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    data = buffer.getvalue()
    assert (b"PK\6\6" in data) == wide
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        expected = [(i.filename, i.file_size, i.compress_size, i.CRC, i.header_offset) for i in archive.infolist()]
    members, _ = containers._entries(memoryview(data))
    assert [(m.name, m.size, m.packed, m.checksum, m.header) for m in members] == expected
    assert_loads(data)
    for damaged in (data[:-1] if not comment else data[: -len(comment) - 1], data[: data.rindex(b"PK\1\2") + 20]):
        with pytest.raises(CorruptFile, match="not a complete zip"):
            load_keras(damaged)


def test_members_of_archives(tmp_path):
    (tmp_path / "m.keras").write_bytes(keras_zip())
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        archive.add(tmp_path / "m.keras", "m.keras")
    with tarfile.open(tmp_path / "t.tar") as archive, archive.extractfile("m.keras") as file:
        assert_loads(file)
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.write(tmp_path / "m.keras", "m.keras")
    with zipfile.ZipFile(tmp_path / "t.zip") as archive, archive.open("m.keras") as file:
        assert_loads(file)


def test_devices_are_refused():
    with Path(os.devnull).open("rb") as file, pytest.raises(CorruptFile, match="a device"):
        load_keras(file)
    with pytest.raises(CorruptFile, match="neither a regular file nor a folder"):
        load_keras(os.devnull)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_nobody_waits_for_a_named_pipe_or_reads_a_device(tmp_path):
    """They were opened, which waits for someone to write, or read for their digest, which has no end."""
    os.mkfifo(tmp_path / "m.keras")
    (tmp_path / "zeros.safetensors").symlink_to("/dev/zero")
    (tmp_path / "folder.safetensors").mkdir()
    for reader in (load_keras, fnet.load, fnet.verify, fnet.explain):
        for path in tmp_path.iterdir():
            if not path.is_dir() or reader is fnet.load:
                with pytest.raises(CorruptFile, match=r"neither a regular file nor a folder|a folder, not a file"):
                    reader(path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    for source in (
        tmp_path / "none.keras",
        str(tmp_path / "none.keras"),
        tmp_path / "no" / "none.keras",
        "no\u00e9.h5",
    ):
        with pytest.raises(FileNotFoundError, match=r"none\.keras|no\u00e9"):
            load_keras(source)
    (tmp_path / "link.keras").symlink_to(tmp_path / "gone.keras")
    with pytest.raises(FileNotFoundError):
        load_keras(tmp_path / "link.keras")


# --- mistakes -------------------------------------------------------------------------------------------------


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def written(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def hdf5(**arrays):
    def write(buffer):
        with h5py.File(buffer, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)

    return written(write)


def tar():
    def write(buffer):
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("a"))

    return written(write)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
MISTAKES = {
    "empty": (b"", CorruptFile, "the file is empty"),
    "blank": (b" \n\n", CorruptFile, "nothing but white space"),
    "git lfs": (LFS, CorruptFile, "Git LFS pointer.*git lfs pull"),
    "html": (b"\n<!DOCTYPE html>\n<html><body>404", CorruptFile, "a web page.*link to the raw file"),
    "html with a mark": (b"\xef\xbb\xbf<HTML><head>", CorruptFile, "a web page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied', CorruptFile, "an XML message"),
    "text": (b"Not Found", CorruptFile, "a text file: it begins with b'Not Found'"),
    "noise": (b"\x01\x02\xfe" * 9, CorruptFile, "neither a .keras .* nor an .h5"),
    "pickle": (pickle.dumps({"w": [1.0]}), UnsafeFile, "a pickle, which is code"),
    "old pickle": (pickle.dumps([1], protocol=2), UnsafeFile, "a pickle"),
    "torch": (zipped("model/data.pkl", "model/data/0"), UnsafeFile, "PyTorch"),
    "npz": (written(lambda f: np.savez(f, a=X)), CorruptFile, "NumPy arrays"),
    "npy": (written(lambda f: np.save(f, X)), CorruptFile, "one NumPy array"),
    "docx": (zipped("[Content_Types].xml", "word/document.xml"), CorruptFile, "office"),
    "other zip": (zipped("a.txt"), CorruptFile, r"no config\.json in it, so no \.keras model; it holds \['a\.txt'\]"),
    "weights in a zip": (
        zipped("model.weights.h5"),
        CorruptFile,
        r"no config\.json in it, but weights, .*load_weights",
    ),
    "model in a zip": (zipped("my/model.keras"), CorruptFile, "holds one: take that out and give it, 'my/model.keras'"),
    "empty zip": (zipped(), CorruptFile, "an empty zip"),
    "gzip": (gzip.compress(keras_zip()), CorruptFile, r"compressed by gzip.*gzip\.open"),
    "bzip2": (bz2.compress(b"x"), CorruptFile, r"compressed by bzip2"),
    "xz": (lzma.compress(b"x"), CorruptFile, r"compressed by xz"),
    "tar": (tar(), CorruptFile, "a tar archive"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(20), CorruptFile, "TensorFlow Lite"),
    "safetensors": (b"\x10\0\0\0\0\0\0\0" + b'{"a": {}}       ', CorruptFile, r"safetensors.*fnet\.load"),
    "safetensors like a pickle": (b"\x80\x04\0\0\0\0\0\0" + b'{"a": {}}', CorruptFile, r"safetensors.*fnet\.load"),
    "hdf5 of others": (hdf5(temperature=X), CorruptFile, "HDF5, but not of Keras"),
    "hdf5 of nothing": (hdf5(), CorruptFile, "HDF5, but not of Keras"),
    "hdf5 in folders": (hdf5(**{"run/1/images": X}), CorruptFile, "HDF5, but not of Keras"),
    "config": (json.dumps({"class_name": "Sequential", "config": {}}).encode(), CorruptFile, "without its weights"),
    "other json": (
        b'{"error": "Repository not found"}',
        CorruptFile,
        r"neither.*\(`weight_map`\): it holds \['error'\]",
    ),
    "tensorflow.js": (b'{"modelTopology": {"class_name": "S"}, "weightsManifest": []}', CorruptFile, "TensorFlow.js"),
    "saved_model.pb": (b"\x08\1\x12\xa5\xbe\4\n\xaf", UnsupportedLayer, "of a SavedModel folder.*save that as"),
    "frozen graph": (b"\n\x1a\n\1x\x12\x0bPlaceholder*", UnsupportedLayer, "a frozen graph"),
    "onnx": (b"\x08\n\x12\x08jax2onnx\x1a\x060.17", CorruptFile, "an ONNX model: give the .keras"),
    "list of checkpoints": (
        b'model_checkpoint_path: "ck-1"',
        CorruptFile,
        r"checkpoint of TensorFlow.*load_weights\(path\)",
    ),
    "checkpoint": (b"\0\0\6\x08\1\x1a\2\x08\1\0\n", CorruptFile, "index of a checkpoint of TensorFlow"),
    "picture": (b"\x89PNG\r\n\x1a\n", CorruptFile, "a picture, not a model"),
    "photo": (b"\xff\xd8\xff\xe0\0\x10JFIF", CorruptFile, "a picture, not a model"),
    "folder in a zip": (
        zipped("m/config.json", "m/model.weights.h5"),
        CorruptFile,
        "a folder with a model, 'm/model.w",
    ),
    "json list": (b"[1, 2]", CorruptFile, "it is JSON"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistaken_files_are_told_what_they_are(name, tmp_path):
    data, kind, match = MISTAKES[name]
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    with pytest.raises(kind, match=match) as caught:
        load_keras(path)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("'model.keras': ")
    with pytest.raises(kind):
        load_keras(data)


@pytest.mark.parametrize(
    ("names", "kind", "match"),
    [
        (["saved_model.pb", "variables/variables.index"], UnsupportedLayer, "SavedModel folder.*save that as"),
        (["saved_model.pb", "keras_metadata.pb", "fingerprint.pb"], UnsupportedLayer, "SavedModel"),
        (
            ["latest.weights.h5", "training_metadata.json"],
            CorruptFile,
            r"'latest\.weights\.h5': load_weights takes that",
        ),
        (["checkpoint", "ckpt-1.index"], CorruptFile, "checkpoint of TensorFlow"),
        (["a.txt"], CorruptFile, r"no config\.json"),
        (["model.json", "group1-shard1of1.bin"], CorruptFile, "holds one: take that out and give it, 'model.json'"),
        (["x.npy", "cnn.h5"], CorruptFile, "holds one: take that out and give it, 'cnn.h5'"),
        ([], CorruptFile, r"no config\.json"),
    ],
)
def test_mistaken_folders_are_told_what_they_are(names, kind, match, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(kind, match=match):
        load_keras(tmp_path)


def test_what_is_given_in_place_of_a_file_is_told_apart(tmp_path):
    (tmp_path / "ck-1.index").write_bytes(b"x")
    with pytest.raises(CorruptFile, match="checkpoint of TensorFlow"):
        load_keras(tmp_path / "ck-1")  # as Keras 2 called it
    buffer = io.BytesIO()
    buffer.write(keras_zip())
    with pytest.raises(CorruptFile, match=r"file\.seek\(0\)"):
        load_keras(buffer)
    with pytest.raises(CorruptFile, match="the file is empty"):
        load_keras(io.BytesIO())
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(TypeError, match=r"not Sequential; fnet\.from_keras takes a live model"):
        load_keras(model)
    with pytest.raises(TypeError, match=r"not dict; give a config as json\.dumps\(config\)\.encode\(\)"):
        load_keras(model.get_config())
    with pytest.raises(TypeError, match=r"takes a keras\.Model; got type"):
        fnet.from_keras(keras.Sequential)
    weights, config = tmp_path / "w.weights.h5", model.to_json().encode()
    model.save_weights(weights)
    with pytest.raises(CorruptFile, match=r"'w\.weights\.h5' has the weights, the model file the config"):
        load_keras(weights, weights=config)
