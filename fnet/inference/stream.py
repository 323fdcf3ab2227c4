"""`streaming`: recurrent models on sequences in pieces, with states passed from call to call as values.

What Keras keeps inside `stateful=True` layers is an argument and a result here: `(params, x, state) -> (y, state)`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from fnet import tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.diagnosis import require_order
from fnet.core.layer import Bound, bind
from fnet.core.model import EMPTY, Model
from fnet.core.options import option_names
from fnet.core.rules import rules_of
from fnet.core.sources import describe
from fnet.errors import InvalidInput
from fnet.layers.recurrence import sequence_spec, unpack, zeros
from fnet.layers.recurrence_stack import recurrent_stack
from fnet.layers.state_passing import Advance, State, advance
from fnet.layers.wrappers import advance_recurrent, bidirectional
from fnet.masks import strip
from fnet.records import dataclass
from fnet.types import Params, Spec


@dataclass(frozen=True)
class Streaming:
    """`(params, x, state) -> (y, state)` for the next piece of the sequences; made by `streaming`."""

    model: Any

    def __call__(self, params: Params, x: Any, state: State | None = None) -> tuple[Any, dict[str, Any]]:
        state = EMPTY if state is None else state
        if not _is_state(state):
            raise InvalidInput(f"no state of this model; give the one that the call before returned: {describe(state)}")
        y, after = ops.exactly(advance, self.model, params, x, state, _ways)
        if state and _paths(state) != _paths(after):
            raise InvalidInput(f"a state of another model: {describe(state)}; this one has {describe(after)}")
        return strip(y), after


def streaming(model: Any) -> Streaming:
    """The model as a step over pieces of sequences: `y, state = streaming(model)(params, piece, state)`.

    model: any step, also a nested Sequential or Graph. Each recurrent layer continues from the previous piece, with
    masks too, so that the pieces give the values of the whole sequence. state: the one that the previous call returned;
    None for the first piece, or `initial_state(...)` where its structure must not change (`jax.lax.scan`).
    All other layers see only the piece, as in Keras between two calls of a stateful model. That makes no difference to
    layers on single time steps, such as dense; one that mixes time steps (a convolution or pooling over time) gives its
    result for the piece. A recurrent layer with an initial state in the graph starts each piece from that. Layers with
    go_backwards take the last piece first.

    Raises ValueError for models that read in both directions, such as bidirectional ones: the backward half needs the
    end of the sequence first; and for models of `fnet.optimize`, which computes recurrent layers as one. A call raises
    InvalidInput for what is not a state of the model.

    >>> model, x = sequential(lstm=bind(lstm, units=2)), np.ones((1, 8, 3))
    >>> params, step = init(model, 0, x.shape), streaming(model)
    >>> y, state = step(params, x[:, :5])
    >>> y, state = step(params, x[:, 5:], state)
    """
    require_order("streaming(model)", model)
    backwards = set(_directions(model))
    if len(backwards) > 1:
        raise ValueError(
            "this model reads its sequences in both directions, so it cannot be fed in pieces: the backward layers "
            "begin at the end of the whole sequence. Stream its forward part, or give whole sequences"
        )
    return Streaming(model)


def initial_state(model: Any, *input_shapes: Any, batch_size: int | None = None) -> dict[str, Any]:
    """The state before the first piece, all zeros: {step name: ...} with an entry for each recurrent layer.

    input_shapes: as for `fnet.init`, not needed when the model begins with `input_layer`. batch_size: the number of
    sequences, unless it is in the shapes.
    """
    takes = tree.map(lambda s: _sized(s, batch_size), infer.inputs_of(model, input_shapes))
    state: dict[str, Any] = _zeros(model, takes)[0]
    return state


def takes_states(step: Any) -> bool:
    """Whether a layer takes an initial state and can return its last one."""
    function = step.function if isinstance(step, Bound) else step
    return {"return_state", "go_backwards"} <= set(option_names(function))


def _directions(step: Any) -> list[bool]:
    """`go_backwards` of every recurrent layer in a step. Raises ValueError for layers that are computed as one."""
    if (step.function if isinstance(step, Bound) else step) is recurrent_stack:
        raise ValueError("an optimized model keeps no states between pieces; stream the model given to `optimize`")
    if (step.function if isinstance(step, Bound) else step) is bidirectional:
        return [False, True]
    if takes_states(step):
        return [bind(step).all_options["go_backwards"]]
    if isinstance(step, Model):
        return [direction for _, child in infer.children(step) for direction in _directions(child)]
    rules_of(step)
    return []


def _is_state(state: Any) -> bool:
    """Whether this has the form of a state: {"states": ..., "output": ...} of a layer, under the names of the steps."""
    if not isinstance(state, Mapping):
        return False
    return state.keys() == {"states", "output"} or all(map(_is_state, state.values()))


def _paths(state: State) -> set[tree.Path]:
    return {path for path, _ in tree.items(state)}


def _ways(step: Any) -> Advance | None:
    return functools.partial(advance_recurrent, repeats=True) if takes_states(step) else None


# --- the state before the first piece -------------------------------------------------------------


def _sized(spec: Spec, batch_size: int | None) -> Spec:
    size = spec.shape[0] if batch_size is None else batch_size
    if size is None:
        raise ValueError(f"how many sequences? give batch_size=, or an input shape that says it; got {spec}")
    if not isinstance(size, Integral) or size < 0:
        raise InvalidInput(f"batch_size is a number of sequences; got {size!r:.40}")
    return Spec((size, *spec.shape[1:]), spec.dtype)


def _zeros(step: Any, x: Any) -> tuple[Any, Any]:
    """(state, output Specs) of a step for inputs of the Spec tree `x`."""
    if isinstance(step, Model):
        states: dict[str, Any] = {}

        def visit(name: str, key: str, step: Any, x: Any) -> Any:
            states[name], y = _zeros(step, x)
            return y

        outputs = step.walk(x, visit, infer.resolve_specs)
        return {name: state for name, state in states.items() if state}, outputs
    outputs, _ = infer.infer(step, x)
    if not takes_states(step) or unpack(x).states is not None:
        return {}, outputs
    options = bind(step).all_options
    y, *states = infer.infer(bind(step, return_state=True), sequence_spec(x))[0]
    if options["return_sequences"]:
        y = Spec((y.shape[1 if options.get("time_major") else 0], *y.shape[2:]), y.dtype)
    return {"states": tree.map(zeros, states), "output": zeros(y)}, outputs
