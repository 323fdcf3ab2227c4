"""A bounded load test on loopback: the same service with fnet, ONNX Runtime and TensorFlow computing the rows.

python examples/serve/load.py [MODEL.keras] [--seconds 5] [--clients 16]    (needs the extras keras, bench and serve)

Each engine serves in a process of its own, in turn, three rounds; clients send one row a request as fast as they are
answered. Prints requests a second relative to fnet in the same round (median of the rounds), and the median latency.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ENGINES = ("fnet", "onnxruntime", "tensorflow")


def engine_app(engine, folder):
    """The service with another engine below it."""
    sys.path.insert(0, str(HERE))
    from app import create_app

    run = None
    if engine == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name

        def run(x):
            return session.run(None, {name: x})[0]

    elif engine == "tensorflow":
        import keras
        import tensorflow as tf

        model = keras.saving.load_model(folder / "m.keras")
        function = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

        def run(x):
            return function(tf.constant(x)).numpy()

    return create_app(str(folder / "m.keras"), run)


def prepare(source, folder):
    """The model as Keras and as ONNX; a row for it."""
    import keras

    if source is None:
        layers = keras.layers
        model = keras.Sequential([
            keras.Input((32, 32, 3)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
            layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"),
        ])  # fmt: skip
    else:
        model = keras.saving.load_model(source)
    model.save(folder / "m.keras")
    model(np.zeros((1, *model.input_shape[1:]), "float32"))
    model.export(folder / "m.onnx", format="onnx", verbose=False)
    return np.random.default_rng(0).uniform(size=(1, *model.input_shape[1:])).astype("float32")


def measured(port, body, clients, seconds):
    """(requests a second, median seconds of one)."""
    times, end = [], time.perf_counter() + seconds

    def client():
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        while time.perf_counter() < end:
            start = time.perf_counter()
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"status {answer.status}")
            times.append(time.perf_counter() - start)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / seconds, statistics.median(times)


def served(engine, folder, body, args):
    """What an engine does in a process of its own."""
    command = [sys.executable, __file__, "--serve", engine, "--folder", folder, "--port", args.port]
    with subprocess.Popen([*map(str, command)], env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}) as process:
        try:
            for _ in range(1200):
                try:
                    connection = HTTPConnection("127.0.0.1", args.port, timeout=30)
                    connection.request("GET", "/health")
                    connection.getresponse().read()
                    break
                except ConnectionRefusedError:
                    if process.poll() is not None:
                        raise SystemExit(f"the service with {engine} ended") from None
                    time.sleep(0.1)
                finally:
                    connection.close()
            measured(args.port, body, args.clients, min(1.0, args.seconds))  # warm
            return measured(args.port, body, args.clients, args.seconds)
        finally:
            process.terminate()


def main():
    """Serve one engine, or measure all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help=".keras file of one input of numbers (a small CNN)")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        import uvicorn

        uvicorn.run(engine_app(args.serve, args.folder), port=args.port, log_level="error")
        return
    with tempfile.TemporaryDirectory() as made:
        body = json.dumps({"rows": prepare(args.model, Path(made)).tolist()})
        rounds = [{engine: served(engine, Path(made), body, args) for engine in ENGINES} for _ in range(args.rounds)]
    print(f"{args.clients} clients, one row a request, {os.cpu_count()} processors; relative to fnet in the same round")
    for engine in ENGINES:
        rate = statistics.median(done[engine][0] / done["fnet"][0] for done in rounds)
        latency = statistics.median(done[engine][1] / done["fnet"][1] for done in rounds)
        print(f"{engine:<12} requests a second x{rate:.2f}   median latency x{latency:.2f}")


if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        sys.exit(f"{error}: pip install '.[keras,bench,serve]'")
