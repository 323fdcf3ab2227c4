"""Loads the files of `sweep.py`: each is right, or refused by name at load; anything else is printed.

Options that Keras itself does not write ("lost") change the output for every reader.

python -m tests.golden.check_sweep FOLDER [--refused] [CLASS ...]
"""

from __future__ import annotations

import collections
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from compare import yardstick
from fnet import backend
from params import ModelFileError, UnsupportedLayer, load_keras, load_weights

FLOOR = 5e-6


def check(folder: Path, line: dict, file: str) -> tuple[str, str]:
    """(verdict, detail) of one file."""
    arrays = np.load(folder / f"{line['stem']}.npz")
    inputs, expected, foretold = ([arrays[name] for name in arrays if name[0] == letter] for letter in "xyp")
    try:
        model, params = loaded(folder, line, file)
    except UnsupportedLayer as error:
        return "refused", str(error)
    except ModelFileError as error:
        nothing = any(y.size == 0 for y in expected)  # a layer that leaves nothing of its input is refused
        return "refused" if nothing else "broken", f"{type(error).__name__}: {error}"
    x = inputs if len(inputs) > 1 else inputs[0]
    found, detail = "right", ""
    predict = partial(fnet.predict, model, batch_size=line.get("batch_size", 32))
    for run, outputs in ((model, expected), (predict, foretold)):
        try:
            found, detail = verdict(leaves(run(params, x)), outputs, line["policy"]) if outputs else ("right", "")
        except Exception as error:  # any error of a call is a fault to print
            return "CALL FAILS", f"{type(error).__name__}: {error}"
        if found != "right":
            break
    if found == "WRONG" and line.get("lost"):
        return "lost", f"{line['stem']}: not in the file: {', '.join(line['lost'])}"
    return found, f"predict: {detail}" if detail and run is not model else detail


def loaded(folder: Path, line: dict, file: str) -> tuple[Any, Any]:
    """The model of a file; a weights file is loaded into the model of the file next to it, its weights all set to 0."""
    if not file.endswith(".weights.h5"):
        return load_keras(folder / file)
    model, params = load_keras(folder / line["files"][0])
    blank: dict[int, Any] = {}  # shared arrays stay shared
    empty = {
        path: blank.setdefault(id(a), np.zeros_like(a) if a.dtype.kind == "f" and path[-1] != "value" else a)
        for path, a in fnet.tree.items(params)  # weights files do not contain the constants of a graph
    }
    return model, load_weights(folder / file, model, fnet.tree.nest(empty))


def leaves(y: Any) -> list[Any]:
    """The arrays of an output in the order in which Keras flattens it: keys sorted."""
    if isinstance(y, dict):
        return [leaf for key in sorted(y) for leaf in leaves(y[key])]
    return [leaf for item in y for leaf in leaves(item)] if isinstance(y, list | tuple) else [y]


def verdict(given: list, expected: list, policy: str) -> tuple[str, str]:
    if len(given) != len(expected):
        return "WRONG", f"{len(given)} outputs, expected {len(expected)}"
    for y, reference in zip(given, expected, strict=True):
        if y.shape != reference.shape:
            return "WRONG", f"shape {y.shape}, expected {reference.shape}"
        if reference.dtype.kind in "US":
            if not np.array_equal(np.asarray(y).astype(str), reference):
                return "WRONG", "texts differ"
            continue
        error = yardstick.error(
            np.asarray(y).astype("complex128" if reference.dtype.kind == "c" else "float64"), reference
        )
        floor = {"float16": 4e-3, "bfloat16": 3e-2}.get(policy.removeprefix("mixed_"), FLOOR)
        if not error <= floor:
            return "WRONG", f"error {error:.2g}"
        wide = {"int64": "int32", "float64": "float32"}.get(reference.dtype.name) if backend.name() == "jax" else ""
        if y.dtype.name not in (reference.dtype.name, wide) and y.dtype.isbuiltin != 2:
            return "DTYPE", f"{y.dtype}, expected {reference.dtype}"
    return "right", ""


def main(folder: Path, *only: str) -> None:
    counts: collections.Counter[str] = collections.Counter()
    refusals: dict[str, list[str]] = {}
    for text in (folder / "index.jsonl").read_text().splitlines():
        line = json.loads(text)
        if only and line["class"] not in only:
            continue
        if line["error"]:
            counts["not built"] += 1
        if line.get("drift"):
            counts["drifts"] += 1
        for file in line["files"]:
            found, detail = check(folder, line, file)
            counts[found] += 1
            if found in ("refused", "lost"):
                detail = found + detail.replace(line["stem"], "*").partition(":")[2][:230]
                refusals.setdefault(detail, []).append(line["label"])
            elif found != "right":
                print(f"{found:10} {file} {line['label']}: {detail[:300]}")
    for detail, labels in sorted(refusals.items(), key=lambda item: item[1]):
        print(f"{len(labels):4} of {labels[0]}: {detail}")
    print(dict(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
