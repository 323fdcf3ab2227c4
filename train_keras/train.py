"""Training: a recipe (`train_keras.config`) on cross-entropy, the same to the bit however often it is interrupted.

An epoch depends only on the state at its start and on (seed, epoch): the order of the rows, the shifts of images and
the seed of every dropout are drawn from these two. After each epoch the whole state (weights, optimizer, history) is in
the run's folder (`train_keras.run_folder`). So a process killed at any moment is resumed by running it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score

from train_keras import models
from train_keras.arrangement import arranged
from train_keras.config import Config
from train_keras.data import Data, Split, validate
from train_keras.errors import TrainingDiverged, rows
from train_keras.locks import locked
from train_keras.run_folder import MODEL, checkpoint_file, drop_checkpoints, load_state, write_checkpoint, write_result

__all__ = ["Config", "Result", "Step", "evaluate", "forget", "probabilities", "tensor", "train"]

EVALUATION_BATCH = 256
CHECKPOINT_SECONDS = 30.0
"""Seconds between checkpoints, which a kill may cost. With patience every epoch is written: any may be the best."""


@dataclass(frozen=True)
class Step:
    """The progress of a run, for progress bars."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, the saved model, a record for each epoch, the epoch whose weights were kept."""

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
    """Train, or resume, the run in `folder`; a finished one is returned as it is.

    Without patience the weights of the last epoch are kept; with it, training stops after that many epochs
    without a lower validation loss, and the best epoch's weights are kept.

    Raises DataError before anything is trained, RunMismatch for a folder with another run, RunLocked for one
    in use, TrainingDiverged when the loss is not finite.
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
            write_result(config, folder, state, averaged if config.average else None)
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
    whole, model = traced(_restored(config, data, folder, state), config, data.fingerprint)
    reader = reader_of(whole)
    split, held = arranged(data, config.rows)
    split, held = read(reader, split), held and read(reader, held)
    history, kept = state["history"], time.monotonic()
    while len(history) < config.epochs and not config.stops_after(history):
        epoch, started = len(history) + 1, time.monotonic()
        record = {"epoch": epoch, **train_epoch(model, config, split, epoch, on_step)}
        if held:
            with averaged(model) if config.average else contextlib.nullcontext():
                record |= {f"val_{name}": value for name, value in evaluate(model, held).items()}
        record["seconds"] = round(time.monotonic() - started, 3)
        history.append(record)
        ends = len(history) == config.epochs
        if config.patience is not None or ends or time.monotonic() - kept > CHECKPOINT_SECONDS:
            write_checkpoint(whole, config, folder, state)
            kept = time.monotonic()
        if on_epoch is not None:
            on_epoch(record)


def _restored(config: Config, data: Data, folder: Path, state: dict[str, Any]) -> keras.Model:
    """The model as it was after the last whole epoch, or a new one."""
    if state["history"]:
        return keras.saving.load_model(folder / checkpoint_file(len(state["history"])))
    return new(config, data)


def new(config: Config, data: Data) -> keras.Model:
    """The model of a configuration, ready to train on its rows of the data."""
    keras.utils.set_random_seed(config.seed)
    split, _ = arranged(data, config.rows)
    model = models.build(config.options, split.x, len(data.classes))
    _compile(model, _optimizer(config, config.epochs * math.ceil(len(split) / config.batch_size)), config)
    model.optimizer.build(model.trainable_variables)
    return model


def _optimizer(config: Config, steps: int) -> keras.Optimizer:
    """The optimizer of a recipe for this many steps."""
    falling, rate = keras.optimizers.schedules.CosineDecay, config.learning_rate
    average = {"use_ema": True, "ema_momentum": config.average} if config.average else {}
    if config.recipe == "adam":
        return keras.optimizers.Adam(falling(rate, steps) if config.decay else rate, **average)
    climb = math.ceil(steps / 5)
    cycle = falling(0.0, max(1, steps - climb), warmup_target=rate, warmup_steps=climb)
    return keras.optimizers.SGD(cycle, momentum=0.9, nesterov=True, weight_decay=0.005, **average)


def _compile(model: keras.Model, optimizer: keras.Optimizer, config: Config) -> None:
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    loss = "sparse_categorical_crossentropy" if config.recipe == "adam" else smoothed
    # No XLA: compiling takes longer than a small run.
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)


_TRACED: dict[tuple[Config, str], tuple[keras.Model, keras.Model]] = {}


def traced(model: keras.Model, config: Config, shapes: str) -> tuple[keras.Model, keras.Model]:
    """(a model of this configuration and these shapes in the state of `model`, the part of it that trains).

    It is the first such model in this process, whatever its seed: tracing a recurrent model takes as long as several
    of its epochs. The part that trains comes after the layers that read strings, whose outputs are the same in every
    epoch and are computed once.
    """
    tf.config.experimental.enable_op_determinism()  # for a model from a checkpoint as well
    key = (dataclasses.replace(config, seed=0), shapes)
    if key not in _TRACED:
        _TRACED[key] = (model, _after_reading(model, config))
    first, part = _TRACED[key]
    if first is not model:
        state, kept = ([*m.variables, *m.optimizer.variables] for m in (model, first))
        for variable, value in zip(kept, state, strict=True):
            variable.assign(value)
    return first, part


def forget() -> None:
    """Forget the traced models, in a process that trains on many data sets."""
    _TRACED.clear()
    keras.utils.clear_session()


def _after_reading(model: keras.Model, config: Config) -> keras.Model:
    """The layers after those that read strings, with the same optimizer; the model itself if none does."""
    _, read, y = _ends(model)
    if not read:
        return model
    part = keras.Model(read, y)
    _compile(part, model.optimizer, config)
    return part


def reader_of(model: keras.Model) -> keras.Model | None:
    """The layers that read strings, or None."""
    x, read, _ = _ends(model)
    return keras.Model(x, read) if read else None


def _ends(model: keras.Model) -> tuple[Any, list[Any], Any]:
    """(inputs, outputs of the layers that read strings, output) in one graph."""
    x, y = model.inputs, model.outputs[0]
    readers = [layer for layer in model.layers if isinstance(layer, keras.layers.TextVectorization)]
    if not readers or not isinstance(model, keras.Sequential):
        return x, [layer.output for layer in readers], y
    # the layers of a Sequential from a file were called before it was built: their outputs are not in its graph
    first, *rest = model.layers
    x = keras.Input(x[0].shape[1:], dtype=x[0].dtype)
    read = y = first(x)
    for layer in rest:
        y = layer(y)
    return x, [read], y


def read(reader: keras.Model | None, split: Split) -> Split:
    """The rows after the layers of `reader`."""
    if reader is None:
        return split
    found = reader.predict_on_batch(tensor(split.x))
    return dataclasses.replace(split, x=found if isinstance(found, list) else [found])


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Put the moving averages of the weights in their place for the block."""
    optimizer, weights = model.optimizer, model.trainable_variables
    last = [weight.numpy() for weight in weights]
    optimizer.finalize_variable_values(weights)
    try:
        yield
    finally:
        for weight, value in zip(weights, last, strict=True):
            weight.assign(value)


def train_epoch(
    model: keras.Model, config: Config, split: Split, epoch: int, on_step: Callable[[Step], None] | None
) -> dict[str, float]:
    """One pass over the rows; (seed, epoch) determines their order and the dropouts."""
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(split))
    for variable in model.variables:
        if "seed_generator_state" in variable.path:
            variable.assign(rng.integers(0, 2**31, variable.shape).astype("uint32"))
    batches = math.ceil(len(order) / config.batch_size)
    totals = {"loss": 0.0, "accuracy": 0.0}
    for batch in range(batches):
        taken = order[batch * config.batch_size : (batch + 1) * config.batch_size]
        if config.recipe == "adam":
            x, y = taken_of(split.x, taken), tensor(split.y[taken])
        else:
            x, y = tensor(moved(split.x[taken], rng)), tf.one_hot(split.y[taken], model.output_shape[-1])
        logs = model.train_on_batch(x, y, return_dict=True)
        if not math.isfinite(logs["loss"]):
            raise TrainingDiverged(
                f"loss {logs['loss']} at epoch {epoch}, batch {batch + 1} of {batches} ({rows(taken)}); "
                "lower the learning rate. The checkpoint of the epoch before is intact"
            )
        totals = {name: total + float(logs[name]) * len(taken) for name, total in totals.items()}
        if on_step is not None:
            on_step(Step(epoch, config.epochs, batch + 1, batches, float(logs["loss"])))
    return {name: total / len(order) for name, total in totals.items()}


def moved(images: Any, rng: np.random.Generator) -> Any:
    """Images (n, height, width, channels), half mirrored, shifted by up to 4 pixels with reflection at the edges."""
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    down, right = rng.integers(0, 9, (2, n, 1))
    columns = np.where(rng.random((n, 1)) < 0.5, np.arange(width), np.arange(width)[::-1])
    return padded[np.arange(n)[:, None, None], (down + np.arange(height))[:, :, None], (right + columns)[:, None]]


def tensor(x: Any) -> Any:
    """Rows for Keras; strings must be a tensor of TensorFlow."""
    return tf.constant(list(x) if x.dtype == object else x)


def taken_of(x: Any, rows: Any) -> Any:
    """Some rows of one input, or of each of a list of inputs."""
    return [tensor(a[rows]) for a in x] if isinstance(x, list) else tensor(x[rows])


def probabilities(model: keras.Model, x: Any) -> Any:
    """The outputs of the model for all rows, float32 (rows, classes)."""
    count = len(x[0]) if isinstance(x, list) else len(x)
    parts = (slice(i, i + EVALUATION_BATCH) for i in range(0, count, EVALUATION_BATCH))
    return np.concatenate([model.predict_on_batch(taken_of(x, rows)) for rows in parts])


def evaluate(model: keras.Model, split: Split) -> dict[str, float]:
    """Loss, accuracy and macro-F1 on a split."""
    return scores(probabilities(model, split.x), split.y)


def scores(y: Any, labels: Any) -> dict[str, float]:
    """Loss, accuracy and macro-F1 of probabilities (rows, classes)."""
    y = np.asarray(y, np.float64)
    right = np.clip(y[np.arange(len(y)), labels], keras.config.epsilon(), 1)
    predicted = y.argmax(axis=1)
    return {
        "loss": float(-np.log(right).mean()),
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
    }
