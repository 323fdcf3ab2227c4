"""Files that appear under their name when they are complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to; when the block ends, the file is flushed to disk and renamed to `path`."""
    part = path.with_name(f"part-{os.getpid()}-{path.name}")
    yield part
    commit(part, path)


def commit(part: Path, path: Path) -> None:
    """Flush a complete file to disk and rename it."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
