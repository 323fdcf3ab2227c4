"""`Latest`: a cache of the most recently used values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: Any = object()


class Latest(OrderedDict[K, V]):
    """{key: value}, at most `most`; the least recently used is dropped first.

    Threads may share it: every step is one operation of the dictionary, and a value that another thread has dropped in
    between is made again.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def find(self, key: K, default: V | None = None) -> V | None:
        """The value of a key, which becomes the most recently used; `default` where there is none."""
        try:
            self.move_to_end(key)
            return self[key]
        except KeyError:
            return default

    def keep(self, key: K, value: V) -> V:
        """Remember `value`, and return it."""
        self[key] = value
        try:
            while len(self) > self.most:
                self.popitem(last=False)
        except KeyError:  # others have forgotten them all
            pass
        return value

    def computed(self, key: K, compute: Callable[[], V]) -> V:
        """The value of a key, computed where there is none."""
        value = self.find(key, _NOTHING)
        return self.keep(key, compute()) if value is _NOTHING else value  # type: ignore[return-value]
