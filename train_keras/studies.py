"""The studies of the report in one table: which configurations each compares, in which arm, with which seeds.

A configuration that several studies share is trained once for each seed: runs are identified by what they train.
Neither the studies nor training look at a test split.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from train_keras import architectures, settings
from train_keras.config import Config


@dataclass(frozen=True)
class Study:
    """A question and the configurations that answer it: {label: configuration of seed 0}; `seeds` of each."""

    name: str
    question: str
    arm: str
    variants: dict[str, Config]
    seeds: int

    @property
    def family(self) -> str:
        """cnn, rnn or lstm."""
        return next(iter(self.variants.values())).family


@dataclass(frozen=True)
class Run:
    """One training: a configuration with its seed, and the name of its folder and its row."""

    name: str
    config: Config


def _cnn(**changed: object) -> Config:
    return Config("cnn", architectures.options("cnn", **changed), epochs=5)


def _reported(family: str, **changed: object) -> Config:
    """The report's notebook: one direction, Dropout after every recurrent layer, 400 texts."""
    given: dict[str, object] = {"bidirectional": False, "dropout_each": True, **changed}
    if family == "rnn":
        chosen = architectures.options("rnn", **{"length": 100, "inner_dropout": 0.2, "dropout": 0.3, **given})
        return Config("rnn", chosen, epochs=15, batch_size=64, rows="report")
    return Config("lstm", architectures.options("lstm", **given), epochs=3, rows="report")


def _printed(family: str, **changed: object) -> Config:
    """The SimpleRNN of the module that the report prints, which differs from the one that its notebook ran."""
    given: dict[str, object] = {"bidirectional": False, "dropout_each": True, "mask_zero": False, **changed}
    return Config(family, architectures.options(family, **given), epochs=15, batch_size=64, rows="report")


def _stopped(family: str, **changed: object) -> Config:
    """Training that stops early by the validation loss and keeps the weights of the best epoch."""
    chosen = architectures.options(family, **settings.BASE, embedding_dropout=0.5, **changed)
    return Config(family, chosen, epochs=30, batch_size=25, learning_rate=3e-3, patience=4)


ARMS = {"reported": (_reported, 5), "printed": (_printed, 5), "stopped": (_stopped, 5), "proper": (settings.proper, 10)}
"""{arm of the text studies: (its configurations, its seeds)}."""


def _text_studies(family: str, arm: str) -> list[Study]:
    (make, seeds), cell = ARMS[arm], {"rnn": "a SimpleRNN", "lstm": "an LSTM"}[family]
    topics = {
        "layers": (f"How many layers should {cell} have?", {f"{n} x 64": make(family, layers=n) for n in (1, 2, 3)}),
        "cells": (
            f"How many cells should {cell} layer have?",
            {f"2 x {n}": make(family, units=n) for n in (32, 64, 128)},
        ),
        "direction": (
            f"Should {cell} read in both directions?",
            {name: make(family, bidirectional=both) for name, both in (("uni", False), ("bi", True))},
        ),
    }
    return [Study(f"{family}.{topic}.{arm}", asked, arm, given, seeds) for topic, (asked, given) in topics.items()]


def _cnn_studies() -> list[Study]:
    layers = {2: (32, 64), 3: (32, 64, 128), 4: (32, 64, 128, 128)}
    filters = [(16, 32, 64), (32, 64, 128), (64, 128, 256)]
    kernels = [(3, 3, 3), (5, 3, 3), (7, 5, 3)]
    topics = {
        "layers": ("How many convolution layers?", {f"{n} layers": _cnn(filters=sizes) for n, sizes in layers.items()}),
        "filters": ("How many filters?", {_dashed(sizes): _cnn(filters=sizes) for sizes in filters}),
        "kernels": (
            "Which kernel sizes?",
            # One size for all layers is written like the default, so that the base is trained once.
            {_dashed(sizes): _cnn(kernels=sizes if len(set(sizes)) > 1 else sizes[:1]) for sizes in kernels},
        ),
        "pooling": ("Maximum or average pooling?", {kind: _cnn(pooling=kind) for kind in architectures.POOLINGS}),
    }
    return [Study(f"cnn.{topic}", asked, "reported", variants, 3) for topic, (asked, variants) in topics.items()]


def _dashed(sizes: tuple[int, ...]) -> str:
    return "-".join(map(str, sizes))


def _designed() -> list[Study]:
    """Configurations of our own, chosen on training and validation data."""
    better = {"batch_norm": True, "global_pooling": True, "augment": True, "dropout": 0.2}
    wide = architectures.options("cnn", filters=(32, 64, 128, 256), **better)
    searched = {"batch_norm": True, "global_pooling": True, "residual": True}
    shortcuts = architectures.options("cnn", filters=(48, 96, 192), **searched)
    return [
        Study(
            "cnn.designed",
            "What do batch normalization, a fourth block, global pooling, augmentation and 15 epochs give?",
            "designed",
            {"base": _cnn(), "designed": Config("cnn", wide, epochs=15, batch_size=64, learning_rate=2e-3, decay=True)},
            3,
        ),
        Study(
            "cnn.residual",
            "What do shortcuts and one cycle of the learning rate give, chosen by a search on validation?",
            "designed",
            {"residual": Config("cnn", shortcuts, 20, batch_size=128, learning_rate=0.2, recipe="one-cycle")},
            3,
        ),
        *(
            Study(
                f"{family}.designed",
                "What do pooling over the text, and n-grams of words and characters beside it, give?",
                "designed",
                {"2 x 64": _stopped(family), "designed": _designed_text(family)},
                5,
            )
            for family in ("rnn", "lstm")
        ),
        Study(
            "text.parts",
            "What is each part of the designed text model worth?",
            "designed",
            {label: settings.taken(*chosen) for label, chosen in settings.PARTS.items()},
            10,
        ),
    ]


def _designed_text(family: str) -> Config:
    """Slower than the grid's: the linear branches take more epochs to learn than the recurrent one."""
    chosen = _stopped(family, layers=1, head="pool", ngrams=True)
    return dataclasses.replace(chosen, learning_rate=1e-3, patience=5)


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *_cnn_studies(),
        *(
            study
            for family in ("rnn", "lstm")
            for arm in ARMS
            if (family, arm) != ("lstm", "printed")
            for study in _text_studies(family, arm)
        ),
        *_designed(),
    )
}
"""{name: study}."""


def run_name(config: Config) -> str:
    """The name of a run: its differences from the family's defaults, and the seed; the same for equal runs."""
    defaults = architectures.FAMILIES[config.family]
    parts = []
    for field in dataclasses.fields(config.options):
        value = getattr(config.options, field.name)
        if value != getattr(defaults, field.name):
            text = _dashed(value) if isinstance(value, tuple) else str(value)
            parts.append(f"{field.name}-{text}")
    patience = "" if config.patience is None else f"-patience-{config.patience}"
    decay = "-decay" if config.decay else ""
    rows = "" if config.rows == Config.rows else f"-rows-{config.rows}"
    average = "" if config.average is None else f"-average-{config.average:g}"
    recipe = "" if config.recipe == Config.recipe else f"-{config.recipe}"
    rate = "" if config.learning_rate == Config.learning_rate else f"-rate-{config.learning_rate:g}"
    parts.append(f"epochs-{config.epochs}-batch-{config.batch_size}{rate}{patience}{decay}{rows}{average}{recipe}")
    return "_".join([config.family, *parts, f"seed-{config.seed}"])


def runs(studies: list[Study], seeds: int | None = None) -> list[Run]:
    """The distinct runs of some studies, by seed, so that every configuration has one before any has two."""
    chosen: dict[str, Run] = {}
    for seed in range(max(seeds or study.seeds for study in studies)):
        for study in studies:
            if seed >= (seeds or study.seeds):
                continue
            for config in study.variants.values():
                seeded = dataclasses.replace(config, seed=seed)
                chosen.setdefault(run_name(seeded), Run(run_name(seeded), seeded))
    return list(chosen.values())
