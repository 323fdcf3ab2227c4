"""Charts of the studies as SVG text, drawn by hand so that every mark carries its number.

A chart is one or more panels. In a page each panel is an <svg> of its own, so that they wrap on a phone, and
takes its colours from the page; in a file they stand side by side with the colours inside. Numbers stand as
`data-` attributes at the marks, unrounded. Colours are never the only difference: lines are also
dashed, marks have shapes.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import escape
from PIL import Image

STYLES = ("palette.css", "chart.css")
LETTER = 6.4
"""About the width of a letter at 12 px."""


@dataclass(frozen=True)
class Panel:
    """Part of a chart: its size in pixels, its marks, and what a screen reader says."""

    width: float
    height: float
    body: str
    label: str


@dataclass(frozen=True)
class Curve:
    """The loss of one run, epoch by epoch; `best` is the epoch whose weights were kept."""

    kind: str
    seed: int
    values: tuple[float, ...]
    best: int | None = None


@dataclass(frozen=True)
class Spread:
    """A configuration: one score a seed, their mean and 95% interval, and the scores of the report."""

    label: str
    scores: tuple[float, ...]
    mean: float
    low: float
    high: float
    reported: tuple[float, ...] = ()


@dataclass(frozen=True)
class Gap:
    """A difference with its interval."""

    label: str
    difference: float
    low: float
    high: float


def inline(panel: Panel) -> str:
    """The panel as an <svg> element in a page that has chart.css."""
    return _svg(panel.width, panel.height, panel.body, panel.label, "")


def standalone(panels: Sequence[Panel], columns: int) -> str:
    """All panels side by side as an SVG file with its own colours, light and dark."""
    width, height = max(p.width for p in panels), max(p.height for p in panels)
    columns = min(columns, len(panels))
    moved = [
        f'<g transform="translate({i % columns * width:g} {i // columns * height:g})">{p.body}</g>'
        for i, p in enumerate(panels)
    ]
    size = columns * width, math.ceil(len(panels) / columns) * height
    style = "".join((Path(__file__).parent / name).read_text("utf-8") for name in STYLES)
    paper = f'<rect width="{size[0]:g}" height="{size[1]:g}" fill="var(--paper)"/>'
    body = f"<style>{style}</style>{paper}{''.join(moved)}"
    return _svg(*size, body, "; ".join(p.label for p in panels), ' xmlns="http://www.w3.org/2000/svg"') + "\n"


def _svg(width: float, height: float, body: str, label: str, more: str) -> str:
    box = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg{more} class="chart" {box} role="img" aria-label="{escape(label)}">{body}</svg>'


# --- marks -----------------------------------------------------------------------------------------


def _element(tag: str, text: str = "", /, **attributes: Any) -> str:
    """An element around markup; `class_` is class, `data_kind` data-kind; floats are short, but whole in data."""
    written = []
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        shown = f"{value:.1f}" if isinstance(value, float) and not name.startswith("data-") else str(value)
        written.append(f' {name}="{escape(shown)}"')
    return f"<{tag}{''.join(written)}>{text}</{tag}>" if text else f"<{tag}{''.join(written)}/>"


def _text(x: float, y: float, text: str, class_: str = "") -> str:
    return _element("text", str(escape(text)), x=float(x), y=float(y), **({"class_": class_} if class_ else {}))


def _line(x1: float, y1: float, x2: float, y2: float, class_: str, **data: Any) -> str:
    return _element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_, **data)


def _diamond(x: float, y: float, class_: str, **data: Any) -> str:
    return _element("path", d=f"M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z", class_=class_, **data)


def _cross(x: float, y: float, class_: str, **data: Any) -> str:
    return _element("path", d=f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8", class_=class_, **data)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers that span [low, high], about `wanted` of them."""
    span = max(high - low, 1e-9)
    power = 10 ** math.floor(math.log10(span / wanted))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


# --- charts ----------------------------------------------------------------------------------------


def curves(title: str, runs: Sequence[Curve], top: float, epochs: int) -> Panel:
    """Training (solid) and validation loss (dashed) of every seed; a ring at the epoch that was kept."""
    width, height, left, bottom, head = 310.0, 240.0, 40.0, 34.0, 44.0
    marks = ticks(0, top)
    places = range(1, epochs + 1)

    def at(epoch: int, value: float) -> tuple[float, float]:
        x = left + (width - left - 14) * (epoch - 1) / max(1, epochs - 1)
        return x, height - bottom - (height - bottom - head) * value / marks[-1]

    body = [_text(left, 16, title, "title"), _legend(left, 34)]
    for mark in marks:
        y = at(1, mark)[1]
        body += [_line(left, y, width - 14, y, "grid"), _text(left - 6, y + 4, f"{mark:g}", "soft end")]
    step = max(1, round(epochs / 6))
    body += [_text(at(e, 0)[0], height - bottom + 16, str(e), "soft middle") for e in places if (e - 1) % step == 0]
    body.append(_text((left + width) / 2, height - 4, "epoch", "soft middle"))
    for run in runs:
        points = [at(epoch, min(value, marks[-1])) for epoch, value in enumerate(run.values, 1)]
        colour = "c0" if run.kind == "training" else "c1 dashed"
        told = _element("title", f"{run.kind} loss, seed {run.seed}: " + ", ".join(f"{v:.3f}" for v in run.values))
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        data = {"data_kind": run.kind, "data_seed": run.seed, "data_values": ",".join(map(repr, run.values))}
        body.append(_element("polyline", told, points=drawn, class_=f"line {colour}", **data))
        if run.best is not None:
            x, y = points[run.best - 1]
            body.append(_element("circle", cx=x, cy=y, r=3.5, class_="mark c1"))
    return Panel(width, height, "".join(body), f"{title}: loss by epoch")


def _legend(x: float, y: float) -> str:
    return (
        _line(x, y - 4, x + 22, y - 4, "line c0")
        + _text(x + 27, y, "training", "soft")
        + _line(x + 86, y - 4, x + 108, y - 4, "line c1 dashed")
        + _text(x + 113, y, "validation", "soft")
        + _element("circle", cx=x + 193, cy=y - 4, r=3.5, class_="mark c1")
        + _text(x + 201, y, "kept", "soft")
    )


def spreads(rows: Sequence[Spread], references: dict[str, float]) -> Panel:
    """One line a configuration: seeds as rings, the mean as a diamond on its 95% interval, the report as crosses."""
    given = [v for row in rows for v in (*row.scores, row.mean, row.low, row.high, *row.reported)]
    finite = [v for v in (*given, *references.values()) if math.isfinite(v)] or [0.0, 1.0]
    marks = ticks(max(0.0, min(finite)), min(1.0, max(finite)))
    left, width, step, head = 16.0, 350.0, 46.0, 30.0 + 18 * len(references)
    foot = head + step * len(rows) + 6

    def at(value: float) -> float:
        span = (marks[-1] - marks[0]) or 1
        return left + 300.0 * (min(max(value, marks[0]), marks[-1]) - marks[0]) / span

    body = [_spread_legend(left)]
    for mark in marks:
        body += [_line(at(mark), head, at(mark), foot, "grid"), _text(at(mark), foot + 16, f"{mark:g}", "soft middle")]
    body.append(_text(left + 150, foot + 34, "macro-F1 on test", "soft middle"))
    for i, (name, value) in enumerate(references.items()):
        x, y = at(value), 36.0 + 18 * i
        side = "end" if value > (marks[0] + marks[-1]) / 2 else ""
        body.append(_line(x, y + 4, x, foot, "line c2 dashed", data_reference=name, data_value=value))
        body.append(_text(x, y, f"{name} {value:.4f}", side))
    for i, row in enumerate(rows):
        body.append(_spread(row, head + step * i + 30, left, at))
    return Panel(width, foot + 42, "".join(body), "Macro-F1 by configuration")


def _spread(row: Spread, y: float, left: float, at: Any) -> str:
    data = {"data_configuration": row.label}
    body = [_text(left, y - 12, row.label)]
    if math.isfinite(row.low):
        span = {"data_low": row.low, "data_high": row.high}
        body.append(_line(at(row.low), y, at(row.high), y, "line thick c0", **data, **span))
    for score in row.scores:
        told = _element("title", str(escape(f"{row.label}: {score:.4f}")))
        body.append(_element("circle", told, cx=at(score), cy=y, r=4.0, class_="mark c0", data_score=score, **data))
    for score in row.reported:
        body.append(_cross(at(score), y + 9, "line c3", data_reported=score, **data))
    if row.scores:
        body.append(_diamond(at(row.mean), y, "full c1", data_mean=row.mean, **data))
    else:
        body.append(_text(left, y + 4, "no run yet", "soft"))
    return "".join(body)


def _spread_legend(x: float) -> str:
    return (
        _element("circle", cx=x + 4, cy=12.0, r=4.0, class_="mark c0")
        + _text(x + 13, 16, "one seed", "soft")
        + _line(x + 80, 12, x + 102, 12, "line thick c0")
        + _diamond(x + 91, 12, "full c1")
        + _text(x + 108, 16, "mean, 95% interval", "soft")
        + _cross(x + 244, 12, "line c3")
        + _text(x + 253, 16, "the report", "soft")
    )


def gaps(rows: Sequence[Gap]) -> Panel:
    """Differences with their 95% intervals beside the line of no difference."""
    finite = [v for row in rows for v in (row.difference, row.low, row.high) if math.isfinite(v)]
    marks = ticks(min([-0.01, *finite]), max([0.01, *finite]))
    left, width, step, head = 16.0, 350.0, 42.0, 6.0
    foot = head + step * len(rows) + 6

    def at(value: float) -> float:
        return left + 300.0 * (value - marks[0]) / (marks[-1] - marks[0])

    body = []
    for mark in marks:
        body += [_line(at(mark), head, at(mark), foot, "grid"), _text(at(mark), foot + 16, f"{mark:g}", "soft middle")]
    body.append(_line(at(0), head, at(0), foot, "axis"))
    body.append(_text(left + 150, foot + 34, "difference in macro-F1", "soft middle"))
    for i, row in enumerate(rows):
        y = head + step * i + 30
        data = {"data_pair": row.label}
        body.append(_text(left, y - 14, row.label))
        if math.isfinite(row.low):
            span = {"data_low": row.low, "data_high": row.high}
            body.append(_line(at(row.low), y, at(row.high), y, "line thick c0", **data, **span))
        body.append(_diamond(at(row.difference), y, "full c1", data_difference=row.difference, **data))
    return Panel(width, foot + 42, "".join(body), "Differences between configurations")


def confusion(title: str, counts: Any, classes: Sequence[str]) -> Panel:
    """A confusion matrix, rows true and columns predicted; the shade is the share of the true class."""
    n = len(classes)
    side = 34.0 if n > 4 else 52.0
    left, head = 24 + LETTER * max(len(c) for c in classes), 44.0
    foot = head + side * n
    slanted = 10 + 0.72 * LETTER * max(len(c) for c in classes)
    body = [_text(8, 16, title, "title"), _text(8, 34, "true class ↓, predicted class →", "soft")]
    for i, name in enumerate(classes):
        body.append(_text(left - 8, head + side * (i + 0.5) + 4, name, "end"))
        x, y = left + side * (i + 0.5) + 4, foot + 14
        spot = {"x": float(x), "y": float(y), "transform": f"rotate(-45 {x:.1f} {y:.1f})", "class_": "end"}
        body.append(_element("text", str(escape(name)), **spot))
        total = max(1, int(sum(counts[i])))
        for j in range(n):
            count = int(counts[i][j])
            share = count / total
            place = {"x": left + side * j, "y": head + side * i, "width": side, "height": side}
            data = {"data_true": i, "data_predicted": j, "data_count": count}
            body.append(_element("rect", **place, class_="cell", fill_opacity=f"{share:.3f}", **data))
            over = "middle over" if share > 0.85 else "middle"  # where dark letters are hard to read
            body.append(_text(left + side * (j + 0.5), head + side * (i + 0.5) + 4, str(count), over))
    return Panel(max(left + side * n + 12, 240.0), foot + slanted + 14, "".join(body), f"{title}: confusion matrix")


def thumbnail(pixels: Any, lines: Sequence[str]) -> Panel:
    """An image (height, width, 1 or 3) of uint8, enlarged, with lines of text below."""
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(out, "PNG", optimize=True)
    href = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    place = {"x": 4.0, "y": 4.0, "width": 96.0, "height": 96.0, "style": "image-rendering: pixelated"}
    body = [_element("image", **place, href=href)]
    body += [_text(4, 116 + 16 * i, line, "" if i == 0 else "soft") for i, line in enumerate(lines)]
    return Panel(136.0, 112.0 + 16 * len(lines), "".join(body), ", ".join(lines))
