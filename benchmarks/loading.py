"""Loading: a file into a model and params, next to reading its bytes and to Keras.

python benchmarks/loading.py [--quick] [--contenders 'fnet*,bytes'] [--before DIR] [--json FILE]

The output of a contender, for the comparison, is the number of bytes in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import harness
import numpy as np
from applications import application, images
from harness import Cell, Contender


def _fnet(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import fnet

    return _sized(file, fnet.load_keras)


def _keras(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import keras

    return _sized(file, partial(keras.saving.load_model, compile=False))


def _bytes(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    return _sized(file, Path.read_bytes)


def _sized(file: Path, load: Callable[[Path], Any]) -> Callable[[], Any]:
    """A call that loads the file and returns its size."""
    size = np.array([file.stat().st_size])

    def run() -> Any:
        load(file)
        return size

    return run


CONTENDERS = {
    "fnet": Contender(_fnet, ("numpy",), {"FNET_BACKEND": "numpy"}, side="ours"),
    "keras": Contender(_keras, ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
    "bytes": Contender(_bytes, (), {}, side="floor"),
}
CELLS = [
    Cell(f"load {name} {size}", partial(application, name, size), partial(images, size), 1, quick=size == 96)
    for name, size in (("MobileNetV2", 96), ("MobileNetV2", 224), ("ResNet50", 224))
]

if __name__ == "__main__":
    harness.main(CELLS, __doc__, known=CONTENDERS)
