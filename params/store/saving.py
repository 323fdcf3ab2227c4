"""`save` and `load`: a model, its parameters, labels and input scale in one `.safetensors` file.

Format, version 1. Arrays: one tensor for each leaf of the params tree, under the keys of its path joined by "/"
("~" and "/" inside a key are written "~0" and "~1"). Metadata, all JSON texts but the first: `format` "fnet";
`format_version`; `model` (see `params.store.records`); `empty`, the paths of dicts without leaves; `checksums`, the
CRC-32 of each tensor's bytes; `labels`; `scale`. Every later version of fnet reads it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from fnet import tree, writing
from fnet.core import infer, parameters
from fnet.errors import InvalidParams
from fnet.layers.vocabulary import vocabulary_params
from fnet.strings import unpack_bytes
from fnet.types import Array, Params
from params.errors import CorruptFile, LimitExceeded, ModelFileError, WeightsMismatch, quoted, reading
from params.file.containers import content
from params.file.model_file import Limits
from params.file.strict_json import parse, parse_object
from params.store.records import Layers, decode, encode, known_layers

VERSION = 1
DEFAULT = Limits(depth=512)
"""Models nest deeper in JSON than configs do."""
DTYPES = {
    "F16": "float16", "F32": "float32", "F64": "float64", "BF16": "uint16", "BOOL": "bool",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
}  # fmt: skip
"""{safetensors name: NumPy dtype of the stored bytes}."""
NAMES = {**{dtype: name for name, dtype in DTYPES.items()}, "uint16": "U16", "bfloat16": "BF16"}
SAVED = frozenset(NAMES)


def save(
    path: str | os.PathLike[str],
    model: Any,
    params: Params,
    labels: Sequence[str] | None = None,
    scale: float | None = None,
    *,
    custom: Layers | None = None,
) -> None:
    """Write a model and its parameters as one `.safetensors` file, which `load` reads without Keras.

    labels: the names of the classes, in order. scale: what inputs are multiplied by first, as 1 / 255 for pixels.
    custom: {name: layer} for layers of your own in the model; `load` then needs the same.

    The file appears complete or not at all: it is written beside `path`, flushed, read back and compared, then
    moved over what was there. Raises TypeError or ValueError for what cannot be saved, fnet.InvalidParams when
    the params do not fit the model, OSError when the disk fails (what was at `path` is then still there).
    """
    if infer.input_spec(model) is not None:
        parameters.check(model, params)
    data = _packed(model, params, _labels(labels), _scale(scale), custom)
    _unpacked(memoryview(data), custom, DEFAULT)  # what cannot be loaded is never written
    writing.write(path, data)


def load(
    path: str | os.PathLike[str], *, custom: Layers | None = None, limits: Limits | None = None
) -> tuple[Any, dict[str, Any]]:
    """(model, params) from a file that `save` wrote. The arrays are NumPy's and read-only.

    bfloat16 arrays, which NumPy lacks, come widened to float32. custom: as given to `save`.
    Raises ModelFileError for anything wrong with the file, OSError when there is none.
    """
    limits = limits or DEFAULT
    with reading(quoted(Path(path).name)):
        model, params, _ = _unpacked(content(Path(path), limits.total), custom, limits)
        _check(model, params)
    return model, params


def load_info(path: str | os.PathLike[str], *, limits: Limits | None = None) -> dict[str, Any]:
    """What a saved file says beside model and params: {"format_version": 1, "labels": [...], "scale": 0.0039}.

    `labels` and `scale` are None where `save` was given none.
    """
    limits = limits or DEFAULT
    with reading(quoted(Path(path).name)):
        metadata = _header(content(Path(path), limits.total), limits)[0]
        return {
            "format_version": VERSION,
            "labels": _labels(_part(metadata, "labels", limits)),
            "scale": _scale(_part(metadata, "scale", limits)),
        }


def _labels(labels: Any) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, str | Mapping) or not isinstance(labels, Iterable):
        raise ValueError(f"labels are a list of texts, not {quoted(labels)}")
    texts: list[Any] = list(labels)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"labels are a list of texts, not {quoted(labels)}")
    return texts


def _scale(scale: Any) -> float | None:
    if scale is None:
        return None
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not isfinite(scale):
        raise ValueError(f"scale is a finite number, not {quoted(scale)}")
    return float(scale)


# --- to bytes -------------------------------------------------------------------------------------------------


def _packed(model: Any, params: Params, labels: list[str] | None, scale: float | None, custom: Layers | None) -> bytes:
    layers = known_layers(custom)
    names = {function: name for name, function in reversed(layers.items())}
    leaves, empty = {}, []
    for path, leaf in _leaves(params, ""):
        if leaf is None:
            empty.append(path)
        else:
            leaves[path] = _plain(path, leaf)
    texts = {
        "model": encode(model, names),
        "empty": sorted(empty),
        "checksums": {path: zlib.crc32(leaves[path].reshape(-1).view(np.uint8).data) for path in sorted(leaves)},
        "labels": labels,
        "scale": scale,
    }
    metadata = {key: json.dumps(value, allow_nan=False) for key, value in texts.items()}
    return _bytes(leaves, {"format": "fnet", "format_version": str(VERSION), **metadata})


def _bytes(leaves: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> bytes:
    """The safetensors file, the same bytes for the same leaves: widest dtypes first, then by name (the library
    writes the metadata in another order each time)."""
    header: dict[str, Any] = {"__metadata__": metadata}
    parts, end = [], 0
    for name in sorted(leaves, key=lambda name: (-leaves[name].dtype.itemsize, name)):
        leaf = leaves[name]
        begin, end = end, end + leaf.nbytes
        header[name] = {"dtype": NAMES[leaf.dtype.name], "shape": leaf.shape, "data_offsets": (begin, end)}
        parts.append(leaf.tobytes())
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def _leaves(params: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(flat name, leaf) of every leaf, and (flat name, None) of every dict without any."""
    if not isinstance(params, Mapping):
        yield path, params
        return
    if not params and path:
        yield path, None
    for key, item in params.items():
        if not isinstance(key, str) or not key:
            raise TypeError(f"keys of params are names, not {key!r}, below {path or 'the root'!r}")
        if item is None:
            raise TypeError(f"params {path}/{key} is None; leave it out")
        name = key.replace("~", "~0").replace("/", "~1")
        yield from _leaves(item, f"{path}/{name}" if path else name)


def _plain(path: str, leaf: Any) -> np.ndarray[Any, Any]:
    """A leaf as a C-contiguous little-endian array: safetensors writes others wrongly."""
    if not hasattr(leaf, "dtype"):
        raise TypeError(f"params {path!r} is a {type(leaf).__name__}; leaves are arrays, and dicts hold them")
    array = np.asarray(leaf)
    if array.dtype.name not in SAVED:
        raise TypeError(f"params {path!r} is {array.dtype}; saved are {', '.join(sorted(SAVED))}")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


# --- from bytes -----------------------------------------------------------------------------------------------


def _unpacked(data: memoryview, custom: Layers | None, limits: Limits) -> tuple[Any, dict[str, Any], dict[str, str]]:
    metadata, tensors = _header(data, limits)
    model = decode(_part(metadata, "model", limits), known_layers(custom, metadata.get("model", "")))
    if not callable(model):
        raise CorruptFile(f"the model is {quoted(model)}")
    checksums = _part(metadata, "checksums", limits)
    if not isinstance(checksums, dict):
        raise CorruptFile(f"its checksums are {quoted(checksums)}, not an object")
    params: dict[str, Any] = {}
    for path in _texts(_part(metadata, "empty", limits)):
        _place(params, path, {})
    for name, entry in tensors:
        stored = entry["data"]
        if checksums.get(name) != zlib.crc32(stored):
            raise CorruptFile(f"tensor {quoted(name)} is damaged: its checksum is wrong")
        _place(params, name, _array(entry))
    if len(tensors) != len(checksums):
        raise WeightsMismatch(f"{len(checksums)} tensors were written, {len(tensors)} are there")
    return model, params, metadata


def _header(data: memoryview, limits: Limits) -> tuple[dict[str, str], list[tuple[str, dict[str, Any]]]]:
    """(metadata, tensors) of a safetensors file, which the library and our JSON rules both accept."""
    from safetensors import SafetensorError, deserialize

    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        keras = bytes(data[:4]) in (b"PK\3\4", b"\x89HDF")
        raise CorruptFile("it is a Keras file: load_keras reads it" if keras else "no complete .safetensors file")
    header = parse_object(bytes(data[8 : 8 + size]), "the header", limits)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != "fnet":
        raise CorruptFile("a .safetensors file that params.save did not write: it holds no model")
    if metadata.get("format_version") != str(VERSION):
        version = quoted(metadata.get("format_version"))
        raise CorruptFile(f"format version {version}; this fnet reads {VERSION}: a newer one wrote it")
    try:
        return metadata, deserialize(bytes(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CorruptFile(f"no valid .safetensors file: {error}") from error


def _part(metadata: Mapping[str, str], key: str, limits: Limits) -> Any:
    if key not in metadata:
        raise CorruptFile(f"no {key} in its metadata")
    return parse(metadata[key], f"metadata {key}", limits)


def _texts(found: Any) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise CorruptFile(f"{quoted(found)} is not a list of texts")
    return found


def _place(params: dict[str, Any], path: str, leaf: Any) -> None:
    """Put a leaf at its path, making the dicts above it."""
    *above, last = (key.replace("~1", "/").replace("~0", "~") for key in path.split("/"))
    here = params
    for key in above:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise CorruptFile(f"{quoted(path)} lies below an array")
    if last in here:
        raise CorruptFile(f"{quoted(path)} is there twice")
    here[last] = leaf


def _array(entry: Mapping[str, Any]) -> Array:
    """A tensor as a read-only array."""
    if entry["dtype"] not in DTYPES:
        raise CorruptFile(f"a tensor of {entry['dtype']}")
    if len(entry["shape"]) > 32:
        raise LimitExceeded(f"a tensor of rank {len(entry['shape'])}; 32 is the most")
    array = np.frombuffer(entry["data"], np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")).reshape(entry["shape"])
    if entry["dtype"] == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise CorruptFile("a bool is neither 0 nor 1")
    if entry["dtype"] == "BF16":
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    array.flags.writeable = False
    return array


def _check(model: Any, params: Params) -> None:
    try:
        spec = infer.input_spec(model)
        if spec is not None:
            parameters.check(model, params)
        for path, leaf in tree.items(params):
            if (wrong := parameters.faulty(path, leaf)) is not None:
                raise WeightsMismatch(f"{quoted('/'.join(map(str, path)))} {wrong}")
        for row in () if spec is None else infer.trace(model, spec):
            if "vocabulary" in row.params:
                _check_vocabulary(row.step, tree.get(params, row.entry)["vocabulary"])
    except ModelFileError:
        raise
    except InvalidParams as error:
        raise WeightsMismatch(str(error)) from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        raise CorruptFile(f"the model does not fit together: {error}{where}") from error


def _check_vocabulary(step: Any, table: Any) -> None:
    """The tokens must be those that a loader would take from a Keras file."""
    try:
        vocabulary_params(step, unpack_bytes(table) if isinstance(table, Mapping) else table.tolist())
    except (TypeError, ValueError) as error:
        raise WeightsMismatch(f"a vocabulary that Keras refuses: {error}") from error
