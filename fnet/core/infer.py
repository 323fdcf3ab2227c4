"""What is known of a model without running it: shapes, parameters, steps, `summary`.

Everything here derives from the shape rules that layers declare (`fnet.core.rules.Rules`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

from fnet import tree
from fnet.activation_functions import Activation
from fnet.core.diagnosis import require_order
from fnet.core.layer import Bound, bind, brief, steps_like
from fnet.core.model import EMPTY, Model, run
from fnet.core.model import input_spec as input_spec
from fnet.core.sources import resolve, unmasked
from fnet.dtypes import name_of
from fnet.errors import InvalidInput, printable
from fnet.records import dataclass
from fnet.tree import Path
from fnet.types import Params, ParamTree, Spec


@dataclass(frozen=True)
class TracedStep:
    """One step of a model as `trace` sees it: path, what runs, Spec trees in and out, its parameters."""

    path: Path
    step: Any
    inputs: Any
    outputs: Any
    params: ParamTree
    entry: Path
    """Where the parameters are in the tree (another layer's path when weights are shared)."""


def spec(shape: Any, declared: Any = None) -> Any:
    """A Spec tree from what users write: Specs, shapes such as (None, 32, 32, 3), trees of these, arrays.

    declared: a Spec tree, whose dtypes are those of shapes at its places; a shape elsewhere is of float32.
    """
    if isinstance(shape, Spec) or shape is None:
        return shape
    if hasattr(shape, "shape") and hasattr(shape, "dtype"):
        texts = getattr(shape.dtype, "kind", "") in ("S", "U", "O")
        return Spec(tuple(shape.shape), "string" if texts else str(name_of(shape.dtype)))
    if isinstance(shape, Mapping):
        inner = declared if isinstance(declared, Mapping) else {}
        return {key: spec(item, inner.get(key)) for key, item in shape.items()}
    if isinstance(shape, list | tuple) and all(d is None or isinstance(d, Integral) for d in shape):
        sizes = tuple(None if d is None else int(d) for d in shape)
        return Spec(sizes, declared.dtype) if isinstance(declared, Spec) else Spec(sizes)
    if not isinstance(shape, list | tuple):
        raise TypeError(f"{shape!r:.60} is not a shape: give one such as (None, 32, 32, 3), a Spec, or an array")
    return tree.alike(shape, _specs(shape, declared))


def _specs(shapes: Sequence[Any], declared: Any) -> list[Any]:
    """`spec` of each of several shapes."""
    known = isinstance(declared, list | tuple) and len(declared) == len(shapes)
    return list(map(spec, shapes, declared if known else [None] * len(shapes)))


def infer(step: Any, x: Any) -> tuple[Any, dict[str, Any]]:
    """(output Spec tree, nested dicts of Param) of a step for inputs of the Spec tree `x`."""
    if not isinstance(step, Model):
        outputs, params = _bound(step).infer(x)
        return outputs, dict(params)
    steps = trace(step, x)
    return steps[-1].outputs, params_of(steps)


def trace(model: Any, x: Any) -> list[TracedStep]:
    """The steps of a model for inputs of the Spec tree `x`; a nested model comes after its steps."""
    steps: list[TracedStep] = []
    _trace(model, x, (), (), steps)
    return steps


def _trace(step: Any, x: Any, path: Path, entry: Path, steps: list[TracedStep]) -> Any:
    """The outputs of a step; it and the steps inside it are added to `steps`."""

    def visit(name: str, key: str, step: Any, x: Any) -> Any:
        return _trace(step, x, (*path, name), (*entry, key), steps)

    try:
        nested = isinstance(step, Model)
        outputs, params = (step.walk(x, visit, resolve_specs), EMPTY) if nested else _bound(step).infer(x)
    except Exception as error:  # re-raised with a note of where it happened
        if path and not getattr(error, "__notes__", None):
            error.add_note(f"in {tree.path_name(path)!r}: {brief(step, 120)} got {x}")
        raise
    steps.append(TracedStep(path, step, x, outputs, params, entry))
    return outputs


def resolve_specs(sources: Any, values: Mapping[str, Any]) -> Any:
    """The Specs that a node reads: masks do not change shapes."""
    return resolve(unmasked(sources), values)


def _bound(step: Any) -> Bound:
    """`bind(step)`, which loading a model asks for several times a layer."""
    return step if isinstance(step, Bound) else bind(step)


def by_options(rule: Callable[..., Any] | None, step: Any) -> Any:
    """What a rule that depends on options alone says about `step`; None where the layer has no such rule."""
    return None if rule is None else _bound(step).fill(rule)()


def identity(x: Any) -> tuple[Any, ParamTree]:
    """The shape rule of a layer that changes no shape and has no parameters."""
    return x, EMPTY


def params_of(steps: list[TracedStep]) -> dict[str, Any]:
    """The params tree of a traced model, shared weights once."""
    if not isinstance(steps[-1].step, Model):
        return dict(steps[-1].params)
    root = steps[-1].entry
    params = {step.entry[len(root) :]: step.params for step in steps[:-1] if step.params}
    return tree.nest(params)


def activation_child(activation: Activation, y: Spec) -> ParamTree:
    """The params that an activation adds to the layer it belongs to: {"activation": {...}} or nothing."""
    params = {} if activation is None or isinstance(activation, str) else infer(activation, y)[1]
    return {"activation": params} if params else {}


def inputs_of(model: Any, shapes: tuple[Any, ...] = ()) -> Any:
    """The Spec tree of the inputs: as the model declares it, or of the sizes in `shapes`, one for each input."""
    if not callable(model):
        raise InvalidInput(f"the model comes first; got a {type(model).__name__}")
    takes = input_spec(model)
    if shapes:
        return spec(shapes[0], takes) if len(shapes) == 1 else tuple(_specs(shapes, takes))
    if takes is None:
        raise InvalidInput("the model does not say what it takes; give the input shape, as (None, 32, 32, 3)")
    return takes


def summary(model: Any, *input_shapes: Any) -> str:
    """A table of the steps: path, layer, output shape, number of parameters."""
    lines, total = _table(model, inputs_of(model, input_shapes))
    head, *body = aligned(lines)
    rule = "-" * max(map(len, [head, *body]))
    return "\n".join([head, rule, *body, rule, f"total params: {total:,}"])


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of text, with the cells below each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def html(model: Any) -> str:
    """The table of `summary` for notebooks; without shapes where the model does not say what it takes."""
    from html import escape  # here, since it takes a millisecond to import

    takes, foot = input_spec(model), ""
    lines: list[tuple[str, ...]] = [("step", "layer"), *((name, brief(step)) for name, _, step in model.entries)]
    if takes is not None:
        lines, total = _table(model, takes)
        foot = f"<caption>total params: {total:,}</caption>"
    rows = ["".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in line) for line in lines]
    head = rows[0].replace("td", "th")
    return f"<table>{foot}<tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows[1:])}</table>"


def _table(model: Any, takes: Any) -> tuple[list[tuple[str, ...]], int]:
    """(the lines of a summary with their header, the number of all parameters)."""
    lines: list[tuple[str, ...]] = [("step", "layer", "output", "params")]
    seen, total = set(), 0
    for traced in trace(model, takes):
        if isinstance(traced.step, Model):
            continue
        params = [] if traced.entry in seen else tree.leaves(traced.params)
        count = sum(math.prod(d or 0 for d in p.shape) for p in params)  # but tables, whose sizes only files tell
        seen.add(traced.entry)
        total += count
        name = bind(traced.step).function.__name__
        lines.append((printable(tree.path_name(traced.path)) or name, name, _shapes(traced.outputs), f"{count:,}"))
    return lines, total


def _shapes(specs: Any) -> str:
    return ", ".join(str(s.shape) if isinstance(s, Spec) else str(s) for s in tree.leaves(specs))


def children(step: Any) -> list[tuple[str, Any]]:
    """(params key, step) of the steps inside a step; those that share a key may differ in what they do with it."""
    if isinstance(step, Model):
        return list({(key, id(child)): (key, child) for _, key, child in step.entries}.values())
    bound = _bound(step)
    rule = bound.rules.children
    return [] if rule is None else list(bound.fill(rule)().items())


def layers_in(step: Any) -> list[Bound]:
    """The layers in a step, also inside models and wrappers; a wrapper comes before the layers in it."""
    itself = [] if isinstance(step, Model) else [_bound(step)]
    return itself + [layer for _, child in children(step) for layer in layers_in(child)]


def keeps_states(step: Any) -> bool:
    """Whether a recurrent layer in a step is `stateful`: begins with the states of its last call."""
    return any(layer.all_options.get("stateful") for layer in layers_in(step))


def activations(model: Any, params: Params, x: Any, names: str | Sequence[str] | None = None) -> dict[str, Any]:
    """The outputs of steps, {path: value}.

    names: one path or several, such as "block/conv" for a step inside another model; None: all steps.
    Raises KeyError for a path that the model does not have.
    """
    require_order("activations(model, params, x)", model, params)
    values: dict[str, Any] = {}
    run(model, params, x, values.__setitem__)
    if names is None:
        return values
    names = [names] if isinstance(names, str) else names
    missing = [name for name in names if name not in values]
    if missing:
        raise KeyError(f"no step {', '.join(missing)}; {steps_like(missing[0], values)}")
    return {name: values[name] for name in names}
