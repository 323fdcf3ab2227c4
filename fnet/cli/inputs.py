"""The input rows of `fnet predict`, a batch at a time: texts, images, arrays, tables."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import sys
import tokenize
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnet import tree
from fnet.cli.common import UsageError, log, number
from fnet.core import infer, sources
from fnet.core.compose import input_names
from fnet.errors import needing
from fnet.inference.scaling import Scaling, scales
from fnet.shapes import fits, sized

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
TEXT = "text"
"""The column with the text, unless --column names another."""
FOLDER = "folder"
"""The name of an image's folder in --truth and --keep."""


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
        """Whether unreadable rows are marked and the others go on."""
        return getattr(self.args, "invalid", "raise") == "mark"

    @property
    def takes_text(self) -> bool:
        return getattr(self.spec, "dtype", "") == "string"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments that name rows and say how to read them."""
    command.add_argument("inputs", nargs="*", help="files, folders of images, or - for standard input")
    command.add_argument(
        "--text", action="append", default=[], help="a text to classify; inputs are then texts too; may be repeated"
    )
    command.add_argument(
        "--column",
        metavar="NAMES",
        help="the column of the text (text, or the only one), or the columns of numbers, comma-separated (all)",
    )
    command.add_argument("--no-header", action="store_true", help="the first line of a .csv or .tsv is a row")
    command.add_argument(
        "--stdin-format", choices=("txt", "csv", "tsv", "jsonl"), default="txt", help="format of standard input (txt)"
    )
    command.add_argument("--scale", type=number, help="multiply numbers by this first, such as 1/255 for pixels")
    command.add_argument("--offset", type=number, help="then add this, such as -1 after --scale 1/127.5 for pixels")
    command.add_argument("--resize", action="store_true", help="resize images to the size that the model takes")


def request(model: Any, args: argparse.Namespace, size: int, kept: Iterable[str] = ()) -> Request:
    """The request of a model for the rows that the arguments name, `size` rows at a time."""
    spec = infer.input_spec(model)
    specs = {"x": None} if spec is None else sources.feed(input_names(model), spec)
    return Request(specs, args, size, tuple(dict.fromkeys(kept)))


def scaling(model: Any, args: argparse.Namespace, info: Mapping[str, Any], pixels: bool) -> Scaling:
    """The scaling in --scale and --offset, or in the file. Warns where the model scales too, and where nothing does."""
    said = Scaling(args.scale if args.scale is not None else info.get("scale"), args.offset)
    warn_of_two_scales(model, *said)
    if pixels and said == (None, None) and not scales(_functions(model)):
        log.warning(
            "no Rescaling or Normalization layer in the model, so it sees pixels from 0 to 255: give --scale 1/255 "
            "(or --scale 1/127.5 --offset -1) if it was trained on such; --scale 1 says that they are right"
        )
    return said


def warn_of_two_scales(model: Any, scale: float | None, offset: float | None = None) -> None:
    """Warn where --scale or --offset is given for a model that scales by itself."""
    scaled = scale not in (None, 1) or offset
    if scaled and scales(takewhile(lambda layer: not layer[1], _functions(model))):
        log.warning(
            "the model begins with a Rescaling or Normalization layer, or arithmetic like it, and --scale scales once "
            "more: leave it out unless the model was trained on numbers that had been scaled"
        )


def _functions(step: Any) -> Iterator[tuple[str, bool]]:
    """(name of the function, whether it has the option `filters` or `units`) of each layer in a step."""
    for layer in infer.layers_in(step):
        yield layer.function.__name__, not {"filters", "units"}.isdisjoint(layer.all_options)


def source(request: Request) -> Source:
    """The rows that the command line names. Raises UsageError where they cannot be read."""
    args = request.args
    if args.text:
        _require_columns(request, "--text")
        texts = [_argument(text) for text in (*args.text, *args.inputs)]
        return Source(_texts(texts, request.size), len(texts))
    folders = [name for name in args.inputs if name != "-" and Path(name).is_dir()]
    names = [file for name in args.inputs for file in (_images_of(Path(name)) if name in folders else [name])]
    kinds = {_kind(name, args) for name in names}
    if kinds <= IMAGES:
        if request.takes_text:
            raise UsageError(f"{names[0]} is an image, but the model takes texts: give a .txt file, or --text WORDS")
        if len(getattr(request.spec, "shape", (0,) * 4)) < 3:
            raise UsageError(f"{names[0]} is an image, but the model takes {request.spec}: give a table or a .npy")
        if set(request.kept) - {FOLDER}:
            raise UsageError(f"images have no columns: the right class of an image can be its folder, --truth {FOLDER}")
        return Source(_images(names, request), len(names), pixels=True)
    if odd := [name for name in names if _kind(name, args) not in (*READERS, *IMAGES)]:
        raise UsageError(f"{odd[0]}: {_hint(odd[0], request)}")
    if len(names) > 1:
        raise UsageError("give one input file, or several images")
    kind = kinds.pop()
    if kind == ".txt" and not (request.takes_text or request.spec is None):
        way = "say what it holds, --stdin-format csv" if names[0] == "-" else "give a .csv, .jsonl, .parquet or .npy"
        raise UsageError(f"lines of text in {names[0]}, and the model takes {request.spec}: {way}")
    if kind not in TABLES:
        _require_columns(request, names[0])
    with _naming(names[0]):
        rows = READERS[kind](names[0], request)
    return rows._replace(batches=_read(names[0], rows.batches))


BROKEN = (EOFError, MemoryError, RecursionError, ValueError, csv.Error, tokenize.TokenError, zipfile.BadZipFile)
"""What reading a damaged file can raise."""


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn errors of a file that is damaged, or not what its name says, into a ValueError with its name."""
    try:
        yield
    except BROKEN as error:
        hint = "; save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        if "object" in str(error).lower() and name.endswith((".npy", ".npz")):
            hint = "; save numbers or texts: np.save(name, np.array(rows, 'float32'))"
        raise ValueError(f"{'standard input' if name == '-' else name} cannot be read: {error}{hint}") from error


def _read(name: str, batches: Iterator[Batch]) -> Iterator[Batch]:
    with _naming(name):
        yield from batches


def _kind(name: str, args: argparse.Namespace) -> str:
    return f".{args.stdin_format}" if name == "-" else Path(name).suffix.lower()


def _require_columns(request: Request, name: str) -> None:
    """Raise UsageError where columns are requested of a file without columns."""
    if request.kept:
        raise UsageError(f"{name} has no columns, so none can be named by --truth or --keep: give a table, as .csv")


def _images_of(folder: Path) -> list[str]:
    """The images of a folder and of those inside it."""
    files = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in IMAGES)
    if not files:
        raise UsageError(f"{folder} is a folder without images ({', '.join(sorted(IMAGES))}); name the file to read")
    return files


PIPED = "| fnet predict MODEL - --stdin-format csv"


def _hint(name: str, request: Request) -> str:
    quoted = f"'{name}'" if "'" not in name else f'"{name}"'
    suffix = Path(name).suffix.lower()
    if not Path(name).exists():
        words = f"; for words, use --text {quoted}" if request.takes_text else ""
        numbers = f"; for numbers, echo 1.5,2 {PIPED} --no-header" if re.fullmatch(r"[-+.,\deE]+", name) else ""
        return f"no such file{words or numbers}"
    if suffix in (".gz", ".bz2", ".xz", ".zst"):
        return f"it is compressed: unpack it first, or as in zcat {quoted} {PIPED}"
    if suffix in (".xlsx", ".xls", ".ods"):
        return "a spreadsheet is not read: save its sheet as .csv"
    return f"not read; use {', '.join(sorted(READERS))}, images or a folder of them, or - for standard input"


# --- batches ------------------------------------------------------------------------------------------------


def _in_batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def _argument(text: str) -> str:
    """A text from the command line, in UTF-8 whatever the locale. Raises UsageError for other bytes."""
    try:
        return os.fsencode(text).decode() if re.search("[\ud800-\udfff]", text) else text
    except UnicodeError:
        raise UsageError(f"--text {text!a} is not in UTF-8; save it in a .txt file that is") from None


def _texts(texts: Iterable[str], size: int) -> Iterator[Batch]:
    for batch in _in_batches(texts, size):
        yield Batch(np.array(batch, object), batch)


def _images(names: list[str], request: Request) -> Iterator[Batch]:
    """Batches of images, with fewer rows where images are large."""
    whole = _shape(request.spec, 1, 1)
    if math.prod(whole) > LARGEST:
        raise UsageError(f"the model takes images of {whole[1]}x{whole[0]}: give such as arrays, in a .npy")
    # states go on through a batch, which then holds all rows
    most = math.inf if request.size == sys.maxsize else LARGEST
    batch, largest = list[tuple[str, Any]](), 0
    for name in names:
        image = _image(Path(name), request)
        largest = max(largest, 0 if image is None else image.size)
        if len(batch) == request.size or (batch and (len(batch) + 1) * largest > most):
            yield _stacked(batch, whole, request)
            batch, largest = [], 0 if image is None else image.size
        batch.append((name, image))
    yield _stacked(batch, whole, request)


def _stacked(batch: list[tuple[str, Any]], whole: tuple[int, ...], request: Request) -> Batch:
    """A batch of images; whole: their shape if none of them can be read."""
    names = [name for name, _ in batch]
    sizes = {image.shape for _, image in batch if image is not None}
    if len(sizes) > 1:
        raise UsageError(f"images from {names[0]} on differ in size, and the model takes any: add --batch-size 1")
    missing = np.full(next(iter(sizes), whole), np.nan, np.float32)  # a row without an answer
    rows = np.stack([missing if image is None else image for _, image in batch])
    return Batch(rows, names, {FOLDER: [Path(name).parent.name for name in names]} if request.kept else {})


def _arrays(x: Any, request: Request) -> Source:
    lengths = {a.shape[:1] for a in tree.leaves(x)}
    if len(lengths) != 1 or lengths in ({()}, {(0,)}):  # `predict` says what is wrong
        return Source(iter([Batch(x, [])]))
    ((total,),) = lengths

    def batches() -> Iterator[Batch]:
        for start in range(0, total, request.size):
            part = tree.map(lambda a: a[start : start + request.size], x)  # noqa: B023 - called at once
            yield Batch(part, [str(row) for row in range(start, min(start + request.size, total))])

    return Source(batches(), total)


# --- files --------------------------------------------------------------------------------------------------


UNPACKED = 200
"""How many times its size a large file may unpack to; photographs reach 30, zeros 1,000."""
FREE_ARRAYS, LARGEST = 4 << 30, 150_000_000
"""Bytes that any file of arrays, and any image, may unpack to; all images of a batch together have at most LARGEST."""


def _require_size(path: Path, unpacked: int, free: int, way_out: str) -> None:
    """Raise ValueError for a file that unpacks to far more than its size; `unpacked`: the bytes according to it."""
    if unpacked > max(free, most := UNPACKED * path.stat().st_size):
        raise ValueError(f"it unpacks to {unpacked:,} bytes, where {max(free, most):,} are the most: {way_out}")


def _npy(name: str, request: Request) -> Source:
    return _arrays(np.load(name, mmap_mode="r", allow_pickle=False), request)


def _npz(name: str, request: Request) -> Source:
    with Path(name).open("rb") as file:
        read = np.load(file, allow_pickle=False)
        if isinstance(read, Mapping):
            unpacked = sum([member.file_size for member in zipfile.ZipFile(file).infolist()])
            _require_size(Path(name), unpacked, FREE_ARRAYS, "write it with np.savez, or np.save an only array")
        arrays = dict(read) if isinstance(read, Mapping) else read
    if not all(isinstance(array, np.ndarray) for array in tree.leaves(arrays)):
        raise UsageError(f"{name} holds something else than arrays")
    return _arrays(arrays, request)


def _txt(name: str, request: Request) -> Source:
    return Source(_texts((line.removesuffix("\n") for line in _lines(name)), request.size))


def _lines(name: str, newline: str | None = None) -> Iterator[str]:
    """The lines of a text file as they come; "-" is standard input."""
    if name == "-":
        yield from sys.stdin
        return
    with Path(name).open(encoding="utf-8-sig", newline=newline) as file:
        yield from file


def _csv(name: str, request: Request) -> Source:
    delimiter = "\t" if _kind(name, request.args) == ".tsv" else ","
    rows = (fields for fields in csv.reader(_lines(name, ""), delimiter=delimiter) if fields)
    first = next(rows, [])
    if request.args.no_header:
        return Source(_table([str(i) for i in range(len(first))], chain([first], rows), name, request))
    if len(first) == 1 and (other := next((mark for mark in ";\t|" if mark in first[0]), "")):
        raise UsageError(
            f"{name} has {other!r} in its header and no {delimiter!r}, which separates fields here (tabs in a .tsv); "
            "--no-header makes it a row"
        )
    if not request.args.column and len(first) == 1 and first[0] != TEXT:
        log.warning("%s: %r is taken for the name of the column; --no-header makes it a row", name, first[0])
    if not request.takes_text and first != [str(i) for i in range(len(first))] and all(map(_is_number, first)):
        # pandas writes 0,1,2
        raise UsageError(f"{name} begins with numbers, which would be lost: name the columns, or give --no-header")
    second = next(rows, None)
    if second is None:
        raise UsageError(f"{name} has no rows below its header")
    return Source(_table(first, chain([second], rows), name, request))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _jsonl(name: str, request: Request) -> Source:
    lines = _json_lines(name, request)
    first = next(lines, None)
    if first is None:
        return Source(iter([]))
    rows = chain([first], lines)
    if not isinstance(first[1], dict):
        return Source(_table([TEXT], ([value] for _, value in rows), name, request))
    header = list(first[1])
    return Source(_table(header, (_fields(*line, header, name, request) for line in rows), name, request))


def _json_lines(name: str, request: Request) -> Iterator[tuple[int, Any]]:
    """(number of the line, its value); None for a line that is not JSON, if such rows are marked."""
    marks = False  # the first line must be readable
    for place, line in enumerate(_lines(name), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                value = None
                _unread(f"{name}, line {place}: not JSON ({error})", marks)
            yield place, value
            marks = request.marks


def _unread(what: str, marks: bool) -> None:
    """Warn that a row cannot be read. Raises UsageError where such rows are not marked."""
    if not marks:
        raise UsageError(what)
    log.warning("%s", what)


def _fields(place: int, value: Any, header: list[str], name: str, request: Request) -> list[Any]:
    """The cells of a line; None for missing ones, if such rows are marked."""
    given = value if isinstance(value, dict) else {}
    missing = [key for key in header if key not in given]
    if missing and (value is not None or not request.marks):
        what = f"{name}, line {place} lacks {', '.join(missing)}: {value!r:.80}"
        _unread(f"{what}; every line must be an object with the keys of the first", request.marks)
    return [given.get(key) for key in header]


@needing("parquet", "a Parquet file")
def _parquet(name: str, request: Request) -> Source:
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(name)
    header = file.schema_arrow.names
    rows = (list(row.values()) for batch in file.iter_batches(request.size) for row in batch.to_pylist())
    return Source(_table(header, rows, name, request), file.metadata.num_rows)


READERS: dict[str, Callable[[str, Request], Source]] = {
    ".csv": _csv, ".jsonl": _jsonl, ".npy": _npy, ".npz": _npz, ".parquet": _parquet, ".tsv": _csv, ".txt": _txt,
}  # fmt: skip
TABLES = {".csv", ".jsonl", ".parquet", ".tsv"}
"""Files with columns."""


# --- tables -------------------------------------------------------------------------------------------------


def _table(header: list[str], rows: Iterable[Sequence[Any]], name: str, request: Request) -> Iterator[Batch]:
    """Rows of cells as inputs of the model: a column of texts, columns by the names of several inputs, or numbers."""
    if missing := [column for column in request.kept if column not in header]:
        raise UsageError(f"{name} has no column {missing[0]}; it has {', '.join(header)}")
    kept = {column: header.index(column) for column in request.kept}
    several = len(request.specs) > 1
    if several and not set(request.specs) <= set(header):
        raise UsageError(
            f"{name} has the columns {', '.join(header)}; the model takes a column for each of its inputs, "
            f"{', '.join(request.specs)}"
        )
    place = _text_column(header, name, request) if request.takes_text else None
    numbers = [] if several or request.takes_text else _number_columns(header, name, request)
    fed = [header[at] for at in numbers]
    columns = {key: _Column(spec, name, request, [key] if several else fed) for key, spec in request.specs.items()}
    only, alone, start = next(iter(columns.values())), False, 0
    for batch in _in_batches(rows, request.size):
        for row, fields in enumerate(batch, start):
            if len(fields) != len(header):
                what = f"{name}: row {row} has {len(fields)} fields, the header names {len(header)}"
                _unread(what, request.marks and row > 0)
                batch[row - start] = [None] * len(header)
        names = [str(row) for row in range(start, start + len(batch))]
        cells = {column: [row[at] for row in batch] for column, at in kept.items()}
        if several:
            inputs = {key: of([row[header.index(key)] for row in batch], start) for key, of in columns.items()}
            yield Batch(inputs, names, cells)
        elif place is not None:
            texts = [row[place] for row in batch]
            yield Batch(only(texts, start), ["" if text is None else str(text) for text in texts], cells)
        else:
            alone = alone if start else len(numbers) == 1 and isinstance(batch[0][numbers[0]], list)
            of_rows = [row[numbers[0]] if alone else [row[at] for at in numbers] for row in batch]
            yield Batch(only(of_rows, start), names, cells)
        start += len(batch)


def _text_column(header: list[str], name: str, request: Request) -> int:
    column = request.args.column or (TEXT if TEXT in header else header[0] if len(header) == 1 else None)
    if column not in header:
        asked = f"has no column {column}; it " if column else ""
        raise UsageError(f"{name} {asked}has the columns {', '.join(header)}; name the text with --column")
    return header.index(column)


def _number_columns(header: list[str], name: str, request: Request) -> list[int]:
    """The positions of the columns of numbers: those in --column, in its order, or all but those that are kept."""
    others = [column for column in header if column not in request.kept]
    columns = request.args.column.split(",") if request.args.column else others
    if missing := [column for column in columns if column not in header]:
        raise UsageError(f"{name} has no column {missing[0]}; it has {', '.join(header)}")
    shape: tuple[int | None, ...] = getattr(request.spec, "shape", ())
    if len(columns) > 1 and len(shape) == 2 and shape[1] not in (None, len(columns)):
        raise UsageError(
            f"{name} has {len(columns)} columns for the model ({', '.join(columns)}), which takes {shape[1]}: "
            "name them, --column a,b,c, or those that are not for it, --keep id"
        )
    if not request.args.column:
        return [at for at, column in enumerate(header) if column not in request.kept]
    if twice := [column for column in columns if header.count(column) > 1]:
        raise UsageError(f"{name} has several columns {twice[0]}, so --column cannot name one of them")
    return [header.index(column) for column in columns]


class _Column:
    """Cells, or lists of them, as arrays of texts or numbers, a batch at a time; empty ones of numbers are NaN.

    The first row sets the shape of a row. A later one that differs has no answer, like an empty one.
    """

    def __init__(self, spec: Any, name: str, request: Request, columns: list[str]) -> None:
        """columns: the names of the cells of a row."""
        dtype = getattr(spec, "dtype", "float32")
        self.dtype = "object" if dtype == "string" else "float64" if "int" in dtype else "float32"
        self.spec, self.name, self.columns, self.marks = spec, name, columns, request.marks
        self.shape: tuple[int | None, ...] | None = None
        """The shape of a row; None for axes of any size."""

    def __call__(self, cells: list[Any], start: int) -> Any:
        """start: the number of the first row."""
        if self.shape is None:
            self.row(cells[0], start)
        try:
            rows = self.array(cells)
            if fits(rows.shape[1:], self.shape or ()):
                return rows
        except UNREADABLE:
            pass  # some row cannot be read: look at each
        each = [self.row(cell, number) for number, cell in enumerate(cells, start)]
        sizes = {row.shape for row in each if row is not None}
        if len(sizes) > 1:
            what = f"{self.name}: rows from {start} on differ in size, and the model takes any"
            raise UsageError(f"{what}: pad them, or add --batch-size 1")
        empty = np.nan if self.dtype != "object" else None
        missing = np.full(next(iter(sizes), sized(self.shape or (), 1)), empty, self.dtype)
        return np.stack([missing if row is None else row for row in each])

    def array(self, cells: Any) -> np.ndarray[Any, Any]:
        if self.dtype == "object":
            return np.array(cells, object)
        return np.array(tree.map(lambda cell: np.nan if cell in ("", None) else cell, cells), self.dtype)

    def where(self, cell: Any) -> str:
        """The first column of a row without a number, for a message."""
        for column, value in zip(self.columns, cell if isinstance(cell, list) else [cell], strict=False):
            try:
                self.array(value)
            except UNREADABLE:
                return f"{column}: "
        return ""

    def row(self, cell: Any, number: int) -> np.ndarray[Any, Any] | None:
        """A row, or None if it is not like the first."""
        try:
            row = self.array(cell)
        except UNREADABLE as error:
            hint = "; the ids of words come from a tokenizer that is not in the file" if self.dtype == "float64" else ""
            what = f"every column must hold numbers for this model ({self.where(cell)}{error}){hint}"
        else:
            if self.shape is None:
                takes = getattr(self.spec, "shape", None) or (None,) * (row.ndim + 1)
                known = len(takes) == row.ndim + 1
                self.shape = tuple(None if known and takes[i] is None else n for i, n in enumerate(row.shape, 1))
            if fits(row.shape, self.shape):
                return row
            what = f"it has the shape {row.shape}, the first row {self.shape}"
        if cell is not None or not self.marks:  # for a line that is not JSON there was a warning already
            _unread(f"{self.name}, row {number}: {what}", self.marks and self.shape is not None)
        return None


UNREADABLE = (TypeError, ValueError, ArithmeticError, RecursionError)
"""What cells raise that are not numbers, or differ in shape."""


# --- images -------------------------------------------------------------------------------------------------


def _shape(spec: Any, height: int, width: int) -> tuple[int, int, int]:
    """The (height, width, channels) that the model takes; the given size where it takes any."""
    _, rows, columns, channels = spec.shape if spec is not None and len(spec.shape) == 4 else (None, None, None, 3)
    return rows or height, columns or width, channels or 3


def _of_8_bits(image: Any) -> Any:
    """An image of 16-bit greys by their upper bytes, as TensorFlow decodes it: Pillow makes all above 255 white."""
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError("its pixels are 32-bit numbers of no known range: give them as arrays, in a .npy")
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


@needing("images", "an image file")
def _image(path: Path, request: Request) -> np.ndarray[Any, Any] | None:
    """(height, width, channels) uint8, in the mode that the model takes; None for a file that is not a whole image."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            height, width, channels = _shape(request.spec, image.height, image.width)
            if (image.height, image.width) != (height, width) and not request.args.resize:
                raise UsageError(
                    f"{path} is {image.width}x{image.height}, the model takes {width}x{height}; "
                    "add --resize to resize it"
                )
            _require_size(path, 3 * image.width * image.height, LARGEST, "make the image smaller first")
            pixels = _of_8_bits(image).convert({1: "L", 4: "RGBA"}.get(channels, "RGB"))
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if not request.marks:
            raise UsageError(f"{path} is not an image that can be read ({error})") from error
        log.warning("%s is not an image that can be read (%s)", path, error)
        return None
    array = np.asarray(pixels if pixels.size == (width, height) else pixels.resize((width, height)))
    return array[..., None] if array.ndim == 2 else array
