"""AWS Lambda: a model next to this file, and NumPy, are all there is to deploy.

docs/howto-deploy.md says how they are packed. The handler is lambda_function.handler.
"""

import base64
import json
import os
from pathlib import Path

import numpy as np

import fnet

PATH = os.environ.get("MODEL", str(Path(__file__).parent / "model.safetensors"))
model, params = fnet.load(PATH)  # once, when the function is started
info = fnet.load_info(PATH)
labels, scale = info["labels"], info["scale"]


def handler(event, context):
    """{"body": '{"rows": [...]}'} -> {"statusCode", "body"}."""
    try:
        body = event["body"]
        if event.get("isBase64Encoded"):  # what the gateway does to a body that no header calls JSON
            body = base64.b64decode(body)
        rows = json.loads(body)["rows"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return said(400, detail='not JSON of the form {"rows": [...]}')
    try:
        y = fnet.predict(model, params, rows if scale is None else np.asarray(rows, "float32") * np.float32(scale))
    except (TypeError, ValueError) as error:  # fnet.InvalidInput is a ValueError
        return said(422, detail=str(error))
    found = {"outputs": fnet.tree.map(plain, y)}
    if labels:
        found["labels"] = [None if i < 0 else labels[i] for i in fnet.classes(model, y, invalid="mark")]
    return said(200, **found)


def plain(a):
    """Nested lists of numbers; null for NaN and infinity, which JSON lacks."""
    return (np.where(np.isfinite(a), a, None) if a.dtype.kind == "f" else a).tolist()


def said(status, **body):
    """What the gateway is handed."""
    return {"statusCode": status, "body": json.dumps(body)}
