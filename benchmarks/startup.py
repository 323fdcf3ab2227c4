"""Time to the first prediction: a whole process that starts, loads a file and runs one row.

    python benchmarks/startup.py [--quick] [--contenders 'fnet*,onnx*'] [--before DIR] [--json FILE]

"numpy" is a process that imports NumPy and reads the row: a cost that every contender has too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np
from harness import Cell, Contender
from models import cnn, images, lstm, real

LONG = 10
"""A contender stops after this many times the seconds of a cell, however many processes it has run."""
START = "import sys, numpy as np; file, x = sys.argv[1], np.load(sys.argv[2]); "
CODE = {
    "fnet": "import fnet; model, params = fnet.load_keras(file); fnet.predict(model, params, x)",
    "onnxruntime": "import onnxruntime as ort; s = ort.InferenceSession(file.replace('.keras', '.onnx')); "
    "s.run(None, {s.get_inputs()[0].name: x})",
    "tensorflow": "import keras; keras.saving.load_model(file, compile=False)(x)",
    "keras": "import keras; keras.saving.load_model(file, compile=False)(x)",
    "numpy": "",
}
CELLS = [Cell("start cnn", cnn, images, 1, quick=True), Cell("start lstm", lstm, real, 1)]


def starts(
    cells: Sequence[Cell], table: dict[str, Contender], seconds: float, limits: dict[str, str], busy: bool = False
) -> Iterator[Any]:
    """The line of each cell: whole processes, the contenders in turn, for about `seconds` each."""
    harness.build(cells, "onnxruntime" in table)
    table = {name: contender for name, contender in table.items() if name.split()[0] in CODE}
    table |= {"numpy": Contender(lambda file, x: lambda: None, (), {}, "floor")}
    with tempfile.TemporaryDirectory(prefix="fnet-benchmark-") as folder:
        for cell in cells:
            rows = Path(folder) / "rows.npy"
            np.save(rows, cell.rows(cell.count))
            arguments = [str(cell.file), str(rows)]
            yield harness.entry(cell, _in_turn(table, arguments, limits, seconds), table)
            if busy:
                with harness.busy_cores():
                    times = _in_turn(table, arguments, limits, seconds)
                yield harness.entry(cell, times, table, busy=True)


def _in_turn(
    table: dict[str, Contender], arguments: list[str], limits: dict[str, str], seconds: float
) -> dict[str, list[float]]:
    """{contender: seconds of each process}: three at least, or as many as take `LONG` times `seconds`."""
    times: dict[str, list[float]] = {name: [] for name in table}
    end = time.perf_counter() + seconds * len(table)
    while short := [name for name, ts in times.items() if sum(ts) < LONG * seconds]:
        if time.perf_counter() > end and min(len(times[name]) for name in short) >= 3:
            break
        for name in short:
            times[name].append(_seconds(name, table[name], arguments, limits))
    return times


def _seconds(name: str, contender: Contender, arguments: list[str], limits: dict[str, str]) -> float:
    """Seconds that one process takes."""
    environment = {**os.environ, **harness.QUIET, **limits, **contender.environment}
    environment["PYTHONPATH"] = environment.get("FNET_FROM", str(harness.ROOT))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have bytecode
    command = [sys.executable, "-P", "-c", START + CODE[name.split()[0]], *arguments]
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    harness.main(CELLS, __doc__, starts)
