"""Pictures of a comparison as SVG text that sits in a page: they take their text colour from it."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from compare import charts
from compare.measuring import Side
from compare.parity import Comparison

INK = "#010203"
"""Stands for the page's text colour until the picture is finished."""

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Okabe and Ito's, which colour-blind readers tell apart; the shapes of the marks differ too."""
MARKS = ("o", "^", "s", "D")
TINY = 1e-10

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def svg(figure: Figure, name: str) -> str:
    """The figure as an <svg> element, transparent, with ids of its own (`name`)."""
    out = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def confusion(comparison: Comparison) -> str:
    """The confusion matrix of the first fnet backend, rows true and columns predicted; "" without labels."""
    classes, labels = comparison.rows.classes, comparison.rows.y
    if labels is None or not 1 < len(classes) <= 20 or len(comparison.sides) < 2:
        return ""
    side = comparison.sides[1]
    counts = confusion_matrix(labels, side.predicted, labels=range(len(classes)))
    return charts.inline(charts.confusion(side.name, counts, classes))


def layer_errors(comparison: Comparison) -> str:
    """The error of each layer and side on a log scale, with the yardstick; "" without layers."""
    layers = comparison.layers
    if not layers:
        return ""
    places = np.arange(len(layers))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.4 + 0.32 * len(layers)))
        axes = figure.add_subplot()
        allowed = [layer.allowed for layer in layers]
        axes.scatter(allowed, places, marker="|", s=160, color=INK, label="allowed")
        for side, colour, mark in zip(layers[0].errors, COLOURS, MARKS, strict=False):
            errors = [min(1e3, max(TINY, layer.errors[side])) for layer in layers]
            axes.scatter(errors, places, marker=mark, s=34, color=colour, label=side, alpha=0.85)
        axes.set_xscale("log")
        axes.set_yticks(places, [layer.name for layer in layers])
        axes.invert_yaxis()
        axes.set(xlabel=f"error against float64 (exact drawn at {TINY:g})", title="Layer by layer")
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return svg(figure, f"layers-{comparison.title}")


def row_errors(comparison: Comparison) -> str:
    """How many rows have an error of which size, one line a side."""
    errors = [_finite(side) for side in comparison.sides]
    low = np.log10(min(e.min(initial=1) for e in errors))
    high = np.log10(max(e.max(initial=TINY) for e in errors))
    edges = np.logspace(low, max(high, low + 0.1), 40)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.8))
        axes = figure.add_subplot()
        styles = ("-", "--", ":", "-.")
        for side, values, colour, style in zip(comparison.sides, errors, COLOURS, styles, strict=False):
            counts, _ = np.histogram(values, edges)
            axes.stairs(counts, edges, color=colour, linewidth=1.8, linestyle=style, label=side.name)
        axes.set_xscale("log")
        axes.set(xlabel="largest absolute error of a row", ylabel="rows", title="Errors against float64")
        axes.legend(frameon=False, fontsize=8)
    return svg(figure, f"rows-{comparison.title}")


def _finite(side: Side) -> Any:
    errors = np.asarray(side.row_errors, np.float64)
    return np.clip(errors[np.isfinite(errors)], TINY, None)
