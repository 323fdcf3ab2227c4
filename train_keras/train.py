"""Training: Adam on sparse categorical cross-entropy, the same to the bit however often it is interrupted.

What happens in an epoch depends on the state at its start and on (seed, epoch) alone: the order of the rows
and the seed of every dropout are drawn from these two. After each epoch the whole state (weights, Adam's
moments, history) is in the run's folder (`train_keras.run_folder`). So a process killed at any moment is resumed by
running it again.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score

from train_keras.config import Config
from train_keras.data import Data, Split
from train_keras.errors import TrainingDiverged, rows
from train_keras.run_folder import (
    MODEL,
    checkpoint_file,
    drop_checkpoints,
    load_state,
    locked,
    write_checkpoint,
    write_result,
)
from train_keras.validation import validate

__all__ = ["Config", "Result", "Step", "evaluate", "forget", "probabilities", "tensor", "train"]

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Step:
    """How far a run is: for progress bars."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, the saved model, one record an epoch, the epoch whose weights were kept."""

    folder: Path
    history: list[dict[str, float]]
    best_epoch: int

    @property
    def model_file(self) -> Path:
        """The `.keras` file."""
        return self.folder / MODEL


def train(
    config: Config,
    data: Data,
    folder: str | Path,
    *,
    on_step: Callable[[Step], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Result:
    """Train, or take up again, the run in `folder`; a finished one is returned as it is.

    Without patience the weights of the last epoch are kept; with it, training stops after so many epochs
    without a lower validation loss, and the best epoch's weights are kept.

    Raises DataError before anything is trained, RunMismatch for a folder with another run, RunLocked for one
    in use, TrainingDiverged when the loss is no finite number.
    """
    validate(data)
    if config.options.kind != data.kind:
        raise ValueError(f"{config.family} takes {config.options.kind}; {data.name} holds {data.kind}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        state = load_state(folder, config, data)
        if not state["finished"]:
            _epochs(config, data, folder, state, on_step, on_epoch)
            write_result(config, folder, state)
        drop_checkpoints(folder, set())
        return Result(folder, state["history"], config.best_epoch(state["history"]))


def _epochs(
    config: Config,
    data: Data,
    folder: Path,
    state: dict[str, Any],
    on_step: Callable[[Step], None] | None,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> None:
    model = _traced(_restored(config, data, folder, state), config, data)
    history = state["history"]
    while len(history) < config.epochs and not config.stops_after(history):
        epoch, started = len(history) + 1, time.monotonic()
        record = {"epoch": epoch, **_train_epoch(model, config, data.train, epoch, on_step)}
        record |= {f"val_{name}": value for name, value in evaluate(model, data.valid).items()}
        record["seconds"] = round(time.monotonic() - started, 3)
        history.append(record)
        write_checkpoint(model, config, folder, state)
        if on_epoch is not None:
            on_epoch(record)


def _restored(config: Config, data: Data, folder: Path, state: dict[str, Any]) -> keras.Model:
    """The model as it was after the last whole epoch, or a new one."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    if state["history"]:
        return keras.saving.load_model(folder / checkpoint_file(len(state["history"])))
    model = config.options.build(data.train.x, len(data.classes))
    rate = config.learning_rate
    if config.decay:
        steps = config.epochs * math.ceil(len(data.train) / config.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    # XLA is left out: it cannot run strings, and compiles longer than a small run trains.
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    return model


_TRACED: dict[tuple[Config, str], keras.Model] = {}


def _traced(model: keras.Model, config: Config, data: Data) -> keras.Model:
    """The first model of this configuration, whatever its seed, in the state of `model`.

    To trace a recurrent model takes as long as several of its epochs; this process does it once for all seeds.
    """
    first = _TRACED.setdefault((dataclasses.replace(config, seed=0), data.fingerprint), model)
    if first is not model:
        state, kept = ([*m.variables, *m.optimizer.variables] for m in (model, first))
        for variable, value in zip(kept, state, strict=True):
            variable.assign(value)
    return first


def forget() -> None:
    """Let go of the models that were traced: for a process that trains on many data sets."""
    _TRACED.clear()
    keras.utils.clear_session()


def _train_epoch(
    model: keras.Model,
    config: Config,
    split: Split,
    epoch: int,
    on_step: Callable[[Step], None] | None,
) -> dict[str, float]:
    """One pass over the rows in an order, and with dropouts, that (seed, epoch) decides."""
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(split))
    for variable in model.variables:
        if "seed_generator_state" in variable.path:
            variable.assign(rng.integers(0, 2**31, variable.shape).astype("uint32"))
    batches = math.ceil(len(order) / config.batch_size)
    totals = {"loss": 0.0, "accuracy": 0.0}
    for batch in range(batches):
        taken = order[batch * config.batch_size : (batch + 1) * config.batch_size]
        logs = model.train_on_batch(tensor(split.x[taken]), tensor(split.y[taken]), return_dict=True)
        if not math.isfinite(logs["loss"]):
            raise TrainingDiverged(
                f"loss {logs['loss']} at epoch {epoch}, batch {batch + 1} of {batches} ({rows(taken)}); "
                "lower the learning rate. The checkpoint of the epoch before is intact"
            )
        totals = {name: total + float(logs[name]) * len(taken) for name, total in totals.items()}
        if on_step is not None:
            on_step(Step(epoch, config.epochs, batch + 1, batches, float(logs["loss"])))
    return {name: total / len(order) for name, total in totals.items()}


def tensor(x: Any) -> Any:
    """Rows as Keras takes them; strings have to be TensorFlow's own."""
    return tf.constant(list(x) if x.dtype == object else x)


def probabilities(model: keras.Model, x: Any) -> Any:
    """What the model gives for all rows, float32 (rows, classes)."""
    starts = range(0, len(x), EVALUATION_BATCH)
    return np.concatenate([model.predict_on_batch(tensor(x[i : i + EVALUATION_BATCH])) for i in starts])


def evaluate(model: keras.Model, split: Split) -> dict[str, float]:
    """Loss, accuracy and macro-F1 on a split."""
    y = np.asarray(probabilities(model, split.x), np.float64)
    right = np.clip(y[np.arange(len(y)), split.y], keras.config.epsilon(), 1)
    predicted = y.argmax(axis=1)
    return {
        "loss": float(-np.log(right).mean()),
        "accuracy": float((predicted == split.y).mean()),
        "macro_f1": float(f1_score(split.y, predicted, average="macro", zero_division=0)),
    }
