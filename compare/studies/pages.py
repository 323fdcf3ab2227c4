"""The pages of the study report: one for each question, the arms that answer it side by side."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from compare import pictures
from compare.studies import charts
from compare.studies.baselines import CHOSEN
from compare.studies.document import Block, Figure, Heading, Page, Table, Text, Verdict
from compare.studies.findings import ARMS, SINGLE_RUN, Finding, Judgement, Variant
from compare.studies.statistics import LEVEL

TRAINED = {
    "reported": "As the report trained, by its notebook: one direction, Dropout after every recurrent layer, a fixed "
    "number of epochs, the last epoch's weights; the same 400 of the 500 training texts, the other 100 validate. Here "
    "the official test split is scored, in the report those 100.",
    "printed": "As the module reads that the report prints: no mask, no dropout inside the layers, Dropout of 0.2 "
    "after each, texts of 64 tokens. Its notebook, which made the report's scores, ran another one.",
    "stopped": "Stopped early on the validation loss, the best epoch's weights kept; one setting for both kinds of "
    "cell, chosen on the LSTM. 100 rows decide when to stop, which is mostly chance: the next arm does without.",
    "proper": "Trained properly: a setting and a number of epochs for each kind of cell, chosen by repeated "
    "cross-validation on the 600 training and validation texts; then all 600 train, and the average of the weights "
    "over the last steps is kept.",
    "designed": "Beyond the report: configurations of our own.",
}
CNN_ARM = "As the report trained: 5 epochs, the last epoch's weights; on JPEG copies of its images."

LIMITS = {
    "cnn": "One optimizer, one learning rate and five epochs for every configuration: what needs longer, or another "
    "rate, is judged by how it starts. The images are JPEG copies.",
    "reported": "One setting for every configuration, and so few epochs that some have hardly begun: this "
    "says how the report's trainings come out on new texts, not what an architecture can do. 400 texts train.",
    "printed": "One setting for every configuration, chosen by nobody. 400 texts train, 400 test.",
    "stopped": "One setting for all, chosen on the bidirectional LSTM of 2 x 64. 500 texts train, 100 stop, 400 test.",
    "proper": "The setting was chosen on the bidirectional 2 x 64 of each cell and serves its neighbours too. 600 "
    "texts of one language and one source train, 400 test.",
    "designed": "One data set for each design. What was tried before is in the page on choices.",
}

TOPICS = {
    "layers": "layers",
    "cells": "layers x cells",
    "direction": "direction",
    "filters": "filters of the blocks",
    "kernels": "kernels of the blocks",
    "pooling": "pooling",
}


def topic_page(group: Sequence[Finding], baselines: Mapping[str, Any], judgements: Sequence[Judgement] = ()) -> Page:
    """Question, verdicts, effect, setup, curves, comparisons and confusion matrices of the studies of one question."""
    first, judged = group[0], {j.study.name: j for j in judgements}
    claim = first.claim
    blocks: list[Block] = []
    if claim:
        blocks.append(Text(f"The report's conclusion {claim.number}: “{claim.text}.”"))
    blocks += [Verdict(*_verdict(finding, judged.get(finding.study.name))) for finding in group]
    begun = [finding for finding in group if finding.present]
    if begun:
        blocks += [_effects(begun, baselines), *(Text(_in_words(finding)) for finding in begun)]
    blocks += [Heading("Scores"), _scores(group), Heading("Setup"), *_setup(group)]
    if begun:
        blocks += [Heading("Learning curves"), _curves(begun), *(Text(_gap_in_words(finding)) for finding in begun)]
    if any(finding.comparisons for finding in begun):
        blocks += [Heading("Comparisons"), _comparisons(begun)]
    if begun:
        blocks += [Heading("Confusion of the highest mean"), _confusions(begun)]
    return Page(first.topic, f"{first.study.question} ({first.topic})", tuple(blocks))


def _arm(finding: Finding) -> str:
    """The arm as the beginning of a sentence; "" where the report has only one."""
    name = ARMS.get(finding.study.arm, "") if finding.study.family != "cnn" else ""
    return f"{name[:1].upper()}{name[1:]}: " if name else ""


def _limits(finding: Finding) -> str:
    cnn = finding.study.family == "cnn" and finding.study.arm == "reported"
    return LIMITS["cnn" if cnn else finding.study.arm]


def _effects(group: Sequence[Finding], baselines: Mapping[str, Any]) -> Figure:
    """A panel for each arm, all with the same axis."""
    first = group[0]
    known = baselines.get(str(first.data), {}).get("scores", {})
    references = {"TF-IDF, chosen on validation": known[CHOSEN]} if CHOSEN in known else {}
    axis = next((words for topic, words in TOPICS.items() if f".{topic}" in first.topic), "configuration")
    spreads = [
        [spread(v, v.label, () if v.reported is None else (v.reported,)) for v in finding.variants] for finding in group
    ]
    values = [n for row in itertools.chain(*spreads) for n in (*row.scores, row.low, row.high, *row.reported)]
    values = [n for n in (*values, *references.values()) if math.isfinite(n)]
    panels = [
        charts.levels(
            ARMS.get(f.study.arm, "") if len(group) > 1 else "", rows, references, axis, (min(values), max(values))
        )
        for f, rows in zip(group, spreads, strict=True)
    ]
    report = "; crosses are the report" if any(v.reported for f in group for v in f.variants) else ""
    caption = f"Macro-F1 on test: every seed, the mean and its 95% interval over seeds{report}."
    return Figure(f"{first.topic}-scores", tuple(panels), caption, 2)


def _verdict(finding: Finding, judged: Judgement | None) -> tuple[str, str]:
    """(the result of an arm with the verdict on the report's conclusion, its mood)."""
    text, mood = _shown(finding)
    if judged:
        parts = "; ".join(f"{j.part.text}: {j.verdict}" for j in judged.judged)
        text += f" The conclusion: {judged.verdict} ({parts})."
    return _arm(finding) + text, mood


def _shown(finding: Finding) -> tuple[str, str]:
    if finding.done < finding.wanted:
        return f"Not yet decided: {finding.done} of {finding.wanted} runs are finished.", "open"
    shown = [c for c in finding.comparisons if c.adjusted < LEVEL]
    if not finding.comparisons:
        return "One configuration: nothing to compare.", "open"
    if not shown:
        return f"No difference shown between {', '.join(v.label for v in finding.variants)}.", "open"
    better = ", ".join(f"{c.better} over {c.second if c.better == c.first else c.first}" for c in shown)
    rest = [f"{c.first} and {c.second}" for c in finding.comparisons if c not in shown]
    more = f"; no difference shown between {', '.join(rest)}" if rest else ""
    return f"Shown to be better: {better}{more}.", "held"


def _in_words(finding: Finding) -> str:
    """The effect: lowest and highest mean, what inconclusive comparisons could have detected, and the limits."""
    present = finding.present
    low, high = (pick(present, key=lambda v: v.test.mean) for pick in (min, max))
    text = f"Mean macro-F1 goes from {low.test.mean:.3f} ({low.label}) to {high.test.mean:.3f} ({high.label})."
    if low is high:
        text = f"{low.label} has a mean macro-F1 of {low.test.mean:.3f}."
    hidden = [c.detectable for c in finding.comparisons if c.adjusted >= LEVEL and math.isfinite(c.detectable)]
    if hidden:
        shown_by = f"this many runs and rows show one of {_range(hidden)} in four cases of five"
        text += f" Where no difference is shown, {shown_by}."
    spreads = [v.test.deviation for v in present if math.isfinite(v.test.deviation)]
    if spreads:
        text += f" Seeds of one configuration differ by a standard deviation of {_range(spreads)}."
    return f"{_arm(finding)}{text} What this cannot say: {_limits(finding)}"


def _range(numbers: Sequence[float]) -> str:
    """ "smallest to largest", or one number where they are shown with the same digits."""
    return " to ".join(dict.fromkeys(f"{number:.4f}" for number in (min(numbers), max(numbers))))


def _gap_in_words(finding: Finding) -> str:
    """How far validation is from training at the kept epoch, whether training had ended, and what follows."""
    gaps = []
    for v in finding.present:
        pairs = [(row["history"][row["best_epoch"] - 1], row["history"]) for row in v.rows]
        if any("val_loss" not in kept for kept, _ in pairs):
            kept = np.mean([k["loss"] for k, _ in pairs])
            gaps.append(f"{v.label}: training loss {kept:.2f} at the end, no rows left to validate on")
            continue
        loss, held = (float(np.mean([kept[key] for kept, _ in pairs])) for key in ("loss", "val_loss"))
        falling = np.mean([len(h) > 1 and h[-1]["val_loss"] < h[-2]["val_loss"] for _, h in pairs])
        gap = held - loss
        why = "overfitted" if gap > GAP else "still learning" if falling > 0.5 else "neither"
        told = f"{gap:.2f}".replace("-", "−")
        smoothed = "" if v.config.recipe == "adam" else ", the former of smoothed labels"
        gaps.append(f"{v.label}: {loss:.2f} and {held:.2f}{smoothed}, a gap of {told}, {WHY[why]}")
    what = "mean loss in training (over the epoch, with dropout) and on the rows that score it, at the kept epoch"
    return f"{_arm(finding)}{what}. {'; '.join(gaps)}." if _arm(finding) else f"{what.capitalize()}. {'; '.join(gaps)}."


GAP = 0.3
WHY = {
    "overfitted": "so that it fits its training rows much better than new ones",
    "still learning": "and the latter still fell in the last epoch of most seeds",
    "neither": "and the latter did not fall in the last epoch of most seeds",
}


def _setup(group: Sequence[Finding]) -> list[Block]:
    """How each arm trained; the options that all configurations share; those that differ, by arm and configuration."""
    settings = [[_flat(v) for v in finding.variants] for finding in group]
    every = list(itertools.chain(*settings))
    shared = {k: v for k, v in every[0].items() if all(s.get(k) == v for s in every)}
    varied = [k for k in every[0] if k not in shared]
    lines = [(k, *(" / ".join(dict.fromkeys(shown(s.get(k)) for s in arm)) for arm in settings)) for k in varied]
    common = ", ".join(f"{k} {shown(v)}" for k, v in shared.items())
    cnn = group[0].study.family == "cnn" and group[0].study.arm == "reported"
    trained = [Text(CNN_ARM if cnn else TRAINED[f.study.arm]) for f in group]
    head = ("setting", *(f.study.arm for f in group))
    blocks: list[Block] = [*trained, Text(f"The same for all: {common}.")]
    return [*blocks, Table(head, tuple(lines), frozenset(range(len(head))))] if lines else blocks


def _flat(variant: Variant) -> dict[str, Any]:
    config = dataclasses.asdict(variant.config)
    options = config.pop("options")
    config.pop("seed")
    return {key.replace("_", " "): value for key, value in (options | config).items()}


def shown(value: Any) -> str:
    """An option for a reader: 32-64-128, yes, no, –."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return "-".join(map(str, value))
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _scores(group: Sequence[Finding]) -> Table:
    """A line for each configuration, with a column for the arm where there are several."""
    kind, variants = group[0].variants[0].config.options.kind, [v for f in group for v in f.variants]
    report, ensembles = (any(getattr(v, of) for v in variants) for of in ("reported", "ensemble"))
    head: tuple[str, ...] = (
        "configuration",
        "mean",
        "95%, new seeds",
        f"95%, new seeds and {kind}",
        "sd",
        "seeds",
        "validation",
    )
    head += ("ensemble",) if ensembles else ()
    head += (f"the report ({SINGLE_RUN[kind]})",) if report else ()
    lines = []
    for finding in group:
        for v in finding.variants:
            test = v.test
            numbers = (value(test.mean), interval(test.low, test.high), interval(test.wide_low, test.wide_high))
            line: tuple[str, ...] = (v.label, *numbers, value(test.deviation), v.seeds, value(v.valid))
            line += (value(v.ensemble.mean) if v.ensemble else "–",) if ensembles else ()
            line += (value(math.nan if v.reported is None else v.reported),) if report else ()
            lines.append(_in_arm(group, finding, line))
    return Table(_in_arm(group, None, head), tuple(lines), frozenset({0, 1} if len(group) > 1 else {0}))


def _in_arm(group: Sequence[Finding], finding: Finding | None, cells: tuple[str, ...]) -> tuple[str, ...]:
    """A line, or the head, of a table about all arms: with the arm first, where there are several."""
    return (finding.study.arm if finding else "arm", *cells) if len(group) > 1 else cells


def spread(variant: Variant, label: str, reported: tuple[float, ...]) -> charts.Spread:
    """A configuration for `charts.spreads`."""
    test = variant.test
    return charts.Spread(label, variant.scores, test.mean, test.low, test.high, reported)


CURVES = {"loss": "loss, training", "val_loss": "loss, validation", "val_macro_f1": "macro-F1, validation"}
"""{number of an epoch: its name}."""


def _curves(group: Sequence[Finding]) -> Figure:
    """A panel for each arm and number; both losses on one axis, to show the gap between them."""
    panels = []
    for finding in group:
        curves = {
            key: [charts.Curve(v.label, mean) for v in finding.present if (mean := _over_seeds(v, key))]
            for key in CURVES
        }
        epochs = max(len(curve.mean) for curve in curves["loss"])
        losses = [n for key in ("loss", "val_loss") for curve in curves[key] for n in curve.mean]
        arm = f", {finding.study.arm}" if len(group) > 1 else ""
        for key, name in CURVES.items():
            values = losses if "loss" in key else [n for curve in curves[key] for n in curve.mean]
            if curves[key]:
                ends = (0.0 if "loss" in key else min(values), max(values))
                panels.append(charts.curves(f"{name}{arm}", curves[key], ends, epochs))
    return Figure(f"{group[0].topic}-curves", tuple(panels), "By epoch, the mean of the seeds; losses on one axis.")


def _over_seeds(variant: Variant, key: str) -> tuple[float, ...]:
    """The mean of a number after each epoch, over the seeds that got that far; () if not measured."""
    given = [[epoch[key] for epoch in row["history"] if key in epoch] for row in variant.rows]
    by_epoch = [[v for v in values if v is not None] for values in itertools.zip_longest(*given)]
    return tuple(float(np.mean(values)) for values in by_epoch)


def _comparisons(group: Sequence[Finding]) -> Table:
    head = ("pair", "difference", "verdict", "95% interval", "p", "p (Holm)", "could show")
    lines = []
    for finding in group:
        for c in finding.comparisons:
            told = f"{c.first} − {c.second}", signed(c.difference), c.verdict, span(c.low, c.high)
            line = *told, p_value(c.p), p_value(c.adjusted), value(c.detectable)
            lines.append(_in_arm(group, finding, line))
    prose = {0, 2} if len(group) == 1 else {0, 1, 3}
    return Table(_in_arm(group, None, head), tuple(lines), frozenset(prose))


def _confusions(group: Sequence[Finding]) -> Figure:
    """The confusion matrix of one configuration for each arm: those of a study are much alike."""
    panels = []
    for finding in group:
        best = max(finding.present, key=lambda v: v.test.mean)
        counts = confusion(best, finding.labels, len(finding.classes))
        title = f"{best.label}, {finding.study.arm}" if len(group) > 1 else best.label
        panels.append(pictures.matrix(title, counts, finding.classes, shares=True))
    caption = "Shares of the true class that are predicted as each, from half a percent, all seeds together."
    return Figure(f"{group[0].topic}-confusion", tuple(panels), caption, 4)


def confusion(variant: Variant, labels: Any, classes: int) -> Any:
    """Counts over all seeds, rows true and columns predicted."""
    predicted = variant.predicted
    return confusion_matrix(np.tile(labels, len(predicted)), predicted.ravel(), labels=range(classes))


# --- numbers for readers -----------------------------------------------------------------------------


def value(number: float) -> str:
    """A score, or a dash."""
    return "–" if math.isnan(number) else f"{number:.4f}"


def signed(number: float) -> str:
    """A difference with its sign."""
    return "–" if math.isnan(number) else f"{number:+.4f}".replace("-", "−")


def span(low: float, high: float) -> str:
    """An interval of differences."""
    return "–" if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def interval(low: float, high: float) -> str:
    """An interval of scores."""
    return "–" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def p_value(p: float) -> str:
    """A p-value; small ones as a bound."""
    return "–" if math.isnan(p) else "< 0.0001" if p < 0.0001 else f"{p:.4f}"
