"""The pictures of the tutorial; fnet computes their numbers. `python docs/pictures.py` writes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from compare.svg import Panel, element, text

CELL = 34.0
ROOT = Path(__file__).parent.parent
STYLE = """
text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.soft { fill: var(--soft); }
.title { font-weight: 600; }
.middle { text-anchor: middle; }
.box { fill: var(--tint); stroke: var(--line); }
.lit { fill: var(--c0); fill-opacity: .22; stroke: var(--c0); stroke-width: 1.6; }
.lit2 { fill: var(--c1); fill-opacity: .22; stroke: var(--c1); stroke-width: 1.6; }
.lit3 { fill: var(--c2); fill-opacity: .22; stroke: var(--c2); stroke-width: 1.6; }
.lit4 { fill: var(--c3); fill-opacity: .22; stroke: var(--c3); stroke-width: 1.6; }
.off { fill: none; stroke: var(--line); stroke-dasharray: 3 3; }
.arrow { fill: none; stroke: var(--soft); stroke-width: 1.4; }
.head { fill: var(--soft); }
"""


def number(value: Any) -> str:
    """A number in at most four characters."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0" if abs(value) < 0.005 else "-0")


def grid(x: float, y: float, values: Any, title: str = "", lit: dict[tuple[int, int], str] | None = None) -> str:
    """A matrix with its lower right corner below its upper left one at (x, y); `lit` gives cells another look."""
    marks = [text(x, y - 8, title, "soft")] if title else []
    cells = list(np.ndenumerate(np.asarray(values, dtype=object)))
    for (i, j), value in sorted(cells, key=lambda cell: cell[0] in (lit or {})):  # coloured ones last, on top
        left, top = x + j * CELL, y + i * CELL
        marks.append(element("rect", x=left, y=top, width=CELL, height=CELL, class_=(lit or {}).get((i, j), "box")))
        words = value if isinstance(value, str) else number(float(value))
        marks.append(text(left + CELL / 2, top + CELL / 2 + 4, words, "middle"))
    return "".join(marks)


def box(x: float, y: float, words: str, class_: str = "box", width: float = 62, height: float = CELL) -> str:
    rect = element("rect", x=float(x), y=float(y), width=float(width), height=float(height), rx=5, class_=class_)
    return rect + text(x + width / 2, y + height / 2 + 4, words, "middle")


def arrow(*points: tuple[float, float]) -> str:
    """An arrow through the points; its head has the direction of the last segment."""
    (x0, y0), (x1, y1) = points[-2:]
    size = float(np.hypot(x1 - x0, y1 - y0))
    dx, dy = (x1 - x0) / size, (y1 - y0) / size
    line = element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_="arrow")
    side = [(x1 - 8 * dx - 4 * dy, y1 - 8 * dy + 4 * dx), (x1 - 8 * dx + 4 * dy, y1 - 8 * dy - 4 * dx)]
    return line + element(
        "path", d=f"M{x1:.1f} {y1:.1f}" + "".join(f"L{x:.1f} {y:.1f}" for x, y in side) + "z", class_="head"
    )


def dense() -> Panel:
    x = np.array([[1.0, 2.0, 3.0]])
    params = {"kernel": np.array([[1.0, 0], [0, 1], [1, -1]]), "bias": np.array([0.5, 0])}
    product, y = fnet.dense(params, x), fnet.dense(params, x, activation="relu")
    column = {(i, 0): "lit" for i in range(3)}
    body = [
        grid(16, 82, x, "x (1, 3)", {(0, j): "lit" for j in range(3)}),
        text(126, 104, "@"),
        grid(146, 48, params["kernel"], "kernel (3, 2)", column),
        text(224, 104, "+"),
        grid(242, 82, params["bias"][None], "bias (2,)", {(0, 0): "lit"}),
        text(320, 104, "="),
        grid(338, 82, product, "", {(0, 0): "lit"}),
        arrow((412, 99), (458, 99)),
        text(435, 90, "relu", "middle soft"),
        grid(464, 82, y, "y (1, 2)", {(0, 0): "lit"}),
        text(16, 176, "4.5 = 1·1 + 2·0 + 3·1 + 0.5: one output looks at every input.", "soft"),
    ]
    return Panel(548, 192, "".join(body), "a row of 3 numbers times a kernel of 3 by 2 plus a bias, then relu")


def convolution() -> Panel:
    image = np.zeros((1, 5, 5, 1))
    image[:, :, 3:] = 1
    kernel = np.array([[-1.0, 0, 1]] * 3)
    y = fnet.conv2d({"kernel": kernel[:, :, None, None], "bias": np.zeros(1)}, image)[0, :, :, 0]
    window = {(i, j): "lit" for i in (1, 2, 3) for j in (1, 2, 3)}
    body = [
        grid(16, 36, image[0, :, :, 0], "image (5, 5)", window),
        text(200, 125, "·"),
        grid(218, 70, kernel, "kernel (3, 3)", {(i, j): "lit" for i in range(3) for j in range(3)}),
        arrow((328, 121), (366, 121)),
        text(347, 112, "sum", "middle soft"),
        grid(374, 70, y, "output (3, 3)", {(1, 1): "lit"}),
        text(16, 232, "The window in colour gives the one number in colour. Then it moves on.", "soft"),
    ]
    return Panel(
        492, 248, "".join(body), "a 3 by 3 window of a 5 by 5 image times the kernel gives one number of the output"
    )


def pooling() -> Panel:
    image = np.array([[1.0, 3, 2, 0], [4, 2, 1, 1], [0, 1, 5, 6], [2, 2, 7, 8]])
    y = fnet.max_pooling2d({}, image[None, :, :, None])[0, :, :, 0]
    colours = ("lit", "lit2", "lit3", "lit4")
    windows = {(i, j): colours[i // 2 * 2 + j // 2] for i in range(4) for j in range(4)}
    body = [
        grid(16, 36, image, "image (4, 4)", windows),
        arrow((166, 104), (226, 104)),
        text(196, 95, "largest", "middle soft"),
        grid(236, 70, y, "output (2, 2)", {(i, j): colours[2 * i + j] for i in range(2) for j in range(2)}),
    ]
    return Panel(330, 192, "".join(body), "the largest number of each window of 2 by 2")


def embedding() -> Panel:
    table = np.array([[0.0, 0], [1, 2], [3, 4]])
    ids = np.array([[2, 0, 1]])
    looks = {2: "lit", 0: "lit2", 1: "lit3"}
    y = fnet.embedding({"embeddings": table}, ids)[0]
    body = [
        grid(16, 53, ids.T, "ids (3,)", {(i, 0): looks[k] for i, k in enumerate(ids[0])}),
        arrow((62, 104), (102, 104)),
        *(text(112, 75 + k * CELL, str(k), "soft") for k in range(3)),
        grid(128, 53, table, "table (3, 2)", {(i, j): looks[i] for i in range(3) for j in range(2)}),
        arrow((208, 104), (248, 104)),
        grid(258, 53, y, "output (3, 2)", {(i, j): looks[k] for i, k in enumerate(ids[0]) for j in range(2)}),
    ]
    return Panel(342, 176, "".join(body), "ids 2, 0, 1 choose rows of the table")


def simple_rnn() -> Panel:
    body = [text(16, 64, "h = 0", "soft"), arrow((52, 60), (82, 60))]
    for t, left in enumerate((84, 220, 356)):
        body += [
            box(left, 43, f"h{t + 1}", "lit"),
            arrow((left + 62, 60), (left + 134, 60)),
            *(text(left + 98, y, words, "middle soft") for y, words in ((50, "recurrent"), (76, "kernel")) if t < 2),
            arrow((left + 31, 128), (left + 31, 79)),
            text(left + 40, 108, "kernel", "soft"),
            box(left, 130, f"x{t + 1}"),
        ]
    body += [
        text(494, 64, "last state"),
        text(16, 196, "h_t = tanh(x_t @ kernel + h_(t-1) @ recurrent_kernel + bias)", "soft"),
    ]
    return Panel(568, 212, "".join(body), "a state goes from step to step and reads one input in each")


def lstm() -> Panel:
    body = [
        text(16, 49, "c", "title"),
        arrow((28, 45), (146, 45)),
        box(148, 28, "× f", "lit", 46),
        arrow((194, 45), (264, 45)),
        box(266, 28, "+", "box", 34),
        arrow((300, 45), (532, 45)),
        text(540, 49, "c", "title"),
        arrow((388, 45), (388, 76)),
        box(357, 78, "tanh"),
        arrow((388, 112), (388, 142)),
        box(365, 144, "× o", "lit4", 46),
        arrow((411, 161), (532, 161)),
        text(540, 165, "h", "title"),
        box(238, 144, "i × g", "lit2", 90),
        arrow((283, 144), (283, 64)),
        text(16, 165, "h", "title"),
        arrow((28, 161), (66, 161), (66, 190)),
        text(16, 211, "x", "title"),
        arrow((28, 207), (44, 207)),
        box(46, 192, "one product", "box", 92),
        arrow((138, 207), (171, 207), (171, 64)),
        text(178, 130, "f", "soft"),
        arrow((138, 207), (283, 207), (283, 180)),
        text(290, 196, "i, g", "soft"),
        arrow((138, 207), (388, 207), (388, 180)),
        text(395, 196, "o", "soft"),
        text(16, 252, "f keeps, i writes g, o shows. f, i and o go through sigmoid, g through tanh.", "soft"),
    ]
    return Panel(560, 268, "".join(body), "gate f keeps the cell state, gate i writes to it, gate o shows it")


def mask() -> Panel:
    words: Sequence[Sequence[str]] = (("7", "4", "9", "2"), ("7", "4", "0", "0"))
    real = np.array([[True, True, True, True], [True, True, False, False]])
    looks = {(i, j): "box" if real[i, j] else "off" for i in range(2) for j in range(4)}
    body = [
        grid(16, 36, words, "ids, filled up with 0", looks),
        grid(196, 36, np.where(real, "1", "0"), "mask", {k: "lit" if real[k] else "off" for k in looks}),
        text(376, 28, "the state h", "soft"),
    ]
    for row in range(2):
        y = 53 + row * CELL
        for t in range(4):
            x = 376 + t * 44
            look = "lit" if real[row, t] else "off"
            step = int(real[row, : t + 1].sum())
            body.append(box(x, y - 14, f"h{step}", look, 30, 28))
            if t:
                body.append(arrow((x - 14, y), (x - 1, y)))
    body.append(text(16, 130, "In a masked step the state stays as it was: the second text ends with h2.", "soft"))
    return Panel(562, 146, "".join(body), "masked steps leave the state as it is")


def bidirectional() -> Panel:
    body = [text(16, 37, "forward"), text(16, 89, "sequence"), text(16, 141, "backward")]
    for t in range(3):
        x = 100 + t * 110
        body += [box(x, 16, f"f{t + 1}", "lit"), box(x, 68, f"x{t + 1}"), box(x, 120, f"b{t + 1}", "lit2")]
        body += [arrow((x + 31, 68), (x + 31, 51)), arrow((x + 31, 102), (x + 31, 119))]
        if t:
            body += [arrow((x - 48, 33), (x - 1, 33)), arrow((x, 137), (x - 47, 137))]
    body += [arrow((382, 33), (448, 33), (448, 67)), arrow((131, 154), (131, 176), (484, 176), (484, 103))]
    body += [box(431, 68, "f3", "lit", 34), box(467, 68, "b1", "lit2", 34)]
    body += [text(508, 89, "output", "soft")]
    return Panel(560, 192, "".join(body), "one layer reads from left to right, another from right to left")


def pictures() -> Iterator[tuple[str, str]]:
    """(name, SVG) of each picture; its colours follow those of the page, light or dark."""
    palette = (ROOT / "compare" / "palette.css").read_text("utf-8")
    for draw in (dense, convolution, pooling, embedding, simple_rnn, lstm, mask, bidirectional):
        panel = draw()
        paper = element("rect", width=panel.width, height=panel.height, fill="var(--paper)")
        size = {"width": panel.width, "height": panel.height, "viewBox": f"0 0 {panel.width} {panel.height}"}
        body = f"<style>{palette}{STYLE}</style>{paper}{panel.body}"
        picture = element("svg", body, xmlns="http://www.w3.org/2000/svg", **size, role="img", aria_label=panel.label)
        yield draw.__name__, picture + "\n"


if __name__ == "__main__":
    folder = Path(__file__).parent / "pictures"
    folder.mkdir(exist_ok=True)
    for name, svg in pictures():
        (folder / f"{name}.svg").write_text(svg, "utf-8")
