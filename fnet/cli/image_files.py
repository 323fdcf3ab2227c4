"""Images as the rows of a command, in the size and the colours that the model takes."""

from __future__ import annotations

import io
import math
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fnet.cli.common import UsageError, log
from fnet.cli.request import Batch, Request, require_size
from fnet.errors import needing
from fnet.records import NamedTuple

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
FOLDER = "folder"
"""The name of an image's folder in --truth and --keep."""
LARGEST = 150_000_000
"""Bytes that any image may unpack to, and all images of a batch together."""


def images_of(folder: Path) -> list[str]:
    """The images of a folder and of those inside it, except for hidden ones, as macOS's ._cat.jpg."""
    shown = (path for path in folder.rglob("[!.]*") if path.suffix.lower() in IMAGES)
    files = sorted(str(path) for path in shown if not any(part[0] == "." for part in path.relative_to(folder).parts))
    if not files:
        raise UsageError(f"{folder} is a folder without images ({', '.join(sorted(IMAGES))}); name the file to read")
    return files


class Item(NamedTuple):
    """An image that is not yet read."""

    name: str
    """The name of the row."""
    place: str
    """What messages call it."""
    source: Path | bytes
    kept: dict[str, Any]
    """{column: its cell} that go with the answer."""


def items_of(names: Iterable[str], request: Request) -> Iterator[Item]:
    """Image files; the folder of each goes with it where columns are kept."""
    for name in names:
        yield Item(name, name, Path(name), {FOLDER: Path(name).parent.name} if request.kept else {})


def images(items: Iterable[Item], request: Request) -> Iterator[Batch]:
    """Batches of images, with fewer rows where images are large."""
    whole = _shape(request.spec, 1, 1)
    if math.prod(whole) > LARGEST:
        raise UsageError(f"the model takes images of {whole[1]}x{whole[0]}: give them as arrays, in a .npy")
    # states continue through a batch, which then holds all rows
    most = math.inf if request.size == sys.maxsize else LARGEST
    batch, largest = list[tuple[Item, Any]](), 0
    for item in items:
        image = _image(item, request)
        largest = max(largest, 0 if image is None else image.size)
        if len(batch) == request.size or (batch and (len(batch) + 1) * largest > most):
            yield _stacked(batch, whole)
            batch, largest = [], 0 if image is None else image.size
        batch.append((item, image))
    yield _stacked(batch, whole)


def _stacked(batch: list[tuple[Item, Any]], whole: tuple[int, ...]) -> Batch:
    """A batch of images; whole: their shape if none of them can be read."""
    items = [item for item, _ in batch]
    sizes = {image.shape for _, image in batch if image is not None}
    if len(sizes) > 1:
        raise UsageError(f"images from {items[0].place} on differ in size, and the model takes any: add --batch-size 1")
    missing = np.full(next(iter(sizes), whole), np.nan, np.float32)  # a row without an answer
    rows = np.stack([missing if image is None else image for _, image in batch])
    return Batch(rows, [item.name for item in items], {key: [i.kept[key] for i in items] for key in items[0].kept})


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
def _image(item: Item, request: Request) -> np.ndarray[Any, Any] | None:
    """(height, width, channels) uint8, in the mode that the model takes; None for what is not a whole image."""
    from PIL import Image

    source = item.source
    opened: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        with warnings.catch_warnings(action="ignore"), Image.open(opened) as image:
            height, width, channels = _shape(request.spec, image.height, image.width)
            if (image.height, image.width) != (height, width) and not request.args.resize:
                raise UsageError(
                    f"{item.place} is {image.width}x{image.height}, the model takes {width}x{height}; "
                    "add --resize to resize it"
                )
            require_size(size, 3 * image.width * image.height, LARGEST, "make the image smaller first")
            pixels = _of_8_bits(image).convert({1: "L", 4: "RGBA"}.get(channels, "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, FileNotFoundError) and item.name == item.place:
            raise  # it is named on the command line, not in a row of a table
        what = f"{item.place} is not an image that can be read ({str(error).replace(repr(opened), 'in the cell')})"
        if not request.marks:
            raise UsageError(what) from error
        log.warning("%s", what)
        return None
    array = np.asarray(pixels if pixels.size == (width, height) else pixels.resize((width, height)))
    return array[..., None] if array.ndim == 2 else array
