"""Whether a value from a config is of the type that an option of a layer is annotated with."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


@functools.cache
def kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """{argument: annotation} of a layer; nothing where a name in them cannot be resolved (a custom layer's)."""
    try:
        return get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):
        return {}


def fits(value: Any, kind: Any) -> bool:
    """Whether `value` is of the annotated type `kind`; True where the annotation does not say."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if kind is None or kind is type(None):
        return value is None
    if kind in (bool, str):
        return isinstance(value, kind)
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if origin in (tuple, list, Sequence):
        return isinstance(value, tuple | list) and _all_fit(value, origin, parts)
    if origin is Mapping or origin is dict:
        return isinstance(value, Mapping)
    return callable(value) if origin is Callable else True


def _all_fit(value: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(fits, value, parts))
    return not parts or all(fits(item, parts[0]) for item in value)
