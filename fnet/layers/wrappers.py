"""Layers around layers: bidirectional and time_distributed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fnet import tree
from fnet.backend import ops, xp
from fnet.core import infer, room
from fnet.core.layer import Bound, bind, brief, has_policy
from fnet.core.model import EMPTY, Model, flow
from fnet.core.options import option_names
from fnet.core.rules import Rounding, Rules, layer, rules_of
from fnet.errors import InvalidInput
from fnet.layers import own_name
from fnet.layers.recurrence import sequence_spec, states_given, unpack
from fnet.layers.state_passing import Advance, State, advance
from fnet.masks import mask_of, masked, parted, strip, values_of
from fnet.types import Array, Masks, Merge, Params, ParamTree, Spec

MERGES: dict[str, Callable[[Array, Array], Array]] = {
    "concat": lambda a, b: xp.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "ave": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
}
"""How the outputs of the two directions become one."""


@functools.cache
def halves(layer: Any, backward_layer: Any) -> tuple[Bound, Bound]:
    """The forward and the backward layer that run: Keras sets zero_output_for_mask = return_sequences in both."""
    forward = bind(layer)
    backward = bind(layer, go_backwards=True) if backward_layer is None else bind(backward_layer)
    options = [half.all_options for half in (forward, backward)]
    if not all("go_backwards" in option and "return_sequences" in option for option in options):
        raise ValueError(f"bidirectional takes recurrent layers, not {brief(forward, 60)} and {brief(backward, 60)}")
    if options[0]["go_backwards"] == options[1]["go_backwards"]:
        raise ValueError("bidirectional needs layers of opposite go_backwards; both are " + str(forward))
    for name in ("stateful", "return_sequences", "return_state", "time_major"):
        if options[0].get(name) != options[1].get(name):
            raise ValueError(f"the layers of bidirectional differ in {name}: {forward}, {backward}")
    zero = {"zero_output_for_mask": options[0]["return_sequences"]}
    return tuple(  # type: ignore[return-value]
        bind(half, **zero) if "zero_output_for_mask" in option_names(half.function) else half
        for half in (forward, backward)
    )


def _bidirectional_rule(x: Any, *, layer: Any, backward_layer: Any, merge_mode: str | None) -> tuple[Any, ParamTree]:
    forward, backward = halves(layer, backward_layer)
    sequences, initial = sequence_spec(x), tree.leaves(states_given(x))
    half = len(initial) // 2
    (y, params), (y_back, params_back) = (
        infer.infer(step, {"sequences": sequences, "initial_state": start} if start else sequences)
        for step, start in ((forward, initial[:half]), (backward, initial[half:]))
    )
    needed = {"forward_layer": params, "backward_layer": params_back}
    states: tuple[Spec, ...] = ()
    if isinstance(y, tuple):
        states, y, y_back = (*y[1:], *y_back[1:]), y[0], y_back[0]
    if merge_mode == "concat":
        y = Spec((*y.shape[:-1], y.shape[-1] + y_back.shape[-1]), y.dtype)
    ys = (y, y_back) if merge_mode is None else (y,)
    return ((*ys, *states) if len(ys) + len(states) > 1 else y), needed


def _bidirectional_children(*, layer: Any, backward_layer: Any) -> dict[str, Any]:
    halves(layer, backward_layer)  # refuses an impossible pair first
    return {"forward_layer": layer, "backward_layer": layer if backward_layer is None else backward_layer}


def _bidirectional_room(x: Any, *, layer: Any, backward_layer: Any) -> tuple[int, int]:
    needed = [room.of(half, sequence_spec(x)) for half in halves(layer, backward_layer)]
    return sum(half.memory for half in needed), sum(half.work for half in needed)


@layer(shape=_bidirectional_rule, room=_bidirectional_room, mask="own", children=_bidirectional_children)
def bidirectional(
    params: Params,
    x: Any,
    *,
    layer: Callable[..., Any],
    backward_layer: Callable[..., Any] | None = None,
    merge_mode: Merge | None = "concat",
    masks: Masks = "keras3",
) -> Any:
    """A recurrent layer from both ends: (batch, time, in) -> (batch, 2 units), or (batch, time, 2 units).

    layer: a recurrent layer such as `bind(lstm, units=4)`; it reads forwards. backward_layer: the one that reads
    backwards (None: `layer` with go_backwards). Its last output has seen the whole sequence; with return_sequences its
    outputs are reversed into the order of time. merge_mode: "concat", "sum", "ave", "mul", or None for both outputs.
    With return_state: (output, *forward states, *backward states).
    x: as for `lstm`; initial states are the forward ones, then the backward ones.
    params: {"forward_layer": ..., "backward_layer": ...}.
    Mask: both halves obey it, with zero outputs at masked steps; passed on with return_sequences. With initial states
    as for `lstm`, by the option `masks` of this layer.
    Errors: ValueError for layers that do not fit together or an unknown merge_mode.
    Source: keras.layers.Bidirectional; Schuster and Paliwal 1997.
    """
    if merge_mode not in (*MERGES, None):
        raise ValueError(f"merge_mode {merge_mode!r}; use {', '.join(MERGES)} or None")
    forward, backward = halves(layer, backward_layer)
    inputs = unpack(x, masks)
    half = 0 if inputs.states is None else len(inputs.states) // 2
    ends = []
    for name, step, states in (
        ("forward_layer", forward, None if inputs.states is None else inputs.states[:half]),
        ("backward_layer", backward, None if inputs.states is None else inputs.states[half:]),
    ):
        x = {"sequences": inputs.values, "initial_state": states, "mask": inputs.mask}
        y = strip(flow(step, params.get(name, EMPTY), x))
        ends.append(y if isinstance(y, tuple) else (y,))
    (y, *final), (y_back, *final_back) = ends
    options = forward.all_options
    sequences = options["return_sequences"]
    if sequences:
        y_back = xp.flip(y_back, axis=0 if options.get("time_major") else 1)
    ys = (y, y_back) if merge_mode is None else (MERGES[merge_mode](y, y_back),)
    if sequences:
        ys = tuple(masked(item, inputs.output_mask) for item in ys)
    outputs = (*ys, *final, *final_back)
    return outputs if len(outputs) > 1 else outputs[0]


def _fold(spec: Spec) -> Spec:
    if len(spec.shape) < 3:
        raise ValueError(f"time_distributed needs (batch, time, ...) with something in each step; got {spec}")
    return Spec((spec.shape[0], *spec.shape[2:]), spec.dtype)


def _time_distributed_rule(x: Spec, *, layer: Any) -> tuple[Any, ParamTree]:
    y, params = infer.infer(layer, _fold(x))
    y = tree.map(lambda s: Spec((s.shape[0], x.shape[1], *s.shape[1:]), s.dtype), y)
    return y, {"layer": params} if params else {}


def _gives(*, layer: Any) -> str | None:
    """The dtype of the inner layer decides where that has a dtype policy."""
    return "inner" if has_policy(layer) else None


def _time_distributed_room(x: Spec, *, layer: Any) -> tuple[int, int]:
    batch, time, *rest = x.shape
    return room.of_step(layer, Spec(((batch or 1) * (time or 1), *rest), x.dtype))


@layer(
    shape=_time_distributed_rule,
    room=_time_distributed_room,
    mask="own",
    children=lambda *, layer: {"layer": layer},
    rounding=Rounding(gives=_gives),
)
def time_distributed(params: Params, x: Any, *, layer: Callable[..., Any], masks: Masks = "keras3") -> Any:
    """A layer or model on every time step: (batch, time, ...) -> (batch, time, ...).

    layer: any step; it runs once on (batch * time, ...), which gives the same values where it does not mix rows. A step
    that may mix rows runs on one time step after the other, as do recurrent layers with `stateful` at any depth in it,
    which keep their states, as in Keras. With masks="keras2" only the latter do: Keras 2 always runs the layer once.
    params: {"layer": ...}. Mask: passed on unchanged; a layer that uses masks, or a model, gets its slice of each time
    step: (batch,), or (batch, words) after an embedding of (batch, time, words). With masks="keras2" the output carries
    the output mask of the layer, as (batch, time, words), or else the input mask as (batch, time), True for each time
    with a word; so a layer over sentences masks the empty ones.
    Errors: InvalidInput for an input without time steps. Source: keras.layers.TimeDistributed.
    """
    values, mask = parted(x)
    batch, time = values.shape[:2]
    if time == 0:
        raise InvalidInput(f"time_distributed needs at least one time step; got shape {tuple(values.shape)}")
    gets_mask = mask is not None and (_takes_mask(layer) or (masks == "keras2" and mask.ndim > 2))
    inner_mask = mask if gets_mask else None
    if infer.keeps_states(layer) or (masks == "keras3" and mixes_rows(layer)):
        y, _ = _in_turn(params.get("layer", EMPTY), values, inner_mask, layer, EMPTY)
        return masked(y, mask)
    inner = values.reshape(batch * time, *values.shape[2:])
    if inner_mask is not None:
        inner = masked(inner, mask.reshape(batch * time, *mask.shape[2:]))
    y = flow(layer, params.get("layer", EMPTY), inner)
    own_mask = mask_of(y)
    y = tree.map(lambda a: a.reshape(batch, time, *a.shape[1:]), strip(y))
    if masks == "keras2" and own_mask is not None:
        return masked(y, own_mask.reshape(batch, time, *own_mask.shape[1:]))
    return masked(y, _by_time(mask) if masks == "keras2" else mask)


def _by_time(mask: Array | None) -> Array | None:
    """A mask (batch, time, ...) as (batch, time): True where any of it is True."""
    return mask if mask is None or mask.ndim == 2 else xp.any(mask, axis=tuple(range(2, mask.ndim)))


def mixes_rows(step: Any) -> bool:
    """Whether a layer or operation in a step may mix the rows of a batch."""
    return not all(map(_rows_stay, infer.layers_in(step)))


def by_row(step: Any) -> int | None:
    """`Rules.by_row` of a layer; None for anything else."""
    declared: Rules | None = getattr(getattr(step, "function", step), "rules", None)
    return None if declared is None else declared.by_row


def _rows_stay(layer: Bound) -> bool:
    """Whether a layer is known to keep rows independent."""
    options = layer.all_options
    if options.get("training") or options.get("time_major") or not all(map(_not_rows, _axes(layer))):
        return False
    least = by_row(layer)
    return "axis" in options or own_name(layer.function) != "" if least is None else least > 0


def _not_rows(axis: Any) -> bool:
    """Whether an axis cannot be axis 0 of arrays of two axes or more: -2 is axis 0 of a matrix, None often all axes."""
    return isinstance(axis, int) and (axis == -1 or axis > 0)


def _axes(layer: Bound) -> list[Any]:
    """The axes that the options of a layer name."""
    named = [axis for name, axis in layer.all_options.items() if name in ("axis", "axes")]
    return [axis for axes in named for axis in (axes if isinstance(axes, list | tuple) else [axes])]


def works_along(step: Any, axis: int) -> bool:
    """Whether an option of a layer or operation names this axis."""
    return not isinstance(step, Model) and axis in _axes(bind(step))


def carried(step: Any, params: Params, x: Any, state: State) -> tuple[Any, State]:
    """(output, states) of a step whose stateful layers begin with `state`, empty before the first call."""
    y, after = ops.exactly(advance, step, params, x, state, _ways)
    return strip(y), after


def _in_turn(params: Params, values: Array, mask: Array | None, layer: Any, state: State) -> tuple[Any, Any]:
    """(batch, time, steps, ...) -> ((batch, time, ...), states): each time starts with the states of the one before."""
    ys = []
    for i in range(values.shape[1]):
        inner = masked(values[:, i], None if mask is None else mask[:, i])
        y, state = advance(layer, params, inner, state, _ways)
        ys.append(strip(y))
    return tree.map(lambda *steps: xp.stack(steps, axis=1), *ys), state


def _ways(step: Any) -> Advance | None:
    """The `Advance` of a layer that keeps states."""
    if not infer.keeps_states(step):
        return None
    return _advance_times if "layer" in dict(infer.children(step)) else advance_recurrent


def _advance_times(step: Any, params: Params, x: Any, state: State) -> tuple[Any, Any]:
    inside = bind(step).all_options["layer"]
    y, state = _in_turn(params.get("layer", EMPTY), values_of(x), None, inside, state)
    return masked(y, mask_of(x)), state


def advance_recurrent(
    step: Any, params: Params, x: Any, state: State, repeats: bool = False
) -> tuple[Any, dict[str, Any]]:
    """A recurrent or bidirectional layer that starts from `state`; the states of both directions are one list.

    repeats: whether masked steps at the beginning repeat the last output of the call before, too.
    """
    inputs = unpack(x)
    if inputs.states is not None:
        return flow(step, params, x), {}
    options = bind(step).all_options
    parts = {key: options[key] for key in ("layer", "backward_layer") if options.get(key) is not None}
    giving: dict[str, Any] = {key: bind(part, return_state=True) for key, part in parts.items()}
    piece = {"sequences": inputs.values, "initial_state": state.get("states"), "mask": inputs.mask}
    piece["previous_output"] = state.get("output")
    y = strip(flow(bind(step, **(giving or {"return_state": True})), params, piece))
    count = 2 if "layer" in parts and options["merge_mode"] is None else 1
    ys, states = y[:count], list(y[count:])
    options = bind(parts["layer"]).all_options if parts else options
    after = {"states": states, **({"output": ys[0]} if repeats else {})}
    if options["return_sequences"]:
        if repeats:
            after["output"] = ys[0][-1] if options.get("time_major") else ys[0][:, -1]
        ys = tuple(masked(item, inputs.output_mask) for item in ys)
    ys = (*ys, *states) if options["return_state"] else ys
    return ys if len(ys) > 1 else ys[0], after


def _takes_mask(step: Any) -> bool:
    """Whether a step uses its input mask."""
    return isinstance(step, Model) or rules_of(step).mask == "own"
