"""The folder of a run: `state.json` and the checkpoints it names; when finished, `model.keras` and `history.json`.

A complete file gets its name by a rename, and a checkpoint is written before the state that names it, so the folder is
consistent whenever the process dies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from train_keras.config import Config
from train_keras.data import Data
from train_keras.errors import RunMismatch
from train_keras.whole import whole

STATE, MODEL, HISTORY = "state.json", "model.keras", "history.json"


def identity(config: Config, data: Data) -> dict[str, Any]:
    """What must be equal to resume a run, in the form after a round trip through JSON."""
    described = {**dataclasses.asdict(config), "data": data.name, "data_sha256": data.fingerprint}
    described |= {"keras": keras.__version__, "tensorflow": tf.__version__}
    loaded: dict[str, Any] = json.loads(json.dumps(described))
    return loaded


def load_state(folder: Path, config: Config, data: Data) -> dict[str, Any]:
    """The state of the run in `folder`, or a new one."""
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


def write_checkpoint(model: keras.Model, config: Config, folder: Path, state: dict[str, Any]) -> None:
    """Write the model, then the state that names it, then delete checkpoints that are no longer named."""
    history = state["history"]
    with whole(folder / checkpoint_file(len(history))) as part:
        model.save(part)
    write_json(folder / STATE, state)
    kept = {checkpoint_file(len(history)), checkpoint_file(config.best_epoch(history))}
    drop_checkpoints(folder, kept)


def write_result(
    config: Config,
    folder: Path,
    state: dict[str, Any],
    averaged: Callable[[keras.Model], contextlib.AbstractContextManager[None]] | None,
) -> None:
    """Write the model and the history of a finished run, then that it is finished.

    averaged: None writes the weights as they are; otherwise it puts the weights to write into the model.
    """
    best = config.best_epoch(state["history"])
    checkpoint = folder / checkpoint_file(best)
    with whole(folder / MODEL) as part:
        if averaged is None:
            part.write_bytes(checkpoint.read_bytes())
        else:
            model = keras.saving.load_model(checkpoint)
            with averaged(model):
                model.save(part)
    write_json(folder / HISTORY, {"run": state["run"], "best_epoch": best, "history": state["history"]})
    state["finished"] = True
    write_json(folder / STATE, state)


def checkpoint_file(epoch: int) -> str:
    """The name of the model after an epoch."""
    return f"epoch-{epoch:04d}.keras"


def drop_checkpoints(folder: Path, kept: set[str]) -> None:
    """Delete all checkpoints except those in `kept`, and partly written files."""
    for file in [*folder.glob("epoch-*.keras"), *folder.glob("part-*")]:
        if file.name not in kept:
            file.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file; it appears under its name when it is complete."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=1), "utf-8")
