"""The result of `explain`: a record, which can be printed as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fnet import tree
from fnet.errors import printable
from fnet.records import dataclass


@dataclass(frozen=True)
class Step:
    """One layer or operation of the file."""

    path: str
    """Its name, after the names of the models around it: "block/conv"."""
    keras: str
    """The Keras class."""
    fnet: str
    """The code of the fnet layer; "" where it is refused."""
    status: str
    """"supported", "limited" (`note` says how) or "refused"."""
    note: str
    """Limits, or why it is refused."""
    policy: str
    """The dtype policy."""
    output: str = ""
    """Shape and dtype of its output, "" where they are unknown."""
    params: int | None = None
    """Number of parameters; None where it is unknown, 0 where they are shared with another step."""
    flops: int | None = None
    """Floating-point operations for one row, a product with a sum counted as two; None where a size is unknown."""
    bytes: int | None = None
    """Size of its output for one row; None where a size is unknown."""
    mask: str = ""
    """"made", "kept", "used" or "lost", where there is one."""
    age: Mapping[str, Any] | None = None
    """Options due to the version of Keras that wrote the file."""


@dataclass(frozen=True)
class Explanation:
    """The result of `explain`; `str()` is a page of text, `as_dict()` is JSON."""

    file: str
    format: str
    keras_version: str | None
    inputs: str
    outputs: str
    steps: tuple[Step, ...]
    problems: tuple[str, ...]
    """All reasons for which the file is refused; empty if `load_keras` accepts the config."""
    unusual: tuple[str, ...]
    """Remarks; nothing here stops the file from loading."""
    held_bytes: int | None = None
    """The most bytes of outputs held at once, for one row, without the working memory of steps; None: unknown."""
    labels: tuple[str, ...] | None = None
    """The names of the classes, in a file from `save`."""
    scale: float | None = None
    """The factor for inputs, in a file from `save`."""

    @property
    def supported(self) -> bool:
        """Whether fnet can run the model."""
        return not self.problems

    @property
    def params(self) -> int:
        """Number of parameters, as far as it is known; vocabularies, for example, are in the weights."""
        return sum(step.params or 0 for step in self.steps)

    @property
    def flops(self) -> int:
        """Floating-point operations for one row, of all steps where they are known."""
        return sum(step.flops or 0 for step in self.steps)

    @property
    def activation_bytes(self) -> int:
        """Size of all outputs of steps for one row, where it is known."""
        return sum(step.bytes or 0 for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        totals = {"params": self.params, "flops": self.flops, "activation_bytes": self.activation_bytes}
        values: dict[str, Any] = json.loads(
            json.dumps({"supported": self.supported, **totals, **asdict(self)}, default=str)
        )
        return values

    def __str__(self) -> str:
        return "\n".join(_page(self))


def lost_masks(steps: Iterable[Step]) -> Iterator[str]:
    """Remarks about masks that are dropped."""
    if paths := [step.path for step in steps if step.mask == "lost"]:
        yield f"masks are lost at {', '.join(paths[:5])}: from there on padding counts as data, as in Keras"


def shown_specs(specs: Any) -> str:
    """Shapes and dtypes of a tree of Specs: "float32[None, 3], int32[None]"."""
    return ", ".join(str(spec) for spec in tree.leaves(specs) if spec is not None)


def sum_of(numbers: Iterable[int | None]) -> int | None:
    """The sum; None where a number is unknown."""
    numbers = list(numbers)
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _table(steps: Iterable[Step]) -> Iterator[str]:
    """A line for each step; steps of a nested model are below a line with its path, without that path."""
    lines: list[tuple[str, ...]] = [("step", "Keras", "output", "params", "flops", "mask", "status")]
    inside = ""
    for step in steps:
        model, _, name = step.path.rpartition("/")
        if model not in ("", inside):
            lines.append((printable(f"{model}/"),))
        inside = model
        name = f"  {name}" if model else name
        texts = (name, step.keras, step.output, _shown(step.params), _shown(step.flops), step.mask, step.status)
        lines.append(tuple(map(printable, texts)))
    widths = [min(44, max(len(line[i]) for line in lines if len(line) > 1)) for i in range(7)]
    right = (3, 4)
    for line in lines:
        cells = [  # a path is alone in its line
            text.rjust(w) if i in right else text.ljust(w)
            for i, (text, w) in enumerate(zip(line, widths, strict=False))
        ]
        yield "  ".join(cells).rstrip()


def _page(report: Explanation) -> Iterator[str]:
    version = f"Keras {printable(report.keras_version)}" if report.keras_version else "a Keras that it does not name"
    origin = "" if report.format.startswith("fnet") else f", written by {version}"
    yield f"{report.file}: {report.format}{origin}; {len(report.steps)} layers and operations"
    if report.inputs:
        yield f"{report.inputs} -> {report.outputs}"
    if report.labels is not None:
        yield f"labels: {named(report.labels, 20)}"
    if report.scale is not None:
        yield f"inputs are multiplied by {report.scale:g} first"
    yield ""
    yield from _table(report.steps)
    yield ""
    work = f"{report.flops:,} floating-point operations, {report.activation_bytes:,} bytes of outputs"
    at_once = "" if report.held_bytes is None else f", {report.held_bytes:,} of them at once"
    unknown = [step.path for step in report.steps if step.output and None in (step.params, step.flops, step.bytes)]
    counted = report.flops or report.activation_bytes or not unknown
    yield f"{report.params:,} params; for one row {work}{at_once}" if counted else f"{report.params:,} params"
    if unknown:
        yield f"not counted, for their sizes are not in the configuration: {named(unknown)}"
    for title, texts in (("refused", report.problems), ("worth a look", report.unusual)):
        if texts:
            yield f"\n{title}:"
            yield from (f"- {text}" for text in texts)
    limited = {step.keras: step.note for step in report.steps if step.status == "limited"}
    if limited:
        yield "\nlimits:"
        yield from (f"- {printable(name)}: {note}" for name, note in limited.items())
    yield f"\nfnet {'runs' if report.supported else 'does not run'} this model."


def named(names: Sequence[str], most: int = 5) -> str:
    """The first few names."""
    return printable(", ".join(names[:most])) + f" and {len(names) - most} more" * (len(names) > most)


def _shown(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
