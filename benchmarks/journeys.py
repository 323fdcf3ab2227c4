"""Counts two journeys through the code: a CNN's `.keras` file into params, and a batch through the model.

It counts the source files of fnet on the way, how often execution changes file (into a call and back out of it), and
the Python calls in fnet, with a separate count for `fnet/core`, which leads from layer to layer; then the calls that a
layer of each kind adds to a model. Imports are done before.

    python benchmarks/journeys.py [model.keras] [--calls]    --calls: also how often each function is called
"""

import argparse
import io
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import fnet
from fnet import bind
from fnet.core import infer

ROOT = Path(fnet.__file__).resolve().parent.parent
"""Of the fnet that is imported, in which nothing would be counted elsewhere."""
GOLDEN = ROOT / "tests" / "golden" / "keras-3.15.1.zip"


@dataclass
class Journey:
    """The counts. calls: {(file, function): times}, in the order of their first call."""

    changes: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def files(self) -> set[str]:
        return {file for file, _ in self.calls}


def traced(function: Callable[[], Any]) -> Journey:
    """The journey of one call of `function`, without NumPy's files and the standard library's."""
    journey, stack = Journey(), [""]

    def note(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if not file.startswith((f"{ROOT}/fnet", f"{ROOT}/params")):
            return
        if event == "call":
            journey.calls[file.removeprefix(f"{ROOT}/"), frame.f_code.co_name] += 1
            journey.changes += stack[-1] not in ("", file)
            stack.append(file)
        elif event == "return":
            stack.pop()
            journey.changes += stack[-1] not in ("", file)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return journey


KINDS = {
    "dense": (bind(fnet.dense, units=3), (4,)),
    "dense, relu": (bind(fnet.dense, units=3, activation="relu"), (4,)),
    "dense, softmax": (bind(fnet.dense, units=3, activation="softmax"), (4,)),
    "embedding": (bind(fnet.embedding, input_dim=5, output_dim=3), (4,)),
    "flatten": (fnet.flatten, (4, 4, 3)),
    "dropout": (bind(fnet.dropout, rate=0.5), (4,)),
    "relu": (fnet.relu, (4,)),
    "activation": (bind(fnet.activation, activation="tanh"), (4,)),
    "max_pooling2d": (fnet.max_pooling2d, (4, 4, 3)),
    "batch_normalization": (fnet.batch_normalization, (4, 4, 3)),
    "conv2d": (bind(fnet.conv2d, filters=3, kernel_size=3, padding="same", activation="relu"), (4, 4, 3)),
    "depthwise_conv2d": (bind(fnet.depthwise_conv2d, kernel_size=3), (4, 4, 3)),
    "layer_normalization": (fnet.layer_normalization, (4,)),
}
"""{kind: (layer, shape of a row)}."""


def calls_of(layer: Any, row: tuple[int, ...]) -> int:
    """How many calls a layer adds to a model."""
    counts, x = [], np.ones((2, *row), np.float32)
    for model in (fnet.sequential(a=fnet.identity), fnet.sequential(a=fnet.identity, b=layer)):
        params = fnet.init(model, 0, (None, *row))
        model(params, x)
        counts.append(traced(lambda model=model, params=params: model(params, x)).calls.total())
    return counts[1] - counts[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a .keras file (default: the golden CNN)")
    parser.add_argument("--calls", action="store_true", help="how often each function is called")
    args = parser.parse_args()
    data = Path(args.model).read_bytes() if args.model else zipfile.ZipFile(GOLDEN).read("cnn.keras")
    model, params = fnet.load_keras(data)
    shape = [2, *(size or 8 for size in infer.input_spec(model).shape[1:])]
    x = np.ones(shape, np.float32)
    layers = len(fnet.activations(model, params, x))
    for title, function in (
        ("a .keras file into params", lambda: fnet.load_keras(io.BytesIO(data))),
        ("a batch through the model", lambda: model(params, x)),
        ("a batch through predict", lambda: fnet.predict(model, params, x)),
    ):
        function()  # work that is done once, at the first call, is not counted
        journey = traced(function)
        calls = sum(journey.calls.values())
        between = sum(n for (home, _), n in journey.calls.items() if home.startswith("fnet/core"))
        print(
            f"{title}: {len(journey.files)} files, {journey.changes} changes of file, {calls} calls, "
            f"{calls / layers:.1f} for each of {layers} layers, {between / layers:.1f} of them of fnet/core"
        )
        if args.calls:
            for file in sorted(journey.files):
                mine = {name: n for (home, name), n in journey.calls.items() if home == file}
                print(f"  {file}: {', '.join(f'{name} {n}' for name, n in mine.items())}")
    print("calls that a layer adds:", ", ".join(f"{kind} {calls_of(*case)}" for kind, case in KINDS.items()))


if __name__ == "__main__":
    main()
