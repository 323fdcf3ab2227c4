"""The arrays of legacy files, `.h5` of Keras 2 and 3, matched by their order."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from params.assign.group_names import stored_layers, within
from params.assign.weight_paths import Loaded, Slot, WeightMap, listing, warn_of_twins
from params.convert.conversion import Converted
from params.convert.generations import version_of
from params.errors import UnsupportedLayer, WeightsMismatch, quoted
from params.file.keras_objects import KerasObject
from params.file.model_file import LegacyLayer, ModelFile, StoredArray

OF_KERAS_1 = "its arrays are those of Keras 1: load it once in Keras 2 (TensorFlow up to 2.15), and save it again"
_UNTRACKED = "idf_weights"
"""A variable of TensorFlow's, which Keras 3 leaves out of legacy files: its numbers are in the config."""

_TWICE = ("SpectralNormalization", "kernel")
"""The wrapper's variable for the kernel of its inner layer, which legacy files have once."""


def by_order(weight_map: WeightMap, converted: Converted, file: ModelFile, whole: bool = False) -> Loaded:
    """{params path: stored array or value}: layers with arrays, in the order of `layer_names`.

    Within a layer the trainable arrays come first. Names are a cross-check. whole: whether the model is that of the
    file, whose config says which layers are trainable.
    """
    loaded = dict(weight_map.preset)
    untracked = () if version_of(file.keras_version) < (3, 0) else (_UNTRACKED,)
    stored = [layer for layer in file.arrays.layers if layer.arrays]
    owned = Slots(weight_map, untracked)
    expected = [(part, slots) for part in stored_layers(converted) if (slots := owned.of(part))]
    if len(stored) != len(expected):  # without layers that may have an array of which no param is made (Discretization)
        names_stored = {layer.name for layer in stored}
        expected = [pair for pair in expected if makes_params(pair[1]) or pair[0].source.name in names_stored]
    if len(stored) != len(expected):
        names = {part.source.name for part, _ in expected}, {layer.name for layer in stored}
        lost = [part.source.label for part, _ in expected if part.source.name not in names[1]]
        text = listing(lost, sorted(names[1] - names[0]))
        raise WeightsMismatch(f"{text} ({len(expected)} layers, {len(stored)} stored){_age(stored)}")
    if file.arrays.top_level:
        raise WeightsMismatch("the file holds weights of the model itself, and a Functional or Sequential has none")
    for layer, (part, slots) in zip(stored, expected, strict=True):
        for slot, array in matched(layer, part, slots, whole):
            for path in owned.paths[slot.group, slot.number]:
                loaded[path] = array
    return _from_theano(weight_map, loaded) if file.backend == "theano" else loaded


def _age(layers: Sequence[LegacyLayer]) -> str:
    from params.assign.weights_outline import are_of_keras_1  # for an error only

    return f"; {OF_KERAS_1}" if are_of_keras_1(layers) else ""


def _changed_inside(layer: LegacyLayer) -> str:
    names = [_short(name)[1] for name, _ in layer.arrays]
    quantized = any(name.endswith("_scale") for name in names)
    updated = any(name.startswith("lora_") for name in names)
    how = "was quantized" if quantized else "has LoRA" if updated else ""
    return how and f"; a layer inside it {how}, which a legacy .h5 does not say: save as .keras"


class Slots:
    """The slots of a map by owner, and the params paths of each place in the file."""

    def __init__(self, weight_map: WeightMap, untracked: tuple[str, ...] = ()) -> None:
        self._walk = weight_map.walk
        self._owned: dict[Any, list[tuple[int, Slot]]] = defaultdict(list)
        self.paths: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for number, slot in enumerate(weight_map.slots):
            if slot.path is not None:
                self.paths[slot.group, slot.number].append(slot.path)
            stored = slot.name not in untracked and (slot.owner.source.class_name, slot.name) != _TWICE
            if slot.number >= 0 and stored:
                for key in self._keys(slot.owner):
                    self._owned[key].append((number, slot))

    def _keys(self, item: Converted) -> set[Any]:
        return {("object", id(item)), ("identity", self._walk.identity(item))}

    def of(self, part: Converted) -> list[Slot]:
        """The slots of a top-level layer, each once, in the order of its layers."""
        unique: dict[tuple[str, int], Slot] = {}
        for item in within(part):
            slots = dict(pair for key in self._keys(item) for pair in self._owned.get(key, ()))
            for number in sorted(slots):
                unique.setdefault((slots[number].group, slots[number].number), slots[number])
        return list(unique.values())


def makes_params(slots: Iterable[Slot]) -> bool:
    """Whether some array of these is a param."""
    return any(slot.path is not None for slot in slots)


def matched(
    layer: LegacyLayer, part: Converted, slots: list[Slot], whole: bool = False
) -> list[tuple[Slot, StoredArray]]:
    """Slots with their arrays: by name where the names are unambiguous, else by order.

    Trainable arrays come first in a layer, and with it all of a frozen one: which model was frozen when it was saved
    is not in a weights file, so where names deny the first order, that of the layers is tried. In a whole file without
    LoRA and frozen layers, of which Keras has several orders, layers with each other's names were renamed.
    """
    arrays = list(_without_lora(layer, {slot.owner.source.name: slot.owner.source for slot in slots}))
    if len(arrays) != len(slots):
        slots = [slot for slot in slots if not slot.of_training]
    if len(arrays) != len(slots):
        raise WeightsMismatch(
            f"{part.source.label} has {len(slots)} arrays, but the file stores {len(arrays)} for {quoted(layer.name)}"
            + (_age([layer]) or _changed_inside(layer))
        )
    named, trainable_first = _by_name(slots, arrays), sorted(slots, key=lambda slot: not slot.trainable)
    if named is not None and not (
        whole
        and len(arrays) == len(layer.arrays)
        and not any(item.source.config.get("trainable") is False for item in within(part))
        and [array for _, array in named] != [array for _, array in arrays]
        and [slot.name for slot in trainable_first] == [_short(name)[1] for name, _ in arrays]
    ):
        return named
    try:
        return _by_place(part, trainable_first, arrays)
    except WeightsMismatch:
        with suppress(WeightsMismatch):
            return _by_place(part, slots, arrays)
        raise


def _by_name(slots: list[Slot], arrays: list[tuple[str, StoredArray]]) -> list[tuple[Slot, StoredArray]] | None:
    """Slots with the arrays that have their names; None unless each names one array, and no two the same."""
    named: dict[tuple[str, str], dict[str, StoredArray]] = defaultdict(dict)
    for name, array in arrays:
        *owners, own = name.split(":")[0].split("/")
        for owner in owners:
            named[owner, own][name] = array
    keys = [(slot.owner.source.name, slot.name) for slot in slots]
    matches = [named.get(key) or named.get((key[0], f"depthwise_{key[1]}"), {}) for key in keys]
    if {len(one) for one in matches} != {1} or len({name for one in matches for name in one}) < len(slots):
        return None
    return [(slot, array) for slot, one in zip(slots, matches, strict=True) for array in one.values()]


def _by_place(
    part: Converted, slots: list[Slot], arrays: list[tuple[str, StoredArray]]
) -> list[tuple[Slot, StoredArray]]:
    """Slots with the arrays at their places. Raises WeightsMismatch where a name is that of another slot."""
    own = [(slot, name, array) for slot, (name, array) in zip(slots, arrays, strict=True) if slot.owner.is_own]
    named_alike = {(slot.group, slot.name) for slot, name, _ in own if _short(name)[1] == slot.name}
    if own and not len({slot.name for slot, *_ in own}) == len(own) == len(named_alike):
        stored = [_short(name)[1] for _, name, _ in own]
        warn_of_twins(part.source.label, [("/".join(slot.path or ()), array) for slot, _, array in own], stored)
    everyone, known = set[str](), defaultdict[str, set[str]](set)
    for slot in slots:
        everyone.add(slot.name)
        known[slot.owner.source.name].add(slot.name)
    for slot, (name, _) in zip(slots, arrays, strict=True):
        owner, own_name = _short(name)  # Keras 2 had other names for some: depthwise_kernel
        if slot.path is not None and own_name in known.get(owner, everyone) - {slot.name}:
            hint = (
                "; what training does not move is Param(..., trainable=False) in its rule" if slot.owner.is_own else ""
            )
            raise WeightsMismatch(
                f"{part.source.label}: expected {quoted(slot.name)} but the file has {quoted(name)}{hint}"
            )
    return [(slot, array) for slot, (_, array) in zip(slots, arrays, strict=True)]


def _without_lora(layer: LegacyLayer, owners: Mapping[str, KerasObject]) -> Iterator[tuple[str, StoredArray]]:
    """The arrays of a layer with LoRA's updates added, as in `.keras` files: w + alpha / rank * a @ b."""
    named = {_short(name): array for name, array in layer.arrays}
    used: list[StoredArray] = []
    converted: list[tuple[str, StoredArray]] = []
    for name, array in layer.arrays:
        owner, own = _short(name)
        a, b = (named.get((owner, f"lora_{own}_{side}")) for side in "ab")
        config = owners[owner].config if owner in owners else {}
        rank, alpha = config.get("lora_rank"), config.get("lora_alpha")
        if a is not None and b is not None and not array.dtype.startswith("float"):
            raise UnsupportedLayer(
                f"{quoted(owner)} is quantized and has LoRA: a legacy .h5 keeps the two apart; save as .keras, for "
                "which Keras adds the update to the quantized weights"
            )
        if a is not None and b is not None and rank:
            used += [a, b]
            array = _updated(array, a, b, 1 if alpha is None else alpha / rank)  # Keras before 3.10 has no alpha
        converted.append((name, array))
    return ((name, array) for name, array in converted if not any(array is other for other in used))


def _updated(array: StoredArray, a: StoredArray, b: StoredArray, scale: float) -> StoredArray:
    if a.shape[:-1] != array.shape[:-1] or b.shape != (a.shape[-1], array.shape[-1]):
        raise WeightsMismatch(f"{quoted(array.place)} {array.shape} has a low-rank update {a.shape} times {b.shape}")
    return replace(array, read=lambda: np.asarray(array.load() + scale * (a.load() @ b.load()), array.dtype))


def _short(name: str) -> tuple[str, str]:
    """("dense_1", "kernel") from "dense_1/kernel:0"."""
    parts = name.split(":")[0].split("/")
    return (parts[-2] if len(parts) > 1 else "", parts[-1])


# --- files of Keras on Theano -------------------------------------------------------------------------

TURNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""Classes whose kernels Keras flips when it loads a Theano file on another backend."""
OTHERS = ("Conv1DTranspose", "Conv3DTranspose", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
"""Classes whose kernels it should flip, but does not."""


def _from_theano(weight_map: WeightMap, arrays: Loaded) -> Loaded:
    """`arrays` of a file of Keras 2.0 to 2.3 on Theano, whose convolutions flip their kernels, with flipped kernels, as
    in Keras. Raises UnsupportedLayer for kernels that Keras should flip, but does not."""
    changed = dict(arrays)
    for slot in weight_map.slots:
        array = None if slot.path is None else arrays.get(slot.path)
        if slot.path is None or not isinstance(array, StoredArray) or not slot.name.endswith("kernel"):
            continue
        name = slot.owner.source.class_name
        if name in TURNED:
            changed[slot.path] = _reversed(array)
        elif name in OTHERS and math.prod(array.shape[:-2]) > 1:
            raise UnsupportedLayer(
                f"{slot.owner.source.label} was trained on Theano, and its kernel is one that Keras forgets to turn "
                "round when it loads the file on another backend: load the model there, reverse the spatial axes of "
                "the kernel and save it on TensorFlow"
            )
    return changed


def _reversed(array: StoredArray) -> StoredArray:
    axes = tuple(range(len(array.shape) - 2))
    return replace(array, read=lambda: np.ascontiguousarray(np.flip(array.load(), axes)))
