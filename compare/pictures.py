"""Pictures of a comparison: the error of every layer, the errors of the rows, the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from markupsafe import escape
from sklearn.metrics import confusion_matrix

from compare.measuring import Side
from compare.parity import Comparison
from compare.svg import LETTER, Panel, circle, cross, diamond, element, inline, line, square, text

MARKS = ((circle, "mark c0"), (diamond, "full c1"), (square, "mark c2"), (cross, "line c3"))
"""(shape, classes) of the first sides, in order; `look` makes those of further ones."""
DASHES = ("none", "6 3", "2 3", "8 3 2 3")
TINY = 1e-10


class Axis:
    """A logarithmic axis over whole powers of ten; `at` is the position of a number in pixels."""

    left, width = 16.0, 350.0

    def __init__(self, low: float, high: float) -> None:
        self.low = math.floor(math.log10(low))
        self.high = max(math.ceil(math.log10(high)), self.low + 1)

    def at(self, value: float) -> float:
        """The position of a positive number; numbers off the axis are at its end."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.left + (self.width - 40) * min(max(share, 0.0), 1.0)

    def drawn(self, head: float, foot: float, title: str) -> list[str]:
        """Lines at powers of ten, about five of them, and their names below."""
        step = math.ceil((self.high - self.low) / 5)
        marks = []
        for power in range(self.low, self.high + 1, step):
            x = self.at(10.0**power)
            marks += [line(x, head, x, foot, "grid"), text(x, foot + 16, f"1e{power}", "soft middle")]
        return [*marks, text((self.left + self.width - 24) / 2, foot + 34, title, "soft middle")]


def look(number: int) -> tuple[Any, str]:
    """(shape, classes) of a side: from MARKS for the first ones, then the same shapes in other colours."""
    mark, classes = MARKS[number % len(MARKS)]
    return mark, f"{classes.split()[0]} c{(number + number // len(MARKS)) % len(MARKS)}"


def _places(names: Sequence[str], mark: float, room: float) -> list[tuple[float, float]]:
    """Positions of the marks in the legend, three in a line if the names after them fit into the room."""
    step = max(room / 3, mark + LETTER * max(map(len, names)))
    columns = max(1, int(room / step))
    return [(Axis.left + step * (i % columns), 32.0 + 18 * (i // columns)) for i in range(len(names))]


def _finite(errors: Iterable[float]) -> list[float]:
    """The errors, limited to numbers that a logarithmic axis can show: neither 0 nor infinite."""
    return [min(1e3, max(TINY, error)) if math.isfinite(error) else 1e3 for error in errors]


def layer_errors(comparison: Comparison) -> str:
    """The error of each layer on each side on a log scale, with the yardstick; "" without layers."""
    layers = comparison.layers
    if not layers:
        return ""
    every = [e for layer in layers for e in (*_finite(layer.errors.values()), layer.allowed)]
    places = _places(list(layers[0].errors), 20, Axis.width - 80)
    axis, step, head = Axis(min(every), max(every)), 38.0, places[-1][1] + 16
    foot = head + step * len(layers)
    body = [text(axis.left, 16, "Layer by layer", "title")]
    for i, side in enumerate(layers[0].errors):
        (mark, colour), (x, y) = look(i), places[i]
        body += [mark(x + 5, y, colour), text(x + 15, y + 4, side, "soft")]
    body += [line(axis.width - 62, 25, axis.width - 62, 39, "axis"), text(axis.width - 56, 36, "allowed", "soft")]
    body += axis.drawn(head, foot, f"error against float64 (exact drawn at {TINY:g})")
    for i, layer in enumerate(layers):
        y, allowed = head + step * i + 26, axis.at(layer.allowed)
        body.append(text(axis.left, y - 10, layer.name))
        body.append(line(allowed, y - 7, allowed, y + 7, "axis", data_allowed=layer.allowed))
        drawn = zip(layer.errors.items(), _finite(layer.errors.values()), strict=True)
        for number, ((side, error), place) in enumerate(drawn):
            mark, colour = look(number)
            body.append(mark(axis.at(place), y, colour, data_layer=layer.name, data_side=side, data_error=error))
    return inline(Panel(axis.width, foot + 42, "".join(body), "Errors layer by layer"))


def row_errors(comparison: Comparison) -> str:
    """How many rows have an error of each size, one line for each side."""
    errors = [_row_errors(side) for side in comparison.sides]
    axis = Axis(min(e.min(initial=1) for e in errors), max(e.max(initial=TINY) for e in errors))
    places = _places([side.name for side in comparison.sides], 30, Axis.width - 16)
    head = places[-1][1] + 30
    foot = head + 138
    edges = np.logspace(axis.low, axis.high, 40)
    counts = [np.histogram(values, edges)[0] for values in errors]
    top = max(1, *(int(c.max()) for c in counts))
    body = [text(axis.left, 16, "Errors against float64", "title")]
    body += axis.drawn(head, foot, "largest absolute error of a row")
    body.append(text(axis.left, head - 8, f"{top} rows", "soft"))
    for i, (side, count) in enumerate(zip(comparison.sides, counts, strict=True)):
        stroke = {"class_": f"line {look(i)[1].split()[1]}", "stroke_dasharray": DASHES[i % len(DASHES)]}
        x, y = places[i]
        body += [element("path", d=f"M{x:.1f} {y:.0f}h20", **stroke), text(x + 25, y + 4, side.name, "soft")]
        heights = foot - (foot - head) * count / top
        steps = (f"V{y:.1f}H{axis.at(right):.1f}" for y, right in zip(heights, edges[1:], strict=True))
        outline = f"M{axis.left:.1f} {foot:.1f}{''.join(steps)}V{foot:.1f}"
        body.append(element("path", d=outline, **stroke, data_side=side.name, data_counts=",".join(map(str, count))))
    return inline(Panel(axis.width, foot + 42, "".join(body), "Errors of the rows"))


def _row_errors(side: Side) -> Any:
    errors = np.asarray(side.row_errors, np.float64)
    return np.clip(errors[np.isfinite(errors)], TINY, None)


def confusion(comparison: Comparison) -> str:
    """The confusion matrix of the first fnet backend, rows true and columns predicted; "" without labels."""
    classes, labels = comparison.rows.classes, comparison.rows.y
    if labels is None or not 1 < len(classes) <= 20 or len(comparison.sides) < 2:
        return ""
    side = comparison.sides[1]
    counts = confusion_matrix(np.ravel(labels), side.predicted, labels=range(len(classes)))
    return inline(matrix(side.name, counts, classes))


def matrix(title: str, counts: Any, classes: Sequence[str], *, shares: bool = False) -> Panel:
    """A confusion matrix, rows true and columns predicted; the shade is the share of the true class.

    shares: print the share as a percentage instead of the count.
    """
    n = len(classes)
    side = 34.0 if n > 4 else 52.0
    left, head = 24 + LETTER * max(len(c) for c in classes), 44.0
    foot = head + side * n
    slanted = 10 + 0.72 * LETTER * max(len(c) for c in classes)
    body = [text(8, 16, title, "title"), text(8, 34, "true class ↓, predicted class →", "soft")]
    cells = []
    for i, name in enumerate(classes):
        body.append(text(left - 8, head + side * (i + 0.5) + 4, name, "end"))
        x, y = left + side * (i + 0.5) + 4, foot + 14
        spot = {"x": float(x), "y": float(y), "transform": f"rotate(-45 {x:.1f} {y:.1f})", "class_": "end"}
        body.append(element("text", str(escape(name)), **spot))
        total = max(1, int(sum(counts[i])))
        for j in range(n):
            count = int(counts[i][j])
            share = count / total
            place = {"x": left + side * j, "y": head + side * i, "width": side, "height": side}
            data = {"data_count": count} if shares else {"data_true": i, "data_predicted": j, "data_count": count}
            if shares and share < 0.005:
                continue
            cells.append(element("rect", **place, class_="cell", fill_opacity=f"{share:.3f}", **data))
            over = "over" if share > 0.85 else ""  # dark letters are hard to read there
            shown = f"{share:.0%}" if shares else str(count)
            cells.append(text(left + side * (j + 0.5), head + side * (i + 0.5) + 4, shown, over))
    body.append(element("g", "".join(cells), class_="middle"))
    return Panel(max(left + side * n + 12, 240.0), foot + slanted + 14, "".join(body), f"{title}: confusion matrix")
