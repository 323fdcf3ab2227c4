"""Charts as SVG text, without a library, so that every mark carries its number.

A chart is one or more panels. In a page each panel is a separate <svg>, so that panels wrap on a phone, with the
colours of the page; in a file they are next to each other, with the colours inside. The numbers are `data-` attributes
of the marks, to seven digits. Colours are never the only difference: lines are also dashed, marks have shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import escape

STYLES = ("palette.css", "chart.css")
LETTER = 6.4
"""The width of a letter at 12 px, about."""


@dataclass(frozen=True)
class Panel:
    """Part of a chart: its size in pixels, its marks, and what a screen reader says."""

    width: float
    height: float
    body: str
    label: str


def inline(panel: Panel) -> str:
    """The panel as an <svg> element in a page that has chart.css."""
    return _svg(panel.width, panel.height, panel.body, panel.label, "")


def standalone(panels: Sequence[Panel], columns: int) -> str:
    """All panels next to each other as an SVG file with its own colours, light and dark."""
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


def element(tag: str, content: str = "", /, **attributes: Any) -> str:
    """An element around markup; `class_` is class, `data_kind` data-kind; floats are short, in data seven digits."""
    written = []
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        shown = str(value)
        if isinstance(value, float):
            shown = f"{value:.7g}" if name.startswith("data-") else f"{value:.1f}".removesuffix(".0")
        written.append(f' {name}="{escape(shown)}"')
    return f"<{tag}{''.join(written)}>{content}</{tag}>" if content else f"<{tag}{''.join(written)}/>"


def text(x: float, y: float, words: str, class_: str = "") -> str:
    return element("text", str(escape(words)), x=float(x), y=float(y), **({"class_": class_} if class_ else {}))


def line(x1: float, y1: float, x2: float, y2: float, class_: str, **data: Any) -> str:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_, **data)


def across(left: float, right: float, ys: Iterable[float]) -> str:
    """The lines of a grid from left to right, as one element."""
    return element("path", d="".join(f"M{left:.0f} {y:.1f}H{right:.0f}" for y in ys), class_="grid")


def upright(head: float, foot: float, xs: Iterable[float]) -> str:
    """The lines of a grid from top to bottom, as one element."""
    return element("path", d="".join(f"M{x:.1f} {head:.0f}V{foot:.0f}" for x in xs), class_="grid")


def diamond(x: float, y: float, class_: str, **data: Any) -> str:
    return element("path", d=f"M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z", class_=class_, **data)


def cross(x: float, y: float, class_: str, **data: Any) -> str:
    return element("path", d=f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8", class_=class_, **data)


def circle(x: float, y: float, class_: str, **data: Any) -> str:
    return element("circle", cx=float(x), cy=float(y), r=4.0, class_=class_, **data)


def square(x: float, y: float, class_: str, **data: Any) -> str:
    return element("rect", x=x - 3.5, y=y - 3.5, width=7.0, height=7.0, class_=class_, **data)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers that span [low, high], about `wanted` of them."""
    span = max(high - low, 1e-9)
    power = 10 ** math.floor(math.log10(span / wanted))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
