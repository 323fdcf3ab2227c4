"""Which group of a file holds the arrays of which object: Keras's walk over its objects, simulated on the config.

Keras names groups by place, not by layer name: `layers/conv2d_1` is the second Conv2D of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Literal

from fnet import tree
from fnet.records import dataclass
from fnet.types import Param, ParamTree
from params.convert.conversion import Converted
from params.errors import WeightsMismatch
from params.file.keras_objects import KerasObject, snake_case


@dataclass(frozen=True, slots=True)
class Naming:
    """How a generation of Keras names the groups of a file."""

    layers: str = "layers"
    """Where a model keeps its layers."""
    twice: bool = False
    """Layers that have weights take two numbers, the second without a group: they are in that dict under two keys."""
    duplicates_count: bool = True
    """Whether an object met again takes a number."""
    attributes: Literal["private last", "sorted", "reversed"] = "private last"
    """The order in which the attributes of a layer are met; names sort as in ASCII, so "_a" comes before "a"."""

    def ordered(self, places: Iterable[str]) -> list[str]:
        """The attributes of a layer in this order."""
        if self.attributes == "private last":
            return sorted(places, key=lambda place: f"~{place}" if place.startswith("_") else place)
        return sorted(places, reverse=self.attributes == "reversed")


_DEPENDENCIES = "_layer_checkpoint_dependencies"
LISTS = ("layers", _DEPENDENCIES)
"""Where models keep their layers."""
KERAS_3 = Naming()
KERAS_2_15 = Naming(duplicates_count=False, attributes="reversed")
"""Of 2.15, and of tf_keras to this day."""
KERAS_2_14 = Naming(_DEPENDENCIES, duplicates_count=False, attributes="sorted")
KERAS_2_12 = Naming(_DEPENDENCIES, twice=True, attributes="sorted")
"""Of 2.12 and 2.13."""


def namings(version: str | None, groups: Iterable[str]) -> tuple[Naming, ...]:
    """The rules by which the groups of a file can be named: one where the version of Keras is known.

    A `.weights.h5` does not tell its version; then the first of these with which all arrays fit is the one.
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
    """{object: group}: each object is stored once, at the first place where Keras meets it."""

    naming: Naming = KERAS_3
    groups: dict[Any, str] = field(default_factory=dict)
    met: dict[tuple[str, str], list[tuple[KerasObject, Any]]] = field(default_factory=dict)
    """{(class, name): the objects met so far, with their identities}."""
    first: dict[Any, Converted] = field(default_factory=dict)
    """{identity: the first mention of an object}."""
    copies: set[int] = field(default_factory=set)
    """The ids of other mentions, which are gone through once."""
    named: list[tuple[Converted, str]] = field(default_factory=list)
    """The layers of models, whose names the file tells; those inside wrappers are renamed by Keras."""
    models: list[str] = field(default_factory=list)
    """The groups of models: Keras keeps in them what a model was trained with, too."""

    def identity(self, converted: Converted) -> Any:
        """One value for all mentions of one object.

        A mention with `shared_object_id` may be of an object first met inside a nested model, whose config is a
        copy from before the mark was set: that one has the same class, name and config.
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
        """Give `converted`, whose params have the form `expected`, and what it is made of their groups."""
        key = self.identity(converted)
        if key in self.groups:
            self._visit_copy(converted, self.first[key])
            return
        self.groups[key] = group
        self.first[key] = converted
        self.met.setdefault((converted.source.class_name, converted.source.name), []).append((converted.source, key))
        if converted.source.is_model:
            self.models.append(group)
            self._visit_layers(converted, join(group, self.naming.layers), expected)
        else:
            names = {place_of(converted.entry.groups, name): name for name in converted.parts}
            for place in self.naming.ordered(names):
                inner = expected.get(names[place], {})
                self.visit(converted.parts[names[place]], join(group, place), inner if isinstance(inner, dict) else {})

    def _visit_copy(self, converted: Converted, first: Converted) -> None:
        """Give the parts of another mention of an object, whose config is a copy, the groups of those of the first."""
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

    def _visit_layers(self, converted: Converted, group: str, expected: ParamTree) -> None:
        used: dict[str, int] = {}
        for part in stored_layers(converted):
            if not self.naming.duplicates_count and self.identity(part) in self.groups:
                continue
            inner = expected.get(part.source.name, {})
            name = snake_case(part.source.python_name)
            count = used.get(name, 0)
            used[name] = count + (2 if self.naming.twice and has_weights(part, inner) else 1)
            place = join(group, f"{name}_{count}" if count else name)
            if self.identity(part) not in self.groups:
                self.named.append((part, place))
            self.visit(part, place, inner)


def has_weights(converted: Converted, expected: ParamTree) -> bool:
    """Whether Keras lists weights of an object: its arrays, and the tables of a lookup that was adapted."""
    if converted.source.is_model:
        return any(has_weights(part, expected.get(name, {})) for name, part in converted.parts.items())
    entry, config = converted.entry, converted.source.config
    if entry.tables is not None and config.get("vocabulary") is None:
        return True
    if entry.arrays is not None:
        return bool(entry.arrays(config))
    return any(isinstance(leaf, Param) for leaf in tree.leaves(expected))


def stored_layers(converted: Converted) -> list[Converted]:
    """The layers of a model as Keras lists them: no operations; the input layers of a Functional, not a Sequential."""
    parts = [part for part in converted.parts.values() if not part.operation]
    if converted.source.class_name == "Sequential" and parts and parts[0].source.class_name == "InputLayer":
        return parts[1:]
    return parts


def within(converted: Converted) -> Iterator[Converted]:
    """An object and all that it is made of."""
    yield converted
    for part in converted.parts.values():
        yield from within(part)


def place_of(groups: Mapping[str, str], name: str) -> str:
    """The sub-group of a params key, below the group of its layer."""
    return groups[name] if name in groups else join(groups.get("", ""), name)


def join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
