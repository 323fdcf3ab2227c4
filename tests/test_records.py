"""`fnet.records` makes the records and named tuples that the standard library makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from dataclasses import field

import numpy as np
import pytest

import fnet
from fnet import tree
from fnet.records import NamedTuple, dataclass

KINDS = {
    "frozen": {"frozen": True},
    "slots": {"frozen": True, "slots": True},
    "by identity": {"frozen": True, "eq": False},
    "own repr": {"frozen": True, "repr": False},
    "open": {},
    "by name": {"kw_only": True},
}


def both(**options):
    """A class by the standard library and by ours."""
    made = []
    for decorator in (dataclasses.dataclass, dataclass):

        @decorator(**options)
        class Pair:
            first: int
            second: list = field(default_factory=list)
            third: float = field(default=0.5, compare=False)
            hidden: str = field(default="h", repr=False)

        made.append(Pair)
    return made


def seen(cls, *values, **named):
    """The visible behaviour of two instances of a class."""
    a, b, c = cls(*values, **named), cls(*values, **named, third=2.0), cls(*values, **named, hidden="other")
    by_value = a == b, a == c, a == 1, dataclasses.asdict(a), dataclasses.replace(b, hidden="x").hidden
    shown = None if "<" in repr(a) else repr(a)
    arguments = [(p.name, p.kind, p.annotation) for p in inspect.signature(cls).parameters.values()]
    return by_value, shown, arguments, cls.__hash__ is None, a.second is b.second


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_is_that_of_the_standard_library(kind):
    theirs, ours = both(**KINDS[kind])
    values = {} if kind == "by name" else {"first": 1}
    named = {"first": 1} if kind == "by name" else {}
    assert seen(ours, *values.values(), **named) == seen(theirs, *values.values(), **named)
    for wrong in ((), (1, 2, 3, 4, 5)):
        with pytest.raises(TypeError):
            ours(*wrong)


@pytest.mark.parametrize("kind", ["frozen", "slots"])
def test_what_is_frozen_stays_as_it_is_and_has_a_hash(kind):
    theirs, ours = both(**KINDS[kind])
    one = ours(1, (2,))
    assert hash(one) == hash(theirs(1, (2,))) == hash(ours(1, (2,), 7.0)) != hash(ours(1, (3,)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.first = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.first
    assert copy.copy(one) == copy.deepcopy(one) == one


@dataclass(frozen=True, slots=True)
class Base:
    """With slots."""

    x: int

    def __post_init__(self):
        if self.x < 0:
            raise ValueError("negative")


@dataclass(frozen=True)
class Derived(Base):
    """With a field more and a repr of its own."""

    y: int = 0

    def __repr__(self):
        return f"{self.x} {self.y}"


def test_classes_are_inherited_and_what_they_define_themselves_stays():
    assert repr(Base(1)) == "Base(x=1)"
    assert repr(Derived(1, 2)) == "1 2"
    assert Derived(1) != Base(1)
    assert pickle.loads(pickle.dumps([Base(1), Derived(1, 2)])) == [Base(1), Derived(1, 2)]
    with pytest.raises(ValueError, match="negative"):
        Derived(-1)


@pytest.mark.parametrize(("one", "other"), [(2, 2.0), (1, True), (0.0, -0.0), (2.0, np.float32(2)), (0j, 0.0)])
def test_values_with_numbers_of_other_types_or_signs_are_not_equal(one, other):
    """What is cached for the one, as what XLA compiled, gives wrong values or dtypes for the other."""
    assert one == other
    for holder in (
        lambda c: fnet.graph(inputs="x", y=(fnet.operations.multiply, ("x", c)), outputs="y"),
        lambda c: fnet.bind(fnet.rescaling, scale=c),
        lambda c: tree.freeze({"a": [1, (c, slice(c))]}),
    ):
        assert holder(one) == holder(one)
        assert holder(one) != holder(other)
    assert tree.freeze({"a": one}) == {"a": one} != tree.freeze({"b": one})


def test_a_named_tuple_is_that_of_the_standard_library():
    made = []
    for base in (typing.NamedTuple, NamedTuple):

        class Pair(base):
            """Two values."""

            first: int
            second: Pair | None = None

            def total(self):
                return self.first + (self.second.total() if self.second else 0)

        made.append(Pair)
    theirs, ours = made
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "_fields", "_field_defaults", "__match_args__"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.__mro__[1:] == theirs.__mro__[1:] == (tuple, object)
    assert list(ours.__annotations__) == ["first", "second"]
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    pair = ours(1, second=ours(2))
    assert (repr(pair), pair, pair.total()) == (repr(theirs(1, theirs(2))), (1, (2, None)), 3)
    assert pair._replace(first=5) == (5, (2, None))
    assert pickle.loads(pickle.dumps(Named(1))) == Named(1) == (1,)
    with pytest.raises(TypeError):
        ours()
    with pytest.raises(AttributeError):
        pair.first = 2


class Named(NamedTuple):
    """A tuple that can be pickled."""

    only: int
