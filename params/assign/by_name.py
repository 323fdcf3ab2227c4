"""Weights by the names of layers, and what does not fit left out: as Keras's `by_name` and `skip_mismatch`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from fnet import tree
from fnet.types import Params, ParamTree
from params.assign.engine_layouts import from_cudnn
from params.assign.group_names import stored_layers
from params.assign.legacy_arrays import Slots, matched
from params.assign.values import compare_with, values
from params.assign.weight_paths import Loaded, Plan, listing, variables_of
from params.convert.conversion import Converted
from params.errors import WeightsMismatch, WeightsWarning, quoted
from params.file.model_file import ModelFile

Layer = tuple[Converted | None, str, Callable[[], Loaded]]
"""(layer of the model, name in the file, its arrays); no layer where the model has none of the name."""


def load_partly(
    work: Plan, converted: Converted, expected: ParamTree, params: Params, file: ModelFile, *, by_name: bool, skip: bool
) -> dict[str, Any]:
    """`params` with the arrays of the layers of a file that the model has, and a WeightsWarning that lists all others.

    by_name: layers are told by name, else by order. skip: layers whose arrays have other shapes are left as they are.
    Raises WeightsMismatch for these without skip, and for a file that has no names.
    """
    held = Slots(work)
    layers = list(
        _legacy(held, converted, file, by_name)
        if file.format == "h5"
        else _groups(held, work, converted, file, by_name)
    )
    want = dict(tree.items(expected))
    arrays_by_path: Loaded = {}
    skipped, unknown, loaded = [], [], set()
    for part, name, read in layers:
        if part is None:
            unknown.append(name)
            continue
        try:
            arrays = from_cudnn(read(), expected)
            for path, array in arrays.items():
                compare_with(path, array, want[path])
        except WeightsMismatch as error:
            if not skip:
                raise
            skipped.append(f"{part.source.name} ({error})")
        else:
            arrays_by_path |= arrays
            loaded.add(part.source.name)
    kept = [p.source.name for p in stored_layers(converted) if held.of(p) and p.source.name not in loaded]
    if kept or unknown:
        warnings.warn(_report(file.label, len(loaded), kept, skipped, unknown), WeightsWarning, stacklevel=3)
    before = {tuple(map(str, path)): leaf for path, leaf in tree.items(params)}
    return values({**before, **arrays_by_path}, expected)


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


def _legacy(held: Slots, converted: Converted, file: ModelFile, by_name: bool) -> Iterator[Layer]:
    """The layers of a legacy `.h5`."""
    stored = [layer for layer in file.arrays.layers if layer.arrays]
    parts = [part for part in stored_layers(converted) if held.of(part)]
    named = {part.source.name: part for part in parts}
    if not by_name and len(stored) != len(parts):
        raise WeightsMismatch(
            f"the model has {len(parts)} layers with weights, the file {len(stored)}: load them by_name=True"
        )
    for number, layer in enumerate(stored):
        part = named.get(layer.name) if by_name else parts[number]

        def read(layer: Any = layer, part: Any = part) -> Loaded:
            pairs = matched(layer, part, held.of(part))
            return {slot.path: array for slot, array in pairs if slot.path is not None}

        yield part, layer.name, read


def _groups(held: Slots, work: Plan, converted: Converted, file: ModelFile, by_name: bool) -> Iterator[Layer]:
    """The layers of a `.weights.h5` or `.keras`, whose names are in files of Keras 3.6 and later."""
    groups = file.arrays.groups
    tops = {group for group in groups if group.rpartition("/")[0] == work.walk.naming.layers}
    named = {variables.name: group for group, variables in groups.items() if group in tops and variables.name}
    if by_name and not named:
        raise WeightsMismatch("the layers have no names in this file (Keras writes them since 3.6): load them in order")
    used = set()
    for part in stored_layers(converted):
        home = work.walk.groups[work.walk.identity(part)]
        place = named.get(part.source.name) if by_name else home
        if not held.of(part) or place is None or place not in tops:
            continue
        used.add(place)

        def read(part: Any = part, home: str = home, place: str = place) -> Loaded:
            loaded: Loaded = {}
            for slot in held.of(part):
                arrays = variables_of(file.arrays, place + slot.group.removeprefix(home)).arrays
                if slot.path is not None and slot.number >= len(arrays):
                    raise WeightsMismatch(listing(["/".join(slot.path)], []))
                if slot.path is not None:
                    loaded[slot.path] = arrays[slot.number]
            return loaded

        yield part, quoted(place), read
    for place in sorted(tops - used):
        inside = [v for group, v in groups.items() if f"{group}/".startswith(f"{place}/") and v.arrays]
        if inside:
            yield None, groups[place].name or place, dict
