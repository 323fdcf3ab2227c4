"""Which group of a file holds the arrays of which object: Keras's walk over its objects, simulated on the config.

Keras names groups by place, not by layer name: `layers/conv2d_1` is the second Conv2D of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from params.converted import Converted
from params.errors import WeightsMismatch
from params.naming import snake_case


@dataclass(eq=False)
class Walk:
    """{object: group}: each object is stored once, at the first place where Keras meets it."""

    duplicates_count: bool = True
    """Whether an object met again takes a number (not in Keras 2.14 and 2.15)."""
    groups: dict[Any, str] = field(default_factory=dict)
    signatures: dict[str, list[Any]] = field(default_factory=dict)
    named: list[tuple[Converted, str]] = field(default_factory=list)
    """The layers of models, whose names the file tells; those inside wrappers are renamed by Keras."""

    def identity(self, made: Converted) -> Any:
        """One value for all mentions of one object.

        A mention with `shared_object_id` may be of an object first met inside a nested model, whose config is a
        copy from before the mark was set: that one has the same class, name and config.
        """
        source = made.source
        if source.shared is None:
            return id(source)
        known = self.signatures.setdefault(source.signature, [])
        if source.shared in known or not known:
            return source.shared
        if len(known) > 1:
            raise WeightsMismatch(f"{source.label} is shared with one of {len(known)} layers that look the same")
        return known[0]

    def visit(self, made: Converted, group: str) -> None:
        """Give `made` and what it is made of their groups."""
        key = self.identity(made)
        if key in self.groups:
            return
        self.groups[key] = group
        self.signatures.setdefault(made.source.signature, []).append(key)
        if made.source.is_model:
            self._visit_layers(made, join(group, "layers"))
        else:
            places = made.entry.groups if made.entry is not None else {}
            found = {place_of(places, name): part for name, part in made.parts.items()}
            for place in sorted(found, key=lambda p: f"~{p}" if p.startswith("_") else p):
                self.visit(found[place], join(group, place))

    def _visit_layers(self, made: Converted, group: str) -> None:
        used: dict[str, int] = {}
        for part in stored_layers(made):
            if not self.duplicates_count and self.identity(part) in self.groups:
                continue
            name = snake_case(part.source.class_name)
            count = used[name] = used.get(name, -1) + 1
            place = join(group, f"{name}_{count}" if count else name)
            if self.identity(part) not in self.groups:
                self.named.append((part, place))
            self.visit(part, place)


def stored_layers(made: Converted) -> list[Converted]:
    """The layers of a model as Keras lists them: no operations; the input layers of a Functional, not a Sequential."""
    parts = [part for part in made.parts.values() if not part.operation]
    if made.source.class_name == "Sequential" and parts and parts[0].source.class_name == "InputLayer":
        return parts[1:]
    return parts


def within(made: Converted) -> Iterator[Converted]:
    """An object and all that it is made of."""
    yield made
    for part in made.parts.values():
        yield from within(part)


def place_of(groups: Mapping[str, str], name: str) -> str:
    """The sub-group of a params key, below the group of its layer."""
    return groups[name] if name in groups else join(groups.get("", ""), name)


def join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
