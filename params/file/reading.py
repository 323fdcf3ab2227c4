"""`read`: a path, bytes or file object becomes a `ModelFile`. The first bytes tell the format."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, TypeAlias

from params.errors import CorruptFile, LimitExceeded, UnsafeFile, WeightsMismatch, quoted, reading
from params.file import hdf5
from params.file.containers import VOCABULARY, Container, Folder, Zip, content, file_content, plain_name
from params.file.foreign_files import CHECKPOINT, HEAD, strange_json, strange_parts, stranger
from params.file.model_file import (
    UNSAID,
    Format,
    LegacyLayer,
    Limits,
    ModelFile,
    StoredArray,
    Variables,
    WeightTree,
    allowed,
)
from params.file.strict_json import as_object, parse, parse_object

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_is_number = re.compile(r"0|[1-9][0-9]{0,8}").fullmatch


def read(source: Source, limits: Limits | None = None, *, arrays: bool = True) -> ModelFile:
    """Open a model file and check its structure; the numbers of its arrays are read later, by `StoredArray.load`.

    source: a path to a `.keras` (zip or folder), `.h5`, `.weights.h5` or `.weights.json`, or the bytes or a binary
    file object of one of the first three. limits: how much the file may ask for. arrays: False leaves the weights of a
    `.keras` unread.
    Raises a ModelFileError for anything wrong with the file, whatever its bytes, and OSError when it does not exist.
    """
    with opened(source, limits, arrays=arrays) as file:
        return file


@contextmanager
def opened(source: Source, limits: Limits | None = None, *, arrays: bool = True) -> Iterator[ModelFile]:
    """`read` for a `with` block, during which a thread computes the checksum of large weights.

    A wrong one raises CorruptFile at the end of the block, in place of an error of the block.
    """
    label, limits, checks = _label(source), allowed(limits), list[Callable[[], None]]()
    try:
        with reading(label):
            file = _opened(source, label, limits, arrays, checks)
        yield file
    except Exception:
        _check(checks, label)
        raise
    _check(checks, label)


def _check(checks: list[Callable[[], None]], label: str) -> None:
    with reading(label):
        for check in checks:
            check()


def _opened(source: Source, label: str, limits: Limits, arrays: bool, checks: list[Callable[[], None]]) -> ModelFile:
    if isinstance(source, str) and source.lstrip().startswith("{"):
        raise TypeError("a model file is a path or bytes: give the text of a config, which this is, as text.encode()")
    if isinstance(source, str | os.PathLike):
        if os.path.isdir(source):
            return _keras(Folder(source), "keras-dir", label, limits, arrays, 0)
        if not os.path.isfile(source) and os.path.isfile(f"{os.fspath(source)}.index"):
            raise CorruptFile(f"it is {CHECKPOINT}")
        folder = os.path.dirname(source)
        return _file(content(source, limits.total), label, limits, folder, arrays, checks)
    if isinstance(source, bytes | bytearray | memoryview):
        return _file(memoryview(bytes(source)), label, limits, None, arrays, checks)
    if not hasattr(source, "read"):
        hint = "; fnet.from_keras takes a live model" if hasattr(source, "get_config") else ""
        hint = "; give a config as json.dumps(config).encode()" if isinstance(source, dict) else hint
        raise TypeError(f"a model file is a path, bytes or a binary file object, not {type(source).__name__}{hint}")
    data = file_content(source, limits.total)
    if not data and getattr(source, "seekable", bool)() and source.tell():
        raise CorruptFile("it was written or read to its end: go back to its beginning, file.seek(0)")
    return _file(data, label, limits, None, arrays, checks)


def _label(source: Source) -> str:
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if isinstance(name, str | os.PathLike):
        return quoted(os.path.basename(os.path.normpath(name)))
    return "the model file"


def _file(
    data: memoryview, label: str, limits: Limits, folder: str | None, arrays: bool, checks: list[Callable[[], None]]
) -> ModelFile:
    """A file or bytes. folder: that of a file, else None."""
    if len(data) > limits.total:
        raise LimitExceeded(f"{len(data)} bytes; `Limits.total` allows {limits.total}")
    head = bytes(data[:HEAD])
    if head[:4] == b"PK\3\4":
        return _keras(Zip(data, limits, checks), "keras-zip", label, limits, arrays, len(data))
    if head[:8] == hdf5.SIGNATURE:
        return _hdf5(data, label, limits)
    text = str(head, json.detect_encoding(head), "replace").lstrip()
    if text.startswith(("{", '"{')) and (folder is not None or "class_name" in text):
        return _json(data, folder, label, limits)
    raise stranger(head)


def _json(data: memoryview, folder: str | None, label: str, limits: Limits) -> ModelFile:
    """The config of a model without its weights (`model.to_json()`, or the config.json of a `.keras`), or an index."""
    value = parse(data, label, limits, nonfinite=True)
    if isinstance(value, str):  # json.dump(model.to_json(), file)
        value = parse(value, label, limits, nonfinite=True)
    index = as_object(value, label)
    if "layers" in index:  # of model.get_config()
        index = {"class_name": "Functional" if "input_layers" in index else "Sequential", "config": index}
    if "class_name" not in index:
        return _sharded(index, folder, label, limits)
    version = _version(index.get("keras_version"))
    if version is None and index.get("module") is not None:
        version = UNSAID
    return ModelFile("json", label, index, version, WeightTree(), legacy=index.get("module") is None)


# --- .keras: zip or folder ------------------------------------------------------------------------------------


def _keras(parts: Container, kind: Format, label: str, limits: Limits, arrays: bool, zipped: int) -> ModelFile:
    """A `.keras`. zipped: how many of its bytes have checksums."""
    names = set(parts.names())
    if CONFIG not in names:
        raise strange_parts(names)
    if WEIGHTS not in names and arrays:
        raise _no_weights(names)
    config = parse_object(bytes(parts.get(CONFIG, limits.config)), CONFIG, limits, nonfinite=True)
    version = None
    if METADATA in names:
        metadata = parse_object(bytes(parts.get(METADATA, limits.config)), METADATA, limits)
        version = _version(metadata.get("keras_version"))
    if not arrays:
        return ModelFile(kind, label, config, version, WeightTree(version=version), stored=zipped or None)
    with reading(WEIGHTS):
        data = parts.get(WEIGHTS, limits.total)
        groups = dict(_groups(_open(data, limits, zipped or len(data))))
    tree, assets = WeightTree(groups, version=version), _assets(parts, names, limits)
    return ModelFile(kind, label, config, version, tree, assets, stored=zipped or len(data))


def _no_weights(names: set[str]) -> Exception:
    if "model.weights.npz" in names:
        return UnsafeFile("its weights are an .npz, which can hold pickled code; save again in Keras's default format")
    return CorruptFile(f"no {WEIGHTS} in it")


def _version(version: Any) -> str | None:
    if version is not None and not (isinstance(version, str) and len(version) <= 64):
        raise CorruptFile(f"keras_version is {quoted(version)}")
    return version


def _assets(parts: Container, names: set[str], limits: Limits) -> dict[str, bytes]:
    assets, left = {}, limits.vocabulary
    for name in sorted(names):
        if name.startswith("assets/") and name.endswith("/" + VOCABULARY):
            assets[name.removeprefix("assets/")] = data = bytes(parts.get(name, left))
            left -= len(data)
    for name, data in assets.items():
        if assets.get(name.replace("/_lookup_layer/", "/"), data) != data:
            raise CorruptFile(f"{quoted(name)} differs from its copy one folder up: which is the vocabulary?")
    return assets


def _open(data: memoryview, limits: Limits, stored: int) -> hdf5.Group:
    if bytes(data[:8]) != hdf5.SIGNATURE:
        raise CorruptFile(f"its weights are not an HDF5 file: they begin with {quoted(bytes(data[:8]))}")
    return hdf5.open_file(data, total=limits.total, steps=limits.steps, text=2 * limits.config, stored=stored)


# --- arrays ---------------------------------------------------------------------------------------------------


def _groups(root: hdf5.Group, *, complete: bool = True) -> Iterator[tuple[str, Variables]]:
    """(object path, variables) of the groups `<path>/vars`. complete: whether no number may be missing."""
    for group in root.walk():
        path, _, last = group.path.rpartition("/")
        if last != "vars":
            if group.datasets:
                raise CorruptFile(f"array {quoted(next(iter(group.datasets.values())).path)} is in no `vars` group")
        elif path.partition("/")[0] != "optimizer":
            numbered = {int(name): array for name, array in group.datasets.items() if _is_number(name)}
            numbers = sorted(numbered)
            no_bias = numbers == [0, 2] and numbered[0].type.name == "int8"  # its number is left out in Keras 3.2
            if complete and not no_bias and numbers != list(range(len(numbers))):
                raise WeightsMismatch(f"{quoted(group.path)} holds arrays {quoted(numbers)}: some are missing")
            named = {name: _array(array) for name, array in group.datasets.items() if not _is_number(name)}
            arrays = tuple(_array(numbered[n]) for n in numbers)
            yield path, Variables(group.text("name"), arrays, named)


def _array(dataset: hdf5.Dataset) -> StoredArray:
    if not dataset.type.readable or dataset.type.name in ("string", "text"):
        raise WeightsMismatch(f"array {quoted(dataset.path)} holds {dataset.type.name} values; numbers were expected")
    return StoredArray(dataset.path, dataset.shape, dataset.type.name, dataset.load)


# --- .h5 and shards -------------------------------------------------------------------------------------------


def _hdf5(data: memoryview, label: str, limits: Limits) -> ModelFile:
    root = _open(data, limits, len(data))
    holder = root.groups.get("model_weights", root)
    if holder is root and root.texts("layer_names") is None:
        if root.text("model_config") is not None:
            raise CorruptFile("it has a config but no `model_weights`")
        if not any(group.path.rpartition("/")[2] == "vars" for group in root.walk()):
            raise CorruptFile("HDF5, but not of Keras: neither `model_config` nor `layer_names` nor `vars` in it")
        return ModelFile("weights-h5", label, None, None, WeightTree(dict(_groups(root))), stored=len(data))
    text = root.text("model_config")
    config = None if text is None else parse_object(text, "model_config", limits, nonfinite=True)
    version = _version(holder.text("keras_version") or root.text("keras_version"))
    backend = holder.text("backend") or root.text("backend")
    tree = replace(_legacy(holder), version=version)
    return ModelFile("h5", label, config, version, tree, backend=backend, stored=len(data), legacy=True)


def _legacy(holder: hdf5.Group) -> WeightTree:
    names = holder.texts("layer_names")
    if names is None:
        raise CorruptFile("no list of layers: the attribute `layer_names` is missing")
    if len(set(names)) != len(names):
        raise CorruptFile("two layers have one name in `layer_names`")
    used: set[str] = set()
    layers = tuple(LegacyLayer(name, _listed(holder, name, used)) for name in names)
    top = "top_level_model_weights"
    extras = _listed(holder, top, used) if top in holder.groups else ()
    for group in holder.walk():
        for array in group.datasets.values():
            if array.path not in used:
                raise WeightsMismatch(f"array {quoted(array.path)} belongs to no layer that the file lists")
    return WeightTree(layers=layers, top_level=extras)


def _listed(holder: hdf5.Group, name: str, used: set[str]) -> tuple[tuple[str, StoredArray], ...]:
    """(weight name, array) of a layer, as its `weight_names` list them."""
    if (group := holder.below(name.split("/"))) is None:
        raise WeightsMismatch(f"layer {quoted(name)} is listed, but no group holds its weights")
    arrays = []
    for weight in group.texts("weight_names") or []:
        array = group.find(weight)
        if array is None or array.path in used:
            raise WeightsMismatch(f"weight {quoted(weight)} of layer {quoted(name)} is missing or listed twice")
        used.add(array.path)
        arrays.append((weight, _array(array)))
    return tuple(arrays)


def _sharded(index: dict[str, Any], folder: str | None, label: str, limits: Limits) -> ModelFile:
    """`x.weights.json` with its `x_00000.weights.h5`, ... next to it."""
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or folder is None:
        raise strange_json(index)
    merged: dict[str, Variables] = {}
    left, stored = limits.total, 0
    for shard in _shards(weight_map):
        try:
            data = Folder(folder).get(shard, left)
        except KeyError:
            raise WeightsMismatch(f"shard {quoted(shard)} is not next to the index") from None
        with reading(quoted(shard)):
            root = _open(data, limits, len(data))
            groups = dict(_groups(root, complete=False))
        stored += len(data)
        left -= sum(array.nbytes for group in root.walk() for array in group.datasets.values())
        if left < 0:
            raise LimitExceeded(f"its shards hold more than the {limits.total} bytes of `Limits.total`")
        for key, variables in groups.items():
            merged[key] = _joined(key, merged.get(key), variables)
    _check_map(weight_map, merged)
    return ModelFile("weights-json", label, None, None, WeightTree(merged), stored=stored)


def _shards(weight_map: dict[str, Any]) -> list[str]:
    """The names of the shards, each once, in order."""
    names: set[str] = set()
    for key, value in weight_map.items():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or not plain_name(name) or not name.endswith(".weights.h5"):
                raise UnsafeFile(f"{quoted(name)}, for {quoted(key)}, is not the name of a shard in the same folder")
            names.add(name)
    return sorted(names)


def _joined(path: str, before: Variables | None, after: Variables) -> Variables:
    """The variables of one object from two shards."""
    if before is None:
        return after
    arrays = {int(a.place.rpartition("/")[2]): a for a in (*before.arrays, *after.arrays)}
    if len(arrays) != len(before.arrays) + len(after.arrays) or set(before.named) & set(after.named):
        raise WeightsMismatch(f"an array of {quoted(path)} is in two shards")
    ordered = tuple(arrays[number] for number in sorted(arrays))
    return Variables(before.name or after.name, ordered, {**before.named, **after.named})


def _check_map(weight_map: dict[str, Any], merged: dict[str, Variables]) -> None:
    for path, variables in merged.items():
        numbers = [int(array.place.rpartition("/")[2]) for array in variables.arrays]
        if numbers != list(range(len(numbers))):
            raise WeightsMismatch(f"the shards hold arrays {quoted(numbers)} of {quoted(path)}: some are missing")
    for key in weight_map:
        path = key.strip("/").removesuffix("vars").rstrip("/")
        if path not in merged and path.partition("/")[0] != "optimizer":
            raise WeightsMismatch(f"{quoted(key)} is in the index, but in none of the shards")
