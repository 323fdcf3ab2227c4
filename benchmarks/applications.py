"""Architectures of keras.applications with their initial weights.

    python benchmarks/applications.py [--quick] [--only 'ResNet50*'] [--json FILE] [--before DIR]

A BLAS thread that waits for another process delays every matrix product: on a busy machine compare with `--threads 1`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import harness
import numpy as np
from harness import Cell

SIZES = [("MobileNetV2", 96), ("MobileNetV2", 224), ("ResNet50", 224), ("EfficientNetB0", 224)]


def application(name: str, size: int) -> Any:
    """The model for images of (size, size, 3)."""
    import keras

    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))


def images(size: int, n: int) -> Any:
    """(n, size, size, 3), 0 to 255."""
    return np.random.default_rng(0).uniform(0, 255, (n, size, size, 3)).astype(np.float32)


CELLS = [
    Cell(f"{name} {size} {n}", partial(application, name, size), partial(images, size), n, quick=size == 96)
    for name, size in SIZES
    for n in (1, 8)
]

if __name__ == "__main__":
    harness.main(CELLS, __doc__)
