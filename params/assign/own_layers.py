"""Arrays of layers of the caller's own: where they are, and when the file does not say which is which."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence

from params.assign.walk import LISTS, join
from params.convert.conversion import Converted
from params.errors import WeightsWarning
from params.file.model_file import StoredArray, WeightTree
from params.table.layers import LAYERS

_KNOWN = frozenset(entry.layer for entry in LAYERS.values())


def is_custom(made: Converted) -> bool:
    """Whether an object became a function of the caller's own."""
    return made.entry is not None and not made.operation and made.entry.layer not in _KNOWN


def places_inside(file: WeightTree, home: str) -> dict[str, str]:
    """{name: group} of all groups below the group `home` of a layer, by names as its params have them.

    The layers of a model inside the layer are in a list, "block/layers/dense_1", which the name leaves out:
    "block/dense_1". Lists of Keras 2.12 are numbered with gaps, the names without.
    """
    below = [group.removeprefix(f"{home}/").split("/") for group in file.groups if group.startswith(f"{home}/")]
    numbers: dict[tuple[str, ...], set[int]] = {}
    for parts in below:
        for at in _in_lists(parts):
            base, number = split_name(parts[at])
            numbers.setdefault((*parts[:at], base), set()).add(number)
    found: dict[str, str] = {}
    for parts in below:
        names = dict(enumerate(parts))
        for at in _in_lists(parts):
            base, number = split_name(parts[at])
            rank = sorted(numbers[*parts[:at], base]).index(number)
            names[at] = f"{base}_{rank}" if rank else base
            del names[at - 1]
        found.setdefault("/".join(names.values()), join(home, *parts))
    return found


def _in_lists(parts: Sequence[str]) -> list[int]:
    """Which parts of a path are layers in the list of a model."""
    return [at for at in range(1, len(parts)) if parts[at - 1] in LISTS]


def split_name(name: str) -> tuple[str, int]:
    """("dense", 2) from "dense_2"."""
    number = re.search(r"_(\d+)$", name)
    return (name, 0) if number is None else (name[: number.start()], int(number[1]))


def warn_of_twins(label: str, pairs: Iterable[tuple[str, StoredArray]]) -> None:
    """Warn where the arrays of a layer, as (parameter, array), could be taken for each other."""
    twins: dict[tuple[tuple[int, ...], str], list[str]] = {}
    for name, array in pairs:
        twins.setdefault((array.shape, array.dtype), []).append(name)
    for (shape, _), names in twins.items():
        if len(names) > 1:
            warnings.warn(
                f"{label}: the file does not say which of its arrays of shape {shape} is which of {', '.join(names)}: "
                "they are taken in the order of the layer's shape rule, which must be that in which the Keras layer "
                "creates them",
                WeightsWarning,
                stacklevel=2,
            )
