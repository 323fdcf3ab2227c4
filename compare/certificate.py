"""The certificate of a comparison: its files, inputs and versions, the differences, and the verdict."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from compare import machine
from compare.parity import Comparison


def certificate(comparison: Comparison, files: Iterable[Path]) -> dict[str, Any]:
    """A comparison with the SHA-256 of its files and of its inputs, for JSON.

    `inputs` are digested array by array: dtype, shape, and bytes in the byte order of the machine; texts as UTF-8, each
    followed by a zero byte. Anyone with the files and the inputs can repeat the comparison.
    """
    x = comparison.rows.x
    summary = comparison.summary()
    versions = {name: v for side in comparison.sides for name, v in side.versions.items()}
    return {
        "verdict": "parity holds" if comparison.held else "parity does not hold",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [_file(path) for path in files],
        "inputs": [_inputs(array) for array in (x if isinstance(x, tuple) else (x,))],
        "machine": machine.describe(),
        "system": platform.platform(),
        "versions": {"fnet-layers": fnet.__version__, **dict(sorted(versions.items()))},
        "comparison": summary,
    }


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "name": path.name,
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def _inputs(array: Any) -> dict[str, Any]:
    texts = array.dtype.kind in "OSU"
    data = "".join(f"{text}\0" for text in array.ravel()).encode() if texts else np.ascontiguousarray(array).tobytes()
    dtype = "string" if texts else array.dtype.name
    digest = hashlib.sha256(f"{dtype}{list(array.shape)}".encode() + data).hexdigest()
    return {"dtype": dtype, "shape": list(array.shape), "sha256": digest}
