"""The charts of the studies: losses by epoch, scores by configuration, differences, images with their labels."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape
from PIL import Image

from compare.svg import Panel, circle, cross, diamond, element, line, text, ticks


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


def curves(title: str, runs: Sequence[Curve], top: float, epochs: int) -> Panel:
    """Training (solid) and validation loss (dashed) of every seed; a ring at the epoch that was kept."""
    width, height, left, bottom, head = 310.0, 240.0, 40.0, 34.0, 44.0
    marks = ticks(0, top)
    places = range(1, epochs + 1)

    def at(epoch: int, value: float) -> tuple[float, float]:
        x = left + (width - left - 14) * (epoch - 1) / max(1, epochs - 1)
        return x, height - bottom - (height - bottom - head) * value / marks[-1]

    body = [text(left, 16, title, "title"), _legend(left, 34)]
    for mark in marks:
        y = at(1, mark)[1]
        body += [line(left, y, width - 14, y, "grid"), text(left - 6, y + 4, f"{mark:g}", "soft end")]
    step = max(1, round(epochs / 6))
    body += [text(at(e, 0)[0], height - bottom + 16, str(e), "soft middle") for e in places if (e - 1) % step == 0]
    body.append(text((left + width) / 2, height - 4, "epoch", "soft middle"))
    for run in runs:
        points = [at(epoch, min(value, marks[-1])) for epoch, value in enumerate(run.values, 1)]
        colour = "c0" if run.kind == "training" else "c1 dashed"
        told = element("title", f"{run.kind} loss, seed {run.seed}: " + ", ".join(f"{v:.3f}" for v in run.values))
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        data = {"data_kind": run.kind, "data_seed": run.seed, "data_values": ",".join(map(repr, run.values))}
        body.append(element("polyline", told, points=drawn, class_=f"line {colour}", **data))
        if run.best is not None:
            x, y = points[run.best - 1]
            body.append(element("circle", cx=x, cy=y, r=3.5, class_="mark c1"))
    return Panel(width, height, "".join(body), f"{title}: loss by epoch")


def _legend(x: float, y: float) -> str:
    return (
        line(x, y - 4, x + 22, y - 4, "line c0")
        + text(x + 27, y, "training", "soft")
        + line(x + 86, y - 4, x + 108, y - 4, "line c1 dashed")
        + text(x + 113, y, "validation", "soft")
        + element("circle", cx=x + 193, cy=y - 4, r=3.5, class_="mark c1")
        + text(x + 201, y, "kept", "soft")
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
        body += [line(at(mark), head, at(mark), foot, "grid"), text(at(mark), foot + 16, f"{mark:g}", "soft middle")]
    body.append(text(left + 150, foot + 34, "macro-F1 on test", "soft middle"))
    for i, (name, value) in enumerate(references.items()):
        x, y = at(value), 36.0 + 18 * i
        side = "end" if value > (marks[0] + marks[-1]) / 2 else ""
        body.append(line(x, y + 4, x, foot, "line c2 dashed", data_reference=name, data_value=value))
        body.append(text(x, y, f"{name} {value:.4f}", side))
    for i, row in enumerate(rows):
        body.append(_spread(row, head + step * i + 30, left, at))
    return Panel(width, foot + 42, "".join(body), "Macro-F1 by configuration")


def _spread(row: Spread, y: float, left: float, at: Any) -> str:
    data = {"data_configuration": row.label}
    body = [text(left, y - 12, row.label)]
    if math.isfinite(row.low):
        span = {"data_low": row.low, "data_high": row.high}
        body.append(line(at(row.low), y, at(row.high), y, "line thick c0", **data, **span))
    for score in row.scores:
        told = element("title", str(escape(f"{row.label}: {score:.4f}")))
        body.append(element("circle", told, cx=at(score), cy=y, r=4.0, class_="mark c0", data_score=score, **data))
    for score in row.reported:
        body.append(cross(at(score), y + 9, "line c3", data_reported=score, **data))
    if row.scores:
        body.append(diamond(at(row.mean), y, "full c1", data_mean=row.mean, **data))
    else:
        body.append(text(left, y + 4, "no run yet", "soft"))
    return "".join(body)


def _spread_legend(x: float) -> str:
    return (
        circle(x + 4, 12, "mark c0")
        + text(x + 13, 16, "one seed", "soft")
        + line(x + 80, 12, x + 102, 12, "line thick c0")
        + diamond(x + 91, 12, "full c1")
        + text(x + 108, 16, "mean, 95% interval", "soft")
        + cross(x + 244, 12, "line c3")
        + text(x + 253, 16, "the report", "soft")
    )


def gaps(rows: Sequence[Gap]) -> Panel:
    """Differences with their 95% intervals next to the line of no difference."""
    finite = [v for row in rows for v in (row.difference, row.low, row.high) if math.isfinite(v)]
    marks = ticks(min([-0.01, *finite]), max([0.01, *finite]))
    left, width, step, head = 16.0, 350.0, 42.0, 6.0
    foot = head + step * len(rows) + 6

    def at(value: float) -> float:
        return left + 300.0 * (value - marks[0]) / (marks[-1] - marks[0])

    body = []
    for mark in marks:
        body += [line(at(mark), head, at(mark), foot, "grid"), text(at(mark), foot + 16, f"{mark:g}", "soft middle")]
    body.append(line(at(0), head, at(0), foot, "axis"))
    body.append(text(left + 150, foot + 34, "difference in macro-F1", "soft middle"))
    for i, row in enumerate(rows):
        y = head + step * i + 30
        data = {"data_pair": row.label}
        body.append(text(left, y - 14, row.label))
        if math.isfinite(row.low):
            span = {"data_low": row.low, "data_high": row.high}
            body.append(line(at(row.low), y, at(row.high), y, "line thick c0", **data, **span))
        body.append(diamond(at(row.difference), y, "full c1", data_difference=row.difference, **data))
    return Panel(width, foot + 42, "".join(body), "Differences between configurations")


def thumbnail(pixels: Any, lines: Sequence[str]) -> Panel:
    """An image (height, width, 1 or 3) of uint8, enlarged, with lines of text below."""
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(out, "PNG", optimize=True)
    href = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    place = {"x": 4.0, "y": 4.0, "width": 96.0, "height": 96.0, "style": "image-rendering: pixelated"}
    body = [element("image", **place, href=href)]
    body += [text(4, 116 + 16 * i, line, "" if i == 0 else "soft") for i, line in enumerate(lines)]
    return Panel(136.0, 112.0 + 16 * len(lines), "".join(body), ", ".join(lines))
