"""A model behind HTTP: JSON, images and texts in; scores and labels out.

MODEL=examples/models/nusax-lstm.safetensors uvicorn --app-dir examples/serve app:app

    curl localhost:8000/predict --json '{"rows": ["kamarnya bersih"]}'
    curl localhost:8000/predict -H 'Content-Type: text/plain' --data-binary @reviews.txt
    curl localhost:8000/predict -H 'Content-Type: image/png' --data-binary @photo.png

GET /health says what runs, GET /metrics counts, for Prometheus. Environment: MODEL, MAX_ROWS (256 a request), MAX_BYTES
(8 MiB a request), MAX_BATCH (64 rows through the model at a time), MAX_WAITING (4096 rows).

What a client does wrong is a 4xx with one line that says what: 400 no JSON, 413 too large, 415 another content type,
422 rows that do not fit the model. 503 with Retry-After when more waits than may.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
from batching import Batcher, Overloaded

try:
    from fastapi import FastAPI, HTTPException, Request
    from fastapi.responses import JSONResponse, PlainTextResponse
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}: pip install '.[serve]'") from None

import fnet

MOST_PIXELS = 50_000_000


def create_app(path: str, run: Callable[[Any], Any] | None = None, **limits: int) -> FastAPI:
    """The service of a model file. run: what computes rows in its place (another engine, for load.py)."""
    stored = path.endswith(".safetensors")
    model, params = fnet.load(path) if stored else fnet.load_keras(path)
    info = fnet.load_info(path) if stored else {}
    spec = fnet.core.infer.input_spec(model)
    most_rows, most_bytes = limits.get("rows", 256), limits.get("bytes", 8 << 20)
    batcher = Batcher(
        run or (lambda x: fnet.predict(model, params, x, batch_size=limits.get("batch", 64))),
        most=limits.get("batch", 64),
        waiting=limits.get("waiting", 4096),
    )
    statuses: Counter[int] = Counter()
    seconds = 0.0

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        serving = asyncio.create_task(batcher.serve())
        yield
        serving.cancel()

    app = FastAPI(title="fnet", lifespan=lifespan)

    @app.middleware("http")
    async def count(request: Request, call_next: Any) -> Any:
        nonlocal seconds
        start = time.perf_counter()
        response = await call_next(request)
        if request.url.path == "/predict":
            statuses[response.status_code] += 1
            seconds += time.perf_counter() - start
        return response

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        body = await read(request, most_bytes)
        rows = rows_of(request.headers.get("content-type", ""), body, spec)
        if len(rows) > most_rows:
            raise HTTPException(413, f"{len(rows)} rows; {most_rows} are the most in a request")
        try:
            y = await batcher.predict(scaled(rows, info.get("scale")))
        except fnet.InvalidInput as error:
            raise HTTPException(422, str(error)) from None
        except Overloaded:
            raise HTTPException(503, "busy; try again", {"Retry-After": "1"}) from None
        return JSONResponse(answer(model, y, info.get("labels")))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "model": Path(path).name, "takes": str(spec), "fnet": fnet.__version__}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        lines = [f'fnet_requests_total{{status="{status}"}} {number}' for status, number in sorted(statuses.items())]
        lines += [f"fnet_request_seconds_total {seconds:.6f}", f"fnet_rows_total {batcher.rows}"]
        lines += [f"fnet_batches_total {batcher.batches}", f"fnet_rows_waiting {batcher.in_line}"]
        return "\n".join(lines) + "\n"

    return app


async def read(request: Request, most: int) -> bytes:
    """The body, which is given up as soon as it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f"more than {most} bytes")
    return bytes(body)


def rows_of(content_type: str, body: bytes, spec: Any) -> np.ndarray:
    """The rows in a body."""
    kind = content_type.partition(";")[0].strip().lower()
    text = getattr(spec, "dtype", "") == "string"
    if kind == "text/plain" and text:
        try:
            lines = io.StringIO(body.decode(), newline=None)  # splitlines also parts lines at U+2028 and others
            return np.array([line.removesuffix("\n") for line in lines], object)
        except UnicodeDecodeError:
            raise HTTPException(400, "the text is not UTF-8") from None
    if kind.startswith("image/") and len(getattr(spec, "shape", ())) == 4:
        return image_of(body, spec.shape)
    if kind != "application/json":
        others = "text/plain" if text else "image/*" if len(getattr(spec, "shape", ())) == 4 else ""
        raise HTTPException(415, f"Content-Type {kind or 'missing'}; use application/json{others and f' or {others}'}")
    try:
        rows = json.loads(body)["rows"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise HTTPException(400, 'not JSON of the form {"rows": [...]}') from None
    try:
        if not isinstance(rows, list) or not rows:
            raise ValueError
        several = isinstance(spec, dict | list | tuple)  # rows are dicts then
        made = np.array(rows, object if text or several else getattr(spec, "dtype", "float32"))
        if made.dtype.kind in "iub" and not np.array_equal(made, np.array(rows)):  # 5.7 is no 5, "false" is not true
            raise ValueError
        return made
    except (ValueError, TypeError, OverflowError):
        raise HTTPException(422, f"rows are a list of at least one {'text' if text else f'of {spec}'}") from None


def image_of(body: bytes, shape: Any) -> np.ndarray:
    """(1, height, width, channels) of a PNG, JPEG, ..., resized to what the model takes."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(body)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise HTTPException(413, f"an image of {image.width}x{image.height}; {MOST_PIXELS} pixels are the most")
            if image.mode.startswith("I;16"):  # greys of 16 bits by their upper bytes: Pillow makes all above 255 white
                image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
            pixels = image.convert("L" if shape[3] == 1 else "RGB")
    except Image.DecompressionBombError as error:
        raise HTTPException(413, str(error)) from None
    except (OSError, ValueError, SyntaxError):
        raise HTTPException(422, "not an image that can be read") from None
    pixels = pixels.resize((shape[2] or pixels.width, shape[1] or pixels.height))
    return np.asarray(pixels, "float32").reshape(1, pixels.height, pixels.width, -1)


def scaled(rows: np.ndarray, scale: float | None) -> np.ndarray:
    """Numbers multiplied by what the file says."""
    return rows if scale is None or rows.dtype == object else rows * np.float32(scale)


def answer(model: Any, y: Any, labels: list[str] | None) -> dict[str, Any]:
    """What is sent: the outputs, and the labels where the file has them."""
    found = {"outputs": fnet.tree.map(plain, y)}
    if labels and isinstance(y, np.ndarray) and y.ndim == 2:
        found["labels"] = [None if i < 0 else labels[i] for i in fnet.classes(model, y, invalid="mark")]
    return found


def plain(a: np.ndarray) -> list[Any]:
    """Nested lists of numbers; null for NaN and infinity, which JSON lacks."""
    return (np.where(np.isfinite(a), a, None) if a.dtype.kind == "f" else a).tolist()


def __getattr__(name: str) -> Any:
    """`app`, made when uvicorn asks for it."""
    if name != "app":
        raise AttributeError(name)
    if "MODEL" not in os.environ:
        raise SystemExit("which model? MODEL=examples/models/nusax-lstm.safetensors uvicorn ...")
    try:
        limits = {key: int(os.environ[f"MAX_{key.upper()}"]) for key in ("rows", "bytes", "batch", "waiting")
                  if f"MAX_{key.upper()}" in os.environ}  # fmt: skip
        return create_app(os.environ["MODEL"], **limits)
    except (ValueError, OSError) as error:
        raise SystemExit(f"MODEL={os.environ['MODEL']} cannot be served: {error}") from None
