"""`fnet study report`: the rows as one HTML page, and as Markdown with figures for the repository."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compare import report, svg
from compare.studies import baselines, choices, evidence, mistakes
from compare.studies import rows as store
from compare.studies.document import Page, write_markdown
from compare.studies.findings import Finding, collect, judge, topics
from compare.studies.overview import summary
from compare.studies.pages import topic_page
from fnet import writing
from train_keras import data
from train_keras.data import Data
from train_keras.errors import DataError

TEMPLATE = Path(__file__).parent / "studies.html.j2"
log = logging.getLogger("compare.studies")

HTML, SIMULATION = "report.html", "simulation.json"

ABOUT = (
    ("errors", "which classes, texts and images fail, with examples"),
    ("choices", "how settings and the designed CNN were chosen"),
    ("parity", "Keras beside fnet on every trained file"),
    ("elsewhere", "the same commands on other data"),
    ("speed", "the benchmarks"),
    ("provenance", "versions, data, machines, dates, licences"),
)


def write(
    results: Path,
    html: Path | None = None,
    where: str | None = None,
    cache: str | None = None,
    language: str = data.INDONESIAN,
) -> list[Path]:
    """Write the report on the rows in `results`; returns the paths written, the HTML page first.

    html: the page, by default report.html in `results`. where, cache, language: the data (as in `fnet study run`), for
    baselines and the texts and images of the error analysis; without the data of the rows, baselines are
    those kept in `results` and the error analysis has row numbers only.

    Raises ReportError for rows of several data sets of one kind, or without their labels.
    """
    rows = store.read(results)
    labels = store.labels_of(results)
    findings = collect(rows, labels)
    loaded = _data_of(rows, where, cache, language)
    for found in loaded.values():
        baselines.keep(results, found)
    known = baselines.kept(results)
    pages = [
        summary(findings, known, simulated(results), ABOUT),
        *topic_pages(findings, known),
        mistakes.page(findings, loaded),
        choices.page(choices.kept(results), choices.kept(results, choices.SEARCH)),
        evidence.parity_page(findings),
        evidence.elsewhere_page(elsewhere(results)),
        evidence.speed_page(results),
        evidence.provenance_page(rows),
    ]
    page = html or results / HTML
    page.parent.mkdir(parents=True, exist_ok=True)
    writing.write(page, render(pages).encode())
    return [page, *write_markdown(pages, results)]


def elsewhere(results: Path) -> list[tuple[str, list[Finding]]]:
    """The studies on other data: of each folder of rows inside `results`, by its name."""
    folders = sorted(path.parent for path in results.glob(f"*/{store.ROWS}"))
    return [(folder.name, collect(store.read(folder), store.labels_of(folder))) for folder in folders]


def topic_pages(findings: list[Finding], known: Mapping[str, Any]) -> list[Page]:
    """A page for each question; known: the baselines."""
    judged = [j for arm in dict.fromkeys(f.study.arm for f in findings) for j in judge(findings, arm)]
    return [topic_page(group, known, judged) for group in topics(findings)]


def _data_of(rows: list[dict[str, Any]], where: str | None, cache: str | None, language: str) -> dict[str, Data]:
    """{name: data set} of the rows, where `where` holds exactly the same data."""
    found = {}
    for name, kind, digest in sorted({(r["data"], _kind(r), r["data_sha256"]) for r in rows}):
        try:
            loaded = data.load(kind, where, cache, language)
        except DataError:
            log.warning("the data of %s is not here (--data DIR): the page on errors shows none of its %s", name, kind)
            continue
        if (loaded.name, loaded.fingerprint) == (name, digest):
            found[name] = loaded
        else:
            log.warning("%s of other data than the rows: the page on errors shows none of its %s", loaded.name, kind)
    return found


def _kind(row: dict[str, Any]) -> str:
    return "images" if row["family"] == "cnn" else "texts"


def render(pages: list[Page]) -> str:
    """One HTML page about all."""
    filters = {"drawn": lambda panel: Markup(svg.inline(panel))}
    return report.rendered(TEMPLATE, filters, title="fnet: the studies", pages=pages)


def simulated(results: Path) -> list[dict[str, Any]]:
    """The results of `compare.studies.simulation` that are kept in a results folder."""
    path = results / SIMULATION
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return found
