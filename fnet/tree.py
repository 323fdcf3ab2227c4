"""Trees of dicts, lists and tuples: walking them, and freezing them into hashable values.

`None` is an empty subtree, as in `jax.tree`. Everything that is not a dict, list or tuple is a leaf.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from fnet.records import dataclass, same

Path = tuple[str | int, ...]

PLAIN = frozenset({int, float, bool, str, type(None)})
"""Common types of leaves that need no conversion."""


class FrozenList(tuple[Any, ...]):
    """A list as a value: hashable, unequal to the tuple of the same items, `thaw` makes it a list."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenList) and len(self) == len(other) and all(map(same, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((FrozenList, tuple(self)))

    def __repr__(self) -> str:
        return repr(list(self))


class FrozenDict(Mapping[str, Any]):
    """A dict as a value: hashable; keeps its order, compares without it, items by `same`."""

    __slots__ = ("_dict", "_hash")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._dict: dict[str, Any] = dict(*args, **kwargs)
        self._hash = hash(frozenset(self._dict.items()))

    def __getitem__(self, key: str) -> Any:
        return self._dict[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.keys() == other.keys() and all(same(item, other[key]) for key, item in self._dict.items())

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return repr(self._dict)

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (self._dict,)


@dataclass(frozen=True)
class FrozenSlice:
    """A slice as a value (slices are unhashable before Python 3.12); `thaw` makes it a slice."""

    start: Any
    stop: Any
    step: Any

    def __repr__(self) -> str:
        return repr(slice(self.start, self.stop, self.step))


def freeze(value: Any) -> Any:
    """The hashable form of `value`: lists, dicts and slices become their frozen twins, deeply, and arrays lists."""
    if type(value) in PLAIN:
        return value
    if hasattr(value, "tolist") and type(value).__hash__ is None:
        value = value.tolist()
    if isinstance(value, slice):
        return FrozenSlice(value.start, value.stop, value.step)
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | FrozenList):
        return FrozenList(freeze(item) for item in value)
    if isinstance(value, tuple):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """The inverse of `freeze`."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, FrozenSlice):
        return slice(value.start, value.stop, value.step)
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | FrozenList):
        return [thaw(item) for item in value]
    if isinstance(value, tuple):
        return tuple(thaw(item) for item in value)
    return value


def as_options(value: Any) -> Any:
    """Options, frozen or not, as layers take them: tuples for lists, so that results can be cached by them, and Python
    numbers for NumPy's, which would change the dtype of arrays."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: as_options(item) for key, item in value.items()}
    return tuple(as_options(item) for item in value) if isinstance(value, list | tuple) else thaw(value)


@functools.lru_cache(maxsize=512)
def container(cls: Any) -> Any:
    """dict, tuple or list for container types, None for leaves. Cached, since `isinstance(leaf, Mapping)` is slow."""
    if issubclass(cls, Mapping):
        return dict
    if issubclass(cls, tuple) and not issubclass(cls, FrozenList):
        return tuple
    return list if issubclass(cls, list | FrozenList) else None


def map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:  # noqa: A001 - read as tree.map
    """`f` on every leaf of `tree` (and the leaves at the same places of `rest`); the structure stays."""
    kind = container(tree.__class__)
    if kind is None:
        return None if tree is None else f(tree, *rest)
    if kind is dict:
        return {key: map(f, item, *(r[key] for r in rest)) for key, item in tree.items()}
    return kind(map(f, item, *(r[i] for r in rest)) for i, item in enumerate(tree))


def alike(sequence: Any, items: Iterable[Any]) -> Any:
    """`items` as a list if `sequence` is one, else as a plain tuple: a named one would take them one by one."""
    return list(items) if isinstance(sequence, list) else tuple(items)


def items(tree: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """(path, leaf) of every leaf, in the order of the containers."""
    kind = container(tree.__class__)
    if kind is None:
        return [] if tree is None else [(path, tree)]
    children = tree.items() if kind is dict else enumerate(tree)
    return [pair for key, item in children for pair in items(item, (*path, key))]


def leaves(tree: Any) -> list[Any]:
    """All leaves, in the order of the containers."""
    kind = container(tree.__class__)
    if kind is None:
        return [] if tree is None else [tree]
    return [leaf for item in (tree.values() if kind is dict else tree) for leaf in leaves(item)]


def sorted_leaves(tree: Any) -> list[Any]:
    """Leaves in Keras's order: dict entries by sorted key. None (an optional input left out) counts."""
    if isinstance(tree, Mapping):
        return [leaf for key in sorted(tree) for leaf in sorted_leaves(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in sorted_leaves(item)]
    return [tree]


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """(leaves, the structure as a hashable value) of a tree. Fast for dicts of dicts of leaves, as most params are."""
    try:
        leaves = [leaf for part in tree.values() for leaf in part.values()]
    except AttributeError:
        leaves = []
    if leaves and not any(builtins.map(container, {*builtins.map(type, leaves)})):
        return leaves, (*tree, *builtins.map(tuple, tree.values()))
    pairs = items(tree)
    return [leaf for _, leaf in pairs], tuple(path for path, _ in pairs)


def nest(pairs: Mapping[Path, Any]) -> dict[str, Any]:
    """Nested dicts from {path: leaf}; the inverse of `items` for trees of dicts."""
    root: dict[Any, Any] = {}
    for path, leaf in pairs.items():
        node = root
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = leaf
    return root


def path_name(path: Path) -> str:
    """A path as one name, for messages and tables: "block/conv"."""
    return "/".join(builtins.map(str, path))


def get(tree: Any, path: Path) -> Any:
    """The subtree at `path`."""
    for key in path:
        tree = tree[key]
    return tree
