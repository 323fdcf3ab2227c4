"""What a layer declares of itself, and how a layer function runs by that.

`@layer(shape=..., mask=...)` on a function `(params, x, *, options) -> y` records its `Rules` and lets masks ride
along (`fnet.masks`). All that is known of a model without running it derives from them (`fnet.core.infer`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ParamSpec, cast

from fnet import dtypes, tree
from fnet.backend import ops
from fnet.core.explaining import FAILURES, explained
from fnet.masks import Masked, first_mask, masked, strip
from fnet.records import dataclass
from fnet.types import Params, Spec

P = ParamSpec("P")

CARRIERS = (Masked, tuple, list, dict)
"""Types of what may carry masks."""


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """What a layer says of values that are fed to a model from outside.

    takes: options -> the Spec of what a model that begins with this layer takes.
    faults: (values, *, options) -> (bool of their shape: True for values that must not be fed, such as token ids
    beyond the table; what to say of such a value); `predict` asks, layers never do.
    passes_on: the layer gives the values that it got, so what the layer after it says counts.
    host: the layer takes strings, so it runs in NumPy in front of the jitted part.
    """

    takes: Callable[..., Spec] | None = None
    faults: Callable[..., tuple[Any, Callable[[Any], str]]] | None = None
    passes_on: bool = False
    host: bool = False


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """What a layer does under a dtype policy that others do not.

    keeps: which of "inputs" and "params" the policy leaves as they are: what Keras has `autocast=False` for.
    gives: options -> the dtype of the floats that come out under any policy; None for the policy's own, "wider" for
    the wider of that and the dtype of the inputs, "inner" for what the layers inside give, "of floats" for the policy's
    own where floats come in, and what the layer makes of integers as it is, "32 of integers" at least float32 of them.
    """

    keeps: tuple[str, ...] = ()
    gives: Callable[..., str | None] | None = None


ANY, AS_POLICY, OF_FLOATS = Entrance(), Rounding(), Rounding(gives=lambda: "of floats")


@dataclass(frozen=True, kw_only=True)
class Call:
    """How files call an operation, a layer without parameters.

    arguments: the names of its inputs in order, "*" before the last where there may be any number.
    numbers: arguments whose numbers in files stay numbers, because the shape rule reads them.
    reads_values: the shape rule reads the numbers that its inputs are known to hold (`Spec.value`).
    """

    arguments: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    reads_values: bool = False


@dataclass(frozen=True)
class Rules:
    """What a layer declares next to its function `(params, x, *, options) -> y`, by `@layer(shape=..., mask=...)`.

    For a layer that takes its weights from a Keras file the shape rule lists the params in the order in which the Keras
    layer creates them, under its own names where it gives names (see docs/howto-files.md).

    shape: (x: Spec or tree of Spec, *, options it needs) -> (output Spec tree, {param name: Param}).
    mask: "keep" hands the mask on, but for layers bound with masks="keras2", "drop" loses it; "own": the function
    gets `Masked` values and returns them.
    floats: computes in floats, so integers and booleans among its inputs become floats first, of the dtype of its
    params or float32 without any, as Keras's promotion has it. Masks given by name stay what they are.
    children: options -> {params key: step}, for wrappers around other layers.
    in_predict: {option: its value in Keras's `predict`, where the option is None}.
    room: (x, *, options it needs) -> (bytes that it holds, bytes that it writes) beyond what `fnet.core.room` makes of
    its inputs, outputs and params.
    rng: options -> whether an `rng` entry in the params would change the result (dropout).
    by_row: with how many axes or more the first is of rows that do not reach each other; 0: they may with any number.
    None: they do not in layers of fnet, nor in what goes along an `axis` other than theirs; of others it is not known.
    entrance, rounding, call: what few layers declare; see there.
    """

    shape: Callable[..., tuple[Any, Mapping[str, Any]]]
    mask: str
    floats: bool
    children: Callable[..., dict[str, Any]] | None
    room: Callable[..., tuple[int, int]] | None
    rng: Callable[..., bool] | None
    by_row: int | None
    entrance: Entrance
    rounding: Rounding
    call: Call | None
    in_predict: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.mask not in ("keep", "drop", "own"):
            raise ValueError(f"mask rule {self.mask!r}; use 'keep', 'drop' or 'own'")

    def keeps_mask(self, options: Mapping[str, Any]) -> bool:
        """Whether the mask is handed on by a layer with these options."""
        return self.mask == "keep" and options.get("masks") != "keras2"


def layer(
    *,
    shape: Callable[..., tuple[Any, Mapping[str, Any]]],
    mask: str = "keep",
    floats: bool = False,
    children: Callable[..., dict[str, Any]] | None = None,
    room: Callable[..., tuple[int, int]] | None = None,
    rng: Callable[..., bool] | None = None,
    by_row: int | None = None,
    entrance: Entrance = ANY,
    rounding: Rounding = AS_POLICY,
    call: Call | None = None,
    in_predict: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """A decorator that makes a function a layer with these `Rules`.

    Called on its own, the layer gives no NumPy warnings and takes arrays of any byte order. Raises TypeError for a
    shape rule that is no function, ValueError for an unknown mask rule.
    """
    if not callable(shape):
        raise TypeError(f"shape= is a function from the Spec of the input to (Spec, params); got {shape!r:.80}")
    shape = dtypes.of_floats(shape) if floats else shape
    own = Rules(shape, mask, floats, children, room, rng, by_row, entrance, rounding, call, in_predict)

    def decorate(function: Callable[P, Any]) -> Callable[P, Any]:
        @functools.wraps(function)
        def called_alone(params: Params, x: Any, /, **options: Any) -> Any:
            return ops.exactly(apply, function, own, tree.as_options(options), ops.native(params), ops.native(x))

        vars(called_alone)["rules"] = own
        return cast(Callable[P, Any], called_alone)

    return decorate


def apply(function: Callable[..., Any], rules: Rules, options: Mapping[str, Any], params: Params, x: Any) -> Any:
    """`function` by the rules of its layer: integers as floats, the mask of `x` kept or lost, errors explained.

    Warnings and foreign byte orders are the matter of whoever is called from outside: a layer that is called alone, or
    the model.
    """
    try:
        if rules.floats and getattr(x, "dtype", None) not in dtypes.WIDE:
            x = dtypes.in_floats(x, params)
        if rules.mask == "own" or not isinstance(x, CARRIERS):
            return function(params, x, **options)
        y = function(params, strip(x), **options)
        return masked(y, first_mask(x) if rules.keeps_mask(options) else None)
    except FAILURES as error:
        if (clear := explained(function, rules, options, params, x, error)) is error:
            raise
        raise clear from error


def undecorated(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function of a layer without its rules; None for what is no layer, or one that somebody has wrapped."""
    own: Callable[..., Any] | None = getattr(function, "__wrapped__", None)
    rules = getattr(function, "rules", None)
    return None if rules is None or rules is getattr(own, "rules", None) else own


def rules(step: Any) -> Rules:
    """The rules that a layer function (or bound layer) declares. Raises TypeError for what is no layer."""
    function = getattr(step, "function", step)
    own = getattr(function, "rules", None)
    if not isinstance(own, Rules):
        raise TypeError(f"{function!r} is not a layer: decorate it with @fnet.layer(shape=...)")
    return own


def call_of(operation: Any) -> Call:
    """How files call an operation. Raises TypeError for a layer that is none."""
    call = rules(operation).call
    if call is None:
        raise TypeError(f"{operation!r} is no operation")
    return call
