"""Comparisons as a table on the terminal and as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare import machine, pictures
from compare.measuring import Errors, Side
from compare.parity import Comparison
from fnet import writing
from fnet.errors import printable

TEMPLATE = Path(__file__).parent / "report.html.j2"


def number(value: float | None) -> str:
    """A number for a table: 1.2e-07, 0, or a dash for one that was not measured."""
    if value is None:
        return "–"
    return "0" if value == 0 else f"{value:.2g}"


def score(value: float | None) -> str:
    """A score for a table, to four decimals."""
    return "–" if value is None else f"{value:.4f}"


def agreement(side: Side) -> str:
    """How many rows, pixels or steps have Keras's class: `400/400`, `399/400 (1 tie)`."""
    rows, ties = len(side.predicted), sum(d.tie for d in side.differing)
    note = f" ({ties} tie{'s' if ties > 1 else ''})" if ties else ""
    return f"{round(side.agreement * rows)}/{rows}{note}"


def ratio(side: Side, keras: Side) -> str:
    """The mean error as a multiple of Keras's: `0.94`; a dash for Keras itself."""
    value = None if side is keras else side.mean_ratio(keras)
    return "–" if value is None else f"{value:.2f}"


def print_comparison(comparison: Comparison, console: Console, layers: bool = True) -> None:
    """The tables of a comparison, and its verdict, on a terminal."""
    rows = f"{len(comparison.rows)} rows of {comparison.rows.name}"
    file = "" if comparison.title.endswith(comparison.file) else f": {comparison.file}"
    console.print(_shown(f"{comparison.title}{file}, {rows}"), style="bold")
    keras, scored = comparison.sides[0], any(side.f1 is not None for side in comparison.sides)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for name in (*(("macro-F1",) if scored else ()), "same class", "error", "mean / Keras", "seconds"):
        table.add_column(name, justify="right", overflow="fold")
    for side in comparison.sides:
        scores = (score(side.f1),) if scored else ()
        table.add_row(
            _shown(side.name), *scores, agreement(side), number(side.error), ratio(side, keras), f"{side.seconds:.2f}"
        )
    console.print(table)
    if len(comparison.outputs) > 1:
        console.print(_errors_table("output", comparison.outputs))
    if layers and comparison.layers:
        console.print(_errors_table("layer", comparison.layers))
    if comparison.not_compared:
        console.print(_shown(f"layers not compared one by one: {', '.join(comparison.not_compared)}"))
    for note in comparison.notes:
        console.print(_shown(note))
    console.print(Text(verdict(comparison)), style="green" if comparison.held else "bold red")


def _shown(text: str) -> Text:
    """A line with names of files, which are not markup, without control codes for the terminal."""
    return Text(printable(text))


def _errors_table(what: str, lines: Sequence[Errors]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(what, overflow="fold")
    table.add_column("shape", overflow="fold")
    for side in (*lines[0].errors, "allowed"):
        table.add_column(_shown(side), justify="right", overflow="fold")
    for line in lines:
        errors = [number(error) for error in line.errors.values()]
        shape = "×".join(map(str, line.shape))
        table.add_row(_shown(line.name), shape, *errors, number(line.allowed), style=None if line.held else "bold red")
    return table


def verdict(comparison: Comparison) -> str:
    """One sentence: parity held, or why not."""
    if comparison.held:
        return f"parity holds: every error within the yardstick ({number(comparison.allowed)} at the outputs)"
    return "parity does NOT hold:\n" + "\n".join(f"  {printable(problem)}" for problem in comparison.problems)


def write_report(comparisons: list[Comparison], path: str | Path, title: str = "Keras next to fnet") -> Path:
    """Write one HTML page about all comparisons: no network, light and dark, phone and print; whole or not at all."""
    page = rendered(
        TEMPLATE,
        {"number": number, "score": score, "agreement": agreement, "ratio": ratio},
        title=title,
        sections=[_section(comparison) for comparison in comparisons],
        held=all(comparison.held for comparison in comparisons),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=machine.describe(),
        versions=sorted({f"{k} {v}" for c in comparisons for s in c.sides for k, v in s.versions.items()}),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writing.write(path, page.encode())
    return path


def rendered(template: Path, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """A page from a template, which may extend base.html.j2; everything but markup is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, TEMPLATE.parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template.name).render(**values)


def _section(comparison: Comparison) -> dict[str, Any]:
    """The values of one comparison for the template. Only the pictures, which are made here, are markup."""
    drawn = (pictures.layer_errors, pictures.row_errors, pictures.confusion)
    return {
        "comparison": comparison,
        "pictures": [Markup(picture) for draw in drawn if (picture := draw(comparison))],
        "differing": [(side.name, d) for side in comparison.sides for d in side.differing[:10]],
    }
