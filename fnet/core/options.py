"""The options of a layer function, and whether they have the types and ranges of its annotations."""

from __future__ import annotations

import functools
import inspect
import numbers
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from fnet.activation_functions import ACTIVATIONS
from fnet.types import OneOf, Range

R = TypeVar("R")
Test: TypeAlias = Callable[[Any], bool]


@functools.cache
def option_names(function: Callable[..., Any]) -> dict[str, Any]:
    """{option: default} of a layer function; `inspect.Parameter.empty` marks a required one."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def asking(rule: Callable[..., R], *others: Callable[..., Any]) -> Callable[..., R]:
    """`rule`, which takes `**options`, with the options of `others` in its signature, so that it is given them too."""
    named = {p.name: p for p in inspect.signature(rule).parameters.values() if p.kind is not p.VAR_KEYWORD}
    more = {p.name: p for f in others for p in inspect.signature(f).parameters.values() if p.kind is p.KEYWORD_ONLY}
    added = [p for name, p in more.items() if name not in named]
    vars(rule)["__signature__"] = inspect.Signature([*named.values(), *added])
    return rule


@functools.cache
def kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """{argument: annotation} of a layer; empty where a name in them cannot be resolved (in custom layers)."""
    own = inspect.unwrap(function)
    try:
        return get_type_hints(own.func if isinstance(own, functools.partial) else own, include_extras=True)
    except (NameError, TypeError):
        return {}


def misfit(function: Callable[..., Any], options: Mapping[str, Any]) -> str | None:
    """What is wrong with the first option that does not fit its annotation, or None; defaults always fit."""
    defaults = option_names(function)
    for name, fit in tests(function).items():
        if name in options and options[name] is not defaults.get(name) and not fit(options[name]):
            kind = kinds(function)[name]
            parts = get_args(kind) if get_origin(kind) is tuple else (...,)
            limits = [*([] if ... in parts else [f"{len(parts)} values"]), *map(str, bounds(kind))]
            hint = f"; it must be {', '.join(limits)}" if limits else ""
            return f"the option {name!r} = {options[name]!r:.60} is of the wrong type or out of range{hint}"
    for name, value in options.items():
        if name.endswith("activation") and isinstance(value, str) and value not in ACTIVATIONS:
            return f"the option {name!r} = {value!r:.60} is not an activation; `fnet.activation_functions` has them"
    return None


@functools.cache
def bounds(kind: Any) -> list[Range | OneOf]:
    """The ranges in an annotation, each once."""
    if get_origin(kind) is Literal:
        return [OneOf(get_args(kind))]
    own = [part for part in getattr(kind, "__metadata__", ()) if isinstance(part, Range | OneOf)]
    return list(dict.fromkeys([*own, *(bound for part in get_args(kind) for bound in bounds(part))]))


def fits(value: Any, kind: Any) -> bool:
    """Whether `value` has the annotated type `kind`; True for types that are not checked."""
    return _test(kind)(value)


@functools.cache
def tests(function: Callable[..., Any]) -> dict[str, Test]:
    """{argument: a test whether a value fits its annotation} of a layer."""
    return {name: _test(kind) for name, kind in kinds(function).items()}


@functools.cache
def _test(kind: Any) -> Test:
    """A test whether a value has the annotated type `kind`."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        plain, limits = _test(parts[0]), bounds(kind)
        return lambda value: plain(value) and all(value in bound for bound in limits)
    if origin in (Union, types.UnionType):
        return functools.partial(_any_fits, list(map(_test, parts)))
    if origin is Literal:
        return lambda value: value in parts
    if kind is None or kind is type(None):
        return lambda value: value is None
    if kind in (bool, str):
        return lambda value: isinstance(value, kind)
    if kind in (int, float):
        number = numbers.Integral if kind is int else numbers.Real
        return lambda value: type(value) is kind or (isinstance(value, number) and not isinstance(value, bool))
    if origin in (tuple, list, Sequence):
        return functools.partial(_all_fit, origin, parts, list(map(_test, parts)))
    if origin is Mapping or origin is dict:
        return lambda value: isinstance(value, Mapping)
    return callable if origin is Callable else lambda value: True


def _any_fits(tests: list[Test], value: Any) -> bool:
    for test in tests:  # noqa: SIM110 - a generator takes longer than the tests
        if test(value):
            return True
    return False


def _all_fit(origin: Any, parts: tuple[Any, ...], tests: list[Test], value: Any) -> bool:
    if not isinstance(value, (tuple, list)):
        return False
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        return len(value) == len(tests) and all(test(item) for test, item in zip(tests, value, strict=True))
    if parts and parts[0] in (int, float, bool, str):
        value = {type(item): item for item in value}.values()  # one of each type stands for all
    return not parts or all(map(tests[0], value))
