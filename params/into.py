"""`load_weights`: the arrays of a weights file into the params of a model that fnet already has."""

from __future__ import annotations

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
from params.source import Limits
from params.table import LAYERS
from params.values import values
from params.weights import Plan, by_groups, entry_of, plan


def load_weights(
    path: Any, model: Any, params: Params, *input_shapes: Any, limits: Limits | None = None
) -> dict[str, Any]:
    """`params` with the arrays of a weights file: `.weights.h5`, sharded `.weights.json`, or a legacy `.h5`.

    path: path, bytes or file object; a whole model file serves, too. model: the fnet model, with the layers of the
    Keras model that the file was saved from, in the same order; names do not matter. input_shapes: needed when the
    model does not begin with `input_layer`. What no array holds (vocabularies, constants) stays as in `params`.
    Raises ModelFileError; nothing is taken from a file that does not fit entirely.
    """
    from params.reading import read

    file = read(path, limits or Limits())
    _, wanted = modelling.infer(model, modelling.inputs_of(model, input_shapes))
    made = _described(model, "model", params)
    work = plan(made, wanted, _no_assets)
    _keep(work, params)
    try:
        found = by_order(work, made, file) if file.format == "h5" else by_groups(work, file.arrays, names=False)
        return values(found, wanted)
    except ModelFileError as error:
        raise type(error)(f"{file.label}: {error}") from error


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
        operation=".operations" in bound.function.__module__,
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
