"""`dataclass` and `NamedTuple` as in the standard library, but classes are made faster; equal records are the `same`.

This matters at start-up: fnet creates some 80 such classes before the first prediction, and the standard library
compiles six functions for each record, or the annotation of each field of a tuple. Here only the `__init__` of a record
is compiled, when it is first needed; all else needs no generated code.
"""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = ["NamedTuple", "dataclass", "same"]

if TYPE_CHECKING:
    from dataclasses import dataclass
    from typing import NamedTuple
else:

    class _Named(type):
        """The metaclass of `NamedTuple`."""

        def __new__(cls: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            if not bases:
                return type.__new__(cls, name, bases, namespace)
            fields = namespace["__annotations__"]
            made = namedtuple(name, fields, defaults=[namespace.pop(key) for key in fields if key in namespace])
            for key, value in namespace.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Named):
        """`typing.NamedTuple`; annotations stay text."""

    def dataclass(
        cls: type | None = None,
        /,
        *,
        frozen: bool = False,
        eq: bool = True,
        repr: bool = True,  # noqa: A002 - the name in the standard library
        slots: bool = False,
        kw_only: bool = False,
    ) -> Any:
        """`dataclasses.dataclass` with these options; `dataclasses.fields`, `replace`, ... work on the result."""

        def make(cls: type) -> type:
            cls.__doc__ = cls.__doc__ or cls.__name__  # without any, one is made of the signature, which takes long
            decorated = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            methods: dict[str, Any] = {"__init__": _Init(decorated, frozen)}
            methods |= {"__repr__": _repr(decorated)} if repr else {}
            methods |= _by_value(decorated, frozen) if eq else {}
            for name, method in methods.items():
                if cls.__dict__.get(name) is None:
                    setattr(decorated, name, method)
            if frozen:
                decorated.__setattr__, decorated.__delattr__ = _set, _delete
                if slots:
                    decorated.__setstate__ = _restore
            return decorated

        return make if cls is None else make(cls)


class _Init:
    """The `__init__` of a class until somebody looks at it; half of the classes never have an instance."""

    def __init__(self, cls: Any, frozen: bool) -> None:
        self.cls, self.frozen = cls, frozen

    def __get__(self, instance: Any, owner: type) -> Any:
        init: Any = _init(self.cls, self.frozen)
        self.cls.__init__ = init
        return init.__get__(instance, owner)


def _init(cls: type, frozen: bool) -> Callable[..., None]:
    """`__init__`, with the fields in order, `kw_only` ones last."""
    fields = dataclasses.fields(cls)
    names: dict[str, Any] = {"put": object.__setattr__, "missing": MISSING}
    head, body = ["self"], []
    for field in sorted(fields, key=lambda field: bool(field.kw_only)):
        if field.kw_only and "*" not in head:
            head.append("*")
        head.append(field.name + _default(field, names))
        value = field.name
        if field.default_factory is not MISSING:
            value = f"make_{value}() if {value} is missing else {value}"
        slot = getattr(cls, field.name, None)
        if frozen and isinstance(slot, MemberDescriptorType):  # half the time of `put`
            names[f"put_{field.name}"] = slot.__set__
            body.append(f"put_{field.name}(self, {value})")
        else:
            body.append(f"put(self, {field.name!r}, {value})" if frozen else f"self.{field.name} = {value}")
    body += ["self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    code = f"def __init__({', '.join(head)}):\n " + "\n ".join(body or ["pass"])
    exec(code, names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return init


def _default(field: Field[Any], names: dict[str, Any]) -> str:
    """The default of an argument, as source code; its value goes to `names`."""
    if field.default is not MISSING:
        names[f"of_{field.name}"] = field.default
        return f"=of_{field.name}"
    if field.default_factory is not MISSING:
        names[f"make_{field.name}"] = field.default_factory
        return "=missing"
    return ""


def same(a: Any, b: Any) -> bool:
    """Whether `a` equals `b` in the types and signs of its numbers too: 2, 2.0 and True differ, and so do 0.0 and -0.0.

    A model with the one may give other values than a model with the other, and JAX shares what it traced and compiled
    between equal functions.
    """
    if a is b:
        return True
    if isinstance(a, _NUMBERS):
        return type(a) is type(b) and repr(a) == repr(b)
    if isinstance(a, tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


_NUMBERS = (int, float, complex, np.number, np.bool_)


def _by_value(cls: type, frozen: bool) -> dict[str, Any]:
    """`__eq__`, and `__hash__` where the fields cannot change."""
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    value = attrgetter(*names) if names else lambda self: ()

    def equal(self: Any, other: Any) -> Any:
        return same(value(self), value(other)) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": equal, "__hash__": (lambda self: hash(value(self))) if frozen else None}


def _repr(cls: type) -> Callable[[Any], str]:
    names = [field.name for field in dataclasses.fields(cls) if field.repr]
    return lambda self: f"{cls.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _set(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _restore(self: Any, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
    """`__setstate__` of frozen classes with slots."""
    for part in filter(None, state):
        for name, value in part.items():
            object.__setattr__(self, name, value)
