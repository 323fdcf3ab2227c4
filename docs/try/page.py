"""What the page index.html asks of Python: what a model file is, and what it says of an image, a text or numbers.

Each function takes and gives what passes between JavaScript and Python: texts, bytes, JSON. It runs in Pyodide, under
WASI (tests/test_wasi.py) and anywhere else.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from params.explaining.pictured import picture

FOLDER = Path("/tmp")
"""Where the file that was dropped is kept: a folder in the memory of the page."""
MOST = 10
"""Classes that are shown."""
_opened: dict[str, Any] = {}


def open_model(name: str, data: bytes) -> str:
    """JSON {text, svg, error, takes, shape, labels}: what is in a file, and what it can be given here.

    takes: "image", "text", "numbers", or "" where the page cannot run it. What is wrong is the `error`.
    """
    _opened.clear()
    path = FOLDER / Path(name).name
    path.write_bytes(_bytes(data))
    said: dict[str, Any] = {"text": "", "svg": "", "error": "", "takes": "", "shape": [], "labels": None}
    try:
        said["text"] = str(fnet.explain(path))
        said["svg"] = picture(path)
        stored = path.suffix == ".safetensors"
        model, params = fnet.load(path) if stored else fnet.load_keras(path)
        info = fnet.load_info(path) if stored else {}
        _opened.update(model=model, params=params, scale=info.get("scale"), labels=info.get("labels"))
        said.update(_takes(model), labels=info.get("labels"))
    except fnet.ModelFileError as error:
        said["error"] = str(error)
    return json.dumps(said)


def _bytes(data: Any) -> bytes:
    """Bytes of Python or of JavaScript."""
    return bytes(data.to_py() if hasattr(data, "to_py") else data)


def _takes(model: Any) -> dict[str, Any]:
    spec = fnet.core.infer.input_spec(model)
    shape = list(getattr(spec, "shape", ()))[1:]
    if getattr(spec, "dtype", "") == "string":
        return {"takes": "text"}
    if len(shape) == 3 and shape[2] in (1, 3):
        return {"takes": "image", "shape": [size or 224 for size in shape]}
    return {"takes": "numbers", "shape": shape} if shape and None not in shape else {}


def run_text(text: str) -> str:
    """JSON {scores, seconds, error} of a text."""
    return _run([text])


def run_numbers(text: str) -> str:
    """The same of one row of numbers, written as JSON or with blanks or commas between."""
    try:
        values = (
            json.loads(text) if text.lstrip().startswith("[") else [float(n) for n in text.replace(",", " ").split()]
        )
        row = np.array(values, np.float32)
    except ValueError as error:
        return json.dumps({"error": f"not numbers: {error}"})
    shape = fnet.core.infer.input_spec(_opened["model"]).shape[1:]
    if row.size != int(np.prod(shape)):
        return json.dumps({"error": f"the model takes {int(np.prod(shape))} numbers, {list(shape)}; got {row.size}"})
    return _run(row.reshape(1, *shape), scaled=True)


def run_image(rgba: bytes, height: int, width: int, within: str = "") -> str:
    """The same of an image: the bytes of its pixels, four to each, as a canvas has them.

    within: the least and the largest number that the model takes for a pixel, "-1 1"; "" leaves them from 0 to 255.
    """
    pixels = np.frombuffer(_bytes(rgba), np.uint8).reshape(1, height, width, 4)[..., :3].astype(np.float32)
    if fnet.core.infer.input_spec(_opened["model"]).shape[3] == 1:
        pixels = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
    if within:
        least, most = map(float, within.split())
        pixels = pixels * np.float32((most - least) / 255) + np.float32(least)
    return _run(pixels, scaled=not within)


def _run(x: Any, scaled: bool = False) -> str:
    model, labels, scale = _opened["model"], _opened["labels"], _opened["scale"]
    start = time.perf_counter()
    try:
        y = fnet.predict(model, _opened["params"], x * np.float32(scale) if scaled and scale else x)
    except fnet.InvalidInput as error:
        return json.dumps({"error": str(error)})
    seconds = time.perf_counter() - start
    scores = []
    for path, leaf in fnet.tree.items(y):
        row = np.asarray(leaf)[0].reshape(-1)
        order = np.argsort(-row)[:MOST] if row.dtype.kind == "f" else range(min(MOST, row.size))
        named = labels if labels and len(labels) == row.size else [str(i) for i in range(row.size)]
        place = "/".join(map(str, path))
        scores += [{"label": f"{place} {named[i]}".strip(), "score": float(row[i])} for i in order]
    return json.dumps({"scores": scores, "seconds": seconds, "error": ""})
