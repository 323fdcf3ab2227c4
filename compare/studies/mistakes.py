"""The error analysis: which classes, texts and images the trained models fail on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compare import pictures
from compare.studies import charts
from compare.studies.document import Block, Figure, Heading, Page, Table, Text
from compare.studies.findings import CLASSES, Finding, Variant, best, designed_text
from compare.studies.pages import confusion
from train_keras.data import Data

HARDEST = 15
SHOWN = 160
"""Characters of a text that are quoted."""


def page(findings: Sequence[Finding], loaded: Mapping[str, Data]) -> Page:
    """Classes by family, then the rows that most models fail on, data set by data set."""
    blocks: list[Block] = [
        Text(
            """Of the best models: the designed CNN with the highest mean on validation, and the designed text model (of
            the grids where nothing designed has run), all their seeds together. None of this chose anything: it is
            looked at after training."""
        )
    ]
    images = best(findings, "images", True) or best(findings, "images", False)
    texts = designed_text(findings) or best(findings, "texts", False)
    for title, chosen in (("CNN", images), ("Text model", texts)):
        if chosen is not None:
            blocks += [*_classes(title, *chosen), *_rows(*chosen, loaded.get(str(chosen[0].data)))]
    if len(blocks) == 1:
        blocks = [Text("No run is finished yet.")]
    return Page("errors", "Error analysis", tuple(blocks))


def _classes(title: str, finding: Finding, variant: Variant) -> list[Block]:
    """Recall, precision and F1 of each class, and what it is mostly taken for."""
    classes = finding.classes
    counts = confusion(variant, finding.labels, len(classes))
    lines = []
    for i, name in enumerate(classes):
        right, true, given = counts[i, i], max(1, counts[i].sum()), max(1, counts[:, i].sum())
        wrong = counts[i].copy()
        wrong[i] = -1
        taken = int(wrong.argmax())
        f1 = 2 * right / max(1, counts[i].sum() + counts[:, i].sum())
        mostly = f"{classes[taken]} ({counts[i, taken] / true:.1%})" if counts[i, taken] else "–"
        lines.append((f1, (name, f"{right / true:.4f}", f"{right / given:.4f}", f"{f1:.4f}", mostly)))
    ordered = tuple(line for _, line in sorted(lines, key=lambda pair: pair[0]))
    label = f"{title}: {variant.label} ({finding.study.name})"
    return [
        Heading(label),
        Table(("class, worst first", "recall", "precision", "F1", "mostly taken for"), ordered, frozenset({0, 4})),
        Figure(
            f"errors-{variant.config.options.kind}",
            (pictures.matrix(title, counts, classes, shares=True),),
            f"{label}, all seeds: shares of the true class.",
        ),
    ]


def _rows(finding: Finding, variant: Variant, data: Data | None) -> list[Block]:
    """The rows that most seeds of a model fail on, with the texts or images where the data are there."""
    labels, predicted, name = finding.labels, variant.predicted, str(finding.data)
    share = (predicted != labels).mean(axis=0)
    hardest = np.argsort(-share, kind="stable")[:HARDEST]
    blocks: list[Block] = [
        Heading(f"Rows of {name} that it fails on"),
        Text(
            f"{len(predicted)} seeds, {len(labels)} test rows: {int((share == 0).sum())} rows are right in all, "
            f"{int((share == 1).sum())} wrong in all, {int((share > 0.5).sum())} wrong in more than half."
        ),
    ]
    classes = CLASSES[name]
    lines: list[tuple[str, ...]] = []
    for row in hardest:
        given = np.bincount(predicted[:, row], minlength=len(classes))
        given[labels[row]] = 0
        lines.append((str(row), classes[labels[row]], classes[int(given.argmax())], f"{share[row]:.0%}"))
    head: tuple[str, ...] = ("row", "true", "mostly predicted", "seeds wrong")
    if data is None:
        blocks.append(Text("Rows are numbered from 0 in the order of the test split.", soft=True))
    elif data.kind == "texts":
        blocks.append(_by_length(data, share))
        head, lines = (*head, "text"), [(*line, _quote(data, int(line[0]))) for line in lines]
    else:
        blocks.append(_images(name, data, lines))
    return [*blocks, Table(head, tuple(lines), frozenset({1, 2, 4}))]


def _images(name: str, data: Data, lines: Sequence[tuple[str, ...]]) -> Figure:
    panels = tuple(
        charts.thumbnail(data.test.x[int(row)], (f"row {row}", true, f"→ {taken}")) for row, true, taken, _ in lines
    )
    return Figure(f"errors-{name}-rows", panels, "The images: true class → mostly predicted class.", columns=5)


def _quote(data: Data, row: int) -> str:
    text = " ".join(str(data.test.x[row]).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN].rsplit(' ', 1)[0]} …"


def _by_length(data: Data, share: Any) -> Table:
    """How often models are wrong on short and on long texts, and on texts with many words unseen in training."""
    known = {word for text in data.train.x for word in text.lower().split()}
    words = [text.lower().split() for text in data.test.x]
    measures = {
        "words": np.array([len(w) for w in words]),
        "share of words not in the training texts": np.array([np.mean([x not in known for x in w]) for w in words]),
    }
    lines = []
    for name, values in measures.items():
        edges = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        quarter = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, 3)
        for i in range(4):
            if (quarter == i).any():
                taken = quarter == i
                ends = f"{values[taken].min():.3g} to {values[taken].max():.3g}"
                lines.append((name, ends, str(int(taken.sum())), f"{share[taken].mean():.1%}"))
    return Table(("texts by", "from, to", "texts", "wrong, mean of all seeds"), tuple(lines), frozenset({0}))
