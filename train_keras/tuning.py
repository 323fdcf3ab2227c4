"""Repeated cross-validation over the training and validation rows of a data set: how settings are chosen.

The test split is not read. Each part of the rows is scored by a model that trained on all the others, after every
epoch, with the weights of the last step and with their moving average: one pass shows how many epochs are best, and
what the averaging is worth. `python -m train_keras.tuning LABEL... --data DIR --rows FILE` appends a row for each
setting of `train_keras.settings` and repeat that is not yet in FILE; docs/choices.md is made from those rows.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from train_keras.arrangement import both
from train_keras.code import code
from train_keras.quiet import import_keras

if TYPE_CHECKING:
    from train_keras.config import Config
    from train_keras.data import Data

WEIGHTS = ("last", "average")


def folds(data: Data, parts: int, repeat: int) -> Iterator[tuple[Data, Any]]:
    """(data with the other parts as training split, row numbers of this part); training rows come before validation."""
    rows = both(data)
    for others, scored in StratifiedKFold(parts, shuffle=True, random_state=repeat).split(rows.y, rows.y):
        train, held = (dataclasses.replace(rows, x=rows.x[i], y=rows.y[i]) for i in (others, scored))
        yield dataclasses.replace(data, train=train, valid=held), scored


def score(config: Config, data: Data, parts: int, repeat: int, members: int = 1) -> dict[str, list[dict[str, float]]]:
    """{"last", "average": a record of loss, accuracy and macro-F1 for each epoch}, over all rows once.

    members: how many seeds train; the mean of their probabilities is scored.
    """
    from train_keras import train

    used, y = WEIGHTS if config.average else WEIGHTS[:1], both(data).y
    predicted = {name: np.zeros((config.epochs, len(y), len(data.classes))) for name in used}
    for (fold, rows), member in itertools.product(folds(data, parts, repeat), range(members)):
        config = dataclasses.replace(config, seed=repeat + 1000 * member, rows="official", patience=None)
        model = train.new(config, fold)
        reader = train.reader_of(model)
        split, held = (train.read(reader, s) for s in (fold.train, fold.valid))
        _, part = train.traced(model, config, ",".join(str(v.shape) for v in model.variables))
        for epoch in range(config.epochs):
            train.train_epoch(part, config, split, epoch + 1, None)
            for name in used:
                with train.averaged(part) if name == "average" else contextlib.nullcontext():
                    predicted[name][epoch, rows] += train.probabilities(part, held.x) / members
    return {name: [train.scores(p, y) for p in found] for name, found in predicted.items()}


def named(label: str, members: int) -> str:
    """The name of a setting in its rows; for an ensemble it includes the number of seeds."""
    return label if members == 1 else f"{members} x {label}"


def row(label: str, config: Config, data: Data, parts: int, repeat: int, members: int = 1) -> dict[str, Any]:
    """A setting scored once: the result of `score`, with the configuration, the data and the versions."""
    from train_keras.run_folder import identity

    started = time.monotonic()
    scored = score(config, data, parts, repeat, members)
    about = {key: value for key, value in identity(config, data).items() if key not in ("seed", "rows", "patience")}
    seconds = round(time.monotonic() - started, 1)
    known = {"setting": named(label, members), "repeat": repeat, "parts": parts, **about}
    return {**known, "code": code(), "seconds": seconds, "scores": scored}


def done(rows: Path) -> list[dict[str, Any]]:
    """The rows of a file; none if there is no file."""
    return [json.loads(line) for line in rows.read_text("utf-8").splitlines()] if rows.exists() else []


def main(argv: list[str] | None = None) -> int:
    """Score what is missing, repeat by repeat."""
    from train_keras.settings import SETTINGS

    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m train_keras.tuning", description=__doc__)
    parser.add_argument("labels", nargs="+", metavar="LABEL", help=f"all, or of: {', '.join(SETTINGS)}")
    parser.add_argument("--data", metavar="WHERE", help="'embedded', 'hub' or a folder (default: $FNET_DATA)")
    parser.add_argument("--rows", type=Path, required=True, metavar="FILE", help="where the rows are, .jsonl")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="parts of the rows (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="other parts, other seeds (%(default)s)")
    parser.add_argument("--members", type=int, default=1, metavar="N", help="seeds of an ensemble (%(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads for TensorFlow (all cores)")
    args = parser.parse_args(argv)
    wrong = [label for label in args.labels if label != "all" and label not in SETTINGS]
    if wrong:
        parser.error(f"no setting {', '.join(wrong)}; there are all, {', '.join(SETTINGS)}")
    import_keras(args.threads)
    from train_keras.data import load

    labels = list(SETTINGS) if "all" in args.labels else args.labels
    known = {(found["setting"], found["repeat"]) for found in done(args.rows)}
    for repeat in range(args.repeats):
        for label in labels:
            if (named(label, args.members), repeat) not in known:
                config = SETTINGS[label]
                found = row(label, config, load(config.options.kind, args.data), args.folds, repeat, args.members)
                with args.rows.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found, separators=(",", ":")) + "\n")
                weights = WEIGHTS[bool(config.average)]
                best = max(found["scores"][weights], key=lambda e: e["macro_f1"])
                told = found["setting"], repeat, best["macro_f1"], found["seconds"]
                logging.info("%s, repeat %d: %.4f at best, %.0f s", *told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
