"""`load_weights`: the arrays of a weights file into the params of a model that fnet already has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fnet import modelling, tree
from fnet.compose import Bound, Graph, Sequential, bind
from fnet.layers.core import constant
from fnet.layers.rnn import stacked_rnn_cells
from fnet.types import Params
from params.converted import Converted
from params.entry import Entry
from params.errors import ModelFileError
from params.legacy_arrays import by_order
from params.naming import elements
from params.objects import KerasObject
from params.source import Limits, ModelFile, WeightTree
from params.table import LAYERS
from params.values import values
from params.walk import join, stored_layers
from params.weights import Plan, by_groups, entry_of, plan


def load_weights(
    path: Any, model: Any, params: Params, *input_shapes: Any, limits: Limits | None = None
) -> dict[str, Any]:
    """`params` with the arrays of a weights file: `.weights.h5`, sharded `.weights.json`, or a legacy `.h5`.

    path: path, bytes or file object; a whole model file serves, too. model: the fnet model, with the layers of the
    Keras model that the file was saved from: of the same names, as `load_keras` gives them, or in the same order.
    input_shapes: needed when the model does not begin with `input_layer`. What no array holds (vocabularies,
    constants) stays as in `params`.
    Raises ModelFileError; nothing is taken from a file that does not fit entirely.
    """
    from params.reading import read

    file = read(path, limits or Limits())
    _, wanted = modelling.infer(model, modelling.inputs_of(model, input_shapes))
    made = _described(model, "model", params)
    work = plan(made, wanted, _no_assets)
    _keep(work, params)
    try:
        if file.format == "h5":
            found = by_order(work, made, _in_order(made, file))
        else:
            found = by_groups(_regrouped(work, file.arrays), file.arrays, names=False)
        return values(found, wanted)
    except ModelFileError as error:
        raise type(error)(f"{file.label}: {error}") from error


def _in_order(made: Converted, file: ModelFile) -> ModelFile:
    """The file with its layers as the model has them, where the names of all agree."""
    names = [part.source.name for part in stored_layers(made)]
    layers = {layer.name: layer for layer in file.arrays.layers if layer.arrays}
    if not layers.keys() <= set(names):
        return file
    ordered = tuple(layers[name] for name in names if name in layers)
    return replace(file, arrays=replace(file.arrays, layers=ordered))


def _regrouped(work: Plan, file: WeightTree) -> Plan:
    """The plan with the groups that the file has for the layers of these names.

    Groups count the layers of a class in Keras's order. A graph of fnet runs in an order of its own, so where the names
    of all layers of a class agree, they say which is which.
    """
    siblings: dict[tuple[str, str], dict[str, str]] = {}
    for owner, group in work.walk.named:
        parent, _, last = group.rpartition("/")
        siblings.setdefault((parent, re.sub(r"_\d+$", "", last)), {})[group] = owner.source.name
    moved: dict[str, str] = {}
    for (parent, _), names in siblings.items():  # outer models first
        places = [join(_moved(parent, moved), group.removeprefix(parent).strip("/")) for group in names]
        there = {file.groups[place].name: place for place in places if place in file.groups}
        agree = set(there) == set(names.values())
        moved |= {g: there[name] if agree else place for (g, name), place in zip(names.items(), places, strict=True)}
    work.slots = [replace(slot, group=_moved(slot.group, moved)) for slot in work.slots]
    return work


def _moved(group: str, moved: Mapping[str, str]) -> str:
    """`group`, or what is in a group that moved, where it is now."""
    home, rest = group, ""
    while home and home not in moved:
        home, _, last = home.rpartition("/")
        rest = join(last, rest)
    return join(moved.get(home, home), rest)


def _no_assets(group: str, name: str) -> Any:
    return None


def _keep(work: Plan, params: Params) -> None:
    """Constants, vocabularies, rng: what is no array of the file stays as it is."""
    slots = {slot.path for slot in work.slots}
    work.given |= {tuple(map(str, path)): leaf for path, leaf in tree.items(params) if path not in slots}


def _described(step: Any, name: str, params: Params) -> Converted:
    """An fnet model as the Keras object that it would have come from."""
    if isinstance(step, Sequential):
        parts = {key: _described(item, key, params.get(key, {})) for key, item in step.steps}
        return Converted(_source("Sequential", name), step, parts=parts)
    if isinstance(step, Graph):
        parts = {}
        for key, node in step.nodes:
            home = node.params or key
            if not _is_constant(node.step):
                parts.setdefault(home, _described(node.step, home, params.get(home, {})))
        return Converted(_source("Functional", name), step, parts=parts)
    entry = entry_of(step)
    class_name = next((known for known, row in LAYERS.items() if row is entry), "")
    bound = step if isinstance(step, Bound) else bind(step)
    children = {} if bound.function is stacked_rnn_cells else modelling.children(bound)
    parts = {key: _described(item, key, params.get(key, {})) for key, item in children.items()}
    return Converted(
        _source(class_name or bound.function.__name__, name, dict(bound.options)),
        bound,
        _known_again(entry, parts, params),
        parts,
        operation=hasattr(bound.function, "arguments"),
    )


def _is_constant(step: Any) -> bool:
    return isinstance(step, Bound) and step.function is constant


def _known_again(entry: Entry, parts: dict[str, Converted], params: Params) -> Entry:
    """A row for a layer whose config is gone: its options stand for it, its vocabulary is the one in `params`."""
    class_names = {key: part.source.class_name for key, part in parts.items()}
    groups = elements(entry.container, class_names) if entry.container else entry.groups
    kept = {key: value for key, value in params.items() if key != "idf_weights"}  # these are arrays of the file
    tables = None if entry.tables is None else lambda *_: kept
    return Entry(entry.layer, groups=groups, copies=entry.copies, arrays=entry.arrays, tables=tables)


def _source(class_name: str, name: str, config: dict[str, Any] | None = None) -> KerasObject:
    return KerasObject(class_name, None, None, config or {}, name)
