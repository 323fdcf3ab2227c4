"""Shared by several commands: loading a model, and common arguments."""

from __future__ import annotations

import argparse
import codecs
import io
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fnet.importing import ImportFailed, file_of, imported, named

log = logging.getLogger("fnet")


class UsageError(Exception):
    """Wrong usage: exit status 2."""


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the arguments that name a model."""
    command.add_argument("model", help="model file, or directory of an unzipped .keras")
    command.add_argument("--weights", metavar="FILE", help="the weights, if the model file is only a config (.json)")
    add_custom(command)


def add_custom(command: argparse.ArgumentParser) -> None:
    """Add the argument that names layers of the user; their code is run because of it and for no other reason."""
    command.add_argument(
        "--custom",
        action="append",
        default=[],
        metavar="NAME=PLACE",
        help="a function for a custom layer, package>Name=file.py:function (or module:function), or for one layer, "
        "such as a Lambda, by its name; imports and runs that file; may be repeated",
    )


def custom_layers(args: argparse.Namespace) -> dict[str, Any]:
    """{name: layer} of --custom. Raises UsageError where there is no such layer."""
    from fnet.core.rules import own_layers

    try:
        layers = {name: imported(place) for name, place in _custom(args).items()}
    except ImportFailed as error:
        raise UsageError(error) from error
    try:
        return dict(own_layers(layers))
    except TypeError as error:
        raise UsageError(error) from error


def _custom(args: argparse.Namespace) -> dict[str, str]:
    """{name: place} of --custom."""
    try:
        return named(args.custom, "--custom")
    except ImportFailed as error:
        raise UsageError(error) from error


def custom_files(args: argparse.Namespace) -> list[str]:
    """The files of --custom, also of modules."""
    modules = {place.rpartition(":")[0] for place in _custom(args).values()}
    return [file for module in sorted(modules) if (file := file_of(module)) is not None]


def load_model(args: argparse.Namespace) -> tuple[Any, Any, dict[str, Any]]:
    """(model, params, info); info: labels and scale in a .safetensors."""
    import fnet
    from fnet.writing import is_saved

    if not is_saved(args.model):
        return (*fnet.load_keras(args.model, weights=args.weights, custom=custom_layers(args)), {})
    if args.weights is not None:
        raise UsageError(f"--weights: {args.model} has its own; they go with the config of a Keras model (.json)")
    return (*fnet.load(args.model, custom=custom_layers(args)), fnet.load_info(args.model))


def add_scaling(command: argparse.ArgumentParser) -> None:
    """Add the arguments that scale numbers."""
    command._negative_number_matcher = re.compile(r"-[\d.]")  # argparse takes -1/2 for an option
    command.add_argument("--scale", type=number, help="multiply numbers by this first, such as 1/255 for pixels")
    command.add_argument("--offset", type=number, help="then add this, such as -1 after --scale 1/127.5 for pixels")


def number(text: str) -> float:
    """The type of --scale."""
    try:
        over, slash, under = text.partition("/")
        value = float(over) / float(under if slash else 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 0.5 or 1/127.5")
    return value


def near(name: str) -> str:
    """A question after the name of a missing file: whether one with a similar name is meant."""
    import difflib  # rarely needed

    if re.match(r"\w\w+:/", name):  # an address, of whose slashes a Path leaves one
        return "; fetch it first, and give the file"
    path = Path(name)
    missing = next((part for part in (*reversed(path.parents), path) if not part.exists()), path)
    try:
        there = [path.name for path in missing.parent.iterdir()]
    except OSError:
        return ""
    windows = missing.name.rpartition("\\")[2]  # of a path as there
    like = [*difflib.get_close_matches(windows, there), *(n for n in there if Path(n).stem == missing.stem)]
    meant = (missing.parent / other / path.relative_to(missing) for other in like)
    return next((f"; is {other} meant?" for other in meant if other.exists()), "")


def exists(name: str) -> bool:
    """Whether there is a file or folder of that name; not where it can be none, as a long text or list of labels."""
    return os.path.exists(name)  # noqa: PTH110 - Path.exists raises for those


def check_target(path: Path, args: argparse.Namespace, inputs: Iterable[str] = ()) -> None:
    """Refuse, before any work, to write where there is no folder, or over a file that is read: one of the inputs, or
    what other arguments name."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent} to write it to")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: not a regular file, so not written over")
    named = (args.model, *inputs, getattr(args, "weights", None), getattr(args, "labels", None), *custom_files(args))
    for source in named:
        if source and path.exists() and exists(source) and path.samefile(source):
            raise UsageError(f"{path}: the file to write is {source}, which is read; give it another name")


def lines(path: Path, newline: str | None = None) -> Iterator[str]:
    """The lines of a text file as they come: UTF-8, or UTF-16 if it begins with the mark of that, as from Excel."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        with io.TextIOWrapper(file, encoding, newline=newline) as text:
            yield from text


def listed(names: str) -> list[str]:
    """The names in an argument, comma-separated."""
    return [name.strip() for name in names.split(",") if name.strip()]


def read_labels(text: str | None) -> list[str] | None:
    """The class names in --labels."""
    if text is None:
        return None
    path = Path(text)
    if exists(text) and path.is_file():
        names = [line.strip() for line in "".join(lines(path)).rstrip().splitlines()]
        if not names:
            raise UsageError(f"--labels {text}: there is no name in the file")
        numbered = all(line.startswith(f"{row} ") for row, line in enumerate(names))  # as in Teachable Machine
        return [line.split(" ", 1)[1] for line in names] if numbered else names
    if "," not in text:
        raise UsageError(
            f"--labels {text}: no such file{near(text)}; give a file with a name a line, or names with commas between"
        )
    return [part.strip() for part in text.split(",")]


def check_labels(labels: list[str], scores: Any) -> None:
    """`require_labels` for those of a command."""
    from fnet.inference.labels import require_labels

    try:
        require_labels(labels, scores)
    except ValueError as error:
        raise UsageError(str(error)) from None
