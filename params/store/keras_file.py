"""`to_keras`: a model and its params as a `.keras` file that Keras 3 loads. Neither Keras nor h5py is needed.

The converter of every file reads the config back, which must give the same model; arrays are put where the loader looks
for them. Before the bytes are written, `load_keras` reads them, and the result is compared.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fnet import tree, writing
from fnet.backend import ops
from fnet.core import infer, parameters
from fnet.core.diagnosis import require_order
from fnet.core.rules import own_layers
from fnet.errors import ExportError
from fnet.types import Params, ParamTree
from params.assign.group_names import join
from params.assign.weight_paths import map_weights
from params.convert.conversion import Converted
from params.convert.models import convert
from params.errors import ModelFileError
from params.loading import load_keras
from params.store import hdf5_writer
from params.store.keras_config import described
from params.store.meaning import difference, meaning
from params.store.spelling import spelled

VERSION = "3.15.0"
"""The version of Keras whose rules the files follow."""


def to_keras(
    model: Any,
    params: Params,
    path: str | os.PathLike[str],
    *input_shapes: Any,
    custom: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Write a model and its params as a `.keras` file, which `keras.saving.load_model` of Keras 3.15 reads.

    input_shapes: one for each input, batch axis included; not needed when the model begins with `input_layer`.
    custom: {"my_package>Name": layer} for layers of your own, whose Keras class is registered under that name.
    The same model gives the same bytes. Layers that are the identity at inference and lost their settings when
    they were loaded, such as RandomRotation, are written with a factor of 0.

    Raises fnet.ExportError where a file of Keras 3 cannot express the model, or gives another one when it is read back;
    fnet.InvalidParams for params that do not fit; ValueError for a name of another format; OSError when the disk fails.
    The file appears complete or not at all.
    """
    require_order("to_keras(model, params, path)", model, params)
    writing.require_format(path, ".keras")
    writing.write(path, keras_bytes(model, params, *input_shapes, custom=custom))


def keras_bytes(
    model: Any, params: Params, *input_shapes: Any, custom: Mapping[str, Callable[..., Any]] | None = None
) -> bytes:
    """The bytes of the file that `to_keras` writes."""
    custom = own_layers(custom)
    parameters.check(model, params, *input_shapes)
    if any(key[-1] == "rng" for key, _ in tree.items(params)):
        raise ExportError("the params hold keys of randomness (`rng`), which Keras draws anew: leave them out")
    takes = infer.inputs_of(model, input_shapes)
    if infer.keeps_states(model) and all(next(iter(spec.shape), None) is None for spec in tree.leaves(takes)):
        raise ExportError(
            "a layer with stateful=True needs batches of one size, which a model here does not hold: give the shape of "
            "a batch, as in to_keras(model, params, path, (32, 10, 4))"
        )
    whole = spelled(model, params, takes)
    config = described(whole, params, takes, custom)
    try:
        converted = convert(config, custom=custom)
    except ModelFileError as error:
        raise ExportError(f"what Keras would read is refused: {error}") from error
    _require_same(meaning(whole, params), meaning(converted.step, _with_given(converted, params)))
    expected = infer.infer(converted.step, infer.input_spec(converted.step))[1]
    data = _packed(config, _groups(converted, expected, params))
    _compare(data, whole, params, custom)
    return data


def _compare(data: bytes, model: Any, params: Params, custom: Mapping[str, Callable[..., Any]] | None) -> None:
    """Raise ExportError unless `load_keras` reads this model and these params from the bytes."""
    try:
        read, arrays = load_keras(data, custom=custom)
    except ModelFileError as error:
        raise ExportError(f"the file would not load: {error}") from error
    _require_same(meaning(model, params), meaning(read, arrays))
    back = dict(tree.items(arrays))
    for path, leaf in tree.items(params):
        if path not in back:
            continue
        if not np.array_equal(ops.to_numpy(leaf).astype(back[path].dtype), back[path]):
            raise ExportError(f"{tree.path_name(path)} would not be the same in the file")


def _require_same(ours: Any, read: Any) -> None:
    if (different := difference(ours, read)) is not None:
        raise ExportError(f"Keras would read another model: {different}")


def _with_given(converted: Converted, params: Params) -> dict[str, Any]:
    """The params with the constants of a config, at any depth."""
    whole = {**params, **converted.preset}
    for name, part in converted.parts.items():
        if part.source.is_model:
            whole[name] = _with_given(part, params.get(name, {}))
    return whole


# --- the bytes ------------------------------------------------------------------------------------------------


def _groups(converted: Converted, expected: ParamTree, params: Params) -> hdf5_writer.Group:
    """The arrays of the params at the places where Keras looks for them."""
    weight_map = map_weights(converted, expected)
    forms, leaves = dict(tree.items(expected)), dict(tree.items(params))
    root = hdf5_writer.Group()
    for owner, group in [*weight_map.walk.named, (converted, "")]:
        _place(root, join(group, "vars")).attributes["name"] = owner.source.name
    homes = {id(part): inner for part, inner in _objects(converted, params)}
    for slot in weight_map.slots:
        home = _place(root, join(slot.group, "vars"))
        if slot.name == "idf_weights":
            for name in ("", *slot.owner.entry.copies):
                place = _place(root, join(slot.group, name, "vars"))
                _put(place, slot.name, homes[id(slot.owner)][slot.name], "float32")
        elif slot.path is not None:
            _put(home, str(slot.number), leaves[slot.path], forms[slot.path].dtype)
        elif slot.number >= 0:
            value = _unread(slot.name, homes[id(slot.owner)])
            _put(home, str(slot.number), value, str(value.dtype))
    return root


def _objects(converted: Converted, params: Params) -> Iterator[tuple[Converted, Params]]:
    """An object and all its parts, at any depth, with their params."""
    yield converted, params
    for name, part in converted.parts.items():
        yield from _objects(part, params.get(name, {}))


def _unread(name: str, params: Params) -> Any:
    """The array of a variable that only training reads: the second copy of the kernel in SpectralNormalization, the
    number of rows that a Normalization has seen."""
    if name == "kernel":
        inner = params["layer"]
        return ops.to_numpy(inner["kernel"] if "kernel" in inner else inner["embeddings"])
    return np.zeros((), np.int32)


def _place(group: hdf5_writer.Group, path: str) -> hdf5_writer.Group:
    """The group at a path, made if there is none."""
    for name in path.split("/"):
        inner = group.members.setdefault(name, hdf5_writer.Group())
        assert isinstance(inner, hdf5_writer.Group)
        group = inner
    return group


def _put(group: hdf5_writer.Group, name: str, value: Any, dtype: str) -> None:
    array = ops.to_numpy(value)
    if dtype == "bfloat16":
        bits = array.astype(np.float32).view(np.uint32)
        if (bits & 0xFFFF).any():
            raise ExportError("an array of bfloat16 holds numbers that bfloat16 cannot represent")
        group.members[name] = (bits >> 16).astype("<u2").view("V2")
        group.described[name] = {"dtype": "bfloat16"}
        return
    stored = array.astype(dtype)
    if not np.array_equal(stored, array):
        raise ExportError(f"{name}: {array.dtype} does not fit the {dtype} of the layer")
    group.members[name] = stored


def _packed(config: Mapping[str, Any], groups: hdf5_writer.Group) -> bytes:
    """The zip of the three files, uncompressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            ("metadata.json", json.dumps({"keras_version": VERSION}).encode()),
            ("config.json", json.dumps(config).encode()),
            ("model.weights.h5", hdf5_writer.write(groups)),
        ):
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()
