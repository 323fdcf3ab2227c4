"""The studies of the report in one table: which configurations each compares, in which arm, with which seeds.

A configuration that several studies share is trained once for each seed: runs are identified by what they train.
Nothing here, nor what trains it, looks at a test split.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from train_keras import models
from train_keras.config import Config

SEEDS = {"cnn": 3, "rnn": 5, "lstm": 5}
"""Seeds of each family when none are asked for."""


@dataclass(frozen=True)
class Study:
    """A question and the configurations that answer it: {label: configuration of seed 0}."""

    name: str
    question: str
    arm: str
    variants: dict[str, Config]

    @property
    def family(self) -> str:
        """cnn, rnn or lstm."""
        return next(iter(self.variants.values())).family


@dataclass(frozen=True)
class Run:
    """One training: a configuration with its seed, under the name that its folder and its row carry."""

    name: str
    config: Config


def _cnn(**changed: object) -> Config:
    return Config("cnn", models.options("cnn", **changed), epochs=5)


def _reported(family: str, **changed: object) -> Config:
    """As the report trained: the SimpleRNN without mask, a fixed number of epochs."""
    if family == "rnn":
        return Config("rnn", models.options("rnn", mask_zero=False, **changed), epochs=15, batch_size=64)
    return Config("lstm", models.options("lstm", **changed), epochs=3)


PROPER = {
    "tokens": 5000,
    "length": 64,
    "embedding": 128,
    "embedding_dropout": 0.5,
    "inner_dropout": 0.0,
    "dropout": 0.5,
}
"""Options of the arm that is trained properly, the same for all; docs/choices.md tells how they were chosen."""


def _proper(family: str, **changed: object) -> Config:
    """Trained properly: padding skipped, early stopping on the validation loss with the best weights."""
    chosen = models.options(family, **PROPER, **changed)
    return Config(family, chosen, epochs=30, batch_size=25, learning_rate=3e-3, patience=4)


ARMS = {"reported": _reported, "proper": _proper}


def _text_studies(family: str, arm: str) -> list[Study]:
    make, cell = ARMS[arm], {"rnn": "a SimpleRNN", "lstm": "an LSTM"}[family]
    ways = {"uni": False, "bi": True}
    return [
        Study(
            f"{family}.layers.{arm}",
            f"How many layers should {cell} have?",
            arm,
            {f"{n} x 64": make(family, layers=n) for n in (1, 2, 3)},
        ),
        Study(
            f"{family}.cells.{arm}",
            f"How many cells should {cell} layer have?",
            arm,
            {f"2 x {n}": make(family, units=n) for n in (32, 64, 128)},
        ),
        Study(
            f"{family}.direction.{arm}",
            f"Should {cell} read in both directions?",
            arm,
            {name: make(family, bidirectional=both) for name, both in ways.items()},
        ),
    ]


def _cnn_studies() -> list[Study]:
    layers = {2: (32, 64), 3: (32, 64, 128), 4: (32, 64, 128, 128)}
    filters = [(16, 32, 64), (32, 64, 128), (64, 128, 256)]
    kernels = [(3, 3, 3), (5, 3, 3), (7, 5, 3)]
    arm = "reported"
    return [
        Study(
            "cnn.layers",
            "How many convolution layers?",
            arm,
            {f"{n} layers": _cnn(filters=sizes) for n, sizes in layers.items()},
        ),
        Study("cnn.filters", "How many filters?", arm, {_dashed(sizes): _cnn(filters=sizes) for sizes in filters}),
        Study(
            "cnn.kernels",
            "Which kernel sizes?",
            arm,
            # One size for all layers is written as the default is, so that the base is trained once.
            {_dashed(sizes): _cnn(kernels=sizes if len(set(sizes)) > 1 else sizes[:1]) for sizes in kernels},
        ),
        Study(
            "cnn.pooling", "Maximum or average pooling?", arm, {kind: _cnn(pooling=kind) for kind in models.POOLINGS}
        ),
    ]


def _dashed(sizes: tuple[int, ...]) -> str:
    return "-".join(map(str, sizes))


def _designed_text(family: str) -> Config:
    """Slower than the proper arm: the linear branches take more epochs to learn than the recurrent one."""
    chosen = _proper(family, layers=1, head="pool", ngrams=True)
    return dataclasses.replace(chosen, learning_rate=1e-3, patience=5)


def _designed() -> list[Study]:
    """One configuration of our own for each family, chosen on training and validation data."""
    cnn = models.options(
        "cnn", filters=(32, 64, 128, 256), batch_norm=True, global_pooling=True, augment=True, dropout=0.2
    )
    return [
        Study(
            "cnn.designed",
            "What do batch normalization, a fourth block, global pooling, augmentation and 15 epochs give?",
            "designed",
            {
                "base": _cnn(),
                "designed": Config("cnn", cnn, epochs=15, batch_size=64, learning_rate=2e-3, decay=True),
            },
        ),
        *(
            Study(
                f"{family}.designed",
                "What do pooling over the text, and n-grams of words and characters beside it, give?",
                "designed",
                {"2 x 64": _proper(family), "designed": _designed_text(family)},
            )
            for family in ("rnn", "lstm")
        ),
    ]


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *_cnn_studies(),
        *(study for family in ("rnn", "lstm") for arm in ARMS for study in _text_studies(family, arm)),
        *_designed(),
    )
}
"""{name: study}."""


def run_name(config: Config) -> str:
    """The name of a run: what differs from the family's defaults, and the seed; the same for equal runs."""
    defaults = models.FAMILIES[config.family]
    parts = []
    for field in dataclasses.fields(config.options):
        value = getattr(config.options, field.name)
        if value != getattr(defaults, field.name):
            text = _dashed(value) if isinstance(value, tuple) else str(value)
            parts.append(f"{field.name}-{text}")
    patience = "" if config.patience is None else f"-patience-{config.patience}"
    decay = "-decay" if config.decay else ""
    rate = "" if config.learning_rate == Config.learning_rate else f"-rate-{config.learning_rate:g}"
    parts.append(f"epochs-{config.epochs}-batch-{config.batch_size}{rate}{patience}{decay}")
    return "_".join([config.family, *parts, f"seed-{config.seed}"])


def runs(studies: list[Study], seeds: int | None = None) -> list[Run]:
    """The distinct runs of some studies, seed by seed, so that every configuration has one before any has two."""
    chosen: dict[str, Run] = {}
    most = max((seeds or SEEDS[study.family]) for study in studies)
    for seed in range(most):
        for study in studies:
            if seed >= (seeds or SEEDS[study.family]):
                continue
            for config in study.variants.values():
                seeded = dataclasses.replace(config, seed=seed)
                chosen.setdefault(run_name(seeded), Run(run_name(seeded), seeded))
    return list(chosen.values())
