"""Errors for files and folders that Keras did not write: the usual mistakes, each with its fix."""

from __future__ import annotations

import re
from collections.abc import Collection

from params.errors import CorruptFile, ModelFileError, UnsafeFile, UnsupportedLayer, quoted

HEAD = 512
"""The number of bytes that `stranger` checks."""
GRAPH = (
    "which holds a TensorFlow graph instead of layers: load it in the Keras 2 that saved it, or take the model "
    "that was exported, and save that as .keras or .h5"
)
CONVERTED = "give the .keras or .h5 that it was converted from"
CHECKPOINT = (
    "a checkpoint of TensorFlow, weights without a model: model.load_weights(path) in the Keras 2 that wrote it, then "
    "save the model as .keras or .h5"
)
AGAIN = "open it with the program that wrote it and save the model as .keras"

BEGINNINGS = {
    b"version https://git-lfs": "a Git LFS pointer, not the model: run `git lfs pull` to fetch the file it stands for",
    b"<!doctype": "a web page, not a model: the download gave an error or a log-in page; use the link to the raw file",
    b"<html": "a web page, not a model: the download gave an error or a log-in page; use the link to the raw file",
    b"<?xml": "an XML message, not a model: the download gave an error; check the link and the rights",
    b"\x1f\x8b": "compressed by gzip: unpack it first, or give gzip.open(path)",
    b"BZh": "compressed by bzip2: unpack it first, or give bz2.open(path)",
    b"\xfd7zXZ": "compressed by xz: unpack it first, or give lzma.open(path)",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"\x93NUMPY": "one NumPy array (.npy), not a model",
    b"GGUF": "a GGUF file of llama.cpp, not a Keras model",
    b"model_checkpoint_path": f"the list of {CHECKPOINT}",
    b"PK\5\6": "an empty zip",
    b"\x89PNG": "a picture, not a model",
    b"\xff\xd8\xff": "a picture, not a model",
    b"\0\0\6\x08\1\x1a\2": f"the index of {CHECKPOINT}",
}
"""{first bytes, text in lower case: what the file is}."""
PATTERNS: dict[bytes, tuple[type[ModelFileError], str]] = {
    rb'.{5}\0\0\0\{"': (CorruptFile, "a .safetensors file: fnet.load reads those that fnet.save wrote"),
    rb"\x80[\x02-\x05]": (UnsafeFile, f"a pickle, which is code that runs when it is read: {AGAIN}"),
    rb".{257}ustar": (CorruptFile, "a tar archive: unpack it first"),
    rb".{4}TFL3": (CorruptFile, f"a TensorFlow Lite model: {CONVERTED}"),
    rb"\x08\x01\x12": (UnsupportedLayer, f"the saved_model.pb of a SavedModel folder, {GRAPH}"),
    rb"\x08.[\x12:]": (CorruptFile, f"an ONNX model: {CONVERTED}"),
    rb".*\x12\x0bPlaceholder": (UnsupportedLayer, f"a frozen graph (.pb), {GRAPH}"),
}
"""{pattern of the first bytes: (the error, what the file is)}; the length in a .safetensors may look like a pickle."""
PARTS = {
    "data.pkl": "a model of PyTorch, which is pickled code: rebuild it in Keras and save it as .keras",
    ".npy": "NumPy arrays (.npz), not a model",
    "mimetype": "a document, not a model",
    "[Content_Types].xml": "a document of an office program, not a model",
}
"""{end of the name of a zip's member: what the zip is}."""


def stranger(head: bytes) -> ModelFileError:
    """The error for a file that is neither zip nor HDF5, from its first `HEAD` bytes."""
    if head.startswith(b"\xef\xbf\xbd") or head[1:4] == b"HDF":
        return CorruptFile(
            "it was a binary file, but a program read it as text and saved it as such, which loses bytes forever (it "
            f"begins {head[:8].hex(' ').upper()}): fetch it again, as binary"
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return CorruptFile("the file is empty" if not head else "the file holds nothing but white space")
    for begin, what in BEGINNINGS.items():
        if head.startswith(begin) or text[: len(begin)].lower() == begin:
            return CorruptFile(f"it is {what}")
    for pattern, (error, what) in PATTERNS.items():
        if re.match(pattern, head, re.DOTALL):
            return error(f"it is {what}")
    if text[:1] in (b"{", b"["):
        return CorruptFile("it is JSON; a sharded file is read by its path, a .keras or .h5 holds more than its config")
    is_text = head.isascii() and all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    kind = "a text file" if is_text else "neither a .keras (zip) nor an .h5 (HDF5) file"
    return CorruptFile(f"it is {kind}: it begins with {quoted(head[:16])}")


def strange_parts(names: Collection[str]) -> ModelFileError:
    """The error for a zip or folder without a config.json, from the names in it."""
    if "saved_model.pb" in names or "keras_metadata.pb" in names:
        return UnsupportedLayer(f"it is a SavedModel folder, {GRAPH}")
    if "checkpoint" in names or any(name.endswith(".ckpt.index") for name in names):
        return CorruptFile(f"it holds {CHECKPOINT}")
    for end, what in PARTS.items():
        if names and (all if end == ".npy" else any)(name.endswith(end) for name in names):
            kind = UnsafeFile if end == "data.pkl" else CorruptFile
            return kind(f"it is {what}")
    inner = [name for name in names if name.endswith("/model.weights.h5")]
    if inner:
        return CorruptFile(f"it holds a folder with a model, {quoted(min(inner))}: unpack it and give that folder")
    ends = (".h5", ".hdf5", ".keras", "model.json")
    models = [name for name in names if name.endswith(ends) and not name.endswith(".weights.h5")]
    if models:
        return CorruptFile(f"it is not a model, but holds one: take that out and give it, {quoted(min(models))}")
    weights = [name for name in names if name.endswith(".weights.h5")]
    if weights:
        return CorruptFile(f"no config.json in it, but weights, {quoted(min(weights))}: load_weights takes that file")
    contents = quoted(sorted(names)[:4]) if names else "no file"
    return CorruptFile(f"no config.json in it, so no .keras model; it holds {contents}")


def strange_json(names: Collection[str]) -> ModelFileError:
    """The error for JSON, an object with these names, that is neither a config nor an index of shards."""
    if "modelTopology" in names:
        return CorruptFile(f"it is a model of TensorFlow.js: {CONVERTED}")
    return CorruptFile(
        "it is JSON, but neither the config of a model (`class_name`) nor the index of sharded weights (`weight_map`): "
        f"it holds {quoted(sorted(names)[:4])}"
    )
