"""Files that have their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write: what is there when the block ends is on the disk, and then takes the name `path`."""
    part = path.with_name(f"part-{os.getpid()}-{path.name}")
    yield part
    commit(part, path)


def commit(part: Path, path: Path) -> None:
    """Have a complete file take its name."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
