"""Cross-validation over the training and validation rows of a data set: how settings are chosen.

The test split is not read. Each part of the rows is scored once, by a model that trained on the others but for some
that decide when it stops. `python -m train_keras.tuning rnn.designed lstm.designed --data DIR` scores every
configuration of some studies: the macro-F1 and the loss of all rows, each predicted by the model that did not see it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

from train_keras.quiet import import_keras

if TYPE_CHECKING:
    from train_keras.config import Config
    from train_keras.data import Data


def folds(data: Data, parts: int, repeat: int) -> Iterator[tuple[Data, Any]]:
    """(data to train on, the rows of its test split): as many parts, drawn from the training and validation rows.

    Rows are numbered through training, then validation; as many decide when to stop as the validation split has.
    """
    from train_keras.data import Split

    x, y = (np.concatenate([getattr(s, a) for s in (data.train, data.valid)]) for a in ("x", "y"))
    splits = StratifiedKFold(parts, shuffle=True, random_state=repeat).split(y, y)
    for i, (others, scored) in enumerate(splits):
        others = np.random.default_rng((repeat, i)).permutation(others)
        kept = len(data.valid)
        train, valid, test = (Split(x[rows], y[rows]) for rows in (others[kept:], others[:kept], scored))
        yield dataclasses.replace(data, train=train, valid=valid, test=test), scored


def score(config: Config, data: Data, parts: int, repeat: int) -> dict[str, float]:
    """Macro-F1 and loss over all rows, and the mean number of the epoch whose weights were kept."""
    import keras

    from train_keras import train

    y = np.concatenate([data.train.y, data.valid.y])
    predicted, epochs = np.zeros((len(y), len(data.classes))), []
    for fold, rows in folds(data, parts, repeat):
        with tempfile.TemporaryDirectory(prefix="fnet-tuning-") as folder:
            result = train.train(dataclasses.replace(config, seed=repeat), fold, folder)
            predicted[rows] = train.probabilities(keras.saving.load_model(result.model_file), fold.test.x)
        epochs.append(result.best_epoch)
        train.forget()
    right = np.clip(predicted[np.arange(len(y)), y], keras.config.epsilon(), 1)
    f1 = f1_score(y, predicted.argmax(axis=1), average="macro", zero_division=0)
    return {"macro_f1": float(f1), "loss": float(-np.log(right).mean()), "epoch": float(np.mean(epochs))}


def main(argv: list[str] | None = None) -> int:
    """One line a configuration and repeat."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.tuning", description=__doc__)
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="names from `fnet study list`")
    parser.add_argument("--data", metavar="WHERE", help="'embedded', 'hub' or a folder (default: $FNET_DATA)")
    parser.add_argument("--folds", type=int, default=6, metavar="N", help="parts of the rows (%(default)s)")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="other parts, other seeds (%(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads for TensorFlow (all cores)")
    args = parser.parse_args(argv)
    import_keras(args.threads)
    from train_keras.data import load
    from train_keras.studies import STUDIES, run_name

    configs = {run_name(c): c for name in args.studies for c in STUDIES[name].variants.values()}
    for name, config in configs.items():
        for repeat in range(args.repeats):
            found = score(config, load(config.options.kind, args.data), args.folds, repeat)
            numbers = "  ".join(f"{key} {value:.4f}" for key, value in found.items())
            sys.stdout.write(f"{name}  repeat {repeat}  {numbers}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
