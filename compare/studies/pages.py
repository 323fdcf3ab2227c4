"""The pages of the study report about one study each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from compare import pictures
from compare.report import score
from compare.studies import charts
from compare.studies.baselines import TFIDF
from compare.studies.document import Block, Figure, Heading, Page, Table, Text, Verdict
from compare.studies.findings import Finding, Variant
from compare.studies.statistics import LEVEL, Comparison, Estimate

ARMS = {
    "reported": "As reported: the report's setting and its fixed number of epochs; the last epoch's weights are kept.",
    "proper": "Trained properly: padding is masked, training stops early on the validation loss and the best epoch's "
    "weights are kept; the same for every configuration.",
    "designed": "Beyond the report: a configuration of our own beside the family's base configuration.",
}


def study_page(finding: Finding, baselines: Mapping[str, Any]) -> Page:
    """Question, setup, verdict, table, curves, comparisons and confusion matrices of a study."""
    present = [v for v in finding.variants if v.rows]
    slug = finding.study.name
    blocks: list[Block] = [Verdict(*_verdict(finding)), *_claim(finding), Heading("Setup"), *_setup(finding)]
    blocks += [Heading("Scores"), _scores(finding)]
    if present:
        known = baselines.get(str(finding.data), {}).get("scores", {})
        entries = [spread(v, v.label, v.reported) for v in finding.variants]
        panel = charts.spreads(entries, {k: v for k, v in known.items() if k == TFIDF})
        blocks.append(Figure(f"{slug}-scores", (panel,), "Macro-F1 on test, every seed."))
        blocks += [Heading("Learning curves"), _curves(slug, present)]
    if finding.comparisons:
        blocks += [Heading("Comparisons"), _comparisons(finding.comparisons), _gaps(slug, finding.comparisons)]
    if present:
        blocks += [Heading("Confusion matrices"), _confusions(finding, present)]
    return Page(slug, f"{finding.study.question} ({slug})", tuple(blocks))


def _verdict(finding: Finding) -> tuple[str, str]:
    if finding.done < finding.wanted:
        found = f"Not yet decided: {finding.done} of {finding.wanted} runs are finished."
        return found, "open"
    shown = [c for c in finding.comparisons if c.adjusted < LEVEL]
    if not shown:
        return f"No difference shown between {', '.join(v.label for v in finding.variants)}.", "open"
    told = [f"{c.better} does better than {c.second if c.better == c.first else c.first}" for c in shown]
    rest = len(finding.comparisons) - len(shown)
    return "; ".join(told) + (f"; no difference shown in the other {rest}." if rest else "."), "held"


def _claim(finding: Finding) -> list[Text]:
    if finding.claim is None:
        return []
    claim = finding.claim.text
    return [Text(f"The report's conclusion, reconstructed: {claim[0].lower()}{claim[1:]}. Verdict: {finding.verdict}.")]


def _setup(finding: Finding) -> list[Block]:
    """The settings that all configurations share; those that differ name the configurations."""
    settings = [_flat(v) for v in finding.variants]
    shared = {k: v for k, v in settings[0].items() if all(s.get(k) == v for s in settings)}
    varied = [k for k in settings[0] if k not in shared]
    head = ("setting", *(v.label for v in finding.variants))
    lines = [(k, *(shown(s.get(k)) for s in settings)) for k in varied]
    common = ", ".join(f"{k} {shown(v)}" for k, v in shared.items())
    return [Text(ARMS[finding.study.arm]), Text(f"The same for all: {common}."), Table(head, tuple(lines))]


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
    head = (
        "configuration",
        "seeds",
        "mean",
        "sd",
        "95% interval",
        "validation",
        "kept epoch",
        "the report",
        "each seed",
    )
    lines = []
    for v in finding.variants:
        epochs = ", ".join(str(row["best_epoch"]) for row in v.rows) or "–"
        each = ", ".join(score(s) for s in v.scores) or "–"
        reported = ", ".join(score(s) for s in v.reported) or "–"
        test = v.test
        numbers = (value(test.mean), value(test.deviation), interval(test), value(v.valid.mean))
        lines.append((v.label, v.seeds, *numbers, epochs, reported, each))
    return Table(head, tuple(lines), frozenset({0, 7, 8}))


def spread(variant: Variant, label: str, reported: tuple[float, ...]) -> charts.Spread:
    """A configuration for `charts.spreads`."""
    test = variant.test
    return charts.Spread(label, variant.scores, test.mean, test.low, test.high, reported)


def _curves(slug: str, present: Sequence[Variant]) -> Figure:
    histories = [row["history"] for v in present for row in v.rows]
    top = max(max(e["loss"], e["val_loss"]) for history in histories for e in history)
    epochs = max(map(len, histories))
    panels = tuple(charts.curves(v.label, _both(v), top, epochs) for v in present)
    return Figure(f"{slug}-curves", panels, "Training and validation loss per epoch, every seed.")


def _both(variant: Variant) -> list[charts.Curve]:
    found = []
    for row in variant.rows:
        history, seed = row["history"], row["seed"]
        found.append(charts.Curve("training", seed, tuple(e["loss"] for e in history)))
        found.append(charts.Curve("validation", seed, tuple(e["val_loss"] for e in history), row["best_epoch"]))
    return found


def _comparisons(pairs: Sequence[Comparison]) -> Table:
    head = ("pair", "difference", "95% interval", "p", "p (Holm)", "verdict")
    lines = tuple(
        (_pair(c), signed(c.difference), span(c.low, c.high), p_value(c.p), p_value(c.adjusted), c.verdict)
        for c in pairs
    )
    return Table(head, lines, frozenset({0, 5}))


def _gaps(slug: str, pairs: Sequence[Comparison]) -> Figure:
    entries = [charts.Gap(_pair(c), c.difference, c.low, c.high) for c in pairs]
    return Figure(f"{slug}-differences", (charts.gaps(entries),), "Differences in mean macro-F1 with 95% intervals.")


def _pair(pair: Comparison) -> str:
    return f"{pair.first} − {pair.second}"


def _confusions(finding: Finding, present: Sequence[Variant]) -> Figure:
    classes = finding.classes
    panels = tuple(pictures.matrix(v.label, confusion(v, finding.labels, len(classes)), classes) for v in present)
    return Figure(
        f"{finding.study.name}-confusion", panels, "Test rows by true and predicted class, all seeds together."
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


def interval(estimate: Estimate) -> str:
    """An interval of scores."""
    return "–" if math.isnan(estimate.low) else f"{estimate.low:.4f} to {estimate.high:.4f}"


def p_value(p: float) -> str:
    """A p-value; small ones as a bound."""
    return "–" if math.isnan(p) else "< 0.0001" if p < 0.0001 else f"{p:.4f}"
