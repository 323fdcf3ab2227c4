"""The pages of the study report about one study each."""

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
from compare.studies.findings import SINGLE_RUN, Finding, Judgement, Variant
from compare.studies.statistics import LEVEL, Comparison

ARMS = {
    "reported": "As the report trained, by its notebook: one direction, Dropout after every recurrent layer, a fixed "
    "number of epochs, the last epoch's weights; the same 400 of the 500 training texts, scored here on the official "
    "test split.",
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


def study_page(finding: Finding, baselines: Mapping[str, Any], judged: Sequence[Judgement] = ()) -> Page:
    """Question, verdict, effect, setup, curves, comparisons and confusion matrices of a study."""
    present = [v for v in finding.variants if v.rows]
    slug = finding.study.name
    blocks: list[Block] = [Verdict(*_verdict(finding))]
    if present:
        known = baselines.get(str(finding.data), {}).get("scores", {})
        references = {"TF-IDF, chosen on validation": known[CHOSEN]} if CHOSEN in known else {}
        entries = [spread(v, v.label, () if v.reported is None else (v.reported,)) for v in finding.variants]
        axis = next((words for topic, words in TOPICS.items() if f".{topic}" in slug), "configuration")
        blocks.append(
            Figure(f"{slug}-scores", (charts.levels(entries, references, axis),), _effect_caption(finding), 1)
        )
    blocks += _claim(finding, judged)
    if present:
        blocks += [Text(_in_words(finding, present)), Text(f"What this cannot say: {_limits(finding)}")]
    blocks += [Heading("Scores"), _scores(finding), Heading("Setup"), *_setup(finding)]
    if present:
        blocks += [Heading("Learning curves"), _curves(slug, present), Text(_gap_in_words(present))]
    if finding.comparisons:
        blocks += [Heading("Comparisons"), _comparisons(finding.comparisons)]
    if present:
        blocks += [Heading("Confusion of the highest mean"), _confusions(finding, present)]
    return Page(slug, f"{finding.study.question} ({slug})", tuple(blocks))


def _limits(finding: Finding) -> str:
    cnn = finding.study.family == "cnn" and finding.study.arm == "reported"
    return LIMITS["cnn" if cnn else finding.study.arm]


def _effect_caption(finding: Finding) -> str:
    report = "; crosses are the report" if any(v.reported for v in finding.variants) else ""
    return f"Macro-F1 on test: every seed, the mean and its 95% interval over seeds{report}."


def _verdict(finding: Finding) -> tuple[str, str]:
    if finding.done < finding.wanted:
        return f"Not yet decided: {finding.done} of {finding.wanted} runs are finished.", "open"
    shown = [c for c in finding.comparisons if c.adjusted < LEVEL]
    if not finding.comparisons:
        return "One configuration: nothing to compare.", "open"
    if not shown:
        return f"No difference shown between {', '.join(v.label for v in finding.variants)}.", "open"
    told = [f"{c.better} over {c.second if c.better == c.first else c.first}" for c in shown]
    rest = [f"{c.first} and {c.second}" for c in finding.comparisons if c not in shown]
    more = f"; no difference shown between {', '.join(rest)}" if rest else ""
    return f"Shown to be better: {', '.join(told)}{more}.", "held"


def _claim(finding: Finding, judged: Sequence[Judgement]) -> list[Text]:
    found = next((j for j in judged if j.study.name == finding.study.name), None)
    if found is None:
        return []
    claim = found.claim
    parts = "; ".join(f"{j.part.text}: {j.verdict}" for j in found.judged)
    return [Text(f"The report's conclusion {claim.number}: “{claim.text}.” Verdict: {found.verdict} ({parts}).")]


def _in_words(finding: Finding, present: Sequence[Variant]) -> str:
    """The effect: lowest and highest mean, and what the comparisons that show nothing could have shown."""
    low, high = (pick(present, key=lambda v: v.test.mean) for pick in (min, max))
    told = f"Mean macro-F1 goes from {low.test.mean:.3f} ({low.label}) to {high.test.mean:.3f} ({high.label})."
    if low is high:
        told = f"{low.label} has a mean macro-F1 of {low.test.mean:.3f}."
    hidden = [c.detectable for c in finding.comparisons if c.adjusted >= LEVEL and math.isfinite(c.detectable)]
    if hidden:
        ends = f"{min(hidden):.3f}" if len(hidden) == 1 else f"{min(hidden):.3f} to {max(hidden):.3f}"
        told += f" Where no difference is shown, this many runs and rows show one of {ends} in four cases of five."
    spreads = [v.test.deviation for v in present if math.isfinite(v.test.deviation)]
    if spreads:
        told += (
            f" Seeds of one configuration differ by a standard deviation of {min(spreads):.3f} to {max(spreads):.3f}."
        )
    return told


def _gap_in_words(present: Sequence[Variant]) -> str:
    """How far validation is from training at the kept epoch, whether training had ended, and what follows."""
    told = []
    for v in present:
        pairs = [(row["history"][row["best_epoch"] - 1], row["history"]) for row in v.rows]
        if any("val_loss" not in kept for kept, _ in pairs):
            kept = np.mean([k["loss"] for k, _ in pairs])
            told.append(f"{v.label}: training loss {kept:.2f} at the end, no rows left to validate on")
            continue
        loss, held = (float(np.mean([kept[key] for kept, _ in pairs])) for key in ("loss", "val_loss"))
        falling = np.mean([len(h) > 1 and h[-1]["val_loss"] < h[-2]["val_loss"] for _, h in pairs])
        gap = held - loss
        why = "overfitted" if gap > GAP else "still learning" if falling > 0.5 else "neither"
        told.append(f"{v.label}: {loss:.2f} and {held:.2f}, a gap of {gap:.2f}, {WHY[why]}")
    return f"Mean loss in training and on the rows that score the epochs, at the kept epoch. {'; '.join(told)}."


GAP = 0.3
WHY = {
    "overfitted": "so that it fits its training rows much better than new ones",
    "still learning": "and that loss still fell in the last epoch of most seeds: it had not learnt to the end",
    "neither": "so that more of the same training would not have helped much",
}


def _setup(finding: Finding) -> list[Block]:
    """The settings that all configurations share; those that differ name the configurations."""
    settings = [_flat(v) for v in finding.variants]
    shared = {k: v for k, v in settings[0].items() if all(s.get(k) == v for s in settings)}
    varied = [k for k in settings[0] if k not in shared]
    head = ("setting", *(v.label for v in finding.variants))
    lines = [(k, *(shown(s.get(k)) for s in settings)) for k in varied]
    common = ", ".join(f"{k} {shown(v)}" for k, v in shared.items())
    cnn = finding.study.family == "cnn" and finding.study.arm == "reported"
    return [
        Text(CNN_ARM if cnn else ARMS[finding.study.arm]),
        Text(f"The same for all: {common}."),
        Table(head, tuple(lines)),
    ]


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


def _scores(finding: Finding) -> Table:
    kind = finding.variants[0].config.options.kind
    report = any(v.reported is not None for v in finding.variants)
    same = "the same 100 rows" if kind == "texts" and report else "validation"
    head: tuple[str, ...] = ("configuration", "mean", "95%, new seeds", "95%, new seeds and texts", "sd", "seeds", same)
    if kind == "images":
        head = tuple(name.replace("texts", "images") for name in head)
    head += (f"the report ({SINGLE_RUN[kind]})",) if report else ()
    head += ("ensemble",) if any(v.ensemble for v in finding.variants) else ()
    lines = []
    for v in finding.variants:
        test = v.test
        numbers = (value(test.mean), interval(test.low, test.high), interval(test.wide_low, test.wide_high))
        line: tuple[str, ...] = (v.label, *numbers, value(test.deviation), v.seeds, value(v.valid))
        line += (value(math.nan if v.reported is None else v.reported),) if report else ()
        if "ensemble" in head:
            line += (value(v.ensemble.mean) if v.ensemble else "–",)
        lines.append(line)
    return Table(head, tuple(lines))


def spread(variant: Variant, label: str, reported: tuple[float, ...]) -> charts.Spread:
    """A configuration for `charts.spreads`."""
    test = variant.test
    return charts.Spread(label, variant.scores, test.mean, test.low, test.high, reported)


def _curves(slug: str, present: Sequence[Variant]) -> Figure:
    histories = [row["history"] for v in present for row in v.rows]
    top = max(max(e["loss"], e.get("val_loss", 0.0)) for history in histories for e in history)
    epochs = max(map(len, histories))
    panels = [charts.curves(v.label, _both(v), top, epochs) for v in present]
    scores = [(v.label, _over_seeds(v, "val_macro_f1")) for v in present]
    means = [charts.Curve(label, found[0]) for label, found in scores if found]
    if means:
        panels.append(charts.score_curves("Macro-F1, validation", means, epochs))
    told = "Loss by epoch: the mean of the seeds, and the band that they fill"
    return Figure(f"{slug}-curves", tuple(panels), f"{told}; mean macro-F1 on validation." if means else f"{told}.")


def _both(variant: Variant) -> list[charts.Curve]:
    kinds = {"training": "loss", "validation": "val_loss"}
    found = [(kind, _over_seeds(variant, key)) for kind, key in kinds.items()]
    return [charts.Curve(kind, *curves) for kind, curves in found if curves]


def _over_seeds(variant: Variant, key: str) -> tuple[tuple[float, ...], ...]:
    """(mean, lowest, highest) of a number after each epoch, over the seeds that got that far; () if not measured."""
    given = [[epoch[key] for epoch in row["history"] if key in epoch] for row in variant.rows]
    by_epoch = [[v for v in values if v is not None] for values in itertools.zip_longest(*given)]
    made = tuple(tuple(float(f(values)) for values in by_epoch) for f in (np.mean, min, max))
    return made if by_epoch else ()


def _comparisons(pairs: Sequence[Comparison]) -> Table:
    head = ("pair", "difference", "verdict", "95% interval", "p", "p (Holm)", "could show")
    lines = tuple(
        (
            *(_pair(c), signed(c.difference), c.verdict, span(c.low, c.high)),
            *(p_value(c.p), p_value(c.adjusted), value(c.detectable)),
        )
        for c in pairs
    )
    return Table(head, lines, frozenset({0, 2}))


def _pair(pair: Comparison) -> str:
    return f"{pair.first} − {pair.second}"


def _confusions(finding: Finding, present: Sequence[Variant]) -> Figure:
    classes = finding.classes
    best = max(present, key=lambda v: v.test.mean)  # of one study they are much alike: one is enough
    counts = confusion(best, finding.labels, len(classes))
    panels = (pictures.matrix(best.label, counts, classes, shares=True),)
    return Figure(
        f"{finding.study.name}-confusion",
        panels,
        "Shares of the true class that are predicted as each, from half a percent, all seeds together.",
    )


def confusion(variant: Variant, labels: Any, classes: int) -> Any:
    """Counts over all seeds, rows true and columns predicted."""
    predicted = variant.predicted
    return confusion_matrix(np.tile(labels, len(predicted)), predicted.ravel(), labels=range(classes))


# --- numbers for readers -----------------------------------------------------------------------------


def value(number: float) -> str:
    """A score; a dash where there is none."""
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
