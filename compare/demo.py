"""`fnet demo`: three small models trained on embedded data, saved, loaded without Keras and compared."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compare.parity import Comparison

log = logging.getLogger("compare")

DESCRIPTION = """Train a CNN, a SimpleRNN and an LSTM on small embedded data (digits; synthetic Indonesian
reviews), save each as .keras, load each without Keras in fresh processes for NumPy and JAX, and compare.

Needs no network. Exit status: 0 when parity holds for all three, 1 when not."""

MODELS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "cnn": ("CNN on digits", 8, {"filters": (16, 32), "dense": 64}),
    "rnn": ("Bidirectional SimpleRNN on synthetic reviews", 8, {"units": 32, "tokens": 1000, "length": 24}),
    "lstm": ("Bidirectional LSTM on synthetic reviews", 12, {"units": 32, "tokens": 1000, "length": 24}),
}
"""{family: (title, epochs, options)}."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the demo to a parser."""
    parser.description, parser.epilog = DESCRIPTION, "example: fnet demo --out fnet-demo"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("fnet-demo"), metavar="DIR", help="folder (fnet-demo)")


def run(args: argparse.Namespace) -> int:
    """Train, compare, print and write the report: 0 when parity held for all three."""
    from train_keras.quiet import import_keras

    started = time.monotonic()
    if args.out.exists() and not args.out.is_dir():  # checked first: importing Keras takes seconds
        log.error("%s: a file, not a folder", args.out)
        return 1
    import_keras()
    from rich.console import Console

    from compare import report
    from compare.worker import WorkerFailed
    from train_keras.errors import RunLocked, RunMismatch

    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.error("%s: %s", args.out, error.strerror)
        return 1
    console, comparisons = Console(), []
    try:
        for family in MODELS:
            comparisons.append(_one(family, args.out))
            report.print_comparison(comparisons[-1], console, layers=False)
    except (RunLocked, RunMismatch, OSError, WorkerFailed) as error:
        log.error("%s: %s", type(error).__name__, error)
        return 1
    page = report.write_report(comparisons, args.out / "report.html", "fnet demo: Keras next to fnet")
    seconds = time.monotonic() - started
    console.print(f"models and report: {args.out}; open {page}. {seconds:.0f} s in all.", markup=False)
    return 0 if all(comparison.held for comparison in comparisons) else 1


def _one(family: str, folder: Path) -> Comparison:
    from compare import parity
    from compare.cli import data_rows
    from train_keras import architectures, data, train
    from train_keras.cli import Bar

    title, epochs, options = MODELS[family]
    config = train.Config(family, architectures.options(family, **options), epochs)
    embedded = data.load(config.options.kind, "embedded")
    with Bar() as bar:
        bar.console.print(f"training: {title}")
        result = train.train(config, embedded, folder / family, on_step=bar.step)
        bar.console.print(f"saved {result.model_file}; now Keras, float64, and fnet without Keras on NumPy and JAX")
    rows = data_rows(result.model_file, "embedded", "test")
    return parity.compare(result.model_file, rows, title=title)
