"""The throughput of `fnet.Predict` in processes on one machine, and a calculation for a thousand machines.

python benchmarks/scale.py [--seconds 4] [--processes 1,2]

All processes at once load the file and answer batches for some seconds. Prints Markdown: the measurements and the
calculation. docs/howto-scale.md is this output.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one processor for each process

import numpy as np

import fnet
from compare.machine import describe

MODELS = Path(__file__).resolve().parent.parent / "examples" / "models"
WORDS = ["kamarnya", "bersih", "tapi", "pelayanannya", "lambat", "sekali", "dan", "makanan", "enak", "murah", "kotor"]
BATCH = 256
ROWS, MACHINES, START = 1_000_000_000, (1, 10, 100, 1000), 30.0
"""The calculation: rows in all, machines, seconds until a machine has its container and its first task."""


def batch(name):
    """Rows for a model."""
    draw = np.random.default_rng(0)
    if name.startswith("nusax"):
        return np.array([" ".join(draw.choice(WORDS, 12)) for _ in range(BATCH)], object)
    return draw.uniform(0, 255, (BATCH, 32, 32, 3)).astype("float32")


def work(name, seconds, ready, results):
    """Load, wait for the others, answer batches; (seconds to load, rows a second, MiB)."""
    start = time.perf_counter()
    predict, x = fnet.Predict(str(MODELS / name)), batch(name)
    predict(x[:1])
    loaded = time.perf_counter() - start
    ready.wait()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        predict(x)
        count += BATCH
    rate = count / (time.perf_counter() - start)
    results.put((loaded, rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measured(name, processes, seconds):
    """(median seconds to load, rows a second in all, MiB a process)."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=work, args=(name, seconds, ready, results)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return statistics.median(f[0] for f in found), sum(f[1] for f in found), max(f[2] for f in found)


def main():
    """Measure and calculate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--processes", default="1,2")
    args = parser.parse_args()
    counts = [int(count) for count in args.processes.split(",")]
    machine = f"{describe()}, NumPy {np.__version__}, batches of {BATCH}, one thread a process"
    print(f"Measured by `benchmarks/scale.py` ({machine}):\n")
    print("| model | processes | rows a second | of so many times one process | first answer | memory a process |")
    print("|---|---|---|---|---|---|")
    best = {}
    for name in ("nusax-lstm.safetensors", "cifar10-cnn.safetensors"):
        alone = None
        for count in counts:
            load, rate, memory = measured(name, count, args.seconds)
            alone = alone or rate
            best[name] = (rate, load)
            cells = f"{rate:,.0f} | {rate / alone:.2f} of {count} | {load:.2f} s | {memory:.0f} MiB"
            print(f"| {name} | {count} | {cells} |")
    print(f"\nCalculated from that, not measured: {ROWS:,} rows on machines like this one, {START:.0f} s for each to")
    print("start, rows spread evenly, reading and writing not counted:\n")
    heads = [f"{machines:,} machines" if machines > 1 else "one machine" for machines in MACHINES]
    print(f"| model | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name, (rate, load) in best.items():
        times = [START + load + ROWS / (rate * machines) for machines in MACHINES]
        print(f"| {name} | {' | '.join(said(t) for t in times)} |")


def said(seconds):
    """Seconds in words."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":
    main()
