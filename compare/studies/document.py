"""A report as pages of blocks, written once and shown twice: in one HTML page and as Markdown with figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from compare import svg
from fnet import writing

FIGURES = "figures"


@dataclass(frozen=True)
class Link:
    """A cell that leads to a page."""

    text: str
    slug: str


Cell: TypeAlias = str | Link


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    soft: bool = False


@dataclass(frozen=True)
class Heading:
    """A title inside a page."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Verdict:
    """A conclusion in one sentence. mood: held, failed or open."""

    kind: ClassVar[str] = "verdict"
    text: str
    mood: str = "open"


@dataclass(frozen=True)
class Table:
    """Rows of cells; `prose` columns are left-aligned and may wrap."""

    kind: ClassVar[str] = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    prose: frozenset[int] = frozenset({0})


@dataclass(frozen=True)
class Figure:
    """A chart of one or more panels."""

    kind: ClassVar[str] = "figure"
    name: str
    panels: tuple[svg.Panel, ...]
    caption: str
    columns: int = 3


Block: TypeAlias = Text | Heading | Verdict | Table | Figure


@dataclass(frozen=True)
class Page:
    """A page of the Markdown report, a section of the HTML one."""

    slug: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def file(self) -> str:
        """Its Markdown file."""
        return "README.md" if self.slug == "index" else f"{self.slug}.md"


MOODS = {"held": "✔ ", "failed": "✘ ", "open": ""}
SPECIAL = "\\`*_{}[]<>|~#"


def write_markdown(pages: Sequence[Page], folder: Path) -> list[Path]:
    """Every page as a Markdown file in `folder`, every figure as an SVG file in its figures; the paths written."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    written = []
    for page in pages:
        for block in page.blocks:
            if isinstance(block, Figure):
                path = folder / FIGURES / f"{block.name}.svg"
                writing.write(path, svg.standalone(block.panels, block.columns).encode())
                written.append(path)
        written.append(folder / page.file)
        writing.write(written[-1], markdown(page).encode())
    return written


def markdown(page: Page) -> str:
    """A page as Markdown."""
    back = [] if page.slug == "index" else ["[All studies](README.md)"]
    return "\n\n".join([f"# {escaped(page.title)}", *back, *map(_block, page.blocks)]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"*{escaped(block.text)}*" if block.soft else escaped(block.text)
        case Heading():
            return f"## {escaped(block.text)}"
        case Verdict():
            return f"> **{MOODS[block.mood]}{escaped(block.text)}**"
        case Figure():
            return f"![{escaped(block.caption)}]({FIGURES}/{block.name}.svg)\n\n*{escaped(block.caption)}*"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    rules = (":--" if i in table.prose else "--:" for i in range(len(table.head)))
    lines = [table.head, tuple(rules), *table.rows]
    return "\n".join("| " + " | ".join(_cell(cell, i) for cell in line) + " |" for i, line in enumerate(lines))


def _cell(cell: Cell, line: int) -> str:
    if isinstance(cell, Link):
        return f"[{escaped(cell.text)}]({cell.slug}.md)"
    return cell if line == 1 else escaped(cell)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return "".join(f"\\{c}" if c in SPECIAL else c for c in " ".join(text.split()))
