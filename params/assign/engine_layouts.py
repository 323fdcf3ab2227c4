"""Arrays as the engines below Keras laid them out: CuDNN those of recurrent layers, Theano those of convolutions.

`CuDNNLSTM` and `CuDNNGRU` of Keras 2 stored the first. Keras tells them by the bias, which is twice as long as that of
its own layers, and converts them when it loads them into those, at any depth. Here the same, for every file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fnet import tree
from fnet.types import Array, Param, ParamTree
from params.assign.weight_paths import Loaded, Plan
from params.errors import UnsupportedLayer, WeightsMismatch, quoted
from params.file.model_file import StoredArray

NAMES = ("kernel", "recurrent_kernel", "bias")


def from_cudnn(loaded: dict[tuple[Any, ...], Any], expected: ParamTree) -> dict[tuple[Any, ...], Any]:
    """`loaded` with the arrays of CuDNN layers as the layers of today have them. Raises WeightsMismatch for a GRU that
    multiplies before it resets, which CuDNN cannot compute."""
    want = dict(tree.items(expected))
    changed = dict(loaded)
    for home, gates in _recurrent(want):
        arrays = {(*home, name): loaded.get((*home, name)) for name in NAMES}
        units, stored, asked = (
            want[*home, NAMES[1]].shape[0],
            loaded.get((*home, NAMES[2])),
            want[*home, NAMES[2]].shape,
        )
        if not isinstance(stored, StoredArray) or units is None:
            continue
        if gates == 3 and len(asked) == 1 and stored.shape in ((6 * units,), (2, 3 * units)):
            raise WeightsMismatch(
                f"{quoted(stored.place)} has two biases a gate, as CuDNNGRU and GRU(reset_after=True) have; the "
                f"layer at {quoted('/'.join(map(str, home)))} is a GRU with reset_after=False, which has one"
            )
        if stored.shape == (2 * gates * units,):
            changed |= {p: _converted(a, n, gates) for n, (p, a) in enumerate(arrays.items()) if a is not None}
    return changed


def _recurrent(want: dict[tuple[Any, ...], Param]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """(where the params of an LSTM or GRU are, how many gates it has)."""
    for path, param in want.items():
        if (
            path[-1] == "recurrent_kernel"
            and len(param.shape) == 2
            and {(*path[:-1], name) for name in NAMES} <= want.keys()
        ):
            units, width = param.shape
            if units and width in (3 * units, 4 * units):
                yield path[:-1], width // units


def _converted(array: StoredArray, number: int, gates: int) -> StoredArray:
    """Array `number` (kernel, recurrent_kernel, bias) of a CuDNN layer as the layer of today has it.

    CuDNN keeps each gate's matrices transposed, and two biases: one for the input, one for the recurrence. The
    LSTM adds them; the GRU (reset_after) has a row for each.
    """

    def kernel() -> Array:
        parts = np.split(array.load(), gates, axis=1)
        return np.concatenate([part.T.reshape(part.shape, order="F") for part in parts], axis=1)

    def recurrent() -> Array:
        return np.concatenate([part.T for part in np.split(array.load(), gates, axis=1)], axis=1)

    def bias() -> Array:
        both = array.load().reshape(2, -1)
        return both if gates == 3 else both.sum(axis=0)

    shape = array.shape
    if number == 2:
        shape = (2, shape[0] // 2) if gates == 3 else (shape[0] // 2,)
    return dataclasses.replace(array, shape=shape, read=(kernel, recurrent, bias)[number])


# --- Theano ---------------------------------------------------------------------------------------

TURNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""Classes whose kernels Keras turns when it loads such a file on another backend."""
OTHERS = ("Conv1DTranspose", "Conv3DTranspose", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
"""Those that it forgets."""


def from_theano(work: Plan, arrays: Loaded) -> Loaded:
    """`arrays` of a file of Keras 2.0 to 2.3 on Theano, whose convolutions turn their kernels round: those kernels
    reversed along their spatial axes, as Keras does. Raises UnsupportedLayer for kernels that Keras forgets."""
    changed = dict(arrays)
    for slot in work.slots:
        array = None if slot.path is None else arrays.get(slot.path)
        if slot.path is None or not isinstance(array, StoredArray) or not slot.name.endswith("kernel"):
            continue
        name = slot.owner.source.class_name
        if name in TURNED:
            changed[slot.path] = _reversed(array)
        elif name in OTHERS and math.prod(array.shape[:-2]) > 1:
            raise UnsupportedLayer(
                f"{slot.owner.source.label} was trained on Theano, and its kernel is one that Keras forgets to turn "
                "round when it loads the file on another backend: load the model there, reverse the spatial axes of "
                "the kernel and save it on TensorFlow"
            )
    return changed


def _reversed(array: StoredArray) -> StoredArray:
    axes = tuple(range(len(array.shape) - 2))

    def read() -> Array:
        return np.ascontiguousarray(np.flip(array.load(), axes))

    return dataclasses.replace(array, read=read)
