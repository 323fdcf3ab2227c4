"""What a command asks of its files of rows, and what their readers give: batches."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fnet.cli.common import UsageError, lines, log
from fnet.records import NamedTuple


class Batch(NamedTuple):
    """Some rows."""

    rows: Any
    """An array, or a dict of them by input."""
    names: list[str]
    kept: dict[str, list[Any]] = {}  # noqa: RUF012 - read only
    """{column: its cells} for the columns that go with the answers."""


class Source(NamedTuple):
    """All rows, read batch by batch."""

    batches: Iterator[Batch]
    total: int | None = None
    """How many rows there are, if that is known before they are read."""
    pixels: bool = False
    """Whether they are images, with numbers from 0 to 255."""


class Request(NamedTuple):
    """The inputs of the model, and how to read the files."""

    specs: dict[str, Any]
    """{name of an input: its spec, or None}."""
    args: argparse.Namespace
    size: int
    """Rows in a batch."""
    kept: tuple[str, ...] = ()
    """Columns that are copied next to the answers and are not inputs."""

    @property
    def spec(self) -> Any:
        """The spec of the only input; None for several."""
        return next(iter(self.specs.values())) if len(self.specs) == 1 else None

    @property
    def marks(self) -> bool:
        """Whether unreadable rows are marked and the others continue."""
        return getattr(self.args, "invalid", "raise") == "mark"

    @property
    def takes_text(self) -> bool:
        return getattr(self.spec, "dtype", "") == "string"


def in_batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` items."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def kind_of(name: str, args: argparse.Namespace) -> str:
    """The suffix that says how a file is read."""
    return f".{args.stdin_format}" if name == "-" else Path(name).suffix.lower()


def lines_of(name: str, newline: str | None = None) -> Iterator[str]:
    """The lines of a text file as they come; "-" is standard input."""
    return iter(sys.stdin) if name == "-" else lines(Path(name), newline)


def called(name: str) -> str:
    """The name of an input in messages."""
    return "standard input" if name == "-" else name


def unread(what: str, marks: bool) -> None:
    """Warn that a row cannot be read. Raises UsageError where such rows are not marked."""
    if not marks:
        raise UsageError(what)
    log.warning("%s", what)


UNPACKED = 200
"""How many times its size a large file may unpack to; photographs reach 30, zeros 1,000."""


def require_size(size: int, unpacked: int, free: int, way_out: str) -> None:
    """Raise ValueError for a file of `size` bytes that unpacks to far more; `unpacked`: the bytes according to it."""
    if unpacked > max(free, most := UNPACKED * size):
        raise ValueError(f"it unpacks to {unpacked:,} bytes, where {max(free, most):,} are the most: {way_out}")
