"""The first page of the study report: the scores that were reached, and the verdicts on the report's conclusions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from compare.report import score
from compare.studies import charts
from compare.studies.baselines import CHOSEN
from compare.studies.document import Block, Cell, Figure, Heading, Link, Page, Table, Text, Verdict
from compare.studies.findings import (
    ARMS,
    REPORT,
    TARGETS,
    TRIED,
    VERDICTS,
    Finding,
    Judgement,
    Variant,
    best,
    designed_text,
    judge,
    named,
)
from compare.studies.pages import interval, p_value, signed, span, spread, value
from compare.studies.statistics import LEVEL
from train_keras.studies import STUDIES, runs

METHOD = """Every configuration is trained with several seeds, which decide initial weights, order of the rows and
dropout. A score varies with the seed, with the test rows, and with how these meet; each of the three is estimated, and
differences are tested with the error that follows (type I error and power of this test, by simulation, are below).
“Could show” is the true difference that a test finds in four cases of five. Everything is chosen on training and
validation data; the test split is looked at once per trained model and chooses nothing."""

CLAIMS_NOTE = f"""The ten conclusions about hyperparameters in the report's last chapter, each with the comparison that
tests it. A part holds where its better side is shown to be better: p below {LEVEL:g} after Holm's correction over all
parts of the ten together. It is contradicted where the other side is, and not shown otherwise. “Not A > B” holds where
B is shown to be better, and is not contradicted where neither is."""


def summary(
    findings: Sequence[Finding],
    baselines: Mapping[str, Any],
    simulated: Sequence[Mapping[str, Any]],
    pages: Sequence[tuple[str, str]],
) -> Page:
    """The first page: the scores that were reached, the verdicts on the report, and links to all other pages."""
    wanted = {run.name for run in runs(list(STUDIES.values()))}
    done = {row["run"] for f in findings for v in f.variants for row in v.rows} & wanted
    complete = len(done) == len(wanted)
    state = f"{len(done)} of {len(wanted)} runs are finished" + ("." if complete else "; the rest is shown as missing.")
    reported = judge(findings, "reported")
    blocks: list[Block] = [
        Text(
            "How much do depth, width, kernels, pooling, direction and training matter? The report's experiments again."
        ),
        Text(REPORT),
        Verdict(state, "held" if complete else "open"),
        Heading("The report's conclusions"),
        Verdict(_counted(reported)),
        _claims(reported),
        Text(CLAIMS_NOTE),
        *_other_arms(findings),
        Heading("What was reached"),
        _targets(findings),
        _tried(findings),
        *_overview(findings, baselines),
        _baselines(baselines),
        Heading("The studies"),
        _studies(findings),
        Heading("Method"),
        Text(METHOD),
        *_simulated(simulated),
        Heading("More"),
        Table(("page", "about"), tuple((Link(slug, slug), about) for slug, about in pages), frozenset({0, 1})),
    ]
    return Page("index", "The studies", tuple(blocks))


def _targets(findings: Sequence[Finding]) -> Table:
    head = ("what", "test", "outcome", "aimed at", "95%, new seeds and rows", "seeds", "configuration")
    lines = []
    for name, kind, which, aim in TARGETS:
        chosen = _aimed(findings, kind, which)
        found = chosen and (chosen[1].ensemble if which == "ensemble" else chosen[1].test)
        if not chosen or not found:
            lines.append((name, "–", "no run yet", f"{aim:.2f}", "–", "0", "–"))
            continue
        finding, variant = chosen
        outcome = "reached" if found.mean >= aim else f"missed by {aim - found.mean:.3f}"
        outcome += "" if len(variant.rows) >= variant.wanted else " so far"
        label = f"{variant.label} ({finding.study.name})"
        wide = interval(found.wide_low, found.wide_high)
        lines.append((name, score(found.mean), outcome, f"{aim:.2f}", wide, variant.seeds, label))
    return Table(head, tuple(lines), frozenset({0, 2, 6}))


def _tried(findings: Sequence[Finding]) -> Text:
    """The configurations that were tried for each target, with their macro-F1 on test."""
    told = []
    for what, configurations in TRIED:
        outcomes = []
        for study, label in configurations:
            found = named(findings, study, label)
            if found:
                variant = found[1]
                more = f", {variant.ensemble.mean:.3f} as an ensemble" if variant.ensemble else ""
                outcomes.append(f"{label} of {study} ({variant.test.mean:.3f}{more})")
            elif any(finding.study.name == study for finding in findings):
                outcomes.append(f"{label} of {study} (no run yet)")
        if outcomes:
            told.append(f"for {what}, {', '.join(outcomes)}")
    return Text(
        f"Tried: {'; '.join(told) or 'nothing yet'}. What was scored on validation alone is in the page on choices."
    )


def _aimed(findings: Sequence[Finding], kind: str, which: str) -> tuple[Finding, Variant] | None:
    """The configuration to compare with a target; chosen without the test split."""
    if kind == "cnn":
        return best(findings, "images", which == "designed")
    if which in ("single", "ensemble"):
        return named(findings, "lstm.direction.proper", "bi")
    return designed_text(findings)


def _overview(findings: Sequence[Finding], baselines: Mapping[str, Any]) -> list[Figure]:
    """The configurations to compare with the targets, next to the best baseline; a figure each for images and texts."""
    found = []
    for name, kinds in (("images", ("cnn",)), ("texts", ("text",))):
        entries, data = [], None
        for title, kind, which, _ in TARGETS:
            chosen = _aimed(findings, kind, which) if kind in kinds and which != "ensemble" else None
            if chosen is not None:
                data = chosen[0].data
                entries.append(spread(chosen[1], title, ()))
        if entries:
            scores = baselines.get(str(data), {}).get("scores", {})
            references = {"tf-idf and a linear model": scores[CHOSEN]} if CHOSEN in scores else {}
            caption = f"What was reached, {name}: macro-F1 on test by seed."
            found.append(Figure(f"overview-{name}", (charts.spreads(entries, references),), caption))
    return found


def _baselines(baselines: Mapping[str, Any]) -> Block:
    lines = [
        (d, name, score(value), score(known.get("validation", {}).get(name, math.nan)))
        for d, known in baselines.items()
        for name, value in known["scores"].items()
    ]
    if not lines:
        return Text("Baselines are not computed yet: “fnet study report --data DIR” does.", soft=True)
    head = ("data", "baseline, fitted on the training split", "test", "validation")
    return Table(head, tuple(lines), frozenset({0, 1}))


def _counted(judged: Sequence[Judgement]) -> str:
    """How many of the ten claims have each verdict, in words."""
    verdicts = [j.verdict for j in judged]
    parts = [f"{verdicts.count(v)} {_plural(v, verdicts.count(v))}" for v in VERDICTS if v in verdicts]
    return f"Of {len(verdicts)} conclusions, as the report trained: {', '.join(parts)}."


def _plural(verdict: str, count: int) -> str:
    return verdict.replace("holds", "hold") if count != 1 else verdict


def _claims(judged: Sequence[Judgement]) -> Table:
    """A line for each part of each conclusion; the verdict is in an early column, to be seen on a phone."""
    head = ("", "conclusion and what tests it", "verdict", "difference", "95% interval", "p (Holm)", "could show")
    lines: list[tuple[Cell, ...]] = []
    for found in judged:
        claim = found.claim
        lines.append((Link(claim.number, claim.parts[0].study), claim.text, found.verdict, "", "", "", ""))
        for part in found.judged:
            lines.append(("", part.part.text, part.verdict, *_numbers(part.pair)))
    return Table(head, tuple(lines), frozenset({0, 1, 2}))


def _numbers(pair: Any) -> tuple[str, str, str, str]:
    if pair is None:
        return ("–", "–", "–", "–")
    return signed(pair.difference), span(pair.low, pair.high), p_value(pair.adjusted), value(pair.detectable)


def _other_arms(findings: Sequence[Finding]) -> list[Block]:
    """The verdicts of the text arms side by side."""
    arms = {name: {j.claim.number: j for j in judge(findings, name)} for name in ARMS}
    numbers = [n for n, j in arms["reported"].items() if j.study.family != "cnn"]
    lines = tuple((n, *(arms[name][n].verdict if n in arms[name] else "–" for name in ARMS)) for n in numbers)
    told = Text("The same conclusions about texts in every arm, each arm corrected by itself:")
    return [told, Table(("", *ARMS.values()), lines, frozenset(range(5)))] if lines else []


def _simulated(simulated: Sequence[Mapping[str, Any]]) -> list[Block]:
    head = ("made-up trainings", "type I error", "power", "at a true difference of", "“could show”", "trials")
    lines = tuple(
        (
            *(str(s["name"]), f"{s['type I error']:.3f}", f"{s['power']:.2f}", f"{s['true difference']:.3f}"),
            *(f"{s['detectable']:.3f}", str(s["trials"])),
        )
        for s in simulated
    )
    told = """How often the test, at the 5% level, shows a difference where there is none (type I error), and where
    there is one (power): compare/studies/simulation.py."""
    return [Text(told), Table(head, lines)] if lines else []


def _studies(findings: Sequence[Finding]) -> Table:
    head = ("study", "highest mean", "its macro-F1 on test", "runs", "question")
    lines: list[tuple[Cell, ...]] = []
    for finding in findings:
        leader = max((v for v in finding.variants if v.rows), key=lambda v: v.test.mean, default=None)
        study, done = finding.study, f"{finding.done} of {finding.wanted}"
        best_of = ("–", "–") if leader is None else (leader.label, score(leader.test.mean))
        lines.append((Link(study.name, finding.topic), *best_of, done, study.question))
    return Table(head, tuple(lines), frozenset({0, 1, 4}))
