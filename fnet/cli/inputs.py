"""The rows that a command line names, a batch at a time: texts and arrays; `tables`; `image_files`."""

from __future__ import annotations

import argparse
import csv
import glob
import os
import re
import tokenize
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fnet import tree
from fnet.cli import tables
from fnet.cli.common import UsageError, add_scaling, exists, listed, log
from fnet.cli.image_files import FOLDER, IMAGES, images, images_of, items_of
from fnet.cli.request import Batch, Request, Source, called, in_batches, kind_of, lines_of, require_size
from fnet.core import infer, sources
from fnet.core.compose import input_names
from fnet.inference.scaling import Scaling, scales

FREE_ARRAYS = 4 << 30
"""Bytes that any file of arrays may unpack to."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments that name rows and say how to read them."""
    command.add_argument("inputs", nargs="*", help="files, folders of images, or - for standard input")
    command.add_argument(
        "--text", action="append", default=[], help="a text to classify; inputs are then texts too; may be repeated"
    )
    command.add_argument(
        "--column",
        metavar="NAMES",
        help="the column of the text (text, or the only one), or the columns of numbers, comma-separated (all); "
        "the array of an .npz",
    )
    command.add_argument("--no-header", action="store_true", help="the first line of a .csv or .tsv is a row")
    command.add_argument(
        "--stdin-format", choices=("txt", "csv", "tsv", "jsonl"), default="txt", help="format of standard input (txt)"
    )
    command.add_argument("--decimal", choices=(".", ","), default=".", help="the mark in numbers such as 3,5 (.)")
    add_scaling(command)
    command.add_argument("--resize", action="store_true", help="resize images, bicubic, to what the model takes")


def request(model: Any, args: argparse.Namespace, size: int, kept: Iterable[str] = ()) -> Request:
    """The request of a model for the rows that the arguments name, `size` rows at a time."""
    spec = infer.input_spec(model)
    specs = {"x": None} if spec is None else sources.feed(input_names(model), spec)
    return Request(specs, args, size, tuple(dict.fromkeys(kept)))


def scaling(model: Any, args: argparse.Namespace, info: Mapping[str, Any], pixels: bool) -> Scaling:
    """The scaling in --scale and --offset, or in the file. Warns where the model scales too, and where nothing does."""
    scaling = Scaling(args.scale if args.scale is not None else info.get("scale"), args.offset).of(model)
    warn_of_two_scales(model, *scaling)
    if pixels and scaling == (None, None) and not scales(model):
        log.warning(
            "no Rescaling or Normalization layer in the model, so it sees pixels from 0 to 255: give --scale 1/255 "
            "(or --scale 1/127.5 --offset -1) if it was trained on those; --scale 1 says that they are right"
        )
    return scaling


def warn_of_two_scales(model: Any, scale: float | None, offset: float | None = None) -> None:
    """Warn where --scale or --offset is given for a model that scales by itself."""
    if (scale not in (None, 1) or offset) and scales(model, first=True):
        log.warning(
            "the model begins with a Rescaling or Normalization layer, or arithmetic like it, and --scale scales once "
            "more: leave it out unless the model was trained on numbers that had been scaled"
        )


def source(request: Request) -> Source:
    """The rows that the command line names. Raises UsageError where they cannot be read."""
    args = request.args
    if args.text:
        _require_columns(request, "--text")
        texts = [_argument(text) for text in (*args.text, *args.inputs)]
        return Source(_texts(texts, request.size), len(texts))
    names = files(args)
    kinds = {kind_of(name, args) for name in names}
    if kinds <= IMAGES:
        _require_images(request, names[0])
        return Source(images(items_of(names, request), request), len(names), pixels=True)
    if odd := [name for name in names if kind_of(name, args) not in (*READERS, *IMAGES)]:
        raise UsageError(f"{odd[0]}: {_hint(odd[0], request)}")
    if len(names) > 1:
        raise UsageError("give one input file, or several images")
    return _of_file(names[0], kinds.pop(), request)


def _require_images(request: Request, name: str) -> None:
    """Raise UsageError where the model takes no images, or columns are requested of them."""
    if request.takes_text:
        raise UsageError(f"{name} is an image, but the model takes texts: give a .txt file, or --text WORDS")
    if len(getattr(request.spec, "shape", (0,) * 4)) < 3:
        raise UsageError(f"{name} is an image, but the model takes {request.spec}: give a table or a .npy")
    if set(request.kept) - {FOLDER}:
        raise UsageError(f"images have no columns: the right class of an image can be its folder, --truth {FOLDER}")


def _of_file(name: str, kind: str, request: Request) -> Source:
    """The rows in one file."""
    if kind == ".txt" and not (request.takes_text or request.spec is None):
        way = "say what it holds, --stdin-format csv" if name == "-" else "give a .csv, .jsonl, .parquet or .npy"
        raise UsageError(f"lines of text in {called(name)}, and the model takes {request.spec}: {way}")
    if kind not in tables.READERS:
        _require_columns(request, name)
    with _naming(name):
        rows = READERS[kind](name, request)
    return rows._replace(batches=_read(name, rows.batches))


def files(args: argparse.Namespace) -> list[str]:
    """The files that the arguments name."""
    return [] if args.text else [file for name in args.inputs for file in _files_of(name)]


def _files_of(name: str) -> list[str]:
    """The files that an argument names: the images of a folder, or what a pattern means, which Windows leaves."""
    if name != "-" and exists(name) and Path(name).is_dir():
        return images_of(Path(name))
    # Path.glob takes no pattern that begins with a folder outside of its own
    return [name] if os.path.lexists(name) else sorted(glob.glob(name)) or [name]  # noqa: PTH207


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
            hint = "; save numbers or texts: np.save(name, np.array(rows, 'float32')), 'str' for texts"
        raise ValueError(f"{called(name)} cannot be read: {error}{hint}") from error


def _read(name: str, batches: Iterator[Batch]) -> Iterator[Batch]:
    with _naming(name):
        yield from batches


def _require_columns(request: Request, name: str) -> None:
    """Raise UsageError where columns are requested of a file without columns."""
    if request.kept:
        raise UsageError(f"{name} has no columns, so none can be named by --truth or --keep: give a table, as .csv")


PIPED = "| fnet predict MODEL - --stdin-format csv"


def _hint(name: str, request: Request) -> str:
    quoted = f"'{name}'" if "'" not in name else f'"{name}"'
    suffix = Path(name).suffix.lower()
    if not exists(name):
        words = f"; for words, use --text {quoted}" if request.takes_text else ""
        numbers = f"; for numbers, echo 1.5,2 {PIPED} --no-header" if re.fullmatch(r"[-+.,\deE]+", name) else ""
        return f"no such file{words or numbers}"
    if suffix in (".gz", ".bz2", ".xz", ".zst"):
        return f"it is compressed: unpack it first, or as in zcat {quoted} {PIPED}"
    if suffix in (".xlsx", ".xls", ".ods"):
        return "a spreadsheet is not read: save its sheet as .csv"
    if suffix == ".json":
        return "save it as .jsonl, with one JSON object a line"
    return f"not read; use {', '.join(sorted(READERS))}, images or a folder of them, or - for standard input"


# --- batches ------------------------------------------------------------------------------------------------


def _argument(text: str) -> str:
    """A text from the command line, in UTF-8 whatever the locale. Raises UsageError for other bytes."""
    try:
        return os.fsencode(text).decode() if re.search("[\ud800-\udfff]", text) else text
    except UnicodeError:
        raise UsageError(f"--text {text!a} is not in UTF-8; save it in a .txt file that is") from None


def _texts(texts: Iterable[str], size: int) -> Iterator[Batch]:
    for batch in in_batches(texts, size):
        yield Batch(np.array(batch, object), batch)


def _arrays(x: Any, request: Request) -> Source:
    lengths = {a.shape[:1] for a in tree.leaves(x)}
    if len(lengths) != 1 or lengths in ({()}, {(0,)}):  # `predict` says what is wrong
        return Source(iter([Batch(x, [])]))
    ((total,),) = lengths
    pixels = any(a.dtype == "uint8" and a.ndim == 4 for a in tree.leaves(x))

    def batches() -> Iterator[Batch]:
        for start in range(0, total, request.size):
            part = tree.map(lambda a: a[start : start + request.size], x)  # noqa: B023 - called at once
            yield Batch(part, [str(row) for row in range(start, min(start + request.size, total))])

    return Source(batches(), total, pixels)


# --- files --------------------------------------------------------------------------------------------------


def _npy(name: str, request: Request) -> Source:
    return _arrays(np.load(name, mmap_mode="r", allow_pickle=False), request)


def _npz(name: str, request: Request) -> Source:
    with Path(name).open("rb") as file:
        read = np.load(file, allow_pickle=False)
        if isinstance(read, Mapping):
            unpacked = sum([member.file_size for member in zipfile.ZipFile(file).infolist()])
            require_size(
                Path(name).stat().st_size, unpacked, FREE_ARRAYS, "write it with np.savez, or np.save an only array"
            )
        arrays = dict(read) if isinstance(read, Mapping) else read
    if not all(isinstance(array, np.ndarray) for array in tree.leaves(arrays)):
        raise UsageError(f"{name} holds something other than arrays")
    if isinstance(arrays, dict):
        named = listed(request.args.column) if request.args.column else list(arrays)
        if not arrays.keys() >= set(named) or len(named) > len(request.specs) == 1:
            raise UsageError(f"{name} has the arrays {', '.join(arrays)}: name the one for the model, --column NAME")
        arrays = {column: arrays[column] for column in named}
    return _arrays(arrays, request)


def _txt(name: str, request: Request) -> Source:
    return Source(_texts((line.removesuffix("\n") for line in lines_of(name)), request.size))


READERS: dict[str, tables.Reader] = {".npy": _npy, ".npz": _npz, ".txt": _txt, **tables.READERS}
