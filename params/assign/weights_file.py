"""`load_weights`: the arrays of a weights file into the params of a model that fnet already has."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.compose import Graph, Sequential
from fnet.core.diagnosis import require_order
from fnet.core.layer import Bound, bind
from fnet.core.model import Node
from fnet.core.sources import references
from fnet.errors import warn
from fnet.layers.any_cell import stacked_rnn_cells
from fnet.layers.basic import constant
from fnet.records import NamedTuple
from fnet.types import Params, ParamTree
from params.assign.group_names import KERAS_3, Naming, join, namings, stored_layers
from params.assign.legacy_arrays import Slots, by_order, makes_params, matched
from params.assign.values import compare_with, from_cudnn, values
from params.assign.weight_paths import (
    NO_ARRAYS,
    Loaded,
    Slot,
    WeightMap,
    by_groups,
    entry_of,
    fitting,
    grouped,
    map_weights,
    of_training,
    split_name,
    stored_at,
)
from params.convert.call_order import layer_order
from params.convert.conversion import Converted
from params.errors import CorruptFile, ModelFileError, WeightsMismatch, WeightsWarning, quoted
from params.file.keras_objects import KerasObject, elements, snake_case
from params.file.model_file import Limits, ModelFile, StoredArray, WeightTree
from params.table.entry import ADAPTED, Entry
from params.table.layers import OTHER_NAMES, class_of


def load_weights(
    path: Any,
    model: Any,
    params: Params,
    *input_shapes: Any,
    by_name: bool = False,
    skip_mismatch: bool = False,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """`params` with the arrays of a weights file: `.weights.h5`, sharded `.weights.json`, or a legacy `.h5`.

    path: a path, bytes or file object; a whole model file works too. model: the fnet model, with the layers of the
    Keras model that saved the file: with the same names, as from `load_keras`, or in the same order; those of a
    subclassed model with the names of its attributes.
    input_shapes: needed when the model does not begin with `input_layer`. Params that are not arrays of the file
    (vocabularies, constants) stay as in `params`.
    by_name: load only layers with matching names. skip_mismatch: leave layers unchanged whose arrays have other shapes.
    Both give a WeightsWarning that lists what was not loaded.
    Raises ModelFileError; without these two options, for any file that does not fit completely.
    """
    from params.file.reading import read

    require_order("load_weights(path, model, params)", model, params)
    file = read(path, limits)
    _, expected = infer.infer(model, infer.inputs_of(model, input_shapes))
    converted = _described(model, "model", params)
    if file.format == "json":
        raise CorruptFile(f"{file.label} is the config of a model: it holds no weights")
    try:
        if by_name or skip_mismatch:
            return _load_partly(converted, expected, params, file, by_name=by_name, skip=skip_mismatch)
        if file.format == "h5":
            arrays = by_order(_map_of(converted, params, expected), converted, _in_order(converted, file))
        else:
            arrays = _by_groups(converted, params, expected, file)
        return values(arrays, expected)
    except ModelFileError as error:
        raise type(error)(f"{file.label}: {error}") from error


def _by_groups(converted: Converted, params: Params, expected: ParamTree, file: ModelFile) -> Loaded:
    """The arrays of a file with groups, by any version of Keras: the first combination that fits fully is right."""
    errors: list[WeightsMismatch] = []

    def fill(weight_map: WeightMap) -> Loaded:
        return by_groups(_regrouped(weight_map, file.arrays), file.arrays, names=False)

    for maps in _weight_maps(converted, params, expected, file):
        try:
            return fitting(maps, fill, file.arrays)
        except WeightsMismatch as error:
            errors.append(error)
    raise errors[0]


def _weight_maps(
    converted: Converted, params: Params, expected: ParamTree, file: ModelFile
) -> Iterator[list[Callable[[], WeightMap]]]:
    """What a file with groups may mean, the likeliest first: each a map for every way to name the groups.

    An fnet model does not record which of its layers are one object. These are tried in turn: none; those with the
    same name and step whose params are the same arrays, as from the loader; all with the same name and step. Nor does
    it record which layers had another class in Keras 2 (CuDNN's): all for which the file has such a group, or those
    named after it where the file has both.
    """
    possible = namings(file.arrays.version, file.arrays.groups)
    ways = [replace(way, groups=frozenset(file.arrays.groups)) for way in possible]
    classes = {split_name(group.rpartition("/")[2])[0] for group in file.arrays.groups}
    renamed = _renamed(converted, classes)
    for arrays in SHARED_BY:
        as_shared = renamed if arrays is None else _shared(renamed, params, arrays)
        if as_shared is not None:
            yield [partial(_map_of, as_shared, params, expected, way) for way in ways]


def _renamed(converted: Converted, classes: Container[str]) -> Converted:
    """The model with Keras 2's other class names. classes: the class names of groups in the file."""
    parts = {name: _renamed(part, classes) for name, part in converted.parts.items()}
    converted = replace(converted, parts=parts)
    own, other = converted.source.class_name, OTHER_NAMES.get(converted.source.class_name)
    if other is None or snake_case(other) not in classes:
        return converted
    if snake_case(own) in classes and split_name(converted.source.name)[0] != snake_case(other):
        return converted
    return replace(
        converted, source=replace(converted.source, python_name=other), entry=replace(converted.entry, groups={})
    )


def _map_of(converted: Converted, params: Params, expected: ParamTree, naming: Naming = KERAS_3) -> WeightMap:
    """The map of a model; constants, vocabularies and rng, which are not arrays of the file, stay as they are."""
    weight_map = map_weights(converted, expected, naming=naming)
    slots = {slot.path for slot in weight_map.slots}
    weight_map.preset |= {tuple(map(str, path)): leaf for path, leaf in tree.items(params) if path not in slots}
    return weight_map


SHARED_BY: tuple[Callable[[Params], Any] | None, ...] = (
    None,
    lambda params: tuple(id(leaf) for leaf in tree.leaves(params)),
    lambda params: (),
)
"""By what equal params layers with the same name and step count as one object, in the order of trying; None: no two
layers do."""


def _shared(converted: Converted, params: Params, arrays: Callable[[Params], Any]) -> Converted | None:
    """The model with layers of the same name, step and `arrays` as one object; None where there are none."""
    sources: dict[Any, KerasObject] = {}
    again = []

    def marked(part: Converted, mine: Params) -> Converted:
        parts = {name: marked(inner, mine.get(name, {})) for name, inner in part.parts.items()}
        if not mine:
            return replace(part, parts=parts)
        source = sources.setdefault((part.source.name, part.step, arrays(mine)), part.source)
        if source is not part.source:
            again.append(source)
        return replace(part, source=source, parts=parts)

    shared = marked(converted, params)
    return shared if again else None


def _in_order(converted: Converted, file: ModelFile) -> ModelFile:
    """The file with its layers in the order of the model, where all names match."""
    names = [part.source.name for part in stored_layers(converted)]
    layers = {layer.name: layer for layer in file.arrays.layers if layer.arrays}
    if not layers.keys() <= set(names):
        return file
    ordered = tuple(layers[name] for name in names if name in layers)
    return replace(file, arrays=replace(file.arrays, layers=ordered))


NOWHERE = "\0"
"""The group of a layer whose name the file lacks: no file has a group of this name."""


def _regrouped(weight_map: WeightMap, file: WeightTree, by_name: bool = False) -> WeightMap:
    """The map with the groups that the file has for layers with these names.

    Groups number the layers of a class in Keras's order, which may differ from that of a graph of fnet. So where the
    names of all layers of a class match, they decide; by_name: those of the model's own layers always do.
    """
    siblings: dict[tuple[str, str], dict[str, str]] = {}
    for owner, group in weight_map.walk.named:
        parent, _, last = group.rpartition("/")
        siblings.setdefault((parent, split_name(last)[0]), {})[group] = owner.source.name
    moved: dict[str, str] = {}
    for (parent, base), names in siblings.items():  # outer models first
        if by_name and parent == weight_map.walk.naming.layers:
            named = {file.groups[place].name: place for place in _tops(weight_map, file) & file.groups.keys()}
            moved |= {group: named.get(name, NOWHERE) for group, name in names.items()}
            continue
        home = _moved(parent, moved)
        places = [join(home, group.removeprefix(parent).strip("/")) for group in names]
        if not any(place in file.groups for place in places):
            others = {known for place, known in siblings if place == parent and known != base}
            places = _of_unknown_class(file, home, others, len(names)) or places
        there = {file.groups[place].name: place for place in places if place in file.groups}
        agree = set(there) == set(names.values())
        moved |= {g: there[name] if agree else place for (g, name), place in zip(names.items(), places, strict=True)}
    walk, move = weight_map.walk, partial(_moved, moved=moved)
    weight_map.slots = [replace(slot, group=move(slot.group), home=move(slot.home)) for slot in weight_map.slots]
    walk.groups = {key: move(group) for key, group in walk.groups.items()}
    walk.models = list(map(move, walk.models))
    return weight_map


def _tops(weight_map: WeightMap, file: WeightTree) -> set[str]:
    """The groups of the layers of the model itself in a file."""
    training = of_training(weight_map)
    tops = {_top(weight_map, group) for group in file.groups if not training.match(f"{group}/")}
    return tops - {"", weight_map.walk.naming.layers}


def _top(weight_map: WeightMap, group: str) -> str:
    """The group of the layer of the model itself that `group` is in: in its list, or under an attribute."""
    parts = group.split("/")
    return "/".join(parts[: 2 if parts[0] == weight_map.walk.naming.layers else 1])


def _of_unknown_class(file: WeightTree, home: str, others: Container[str], count: int) -> list[str]:
    """The groups of the only class in a list with `count` layers that is not in `others`: a custom layer may have
    another name in Python than in Keras."""
    classes: dict[str, list[tuple[int, str]]] = {}
    for group in file.groups:
        parent, _, last = group.rpartition("/")
        base, number = split_name(last)
        if parent == home and base not in others:
            classes.setdefault(base, []).append((number, group))
    fitting = [groups for groups in classes.values() if len(groups) == count]
    return [group for _, group in sorted(fitting[0])] if len(fitting) == 1 else []


def _moved(group: str, moved: Mapping[str, str]) -> str:
    """The new place of `group`, if it or a group around it has moved."""
    home, rest = group, ""
    while home and home not in moved:
        home, _, last = home.rpartition("/")
        rest = join(last, rest)
    return join(moved.get(home, home), rest)


def _described(step: Any, name: str, params: Params) -> Converted:
    """An fnet model as the Keras object that would be converted to it."""
    if isinstance(step, Sequential):
        parts = {key: _described(item, key, params.get(key, {})) for key, item in step.steps}
        return Converted(_source("Sequential", name), step, parts=parts)
    if isinstance(step, Graph):
        steps = {node.params or key: node.step for key, node in reversed(step.nodes)}
        parts = {key: _described(steps[key], key, params.get(key, {})) for key in _layers(step)}
        return Converted(_source("Functional", name), step, parts=parts)
    entry = entry_of(step)
    bound = step if isinstance(step, Bound) else bind(step)
    children = {} if bound.function is stacked_rnn_cells else dict(infer.children(bound))
    parts = {key: _described(item, key, params.get(key, {})) for key, item in children.items()}
    return Converted(
        _source(class_of(bound.function) or bound.function.__name__, name, {**bound.options, ADAPTED: True}),
        bound,
        _known_again(entry, parts, params),
        parts,
        operation=bound.rules.call is not None,
    )


def _layers(model: Graph) -> list[str]:
    """The layers of a graph in Keras's order, without inputs that no node processes."""
    nodes = {name: node for name, node in model.nodes if getattr(node.step, "function", None) is not constant}
    read = {name: references(node.sources) for name, node in nodes.items()}
    for name, node in nodes.items():  # without the casts that the loader puts before a layer: Keras has none there
        casts = {f"{each}_cast" for each in (name, split_name(name)[0], node.params)}
        passed = {parent for parent in read[name] if split_name(parent)[0] in casts and _is_cast(nodes.get(parent))}
        read[name] = [source for parent in read[name] for source in (read[parent] if parent in passed else [parent])]
    layer = {name: node.params or name for name, node in nodes.items()}
    layer = {**{name: name for name in references(model.inputs)}, **layer}
    parents: dict[str, list[str]] = {name: [] for name in layer}
    for name, sources in read.items():
        parents[name] = [parent for parent in sources if parent in layer]
    listed = layer_order(model.outputs, parents, layer, references(model.inputs))
    steps = {layer[name] for name in nodes}
    return [name for name in dict.fromkeys([*listed, *layer.values()]) if name in steps]


def _is_cast(node: Node | None) -> bool:
    return node is not None and isinstance(node.step, Bound) and node.step.function.__name__ == "cast"


def _known_again(entry: Entry, parts: dict[str, Converted], params: Params) -> Entry:
    """An entry for a layer without a config: its options replace it, its vocabulary is the one in `params`."""
    class_names = {key: part.source.class_name for key, part in parts.items()}
    groups = elements(entry.container, class_names) if entry.container else entry.groups
    kept = {key: value for key, value in params.items() if key != "idf_weights"}  # these are arrays of the file
    tables = None if entry.tables is None else lambda *_: kept
    return Entry(entry.layer, groups=groups, copies=entry.copies, arrays=entry.arrays, tables=tables)


def _source(class_name: str, name: str, config: dict[str, Any] | None = None) -> KerasObject:
    return KerasObject(class_name, None, None, config or {}, name)


# --- some layers only, by name or by what fits: as Keras's `by_name` and `skip_mismatch` ------------------------


Layer = tuple[Converted | None, str, Callable[[], Loaded]]
"""(layer of the model or inside one, name in the file, its arrays); no layer where the model has none of the name."""


class _Found(NamedTuple):
    """What of a file fits the layers of a model."""

    arrays: Loaded
    skipped: list[str]
    unknown: list[str]


def _load_partly(
    converted: Converted, expected: ParamTree, params: Params, file: ModelFile, *, by_name: bool, skip: bool
) -> dict[str, Any]:
    """`params` with the arrays of the matching layers of a file, and a WeightsWarning that lists all others.

    by_name: layers are matched by name, else as without these options. skip: layers whose arrays have other shapes stay
    unchanged, in a file with groups also those inside others. Raises WeightsMismatch for these without skip, and for a
    file without names.
    """
    specs = dict(tree.items(expected))
    slots = Slots(_map_of(converted, params, expected))
    if file.format == "h5":
        layers = _legacy_layers(slots, converted, _in_order(converted, file), by_name)
        found = _found(layers, specs, skip)
    else:
        found = _most(converted, params, expected, file, by_name=by_name, skip=skip)
    asked = {part.source.name: own for part in stored_layers(converted) if makes_params(own := slots.of(part))}
    kept = [name for name, own in asked.items() if not any(slot.path in found.arrays for slot in own)]
    if kept or found.skipped or found.unknown:
        warn(_report(file.label, len(asked) - len(kept), kept, found.skipped, found.unknown), WeightsWarning)
    before = {tuple(map(str, path)): leaf for path, leaf in tree.items(params)}
    return values({**before, **found.arrays}, expected)


def _most(
    converted: Converted, params: Params, expected: ParamTree, file: ModelFile, *, by_name: bool, skip: bool
) -> _Found:
    """What is found in a file with groups, in the combination that fits the most arrays."""
    specs = dict(tree.items(expected))

    def fill(weight_map: WeightMap) -> _Found:
        weight_map = _regrouped(weight_map, file.arrays, by_name)
        return _found(_group_layers(weight_map, file.arrays, by_name, skip), specs, skip)

    maps = chain.from_iterable(_weight_maps(converted, params, expected, file))
    return fitting(maps, fill, file.arrays, lambda found: len(found.arrays))


def _found(layers: Iterable[Layer], specs: Mapping[tuple[Any, ...], Any], skip: bool) -> _Found:
    """The arrays of `layers`. skip: without those of layers whose arrays differ from `specs`, else WeightsMismatch."""
    found = _Found({}, [], [])
    for part, name, read in layers:
        if part is None:
            found.unknown.append(name)
            continue
        try:
            arrays = read()
            arrays = from_cudnn(arrays, {path: specs[path] for path in arrays})
            for path, array in arrays.items():
                compare_with(path, array, specs[path])
        except WeightsMismatch as error:
            if not skip:
                raise
            found.skipped.append(f"{part.source.name} ({error})")
        else:
            found.arrays.update(arrays)
    return found


def _report(label: str, loaded: int, kept: list[str], skipped: list[str], unknown: list[str]) -> str:
    parts = [f"{label}: weights of {loaded} layers were loaded"]
    for title, names in (
        ("kept as they were", kept),
        ("because they do not fit", skipped),
        ("in the file, but not in the model", unknown),
    ):
        if names:
            parts.append(f"{title}: {', '.join(names)}")
    return "; ".join(parts)


def _legacy_layers(slots: Slots, converted: Converted, file: ModelFile, by_name: bool) -> Iterator[Layer]:
    """The layers of a legacy `.h5`."""
    stored = [layer for layer in file.arrays.layers if layer.arrays]
    parts = [part for part in stored_layers(converted) if slots.of(part)]
    named = {part.source.name: part for part in parts}
    if not by_name and len(stored) != len(parts):
        raise WeightsMismatch(
            f"the model has {len(parts)} layers with weights, the file {len(stored)}: load them by_name=True"
        )
    for number, layer in enumerate(stored):
        part = named.get(layer.name) if by_name else parts[number]

        def read(layer: Any = layer, part: Any = part) -> Loaded:
            pairs = matched(layer, part, slots.of(part))
            return {slot.path: array for slot, array in pairs if slot.path is not None}

        yield part, layer.name, read


def _group_layers(weight_map: WeightMap, file: WeightTree, by_name: bool, skip: bool) -> Iterator[Layer]:
    """The layers of a `.weights.h5` or `.keras`, whose names are in files of Keras 3.6 and later. skip: the
    layers inside them one by one."""
    walk, tops, top = weight_map.walk, _tops(weight_map, file), partial(_top, weight_map)
    named = walk.has_attributes(weight_map.whole, "") or any(file.groups.get(place, NO_ARRAYS).name for place in tops)
    if by_name and not named:
        raise WeightsMismatch("the layers have no names in this file (Keras writes them since 3.6): load them in order")

    inside = grouped((top(group), array) for group, variables in file.groups.items() for array in variables.every)
    slots_at = grouped((place, slot) for slot in weight_map.slots for place in {slot.group, top(slot.group)})
    slots, used = Slots(weight_map), set()
    for part in stored_layers(weight_map.whole):
        place, own = walk.groups[walk.identity(part)], slots.of(part)
        if not own or (place not in tops and not all(top(slot.group) in tops for slot in own)):
            continue
        # shared with another model, or those of a list that is an attribute
        elsewhere = dict.fromkeys(slot.group for slot in own if top(slot.group) != place)
        used |= {place, *map(top, elsewhere)}
        every = [slot for home in (place, *elsewhere) for slot in slots_at[home]]
        if skip:
            yield from _apart(weight_map, file, every)
        else:
            yield part, quoted(place), partial(_from_groups, replace(weight_map, slots=every), file, inside[place])
    for place in sorted(tops - used):
        if inside[place]:
            yield None, file.groups.get(place, NO_ARRAYS).name or place, dict
    if skip:
        yield from _left_inside(weight_map, file, used)


def _left_inside(weight_map: WeightMap, file: WeightTree, tops: Container[str]) -> Iterator[Layer]:
    """The objects inside the layers at `tops` of a file that the model does not have."""
    copied = {join(slot.group, name) for slot in weight_map.slots for name in slot.owner.entry.copies}
    met = {array.place for slot in weight_map.slots for array in stored_at(file, slot).every}
    training = of_training(weight_map)
    for group, variables in file.groups.items():
        extra = any(not (array.place in met or training.match(array.place)) for array in variables.every)
        if extra and group not in copied and _top(weight_map, group) in tops:
            yield None, quoted(group), dict


def _apart(weight_map: WeightMap, file: WeightTree, slots: Iterable[Slot]) -> Iterator[Layer]:
    """The objects of a layer, each with arrays of its own: Keras skips one that does not fit, not those around it."""
    for group, own in grouped((slot.group, slot) for slot in slots).items():
        every = stored_at(file, own[0]).every
        yield own[0].owner, quoted(group), partial(_from_groups, replace(weight_map, slots=own), file, every)


def _from_groups(weight_map: WeightMap, file: WeightTree, inside: Iterable[StoredArray]) -> Loaded:
    """The arrays of the slots of a map. inside: those that must have a slot."""
    arrays = by_groups(weight_map, file, names=False, every=inside)
    return {slot.path: arrays[slot.path] for slot in weight_map.slots if slot.path in arrays}
