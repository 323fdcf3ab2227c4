"""The arguments of one Keras call as sources of a node, and as options of its step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fnet import tree
from fnet.core.layer import bind
from fnet.core.options import kinds, option_names
from fnet.core.rules import call_of, rules_of
from fnet.core.sources import Ref, masked_by, references
from fnet.records import dataclass
from params.convert.conversion import Converted, named
from params.convert.layer_options import meant
from params.errors import CorruptFile, UnsupportedLayer, quoted
from params.file.keras_objects import KerasObject, Tensor, literal
from params.table.entry import Entry


@dataclass(frozen=True, slots=True)
class Literal:
    """A value among the arguments of a call that is not a tensor (a plain string would be a source)."""

    value: Any

    @staticmethod
    def of(value: Any) -> Any:
        return Literal(value) if isinstance(value, str) else value


_CONTEXT = ("training", "mask")
FURTHER = {
    **dict.fromkeys(("AdditiveAttention", "Attention", "GlobalAveragePooling1D", "Softmax"), ("mask",)),
    **dict.fromkeys(("BatchNormalization", "Functional", "Pipeline", "Sequential", "TimeDistributed"), _CONTEXT),
}
"""{class: arguments that its call takes by position after those of its entry}."""


def by_keyword(class_name: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call, with positional mask and training turned into keywords."""
    names = FURTHER.get(class_name, ())
    further = dict(zip(names, args[1:], strict=False))
    if len(further) != len(args) - 1 or set(further) & set(kwargs):
        return args, kwargs
    return args[:1], {**kwargs, **further}


def tensors(value: Any) -> Iterator[Tensor]:
    """The symbolic tensors in the arguments of a call, in Keras's order."""
    if isinstance(value, list):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield literal(value)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from tensors(value[key])


def end_of(history: list[Any], layers: Mapping[str, KerasObject]) -> Tensor:
    """The tensor of [layer, call, output] at an end of a model, where calls of a nested Functional count from 1."""
    layer, call, index = history
    return Tensor(layer, call - (layer in layers and layers[layer].class_name == "Functional"), index)


def step_and_sources(part: Converted, args: list[Any], kwargs: dict[str, Any], keras2: bool) -> tuple[Any, Any]:
    """(step with the options in the call, its sources)."""
    entry = part.entry
    if not keras2 and not part.operation and entry.arguments:
        _require_bound(part, entry, args, kwargs)
    try:
        kwargs = kwargs if entry.call is None else entry.call(kwargs)
    except UnsupportedLayer as error:
        raise UnsupportedLayer(f"{part.source.label} has {error}") from error
    arguments = _by_name(part, entry, args, kwargs)
    mask = None if "mask" in entry.arguments else kwargs.get("mask")
    if mask is not None:
        _require_taken(mask, part)
    options, sources = _options_and_sources(part, entry, arguments)
    step = part.step if not options else bind(part.step, **options)
    with named(part.source):
        x = entry.inputs(sources) if entry.inputs is not None else _arranged(entry, sources)
    return step, _masked(x, mask, part.source.is_model)


COMPARING = frozenset({
    "Arctan2", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "LogicalXor",
    "NotEqual",
})  # fmt: skip
"""Binary operations that also accept a list."""


OPERANDS = (("x1", "x2"), ("x", "y"))
"""The argument names of binary operations; a scale may be None."""


def require_operands(part: Converted, call: dict[str, Any]) -> None:
    """Refuse indices, and operands of binary operations, that Keras cannot have written."""
    if not _is_strict(part):
        return
    values, layer = [*call["args"], *call["kwargs"].values()], part.entry.layer
    if part.source.class_name == "GetItem":
        wrong = [value for value in values[1:] if not _is_key(value)]
    else:
        operands = values if rules_of(layer).by_row and call_of(layer).arguments in OPERANDS else []
        lists = part.source.class_name in COMPARING
        wrong = [value for value in operands if value is None or (isinstance(value, list) and not lists)]
    if wrong:
        raise CorruptFile(f"{part.source.label} was called with {quoted(wrong[0])}, for which Keras builds no graph")


def _is_key(value: Any) -> bool:
    """Whether a value is an integer, or a list of integers, slices, `...` and null, no longer than the most axes."""
    parts = value if isinstance(value, list) else [{} if value is None or isinstance(value, dict) else value]
    kinds = [item.get("class_name") if isinstance(item, dict) else type(item) for item in parts]
    return len(parts) <= 32 and all(kind in (int, type(None), "__slice__", "__ellipsis__") for kind in kinds)


def _is_strict(part: Converted) -> bool:
    """Whether a part is an operation of Keras, which refuses unknown arguments."""
    return part.operation and part.entry.call is None


def _by_name(part: Converted, entry: Entry, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, without `training`, and without a mask that its entry does not list."""
    label = part.source.label
    if len(args) > len(entry.arguments) > 0:
        raise UnsupportedLayer(
            f"{label} was called with {len(args)} positional arguments; fnet knows {', '.join(entry.arguments)}"
        )
    names = entry.arguments or map(str, range(len(args)))
    arguments = dict(zip(names, args, strict=False))
    left_out = () if _is_strict(part) else ("training",) if "mask" in entry.arguments else ("training", "mask")
    for key, value in kwargs.items():
        if key in left_out:
            continue
        if key in arguments:
            raise CorruptFile(f"{label} was called with two values for {quoted(key)}")
        arguments[key] = value
    return arguments


def _options_and_sources(
    part: Converted, entry: Entry, arguments: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arguments that are options of the step, arguments that it reads). Refuses others."""
    label, legal, kind = part.source.label, option_names(entry.layer), kinds(entry.layer)
    options = {
        key: meant(_plain(value), kind.get(key, Any))
        for key, value in arguments.items()
        if key in legal and not references(value)
    }
    first = next(iter(entry.arguments), "")
    sources = {key: v for key, v in arguments.items() if key not in options and (v is not None or key == first)}
    if entry.further:
        options[entry.further] = {key: sources.pop(key) for key in list(sources) if key not in entry.arguments}
    if _is_strict(part) and (fixed := [key for key in sources if key in legal]):
        raise UnsupportedLayer(f"{label} was called with a tensor for {quoted(fixed[0])}, which fnet takes as numbers")
    read = arguments.keys() - options if _is_strict(part) and not entry.further else sources
    unknown = [key for key in arguments if key in read and entry.arguments and key not in entry.arguments]
    if unknown:
        raise UnsupportedLayer(f"{label} was called with {quoted(unknown[0])}, an argument unknown to fnet")
    for key, value in sources.items():
        if entry.call is not None:
            sources[key] = value = tree.map(_text, value)
        _no_text(value, label, index=key in legal or key in entry.literal)
        if key in ("mask", "initial_state"):
            _require_tensors(value, key, label)
    return options, sources


def _require_bound(part: Converted, entry: Entry, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that no call of a layer of Keras 3 takes: positional ones that are not tensors, other names."""
    for value in tree.leaves(args):
        if isinstance(value, Literal) or not isinstance(value, str | Ref):
            raise CorruptFile(f"{part.source.label} was called with {quoted(value)} by position, which is not a tensor")
    taken = (*entry.arguments, *option_names(entry.layer), "training", "mask")
    for name in (name for name in kwargs if name not in taken):
        raise UnsupportedLayer(f"{part.source.label} was called with {quoted(name)}, an argument unknown to fnet")
    if "mask" in kwargs and "mask" not in entry.arguments:
        _require_taken(kwargs["mask"], part)


TAKE_MASKS = frozenset({*FURTHER, "GroupNormalization", "Lambda"})
"""Classes of Keras whose call takes `mask`, in addition to those whose entry lists it."""


def _require_taken(mask: Any, part: Converted) -> None:
    """Refuse a mask for a layer that takes none, and one that is not a tensor."""
    source = part.source
    if source.class_name not in TAKE_MASKS and part.entry.arguments:
        raise CorruptFile(f"{source.label} was called with mask={quoted(mask)}, and takes no mask")
    if mask is not None:
        _require_tensors(mask, "mask", source.label)


def _require_tensors(value: Any, name: str, label: str) -> None:
    """Refuse an argument that is neither a tensor nor a tree of tensors."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for item in inner:
        _require_tensors(item, name, label)
    if value is not None and not isinstance(value, str | Ref) and not inner:
        raise CorruptFile(f"{label} was called with {name}={quoted(value)}, which is not a tensor")


def _arranged(entry: Entry, sources: dict[str, Any]) -> Any:
    """A single source alone, several as a tuple in the order of the call, or as a dict where one is missing."""
    order = [key for key in entry.arguments or sources if key in sources]
    if len(order) == 1:
        return sources[order[0]]
    contiguous = not entry.arguments or tuple(order) == entry.arguments[: len(order)]
    return tuple(sources[key] for key in order) if contiguous else {key: sources[key] for key in order}


def _plain(value: Any) -> Any:
    """An argument as an option: lists as tuples."""
    if isinstance(value, Literal):
        return value.value
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _text(leaf: Any) -> Any:
    """A string among the sources of a function of TensorFlow, as bytes, since a str is the name of a node."""
    return leaf.value.encode() if isinstance(leaf, Literal) and isinstance(leaf.value, str) else leaf


def _no_text(value: Any, label: str, index: bool) -> None:
    """Refuse strings among the sources of a step, and `...` outside of an index."""
    for leaf in tree.leaves(value):
        if isinstance(leaf, Literal) or (leaf is ... and not index):
            value = leaf.value if isinstance(leaf, Literal) else "..."
            raise UnsupportedLayer(f"{label} was called with {quoted(value)}, which fnet does not know")


def _masked(x: Any, mask: Any, is_model: bool = False) -> Any:
    """Sources with the explicit mask of the call, one for each or one for all.

    A None among several removes the mask that a tensor carries, except for a nested model.
    """
    if mask is None:
        return x
    if isinstance(mask, dict):
        if not isinstance(x, dict) or set(mask) != set(x):
            raise UnsupportedLayer(f"masks for {quoted(sorted(mask))}, inputs of another structure")
        return {key: _one_masked(item, mask[key], is_model) for key, item in x.items()}
    if isinstance(mask, list):
        if not isinstance(x, list | tuple) or len(mask) > len(x):
            raise UnsupportedLayer(f"{len(mask)} masks for inputs of another structure")
        mask = mask + [None] * (len(x) - len(mask))
        return type(x)(_one_masked(item, m, is_model) for item, m in zip(x, mask, strict=True))
    if isinstance(x, list | tuple):
        return type(x)([_masked(x[0], mask), *x[1:]])
    if isinstance(x, dict):
        first = next(iter(x))
        return {**x, first: _masked(x[first], mask)}
    return masked_by(x, mask)


def _one_masked(x: Any, mask: Any, is_model: bool) -> Any:
    """One of several sources with its own mask."""
    nothing_there = is_model or isinstance(x, list | tuple | dict)
    return masked_by(x, None) if mask is None and not nothing_there else _masked(x, mask, is_model)
