"""The page about the choice of settings of the text models, from the rows of `train_keras.tuning`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compare.studies.document import Block, Heading, Page, Table, Text, Verdict
from train_keras.settings import CHOSEN, CHOSEN_OVER, PARTS, SETTINGS
from train_keras.studies import STUDIES

TUNING, SEARCH = "tuning.jsonl", "search.jsonl"
REPEATS = 5

METHOD = """The settings of the text models are chosen on the 600 training and validation texts alone, by repeated
cross-validation: in each repeat the texts are divided anew into five parts, each part is scored by a model that trained
on the other 480 texts, and a score is of all 600 texts once. After every epoch both the weights of the last step and
their moving average are scored, so that one pass says how many epochs are best and what the averaging is worth. The
setting and the number of epochs with the highest mean macro-F1 are taken; the test split has no part in it."""

SEARCHED = """Designs of one cost, the multiply-adds of an image times images times epochs: 1.00 is 46 million
millions, about what two cores of a CPU do in half an hour. The 40,000 training images trained on a GPU (search.jsonl
has the curves and the versions, search.py.txt is the script), and the 10,000 validation images were scored; the file
with the test images was not on that machine. Every row is one seed, so that differences of 0.005 are nothing. A
design is written as its steps: c64 is a 3 x 3 convolution of 64 filters, batch normalization and relu; q64 pools
before it normalizes; r64 is two convolutions beside a shortcut; p pools; g and G are the mean and the maximum over
the image; d20 is a dropout of 20%. Images are mirrored and shifted by whole pixels. “Averaged” is the moving average
of the weights; “mirrored too” is the mean over an image and its mirror image, which no model here does."""


@dataclass(frozen=True)
class Scored:
    """A setting over its repeats, at its best epoch: means over repeats, standard error of the mean of macro-F1.

    by_epoch: {weights: macro-F1, repeats x epochs}.
    """

    label: str
    family: str
    repeats: int
    epoch: int
    macro_f1: float
    error: float
    loss: float
    last: float
    by_epoch: dict[str, np.ndarray]


def kept(folder: Path, name: str = TUNING) -> list[dict[str, Any]]:
    """The rows of the tuning tool, or of the search, in a results folder."""
    path = folder / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def scored(rows: Sequence[dict[str, Any]]) -> list[Scored]:
    """Every setting at its best epoch, the best setting first."""
    found = []
    for label in dict.fromkeys(row["setting"] for row in rows):
        mine = sorted((row for row in rows if row["setting"] == label), key=lambda row: row["repeat"])
        by_epoch = {
            weights: np.array([[epoch["macro_f1"] for epoch in row["scores"][weights]] for row in mine])
            for weights in mine[0]["scores"]
        }
        name = "average" if "average" in by_epoch else "last"
        best = int(by_epoch[name].mean(axis=0).argmax())
        f1, last = by_epoch[name][:, best], by_epoch["last"][:, best]
        loss = float(np.mean([row["scores"][name][best]["loss"] for row in mine]))
        means = float(f1.mean()), _error(f1), loss, float(last.mean())
        found.append(Scored(label, mine[0]["family"], len(mine), best + 1, *means, by_epoch))
    return sorted(found, key=lambda one: -one.macro_f1)


def page(rows: Sequence[dict[str, Any]], searched: Sequence[dict[str, Any]] = ()) -> Page:
    """The page: what was compared and what was chosen, of the settings of text models and the designs for images."""
    blocks: list[Block] = [Text(METHOD)]
    settings = scored(rows)
    repeats = {one.label: one.repeats for one in settings}
    short = [label for label in SETTINGS if repeats.get(label, 0) < REPEATS]
    if not settings:
        blocks.append(Verdict(f"No cross-validation is recorded yet. Until it is, these are taken: {_taken()}."))
    elif short:
        blocks.append(Verdict(f"{len(short)} of {len(SETTINGS)} settings have fewer than {REPEATS} repeats so far."))
    else:
        blocks.append(Verdict(f"Taken: {_taken()}.", "held"))
        blocks += [Text(sentence) for sentence in (*_since(settings), _earlier(settings))]
    if settings:
        head = ("setting", "macro-F1", "standard error", "epochs", "loss", "without averaging", "repeats")
        blocks.append(Table(head, tuple(map(_line, settings))))
    if searched:
        blocks += [Heading("Images"), Text(SEARCHED), *_designs(searched)]
    return Page("choices", "How the settings were chosen", tuple(blocks))


def _designs(searched: Sequence[dict[str, Any]]) -> list[Block]:
    """A line for each design and schedule that was trained to its end, the best first; and the choice."""
    ended = sorted((row for row in searched if row["finished"]), key=lambda row: -row["last"])
    usual = {"cut": 0, "smooth": 0.1, "seed": 0}
    lines = []
    for row in ended:
        more = ", ".join(f"{name} {row[name]}" for name, value in usual.items() if row[name] != value)
        numbers = (f"{row[key]:.4f}" for key in ("last", "average", "last, flipped too"))
        how = f"{row['opt']}, rate {row['lr']:g}, decay {row['wd']:g}" + (f", {more}" if more else "")
        lines.append((row["spec"], how, *numbers, str(row["epochs"]), f"{row['cost']:.2f}"))
    head = ("design", "training", "validation", "averaged", "mirrored too", "epochs", "cost")
    taken = f"""Taken: {ended[0]["spec"]} with {lines[0][1]} (cnn.residual); 20 epochs. 25 minutes on two cores were
    aimed at: its fastest epoch took 82 s, which makes 27, and most took longer beside other work."""
    left = f"{len(searched) - len(ended)} more were cut off by the end of the machine's time and choose nothing."
    return [Verdict(taken, "held"), Table(head, tuple(lines), frozenset({0, 1})), Text(left)]


def _taken() -> str:
    grid, parts = ("; ".join(f"{label}, {epochs} epochs" for label, epochs in of.values()) for of in (CHOSEN, PARTS))
    return f"for the grid {grid}; for the parts of the designed model {parts}"


def _since(settings: Sequence[Scored]) -> list[str]:
    """The choices that rows added later would have changed, and by how much the score differs."""
    sentences, scored_of = [], {one.label: one for one in settings}
    for label, epochs in (*CHOSEN.values(), *PARTS.values()):
        taken, best = scored_of[label], next(one for one in settings if _model(one.label) == _model(label))
        if (best.label, best.epoch) != (label, epochs):
            more = best.by_epoch["average"][:, best.epoch - 1] - taken.by_epoch["average"][:, epochs - 1]
            sentences.append(
                f"The {epochs} epochs of {label} were the best of what was scored when they were chosen, over "
                f"{CHOSEN_OVER[label]} repeats, and were trained. Over all {best.repeats}, {best.epoch} epochs of "
                f"{best.label} score {more.mean():.4f} more; the standard error of that difference is "
                f"{_error(more):.4f}."
            )
    return sentences


def _earlier(settings: Sequence[Scored]) -> str:
    """The scores of the settings that were chosen before the tool existed: those of the studies that stop early."""
    early = [one for study in STUDIES.values() for one in study.variants.values() if one.patience]
    known = [(one.options, one.learning_rate, one.batch_size) for one in early]
    told = []
    for one in (one for one in settings if one.label in SETTINGS):
        config, f1 = SETTINGS[one.label], one.by_epoch["last"]
        if (config.options, config.learning_rate, config.batch_size) in known:
            best = int(f1.mean(axis=0).argmax())
            told.append(f"{one.label} {f1[:, best].mean():.4f} ({_error(f1[:, best]):.4f}) after {best + 1} epochs")
    return (
        "The studies that stop early took their settings before there was this tool. It has scored them since, at a "
        "fixed number of epochs. Without averaging, as those studies train, with the standard error: "
        f"{'; '.join(told)}."
    )


def _model(label: str) -> str:
    """The group of settings among which one is chosen: a cell of the grid, or a part of the designed model."""
    return label.partition(",")[0].removeprefix("rnn ").removeprefix("lstm ")


def _error(values: np.ndarray) -> float:
    """The standard error of a mean."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def _line(one: Scored) -> tuple[str, ...]:
    error = "–" if math.isnan(one.error) else f"{one.error:.4f}"
    return (
        one.label,
        f"{one.macro_f1:.4f}",
        error,
        str(one.epoch),
        f"{one.loss:.3f}",
        f"{one.last:.4f}",
        str(one.repeats),
    )
