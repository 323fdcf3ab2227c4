"""Single layers: convolutions, poolings, recurrent layers, each as a model of one layer.

    python benchmarks/layers.py [--quick] [--only 'depthwise*'] [--contenders '*numpy,tensorflow'] [--json FILE]

Other ways were tried for the NumPy kernels and dropped, for reasons that are clear without measurements:

- gathering all windows at once: memory without bound; in very small blocks the products are too small for BLAS.
- one matrix product for each tap on shifted rows of the padded image (no gathering at all): each tap passes over
  the whole result again.
- gathering along the width only, and one product for each row of the kernel: between the two.
- depthwise by multiply and add for each tap: two passes over the result for each.
- max pooling over the view of windows: NumPy reduces its short inner axes slowly; pairwise maxima of strided
  views run over long ones.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import harness
import numpy as np
from harness import Cell

SAME = {"padding": "same"}
LAYERS: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
    *(
        (f"conv 3x3 {c} to {f}", "Conv2D", {"filters": f, "kernel_size": 3, **SAME}, (n, h, h, c))
        for n in (1, 32)
        for h, c, f in ((32, 3, 32), (16, 32, 64), (8, 64, 128))
    ),
    ("conv 3x3 resnet", "Conv2D", {"filters": 64, "kernel_size": 3, **SAME}, (1, 56, 56, 64)),
    ("conv 3x3 resnet", "Conv2D", {"filters": 256, "kernel_size": 3, **SAME}, (1, 14, 14, 256)),
    ("conv 3x3 resnet", "Conv2D", {"filters": 512, "kernel_size": 3, **SAME}, (1, 7, 7, 512)),
    ("conv 3x3 vgg", "Conv2D", {"filters": 64, "kernel_size": 3, **SAME}, (1, 224, 224, 64)),
    ("conv 7x7/2 stem", "Conv2D", {"filters": 64, "kernel_size": 7, "strides": 2, **SAME}, (1, 224, 224, 3)),
    ("conv 3x3/2 stem", "Conv2D", {"filters": 32, "kernel_size": 3, "strides": 2, **SAME}, (1, 224, 224, 3)),
    ("conv 1x1", "Conv2D", {"filters": 256, "kernel_size": 1}, (1, 14, 14, 1024)),
    ("conv 1x1", "Conv2D", {"filters": 256, "kernel_size": 1}, (1, 56, 56, 64)),
    ("conv 1x1/2", "Conv2D", {"filters": 512, "kernel_size": 1, "strides": 2}, (1, 56, 56, 256)),
    ("conv 3x3 g=4", "Conv2D", {"filters": 128, "kernel_size": 3, "groups": 4, **SAME}, (1, 28, 28, 128)),
    ("conv1d k=5", "Conv1D", {"filters": 128, "kernel_size": 5, **SAME}, (32, 100, 64)),
    ("conv3d 3x3x3", "Conv3D", {"filters": 32, "kernel_size": 3, **SAME}, (1, 16, 32, 32, 16)),
    ("depthwise 3x3", "DepthwiseConv2D", {"kernel_size": 3, **SAME}, (1, 56, 56, 128)),
    ("depthwise 3x3", "DepthwiseConv2D", {"kernel_size": 3, **SAME}, (1, 112, 112, 32)),
    ("depthwise 3x3", "DepthwiseConv2D", {"kernel_size": 3, **SAME}, (1, 14, 14, 512)),
    ("depthwise 3x3", "DepthwiseConv2D", {"kernel_size": 3, **SAME}, (8, 28, 28, 192)),
    ("depthwise 3x3/2", "DepthwiseConv2D", {"kernel_size": 3, "strides": 2, **SAME}, (1, 112, 112, 64)),
    ("depthwise 7x7", "DepthwiseConv2D", {"kernel_size": 7, **SAME}, (1, 56, 56, 96)),
    ("transposed 2x2/2", "Conv2DTranspose", {"filters": 64, "kernel_size": 2, "strides": 2}, (1, 64, 64, 128)),
    ("transposed 3x3/2", "Conv2DTranspose", {"filters": 32, "kernel_size": 3, "strides": 2, **SAME}, (32, 8, 8, 64)),
    ("max pool 2x2", "MaxPooling2D", {}, (32, 32, 32, 32)),
    ("max pool 2x2", "MaxPooling2D", {}, (1, 112, 112, 64)),
    ("max pool 3x3/2", "MaxPooling2D", {"pool_size": 3, "strides": 2, **SAME}, (1, 112, 112, 64)),
    ("average pool 3x3", "AveragePooling2D", {"pool_size": 3, "strides": 1, **SAME}, (1, 35, 35, 288)),
    ("global average", "GlobalAveragePooling2D", {}, (1, 7, 7, 2048)),
    ("global average", "GlobalAveragePooling2D", {}, (32, 8, 8, 128)),
]
QUICK = ("conv 3x3 32 to 64", "depthwise 3x3/2", "max pool 3x3/2")
TIME, FEATURES = 100, 64


def one(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """A model of one layer for rows of `shape`."""
    from keras import Sequential, layers

    return Sequential([layers.Input(shape), getattr(layers, name)(**options)])


def both_ways(name: str, masked: bool) -> Any:
    """A bidirectional layer of 64 units that returns sequences; if masked, steps of zeros are padding."""
    from keras import Sequential, layers

    layer = layers.Bidirectional(getattr(layers, name)(64, return_sequences=True))
    steps = [layers.Masking(), layer] if masked else [layer]
    return Sequential([layers.Input((TIME, FEATURES)), *steps])


def normal(shape: tuple[int, ...], n: int) -> Any:
    """Rows from the normal distribution, float32."""
    return np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)


def ragged(n: int) -> Any:
    """Sequences that are a third to the whole of TIME long, padded with zeros, (n, TIME, FEATURES)."""
    lengths = np.linspace(TIME // 3, TIME, n).astype(int)
    return normal((TIME, FEATURES), n) * (np.arange(TIME) < lengths[:, None])[..., None]


CELLS = [
    *(
        Cell(
            f"{label} {'x'.join(map(str, shape))}",
            partial(one, name, options, shape[1:]),
            partial(normal, shape[1:]),
            shape[0],
            quick=label in QUICK,
        )
        for label, name, options, shape in LAYERS
    ),
    *(
        Cell(
            f"{name}{' masked' if masked else ''} {n}",
            partial(both_ways, name, masked),
            ragged if masked else partial(normal, (TIME, FEATURES)),
            n,
            quick=masked and n == 32,
        )
        for name in ("SimpleRNN", "LSTM", "GRU")
        for n in (1, 32)
        for masked in (False, True)
    ),
]

if __name__ == "__main__":
    harness.main(CELLS, __doc__)
