"""What a file or folder is that Keras did not write: the mistakes that people really make, each with its way out."""

from __future__ import annotations

from collections.abc import Collection

from params.errors import CorruptFile, ModelFileError, UnsafeFile, UnsupportedLayer, quoted

HEAD = 512
"""How many bytes of a file are looked at."""
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
    b"PK\5\6": "an empty zip",
}
"""{first bytes in lower case where they are letters of text: what it is}."""
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
            "it was a binary file, but a program read it as text and saved it as such, which loses bytes for good (it "
            f"begins {head[:8].hex(' ').upper()}): fetch it again, as binary"
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return CorruptFile("the file is empty" if not head else "the file holds nothing but white space")
    for begin, what in BEGINNINGS.items():
        if head.startswith(begin) or text[: len(begin)].lower() == begin:
            return CorruptFile(f"it is {what}")
    if head[5:10] == b'\0\0\0{"':  # behind the length of its header, which may look like a pickle
        return CorruptFile("it is a .safetensors file: fnet.load reads those that fnet.save wrote")
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return UnsafeFile(f"it is a pickle, which is code that runs when it is read: {AGAIN}")
    if head[257:262] == b"ustar":
        return CorruptFile("it is a tar archive: unpack it first")
    if head[4:8] == b"TFL3":
        return CorruptFile("it is a TensorFlow Lite model: give the .keras or .h5 that it was converted from")
    if text[:1] in (b"{", b"["):
        return CorruptFile("it is JSON; a sharded file is read by its path, a .keras or .h5 holds more than its config")
    kind = "a text file" if _is_text(head) else "neither a .keras (zip) nor an .h5 (HDF5) file"
    return CorruptFile(f"it is {kind}: it begins with {quoted(head[:16])}")


def _is_text(head: bytes) -> bool:
    return head.isascii() and all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)


def strange_parts(names: Collection[str]) -> ModelFileError:
    """The error for a zip or folder without a config.json, from the names in it."""
    if "saved_model.pb" in names or "keras_metadata.pb" in names:
        return UnsupportedLayer(
            "it is a SavedModel folder, which holds a TensorFlow graph instead of layers: load it where it was made "
            "(tf.keras of Keras 2) and save the model as .keras or .h5"
        )
    if "checkpoint" in names or any(name.endswith(".ckpt.index") for name in names):
        return CorruptFile("it holds a checkpoint of TensorFlow: weights without a model; load it in Keras, then save")
    for end, what in PARTS.items():
        if any(name.endswith(end) for name in names):
            kind = UnsafeFile if end == "data.pkl" else CorruptFile
            return kind(f"it is {what}")
    models = [name for name in names if name.endswith((".h5", ".hdf5", ".keras")) and not name.endswith(".weights.h5")]
    if models:
        return CorruptFile(f"it is no model, but holds one: take that out and give it, {quoted(min(models))}")
    return CorruptFile(f"no config.json in it, so no .keras model; it holds {quoted(sorted(names)[:4])}")


def strange_json() -> ModelFileError:
    """The error for a JSON file that is no index of shards."""
    return CorruptFile("no `weight_map`: not the index of a sharded weights file")
