"""The charts of the studies: losses by epoch, scores by configuration, images with their labels."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape
from PIL import Image

from compare.svg import LETTER, Panel, across, circle, cross, diamond, element, line, text, ticks, upright


@dataclass(frozen=True)
class Curve:
    """A number by epoch, the mean of the seeds that got that far."""

    kind: str
    mean: tuple[float, ...]


@dataclass(frozen=True)
class Spread:
    """A configuration: a score for each seed, their mean and 95% interval, and the scores of the report."""

    label: str
    scores: tuple[float, ...]
    mean: float
    low: float
    high: float
    reported: tuple[float, ...] = ()


STYLES = ("c0", "c1 dashed", "c2 dotted", "c3", "c0 dotted")


def curves(title: str, given: Sequence[Curve], ends: tuple[float, float], epochs: int) -> Panel:
    """A number by epoch, a line for each configuration, on an axis from `ends[0]` to `ends[1]`."""
    kinds = dict(zip(dict.fromkeys(curve.kind for curve in given), STYLES, strict=False))
    width, height, left, bottom, head = 310.0, 220.0, 40.0, 34.0, 44.0
    marks, places = ticks(*ends), range(1, epochs + 1)

    def at(epoch: int, value: float) -> tuple[float, float]:
        x = left + (width - left - 14) * (epoch - 1) / max(1, epochs - 1)
        inside = min(max(value, marks[0]), marks[-1])
        return x, height - bottom - (height - bottom - head) * (inside - marks[0]) / ((marks[-1] - marks[0]) or 1)

    def points(values: Sequence[float]) -> list[str]:
        return [f"{x:.0f},{y:.1f}" for x, y in (at(epoch, value) for epoch, value in enumerate(values, 1))]

    body, x = [text(left, 16, title, "title")], left
    for name, style in kinds.items():
        body += [line(x, 30, x + 18, 30, f"line {style}"), text(x + 22, 34, name, "soft")]
        x += 34 + LETTER * len(name)
    body += [text(left - 6, at(1, mark)[1] + 4, f"{mark:g}", "soft end") for mark in marks]
    body.append(across(left, width - 14, [at(1, mark)[1] for mark in marks]))
    step = max(1, round(epochs / 6))
    base = height - bottom + 16
    body += [text(at(e, marks[0])[0], base, str(e), "soft middle") for e in places if (e - 1) % step == 0]
    body.append(text((left + width) / 2, height - 4, "epoch", "soft middle"))
    for curve in given:
        style = kinds[curve.kind]
        data = {"data_kind": curve.kind, "data_last": round(curve.mean[-1], 6)}
        body.append(element("polyline", points=" ".join(points(curve.mean)), class_=f"line {style}", **data))
    return Panel(width, height, "".join(body), f"{title} by epoch")


def levels(
    title: str, rows: Sequence[Spread], references: dict[str, float], name: str, ends: tuple[float, float]
) -> Panel:
    """The effect of a hyperparameter: levels from left to right, seeds as rings, joined means, the report."""
    marks = ticks(max(0.0, ends[0]), min(1.0, ends[1]))
    left, width, height, head = 40.0, 360.0, 300.0, 52.0
    foot, step = height - 46.0, (width - left - 8) / max(1, len(rows))

    def at(value: float) -> float:
        return foot - (foot - head) * (min(max(value, marks[0]), marks[-1]) - marks[0]) / ((marks[-1] - marks[0]) or 1)

    body = [_spread_legend(4.0), across(left, width - 4, map(at, marks))]
    body += [text(left - 6, at(mark) + 4, f"{mark:g}", "soft end") for mark in marks]
    for reference, value in references.items():
        body.append(line(left, at(value), width - 4, at(value), "line c2 dashed", data_reference=reference))
        body.append(text(width - 6, at(value) - 5, f"{reference} {value:.3f}", "soft end"))
    places = [left + step * (i + 0.5) for i in range(len(rows))]
    known = [(x, at(row.mean)) for x, row in zip(places, rows, strict=True) if row.scores]
    body.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in known), class_="line c1 dashed"))
    for x, row in zip(places, rows, strict=True):
        body += [text(x, foot + 20, row.label, "middle"), _level(row, x, at)]
    body.append(text((left + width) / 2, height - 6, name, "soft middle"))
    body.append(text(left - 34, head - 14, f"macro-F1 on test, {title}" if title else "macro-F1 on test", "soft"))
    told = "; ".join(f"{row.label} {row.mean:.3f}" for row in rows if row.scores)
    return Panel(width, height, "".join(body), f"Macro-F1 on test by {name}, {title}: {told or 'no run yet'}")


def _level(row: Spread, x: float, at: Any) -> str:
    body = []
    if math.isfinite(row.low):
        span = {"data_low": row.low, "data_high": row.high}
        body.append(line(x, at(row.low), x, at(row.high), "line thick c0", **span))
    for i, score in enumerate(row.scores):
        place = x + 14 + 5 * (i % 3)
        body.append(element("circle", cx=place, cy=at(score), r=3.0, class_="mark c0", data_score=score))
    for score in row.reported:
        body.append(cross(x - 18, at(score), "line c3", data_reported=score))
    if row.scores:
        body.append(diamond(x, at(row.mean), "full c1", data_mean=row.mean))
    else:
        body.append(text(x, at(0) - 12, "no run yet", "soft middle"))
    return element("g", "".join(body), data_configuration=row.label)


def spreads(rows: Sequence[Spread], references: dict[str, float]) -> Panel:
    """A line for each configuration: seeds as rings, mean as a diamond on its 95% interval, report as crosses."""
    given = [v for row in rows for v in (*row.scores, row.mean, row.low, row.high, *row.reported)]
    finite = [v for v in (*given, *references.values()) if math.isfinite(v)] or [0.0, 1.0]
    marks = ticks(max(0.0, min(finite)), min(1.0, max(finite)))
    left, width, step, head = 16.0, 350.0, 46.0, 30.0 + 18 * len(references)
    foot = head + step * len(rows) + 6

    def at(value: float) -> float:
        span = (marks[-1] - marks[0]) or 1
        return left + 300.0 * (min(max(value, marks[0]), marks[-1]) - marks[0]) / span

    body = [_spread_legend(left), upright(head, foot, map(at, marks))]
    body += [text(at(mark), foot + 16, f"{mark:g}", "soft middle") for mark in marks]
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
    body = [text(left, y - 12, row.label)]
    if math.isfinite(row.low):
        span = {"data_low": row.low, "data_high": row.high}
        body.append(line(at(row.low), y, at(row.high), y, "line thick c0", **span))
    for score in row.scores:
        told = element("title", str(escape(f"{row.label}: {score:.4f}")))
        body.append(element("circle", told, cx=at(score), cy=y, r=4.0, class_="mark c0", data_score=score))
    for score in row.reported:
        body.append(cross(at(score), y + 9, "line c3", data_reported=score))
    if row.scores:
        body.append(diamond(at(row.mean), y, "full c1", data_mean=row.mean))
    else:
        body.append(text(left, y + 4, "no run yet", "soft"))
    return element("g", "".join(body), data_configuration=row.label)


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


def thumbnail(pixels: Any, lines: Sequence[str]) -> Panel:
    """An image (height, width, 1 or 3) of uint8, enlarged, with lines of text below."""
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(out, "PNG", optimize=True)
    href = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    place = {"x": 4.0, "y": 4.0, "width": 96.0, "height": 96.0, "style": "image-rendering: pixelated"}
    body = [element("image", **place, href=href)]
    body += [text(4, 116 + 16 * i, line, "" if i == 0 else "soft") for i, line in enumerate(lines)]
    return Panel(136.0, 112.0 + 16 * len(lines), "".join(body), ", ".join(lines))
