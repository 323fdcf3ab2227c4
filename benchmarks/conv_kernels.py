"""fnet's convolutions and poolings on NumPy beside TensorFlow's, in one process: milliseconds and their ratio.

    python benchmarks/conv_kernels.py [--threads 2] [--seconds 0.5] [--only depthwise]

Both sides take and give NumPy arrays of float32; TensorFlow runs a compiled `tf.function` with as many intra-op
threads. The best of many runs counts, and the two sides take turns, so that a busy machine disturbs both.

Other ways were tried for the NumPy kernels and dropped, for reasons that need no clock:

- gathering all windows at once: memory without bound; in very small blocks the products are too small for BLAS.
- one matrix product for each tap on shifted rows of the padded image (no gathering at all): each tap passes over
  the whole result again.
- gathering along the width only, and one product for each row of the kernel: between the two.
- Winograd F(2x2, 3x3): the passes of the transforms eat the multiplications saved, and infinities turn into NaN.
- depthwise by multiply and add for each tap: two passes over the result for each.
- max pooling over the view of windows: NumPy reduces its short inner axes slowly; pairwise maxima of strided
  views run over long ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# (label, layer, options, input shape, parameter shapes)
CIFAR = ((32, 3, 32), (16, 32, 64), (8, 64, 128))
ROWS: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
    *(
        (f"conv 3x3 {c}->{f}", "conv2d", {"filters": f, "kernel_size": 3, "padding": "same"}, (n, h, h, c))
        for n in (1, 32)
        for h, c, f in CIFAR
    ),
    ("conv 3x3 resnet", "conv2d", {"filters": 64, "kernel_size": 3, "padding": "same"}, (1, 56, 56, 64)),
    ("conv 3x3 resnet", "conv2d", {"filters": 256, "kernel_size": 3, "padding": "same"}, (1, 14, 14, 256)),
    ("conv 3x3 resnet", "conv2d", {"filters": 512, "kernel_size": 3, "padding": "same"}, (1, 7, 7, 512)),
    ("conv 3x3 vgg", "conv2d", {"filters": 64, "kernel_size": 3, "padding": "same"}, (1, 224, 224, 64)),
    ("conv 7x7/2 stem", "conv2d", {"filters": 64, "kernel_size": 7, "strides": 2, "padding": "same"}, (1, 224, 224, 3)),
    ("conv 3x3/2 stem", "conv2d", {"filters": 32, "kernel_size": 3, "strides": 2, "padding": "same"}, (1, 224, 224, 3)),
    ("conv 1x1", "conv2d", {"filters": 256, "kernel_size": 1}, (1, 14, 14, 1024)),
    ("conv 1x1", "conv2d", {"filters": 256, "kernel_size": 1}, (1, 56, 56, 64)),
    ("conv 1x1/2", "conv2d", {"filters": 512, "kernel_size": 1, "strides": 2}, (1, 56, 56, 256)),
    ("conv 3x3 g=4", "conv2d", {"filters": 128, "kernel_size": 3, "groups": 4, "padding": "same"}, (1, 28, 28, 128)),
    ("conv1d k=5", "conv1d", {"filters": 128, "kernel_size": 5, "padding": "same"}, (32, 100, 64)),
    ("conv3d 3x3x3", "conv3d", {"filters": 32, "kernel_size": 3, "padding": "same"}, (1, 16, 32, 32, 16)),
    ("depthwise 3x3", "depthwise_conv2d", {"kernel_size": 3, "padding": "same"}, (1, 56, 56, 128)),
    ("depthwise 3x3", "depthwise_conv2d", {"kernel_size": 3, "padding": "same"}, (1, 112, 112, 32)),
    ("depthwise 3x3", "depthwise_conv2d", {"kernel_size": 3, "padding": "same"}, (1, 14, 14, 512)),
    ("depthwise 3x3", "depthwise_conv2d", {"kernel_size": 3, "padding": "same"}, (8, 28, 28, 192)),
    ("depthwise 3x3/2", "depthwise_conv2d", {"kernel_size": 3, "strides": 2, "padding": "same"}, (1, 112, 112, 64)),
    ("depthwise 7x7", "depthwise_conv2d", {"kernel_size": 7, "padding": "same"}, (1, 56, 56, 96)),
    ("transposed 2x2/2", "conv2d_transpose", {"filters": 64, "kernel_size": 2, "strides": 2}, (1, 64, 64, 128)),
    (
        "transposed 3x3/2",
        "conv2d_transpose",
        {"filters": 32, "kernel_size": 3, "strides": 2, "padding": "same"},
        (32, 8, 8, 64),
    ),
    ("max pool 2x2", "max_pooling2d", {}, (32, 32, 32, 32)),
    ("max pool 2x2", "max_pooling2d", {}, (1, 112, 112, 64)),
    ("max pool 3x3/2", "max_pooling2d", {"pool_size": 3, "strides": 2, "padding": "same"}, (1, 112, 112, 64)),
    ("average pool 3x3", "average_pooling2d", {"pool_size": 3, "strides": 1, "padding": "same"}, (1, 35, 35, 288)),
    ("global average", "global_average_pooling2d", {}, (1, 7, 7, 2048)),
    ("global average", "global_average_pooling2d", {}, (32, 8, 8, 128)),
]

KERAS = {
    "conv2d": "Conv2D",
    "conv1d": "Conv1D",
    "conv3d": "Conv3D",
    "depthwise_conv2d": "DepthwiseConv2D",
    "conv2d_transpose": "Conv2DTranspose",
    "max_pooling2d": "MaxPooling2D",
    "average_pooling2d": "AveragePooling2D",
    "global_average_pooling2d": "GlobalAveragePooling2D",
}


def best(calls: list[Callable[[], Any]], seconds: float) -> list[float]:
    """The shortest time of each call in milliseconds; the calls take turns for about `seconds` each."""
    shortest = [float("inf")] * len(calls)
    for call in calls:
        call()
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            shortest[i] = min(shortest[i], time.perf_counter() - start)
    return [1e3 * t for t in shortest]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="of TensorFlow and BLAS (default 2)")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each side of each row (default 0.5)")
    parser.add_argument("--only", default="", help="only rows whose label contains this")
    args = parser.parse_args()
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow")
    import keras
    import tensorflow as tf

    import fnet

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    versions = f"numpy {np.__version__}, tensorflow {tf.__version__}, keras {keras.__version__}"
    print(f"{platform.processor() or platform.machine()}, {args.threads} threads, {versions}")
    print(f"{'layer':<18}{'input':<22}{'fnet ms':>9}{'tf ms':>9}{'fnet/tf':>9}")
    ratios = []
    for label, name, options, shape in ROWS:
        if args.only not in label:
            continue
        step = fnet.bind(getattr(fnet, name), **options)
        params = fnet.init(step, 0, shape)
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        twin = getattr(keras.layers, KERAS[name])(**options)
        twin.build(shape)
        twin.set_weights(list(params.values()))
        compiled, tensor = tf.function(twin), tf.constant(x)
        np.testing.assert_allclose(step(params, x), compiled(tensor).numpy(), rtol=1e-3, atol=1e-3)
        ours, theirs = best(
            [lambda: step(params, x), lambda: compiled(tensor).numpy()],  # noqa: B023 - called at once
            args.seconds,
        )
        ratios.append(ours / theirs)
        print(f"{label:<18}{'x'.join(map(str, shape)):<22}{ours:>9.3f}{theirs:>9.3f}{ratios[-1]:>9.2f}", flush=True)
    print(f"geometric mean of the ratios: {np.exp(np.mean(np.log(ratios))):.2f}")


if __name__ == "__main__":
    main()
