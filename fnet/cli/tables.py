"""Tables as the rows of a command: .csv, .tsv, .jsonl and .parquet files, whose columns are the inputs of the model."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fnet import tree
from fnet.cli.common import UsageError, listed, log
from fnet.cli.image_files import IMAGES, Item, images
from fnet.cli.request import Batch, Request, Source, called, in_batches, kind_of, lines_of, unread
from fnet.errors import needing
from fnet.shapes import fits, sized

LONGEST = 1 << 24
"""Letters in a field of a CSV: a quote that nothing closes must not take the memory of all that comes after it."""
TEXT = "text"
"""The column with the text, unless --column names another."""


def _csv(name: str, request: Request) -> Source:
    delimiter = "\t" if kind_of(name, request.args) == ".tsv" else ","
    text, name = lines_of(name, ""), called(name)
    head = next((line for line in text if line.strip()), "")
    if delimiter not in head and not request.args.no_header:  # as where numbers have decimal commas
        delimiter = next((mark for mark in ";\t|" if mark in head), delimiter)
    rows = _csv_rows(head, text, delimiter, name)
    first = next(rows, [])
    if request.args.no_header:
        return _table([str(i) for i in range(len(first))], chain([first], rows), name, request)
    first = [column.strip() for column in first]
    if not request.takes_text and first != [str(i) for i in range(len(first))] and all(map(_is_number, first)):
        # pandas writes 0,1,2
        raise UsageError(f"{name} begins with numbers, which would be lost: name the columns, or give --no-header")
    if not request.args.column and len(first) == 1 and first[0] != TEXT:
        log.warning("%s: %r is taken for the name of the column; --no-header makes it a row", name, first[0])
    second = next(rows, None)
    if second is None:
        raise UsageError(f"{name} has no rows below its header")
    return _table(first, chain([second], rows), name, request)


def _csv_rows(head: str, text: Iterator[str], delimiter: str, name: str) -> Iterator[list[str]]:
    """The fields of each row that is not blank. Raises UsageError for a quote that nothing closes: all that comes after
    it would be one field. A header with spaces after its delimiters, as in `a, b`, says that all rows have them."""
    ended = False

    def until_the_end() -> Iterator[str]:
        nonlocal ended
        yield from chain([head], text)
        ended = True

    usual = csv.field_size_limit(LONGEST)
    spaced = any(name.startswith(" ") for fields in csv.reader([head], delimiter=delimiter) for name in fields[1:])
    reader = csv.reader(until_the_end(), delimiter=delimiter, skipinitialspace=spaced)
    begins = 1
    try:
        for fields in reader:
            if ended:  # it looks for more lines in the middle of a row
                raise csv.Error
            begins = reader.line_num + 1
            if fields:
                yield fields
    except csv.Error as error:
        what = f"is not closed, or a field has over {LONGEST:,} letters"
        raise UsageError(f'{name}: a quote (") in the row that begins in line {begins} {what}') from error
    finally:
        csv.field_size_limit(usual)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _jsonl(name: str, request: Request) -> Source:
    values, name = _json_values(name, request), called(name)
    first = next(values, None)
    if first is None:
        raise UsageError(f"{name} has no rows")
    every = chain([first], values)
    if not isinstance(first[1], dict):
        return _table([TEXT], ([value] for _, value in every), name, request)
    header = list(first[1])
    return _table(header, (_fields(*line, header, name, request) for line in every), name, request)


def _json_values(name: str, request: Request) -> Iterator[tuple[int, Any]]:
    """(number of the line, its value); None for a line that is not JSON, if such rows are marked."""
    marks = False  # the first line must be readable
    for place, line in enumerate(lines_of(name), 1):
        if line.strip():
            try:
                value = json.loads(line, object_pairs_hook=_once)
            except (ValueError, RecursionError) as error:
                value = None
                unread(f"{called(name)}, line {place}: not JSON ({error})", marks)
            yield place, value
            marks = request.marks


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError for a key that appears twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        raise ValueError(f"the key {twice!r} appears twice")
    return members


def _fields(place: int, value: Any, header: list[str], name: str, request: Request) -> list[Any]:
    """The cells of a line; None for missing ones, if such rows are marked."""
    members = value if isinstance(value, dict) else {}
    missing = [key for key in header if key not in members]
    if missing and (value is not None or not request.marks):
        what = f"{name}, line {place} lacks {', '.join(missing)}: {value!r:.80}"
        unread(f"{what}; every line must be an object with the keys of the first", request.marks)
    return [members.get(key) for key in header]


@needing("parquet", "a Parquet file")
def _parquet(name: str, request: Request) -> Source:
    import pyarrow.parquet

    Path(name).stat()  # which says what pyarrow says in its own way
    file = pyarrow.parquet.ParquetFile(name)
    header = file.schema_arrow.names
    batches = file.iter_batches(request.size)  # by column: a row as a dict would have one of each name
    rows = (row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return _table(header, rows, name, request, file.metadata.num_rows)


Reader: TypeAlias = Callable[[str, Request], Source]
"""(name of a file, how to read it) -> its rows."""

READERS: dict[str, Reader] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet, ".tsv": _csv}


def _table(
    header: list[str], rows: Iterable[Sequence[Any]], name: str, request: Request, total: int | None = None
) -> Source:
    """The rows of a table; one with another number of fields is one of empty cells, where such rows are marked."""
    kept_at = {column: _place(column, header, name) for column in request.kept}
    even = _even(rows, header, name, request)
    batch = list(islice(even, request.size))
    if not batch:
        raise UsageError(f"{called(name)} has no rows")
    even = chain(batch, even)
    place = _image_column(batch, header, request)
    if place is None:
        return Source(_batches(even, header, kept_at, name, request), total)
    items = (
        Item(str(row), f"{name}, row {row}", _image(fields[place]), {key: fields[at] for key, at in kept_at.items()})
        for row, fields in enumerate(even)
    )
    return Source(images(items, request), total, pixels=True)


def _even(rows: Iterable[Sequence[Any]], header: list[str], name: str, request: Request) -> Iterator[Sequence[Any]]:
    """The rows, with as many fields as the header."""
    for row, fields in enumerate(rows):
        if len(fields) == len(header):
            yield fields
            continue
        what = f"{name}: row {row} has {len(fields)} fields, the header names {len(header)}"
        unread(what, request.marks and row > 0)
        yield [None] * len(header)


def _image_column(batch: list[Sequence[Any]], header: list[str], request: Request) -> int | None:
    """The position of the only column with images in a batch, for a model that takes some; cells may be empty."""
    if request.takes_text or len(getattr(request.spec, "shape", ())) < 3:
        return None
    named = listed(request.args.column) if request.args.column else [c for c in header if c not in request.kept]
    places = [at for at, column in enumerate(header) if column in named and any(_image(row[at]) for row in batch)]
    return places[0] if len(places) == 1 else None


def _image(cell: Any) -> bytes | Path:
    """The image in a cell: its bytes, alone or with its path as `datasets` writes them, or the path of its file."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, str) and Path(cell).suffix.lower() in IMAGES:
        return Path(cell)
    return cell if isinstance(cell, bytes) else b""


def _batches(
    rows: Iterable[Sequence[Any]], header: list[str], kept_at: dict[str, int], name: str, request: Request
) -> Iterator[Batch]:
    """The batches of a table of texts or numbers."""
    inputs, start = _inputs(header, name, request), 0
    first = next(iter(inputs.values()))
    for batch in in_batches(rows, request.size):
        arrays = {key: read(batch, start) for key, read in inputs.items()}
        names = [str(row) for row in range(start, start + len(batch))]
        if request.takes_text:
            names = [_text(first.cell(row)) for row in batch]
        kept = {column: [row[at] for row in batch] for column, at in kept_at.items()}
        yield Batch(arrays if len(arrays) > 1 else next(iter(arrays.values())), names, kept)
        start += len(batch)


def _text(cell: Any) -> str:
    """The text of a cell, for the line of its answer; Parquet may have bytes."""
    return cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else "" if cell is None else str(cell)


def _place(column: str, header: list[str], name: str) -> int:
    """The position of the only column of a name."""
    if header.count(column) != 1:
        number = "several columns" if column in header else "no column"
        raise UsageError(f"{name} has {number} {column}; it has {', '.join(header)}")
    return header.index(column)


def _inputs(header: list[str], name: str, request: Request) -> dict[str, _Input]:
    """{input of the model: how rows give it}: a column for each of several; else a column of texts, or of numbers."""
    places: dict[str, int | list[int]]
    if len(request.specs) > 1:
        if not set(request.specs) <= set(header):
            raise UsageError(
                f"{name} has the columns {', '.join(header)}; the model takes a column for each of its inputs, "
                f"{', '.join(request.specs)}"
            )
        places = {key: _place(key, header, name) for key in request.specs}
    else:
        (key,) = request.specs
        places = {key: (_text_column if request.takes_text else _number_columns)(header, name, request)}
    return {key: _Input(spec, places[key], header, name, request) for key, spec in request.specs.items()}


def _text_column(header: list[str], name: str, request: Request) -> int:
    column = request.args.column or (TEXT if TEXT in header else header[0] if len(header) == 1 else None)
    if column is None:
        raise UsageError(f"{name} has the columns {', '.join(header)}; name the text with --column")
    return _place(column, header, name)


def _number_columns(header: list[str], name: str, request: Request) -> list[int]:
    """The positions of the columns of numbers: those in --column, in its order, or all but those that are kept."""
    if request.args.column:
        places = [_place(column, header, name) for column in listed(request.args.column)]
    else:
        places = [at for at, column in enumerate(header) if column not in request.kept]
    shape: tuple[int | None, ...] = getattr(request.spec, "shape", ())
    if len(places) > 1 and len(shape) == 2 and shape[1] not in (None, len(places)):
        columns = ", ".join(header[at] for at in places)
        raise UsageError(
            f"{name} has {len(places)} columns for the model ({columns}), which takes {shape[1]}: "
            "name them, --column a,b,c, or those that are not for it, --keep id"
        )
    return places


class _Input:
    """An input of the model from the cells of rows, as arrays of texts or numbers, a batch at a time.

    Empty cells of numbers are NaN. The first row sets the shape of a row; a later one that differs has no answer, like
    an empty one.
    """

    def __init__(self, spec: Any, places: int | list[int], header: list[str], name: str, request: Request) -> None:
        """places: of the column with the whole input, or of the columns with a number each."""
        dtype = getattr(spec, "dtype", "float32")
        self.whole = "int" in dtype
        self.dtype = "object" if dtype == "string" else "float64" if self.whole or dtype == "float64" else "float32"
        self.widest = "uint64" if dtype == "uint64" else "int64"
        self.spec, self.places, self.header, self.name, self.marks = spec, places, header, name, request.marks
        self.commas = request.args.decimal == ","
        self.shape: tuple[int | None, ...] | None = None
        """The shape of a row; None for axes of any size."""

    def cell(self, row: Sequence[Any]) -> Any:
        """The cell of a row, or the list of its cells."""
        return row[self.places] if isinstance(self.places, int) else [row[at] for at in self.places]

    def __call__(self, rows: list[Sequence[Any]], start: int) -> Any:
        """start: the number of the first row."""
        if self.shape is None:
            if isinstance(self.places, list) and len(self.places) == 1 and isinstance(rows[0][self.places[0]], list):
                (self.places,) = self.places  # its cells are rows of numbers
            self.row(self.cell(rows[0]), start)
        cells = [self.cell(row) for row in rows]
        try:
            read = self.array(cells)
            if fits(read.shape[1:], self.shape or ()):
                return read
        except UNREADABLE:
            pass  # some row cannot be read: look at each
        each = [self.row(cell, number) for number, cell in enumerate(cells, start)]
        sizes = {row.shape for row in each if row is not None}
        if len(sizes) > 1:
            what = f"{self.name}: rows from {start} on differ in size, and the model takes any"
            raise UsageError(f"{what}: pad them, or add --batch-size 1")
        empty = np.nan if self.dtype != "object" else None
        missing = np.full(next(iter(sizes), sized(self.shape or (), 1)), empty, self.dtype)
        stacked = np.stack([missing if row is None else row for row in each])
        if stacked.dtype.kind == "f" and any(row is not None and row.dtype.kind in "iu" for row in each):
            what = f"{self.name}: rows from {start} on hold whole numbers beyond 2^53, which empty cells would round"
            raise UsageError(f"{what}: leave out those rows, or add --batch-size 1")
        return stacked

    def array(self, cells: Any) -> np.ndarray[Any, Any]:
        if self.dtype == "object":
            return np.array(cells, object)
        numbers = tree.map(self._number, cells)
        read = np.array(numbers, self.dtype)
        # ids of 18 digits, which float64 rounds; empty cells need it
        return np.array(numbers, self.widest) if self.whole and (abs(read) > EXACT).any() else read

    def _number(self, cell: Any) -> Any:
        if cell in ("", None):
            return np.nan
        if not isinstance(cell, str):
            return cell
        return BOOLS.get(cell, cell.translate(SWAPPED) if self.commas else cell)

    def where(self, cell: Any) -> str:
        """The first of several columns without a number, for a message."""
        places, values = ([self.places], [cell]) if isinstance(self.places, int) else (self.places, cell)
        for place, value in zip(places, values, strict=True):
            try:
                self.array(value)
            except UNREADABLE:
                return f"{self.header[place]}: "
        return ""

    def row(self, cell: Any, number: int) -> np.ndarray[Any, Any] | None:
        """A row, or None if it is not like the first."""
        try:
            row = self.array(cell)
        except UNREADABLE as error:
            hint = "; the ids of words come from a tokenizer that is not in the file" if self.dtype == "float64" else ""
            if re.search("[0-9],[0-9]", str(error)):
                hint = (
                    f"; numbers are written as {'1234,5' if self.commas else '1234.5, or as 1234,5 with --decimal ,'}"
                )
            what = f"every column must hold numbers for this model ({self.where(cell)}{error!s:.120}){hint}"
        else:
            if self.shape is None:
                takes = getattr(self.spec, "shape", None) or (None,) * (row.ndim + 1)
                known = len(takes) == row.ndim + 1
                self.shape = tuple(None if known and takes[i] is None else n for i, n in enumerate(row.shape, 1))
            if fits(row.shape, self.shape):
                return row
            what = f"it has the shape {row.shape}, the first row {self.shape}"
        if cell is not None or not self.marks:  # for a line that is not JSON there was a warning already
            unread(f"{self.name}, row {number}: {what}", self.marks and self.shape is not None)
        return None


BOOLS = {**dict.fromkeys(("True", "true", "TRUE"), 1), **dict.fromkeys(("False", "false", "FALSE"), 0)}
"""What pandas and others write for what JSON and Parquet have as it is."""

EXACT = 2**53
"""Up to here float64 holds all whole numbers."""

SWAPPED = str.maketrans(",.", ".,")
"""What makes 3,5 a number, and 1.234, which may be a thousand, none."""

UNREADABLE = (TypeError, ValueError, ArithmeticError, RecursionError)
"""What cells raise that are not numbers, or differ in shape."""
