"""`save` and `load`: a model, its parameters, labels and input scale in one `.safetensors` file.

Format, version 1. Arrays: one tensor for each leaf of the params tree, under the keys of its path joined by "/"
("~" and "/" inside a key are written "~0" and "~1"). Metadata, all JSON texts but the first: `format` "fnet";
`format_version`; `model` (see `params.store.records`); `empty`, the paths of dicts without leaves; `checksums`, the
CRC-32 of each tensor's bytes; `labels`; `scale`; `selftest`, which may be missing (see `params.store.selftest`). Every
later version of fnet reads it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from math import inf, isfinite
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from fnet import tree, writing
from fnet.activation_functions import ACTIVATIONS
from fnet.core import infer, parameters
from fnet.core.diagnosis import FAILURES, require_order
from fnet.errors import InvalidParams
from fnet.inference.labels import require_labels
from fnet.layers.vocabulary import vocabulary_params
from fnet.strings import unpack_bytes
from fnet.types import Params
from params.errors import CorruptFile, LimitExceeded, ModelFileError, Retold, WeightsMismatch, quoted, reading
from params.file.containers import content
from params.file.model_file import Limits, allowed
from params.file.strict_json import parse
from params.output_sizes import require_room
from params.store import selftest as self_test
from params.store.records import Layers, decode, encode, known_layers
from params.store.safetensors import METADATA, NAMES, read, tensors, write

VERSION = 1
DEFAULT = Limits(depth=512)
"""Models nest deeper in JSON than configs do."""
DEEPEST = DEFAULT.depth // 2
"""The most dicts in one another of params; a model in a model takes three levels of JSON and one dict."""
SAVED = ", ".join(sorted(NAMES))
KERAS = (b"PK\3\4", b"\x89HDF\r\n\x1a\n")
"""How Keras's own files begin."""


def save(
    path: str | os.PathLike[str],
    model: Any,
    params: Params,
    labels: Sequence[str] | None = None,
    scale: float | None = None,
    *,
    custom: Layers | None = None,
    selftest: bool = False,
) -> None:
    """Write a model and its parameters as one `.safetensors` file, which `load` reads without Keras.

    labels: the names of the classes, in order. scale: the factor for inputs, such as 1 / 255 for pixels.
    custom: {name: layer} for layers of your own in the model; `load` then needs the same.
    selftest: whether the file contains the outputs for generated rows, which `fnet.verify` compares on other machines.
    Its bytes then depend on the machine that writes it, in the last digits of these outputs.

    The file is written completely or not at all: next to `path`, flushed, read back and compared, then moved to `path`.
    Raises TypeError or ValueError for what cannot be saved and for a name of another format, fnet.InvalidParams when
    the params do not fit the model, OSError when the disk fails (an older file at `path` is then unchanged).
    """
    require_order("save(path, model, params)", model, params)
    writing.require_format(path, ".safetensors")
    names = _labels(labels)
    if (spec := infer.input_spec(model)) is not None:
        parameters.check(model, params)
        if names is not None:
            require_labels(names, infer.infer(model, spec)[0])
    test = self_test.record(model, params) if selftest else None
    data = _packed(model, params, names, finite("scale", scale), custom, test)
    # never write a file that cannot be loaded; how large its outputs may be, its reader decides
    _check(*_unpacked(memoryview(data), custom, DEFAULT), replace(DEFAULT, outputs=1 << 128))
    writing.write(path, data)


def load(
    path: str | os.PathLike[str], *, custom: Layers | None = None, limits: Limits | None = None
) -> tuple[Any, dict[str, Any]]:
    """(model, params) from a file that `save` wrote. The arrays are read-only NumPy arrays.

    A file of 32 MiB or more is mapped into memory, not copied: while the params are in use it may be replaced, as
    `save` does, but not modified in place. bfloat16 arrays, which NumPy lacks, become float32.
    custom: as in `save`.
    Raises ModelFileError for anything wrong with the file, OSError when it does not exist.
    """
    limits = allowed(limits, DEFAULT)
    with reading(quoted(Path(path).name or str(path))):
        model, params = _unpacked(content(Path(path), limits.total), custom, limits)
        _check(model, params, limits)
    return model, params


def load_info(path: str | os.PathLike[str], *, limits: Limits | None = None) -> dict[str, Any]:
    """The metadata of a saved file: {"format_version": 1, "labels": [...], "scale": 0.0039}.

    `labels` and `scale` are None if they were not given to `save`.
    """
    limits = allowed(limits, DEFAULT)
    with reading(quoted(Path(path).name or str(path))):
        metadata = _read(content(Path(path), limits.total), limits)[0]
        return {"format_version": VERSION, **info_of(metadata, limits)}


def info_of(metadata: Mapping[str, str], limits: Limits) -> dict[str, Any]:
    """{"labels": ..., "scale": ...} from the metadata of a saved file."""
    labels, scale = (_part(metadata, name, limits) for name in ("labels", "scale"))
    return {"labels": _labels(labels), "scale": finite("scale", scale)}


def selftest_of(data: memoryview, limits: Limits) -> Any:
    """The self-test in the bytes of a saved file, or None."""
    metadata = _read(data, limits)[0]
    return _part(metadata, "selftest", limits) if "selftest" in metadata else None


def architecture(data: memoryview, limits: Limits, custom: Layers | None) -> tuple[Any, dict[str, str]]:
    """(model, metadata) from the bytes of a saved file, without its arrays."""
    metadata = _read(data, limits)[0]
    return _model(metadata, limits, custom), metadata


def _model(metadata: Mapping[str, str], limits: Limits, custom: Layers | None) -> Any:
    model = decode(_part(metadata, "model", limits), known_layers(custom, metadata.get("model", "")))
    if not callable(model) or model in ACTIVATIONS.values():
        raise CorruptFile(f"the model is {quoted(model)}")
    try:
        count = len(infer.layers_in(model))
    except (TypeError, LookupError, ValueError, AttributeError) as error:  # an option that holds layers has none
        raise CorruptFile(f"a layer of the model cannot be made: {error}") from error
    if count > limits.layers:
        raise LimitExceeded(f"{count} layers; `Limits.layers` allows {limits.layers}")
    return model


def _labels(labels: Any) -> list[str] | None:
    if labels is None:
        return None
    if isinstance(labels, str | Mapping) or not isinstance(labels, Iterable):
        raise ValueError(f"labels are a list of texts, not {quoted(labels)}")
    texts: list[Any] = list(labels)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"labels are a list of texts, not {quoted(labels)}")
    return texts


def finite(name: str, number: Any) -> float | None:
    """A number that may be left out, None. Raises ValueError for any other."""
    if number is None:
        return None
    try:
        value = float(number) if isinstance(number, Real) and not isinstance(number, bool) else inf
    except OverflowError:
        value = inf
    if not isfinite(value):
        raise ValueError(f"{name} is a finite number, not {quoted(number)}")
    return value


# --- to bytes -------------------------------------------------------------------------------------------------


def _packed(
    model: Any, params: Params, labels: list[str] | None, scale: float | None, custom: Layers | None, test: Any
) -> bytes:
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
        **({} if test is None else {"selftest": test}),
    }
    metadata = {key: json.dumps(value, allow_nan=False) for key, value in texts.items()}
    return write(leaves, {"format": "fnet", "format_version": str(VERSION), **metadata})


def _leaves(params: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(flat name, leaf) of every leaf, and (flat name, None) of every empty dict."""
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
    """A leaf as a C-contiguous little-endian array."""
    if path == METADATA:
        raise TypeError(f"params {path!r} has the name that the format keeps for what is not an array: give it another")
    if not hasattr(leaf, "dtype"):
        raise TypeError(f"params {path!r} is a {type(leaf).__name__}; leaves are arrays, and dicts hold them")
    array = np.asarray(leaf)
    if array.dtype.name not in NAMES:
        raise TypeError(f"params {path!r} is {array.dtype}; saved are {SAVED}")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


# --- from bytes -----------------------------------------------------------------------------------------------


def _unpacked(data: memoryview, custom: Layers | None, limits: Limits) -> tuple[Any, dict[str, Any]]:
    metadata, header, stored = _read(data, limits)
    model = _model(metadata, limits, custom)
    checksums = _part(metadata, "checksums", limits)
    if not isinstance(checksums, dict):
        raise CorruptFile(f"its checksums are {quoted(checksums)}, not an object")
    params: dict[str, Any] = {}
    for path in _texts(_part(metadata, "empty", limits)):
        _place(params, path, {})
    for name, part, array in tensors(header, stored):
        if checksums.get(name) != zlib.crc32(part):
            raise CorruptFile(f"tensor {quoted(name)} is damaged: its checksum is wrong")
        _place(params, name, array)
    if len(header) != len(checksums):
        raise WeightsMismatch(f"{len(checksums)} tensors were written, {len(header)} are there")
    return model, params


def _read(data: memoryview, limits: Limits) -> tuple[dict[str, str], dict[str, Any], memoryview]:
    """`safetensors.read`; refuses files that `save` did not write."""
    if any(data[: len(start)] == start for start in KERAS):
        raise CorruptFile("it is a zip or HDF5, as the files of Keras are: load_keras reads those")
    metadata, header, stored = read(data, limits)
    if metadata.get("format") != "fnet":
        raise CorruptFile("a .safetensors file that fnet.save did not write: it holds no model")
    if metadata.get("format_version") != str(VERSION):
        version = quoted(metadata.get("format_version"))
        raise CorruptFile(f"format version {version}; this fnet reads {VERSION}: a newer one wrote it")
    return metadata, header, stored


def _part(metadata: Mapping[str, str], key: str, limits: Limits) -> Any:
    if key not in metadata:
        raise CorruptFile(f"no {key} in its metadata")
    return parse(metadata[key], f"metadata {key}", limits)


def _texts(texts: Any) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise CorruptFile(f"{quoted(texts)} is not a list of texts")
    return texts


def _place(params: dict[str, Any], path: str, leaf: Any) -> None:
    """Put a leaf at its path, and make the dicts above it."""
    *above, last = (key.replace("~1", "/").replace("~0", "~") for key in path.split("/"))
    if len(above) > DEEPEST:
        raise LimitExceeded(f"{quoted(path)} lies {len(above)} deep; {DEEPEST} is the most")
    here = params
    for key in above:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise CorruptFile(f"{quoted(path)} lies below an array")
    if last in here:
        raise CorruptFile(f"{quoted(path)} appears twice")
    here[last] = leaf


def _check(model: Any, params: Params, limits: Limits) -> None:
    with as_file_errors():
        rows: list[infer.TracedStep] = []
        if (spec := infer.input_spec(model)) is not None:
            rows = infer.trace(model, spec)
            if lines := parameters.misplaced(dict(tree.items(infer.params_of(rows))), params):
                raise WeightsMismatch("these parameters do not fit the model:\n  " + "\n  ".join(lines))
            require_room(rows, limits)
        for path, leaf in tree.items(params):
            if (wrong := parameters.faulty(path, leaf)) is not None:
                raise WeightsMismatch(f"{quoted(tree.path_name(path))} {wrong}")
        for row in rows:
            if "vocabulary" in row.params:
                _check_vocabulary(row.step, tree.get(params, row.entry)["vocabulary"])


def as_file_errors() -> AbstractContextManager[None]:
    """Errors in a `with` block become those of a file with an inconsistent model, or params that do not fit."""
    return Retold(FAILURES, _as_file_error)


def _as_file_error(error: Exception) -> Exception:
    if isinstance(error, ModelFileError):
        return error
    if isinstance(error, InvalidParams):
        return WeightsMismatch(str(error))
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return CorruptFile(f"the model does not fit together: {error}{where}")


def _check_vocabulary(step: Any, table: Any) -> None:
    """The tokens must be those that a loader would take from a Keras file."""
    try:
        vocabulary_params(step, unpack_bytes(table) if isinstance(table, Mapping) else table.tolist())
    except (TypeError, ValueError) as error:
        raise WeightsMismatch(f"a vocabulary that Keras refuses: {error}") from error
