"""Arrays as pictures: feature maps, sequences and vectors of one row as PNG."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np

from fnet.errors import InvalidInput

Array = np.ndarray[Any, Any]
LEAST, SHEET, GAP = 48, 400, 2
"""The least pixels of the longer side of a map, and of the picture; pixels between maps."""
ABOVE, BELOW, PAPER = (12, 74, 140), (178, 34, 34), (255, 255, 255)
"""The colours of the largest number, of the smallest, and of zero."""


def png(pixels: Array) -> bytes:
    """(height, width, 3) uint8 as a PNG file."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def feature_maps(values: Array) -> bytes:
    """The output of a step for one row as a PNG: white is 0, blue above, red below, all maps on the same scale.

    values: (height, width, channels), a map for each channel in a square of them; (steps, features), one map with a
    row for each feature; (features,), one line. NaN is grey. Raises InvalidInput for other ranks.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiub" or not 1 <= values.ndim <= 3 or not values.size:
        raise InvalidInput(f"a picture shows numbers of one to three axes, not {values.dtype}{list(values.shape)}")
    numbers = values.astype(np.float64)
    maps = numbers if numbers.ndim == 3 else (numbers.T if numbers.ndim == 2 else numbers[None])[..., None]
    height, width, count = maps.shape
    across = math.ceil(math.sqrt(count * height / width)) if count > 1 else 1
    whole = max(across * width, math.ceil(count / across) * height)
    times = max(math.ceil(LEAST / max(height, width)), math.ceil(SHEET / whole))
    cell_height, cell_width = height * times + GAP, width * times + GAP
    sheet = np.full((math.ceil(count / across) * cell_height + GAP, across * cell_width + GAP, 3), 225, np.uint8)
    colours = _colours(maps)
    for number in range(count):
        top, left = GAP + number // across * cell_height, GAP + number % across * cell_width
        large = colours[:, :, number].repeat(times, 0).repeat(times, 1)
        sheet[top : top + height * times, left : left + width * times] = large
    return png(sheet)


def _colours(numbers: Array) -> Array:
    """(...,) -> (..., 3) uint8: from white to the colour of the sign, by the fraction of the largest finite number."""
    finite = np.isfinite(numbers)
    largest = float(np.abs(numbers, where=finite, out=np.zeros_like(numbers)).max()) or 1.0
    share = np.clip(np.where(finite, numbers, 0) / largest, -1, 1)[..., None]
    towards = np.where(share >= 0, np.array(ABOVE), np.array(BELOW))
    mixed = np.array(PAPER) + np.abs(share) * (towards - np.array(PAPER))
    return np.where(finite[..., None], mixed.round(), 150).astype(np.uint8)
