"""What all recurrent layers share: inputs, the loop over time with its mask, outputs.

`begin` of a cell takes a sequence, time first: it projects all time steps at once and returns a step
`(z_t, states) -> (y_t, states)`. `sweep` runs that step; `run_over_time` is the whole recurrent layer around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

from fnet import random, tree
from fnet.backend import ops, xp
from fnet.core.options import asking, option_names
from fnet.core.room import size
from fnet.errors import InvalidInput
from fnet.masks import mask_of, masked, strip, values_of
from fnet.records import dataclass
from fnet.shapes import fits, shape_of
from fnet.types import Array, Params, Spec

_RANK = (
    "a recurrent layer takes sequences (batch, time, ...); got shape {}. After another recurrent layer this means "
    "that the one before lacks return_sequences=True"
)

_COUNT = "a recurrent layer starts from the states of all its cells, one array for each or two (lstm); got too {}"

StepInTime: TypeAlias = Callable[[Any, Any], tuple[Array, Any]]
"""(projected inputs of one time step, states) -> (output, states)."""


class Cell(Protocol):
    """The equations of one recurrent cell; states are tuples of arrays."""

    def begin(self, params: Params, xs: Array) -> tuple[Any, StepInTime]:
        """(time, batch, ...) -> (the inputs of the steps, time first; the step)."""

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """The output before the first step, and the initial states."""

    def fused(self, params: Params) -> str | None:
        """The name of the kernel in `ops.recurrences` for this cell, or None."""


@dataclass(frozen=True)
class RecurrentInput:
    """The parts of the input of a recurrent layer.

    mask: the steps to compute, or None. output_mask: the mask of the output. They differ in one case, by Keras 3's
    rule: with initial states, a mask that the sequence carries is not applied.
    previous: the output that masked steps before the first valid one repeat (None: zeros).
    """

    values: Array
    states: list[Array] | None
    mask: Array | None
    output_mask: Array | None
    previous: Array | None = None


def unpack(x: Any, masks: str = "keras3") -> RecurrentInput:
    """The parts of `sequence`, `(sequence, *states)` or a dict with the names of the Keras call.

    masks: the Keras whose rule decides whether a mask that the sequence carries is applied with initial states.

    The dict's keys: "sequences", "initial_state" (an array or a list), "mask" (an explicit one, which is always
    applied), and "previous_output", which Keras lacks: it lets a sequence continue where another one stopped.
    """
    states: Any = None
    explicit = previous = None
    if isinstance(x, Mapping):
        values, states = x["sequences"], x.get("initial_state")
        explicit, previous = strip(x.get("mask")), strip(x.get("previous_output"))
    elif isinstance(x, tuple | list):
        values, states = x[0], x[1:]
    else:
        values = x
    carried = mask_of(values)
    output_mask = carried if explicit is None else explicit
    states = tree.leaves(strip(states)) or None
    applied = explicit if states is not None and masks != "keras2" else output_mask
    return RecurrentInput(values_of(values), states, applied, output_mask, previous)


def sequence_spec(x: Any) -> Spec:
    """The Spec of the sequence in the input of a recurrent layer."""
    spec: Any = x["sequences"] if isinstance(x, Mapping) else x[0] if isinstance(x, tuple | list) else x
    if not hasattr(spec, "shape"):
        raise InvalidInput(f"a recurrent layer takes sequences (batch, time, ...); got {spec!r:.60}")
    return cast(Spec, spec)


def around(x: Any, cell_output: Any, *, return_sequences: bool, return_state: bool) -> Any:
    """The output Specs of a recurrent layer, from the (output, states) of its cell."""
    inputs = sequence_spec(x)
    if not isinstance(cell_output, tuple) or len(cell_output) != 2:
        raise InvalidInput(f"a cell gives (output, states); this one gives {cell_output!r:.60}")
    y, states = cell_output
    require_states(states_given(x), states)
    if return_sequences:
        y = Spec((*inputs.shape[:2], *y.shape[1:]), y.dtype)
    return (y, *states) if return_state else y


STEP = 1 << 16
"""The overhead of a time step, as the number of bytes that are written in the same time."""


def room_over_time(
    shape: Callable[..., Any], more: Callable[..., tuple[int, int]] | None = None
) -> Callable[..., tuple[int, int]]:
    """The `room` rule of a recurrent layer, from its shape rule: the inputs projected for four gates, and the weights
    that each step reads again.

    more: another `room` rule to add. Where the rules take a rank before x, so does the result.
    """
    names = () if more is None else option_names(more)

    def rule(*inputs: Any, **options: Any) -> tuple[int, int]:
        y, params = shape(*inputs, **{**options, "return_sequences": True, "return_state": False})
        steps = sequence_spec(inputs[-1]).shape[0 if options.get("time_major") else 1] or 1
        memory, work = (0, 0) if more is None else more(*inputs, **{name: options[name] for name in names})
        return 4 * size(y) + memory, steps * (STEP + size(params) // 4) + work

    return asking(rule, shape)


def states_given(x: Any) -> Any:
    """The initial states in what a recurrent layer is given, or None."""
    return x.get("initial_state") if isinstance(x, Mapping) else x[1:] if isinstance(x, tuple | list) else None


def require_states(initial: Any, states: Any) -> None:
    """Raise InvalidInput where a recurrent layer or a cell is given states of other shapes than its own."""
    for state, expected in zip(tree.leaves(initial), tree.leaves(states), strict=False):
        if not fits(shape_of(state), expected.shape):
            raise InvalidInput(f"a recurrent layer has states of {expected.shape}; got one of {shape_of(state)}")


def time_step(x: Any, time_major: bool = False) -> Spec:
    """The Spec of one time step of the sequence."""
    inputs = sequence_spec(x)
    if len(inputs.shape) < 3:
        raise InvalidInput(_RANK.format(inputs.shape))
    return Spec((inputs.shape[1 if time_major else 0], *inputs.shape[2:]), inputs.dtype)


def zeros(spec: Spec) -> Array:
    """Zeros of a Spec; bfloat16 is float32 in a model."""
    return xp.zeros(spec.shape, "float32" if spec.dtype == "bfloat16" else spec.dtype)


def as_tuples(states: Any) -> Any:
    """`states` with tuples for lists, so that the states of a loop keep one structure."""
    return tuple(map(as_tuples, states)) if isinstance(states, tuple | list) else states


def as_lists(states: Any) -> Any:
    """`states` with lists for tuples, as Keras returns them and passes them to a cell."""
    return list(map(as_lists, states)) if isinstance(states, tuple | list) else states


@dataclass(frozen=True)
class SequenceOptions:
    """The options that all recurrent layers share: how they loop over the sequence, and what they return."""

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    unroll: bool
    zero_output_for_mask: bool
    masks: str = "keras3"
    time_major: bool = False


def run_over_time(cell: Cell, params: Params, x: Any, options: SequenceOptions) -> Any:
    """A recurrent layer with this cell: (batch, time, ...) -> output, or (output, *states).

    With `options.time_major` sequences and masks are (time, batch, ...). A masked step keeps the states and repeats
    the previous output (zeros before the first valid step).
    """
    inputs = unpack(x, options.masks)
    if inputs.values.ndim < 3:
        raise InvalidInput(_RANK.format(tuple(inputs.values.shape)))
    if inputs.values.shape[0 if options.time_major else 1] == 0:
        raise InvalidInput(f"a recurrent layer needs at least one time step; got shape {tuple(inputs.values.shape)}")
    xs = inputs.values if options.time_major else xp.swapaxes(inputs.values, 0, 1)
    mask = mask_as_given = _time_first(inputs.mask, options.time_major)
    if mask is not None and len(mask) != len(xs):
        raise InvalidInput(f"a recurrent layer got {len(xs)} time steps, and a mask of {len(mask)}")
    if options.go_backwards:
        xs, mask = xs[::-1], None if mask is None else mask[::-1]
    y, ys, states = sweep(cell, params, xs, inputs.states, mask, inputs.previous, keep=options.return_sequences)
    if len(tree.leaves(inputs.states)) > len(tree.leaves(states)):
        raise InvalidInput(_COUNT.format("many"))
    if mask is not None and options.zero_output_for_mask:
        y = select(mask[-1], y, xp.zeros_like(y))
        if ys is not None:
            # Keras does not reverse the mask here when it unrolls, and models were trained that way.
            ys = select(mask_as_given if options.unroll else mask, ys, xp.zeros_like(ys))
    if options.return_sequences:
        y = masked(ys if options.time_major else xp.swapaxes(ys, 0, 1), inputs.output_mask)
    return (y, *as_lists(states)) if options.return_state else y


def _time_first(mask: Array | None, time_major: bool) -> Any:
    """(batch, time) or (batch, time, 1) -> (time, batch), bool; further axes of a mask stay."""
    if mask is None:
        return None
    mask = ops.asarray(mask).astype(bool)
    by_step: Array = mask[..., 0] if mask.ndim == 3 and mask.shape[-1] == 1 else mask
    return by_step if time_major else xp.swapaxes(by_step, 0, 1)


def select(mask: Array, chosen: Array, other: Array) -> Array:
    """`chosen` where `mask` (on the leading axes) is True, else `other`."""
    return xp.where(mask.reshape(mask.shape + (1,) * (chosen.ndim - mask.ndim)), chosen, other)


@dataclass(frozen=True)
class Stack:
    """Stacked cells, params {"cells": {name: ...}}; each sweeps over the outputs of the one before it."""

    cells: tuple[tuple[str, Any], ...]


def sweep(
    cell: Any, params: Params, xs: Array, states: Any, mask: Array | None, previous: Array | None, *, keep: bool
) -> tuple[Array, Any, Any]:
    """Run `cell` over `xs` (time, batch, ...): (last output, outputs with time first when `keep`, states)."""
    if isinstance(cell, Stack):
        return _sweep_stack(cell, params, xs, states, mask, previous, keep)
    kernel = ops.recurrences.get(cell.fused(params)) if mask is None or mask.ndim == 2 else None
    start, zero_states = cell.zeros(params, xs)
    states = zero_states if states is None else _like(zero_states, tree.leaves(states))
    if previous is not None:
        start = ops.asarray(previous, start.dtype)
    if kernel is not None:  # on NumPy with Keras's usual activations; else one `step` of the cell at a time
        y, ys, states = kernel(params, xs, states, mask, start, keep)
        return y, ys, states
    inputs = (tree.map(lambda leaf: leaf, params), xs, states, mask, start)
    end: tuple[Array, Any, Any] = ops.compiled(_steps, cell, keep)(*inputs)
    return end


def _like(zero_states: Any, states: list[Array]) -> Any:
    """The first of the arrays `states` as states, with the structure and dtypes of `zero_states`.

    A state of one row is that of every row, as in Keras. Raises InvalidInput where there are too few, and for those of
    other shapes: NumPy would compute rows that no sequence has.
    """
    expected = tree.leaves(zero_states)
    if len(states) < len(expected):
        raise InvalidInput(_COUNT.format("few"))
    pairs = zip(states, expected, strict=False)
    whole = [xp.broadcast_to(a, z.shape) if shape_of(a) == (1, *z.shape[1:]) else a for a, z in pairs]
    require_states(whole, expected)
    left = iter(whole)
    return tree.map(lambda zero: ops.asarray(next(left), zero.dtype), zero_states)


def _steps(
    cell: Any, keep: bool, params: Params, xs: Array, states: Any, mask: Array | None, start: Array
) -> tuple[Array, Any, Any]:
    """Loop over the steps of a cell. At the top of the module, so that JAX compiles it once for each cell."""
    zs, step = cell.begin(params, xs)

    def body(carry: Any, inputs: Any) -> Any:
        y, old = carry
        z, valid = inputs
        # A cell with its own 16-bit policy rounds its output, but the loop carries one dtype.
        new_y, new = tree.map(lambda a, b: a if a.dtype == b.dtype else a.astype(b.dtype), step(z, old), (y, old))
        if valid is not None:
            new_y = select(valid, new_y, y)
            new = tree.map(lambda a, b: select(valid, a, b), new, old)
        return (new_y, new), new_y if keep else None

    (y, states), ys = ops.scan(body, (start, states), (zs, mask), xs.shape[0])
    return y, ys, states


def _sweep_stack(
    stack: Stack, params: Params, xs: Array, states: Any, mask: Array | None, previous: Array | None, keep: bool
) -> tuple[Array, Any, Any]:
    """`sweep` of a stack. Keras accepts any nesting of the states, so they are assigned in order."""
    ends, params = [], params.get("cells", {})
    left = None if states is None else tree.leaves(states)
    y, ys = xs[-1], xs
    for number, (name, cell) in enumerate(stack.cells):
        top = number == len(stack.cells) - 1
        entry = params.get(name, {})
        y, ys, end = sweep(cell, entry, ys, left, mask, previous if top else None, keep=keep or not top)
        left = None if left is None else left[len(tree.leaves(end)) :]
        ends.append(end)
    return y, ys, tuple(ends)


def project(x: Array, kernel: Array, dropped: Sequence[Array] | None = None) -> Array:
    """(..., in) @ (in, out) as one matrix product. dropped: dropout masks, one, or one for each gate."""
    if dropped is not None and len(dropped) > 1:
        gates = xp.split(kernel, len(dropped), axis=-1)
        return xp.concatenate([project(x, gate, [mask]) for gate, mask in zip(gates, dropped, strict=True)], axis=-1)
    if dropped is not None:
        x = x * dropped[0]
    return x @ kernel if x.ndim == 2 else xp.tensordot(x, kernel, 1)


def dropout_masks(params: Params, which: int, rate: float, like: Array, count: int) -> list[Array] | None:
    """`count` dropout masks (batch, ...) for the whole sequence, scaled by 1 / (1 - rate); None without rng.

    which: 0 for the input, 1 for the state. like: an array of the shape to be masked.
    """
    rng = params.get("rng")
    if rng is None or rate <= 0:
        return None
    keys = random.split(random.fold_in(rng, which), count)
    scale = 1.0 / (1.0 - rate) if rate < 1 else 0.0
    return [random.bernoulli(key, 1.0 - rate, like.shape).astype(like.dtype) * scale for key in keys]
