"""The harness of all speed measurements: contenders take turns, each in its own process, on the same file and rows.

A cell is a Keras model and a number of rows. The model is built and saved once, then every contender loads the file and
maps NumPy arrays to NumPy arrays. Before anything is timed the outputs are compared. Then the contenders take turns,
so that a busy machine disturbs all of them; a time is the best or the median of all calls of a contender.

Ratios are always the time of the fastest peer (or of an earlier fnet) divided by ours: above 1 fnet is faster.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import importlib.util
import inspect
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from compare import machine  # noqa: E402 - the checkout that the script is in, wherever it is started

MODELS = ROOT / "benchmarks" / ".models"
"""The folder of built files; their names identify the source that built them."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
TURN = 0.03
"""Seconds of a contender's turn."""


@dataclass(frozen=True)
class Cell:
    """A model and rows to time it on.

    build: makes the Keras model; it imports Keras itself. rows: (n) -> the first n rows, the same each time.
    count: how many rows a call takes. batch: how many of them at a time (0: all). quick: whether it is in `--quick`.
    """

    name: str
    build: Callable[[], Any]
    rows: Callable[[int], Any]
    count: int
    quick: bool = False
    batch: int = 0

    @property
    def file(self) -> Path:
        """The saved model. A change of the module that builds it gives another name."""
        build = self.build if isinstance(self.build, partial) else partial(self.build)
        source = inspect.getsource(sys.modules[build.func.__module__]) + repr((build.args, build.keywords))
        return MODELS / f"{build.func.__name__}-{hashlib.sha256(source.encode()).hexdigest()[:12]}.keras"


# --- contenders ------------------------------------------------------------------------------------


def _fnet(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import fnet

    model, params = fnet.load_keras(file)
    return lambda: fnet.predict(model, params, x, batch_size=batch)


def _batched(call: Callable[[Any], Any], x: Any, batch: int) -> Callable[[], Any]:
    """`call` on the rows of x, some at a time."""
    import numpy as np

    if batch == len(x):
        return lambda: call(x)
    return lambda: np.concatenate([call(x[i : i + batch]) for i in range(0, len(x), batch)])


def _onnxruntime(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    session = onnxruntime.InferenceSession(file.with_suffix(".onnx"), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _batched(lambda rows: session.run(None, {name: rows})[0], x, batch)


def _tensorflow(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(file, compile=False)
    graph = tf.function(lambda rows: model(rows, training=False))
    return _batched(lambda rows: graph(tf.constant(rows)).numpy(), x, batch)


def _keras_jax(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import jax
    import keras
    import numpy as np

    model = keras.saving.load_model(file, compile=False)
    state = [[v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables)]
    call = jax.jit(lambda state, rows: model.stateless_call(*state, rows, training=False)[0])
    return _batched(lambda rows: np.asarray(call(state, rows)), x, batch)


def _flax(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    """A chain of dense layers, 2-D convolutions and max pooling as modules of flax.nnx, with the arrays of the file."""
    import jax
    import numpy as np
    from flax import nnx

    import fnet
    from params.bridges import to_flax

    def module(step: Any, params: Any) -> Callable[[Any], Any]:
        options, kind = fnet.bind(step).all_options, fnet.bind(step).function
        if kind in (fnet.flatten, fnet.input_layer):
            return lambda x: x.reshape(len(x), -1) if kind is fnet.flatten else x
        if kind is fnet.max_pooling2d:
            return lambda x: nnx.max_pool(x, options["pool_size"], options["strides"], options["padding"].upper())
        if kind not in (fnet.dense, fnet.conv2d):
            raise NotImplementedError(f"no module of flax is made of {kind.__name__}")
        *window, inner, outer = params["kernel"].shape
        rngs = nnx.Rngs(0)
        made: Any = nnx.Linear(inner, outer, rngs=rngs)
        if window:
            made = nnx.Conv(inner, outer, window, options["strides"], padding=options["padding"].upper(), rngs=rngs)
        for name, array in to_flax(step, params).items():
            getattr(made, name)[...] = array
        name = options["activation"]
        return made if name == "linear" else nnx.Sequential(made, getattr(jax.nn, name))

    model, params = fnet.load_keras(file)
    if not isinstance(model, fnet.Sequential):
        raise NotImplementedError("no module of flax is made of a graph")
    graph, state = nnx.split(nnx.Sequential(*(module(step, params.get(name, {})) for name, step in model.steps)))
    call = jax.jit(lambda state, rows: nnx.merge(graph, state)(rows))
    return _batched(lambda rows: np.asarray(call(state, rows)), x, batch)


def _litert(file: Path, x: Any, batch: int) -> Callable[[], Any]:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(file, compile=False)
    if any(isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional) for layer in model.layers):
        raise NotImplementedError("LiteRT converts no recurrent layers")  # it takes seconds and pages to say so
    with redirect_stdout(io.StringIO()):  # it prints every variable
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count()
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
    place, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(place, (batch, *x.shape[1:]))
    interpreter.allocate_tensors()

    def call(rows: Any) -> Any:
        interpreter.set_tensor(place, rows)
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return _batched(call, x, batch)


@dataclass(frozen=True)
class Contender:
    """How a library runs a file, what it needs, and the environment of its process. side: ours, before or peer."""

    call: Callable[[Path, Any, int], Callable[[], Any]]
    packages: tuple[str, ...]
    environment: dict[str, str]
    side: str = "peer"

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


CONTENDERS = {
    "fnet numpy": Contender(_fnet, ("numpy",), {"FNET_BACKEND": "numpy"}, side="ours"),
    "fnet jax": Contender(_fnet, ("jax",), {"FNET_BACKEND": "jax"}, side="ours"),
    "onnxruntime": Contender(_onnxruntime, ("onnxruntime", "onnx", "tf2onnx"), {}),
    "tensorflow": Contender(_tensorflow, ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
    "keras jax": Contender(_keras_jax, ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    "flax": Contender(_flax, ("flax", "jax"), {}),
    "litert": Contender(_litert, ("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
}
GPU = {
    "CUDA_VISIBLE_DEVICES": "0",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # one GPU for several processes
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",  # the precision that fnet computes in, for all
}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "1"}


def contenders(
    names: Sequence[str], before: Path | None, known: Mapping[str, Contender] = CONTENDERS
) -> dict[str, Contender]:
    """The contenders whose name fits one of the patterns, ours also from another checkout, `before`."""
    table = {name: c for name, c in known.items() if any(fnmatch.fnmatch(name, pattern) for pattern in names)}
    ours = {name: c for name, c in table.items() if c.side == "ours" and before is not None}
    earlier = {
        f"{name} before": replace(c, environment=c.environment | {"FNET_FROM": str(before)}, side="before")
        for name, c in ours.items()
    }
    return table | earlier


# --- processes -------------------------------------------------------------------------------------


def _serve(connection: Any, call: Callable[[Path, Any, int], Callable[[], Any]]) -> None:
    """A contender's process: it answers (file, rows, batch) by the output, and seconds by the times of calls.

    Where the contender cannot run a model, such as one that LiteRT does not convert, it answers by the reason.
    """
    import numpy as np

    if "FNET_FROM" in os.environ:
        sys.path.insert(0, os.environ["FNET_FROM"])
    run: Callable[[], Any] = lambda: None  # noqa: E731 - replaced by the first order
    while (order := connection.recv()) is not None:
        if isinstance(order, float):
            connection.send(_times(run, order))
        else:
            file, rows, batch = order
            try:
                run = call(file, np.load(rows), batch)
                connection.send(np.asarray(run()))
            except Exception as error:  # noqa: BLE001 - whatever a library raises, it takes no part
                connection.send(f"{type(error).__name__}: {' '.join(str(error).split())[:100]}")


def _times(run: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds of each call, for `seconds` and at least one; a first call, which fills the caches, is not counted."""
    times: list[float] = []
    run()
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


@contextmanager
def _process(target: Callable[..., None], environment: dict[str, str], *arguments: Any) -> Iterator[Any]:
    """A new process with that environment, and the connection to it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    before = dict(os.environ)
    os.environ.update(QUIET | environment)
    process = context.Process(target=target, args=(there, *arguments), daemon=True)
    try:
        process.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    there.close()
    try:
        yield here
    finally:
        process.terminate()
        process.join()
        here.close()


def _build(connection: Any, cells: Sequence[Cell], onnx: bool) -> None:
    """Save the models that are not yet there."""
    import keras
    import numpy as np

    for cell in cells:
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        model = cell.build()
        model(np.asarray(cell.rows(1)))
        if onnx:
            model.export(cell.file.with_suffix(".onnx"), format="onnx", verbose=False)
        model.save(cell.file)
        connection.send(cell.file.name)


def build(cells: Sequence[Cell], onnx: bool) -> None:
    """Let Keras save the model of every cell, and its ONNX form, if they are not yet there."""
    files = {cell.file: cell for cell in cells}
    absent = [
        c for file, c in files.items() if not (file.exists() and (not onnx or file.with_suffix(".onnx").exists()))
    ]
    if not absent:
        return
    MODELS.mkdir(exist_ok=True)
    backend = "tensorflow" if onnx else os.environ.get("KERAS_BACKEND", "tensorflow")
    with _process(_build, {"KERAS_BACKEND": backend}, absent, onnx) as connection:
        for _ in absent:
            print(f"built {connection.recv()}", file=sys.stderr, flush=True)


# --- measuring -------------------------------------------------------------------------------------


def measure(cell: Cell, connections: dict[str, Any], seconds: float) -> dict[str, list[float]]:
    """{contender: seconds of each call}, in turns, for about `seconds` each; only contenders that can run the model.

    Raises SystemExit if ours cannot, or outputs differ.
    """
    import numpy as np

    outputs = {}
    with tempfile.TemporaryDirectory(prefix="fnet-benchmark-") as folder:
        rows = Path(folder) / "rows.npy"
        np.save(rows, cell.rows(cell.count))
        for connection in connections.values():  # all of them, which import and load at once
            connection.send((cell.file, rows, cell.batch or cell.count))
        for name, connection in connections.items():
            try:
                outputs[name] = connection.recv()
            except EOFError:
                raise SystemExit(f"{cell.name}: {name} failed; its own message is above") from None
            if isinstance(outputs[name], str):
                if name.startswith("fnet"):
                    raise SystemExit(f"{cell.name}: {name} failed: {outputs[name]}")
                print(f"{cell.name}: {name} does not take part: {outputs.pop(name)}", file=sys.stderr)
    connections = {name: connection for name, connection in connections.items() if name in outputs}
    first, expected = next(iter(outputs.items()))
    for name, y in outputs.items():
        error = np.abs(y - expected).max() / np.abs(expected).max()
        if not error < 1e-4:
            raise SystemExit(f"{cell.name}: {name} and {first} differ by {error:.2g} of the largest value")
    times: dict[str, list[float]] = {name: [] for name in connections}
    end = time.perf_counter() + seconds * len(connections)
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, connection in connections.items():
            connection.send(TURN)
            times[name] += connection.recv()
    return times


def entry(cell: Cell, times: dict[str, list[float]], table: dict[str, Contender], busy: bool = False) -> dict[str, Any]:
    """One line of the result: milliseconds of each contender, and the ratios of each of ours.

    Ratios are of the best times; on busy cores of the mean times, as the best time is that of a quiet moment.
    """
    best, median, mean = (
        {name: 1e3 * of(ts) for name, ts in times.items()} for of in (min, statistics.median, statistics.fmean)
    )
    by = mean if busy else best
    peer = min((name for name in by if table[name].side == "peer"), key=by.__getitem__, default=None)
    ratios = {}
    for name in by:
        if table[name].side == "ours":
            ratios |= {f"peer / {name}": by[peer] / by[name]} if peer else {}
            ratios |= {f"before / {name}": by[f"{name} before"] / by[name]} if f"{name} before" in by else {}
    name = f"{cell.name} busy" if busy else cell.name
    found = {"cell": name, "rows": cell.count, "best ms": best, "median ms": median, "mean ms": mean}
    return found | {"shown ms": by, "peer": peer, "ratio": ratios}


def _burn() -> None:
    """Endless work, of normal priority."""
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    while True:
        pass


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy during the block."""
    burners = [
        multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(os.cpu_count() or 1)
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def run(
    cells: Sequence[Cell], table: dict[str, Contender], seconds: float, limits: dict[str, str], busy: bool = False
) -> Iterator[Any]:
    """The line of each cell as soon as it is measured; busy: a second time while all cores have other work.

    limits: further environment variables of every contender.
    """
    build(cells, any(c.call is _onnxruntime for c in table.values()))
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(_process(_serve, c.environment | limits, c.call)) for name, c in table.items()
        }
        for cell in cells:
            yield entry(cell, measure(cell, connections, seconds), table)
            if busy:
                with busy_cores():
                    yield entry(cell, measure(cell, connections, seconds), table, busy=True)


# --- the command line ------------------------------------------------------------------------------


def main(
    cells: Sequence[Cell],
    description: str,
    measured: Callable[..., Iterator[Any]] = run,
    known: Mapping[str, Contender] = CONTENDERS,
) -> None:
    """Measure the requested cells, print a table, and write JSON if requested."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few telling cells, a third of a second each")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cells whose name fits, such as 'lstm*'")
    parser.add_argument("--contenders", default="*", metavar="A,B", help=f"of {', '.join(known)}; patterns")
    parser.add_argument("--before", type=Path, metavar="DIR", help="hold ours next to another checkout of fnet")
    parser.add_argument("--seconds", type=float, help="for each contender of each cell (2; with --quick 0.3)")
    parser.add_argument("--threads", type=int, metavar="N", help="of every library (all cores)")
    parser.add_argument("--gpu", action="store_true", help="let libraries see the first GPU, in the precision of fnet")
    parser.add_argument(
        "--busy", action="store_true", help="each cell also with all cores busy; without a priority of its own"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result with machine and versions")
    args = parser.parse_args()

    picked = [c for c in cells if fnmatch.fnmatch(c.name, args.only) and (c.quick or not args.quick)]
    table = contenders(args.contenders.split(","), args.before, known)
    for name in [name for name, c in table.items() if c.missing]:
        print(f"{name} does not take part: not installed: {', '.join(table.pop(name).missing)}", file=sys.stderr)
    if not picked or not table:
        raise SystemExit("no cell, or no contender, fits; cells: " + ", ".join(c.name for c in cells))
    seconds = args.seconds or (0.3 if args.quick else 2.0)
    limits = {} if args.threads is None else dict.fromkeys(THREADS, str(args.threads))
    limits |= GPU if args.gpu else {}
    about = {"machine": machine.describe(), "threads": args.threads or "all", "seconds": seconds}
    if args.gpu:
        about["gpu"] = machine.gpu()
    about["versions"] = machine.versions(sorted({p for c in table.values() for p in c.packages}))
    print(f"{about['machine']}; " + ", ".join(f"{k} {v}" for k, v in about["versions"].items()))
    lines: list[Any] = []
    for line in measured(picked, table, seconds, limits, args.busy):
        columns = line["shown ms"] | line["ratio"]
        if not lines:
            print(f"{'milliseconds, ratios':<26}" + "".join(f"  {name:>8}" for name in columns))
        numbers = (
            f"  {value:>{max(8, len(name))}.{3 if name in line['shown ms'] else 2}f}" for name, value in columns.items()
        )
        print(f"{line['cell']:<26}" + "".join(numbers), flush=True)
        lines.append(line)
    if args.json:
        args.json.write_text(json.dumps(about | {"cells": lines}, indent=1) + "\n", "utf-8")
