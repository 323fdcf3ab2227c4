"""The results of the studies from their rows: each study with its configurations, comparisons and claim."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compare.studies import statistics
from compare.studies.rows import unpacked
from compare.studies.statistics import Comparison, Estimate, Scored
from train_keras import data, settings
from train_keras.config import Config
from train_keras.studies import STUDIES, Study, run_name

Row = dict[str, Any]


class ReportError(ValueError):
    """The rows of a results folder do not belong together."""


@dataclass(frozen=True)
class Part:
    """One comparison behind a conclusion: `better` scores higher than `worse`, or (denied) it does not."""

    study: str
    better: str
    worse: str
    denied: bool = False

    @property
    def text(self) -> str:
        """The comparison in words."""
        return f"{'not ' if self.denied else ''}{self.better} > {self.worse}"


@dataclass(frozen=True)
class Claim:
    """A conclusion of the report, with its number there, and the comparisons that test it; studies without arm."""

    number: str
    text: str
    parts: tuple[Part, ...]


def _claim(number: str, study: str, text: str, *parts: tuple[str, str]) -> Claim:
    """A claim; the labels of a part are (better, worse), and "not A" denies that A is better."""
    made = (Part(study, better.removeprefix("not "), worse, better.startswith("not ")) for better, worse in parts)
    return Claim(number, text, tuple(made))


CLAIMS = (
    _claim(
        "2a",
        "cnn.layers",
        "More convolution layers help up to a point: three are best, better than two and than four",
        ("3 layers", "2 layers"),
        ("3 layers", "4 layers"),
    ),
    _claim(
        "2b",
        "cnn.filters",
        "More filters a layer tend to give better scores, though too many may overfit",
        ("64-128-256", "16-32-64"),
    ),
    _claim(
        "2c",
        "cnn.kernels",
        "Small kernels do well in the deeper layers; a larger first kernel can help",
        ("3-3-3", "7-5-3"),
        ("5-3-3", "3-3-3"),
    ),
    _claim("2d", "cnn.pooling", "Average pooling is slightly better than max pooling", ("average", "max")),
    _claim(
        "3a",
        "rnn.layers",
        "SimpleRNN: two layers are better than one, a third makes it worse",
        ("2 x 64", "1 x 64"),
        ("2 x 64", "3 x 64"),
    ),
    _claim(
        "3b",
        "rnn.cells",
        "SimpleRNN: 64 cells are significantly better than 32, and 128 are not better than 64",
        ("2 x 64", "2 x 32"),
        ("not 2 x 128", "2 x 64"),
    ),
    _claim("3c", "rnn.direction", "SimpleRNN: one direction is better than both", ("uni", "bi")),
    _claim(
        "4a",
        "lstm.layers",
        "LSTM: more layers do not help; from two to three it is slightly worse",
        ("not 2 x 64", "1 x 64"),
        ("not 3 x 64", "2 x 64"),
    ),
    _claim(
        "4b",
        "lstm.cells",
        "LSTM: from 64 to 128 cells there is no significant gain, slightly a loss",
        ("not 2 x 128", "2 x 64"),
    ),
    _claim("4c", "lstm.direction", "LSTM: both directions are better than one", ("bi", "uni")),
)
"""The ten conclusions about hyperparameters of the report's last chapter, in our words."""

REPORT = """The report is the one that fnet grew out of: a course report by two students (Institut Teknologi Bandung,
IF3270 Machine Learning, 2025, in Indonesian). Every score in it is a single run. Its texts are the training split of
NusaX-Senti alone: 400 rows trained, and the other 100 both validated and scored. Its images are the original
CIFAR-10; ours are JPEG copies, so that its scores and ours are not of the same images."""

REPORTED = {
    "cnn.layers": {"2 layers": 0.6816, "3 layers": 0.7238, "4 layers": 0.6924},
    "cnn.filters": {"16-32-64": 0.6919, "32-64-128": 0.7388, "64-128-256": 0.7323},
    "cnn.kernels": {"3-3-3": 0.7123, "5-3-3": 0.6921, "7-5-3": 0.6636},
    "cnn.pooling": {"max": 0.6912, "average": 0.7096},
    "rnn.layers.reported": {"1 x 64": 0.5604, "2 x 64": 0.5768, "3 x 64": 0.4762},
    "rnn.cells.reported": {"2 x 32": 0.3927, "2 x 64": 0.5532, "2 x 128": 0.5450},
    "rnn.direction.reported": {"uni": 0.5942, "bi": 0.5245},
    "lstm.layers.reported": {"1 x 64": 0.5111, "2 x 64": 0.5062, "3 x 64": 0.4949},
    "lstm.cells.reported": {"2 x 32": 0.5082, "2 x 64": 0.5210, "2 x 128": 0.4946},
    "lstm.direction.reported": {"uni": 0.4580, "bi": 0.5769},
}
"""{study: {configuration: macro-F1 in the report, one run}}."""

SINGLE_RUN = {"images": "single run, original images", "texts": "single run, 100 rows of its training split"}
"""{kind of data: the rows on which the report measured its scores}."""

ARMS = {
    "reported": "as the report's notebook trained",
    "printed": "as the module trains that the report prints",
    "stopped": "stopped early",
    "proper": "trained properly",
}
"""{arm of the text studies: its description}."""

VERDICTS = ("holds", "holds in part", "not shown", "not contradicted", "contradicted", "not yet decided")

TARGETS = (
    ("CNN of the grid, best on validation", "cnn", "grid", 0.72),
    ("designed CNN, best on validation", "cnn", "designed", 0.85),
    ("LSTM of the grid, properly trained, 2 x 64", "text", "single", 0.74),
    ("ensemble of its seeds", "text", "ensemble", 0.77),
    ("designed text model", "text", "designed", 0.79),
)
"""(name, images or texts, which model, target macro-F1 on test, set before any test score was seen)."""

TRIED = (
    ("the designed CNN", (("cnn.designed", "designed"), ("cnn.residual", "residual"))),
    ("the LSTM of the grid", tuple((f"lstm.direction.{arm}", "bi") for arm in ("reported", "stopped", "proper"))),
    (
        "the designed text model",
        (
            ("rnn.designed", "designed"),
            ("lstm.designed", "designed"),
            *(("text.parts", label) for label in settings.PARTS),
        ),
    ),
)
"""(what a target is about, the configurations that were tried for it as (study, label))."""

CLASSES = {
    "cifar10": data.CIFAR10_CLASSES,
    **dict.fromkeys(("nusax", *(f"nusax-{language}" for language in data.LANGUAGES)), data.NUSAX_CLASSES),
    "reviews": data.NUSAX_CLASSES,
    "digits": tuple("0123456789"),
}
"""{data set: names of its classes}."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A configuration in a study and its finished runs, by seed."""

    label: str
    config: Config
    rows: tuple[Row, ...]
    wanted: int
    labels: Any
    classes: int
    reported: float | None = None

    @property
    def seeds(self) -> str:
        """`3`, or `2 of 3` where runs are missing."""
        return str(len(self.rows)) if len(self.rows) >= self.wanted else f"{len(self.rows)} of {self.wanted}"

    @property
    def scores(self) -> tuple[float, ...]:
        """Macro-F1 on test for each seed."""
        return tuple(row["test"]["macro_f1"] for row in self.rows)

    @cached_property
    def scored(self) -> Scored:
        """Scores, and the influence of every test row on them."""
        return statistics.scored(self.labels, self.predicted, self.classes)

    @cached_property
    def test(self) -> Estimate:
        """Macro-F1 on test over seeds."""
        return statistics.estimate(self.scored) if self.rows else statistics.NOTHING

    @property
    def valid(self) -> float:
        """Mean macro-F1 of the kept weights on the rows that score the epochs; NaN where none do."""
        given = [row["valid"]["macro_f1"] for row in self.rows if row["valid"]]
        return float(np.mean(given)) if given else math.nan

    @cached_property
    def ensemble(self) -> Estimate | None:
        """Macro-F1 of the mean of all seeds' probabilities, with an interval over new rows; None if not kept."""
        kept = [row["test"]["probabilities"] for row in self.rows]
        if not kept or None in kept:
            return None
        mean = np.mean([unpacked(text, len(self.labels)) for text in kept], axis=0)
        predicted = mean.argmax(axis=1)
        score = statistics.macro_f1(self.labels, predicted, self.classes)
        by_row = statistics.influence(self.labels, predicted, self.classes)
        half = 1.96 * float(by_row.std(ddof=1)) / math.sqrt(len(by_row))
        return Estimate(score, math.nan, math.nan, math.nan, score - half, score + half, len(kept))

    @property
    def predicted(self) -> Any:
        """The predicted classes on test, (seeds, rows)."""
        return np.array([[int(c) for c in row["test"]["predicted"]] for row in self.rows])


@dataclass(frozen=True, eq=False)
class Finding:
    """A study with its results; `labels` are the test labels of its data, None without rows."""

    study: Study
    variants: tuple[Variant, ...]
    labels: Any

    @property
    def data(self) -> str | None:
        """The name of the data set."""
        return next((row["data"] for variant in self.variants for row in variant.rows), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return CLASSES[self.data] if self.data else ()

    @property
    def present(self) -> tuple[Variant, ...]:
        """The configurations that have runs."""
        return tuple(v for v in self.variants if v.rows)

    @property
    def done(self) -> int:
        """How many runs are finished, of `wanted`."""
        return sum(min(len(v.rows), v.wanted) for v in self.variants)

    @property
    def wanted(self) -> int:
        """How many runs the study asks for."""
        return sum(v.wanted for v in self.variants)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All pairs of configurations that have runs, Holm-corrected together."""
        pairs = itertools.combinations(self.present, 2)
        return tuple(statistics.holm([statistics.tested((a.label, b.label), a.scored, b.scored) for a, b in pairs]))

    @property
    def topic(self) -> str:
        """The study's name without its arm: all arms of a text study ask the same question and test the same claim."""
        return self.study.name if self.study.arm == "designed" else self.study.name.removesuffix(f".{self.study.arm}")

    @property
    def claim(self) -> Claim | None:
        """The conclusion that this study tests."""
        return next((claim for claim in CLAIMS if claim.parts[0].study == self.topic), None)


@dataclass(frozen=True)
class Judged:
    """A part of a claim in one arm: `better` minus `worse`, with p after Holm over all parts of that arm."""

    part: Part
    pair: Comparison | None
    complete: bool

    @property
    def verdict(self) -> str:
        """The verdict on this part alone."""
        if self.pair is None or math.isnan(self.pair.adjusted) or not self.complete:
            return "not yet decided"
        shown = self.pair.adjusted < statistics.LEVEL
        if self.part.denied:
            return "not contradicted" if not shown else "contradicted" if self.pair.difference > 0 else "holds"
        return "not shown" if not shown else "holds" if self.pair.difference > 0 else "contradicted"


@dataclass(frozen=True)
class Judgement:
    """A claim in one arm."""

    claim: Claim
    study: Study
    judged: tuple[Judged, ...]

    @property
    def verdict(self) -> str:
        """One word for all parts; a claim that one part contradicts is contradicted."""
        found = [j.verdict for j in self.judged]
        for all_or_nothing in ("not yet decided", "contradicted"):
            if all_or_nothing in found:
                return all_or_nothing
        if len(set(found)) == 1:
            return found[0]
        return "holds in part" if "holds" in found else "not shown"


def judge(findings: Sequence[Finding], arm: str) -> list[Judgement]:
    """The judgements of the ten claims in one arm, p corrected over all its parts; the CNN has only one arm."""
    studies = {f.topic: f for f in findings if f.claim and (f.study.arm == arm or f.study.family == "cnn")}
    asked = [(claim, part, studies[part.study]) for claim in CLAIMS for part in claim.parts if part.study in studies]
    pairs = [_directed(part, finding) for _, part, finding in asked]
    nothing = Comparison("", "", math.nan, math.nan, math.nan, math.nan)
    corrected = statistics.holm([dataclasses.replace(p or nothing, first=f"{i}") for i, p in enumerate(pairs)])
    judged: dict[str, list[Judged]] = {}
    for (claim, part, finding), pair, with_p in zip(asked, pairs, corrected, strict=True):
        known = None if pair is None else dataclasses.replace(pair, adjusted=with_p.adjusted)
        judged.setdefault(claim.number, []).append(Judged(part, known, finding.done == finding.wanted))
    by_number = {claim.number: claim for claim in CLAIMS}
    return [
        Judgement(by_number[n], studies[by_number[n].parts[0].study].study, tuple(parts)) for n, parts in judged.items()
    ]


def _directed(part: Part, finding: Finding) -> Comparison | None:
    """`better` minus `worse`; None where either has no runs."""
    found = {v.label: v for v in finding.variants if v.rows}
    if part.better not in found or part.worse not in found:
        return None
    return statistics.tested((part.better, part.worse), found[part.better].scored, found[part.worse].scored)


def topics(findings: Sequence[Finding]) -> list[tuple[Finding, ...]]:
    """The studies grouped by question, one for each arm."""
    found: dict[str, tuple[Finding, ...]] = {}
    for finding in findings:
        found[finding.topic] = (*found.get(finding.topic, ()), finding)
    return list(found.values())


def collect(rows: list[Row], labels: dict[str, str]) -> list[Finding]:
    """Every study with its rows. labels: {data set: test labels as digits}.

    Raises ReportError for rows of several data sets of one kind, or without their labels.
    """
    named = {row["run"]: row for row in rows}
    known = {name: np.array([int(c) for c in digits]) for name, digits in labels.items()}
    for families in (("cnn",), ("rnn", "lstm")):
        sets = {(row["data"], row["data_sha256"]) for row in rows if row["family"] in families}
        if len(sets) > 1:
            told = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(sets))
            raise ReportError(f"rows on several data sets do not compare: {told}; keep each in a folder of its own")
        missing = [name for name, _ in sets if name not in known]
        if missing:
            raise ReportError(f"labels.json has no test labels of {', '.join(missing)}")
    found = []
    for study in STUDIES.values():
        rows_of = {label: _of(config, named) for label, config in study.variants.items()}
        data_name = next((row["data"] for several in rows_of.values() for row in several), None)
        y, classes = (known[data_name], len(CLASSES[data_name])) if data_name else (None, 0)
        reported = REPORTED.get(study.name, {})
        variants = tuple(
            Variant(label, config, rows_of[label], study.seeds, y, classes, reported.get(label))
            for label, config in study.variants.items()
        )
        found.append(Finding(study, variants, y))
    return found


def _of(config: Config, named: dict[str, Row]) -> tuple[Row, ...]:
    """The rows of a configuration by seed, also of seeds beyond those asked for."""
    most = 1 + max((row["seed"] for row in named.values()), default=-1)
    names = (run_name(dataclasses.replace(config, seed=seed)) for seed in range(most))
    return tuple(named[name] for name in names if name in named)


def best(findings: Sequence[Finding], kind: str, designed: bool) -> tuple[Finding, Variant] | None:
    """The configuration with the highest mean on validation, for one kind of data; test scores play no part."""
    given = [
        (finding, variant)
        for finding in findings
        for variant in finding.variants
        if variant.config.options.kind == kind
        and variant.rows
        and designed is (variant.label in ("designed", "residual"))
    ]
    return max(given, key=lambda pair: np.nan_to_num(pair[1].valid), default=None)


def designed_text(findings: Sequence[Finding]) -> tuple[Finding, Variant] | None:
    """The designed text model: the one of the newest arm that has runs."""
    return named(findings, "text.parts", "LSTM beside n-grams") or named(findings, "lstm.designed", "designed")


def named(findings: Sequence[Finding], study: str, label: str) -> tuple[Finding, Variant] | None:
    """A configuration by its names, None where it is missing or has no runs."""
    found = ((f, v) for f in findings for v in f.variants if (f.study.name, v.label) == (study, label) and v.rows)
    return next(found, None)
