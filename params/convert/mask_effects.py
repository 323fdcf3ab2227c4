"""Side effects of Keras calls on masks, made explicit in the sources of a graph.

In Keras a mask is an attribute of an array. MultiHeadAttention (from 3.8 on) deletes it from its inputs, and a nested
model that is called with an explicit mask leaves that mask on its inputs, also through models in models. Later readers
of the same array are affected: a residual connection around attention has no mask, nor has the next block, and models
were trained like that. fnet has no side effects: the converter knows the order of the calls, and which outputs are the
same array as an input, and writes `masked_by(x, None)` where a later call reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import fnet
from fnet import tree
from fnet.core import infer
from fnet.core.compose import input_names
from fnet.core.layer import Bound, bind
from fnet.core.options import option_names
from fnet.core.rules import rules_of
from fnet.core.sources import Ref, at, feed, masked_by, references, unmasked
from fnet.dtypes import compute_dtype
from fnet.records import dataclass
from fnet.tree import FrozenList
from fnet.types import Spec
from params.convert.conversion import Conversion, Converted, Effects
from params.convert.generations import (
    CALLS_HAND_MASKS_ON,
    CASTS_KEEP_MASKS,
    HEADS_DELETE_MASKS,
    HEADS_SEE_MASKS,
    MERGES_SEE_MASKS,
    TAKE_FLOATS_AS_THEY_COME,
)
from params.errors import UnsupportedLayer
from params.file.keras_objects import KerasObject, survey

PASSED_ON = {
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
}  # fmt: skip
"""Layers that return their input itself at inference."""

OF_SEVERAL = ("AdditiveAttention", "Attention")
"""Layers with several inputs whose output carries the mask of one of them; before Keras 3.4 no mask."""

MERGES_BY_MASK = ("Maximum", "Minimum", "Multiply")
"""Layers that ignore masked places of their inputs."""

WHATEVER_THE_MASK = ("Add", "Average", "Concatenate", "Masking", "Subtract")
"""Layers with rules of their own for masks, by which no value changes."""

Place = tuple[str, tuple[Any, ...]]
"""(node, path in its output)."""


@dataclass
class Marks:
    """The state of the masks of all arrays of a graph, as its calls are processed in order."""

    inputs: tuple[str, ...]
    same: dict[Place, Place] = field(default_factory=dict)
    """{output: the earlier output that is the same array}."""
    changed: dict[Place, Any] = field(default_factory=dict)
    """{array: the source of its current mask, None for none}."""
    carrying: set[str] = field(default_factory=set)
    """Nodes whose outputs may carry a mask that is not in the call of their reader."""
    unsaid: set[str] = field(default_factory=set)
    """Those of them that have another mask in Keras than here."""
    roots: dict[str, int] = field(default_factory=dict)
    """{node: the inputs that it depends on, a bit each}: sets of names would take far more memory."""

    def roots_of(self, source: Any) -> int:
        """The inputs that a tree of sources depends on, a bit each."""
        bits = 0
        for name in references(source):
            bits |= self.roots.setdefault(name, 1 << len(self.roots))
        return bits

    def place(self, source: str | Ref) -> Place:
        """The array of a source, by its first place."""
        place = at(source).node, at(source).path
        return self.same.get(place, place)

    def read(self, source: Any) -> Any:
        """A source with the current mask of its array."""
        if isinstance(source, str | Ref) and (place := self.place(source)) in self.changed:
            return masked_by(source, self.changed[place])
        return source

    def effects(self, outputs: list[Any]) -> Effects:
        """The effects of the graph on its inputs, for the outer model."""
        lost = frozenset(name for name in self.inputs if (name, ()) in self.changed)
        ends = {number: self.place(end) for number, end in enumerate(outputs) if isinstance(end, str | Ref)}
        return Effects(lost, {index: node for index, (node, path) in ends.items() if node in self.inputs and not path})


def as_masked(
    part: Converted, sources: Any, kwargs: Mapping[str, Any], specs: Mapping[str, Any], conversion: Conversion
) -> Any:
    """The sources of a call of Keras 2 without the masks that a layer ignores: those of attention before 2.10, and all
    where the call has `mask=None`. Refuses masks by those rules that fnet cannot express.
    """
    source, label, explicit = part.source, part.source.label, kwargs.get("mask")
    if source.is_model and isinstance(explicit, list) and None in explicit:
        raise UnsupportedLayer(f"{label} was called with masks for some of its inputs only, which deletes the others")
    if source.class_name == "GroupNormalization" and explicit is not None:
        raise UnsupportedLayer(f"{label} was called with a mask, by which Keras 2 weighs its means; fnet does not")
    heads = source.class_name == "MultiHeadAttention"
    if heads and conversion.version >= HEADS_SEE_MASKS and _is_cast(part.step, _spec(_attended(sources)[0], specs)):
        raise UnsupportedLayer(
            f"{label} casts its query, which then has no mask inside, but one outside: give the layers one dtype policy"
        )
    if (heads and conversion.version < HEADS_SEE_MASKS) or ("mask" in kwargs and explicit is None):
        return tree.map(lambda leaf: masked_by(leaf, None) if isinstance(leaf, str | Ref) else leaf, sources)
    if source.is_model:  # NumPy has no bfloat16, so an input cannot see that it casts one
        cast = [leaf for _, leaf, as_is, dtypes in _fed(part, sources, specs) if not as_is and "bfloat16" in dtypes]
        return tree.map(lambda leaf: masked_by(_values(leaf), None) if leaf in cast else leaf, sources)
    return sources


def with_masks_carried(part: Converted, step: Any, sources: Any, conversion: Conversion) -> tuple[Any, Any]:
    """(step, sources) of a call, whose masks act inside the layer only: its output has those that its inputs carry.

    Keras before 3.11 wrote None for a mask that it did not know before the model ran, such as that of a nested model.
    So attention passes on a mask of its query that it does not use, and layers that use none ignore those of the call.
    """
    source = part.source
    if not conversion.masked or not (3, 0) <= conversion.version < CALLS_HAND_MASKS_ON:
        return step, sources
    normalizes = part.entry.layer is fnet.batch_normalization and not step.options.get("training")
    if normalizes or (not source.is_model and rules_of(step).mask != "own"):
        own = _hands_none_on(part, sources, conversion)
        return with_rule(step, "same") if own else step, unmasked(tree.freeze(sources))
    attends = source.class_name in OF_SEVERAL and conversion.version >= MERGES_SEE_MASKS
    if not (attends and isinstance(sources, list | tuple)):
        return step, sources
    query, *others = sources
    if not isinstance(query, masked_by) or query.mask is not None:
        return step, sources
    return bind(step, hides_queries=False), [query.values, *others]


def with_rule(step: Any, rule: str) -> Any:
    """`step` with another mask rule, unless it has an option `masks` of its own."""
    return step if "masks" in option_names(step.function) else bind(step, masks=rule)


def as_keras_2_hands_on(part: Converted, step: Any, x: Any, y: Any, conversion: Conversion) -> Any:
    """A step from the Specs `x` to `y` with the rule for masks of Keras 2, which differs where both are several."""
    several = part.is_own and not isinstance(x, Spec) and not isinstance(y, Spec)
    if not (several and conversion.keras2 and conversion.masked) or rules_of(step).mask not in (None, "keep"):
        return step
    return with_rule(step, "place")


def _hands_none_on(part: Converted, sources: Any, conversion: Conversion) -> bool:
    """Whether a layer of one's own has several inputs in a file of Keras 3.0 to 3.3, in its first argument: only
    outputs that are inputs have masks there."""
    first = sources[0] if type(sources) is tuple else sources
    if conversion.version >= MERGES_SEE_MASKS or not (part.is_own and isinstance(first, list | FrozenList | Mapping)):
        return False
    return rules_of(part.step).mask != "own"


def losing_cast(part: Converted, spec: Any, conversion: Conversion) -> Bound | None:
    """The cast of an input of a spec by which a layer of Keras 3 loses its mask, as a step before the layer."""
    casts = not (part.source.is_model or part.operation) and part.source.class_name not in TAKE_FLOATS_AS_THEY_COME
    if not (casts and (3, 0) <= conversion.version < CASTS_KEEP_MASKS and _is_cast(part.step, spec)):
        return None
    return bind(fnet.operations.cast, dtype=compute_dtype(part.step.dtype))


def has_masks(sources: Any) -> bool:
    """Whether a tree of sources contains a mask."""
    if isinstance(sources, Mapping):
        return any(key.endswith("mask") for key in sources) or any(map(has_masks, sources.values()))
    return isinstance(sources, masked_by) or (isinstance(sources, tuple) and any(map(has_masks, sources)))


def after_call(
    marks: Marks, name: str, part: Converted, sources: Any, specs: Mapping[str, Any], conversion: Conversion
) -> None:
    """Record the effect of a call, the node `name`, on the masks of its inputs."""
    source = part.source
    if not conversion.keras2 and conversion.version < CALLS_HAND_MASKS_ON:
        _keep_given_mask_inside(marks, name, part, sources, specs, conversion)
    if source.is_model:
        _after_model(marks, name, part, sources, specs)
    elif source.class_name == "MultiHeadAttention" and conversion.version >= HEADS_DELETE_MASKS:
        for leaf in map(_values, _attended(sources)):
            if isinstance(leaf, str | Ref) and not _is_cast(part.step, _spec(leaf, specs)):
                marks.changed[marks.place(leaf)] = None
    elif _passes_on(source) and isinstance(sources, str | Ref) and specs[name] == _spec(sources, specs):
        marks.same[name, ()] = marks.place(sources)


def _keep_given_mask_inside(
    marks: Marks, name: str, part: Converted, sources: Any, specs: Mapping[str, Any], conversion: Conversion
) -> None:
    """A mask given in a call acts inside the layer only; the output carries that of the input, if there is one.

    Keras writes every mask that it knows before the model runs into the call of its reader, except those that merging
    layers read. In fnet the output carries the given mask. Where that comes from other inputs than the values, a layer
    that uses the mask of the output, and whose call has none, is refused.
    """
    source = part.source
    values, masks = _given(sources)
    sees_several = conversion.version >= MERGES_SEE_MASKS
    merges = source.class_name in MERGES_BY_MASK and sees_several
    if marks.unsaid.intersection(values) and (merges or (not masks and _uses_masks(part))):
        raise UnsupportedLayer(
            f"{source.label} uses the mask of an input that was given a mask, or None, in a call next to the one "
            "that it carries; Keras 3.0 to 3.10 took the latter here: build the model with one of the two masks"
        )
    if _hands_none_on(part, sources, conversion):
        return
    several = source.class_name in OF_SEVERAL or (part.is_own and isinstance(sources, list | FrozenList | Mapping))
    if part.is_own and rules_of(part.step).mask == "own" and not has_masks(tree.freeze(sources)):
        several = False  # a layer whose call takes no masks makes its own
    if source.class_name in OF_SEVERAL:
        values = values[:1]
    carries = source.is_model or marks.carrying.intersection(values) or makes_mask(source, conversion)
    if (several and not sees_several) or (masks and not carries):
        marks.changed.update({(name, path): None for path in paths_of(specs[name])})
    elif carries:
        marks.carrying.add(name)
        given = 0 if source.is_model else marks.roots_of(masks)  # a model puts a given mask on its inputs
        unused = part.is_own and any(_is_unused(leaf.source, marks) for leaf in tree.leaves(tree.map(_Leaf, sources)))
        if unused or given & ~marks.roots_of(values) or marks.unsaid.intersection(values):
            marks.unsaid.add(name)


def _is_unused(source: Any, marks: Marks) -> bool:
    """Whether a source has a mask that the call says it has not."""
    if not isinstance(source, masked_by) or source.mask is not None or source == marks.read(source.values):
        return False
    return not marks.carrying.isdisjoint(references(source.values))


def _uses_masks(part: Converted) -> bool:
    """Whether masks change what a layer computes, or may do so inside it."""
    own = not part.operation and rules_of(part.step).mask == "own"
    return part.source.is_model or (own and part.source.class_name not in (*WHATEVER_THE_MASK, *MERGES_BY_MASK))


def _given(sources: Any) -> tuple[list[str], list[Any]]:
    """The nodes that a call reads as values, and the sources of the masks that it was given."""
    by_name = sources if isinstance(sources, Mapping) else {"": sources}
    items = [tree.map(_Leaf, item) for name, item in by_name.items() if name != "mask"]
    leaves = [leaf.source for leaf in tree.leaves(items)]
    masks = [by_name.get("mask"), *(leaf.mask for leaf in leaves if isinstance(leaf, masked_by))]
    return references(list(map(_values, leaves))), [mask for mask in masks if mask is not None]


def makes_mask(source: KerasObject, conversion: Conversion) -> bool:
    """Whether a layer may make a mask."""
    described = {"class_name": source.class_name, "registered_name": source.registered_name, "config": source.config}
    return survey(described, conversion.custom).masked


def _after_model(marks: Marks, name: str, part: Converted, sources: Any, specs: Mapping[str, Any]) -> None:
    for key, leaf, as_is, _ in _fed(part, sources, specs):
        values = _values(leaf)
        if not as_is or not isinstance(values, str | Ref):
            continue
        place = marks.place(values)
        if isinstance(leaf, masked_by) and leaf != marks.read(values):
            marks.changed[place] = leaf.mask
        if key in part.effects.lost:
            marks.changed[place] = None
        for number, path in enumerate(paths_of(specs[name])):
            if part.effects.same.get(number) == key:
                marks.same[name, path] = place


@dataclass(frozen=True, slots=True)
class _Leaf:
    source: Any


def _fed(part: Converted, sources: Any, specs: Mapping[str, Any]) -> list[tuple[str, Any, bool, list[Any]]]:
    """(input of a nested model, its source, whether the array is used unchanged, dtypes of both) of a call."""
    inputs = input_names(part.step)
    leaves = feed(inputs, tree.map(_Leaf, sources))
    spec = infer.input_spec(part.step)
    takes = feed(inputs, spec) if spec is not None else {}
    fed = []
    for key, leaf in leaves.items():
        if isinstance(leaf, _Leaf):
            x, expected = _spec(_values(leaf.source), specs), takes.get(key)
            dtypes = [spec.dtype for spec in (x, expected) if isinstance(spec, Spec)]
            fed.append((key, leaf.source, _is_taken_as_it_is(x, expected), dtypes))
    return fed


def _values(source: Any) -> Any:
    return source.values if isinstance(source, masked_by) else source


def _is_taken_as_it_is(x: Any, expected: Any) -> bool:
    """Whether an input takes an array without a cast or another rank."""
    if not isinstance(x, Spec) or not isinstance(expected, Spec):
        return expected is None
    return x.dtype == expected.dtype and len(x.shape) == len(expected.shape)


def _attended(sources: Any) -> list[Any]:
    """Query, value and key among the sources of an attention layer."""
    if isinstance(sources, Mapping):
        return [sources[key] for key in ("query", "value", "key") if key in sources]
    return list(sources)


def _is_cast(step: Any, spec: Any) -> bool:
    """Whether a layer casts its input, and so works on a copy."""
    policy = step.dtype if isinstance(step, Bound) else None
    floats = isinstance(spec, Spec) and spec.dtype.startswith(("float", "bfloat"))
    return policy is not None and floats and spec.dtype != compute_dtype(policy)


def _passes_on(source: KerasObject) -> bool:
    linear = source.class_name == "Activation" and source.config.get("activation") == "linear"
    return linear or source.class_name in PASSED_ON


def _spec(source: Any, specs: Mapping[str, Any]) -> Any:
    """The Spec of a source; None for a constant."""
    if isinstance(source, Ref):
        return tree.get(specs[source.node], source.path)
    return specs[source] if isinstance(source, str) else None


def paths_of(spec: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of the arrays in an output, in Keras's order: dicts by sorted key."""
    if isinstance(spec, Mapping):
        return [p for key in sorted(spec) for p in paths_of(spec[key], (*path, key))]
    if isinstance(spec, list | tuple):
        return [p for i, item in enumerate(spec) for p in paths_of(item, (*path, i))]
    return [path]


def of_sequential(parts: list[Converted], step: Any) -> Effects:
    """The effect of a sequential model on the mask of its input."""
    lost, same, spec = False, True, infer.input_spec(step)
    for part in parts:
        if part.source.is_model and same:
            taken = infer.input_spec(part.step)
            same = taken is None or spec is None or _is_taken_as_it_is(spec, taken)
            lost = lost or (same and bool(part.effects.lost))
            same = same and 0 in part.effects.same
        elif part.source.class_name != "InputLayer":
            same = same and _passes_on(part.source) and not _is_cast(part.step, spec)
    only = input_names(step)
    return Effects(frozenset({only} if lost else ()), {0: only} if same else {})


def require_expressible(marks: Marks, source: KerasObject, conversion: Conversion) -> None:
    """Refuse a mask that is made inside a nested model and stays on an array that the outer model reads."""
    for name in marks.inputs:
        if source is not conversion.root and marks.changed.get((name, ())) is not None:
            raise UnsupportedLayer(
                f"{source.label} calls a model inside it with an explicit mask on its own input; Keras leaves that "
                "mask on the array for all that read it later. Pass the mask to the layers that need it instead"
            )
