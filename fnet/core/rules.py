"""The rules that a layer declares, and how a layer function runs by them.

`@layer(shape=..., mask=...)` on a function `(params, x, *, options) -> y` records its `Rules` and passes masks along
(`fnet.masks`). All that is known of a model without running it derives from them (`fnet.core.infer`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ParamSpec, cast

from fnet import dtypes, tree
from fnet.backend import ops
from fnet.core.diagnosis import FAILURES, diagnosed
from fnet.masks import Masked, handed_on, strip
from fnet.records import dataclass
from fnet.types import Params, Spec

P = ParamSpec("P")

CARRIERS = (Masked, tuple, list, dict)
"""The types that may carry masks."""


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """What a layer declares about the inputs of a model that begins with it.

    takes: options -> the Spec of the input.
    faults: (values, *, options) -> (bool of their shape: True for values that must not be fed, such as token ids
    beyond the table; value -> a description for the message); `predict` checks this, layers never do.
    host: the layer takes strings, so it runs in NumPy in front of the jitted part.
    """

    takes: Callable[..., Spec] | None = None
    faults: Callable[..., tuple[Any, Callable[[Any], str]]] | None = None
    host: bool = False


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How a layer under a dtype policy differs from others.

    keeps: which of "inputs" and "params" the policy leaves as they are (Keras's `autocast=False`).
    gives: options -> the dtype of the output floats under any policy. None: that of the policy. "wider": the wider of
    that and the dtype of the inputs. "inner": what the inner layers return. "of floats": that of the policy for float
    inputs, unchanged for integer ones. "32 of integers": at least float32 for integer inputs.
    """

    keeps: tuple[str, ...] = ()
    gives: Callable[..., str | None] | None = None


HANDED_ON = ("same", "first", "place")
"""The rules by which other masks are kept (`fnet.masks.handed_on`)."""

ANY, AS_POLICY, OF_FLOATS = Entrance(), Rounding(), Rounding(gives=lambda: "of floats")


@dataclass(frozen=True, kw_only=True)
class Call:
    """How files call an operation, a layer without parameters.

    arguments: the names of its inputs in order, "*" before the last where there may be any number.
    numbers: arguments whose literal numbers in files stay numbers, because the shape rule reads them.
    reads_values: the shape rule reads the known values of its inputs (`Spec.value`).
    """

    arguments: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    reads_values: bool = False


@dataclass(frozen=True)
class Rules:
    """What a layer declares next to its function `(params, x, *, options) -> y`, by `@layer(shape=..., mask=...)`.

    A rule is a function that takes the options of the layer that it needs as keywords. For a layer that reads its
    weights from a Keras file, the shape rule lists the params in the order in which the Keras layer creates them, under
    Keras's names (see docs/howto-files.md).

    shape: (x: Spec or tree of Spec, *, options) -> (output Spec tree, {param name: Param}).
    mask: "keep" passes the mask on, except in layers bound with masks="keras2", "drop" loses it; "same" loses it but
    where an output is the input itself, as layers of Keras without `supports_masking` do; "own": the function gets
    `Masked` values and returns them. None acts as "keep" unless bound with masks="drop", as `load_keras` does for a
    Lambda; it warns where a mask comes to another function of the caller that says nothing.
    floats: the layer computes in floats: integer and boolean inputs become floats first, of the dtype of its params
    or float32 without any, as in Keras's promotion. Masks passed by name stay as they are.
    children: options -> {params key: step}, for wrappers around other layers.
    in_predict: {option: its value in Keras's `predict`, where the option is None}.
    room: (x, *, options) -> (bytes held, bytes written) beyond what `fnet.core.room` derives from the shapes.
    rng: options -> whether an `rng` entry in the params would change the result (dropout).
    by_row: the least number of axes of an output at which rows are independent of each other; 0: they never are. None:
    they are in layers of fnet, and in operations along an `axis` other than the first; elsewhere it is unknown.
    entrance, rounding, call: declared by few layers; see there.
    """

    shape: Callable[..., tuple[Any, Mapping[str, Any]]]
    mask: str | None
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
        if self.mask not in (None, "keep", "drop", "own", *HANDED_ON):
            raise ValueError(f"mask rule {self.mask!r}; use 'keep', 'drop', 'same' or 'own'")

    def keeps_mask(self, options: Mapping[str, Any]) -> bool:
        """Whether a layer with these options passes the mask on."""
        return self.mask in (None, "keep", *HANDED_ON) and options.get("masks") != "keras2"


def layer(
    *,
    shape: Callable[..., tuple[Any, Mapping[str, Any]]],
    mask: str | None = None,
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

    Called on its own, the layer raises no NumPy warnings and takes arrays of any byte order. Raises TypeError for a
    shape rule that is not a function, ValueError for an unknown mask rule.
    """
    if not callable(shape):
        raise TypeError(f"shape= is a function from the Spec of the input to (Spec, params); got {shape!r:.80}")
    shape = dtypes.of_floats(shape) if floats else shape
    declared = Rules(shape, mask, floats, children, room, rng, by_row, entrance, rounding, call, in_predict)

    def decorate(function: Callable[P, Any]) -> Callable[P, Any]:
        @functools.wraps(function)
        def called_alone(params: Params, x: Any, /, **options: Any) -> Any:
            return ops.exactly(apply, function, declared, tree.as_options(options), params, x)

        vars(called_alone)["rules"] = declared
        return cast(Callable[P, Any], called_alone)

    return decorate


def apply(function: Callable[..., Any], rules: Rules, options: Mapping[str, Any], params: Params, x: Any) -> Any:
    """Run `function` by the rules of its layer: integers become floats, the mask is kept or dropped, errors are clear.

    The caller (a layer called on its own, or the model) has dealt with warnings and byte orders.
    """
    try:
        x = dtypes.in_floats(x, params) if rules.floats else x
        if rules.mask == "own" or not isinstance(x, CARRIERS):
            return function(params, x, **options)
        y = function(params, strip(x), **options)
        return handed_on(x, y, rules.mask) if rules.keeps_mask(options) else y
    except (*FAILURES, NotImplementedError) as error:
        if (clear := diagnosed(function, rules, options, params, x, error)) is error:
            raise
        raise clear from error


def undecorated(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function of a layer without its rules; None for what is not a layer, or is one in another decorator."""
    own: Callable[..., Any] | None = getattr(function, "__wrapped__", None)
    rules = getattr(function, "rules", None)
    return None if rules is None or rules is getattr(own, "rules", None) else own


def rules_of(step: Any) -> Rules:
    """The rules that a layer function (or bound layer) declares. Raises TypeError for what is not a layer."""
    function = getattr(step, "function", step)
    own = getattr(function, "rules", None)
    if not isinstance(own, Rules):
        raise TypeError(f"{function!r} is not a layer: decorate it with @fnet.layer(shape=...)")
    return own


def own_layers(custom: Mapping[str, Any] | None) -> Mapping[str, Callable[..., Any]]:
    """The layers that a caller gives for names in a file; raises TypeError for what is not {name: layer}."""
    if not isinstance(custom, Mapping | None):
        raise TypeError(f'custom is {{name: layer}}, such as {{"lambda_1": my_layer}}; got {custom!r:.80}')
    for name, step in (custom or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"custom[{name!r}]: the keys are names of layers or classes in the file")
        if not callable(step):
            raise TypeError(f"custom[{name!r}] is {step!r}; give a function declared with @fnet.layer(shape=...)")
        rules_of(step)
    return custom or {}


def call_of(operation: Any) -> Call:
    """How files call an operation. Raises TypeError for a layer that is not one."""
    call = rules_of(operation).call
    if call is None:
        raise TypeError(f"{operation!r} is not an operation")
    return call
