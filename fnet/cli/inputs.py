"""The rows that `fnet predict` is given: arrays, texts, CSV files, images."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fnet.cli.common import UsageError

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


def read_inputs(args: argparse.Namespace, spec: Any) -> tuple[Any, list[str]]:
    """(rows, their names) from what the command line names; rows are an array, or a dict of them by input."""
    if args.text:
        texts = [*args.text, *args.inputs]
        return np.array(texts), texts
    kinds = {"-" if name == "-" else Path(name).suffix.lower() for name in args.inputs}
    if kinds <= IMAGES:
        return np.stack([_image(Path(name), spec, args.resize) for name in args.inputs]), args.inputs
    if len(args.inputs) > 1:
        raise UsageError("give one input file, or several images")
    name = args.inputs[0]
    if kinds == {".npy"}:
        x = np.load(name, allow_pickle=False)
        return x, [str(i) for i in range(len(x) if x.ndim else 0)]
    if kinds == {".npz"}:
        with np.load(name, allow_pickle=False) as arrays:
            named = dict(arrays)
        return named, [str(i) for i in range(max((len(x) for x in named.values() if x.ndim), default=0))]
    if kinds <= {"-", ".txt"}:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        texts = text.removesuffix("\n").split("\n") if text else []
        return np.array(texts, np.str_), texts
    if kinds == {".csv"}:
        return _csv(Path(name), args.column, getattr(spec, "dtype", "float32") == "string")
    raise UsageError(f"{name}: do not know how to read this; use .npy, .npz, .csv, .txt, or an image")


def _csv(path: Path, column: str | None, text: bool) -> tuple[np.ndarray[Any, Any], list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = [fields for fields in csv.reader(file) if fields] or [[]]
    if not rows:
        raise UsageError(f"{path} has no rows below its header")
    for row, fields in enumerate(rows):
        if len(fields) != len(header):
            raise UsageError(f"{path}: row {row} has {len(fields)} fields, the header names {len(header)}")
    if text or column:
        column = column or ("text" if "text" in header else header[0] if len(header) == 1 else None)
        if column not in header:
            raise UsageError(f"{path} has the columns {', '.join(header)}; name the text with --column")
        texts = [fields[header.index(column)] for fields in rows]
        return np.array(texts), texts
    if header != [str(i) for i in range(len(header))] and all(map(_is_number, header)):  # pandas writes 0,1,2
        raise UsageError(f"{path} begins with numbers, which would be lost: its first line must name the columns")
    try:
        return np.array(rows, np.float32), [str(i) for i in range(len(rows))]
    except ValueError as error:
        raise UsageError(f"{path}: every column must hold numbers for this model ({error})") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _image(path: Path, spec: Any, resize: bool) -> np.ndarray[Any, Any]:
    """(height, width, channels) uint8, in the mode that the model takes."""
    from PIL import Image

    shape = spec.shape if spec is not None and len(spec.shape) == 4 else (None, None, None, 3)
    with Image.open(path) as image:
        pixels = image.convert("L" if shape[3] == 1 else "RGB")
    height, width = (shape[1] or pixels.height, shape[2] or pixels.width)
    if (pixels.height, pixels.width) != (height, width):
        if not resize:
            raise UsageError(
                f"{path} is {pixels.width}x{pixels.height}, the model takes {width}x{height}; add --resize to resize it"
            )
        pixels = pixels.resize((width, height))
    array = np.asarray(pixels)
    return array[..., None] if array.ndim == 2 else array
