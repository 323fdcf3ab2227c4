"""How much room the outputs of a model take, told before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from fnet import tree
from fnet.core import infer
from fnet.types import Spec
from params.errors import LimitExceeded, quoted
from params.file.model_file import Limits

WIDTHS = {"bfloat16": 2, "string": 0}
"""Bytes of dtypes that NumPy lacks, or that have no one size."""

MOST_AXES = 64
"""Of an array of NumPy."""


def require_room(rows: Iterable[infer.Row], limits: Limits) -> None:
    """Refuse a model of which a step gives more for one row of a batch than `Limits.outputs` (open sizes count as 1),
    or more axes than arrays have.

    Raises LimitExceeded.
    """
    for row in rows:
        for spec in tree.leaves(row.outputs):
            if isinstance(spec, Spec) and (len(spec.shape) > MOST_AXES or row_bytes(spec) > limits.outputs):
                path = "/".join(map(str, row.path))
                if len(spec.shape) > MOST_AXES:
                    raise LimitExceeded(f"step {quoted(path)} gives {len(spec.shape)} axes; {MOST_AXES} are possible")
                allowed = f"the {limits.outputs} bytes that `Limits.outputs` allows"
                raise LimitExceeded(f"step {quoted(path)} gives {quoted(spec, 160)}: for one row more than {allowed}")


def row_bytes(spec: Spec) -> int:
    """Bytes of what flows for one row of a batch; open sizes count as 1, that of the batch among them."""
    return math.prod(1 if size is None else size for size in spec.shape) * width(spec.dtype)


def width(dtype: str) -> int:
    """Bytes of one value."""
    return WIDTHS[dtype] if dtype in WIDTHS else np.dtype(dtype).itemsize
