"""The first page of the study report: what was reached, and the verdicts on the report's conclusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compare.report import score
from compare.studies import charts
from compare.studies.baselines import TFIDF
from compare.studies.document import Block, Figure, Heading, Link, Page, Table, Text, Verdict
from compare.studies.findings import REPORTED, TARGETS, WHY, Finding, best, candidates
from compare.studies.pages import interval, p_value, signed, span, spread
from compare.studies.statistics import LEVEL
from train_keras.studies import STUDIES, runs

METHOD = """Every configuration is trained with several seeds, which decide initial weights, order of the rows and
dropout. Intervals of one configuration are Student's t over seeds. Differences are tested in pairs: test rows (the
same for both) and seeds are resampled, the standard error is held against Student's t with Welch and
Satterthwaite's degrees of freedom, and p is Holm-corrected within the study. Everything is chosen on training and
validation data; the test split is looked at once per trained model and chooses nothing."""

CLAIMS_NOTE = f"""The report draws ten conclusions from single trainings. They are not listed in what this study was
made from, so they are reconstructed here from what the report varied: one for each study and family. Each is tested
between the two ends of its study, as the report trained and, for the texts, once more trained properly. It holds
when its better side is shown to be better (p below {LEVEL:g} after Holm), is contradicted when the other side is, and
is not shown otherwise."""


def summary(findings: Sequence[Finding], baselines: Mapping[str, Any], pages: Sequence[tuple[str, str]]) -> Page:
    """The first page: what was reached, the verdicts on the report, and links to all other pages."""
    wanted = {run.name for run in runs(list(STUDIES.values()))}
    done = {row["run"] for f in findings for v in f.variants for row in v.rows} & wanted
    complete = len(done) == len(wanted)
    state = f"{len(done)} of {len(wanted)} runs are finished" + ("." if complete else "; the rest is shown as missing.")
    blocks: list[Block] = [
        Text(
            "How much do depth, width, kernels, pooling, direction and training matter? The report's experiments again."
        ),
        Verdict(state, "held" if complete else "open"),
        Text(METHOD),
        Heading("What was reached"),
        _targets(findings),
        *_missed(findings),
        Text("How the settings were chosen: docs/choices.md in the repository."),
        *_overview(findings, baselines),
        _baselines(baselines),
        Heading("The report's conclusions"),
        Text(CLAIMS_NOTE),
        Verdict(_counted(findings)),
        _claims(findings),
        Heading("The studies"),
        _studies(findings),
        Heading("More"),
        Table(("page", "about"), tuple((Link(slug, slug), about) for slug, about in pages), frozenset({0, 1})),
    ]
    return Page("index", "The studies", tuple(blocks))


def _targets(findings: Sequence[Finding]) -> Table:
    head = (
        "best on validation of",
        "configuration",
        "seeds",
        "validation",
        "test",
        "95% interval",
        "aimed at",
        "outcome",
    )
    lines = []
    for name, families, designed, aim in TARGETS:
        chosen = best(findings, families, designed)
        if chosen is None:
            lines.append((name, "no run yet", "0", "–", "–", "–", f"{aim:.2f}", "–"))
            continue
        finding, variant = chosen
        mean = variant.test.mean
        outcome = "reached" if mean >= aim else f"missed by {aim - mean:.4f}"
        outcome += "" if len(variant.rows) >= variant.wanted else " so far"
        numbers = (score(variant.valid.mean), score(mean), interval(variant.test))
        label = f"{variant.label} ({finding.study.name})"
        lines.append((name, label, variant.seeds, *numbers, f"{aim:.2f}", outcome))
    for family, title in (("cnn", "CNN"), ("rnn", "SimpleRNN"), ("lstm", "LSTM")):
        lines.append((f"the report's best {title}", "–", "1", "–", score(REPORTED[family, "best"][0]), "–", "–", "–"))
    return Table(head, tuple(lines), frozenset({0, 1}))


def _missed(findings: Sequence[Finding]) -> list[Block]:
    """Why a figure that was aimed at is missed, a paragraph each."""
    found: list[Block] = []
    for name, families, designed, aim in TARGETS:
        chosen = best(findings, families, designed)
        if chosen is None or chosen[1].test.mean >= aim:
            continue
        finding, highest = max(candidates(findings, families, designed), key=lambda pair: pair[1].test.mean)
        valid, test = (score(x.mean) for x in (chosen[1].valid, chosen[1].test))
        found.append(
            Text(
                f"Why the {name} misses {aim:.2f}: chosen on validation, where it has {valid}, it has {test} on test. "
                f"The highest on test, which chooses nothing, is {score(highest.test.mean)} ({highest.label}, "
                f"{finding.study.name}). {WHY.get((name, str(finding.data)), '')}".strip()
            )
        )
    return found


def _overview(findings: Sequence[Finding], baselines: Mapping[str, Any]) -> list[Figure]:
    """The chosen configurations next to the baselines and the report's best, images and texts apart."""
    found = []
    for name, families in (("images", ("cnn",)), ("texts", ("rnn", "lstm"))):
        entries, data = [], None
        for family in families:
            for designed in (False, True):
                chosen = best(findings, (family,), designed)
                if chosen is not None:
                    finding, variant = chosen
                    data = finding.data
                    label = f"{family}: {variant.label}" if designed else f"{family}: grid, {variant.label}"
                    entries.append(spread(variant, label, () if designed else REPORTED[family, "best"]))
        if entries:
            scores = baselines.get(str(data), {}).get("scores", {})
            panel = charts.spreads(entries, {k: v for k, v in scores.items() if k == TFIDF})
            caption = f"Best on validation, {name}: macro-F1 on test by seed, and the report's best grid score."
            found.append(Figure(f"overview-{name}", (panel,), caption))
    return found


def _baselines(baselines: Mapping[str, Any]) -> Block:
    lines = [(d, name, score(value)) for d, known in baselines.items() for name, value in known["scores"].items()]
    if not lines:
        return Text("Baselines are not computed yet: “fnet study report --data DIR” does.", soft=True)
    return Table(
        ("data", "baseline, fitted on the training split", "macro-F1 on test"), tuple(lines), frozenset({0, 1})
    )


def _counted(findings: Sequence[Finding]) -> str:
    """How the ten claims fare as the report trained."""
    verdicts = [f.verdict for f in findings if f.claim and f.study.arm == "reported"]
    counts = {v: verdicts.count(v) for v in ("holds", "not shown", "contradicted", "not yet decided")}
    parts = [f"{n} {'hold' if v == 'holds' and n != 1 else v}" for v, n in counts.items() if n]
    return f"Of {len(verdicts)} conclusions, as the report trained: {', '.join(parts)}."


def _claims(findings: Sequence[Finding]) -> Table:
    head = ("conclusion", "trained", "tested", "difference", "95% interval", "p (Holm)", "verdict")
    lines = []
    for finding in findings:
        claim, tested = finding.claim, finding.tested
        if claim is None:
            continue
        pair = f"{claim.better} − {claim.worse}"
        arm = "as reported" if finding.study.arm == "reported" else "properly"
        numbers = ("–", "–", "–")
        if tested is not None:
            sign = 1 if tested.first == claim.better else -1
            low, high = sorted((sign * tested.low, sign * tested.high))
            numbers = (signed(sign * tested.difference), span(low, high), p_value(tested.adjusted))
        lines.append((claim.text, Link(arm, finding.study.name), pair, *numbers, finding.verdict))
    return Table(head, tuple(lines), frozenset({0, 1, 2, 6}))


def _studies(findings: Sequence[Finding]) -> Table:
    head = ("study", "question", "runs", "best on validation", "its test macro-F1")
    lines = []
    for finding in findings:
        leader = max((v for v in finding.variants if v.rows), key=lambda v: v.valid.mean, default=None)
        name = finding.study.name
        best_of = ("–", "–") if leader is None else (leader.label, score(leader.test.mean))
        lines.append((Link(name, name), finding.study.question, f"{finding.done} of {finding.wanted}", *best_of))
    return Table(head, tuple(lines), frozenset({0, 1, 3}))
