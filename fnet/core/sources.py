"""Sources: what the nodes of a graph read, by name.

A tree of sources is made of tuples, lists and dicts; its leaves are names of nodes, `at(...)`, `masked_by(...)`, or
constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fnet import tree
from fnet.errors import InvalidInput, printable
from fnet.masks import Masked, masked, strip
from fnet.records import dataclass
from fnet.tree import FrozenDict


@dataclass(frozen=True, repr=False)
class Ref:
    """One element of what a node gives: `at("lstm", 1)`."""

    node: str
    path: tuple[int | str, ...] = ()

    def __repr__(self) -> str:
        return f"at({', '.join(map(repr, (self.node, *self.path)))})"


@dataclass(frozen=True)
class masked_by:  # noqa: N801 - written like a call in sources
    """Source of a node: `values` with an explicit mask (None: no mask) that replaces their own."""

    values: Any
    mask: Any


def at(node: str | Ref, *path: int | str) -> Ref:
    """Source of a node: one element (by index or key) of what another node gives, or of such an element."""
    return Ref(node.node, (*node.path, *path)) if isinstance(node, Ref) else Ref(node, path)


def references(sources: Any) -> list[str]:
    """The node names that a tree of sources reads."""
    if isinstance(sources, str):
        return [sources]
    if isinstance(sources, Ref):
        return [sources.node]
    if isinstance(sources, masked_by):
        return [*references(sources.values), *references(sources.mask)]
    if isinstance(sources, Mapping):
        sources = tuple(sources.values())
    return [name for s in sources for name in references(s)] if isinstance(sources, tuple | list) else []


def mapped(function: Callable[[Any], Any], sources: Any, join: Callable[[Any, Any], Any] = masked_by) -> Any:
    """A tree of sources with `function` applied to every name and `Ref`; constants stay. join: see `masked_by`."""
    if isinstance(sources, str | Ref):
        return function(sources)
    if isinstance(sources, masked_by):
        return join(mapped(function, sources.values, join), mapped(function, sources.mask, join))
    if isinstance(sources, Mapping):
        return FrozenDict({key: mapped(function, item, join) for key, item in sources.items()})
    return type(sources)(mapped(function, item, join) for item in sources) if isinstance(sources, tuple) else sources


def resolve(sources: Any, values: Mapping[str, Any]) -> Any:
    """The tree of sources with every reference replaced by its value."""
    if isinstance(sources, str):
        return values[sources]
    if isinstance(sources, Ref):
        try:
            return tree.get(values[sources.node], sources.path)
        except (LookupError, TypeError) as error:
            raise InvalidInput(
                f"there is no {sources}: {sources.node!r} gives {describe(values[sources.node])}"
            ) from error
    if isinstance(sources, masked_by):
        return masked(strip(resolve(sources.values, values)), strip(resolve(sources.mask, values)))
    if isinstance(sources, Mapping):
        return {key: resolve(item, values) for key, item in sources.items()}
    if isinstance(sources, tree.FrozenList):
        return [resolve(item, values) for item in sources]
    if isinstance(sources, tuple):
        return tuple(resolve(item, values) for item in sources)
    return tree.thaw(sources)


def unmasked(sources: Any) -> Any:
    """Sources without explicit masks: they do not change shapes."""
    return mapped(lambda source: source, sources, lambda values, mask: values)


def feed(inputs: Any, x: Any) -> dict[str, Any]:
    """{input name: value}: `x` matched with the input structure, as leniently as in Keras.

    A dict may also be keyed by input names. A single input may come in a list of one. A dict of inputs may be given as
    a list, in the order of its sorted keys.
    """
    names = references(inputs)
    if isinstance(inputs, str):
        if isinstance(x, Mapping) and inputs in x:
            x = x[inputs]
        elif isinstance(x, list | tuple) and len(x) == 1 and not isinstance(x[0], str | bytes):
            x = x[0]
        return {inputs: x}
    if isinstance(x, Mapping):
        if isinstance(inputs, Mapping) and set(inputs) <= set(x):
            parts = [{item: x[k]} if isinstance(item, str) else feed(item, x[k]) for k, item in inputs.items()]
            return {name: value for part in parts for name, value in part.items()}
        if set(names) <= set(x):
            return {name: x[name] for name in names}
        missing = sorted(set(inputs if isinstance(inputs, Mapping) else names) - set(x))
        raise InvalidInput(f"missing inputs: {', '.join(map(repr, missing))}; got {describe(x)}")
    if isinstance(inputs, Mapping) and list(inputs) != sorted(inputs):
        raise InvalidInput(f"the inputs have names and no order: give a dict with {', '.join(map(repr, inputs))}")
    flat_names, flat_values = tree.sorted_leaves(inputs), tree.sorted_leaves(x)
    if len(flat_names) != len(flat_values):
        raise InvalidInput(
            f"the model takes {len(names)} inputs, {', '.join(names)}; got {len(flat_values)}: {describe(x)}"
        )
    return dict(zip(flat_names, flat_values, strict=True))


def describe(value: Any) -> str:
    """Shapes and dtypes of a tree, for messages: `{kernel: float32[6, 3]}`."""
    if isinstance(value, Masked):
        return f"Masked({describe(value.values)}, {describe(value.mask)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{printable(str(key))}: {describe(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(describe, value)) + ")"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    return repr(value)[:40]


def only_item(x: Any, shape: Sequence[int | None]) -> Any:
    """The array in a list, tuple or dict of one; lists of numbers, strings or single rows stay as they are."""
    if not isinstance(x, list | tuple | dict) or not x:
        return x
    items = list(x.values()) if isinstance(x, dict) else list(x)
    ranks = [getattr(item, "ndim", 0) for item in items]
    column = len(items) == 1 and ranks[0] == len(shape) - 1 and shape[-1] == 1  # the last axis may be left out
    if isinstance(x, dict) or column or any(rank >= max(len(shape), 1) for rank in ranks):
        if len(items) > 1:
            names = (
                f": {', '.join(map(repr, x)):.200}; give the one that the model takes" if isinstance(x, dict) else ""
            )
            raise InvalidInput(f"{len(items)} arrays for one input{names}")
        return items[0]
    return x
