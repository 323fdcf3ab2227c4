"""Training: Adam on sparse categorical cross-entropy, the same to the bit however often it is interrupted.

What happens in an epoch depends on the state at its start and on (seed, epoch) alone: the order of the rows
and the seed of every dropout are drawn from these two. After each epoch the whole state (weights, Adam's
moments, history) is written beside the last one, and only then named in `state.json`; a file appears under its name by
rename when it is complete. So a process killed at any moment is resumed by running it again.

A run's folder holds `state.json` and the checkpoints it names; when finished `model.keras` and `history.json`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import f1_score

from train_keras import models
from train_keras.data import Data, Split
from train_keras.errors import RunLocked, RunMismatch, TrainingDiverged, rows
from train_keras.validation import validate

STATE, MODEL, HISTORY, LOCK = "state.json", "model.keras", "history.json", "lock"
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run gives, besides the data.

    patience: None trains all epochs. decay: the learning rate falls to zero along half a cosine.
    """

    family: str
    options: models.Options
    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    seed: int = 0
    patience: int | None = None
    decay: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or (self.patience is not None and self.patience < 1):
            raise ValueError(f"epochs, batch_size and patience must be at least 1: {self}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0) or self.seed < 0:
            raise ValueError(f"the learning rate must be positive and finite, the seed not negative: {self}")


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
        state = _state(folder, config, data)
        if not state["finished"]:
            _epochs(config, data, folder, state, on_step, on_epoch)
            _finish(config, folder, state)
        _drop_checkpoints(folder, set())
        return Result(folder, state["history"], _best(config, state["history"]))


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
    while len(history) < config.epochs and not _stopped(config, history):
        epoch, started = len(history) + 1, time.monotonic()
        record = {"epoch": epoch, **_train_epoch(model, config, data.train, epoch, on_step)}
        record |= {f"val_{name}": value for name, value in evaluate(model, data.valid).items()}
        record["seconds"] = round(time.monotonic() - started, 3)
        history.append(record)
        _checkpoint(model, config, folder, state)
        if on_epoch is not None:
            on_epoch(record)


def _restored(config: Config, data: Data, folder: Path, state: dict[str, Any]) -> keras.Model:
    """The model as it was after the last whole epoch, or a new one."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    if state["history"]:
        return keras.saving.load_model(folder / _checkpoint_name(len(state["history"])))
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


# --- what is on disk -------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it when the process ends, however it ends."""
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunLocked(f"another process trains in {folder}; wait for it, or use another folder") from None
    try:
        yield
    finally:
        lock.release()


def identity(config: Config, data: Data) -> dict[str, Any]:
    """What must be equal for a run to be taken up again, as it looks after a round trip through JSON."""
    described = {**dataclasses.asdict(config), "data": data.name, "data_sha256": data.fingerprint}
    described |= {"keras": keras.__version__, "tensorflow": tf.__version__}
    loaded: dict[str, Any] = json.loads(json.dumps(described))
    return loaded


def _state(folder: Path, config: Config, data: Data) -> dict[str, Any]:
    """The state of the run in `folder`, a fresh one where there is none."""
    run = identity(config, data)
    file = folder / STATE
    if not file.exists():
        return {"run": run, "history": [], "finished": False}
    state: dict[str, Any] = json.loads(file.read_text("utf-8"))
    differing = [key for key in run if state["run"].get(key) != run[key]]
    if differing:
        changes = "; ".join(f"{key} was {state['run'].get(key)!r}, now {run[key]!r}" for key in differing)
        raise RunMismatch(f"{folder} holds another run: {changes}. Use another folder, or delete this one")
    return state


def _checkpoint(model: keras.Model, config: Config, folder: Path, state: dict[str, Any]) -> None:
    """Write the model, then the state that names it, then drop what is no longer named."""
    history = state["history"]
    _save(model, folder / _checkpoint_name(len(history)))
    write_json(folder / STATE, state)
    kept = {_checkpoint_name(len(history)), _checkpoint_name(_best(config, history))}
    _drop_checkpoints(folder, kept)


def _finish(config: Config, folder: Path, state: dict[str, Any]) -> None:
    best = _best(config, state["history"])
    source, part = folder / _checkpoint_name(best), folder / f"part-{MODEL}"
    part.write_bytes(source.read_bytes())
    _commit(part, folder / MODEL)
    write_json(folder / HISTORY, {"run": state["run"], "best_epoch": best, "history": state["history"]})
    state["finished"] = True
    write_json(folder / STATE, state)


def _checkpoint_name(epoch: int) -> str:
    return f"epoch-{epoch:04d}.keras"


def _drop_checkpoints(folder: Path, kept: set[str]) -> None:
    for file in [*folder.glob("epoch-*.keras"), *folder.glob("part-*")]:
        if file.name not in kept:
            file.unlink()


def _save(model: keras.Model, path: Path) -> None:
    part = path.with_name(f"part-{path.name}")
    model.save(part)
    _commit(part, path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is there under its name only when it is complete."""
    part = path.with_name(f"part-{path.name}")
    part.write_text(json.dumps(value, indent=1), "utf-8")
    _commit(part, path)


def _commit(part: Path, path: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


# --- early stopping: a function of the history, so that a resumed run decides the same --------------


def _best(config: Config, history: list[dict[str, float]]) -> int:
    """The epoch whose weights are kept: the last, or with patience the first of lowest validation loss."""
    if config.patience is None:
        return len(history)
    losses = [record["val_loss"] for record in history]
    return losses.index(min(losses)) + 1


def _stopped(config: Config, history: list[dict[str, float]]) -> bool:
    if config.patience is None or not history:
        return False
    return len(history) - _best(config, history) >= config.patience
