"""How an operation becomes a layer, and how its output shape is known without running it.

`@operation(...)` turns `f(x1, x2, *, options)` into the layer `(params, (x1, x2), *, options)`; with one
argument `x` is that argument itself. A shape rule takes the arguments as Specs (literals stay as they are) and the
options it needs. It returns Specs; or a bare shape, and then the dtype is found by running the operation on arrays of
size 1 with small numbers for options: a size in an untrusted file must cost nothing.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from fnet import tree
from fnet.backend import ops
from fnet.core.options import kinds
from fnet.core.rules import Call, Entrance, layer
from fnet.shapes import broadcast_shapes, positive, reduced_shape, shape_of, sized
from fnet.types import Params, ParamTree, Shape, Spec

Operation: TypeAlias = Callable[..., Any]

HOME = "fnet.operations"
"""The module of operations in pickles, whichever file defines them."""

LIMIT = 1 << 22
"""The largest number of elements that finding a shape by evaluation may touch."""
OPEN = (*(1 << n for n in range(10)), 1009, 2003)
"""Sizes to try for an unknown one: a result that is equal for all of them is known."""
MOST = 64
"""Larger integers in options and literals are cut to this to find a dtype; no array has so many axes."""


def operation(
    shape: Callable[..., Any],
    *,
    home: str = HOME,
    call: Call | None = None,
    room: Callable[..., Any] | None = None,
    by_row: int | None = None,
    host: bool = False,
) -> Callable[[Callable[..., Any]], Operation]:
    """Declare `f(*arrays, *, options)` to be an operation: a layer without parameters that drops masks.

    home: its public package. call: more about its calls. room, by_row: see `Rules`; elementwise shape rules imply that
    rows are independent. host: see `Entrance`.
    """

    def decorate(function: Callable[..., Any]) -> Operation:
        parameters = inspect.signature(function).parameters.values()
        arguments = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
        options = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        single = len(arguments) == 1 and arguments[0].kind is not arguments[0].VAR_POSITIONAL
        several = len(arguments) > 1

        def given(x: Any) -> tuple[Any, ...]:
            """The arguments: of several, one array is the first, and not its rows."""
            return (x,) if single or (several and not isinstance(x, list | tuple)) else tuple(x)

        def run(params: Params, x: Any, **chosen: Any) -> Any:
            return function(*given(x), **chosen)

        def rule(x: Any, **chosen: Any) -> tuple[Any, ParamTree]:
            inputs = given(x)
            outputs = _outputs(function, shape, inputs, chosen)
            _require_axes(chosen, max((len(s.shape) for s in _specs([inputs, outputs])), default=0))
            return outputs, {}

        head = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("params", "x")]
        for target, first in ((run, head), (rule, head[1:])):
            vars(target)["__signature__"] = inspect.Signature([*first, *options])
        run.__name__, run.__qualname__, run.__doc__ = function.__name__, function.__qualname__, function.__doc__
        run.__module__ = home
        vars(run)["__wrapped__"] = function  # for the types of its options
        names = tuple(("*" if p.kind is p.VAR_POSITIONAL else "") + p.name for p in arguments)
        rows = 1 if by_row is None and shape in (same, like, broadcast) else by_row
        entrance, named = Entrance(host=host), replace(call or Call(), arguments=names)
        return layer(shape=rule, mask="drop", room=room, by_row=rows, call=named, entrance=entrance)(run)

    return decorate


def named(name: str, text: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the name and docstring of an operation."""
    function.__name__, function.__qualname__, function.__doc__ = name, name, text
    return function


def borrowing(
    apply: Callable[..., Any], arguments: Sequence[str], function: Callable[..., Any], *names: str, **defaults: Any
) -> Callable[..., Any]:
    """`apply(*arguments, **options)` with the options `names` of `function` in its signature: their types and, unless
    given in `defaults`, their defaults."""
    parameters, types = inspect.signature(function).parameters, kinds(function)
    options = [
        parameters[name].replace(
            kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name, parameters[name].default)
        )
        for name in names
    ]
    own = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in arguments]
    vars(apply)["__signature__"] = inspect.Signature([*own, *options])
    apply.__annotations__ = {name: types[name] for name in names}
    return apply


# --- shapes by rule -------------------------------------------------------------------------------


def _outputs(function: Callable[..., Any], shape: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    parameters = inspect.signature(shape).parameters.values()
    needed = {p.name: options[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
    outputs = shape(*inputs, **needed)
    if not is_shape(outputs):
        return outputs
    return Spec(tuple(outputs), dtype_by_evaluation(function, inputs, options))


def _require_axes(options: dict[str, Any], rank: int) -> None:
    """Refuse an axis beyond the rank of inputs and outputs."""
    for name, value in options.items():
        if name.startswith("axis") and type(value) in (int, list, tuple):
            for axis in [value] if isinstance(value, int) else value:
                positive(axis, rank)


def is_shape(value: Any) -> bool:
    """Whether `value` is a bare shape rather than a tree of Specs."""
    return isinstance(value, tuple | list) and all(d is None or isinstance(d, int) for d in value)


def dtype_by_evaluation(function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> str:
    """The output dtype of `function`, found by running it on arrays of size 1."""
    ones = tree.map(lambda s: _array((1,) * len(s.shape), s.dtype) if isinstance(s, Spec) else _small(s), inputs)
    return str(ops.exactly(function, *ones, **{key: _small(value) for key, value in options.items()}).dtype)


def _small(value: Any) -> Any:
    """`value` with large integers cut to `MOST`."""
    if type(value) is int:
        return max(-MOST, min(value, MOST))
    if isinstance(value, list | tuple):
        return type(value)(_small(item) for item in value)
    return value


def _array(shape: Sequence[int], dtype: str) -> Any:
    return np.ones(shape, "U1") if dtype == "string" else ops.cast(np.ones(shape, "float32"), dtype)


def evaluated(function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The output Specs of `function`, found by running it on ones, with 2 and then 3 for unknown sizes."""
    seen = []
    for unknown in (2, 3):
        sizes = [math.prod(unknown if d is None else d for d in s.shape) for s in _specs(inputs)]
        if sum(sizes) > LIMIT:
            raise ValueError(f"cannot infer the output shape for so large an input: {_specs(inputs)}")
        arrays = tree.map(lambda s, n=unknown: _array(sized(s.shape, n), s.dtype) if isinstance(s, Spec) else s, inputs)
        seen.append(ops.exactly(function, *arrays, **options))
    return tree.map(_joined, *seen)


def _joined(a: Any, b: Any) -> Any:
    if not hasattr(a, "shape"):
        return a
    return Spec(tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)), str(a.dtype))


def _specs(inputs: Any) -> list[Spec]:
    return [leaf for leaf in tree.leaves(inputs) if isinstance(leaf, Spec)]


def broadcast(*inputs: Any) -> Shape:
    """The shape rule of elementwise operations."""
    return broadcast_shapes(*(shape_of(x) for x in inputs if x is not None))


def same(x: Spec, *rest: Any) -> Spec:
    """The shape rule of operations that keep the shape and dtype of their first argument, and do not mix its rows."""
    return x


def like(x: Spec, *rest: Any) -> Shape:
    """The shape rule of operations that keep the shape of their first argument, and do not mix its rows."""
    return x.shape


def reduced(x: Spec, *rest: Any, axis: int | Sequence[int] | None, keepdims: bool) -> Shape:
    """The shape rule of reductions."""
    return reduced_shape(x.shape, axis, keepdims)


def viewed(view: Callable[..., Any], x: Spec, **options: Any) -> Spec:
    """The Spec of a NumPy view (transpose, basic slicing, ...) of `x`; needs no memory, however large `x` is."""
    shapes = []
    for unknown in OPEN if None in x.shape else OPEN[-1:]:
        nothing = np.lib.stride_tricks.as_strided(np.zeros(1, bool), sized(x.shape, unknown), (0,) * len(x.shape))
        try:
            shapes.append(view(nothing, **options).shape)
        except IndexError:  # what is picked needs more
            if unknown == OPEN[-1]:
                raise
    return Spec(tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)), x.dtype)
