"""Files of Keras 2.0 to 2.3 on Theano, whose convolutions turn their kernels round."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from fnet.types import Array
from params.assign.weight_paths import Loaded, Plan
from params.errors import UnsupportedLayer
from params.file.model_file import StoredArray

TURNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""Classes whose kernels Keras turns when it loads such a file on another backend."""
OTHERS = ("Conv1DTranspose", "Conv3DTranspose", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
"""Those that it forgets."""


def turned(work: Plan, arrays: Loaded) -> Loaded:
    """`arrays` with the kernels of convolutions reversed along their spatial axes, as Keras does."""
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

    return dataclasses.replace(array, load=read)
