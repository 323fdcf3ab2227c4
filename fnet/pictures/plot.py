"""`plot`: a model as a picture, from its shape rules alone."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from html import escape as of_html
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.diagnosis import require_order
from fnet.core.layer import Bound, bind, brief
from fnet.core.model import Model
from fnet.core.options import option_names
from fnet.core.sources import Ref, at, masked_by, references
from fnet.errors import printable
from fnet.pictures.layout import Edge, Layout, arrange
from fnet.records import dataclass
from fnet.types import Params, Spec

LETTER, SMALL = 7.4, 6.8
"""The width of a letter in a title, and elsewhere, in pixels."""
MOST = 44
"""The most letters of a line; the full text is in the tooltip."""
STUB, TIP = 17.0, 8.0
"""The length of the straight part of a line out of a box, where its shape is written, and into the next box."""
PAD = 14.0
"""Padding inside a nested model."""

COLOURS = {
    "#e8ecf1": "basic scaling numeric vocabulary lookup hashed text reshaping",
    "#cfe3fb": "convolution convolution_transpose depthwise conv_recurrent pooled_convolution locally_connected",
    "#d3ecd9": "norms",
    "#fdebc8": "activation_layers",
    "#d5eef0": "pooling global_pooling adaptive_pooling up_sampling image resampling",
    "#f6d9e8": "recurrent any_cell cells recurrence recurrence_stack wrappers",
    "#e3dbf7": "multi_head dot_attention group_query einsum_layers",
    "#fbdcd2": "merging",
}
FILLS = {module: colour for colour, modules in COLOURS.items() for module in modules.split()}
"""{family of layers: colour of its boxes}."""

STYLE = """text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1c2733}
.title{font-weight:bold;font-size:12px}.soft{fill:#56677a}.box{stroke:#8796a8}.inner{fill:#f8fafc;stroke:#8796a8;
stroke-dasharray:5 3}.end{fill:#fff;stroke:#8796a8}.refused{fill:#fdd;stroke:#c00;stroke-dasharray:4 2}
.line{fill:none;stroke:#56677a;stroke-width:1.3}.mask{stroke-dasharray:3 3;stroke:#9aa9b8}
.shape{fill:#2a5d9f;paint-order:stroke;stroke:#fff;stroke-width:4px}"""


class Picture(str):
    """SVG as text; notebooks show it."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


@dataclass
class _Box:
    """The box of a step, or of a whole model."""

    title: str
    lines: list[str]
    width: float
    height: float
    fill: str = "#e8ecf1"
    tooltip: str = ""
    kind: str = "box"
    parts: dict[str, _Box] = field(default_factory=dict)
    edges: dict[Edge, tuple[str, bool]] = field(default_factory=dict)
    """{edge: (shape, whether it carries a mask)}."""
    layout: Layout | None = None


def plot(
    model: Any,
    params: Params | None = None,
    *input_shapes: Any,
    depth: int | None = None,
    refused: Mapping[str, str] | None = None,
    unsized: Collection[str] = (),
) -> Picture:
    """A picture of the steps of a model, as SVG, with shapes on the lines between them.

    params: for the sizes of tables, which only params have. input_shapes: as in `summary`, for a model that does not
    declare its inputs; without, shapes are left out. depth: how many levels of nested models are opened, None for
    all. refused: {path: "Class: why"} of steps to draw as refused, as in `fnet plot FILE`; unsized: the paths of
    those whose sizes nobody knows, for what comes before them is refused.

    >>> picture = plot(sequential(x=bind(input_layer, shape=(None, 4)), d=bind(dense, units=2)))
    >>> picture[:4], picture.count("<rect")
    ('<svg', 4)
    """
    require_order("plot(model, params)", model, params or {})
    if depth is not None and not (isinstance(depth, int) and depth >= 0):
        raise ValueError(f"depth is a number of levels, at least 0; got {depth!r:.40}")
    spec = infer.inputs_of(model, input_shapes) if input_shapes else infer.input_spec(model)
    traced = [] if spec is None else infer.trace(model, spec)
    steps = {step.path: step for step in traced if tree.path_name(step.path) not in unsized}
    drawing = _Drawing(steps, params or {}, refused or {}, math.inf if depth is None else depth)
    box = drawing.of_model(model if isinstance(model, Model) else _alone(model), (), ())
    body = "".join(_marks(box, 0.0, 0.0))
    size = f'width="{box.width:.0f}" height="{box.height:.0f}" viewBox="0 0 {box.width:.0f} {box.height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(brief(model, 200))}">'
    arrow = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#56677a"/></marker></defs>'
    )
    paper = f'<rect width="{box.width:.0f}" height="{box.height:.0f}" fill="#fff"/>'
    return Picture(f"{head}<style>{STYLE}</style>{arrow}{paper}{body}</svg>\n")


def _alone(step: Any) -> Any:
    from fnet.core.compose import sequential

    return sequential({bind(step).function.__name__: step})


# --- what is drawn ------------------------------------------------------------------------------------------


class _Drawing:
    """Makes the boxes of a model from the trace of its steps."""

    def __init__(
        self, steps: Mapping[tree.Path, infer.TracedStep], params: Params, refused: Mapping[str, str], depth: float
    ) -> None:
        self.steps, self.params, self.refused, self.depth = steps, params, refused, depth
        self.entries: dict[tree.Path, str] = {}
        """{path in the params: path of the first step that has them}."""
        self.shared = set[tree.Path]()
        """Paths of the params of nested models that were drawn before."""

    def of_model(self, model: Model, path: tree.Path, entry: tree.Path) -> _Box:
        """A model as a box with its steps inside."""
        parts = {name: self.of_step(step, (*path, name), (*entry, key)) for name, key, step in model.entries}
        reads, ends = _connections(model)
        edges: dict[Edge, tuple[str, bool]] = {}
        numbers: Counter[tuple[str, str]] = Counter()
        for name, place, mask, source in reads:
            edge = Edge(source, name, numbers[source, name])
            numbers[source, name] += 1
            edges[edge] = (self.shape((*path, source), place), mask)
        if not path:
            for number, (name, place, source) in enumerate(ends):
                key = f"output {number}"
                parts[key] = _end(f"output {name}".strip())
                edges[Edge(source, key)] = (self.shape((*path, source), place), False)
        for edge, (shape, _) in edges.items():
            part = parts[edge.source]
            part.width = max(part.width, 2 * (len(shape) * SMALL + 10))
        layout = arrange({name: (part.width, part.height) for name, part in parts.items()}, list(edges))
        return _Box("", [], layout.width, layout.height, parts=parts, edges=edges, layout=layout)

    def of_step(self, step: Any, path: tree.Path, entry: tree.Path) -> _Box:
        """A layer, or a nested model, opened or not."""
        name, traced = str(path[-1]), self.steps.get(path)
        where = tree.path_name(path)
        if (why := self.refused.get(where)) is not None:
            return _box(name, [f"refused: {why.partition(':')[0]}"], "", f"{where}: {why}", "refused")
        if not isinstance(step, Model):
            function = bind(step).function
            fill = FILLS.get(function.__module__.rpartition(".")[2], "#e8ecf1")
            call = _call(bind(step))
            lines = [*([] if name == call else [call]), *self.size(traced, entry, where)]
            return _box(name, lines, fill, f"{where}: {brief(step, 1000)}")
        if len(path) > self.depth:
            count = f"{type(step).__name__.lower()} of {len(step.entries)} steps"
            return _box(
                name, [count, *self.size(traced, entry, where)], "#fff", f"{where}: {brief(step, 1000)}", "inner"
            )
        first = self.entries.setdefault(entry, where)
        if first != where:
            self.shared.add(entry)
        inside = self.of_model(step, path, entry)
        title = name if first == where else f"{name} (weights of {first})"
        width = max(inside.width + 2 * PAD, len(title) * LETTER + 2 * PAD)
        return _Box(title, [], width, inside.height + 26, tooltip=where, kind="inner", parts={"": inside})

    def shape(self, path: tree.Path, place: tree.Path) -> str:
        """The shape of a step's output, or of the part of it at `place`."""
        if path not in self.steps:
            return ""
        return ", ".join(map(_shape, tree.leaves(tree.get(self.steps[path].outputs, place))))

    def size(self, traced: infer.TracedStep | None, entry: tree.Path, where: str) -> list[str]:
        """A line about the parameters, if there are any."""
        count = _count(traced, self.params, entry)
        shared = self.entries.setdefault(entry, where)
        if not count or any(entry[:i] in self.shared for i in range(len(entry))):
            return []
        return [f"{count:,} params" if shared == where else f"weights of {shared}"]


def _count(traced: infer.TracedStep | None, params: Params, entry: tree.Path) -> int:
    here: Any = params
    for key in entry:
        here = here.get(key, {}) if isinstance(here, Mapping) else {}
    if arrays := [leaf for leaf in tree.leaves(here) if hasattr(leaf, "size")]:
        return sum(leaf.size for leaf in arrays)
    known = [] if traced is None else tree.leaves(traced.params)
    if traced is not None and isinstance(traced.step, Model):
        known = tree.leaves(infer.infer(traced.step, traced.inputs)[1])
    return sum(math.prod(d or 0 for d in param.shape) for param in known)


_Reads = list[tuple[str, tree.Path, bool, str]]
"""(reading step, path in the output that it reads, whether as a mask, step that it reads)."""
_Ends = list[tuple[str, tree.Path, str]]
"""(name of an output, path in the output of the step, step)."""


def _connections(model: Model) -> tuple[_Reads, _Ends]:
    """What the steps of a model read, and where its outputs come from."""
    if model.linear:
        names = model.names
        along: _Reads = [(after, (), False, name) for name, after in itertools.pairwise(names)]
        return along, [("", (), names[-1])] if names else []
    graph: Any = model
    taken = set(references(graph.inputs))
    reads = [
        (name, ref.path, mask, ref.node)
        for name, node in graph.nodes
        if name not in taken or node.sources is not None
        for ref, mask in _read(node.sources)
    ]
    ends = [(path, ref.path, ref.node) for path, ref in _outputs(graph.outputs)]
    return reads, ends


def _read(sources: Any, mask: bool = False) -> Iterator[tuple[Ref, bool]]:
    """(what is read, whether as a mask) of a tree of sources."""
    if isinstance(sources, str | Ref):
        yield at(sources), mask
    elif isinstance(sources, masked_by):
        yield from _read(sources.values, mask)
        yield from _read(sources.mask, True)
    elif isinstance(sources, Mapping | tuple | list):
        for item in sources.values() if isinstance(sources, Mapping) else sources:
            yield from _read(item, mask)


def _outputs(outputs: Any, path: str = "") -> Iterator[tuple[str, Ref]]:
    if isinstance(outputs, Mapping | tuple | list):
        pairs = outputs.items() if isinstance(outputs, Mapping) else enumerate(outputs)
        for key, item in pairs:
            yield from _outputs(item, f"{path}/{key}".strip("/"))
    else:
        for ref, _ in _read(outputs):
            yield path, ref


# --- words --------------------------------------------------------------------------------------------------

PLAIN = {"units", "filters", "input_dim", "output_dim", "rate", "activation", "padding", "target_shape", "function"}
"""Options that are shown by their value alone."""
MANY = {"kernel_size": "{}", "pool_size": "{}", "strides": "/{}", "size": "×{}", "dilation_rate": "dilated {}"}
"""{option with sizes along axes: its form}; if all are 1, only kernels and pools are shown."""
NOTHING = ("linear", "valid", "channels_last", None)
LEFT_OUT = {"axis", "epsilon", "shape", "masks", "zero_output_for_mask", "seed"}


def _call(step: Bound) -> str:
    """Function and options of a layer in a few words."""
    return f"{step.function.__name__} {' '.join(_words(step))}".strip()


def _words(step: Bound) -> Iterator[str]:
    defaults = option_names(step.function)
    inner = [value for value in step.options.values() if isinstance(value, Bound)]
    if inner:  # a wrapper: further layers, such as the backward one, are like the first
        yield _call(inner[0])
        return
    for key, value in step.options.items():
        if key in LEFT_OUT or value == defaults.get(key) or value in NOTHING:
            continue
        if key in MANY:
            sizes = value if isinstance(value, tuple | list) else (value,)
            if set(sizes) != {1} or MANY[key] == "{}":
                yield MANY[key].format("×".join(map(str, sizes)))
        elif key in PLAIN and not callable(value):
            flat = isinstance(value, tuple) and not any(isinstance(d, tuple) for d in value)
            yield _sizes(value) if flat else str(value).replace(" ", "")
        elif value is True:
            yield key
        elif isinstance(value, int | float | str):
            yield f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"


def _sizes(shape: tuple[int | None, ...]) -> str:
    return "×".join("?" if d is None else str(d) for d in shape)


def _shape(spec: Any) -> str:
    if not isinstance(spec, Spec):
        return str(spec)
    sizes = _sizes(spec.shape[1:]) or "scalar"
    return sizes if spec.dtype == "float32" else f"{sizes} {spec.dtype}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"


def _box(title: str, lines: list[str], fill: str, tooltip: str, kind: str = "box") -> _Box:
    title, lines = _cut(title), [_cut(line) for line in lines]
    width = max(len(title) * LETTER, *(len(line) * SMALL for line in lines), 60.0) + 20
    return _Box(title, lines, width, 22.0 + 14 * len(lines), fill, tooltip, kind)


def _end(title: str) -> _Box:
    return _Box(title, [], len(title) * LETTER + 24, 22.0, kind="end")


# --- marks --------------------------------------------------------------------------------------------------


def _marks(box: _Box, left: float, top: float) -> Iterator[str]:
    """A model whose corner is at (left, top)."""
    assert box.layout is not None
    for edge, line in box.layout.lines.items():
        yield _line([(x + left, y0 + top, y1 + top) for x, y0, y1 in line], box.edges[edge][1])
    for name, (x, y) in box.layout.places.items():
        yield from _drawn(box.parts[name], left + x, top + y)
    labelled = set[tuple[Any, str]]()
    above: Counter[Any] = Counter()
    for edge, line in box.layout.lines.items():
        shape = box.edges[edge][0]
        if shape and (edge.source, shape) not in labelled:
            labelled.add((edge.source, shape))
            x, y, _ = line[0]
            yield _text(left + x + 6, top + y + 13 + 12 * above[edge.source], shape, "shape")
            above[edge.source] += 1


def _line(line: list[tuple[float, float, float]], mask: bool) -> str:
    """A line down through the ranks: straight past boxes, with bends in the space between ranks."""
    x, y, end = line[0]
    path = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y, next_end in line[1:]:
        if abs(next_x - x) > 0.5:
            begin, stop = end + STUB, next_y - TIP
            middle = (begin + stop) / 2
            path.append(f"V{begin:.1f}C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {stop:.1f}")
        x, end = next_x, next_end
    return f'<path class="line{" mask" * mask}" d="{"".join(path)}V{line[-1][1]:.1f}" marker-end="url(#tip)"/>'


def _drawn(box: _Box, x: float, y: float) -> Iterator[str]:
    """A box with its middle at x and its top at y."""
    left = x - box.width / 2
    shape = f'x="{left:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    fill = f' fill="{box.fill}"' if box.kind == "box" else ""
    radius = 11 if box.kind == "end" else 5
    title = f"<title>{escape(box.tooltip)}</title>" if box.tooltip else ""
    yield f'<g>{title}<rect class="{box.kind}"{fill} rx="{radius}" {shape}/>'
    yield _text(x, y + 16, box.title, "title", "middle")
    for number, line in enumerate(box.lines):
        yield _text(x, y + 31 + 14 * number, line, "soft", "middle")
    if inside := box.parts.get(""):
        yield from _marks(inside, x - inside.width / 2, y + 22)
    yield "</g>"


def escape(words: str) -> str:
    """Words for an SVG, without control characters, which XML cannot contain."""
    return of_html(printable(words))


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
