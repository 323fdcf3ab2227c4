"""The group of each object in a file of weights, by Keras's traversal of its objects, repeated on the config.

Keras names groups by position, not by layer name: `layers/conv2d_1` is the second Conv2D of the model.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from fnet import tree
from fnet.records import dataclass
from fnet.types import Param, ParamTree
from params.convert.conversion import Converted
from params.errors import WeightsMismatch
from params.file.keras_objects import KerasObject, snake_case


@dataclass(frozen=True)
class Naming:
    """How a generation of Keras names the groups of a file."""

    layers: str = "layers"
    """The attribute of a model with its layers."""
    twice: bool = False
    """Whether layers with weights use two numbers, the second without a group: the dict has them under two keys."""
    duplicates_count: bool = True
    """Whether an object that comes again uses a number."""
    attributes: Literal["private last", "sorted", "reversed"] = "private last"
    """The order of the attributes of a layer; in ASCII, "_a" comes before "a"."""
    groups: frozenset[str] = frozenset()
    """The groups of a file that a subclass of Model may have written, with layers under its attributes."""

    @functools.cached_property
    def held(self) -> frozenset[str]:
        """`groups`, and those that they are in."""
        parts = (group.split("/") for group in self.groups)
        return frozenset("/".join(names[:end]) for names in parts for end in range(1, len(names) + 1))

    @functools.cached_property
    def classes(self) -> dict[str, set[str]]:
        """{list: the names of the classes in it} of `held`."""
        classes: dict[str, set[str]] = {}
        for place in self.held:
            home, _, name = place.rpartition("/")
            classes.setdefault(home, set()).add(re.sub(r"_\d+$", "", name))
        return classes

    def class_name(self, part: Converted, group: str, parts: Iterable[Converted]) -> str:
        """The name of the class of one of the `parts` in a list of a file.

        A model of fnet does not record of which subclass of Model it is: it is of the one class in the list that no
        other part is of.
        """
        name, there = snake_case(part.source.python_name), self.classes.get(group, set())
        if not part.source.is_model or name in there:
            return name
        others = there - {snake_case(inner.source.python_name) for part in parts for inner in within(part)}
        return others.pop() if len(others) == 1 else name

    def ordered(self, places: Iterable[str]) -> list[str]:
        """The attributes of a layer in this order."""
        if self.attributes == "private last":
            return sorted(places, key=lambda place: f"~{place}" if place.startswith("_") else place)
        return sorted(places, reverse=self.attributes == "reversed")


_DEPENDENCIES = "_layer_checkpoint_dependencies"
LISTED = "layers"
"""The attribute of a subclass of Model with all its layers."""
LISTS = (LISTED, _DEPENDENCIES)
"""The attributes of models with their layers."""
KERAS_3 = Naming()
KERAS_2_15 = Naming(duplicates_count=False, attributes="reversed")
"""2.15, and tf_keras to this day."""
KERAS_2_14 = Naming(_DEPENDENCIES, duplicates_count=False, attributes="sorted")
KERAS_2_12 = Naming(_DEPENDENCIES, twice=True, attributes="sorted")
"""2.12 and 2.13."""


def namings(version: str | None, groups: Iterable[str]) -> tuple[Naming, ...]:
    """The possible naming rules of a file: one where the version of Keras is known.

    A `.weights.h5` has no version; the first rule with which all arrays fit is right.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version or "")
    if numbers is not None:
        major, minor = map(int, numbers.groups())
        if major != 2:
            return (KERAS_3,)
        return (KERAS_2_12,) if minor < 14 else (KERAS_2_14,) if minor == 14 else (KERAS_2_15,)
    if any(_DEPENDENCIES in group.split("/") for group in groups):
        return KERAS_2_12, KERAS_2_14
    return KERAS_3, KERAS_2_15


@dataclass(eq=False)
class Walk:
    """Finds {object: group}. Each object is stored once, at the first place where Keras meets it."""

    naming: Naming = KERAS_3
    groups: dict[Any, str] = field(default_factory=dict)
    met: dict[tuple[str, str], list[tuple[KerasObject, Any]]] = field(default_factory=dict)
    """{(class, name): the objects met so far, with their identities}."""
    first: dict[Any, Converted] = field(default_factory=dict)
    """{identity: the first mention of an object}."""
    copies: set[int] = field(default_factory=set)
    """The ids of other mentions that were visited."""
    named: list[tuple[Converted, str]] = field(default_factory=list)
    """The layers of models, with their groups, whose names the file has; Keras renames layers inside wrappers."""
    models: list[str] = field(default_factory=list)
    """The groups of models, which also contain the optimizer and metrics."""

    def identity(self, converted: Converted) -> Any:
        """The same value for all mentions of one object.

        A mention with `shared_object_id` may mean an object that was first met inside a nested model, in a config
        without that mark: one of the same class, name and config.
        """
        source = converted.source
        if source.shared is None:
            return id(source)
        alike = self.met.get((source.class_name, source.name), [])
        keys = [key for other, key in alike if other.signature == source.signature]
        if source.shared in keys or not keys:
            return source.shared
        if len(keys) > 1:
            raise WeightsMismatch(f"{source.label} is shared with one of {len(keys)} layers that look the same")
        return keys[0]

    def visit(self, converted: Converted, group: str, expected: ParamTree) -> None:
        """Set the groups of `converted`, with the params `expected`, and of its parts."""
        key = self.identity(converted)
        if key in self.groups:
            self._visit_copy(converted, self.first[key])
            return
        self.groups[key] = group
        self.first[key] = converted
        self.met.setdefault((converted.source.class_name, converted.source.name), []).append((converted.source, key))
        if converted.source.is_model:
            self.models.append(group)
            self._visit_model(converted, group, expected)
        else:
            names = {place_of(converted.entry.groups, name): name for name in converted.parts}
            for place in self.naming.ordered(names):
                inner = expected.get(names[place], {})
                self.visit(converted.parts[names[place]], join(group, place), inner if isinstance(inner, dict) else {})

    def _visit_copy(self, converted: Converted, first: Converted) -> None:
        """Set the groups of the parts of another mention of an object to those of the first mention."""
        if converted is first or id(converted) in self.copies:
            return
        self.copies.add(id(converted))
        for name, part in converted.parts.items():
            twin = first.parts.get(name)
            if twin is not None and (place := self.groups.get(self.identity(twin))) is not None:
                key = self.identity(part)
                self.groups.setdefault(key, place)
                self.first.setdefault(key, twin)
                self._visit_copy(part, twin)

    def _visit_model(self, converted: Converted, group: str, expected: ParamTree) -> None:
        """Set the groups of the layers of a model: in its list, and those of a subclass of Model under its attributes.

        Keras goes through the attributes in order, and `layers`, the list of all, is one of them: what comes later is
        there by class. A list that is an attribute is a model in fnet; in the file it has a group, but no variables.
        """
        parts = [(part, expected.get(part.source.name, {})) for part in stored_layers(converted)]
        if self.has_attributes(converted, group):
            layers = [part for part, _ in parts]
            every = [pair for part, inner in parts for pair in self._in_list(part, inner, group, layers)]
            places = {part.source.name: (part, inner) for part, inner in parts}
            held = [name for name in places if join(group, name) in self.naming.held]
            others = self.naming.ordered([LISTED, *(places.keys() - held)])
            for place in [*self.naming.ordered(held), *others]:
                if place == LISTED:
                    self._visit_layers(every, join(group, LISTED))
                else:
                    self.visit(places[place][0], join(group, place), places[place][1])
        else:
            listed = group in self.naming.held and group not in self.naming.groups
            self._visit_layers(parts, group if listed else join(group, self.naming.layers))

    def has_attributes(self, converted: Converted, group: str) -> bool:
        """Whether the file has the layers of a model under their names, as a subclass of Model has them."""
        return any(join(group, name) in self.naming.held for name in converted.parts if name not in LISTS)

    def _in_list(
        self, part: Converted, expected: ParamTree, group: str, layers: list[Converted]
    ) -> list[tuple[Converted, ParamTree]]:
        """A layer of a subclass of Model as its `layers` list it: those in a list one by one.

        Of several graphs the file does not say which is which by the order in which they are called.
        """
        place, listed = join(group, part.source.name), join(group, LISTED)
        alone = [layer for layer in layers if layer.source.class_name == "Functional"] == [part]
        own = snake_case(part.source.python_name)
        name = self.naming.class_name(part, listed, layers) if alone else own
        is_object = place in self.naming.groups or (
            place not in self.naming.held and join(listed, name) in self.naming.held
        )
        if is_object or not part.source.is_model:
            return [(part, expected)]
        return [(inner, expected.get(inner.source.name, {})) for inner in stored_layers(part)]

    def _visit_layers(self, parts: Sequence[tuple[Converted, ParamTree]], group: str) -> None:
        used: dict[str, int] = {}
        twice = self.naming.twice and group.endswith(_DEPENDENCIES)
        layers = [part for part, _ in parts]
        for part, inner in parts:
            if not self.naming.duplicates_count and self.identity(part) in self.groups:
                continue
            name = self.naming.class_name(part, group, layers)
            count = used.get(name, 0)
            used[name] = count + (2 if twice and has_weights(part, inner) else 1)
            place = join(group, f"{name}_{count}" if count else name)
            if self.identity(part) not in self.groups:
                self.named.append((part, place))
            self.visit(part, place, inner)


def has_weights(converted: Converted, expected: ParamTree) -> bool:
    """Whether Keras lists weights of an object: arrays, or the tables of an adapted lookup."""
    if converted.source.is_model:
        return any(has_weights(part, expected.get(name, {})) for name, part in converted.parts.items())
    entry, config = converted.entry, converted.source.config
    if entry.tables is not None and config.get("vocabulary") is None:
        return True
    if entry.arrays is not None:
        return bool(entry.arrays(config))
    return any(isinstance(leaf, Param) for leaf in tree.leaves(expected))


def stored_layers(converted: Converted) -> list[Converted]:
    """The layers of a model as Keras lists them: without operations, and without the input layer of a Sequential."""
    parts = [part for part in converted.parts.values() if not part.operation]
    if converted.source.class_name == "Sequential" and parts and parts[0].source.class_name == "InputLayer":
        return parts[1:]
    return parts


def within(converted: Converted) -> Iterator[Converted]:
    """An object and all objects inside it."""
    yield converted
    for part in converted.parts.values():
        yield from within(part)


def place_of(groups: Mapping[str, str], name: str) -> str:
    """The group of a params key, relative to the group of its layer."""
    return groups[name] if name in groups else join(groups.get("", ""), name)


def join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
