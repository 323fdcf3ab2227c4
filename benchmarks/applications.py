"""Architectures of keras.applications on NumPy beside Keras on TensorFlow: milliseconds of one call, one process.

    python benchmarks/applications.py [--models ResNet50,MobileNetV2,EfficientNetB0] [--size 224] [--batch 1]
                                      [--threads 2] [--seconds 3] [--xla]

Each model is saved by Keras with the weights that it begins with, and loaded by fnet; the columns are the time to
load the file (the best of three), one call of fnet, one of `tf.function(model)`, with --xla also compiled by XLA,
and TensorFlow's time over fnet's. The outputs are compared before anything is timed; the sides take turns.
A thread of BLAS that has to wait for another process holds up every matrix product: on a busy machine compare with
`--threads 1`.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = "ResNet50,MobileNetV2,EfficientNetB0"


def once(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def best(calls: list[Callable[[], Any]], seconds: float) -> list[float]:
    """The shortest time of each call in milliseconds, the calls taking turns for `seconds` in all."""
    shortest = [min(once(call), float("inf")) for call in calls]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        shortest = [min(before, once(call)) for before, call in zip(shortest, calls, strict=True)]
    return shortest


def measure(name: str, folder: Path, args: argparse.Namespace) -> list[float]:
    """Milliseconds: loading, fnet, TensorFlow and, if asked for, XLA."""
    import keras
    import numpy as np
    import tensorflow as tf

    from params import load_keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    shape = (args.size, args.size, 3)
    classes = {"include_top": args.size == 224} if name.startswith(("VGG", "ConvNeXt")) else {}
    twin = getattr(keras.applications, name)(weights=None, input_shape=shape, **classes)
    twin.save(folder / f"{name}.keras")
    loading = min(once(lambda: load_keras(folder / f"{name}.keras")) for _ in range(3))
    model, params = load_keras(folder / f"{name}.keras")

    x = np.random.default_rng(0).uniform(0, 255, (args.batch, *shape)).astype(np.float32)
    tensor, graph = tf.constant(x), tf.function(lambda rows: twin(rows, training=False))
    compiled = tf.function(lambda rows: twin(rows, training=False), jit_compile=True)
    expected = graph(tensor).numpy()
    np.testing.assert_allclose(model(params, x), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    calls = [lambda: model(params, x), lambda: graph(tensor).numpy()]
    if args.xla:
        calls.append(lambda: compiled(tensor).numpy())
    return [loading, *best(calls, args.seconds)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS, help=f"names in keras.applications ({MODELS})")
    parser.add_argument("--size", type=int, default=224, help="height and width of the images (224)")
    parser.add_argument("--batch", type=int, default=1, help="images in a call (1)")
    parser.add_argument("--threads", type=int, default=2, help="of TensorFlow and BLAS (2)")
    parser.add_argument("--seconds", type=float, default=3, help="for each model (3)")
    parser.add_argument("--xla", action="store_true", help="also compiled by XLA, which takes a minute a model")
    args = parser.parse_args()
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow")
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read once, when NumPy is imported
    os.environ.update(dict.fromkeys(threads, str(args.threads)))
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    versions = f"numpy {np.__version__}, tensorflow {tf.__version__}, keras {keras.__version__}"
    print(f"{platform.machine()}, {os.cpu_count()} cores, {args.threads} threads, Python {platform.python_version()},")
    print(f"{versions}; batch {args.batch}, {args.size} x {args.size}")
    columns = ("load ms", "fnet ms", "tf ms", *(("xla ms",) if args.xla else ()), "tf/fnet")
    print(f"{'model':<18}" + "".join(f"{column:>9}" for column in columns))
    with tempfile.TemporaryDirectory(prefix="fnet-benchmark-") as folder:
        for name in args.models.split(","):
            found = measure(name, Path(folder), args)
            print(f"{name:<18}" + "".join(f"{ms:>9.1f}" for ms in found) + f"{found[2] / found[1]:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
