"""What several commands share: how to load a model, and arguments of the same meaning."""

from __future__ import annotations

import argparse
import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

log = logging.getLogger("fnet")


class UsageError(Exception):
    """What was asked for makes no sense: exit status 2."""


def load_model(path: str) -> tuple[Any, Any, dict[str, Any]]:
    """(model, params, info): info holds what a .safetensors keeps beside the weights (labels, scale)."""
    import fnet

    if str(path).endswith(".safetensors"):
        return (*fnet.load(path), fnet.load_info(path))
    return (*fnet.load_keras(path), {})


def number(text: str) -> float:
    """The type of --scale."""
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 0.5 or 1/255") from None


def check_target(path: Path, *sources: str) -> None:
    """Refuse, before the work is done, to write where there is no folder, or over what is read."""
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent} to write it to")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: not a regular file, so not written over")
    for source in sources:
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise UsageError(f"{path}: the file to write is {source}, which is read; give it another name")


def read_labels(text: str | None) -> list[str] | None:
    """The class names that --labels gives."""
    if text is None:
        return None
    path = Path(text)
    if path.is_file():
        return path.read_text("utf-8").splitlines()
    if "," not in text:
        raise UsageError(f"--labels {text}: no such file; give a file with a name a line, or names with commas between")
    return [part.strip() for part in text.split(",")]


def check_labels(labels: list[str], shape: tuple[int | None, ...]) -> None:
    """One label for each class: as many as scores of this shape have columns, two for a single unit."""
    count = max(2, (shape[-1] or 0) if len(shape) == 2 else 1)
    if len(labels) != count:
        raise UsageError(f"{len(labels)} labels, but the model has {count} classes")
