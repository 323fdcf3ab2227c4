"""The version of the training code, which rows record."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


@functools.cache
def code() -> str:
    """A digest of the source files of `train_keras`: runs with the same digest were trained by the same code."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"train_keras {digest.hexdigest()[:12]}"
