"""Which array of a file belongs to which parameter: `layers/conv2d_1/vars/0` is the kernel of the second Conv2D.

Every array of the file is used exactly once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from typing import Any, TypeVar

import numpy as np

from fnet import tree
from fnet.core import infer
from fnet.core.layer import Bound, bind
from fnet.errors import warn
from fnet.records import NamedTuple, dataclass
from fnet.types import Param, ParamTree
from params.assign.group_names import KERAS_3, LISTS, Naming, Walk, join, place_of
from params.convert.conversion import Converted
from params.errors import ModelFileError, UnsupportedLayer, WeightsMismatch, WeightsWarning, quoted
from params.file.model_file import StoredArray, Variables, WeightTree
from params.table.entry import Entry, Vocabularies, in_configs
from params.table.layers import LAYERS, class_of

TRAINER = r"_?(loss_tracker|compile_metrics|compile_loss|metrics|loss|optimizer)(/|$)"
"""Groups inside that of a model for training: optimizer, trackers of losses and metrics."""

METRICS = r"(.*/)?_metrics/"
"""Groups of the metrics of a layer in 2.12 and 2.13: those of `add_metric`, and attributes."""

ParamPath = tuple[Any, ...]
Loaded = dict[ParamPath, Any]
"""{path in the params: StoredArray or array}."""
Key = TypeVar("Key")
Value = TypeVar("Value")
Result = TypeVar("Result")


NO_ARRAYS = Variables(None)
"""The variables of a group that a file lacks."""

OF_TRAINING = "vector_u"
"""The parameter of SpectralNormalization that only training reads. A Sequential of Keras 2 that is built when it is
called saves none."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the file, and the parameter there.

    path: None for an array that inference does not need. number: -1 for a parameter from the config, which the file
    may repeat under its name.
    """

    group: str
    number: int
    name: str
    path: ParamPath | None
    trainable: bool
    owner: Converted = field(repr=False)
    home: str
    """The group of the owner."""

    @property
    def of_training(self) -> bool:
        return self.name == OF_TRAINING and not self.owner.is_own


class _Layer(NamedTuple):
    """A layer with arrays in the file, or a part of one."""

    owner: Converted
    """The layer in the config."""
    step: Any
    """The step that runs; None for a group of arrays that is not a step."""
    entry: Entry
    home: str
    """The group of `owner`."""
    group: str
    path: ParamPath
    frozen: bool


@dataclass(eq=False)
class WeightMap:
    """The slots of all parameters, in the order of Keras's variables, and the parameters that are not in arrays."""

    whole: Converted
    vocabularies: Vocabularies
    walk: Walk
    slots: list[Slot] = field(default_factory=list)
    preset: Loaded = field(default_factory=dict)
    """Parameters from the config or a vocabulary, unless an array of the file holds them."""

    def add(self, converted: Converted, expected: ParamTree, path: ParamPath, frozen: bool = False) -> None:
        """Add the parameters of `converted`, at `path`, with the specs `expected`."""
        group = self.walk.groups.get(self.walk.identity(converted))
        if group is None:
            raise WeightsMismatch(f"{converted.source.label} is shared, and the config does not say with what")
        frozen = frozen or converted.source.config.get("trainable") is False
        if converted.source.is_model:
            for name, part in converted.parts.items():
                if name in expected or part.source.is_model or _stores(part):
                    self.add(part, expected.get(name, {}), (*path, name), frozen)
        else:
            self._add_layer(_Layer(converted, converted.step, converted.entry, group, group, path, frozen), expected)
        if converted.preset:
            self._preset(path, converted.preset)

    def _preset(self, path: ParamPath, values: Any) -> None:
        """Add a tree of params that are not arrays of the file."""
        self.preset |= {(*path, *map(str, key)): value for key, value in tree.items(values)}

    def _add_layer(self, layer: _Layer, expected: ParamTree) -> None:
        """Add the tables of a layer, its own arrays, and those of its parts, first of the parts without params."""
        entry, source = layer.entry, layer.owner.source
        self._add_table(layer, source.name, source.config)
        self._add_arrays(layer, expected, None if entry.arrays is None else list(entry.arrays(source.config)))
        for name, part in layer.owner.parts.items():
            if name not in expected and _stores(part):
                self.add(part, {}, (*layer.path, name), layer.frozen)
        self._add_inside(layer, expected)

    def _add_table(self, layer: _Layer, name: str, config: dict[str, Any]) -> None:
        """Add the table of a lookup, which is in the config or in a file of its own."""
        if layer.entry.tables is not None:
            vocabulary = self.vocabularies(layer.group, name)
            self._preset(layer.path, layer.entry.tables(config, vocabulary, bind(layer.step)))

    def _add_arrays(self, layer: _Layer, expected: ParamTree, names: list[str] | None = None) -> None:
        """Add the arrays of a layer itself. names: those in the file, where they are not its params; they take
        precedence over the config."""
        params = {name: param for name, param in expected.items() if isinstance(param, Param)}
        listed = names or ()
        own = {
            name: param for name, param in params.items() if name in listed or (*layer.path, name) not in self.preset
        }
        if layer.owner.is_own:  # Keras stores trainable variables first
            own = dict(sorted(own.items(), key=lambda item: not item[1].trainable))
        group = join(layer.group, layer.entry.groups.get("", ""))
        for number, name in enumerate(own if names is None else names):
            param = own.get(name)
            trainable = param is not None and param.trainable and not layer.frozen
            path = (*layer.path, name) if param else None
            self.slots.append(Slot(group, number, name, path, trainable, layer.owner, layer.home))
        from_config = [name for name in params if name not in own]
        self.slots += [Slot(group, -1, name, None, False, layer.owner, layer.home) for name in from_config]

    def _add_inside(self, layer: _Layer, expected: ParamTree) -> None:
        """Add the arrays of the parts of a layer: layers of the config, sub-layers of fnet alone, groups of arrays."""
        nested = {name: inner for name, inner in expected.items() if not isinstance(inner, Param)}
        parts = layer.owner.parts if layer.step is layer.owner.step else {}
        steps = dict(infer.children(layer.step)) if nested and layer.step is not None else {}
        for name, inner in nested.items():
            path = (*layer.path, name)
            if name in parts:
                self.add(parts[name], inner, path, layer.frozen)
                continue
            groups = layer.entry.groups
            below = {key.removeprefix(f"{name}/"): g for key, g in groups.items() if key.startswith(f"{name}/")}
            entry = entry_of(steps[name]) if name in steps else Entry(layer.entry.layer, groups=below)
            group = join(layer.group, place_of(groups, name))
            sub_layer = layer._replace(step=steps.get(name), entry=entry, group=group, path=path)
            place = f"{layer.owner.source.name}/{name}"
            self._add_table(sub_layer, place, {"name": place})
            self._add_arrays(sub_layer, inner)
            self._add_inside(sub_layer, inner)


def _stores(part: Converted) -> bool:
    """Whether a layer, or one inside it, may have arrays in the file without having params."""
    return part.entry.arrays is not None or any(map(_stores, part.parts.values()))


def entry_of(step: Any) -> Entry:
    """The entry of the layer that a step runs; an empty one for layers that are not in the table."""
    function = step.function if isinstance(step, Bound) else step
    name = class_of(function)
    return LAYERS[name] if name else Entry(function)


def map_weights(
    converted: Converted, expected: ParamTree, vocabularies: Vocabularies = in_configs, naming: Naming = KERAS_3
) -> WeightMap:
    """The slots of a model with the params `expected`."""
    walk = Walk(naming)
    walk.visit(converted, "", expected)
    weight_map = WeightMap(converted, vocabularies, walk)
    weight_map.add(converted, expected, ())
    return weight_map


def by_groups(
    weight_map: WeightMap,
    file: WeightTree,
    names: bool = True,
    two_files: bool = False,
    every: Iterable[StoredArray] | None = None,
) -> Loaded:
    """{params path: stored array or value} for the Keras 3 layout.

    names: whether layer names must agree too. two_files: whether the config is of another file. every: the arrays that
    must be used, by default all of the file.
    """
    arrays, missing, used = dict(weight_map.preset), [], set()
    for slot in weight_map.slots:
        array = array_of(stored_at(file, slot), slot)
        if array is not None:
            used.add(array.place)
        elif slot.path is not None and slot.path not in weight_map.preset and not slot.of_training:
            missing.append(f"{'/'.join(slot.path)} (at {slot.group}/vars/{slot.number})")
        if array is not None and slot.path is not None:
            arrays[slot.path] = array
    if names:
        _check_names(weight_map, file, two_files)
    used |= copies(weight_map.slots, file)
    training = of_training(weight_map)
    every = file.every if every is None else every
    extra = sorted({array.place for array in every if not training.match(array.place)} - used)
    if missing or extra:
        raise WeightsMismatch(listing(missing, extra))
    _warn_of_twins(weight_map, arrays)
    return arrays


def array_of(variables: Variables, slot: Slot) -> StoredArray | None:
    """The array of a slot among those of its group."""
    array = variables.named.get(slot.name)
    return variables.arrays[slot.number] if array is None and 0 <= slot.number < len(variables.arrays) else array


def of_training(weight_map: WeightMap) -> re.Pattern[str]:
    """A pattern of the places of arrays that only training reads."""
    models = {"", *weight_map.walk.models}  # "": the whole may be a custom layer
    return re.compile("|".join([METRICS, *(re.escape(group and f"{group}/") + TRAINER for group in models)]))


def stored_at(file: WeightTree, slot: Slot) -> Variables:
    """The arrays of the group of a slot."""
    variables = variables_of(file, slot.group)
    if variables.arrays or variables.named or not slot.owner.is_own:
        return variables
    place = places_inside(file, slot.home).get(slot.group.removeprefix(slot.home).strip("/"))
    return variables if place is None else file.groups[place]


def _warn_of_twins(weight_map: WeightMap, arrays: Loaded) -> None:
    """Warn where the arrays of a custom layer could be confused: groups number them and do not name them. Layers of
    fnet that it declares as its `children` have them in Keras's order."""
    sure = {owner: _layers_of_fnet(owner.step) for owner in {slot.owner for slot in weight_map.slots} if owner.is_own}
    own = (
        (slot.group, slot)
        for slot in weight_map.slots
        if slot.path is not None
        and slot.owner in sure
        and slot.group.removeprefix(f"{slot.home}/").split("/")[0] not in sure[slot.owner]
    )
    for slots in grouped(own).values():
        warn_of_twins(slots[0].owner.source.label, [(slot.name, arrays[slot.path]) for slot in slots if slot.path])


def _layers_of_fnet(step: Any) -> set[str]:
    """The children of a step that are layers of fnet, also inside."""
    return {
        name
        for name, child in infer.children(step)
        if all(class_of(layer.function) for layer in infer.layers_in(child))
    }


def fitting(
    maps: Iterable[Callable[[], WeightMap]],
    fill: Callable[[WeightMap], Result],
    file: WeightTree,
    arrays: Callable[[Result], int] = lambda _: 0,
) -> Result:
    """The result of `fill` for the map that fits the file; where several fit, for that with the most `arrays`, and of
    these for that with the most similar groups."""
    results: list[tuple[int, int, Result]] = []
    errors: list[ModelFileError] = []
    for make in maps:
        try:
            weight_map = make()
            result = fill(weight_map)
            results.append((-arrays(result), len(set(weight_map.walk.groups.values()) ^ file.groups.keys()), result))
        except (WeightsMismatch, UnsupportedLayer) as error:
            errors.append(error)
    if not results:
        raise errors[0]
    return min(results, key=lambda result: result[:2])[2]


def copies(slots: Iterable[Slot], file: WeightTree) -> set[str]:
    """The places of copies of arrays that Keras writes twice; they must be equal."""
    places = set()
    for slot in slots:
        for name in slot.owner.entry.copies:
            first, again = file.groups.get(slot.group), file.groups.get(join(slot.group, name))
            for one, other in _pairs(first or NO_ARRAYS, again or NO_ARRAYS):
                if one.shape != other.shape or not np.array_equal(one.load(), other.load()):
                    raise WeightsMismatch(f"{quoted(one.place)} and its copy {quoted(other.place)} differ")
                places.add(other.place)
    return places


def _pairs(first: Variables, again: Variables) -> list[tuple[StoredArray, StoredArray]]:
    numbered = list(zip(first.arrays, again.arrays, strict=False))
    return numbered + [(first.named[key], again.named[key]) for key in first.named if key in again.named]


def variables_of(file: WeightTree, group: str) -> Variables:
    """The arrays of a group. Earlier versions of Keras used private attributes: `_query_dense`."""
    variables = file.groups.get(group)
    if variables is None:
        parent, _, name = group.rpartition("/")
        variables = file.groups.get(join(parent, name.removeprefix("_") if name.startswith("_") else f"_{name}"))
    return variables or NO_ARRAYS


def _check_names(weight_map: WeightMap, file: WeightTree, two_files: bool) -> None:
    """Refuse layer names in the weights that differ from those of the config.

    two_files: Keras numbers the layers of a session, so those of a config and of weights from another session have
    other names. Names that the config lacks mean nothing then; the same names in another order are refused.
    """
    owners = [(owner, group) for owner, group in weight_map.walk.named if "name" in owner.source.config]
    stored = {group: file.groups[group].name for _, group in owners if group in file.groups}
    if two_files and not set(stored.values()) <= {None, *(owner.source.name for owner, _ in owners)}:
        return
    for owner, group in owners:
        if stored.get(group) not in (None, owner.source.name):
            raise WeightsMismatch(
                f"the arrays at {quoted(group)} belong to a layer named {quoted(stored[group])}, "
                f"not to {owner.source.label}"
            )


def listing(missing: list[str], extra: list[str]) -> str:
    """The message for arrays that are missing or left over."""
    lines = []
    for word, items in (("missing", missing), ("not used by the model", extra)):
        if items:
            more = f" and {len(items) - 3} more" if len(items) > 3 else ""
            ends = [quoted(place if len(place) <= 64 else f"...{place[-61:]}") for place in items[:3]]
            lines.append(f"{word}: {', '.join(ends)}{more}")
    return "the arrays of the file are not those of its model; " + "; ".join(lines)


# --- custom layers ---------------------------------------------------------------------------------------


def places_inside(file: WeightTree, home: str) -> dict[str, str]:
    """{name: group} of all groups below the group `home` of a layer, by the names in its params.

    The layers of a model inside the layer are in a list, "block/layers/dense_1"; the name is "block/dense_1". Lists of
    Keras 2.12 are numbered with gaps, the names without.
    """
    below = [group.removeprefix(f"{home}/").split("/") for group in file.groups if group.startswith(f"{home}/")]
    numbers: dict[tuple[str, ...], set[int]] = {}
    for parts in below:
        for at in _in_lists(parts):
            base, number = split_name(parts[at])
            numbers.setdefault((*parts[:at], base), set()).add(number)
    places: dict[str, str] = {}
    for parts in below:
        names = dict(enumerate(parts))
        for at in _in_lists(parts):
            base, number = split_name(parts[at])
            rank = sorted(numbers[*parts[:at], base]).index(number)
            names[at] = f"{base}_{rank}" if rank else base
            del names[at - 1]
        places.setdefault("/".join(names.values()), join(home, *parts))
    return places


def _in_lists(parts: Sequence[str]) -> list[int]:
    """The positions in a path of layers in the list of a model."""
    return [at for at in range(1, len(parts)) if parts[at - 1] in LISTS]


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """{key: its values}, all in the order of the pairs; the list of any other key is empty."""
    groups: dict[Key, list[Value]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def split_name(name: str) -> tuple[str, int]:
    """("dense", 2) from "dense_2"."""
    number = re.search(r"_(\d+)$", name)
    return (name, 0) if number is None else (name[: number.start()], int(number[1]))


def warn_of_twins(label: str, pairs: Iterable[tuple[str, StoredArray]], stored: Sequence[str] = ()) -> None:
    """Warn where arrays of a layer, as (parameter, array), have the same shape and dtype. stored: their names in the
    file, where it has some."""
    calls = f"; the file calls them {', '.join(stored)}, and params of these names need no order" if stored else ""
    twins = grouped(((array.shape, array.dtype), name) for name, array in pairs)
    for (shape, _), names in twins.items():
        if len(names) > 1:
            warn(
                f"{label}: the file does not say which of its arrays of shape {shape} is which of {', '.join(names)}: "
                "they are taken in the order of the layer's shape rule, which must be that in which the Keras layer "
                f"creates them{calls}",
                WeightsWarning,
            )
