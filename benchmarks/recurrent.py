"""LSTM, GRU and SimpleRNN on NumPy beside Keras on TensorFlow: milliseconds of one call, one process.

    python benchmarks/recurrent.py [--repeats 20] [--units 64] [--time 100] [--features 64]

Keras is measured twice: the layer called eagerly, and under tf.function (its fastest way on a CPU). Both libraries
use the threads that the environment gives them. The outputs are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["FNET_BACKEND"] = "numpy"

import keras
import numpy as np
import tensorflow as tf

import fnet

LAYERS = {"SimpleRNN": fnet.simple_rnn, "LSTM": fnet.lstm, "GRU": fnet.gru}


def milliseconds(call, repeats: int) -> float:
    """The best of `repeats` calls: the one that other processes disturbed least."""
    call()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def half(layer) -> dict:
    return dict(zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights(), strict=True))


def measure(name: str, batch: int, masked: bool, args: argparse.Namespace) -> tuple[float, float, float]:
    """(fnet, Keras eager, Keras tf.function) of a bidirectional layer that returns sequences."""
    x = np.random.default_rng(0).standard_normal((batch, args.time, args.features)).astype("float32")
    mask = np.arange(args.time) < np.linspace(args.time // 3, args.time, batch).astype(int)[:, None]
    given = {"mask": tf.constant(mask)} if masked else {}
    layer = keras.layers.Bidirectional(getattr(keras.layers, name)(args.units, return_sequences=True))
    tensor = tf.constant(x)
    expected = np.asarray(layer(tensor, **given))
    graph = tf.function(lambda t: layer(t, **given))
    step = fnet.bind(fnet.bidirectional, layer=fnet.bind(LAYERS[name], units=args.units, return_sequences=True))
    params = {"forward_layer": half(layer.forward_layer), "backward_layer": half(layer.backward_layer)}
    feed = fnet.Masked(x, mask) if masked else x
    y = step(params, feed)
    np.testing.assert_allclose(y.values if masked else y, expected, rtol=0, atol=1e-5)
    calls = (lambda: step(params, feed), lambda: layer(tensor, **given).numpy(), lambda: graph(tensor).numpy())
    ours, eager, compiled = (milliseconds(call, args.repeats) for call in calls)
    return ours, eager, compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option, default in (("repeats", 20), ("units", 64), ("time", 100), ("features", 64)):
        parser.add_argument(f"--{option}", type=int, default=default)
    args = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}; {args.units} units, {args.time} steps"
    )
    print(f"{'bidirectional':<14}{'batch':>6}{'mask':>6}{'fnet ms':>10}{'eager ms':>10}{'graph ms':>10}{'ratio':>8}")
    for name in LAYERS:
        for batch in (1, 32):
            for masked in (False, True):
                ours, eager, compiled = measure(name, batch, masked, args)
                ratio = compiled / ours
                print(f"{name:<14}{batch:>6}{masked!s:>6}{ours:>10.2f}{eager:>10.2f}{compiled:>10.2f}{ratio:>7.1f}x")


if __name__ == "__main__":
    main()
