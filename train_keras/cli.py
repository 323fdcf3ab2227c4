"""`fnet train`: the arguments, and a run with a progress bar."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train_keras.config import Config
    from train_keras.train import Result, Step

log = logging.getLogger("train_keras")

DESCRIPTION = """Train a small Keras model and save it as a .keras file with its history.

Families: cnn (images: CIFAR-10 or digits), rnn and lstm (texts: NusaX-Sentiment or synthetic reviews).
A run that was killed is taken up again by the same command, and ends with the same weights."""

EPILOG = """examples:
  fnet train --family cnn                              # digits, no download
  fnet train --family cnn --data hub --epochs 5        # CIFAR-10 from the Hugging Face hub
  fnet train --family lstm --data DIR --patience 5     # NusaX from a folder (see train_keras/data.py)"""

FAMILY_OPTIONS: dict[str, dict[str, Any]] = {
    "filters": {"type": int, "nargs": "+", "metavar": "N", "help": "cnn: filters of each block (32 64 128)"},
    "kernels": {"type": int, "nargs": "+", "metavar": "N", "help": "cnn: kernel size of each block, or one (3)"},
    "pooling": {"choices": ("max", "average"), "help": "cnn: pooling after each convolution (max)"},
    "dense": {"type": int, "metavar": "N", "help": "cnn: units of the hidden dense layer (128)"},
    "batch_norm": {"action": argparse.BooleanOptionalAction, "help": "cnn: batch normalization (no)"},
    "global_pooling": {"action": argparse.BooleanOptionalAction, "help": "cnn: mean over the image, no dense (no)"},
    "augment": {"action": argparse.BooleanOptionalAction, "help": "cnn: flip and shift training images (no)"},
    "residual": {"action": argparse.BooleanOptionalAction, "help": "cnn: shortcuts, needs the two above (no)"},
    "layers": {"type": int, "metavar": "N", "help": "rnn, lstm: recurrent layers (2)"},
    "units": {"type": int, "metavar": "N", "help": "rnn, lstm: units of each (64)"},
    "bidirectional": {"action": argparse.BooleanOptionalAction, "help": "rnn, lstm: both directions (yes)"},
    "mask_zero": {"action": argparse.BooleanOptionalAction, "help": "rnn, lstm: skip padding (yes)"},
    "head": {"choices": ("last", "pool", "attention"), "help": "rnn, lstm: what the last layer hands on (last)"},
    "ngrams": {"action": argparse.BooleanOptionalAction, "help": "rnn, lstm: a branch on the tf-idf of n-grams (no)"},
    "embedding_dropout": {"type": float, "metavar": "P", "help": "rnn, lstm: dropout of embedding dimensions (0)"},
    "tokens": {"type": int, "metavar": "N", "help": "rnn, lstm: size of the embedding table (10000)"},
    "length": {"type": int, "metavar": "N", "help": "rnn, lstm: tokens kept of a text (rnn 64, lstm 100)"},
    "embedding": {"type": int, "metavar": "N", "help": "rnn, lstm: embedding size (rnn 128, lstm 100)"},
    "inner_dropout": {"type": float, "metavar": "P", "help": "rnn, lstm: dropout inside (rnn 0, lstm 0.3)"},
    "dropout_each": {"action": argparse.BooleanOptionalAction, "help": "rnn, lstm: dropout after every layer (no)"},
    "dropout": {"type": float, "metavar": "P", "help": "dropout before the last layer (cnn 0, rnn 0.2, lstm 0.5)"},
}

EPOCHS = {"cnn": 5, "rnn": 15, "lstm": 15}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of training to a parser."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--family", required=True, choices=tuple(EPOCHS), help="kind of model")
    add_data_arguments(parser)
    parser.add_argument("--out", metavar="DIR", help="folder of the run (default: runs/FAMILY-DATA-seedN)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs at most (cnn 5, rnn and lstm 15)")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="rows a step (32)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="R", help="at its highest (0.001)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, order and dropout (0)")
    parser.add_argument(
        "--patience", type=int, metavar="N", help="stop after N epochs without a lower validation loss, keep the best"
    )
    parser.add_argument(
        "--average", type=float, metavar="M", help="keep the moving average of the weights, with this momentum"
    )
    parser.add_argument("--decay", action="store_true", help="let the learning rate fall to zero along a cosine")
    parser.add_argument("--recipe", choices=("adam", "one-cycle"), default="adam", help="how to train images (adam)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads for TensorFlow (all cores)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, no progress bar")
    group = parser.add_argument_group("the model", "defaults in brackets")
    for name, settings in FAMILY_OPTIONS.items():
        group.add_argument(f"--{name.replace('_', '-')}", **settings)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train_keras.data.load`."""
    from train_keras.data import INDONESIAN, LANGUAGES

    parser.add_argument(
        "--data", metavar="WHERE", help="'embedded', 'hub' or a folder (default: $FNET_DATA, else embedded)"
    )
    told = f"texts of NusaX from 'hub' or a folder: {', '.join(LANGUAGES)} (%(default)s)"
    parser.add_argument("--language", choices=LANGUAGES, default=INDONESIAN, metavar="NAME", help=told)
    parser.add_argument("--cache", metavar="DIR", help="keep decoded CIFAR-10 pixels in this folder")


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say: 0 when done, 1 when data or training fail, 2 for arguments that do not fit."""
    from train_keras import data
    from train_keras.errors import DataError, RunLocked, RunMismatch, TrainingDiverged
    from train_keras.quiet import import_keras

    try:
        config = _config(args)
    except (TypeError, ValueError) as error:
        log.error("%s", error)
        return 2
    folder = args.out
    try:
        loaded = data.load(config.options.kind, args.data, args.cache, args.language)
        import_keras(args.threads)  # takes seconds: after all checks that do not need it
        from train_keras import train

        folder = args.out or f"runs/{args.family}-{loaded.name}-seed{args.seed}"
        with Bar(shown=not args.json) as bar:
            result = train.train(config, loaded, folder, on_step=bar.step, on_epoch=bar.epoch)
    except (DataError, RunLocked, RunMismatch, TrainingDiverged) as error:
        log.error("%s: %s", type(error).__name__, error)
        return 1
    except OSError as error:
        log.error("%s, in %s. What was written last is kept: mend it and run this again", error, folder)
        return 1
    except KeyboardInterrupt:
        log.error("stopped. What was written last is kept in %s: run this again to go on", folder)
        return 130
    _tell(result, args.json)
    return 0


def _config(args: argparse.Namespace) -> Config:
    """The configuration to train. Raises TypeError or ValueError for arguments that do not fit the family."""
    from train_keras.architectures import options
    from train_keras.config import Config

    given = {name: getattr(args, name) for name in FAMILY_OPTIONS if getattr(args, name) is not None}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Config(
        family=args.family,
        options=options(args.family, **given),
        epochs=EPOCHS[args.family] if args.epochs is None else args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        seed=args.seed,
        patience=args.patience,
        decay=args.decay,
        average=args.average,
        recipe=args.recipe,
    )


def _tell(result: Result, as_json: bool) -> None:
    best = result.history[result.best_epoch - 1]
    if as_json:
        told = {"model": str(result.model_file), "best_epoch": result.best_epoch, "history": result.history}
        print(json.dumps(told))
        return
    print(
        f"{result.model_file}: epoch {result.best_epoch} of {len(result.history)}, validation loss "
        f"{best['val_loss']:.4f}, accuracy {best['val_accuracy']:.4f}, macro-F1 {best['val_macro_f1']:.4f}"
    )


class Bar:
    """A progress bar over all epochs with the loss next to it, and a line for each epoch."""

    def __init__(self, shown: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True, quiet=not shown)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=self.console, transient=True)
        self.task = self.progress.add_task("starting", total=None)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def step(self, step: Step) -> None:
        """Move the bar."""
        self.progress.update(
            self.task,
            description=f"epoch {step.epoch}/{step.epochs}  loss {step.loss:.4f}",
            total=step.epochs * step.batches,
            completed=(step.epoch - 1) * step.batches + step.batch,
        )

    def epoch(self, record: dict[str, float]) -> None:
        """One line with the numbers of an epoch."""
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in ("epoch", "seconds"))
        self.console.print(f"epoch {record['epoch']:.0f}  {numbers}  {record['seconds']:.1f} s", highlight=False)


def main(argv: list[str] | None = None) -> int:
    """The same as `fnet train`."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="fnet train")
    add_arguments(parser)
    return run(parser.parse_args(argv))
