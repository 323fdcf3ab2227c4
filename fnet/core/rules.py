"""What a layer declares of itself, and how a layer function runs by that.

`@layer(shape=..., mask=...)` on a function `(params, x, *, options) -> y` records its `Rules` and lets masks ride
along (`fnet.masks`). All that is known of a model without running it derives from them (`fnet.core.infer`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ParamSpec, cast

from fnet import dtypes, tree
from fnet.backend import ops
from fnet.errors import InvalidInput, InvalidParams
from fnet.masks import Masked, first_mask, masked, strip
from fnet.records import dataclass
from fnet.shapes import fits
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
    the wider of that and the dtype of the inputs, "inner" for what the layers inside give.
    """

    keeps: tuple[str, ...] = ()
    gives: Callable[..., str | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """How files call an operation, a layer without parameters.

    arguments: the names of its inputs in order, "*" before the last where there may be any number.
    numbers: arguments whose numbers in files stay numbers, because the shape rule reads them.
    reads_values: the shape rule reads the numbers that its inputs are known to hold (`Spec.value`).
    rows: whether no row of a batch reaches another.
    """

    arguments: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    reads_values: bool = False
    rows: bool = False


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a layer declares next to its function `(params, x, *, options) -> y`: `@layer(shape=..., mask=...)`.

    For a layer that takes its weights from a Keras file the shape rule lists the params in the order in which the Keras
    layer creates them, under its own names where it gives names (see docs/weights-only.md).

    shape: (x: Spec or tree of Spec, *, options it needs) -> (output Spec tree, {param name: Param}).
    mask: "keep" hands the mask on, but for layers bound with masks="keras2", "drop" loses it; "own": the function
    gets `Masked` values and returns them.
    floats: computes in floats, so integers and booleans among its inputs become floats first, of the dtype of its
    params or float32 without any, as Keras's promotion has it. Masks given by name stay what they are.
    children: options -> {params key: step}, for wrappers around other layers.
    rng: options -> whether an `rng` entry in the params would change the result (dropout).
    entrance, rounding, call: what few layers declare; see there.
    """

    shape: Callable[..., tuple[Any, Mapping[str, Any]]]
    mask: str = "keep"
    floats: bool = False
    children: Callable[..., dict[str, Any]] | None = None
    rng: Callable[..., bool] | None = None
    entrance: Entrance = Entrance()
    rounding: Rounding = Rounding()
    call: Call | None = None

    def __post_init__(self) -> None:
        if self.mask not in ("keep", "drop", "own"):
            raise ValueError(f"mask rule {self.mask!r}; use 'keep', 'drop' or 'own'")

    def keeps_mask(self, options: Mapping[str, Any]) -> bool:
        """Whether the mask is handed on by a layer with these options."""
        return self.mask == "keep" and options.get("masks") != "keras2"

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """`function` as a layer: called alone it is quiet and takes arrays of any byte order."""
        own = replace(self, shape=dtypes.of_floats(self.shape)) if self.floats else self

        @functools.wraps(function)
        def call(params: Params, x: Any, /, **options: Any) -> Any:
            return ops.exactly(apply, function, own, tree.as_options(options), ops.native(params), ops.native(x))

        vars(call)["rules"] = own
        return cast(Callable[P, Any], call)


layer = Rules
"""The decorator: `@layer(shape=...)` makes rules, which then take the function (`Rules.__call__`)."""


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
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        if (clear := explained(function, rules, options, params, x, error)) is error:
            raise
        raise clear from error


def body(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function of a layer without its rules; None for what is no layer, or one that somebody has wrapped."""
    own: Callable[..., Any] | None = getattr(function, "__wrapped__", None)
    rules = getattr(function, "rules", None)
    return None if rules is None or rules is getattr(own, "rules", None) else own


def explained(
    function: Callable[..., Any], rules: Rules | None, options: Mapping[str, Any], params: Any, x: Any, error: Exception
) -> Exception:
    """InvalidInput or InvalidParams where what a layer was given is the cause of an error; or the error itself."""
    if not isinstance(params, Mapping) and isinstance(error, LookupError | AttributeError | TypeError):
        return InvalidInput(
            f"{function.__name__} takes (params, x): a dict of arrays first; got a {type(params).__name__}"
        )
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0] not in params:
        return InvalidParams(
            f"missing {error.args[0]}: the params of {function.__name__} are {', '.join(map(str, params)) or 'empty'}; "
            "fnet.check(model, params) lists all that does not fit"
        )
    if rules is None or isinstance(error, InvalidInput) or not isinstance(error, TypeError | ValueError | IndexError):
        return error
    asked = {key: ({**option_names(function), **options})[key] for key in option_names(rules.shape)}
    wrong = misfit_of_input(function.__name__, functools.partial(rules.shape, **asked), params, strip(x))
    if wrong is None and isinstance(error, IndexError):
        wrong = f"{function.__name__} picks what is not there: {error}"
    return error if wrong is None else InvalidInput(wrong)


def misfit_of_input(name: str, rule: Callable[..., Any], params: Params, x: Any) -> str | None:
    """What to say where the shape rule of a layer wants other params for an input like `x`; None where it does not."""
    if not all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in tree.leaves(x)):
        return None
    have = {path: tuple(leaf.shape) for path, leaf in tree.items(params)}

    def misfit(spec: Any) -> str | None:
        """The first param that an input like `spec` wants in another shape."""
        params_needed = ((path, param.shape) for path, param in tree.items(rule(spec)[1]) if path in have)
        wrong = (
            f"a {'/'.join(map(str, path))} of {want}, and it has {have[path]}"
            for path, want in params_needed
            if not fits(have[path], want)
        )
        return next(wrong, None)

    spec = tree.map(lambda leaf: Spec(tuple(leaf.shape), str(leaf.dtype)), x)
    try:
        wrong = misfit(spec)
        if wrong is None:
            return None
        others = _others(spec, {size for shape in have.values() for size in shape})
        takes = next((other for other in others if not misfit(other)), None)
    except InvalidInput as error:  # the rule says itself what does not fit
        return str(error)
    except (TypeError, ValueError, LookupError, AttributeError):  # the rule knows no such input
        return None
    known = "" if takes is None else f" takes {(None, *tree.leaves(takes)[0].shape[1:])} with these params;"
    given = ", ".join(str(leaf.shape) for leaf in tree.leaves(spec))
    return f"{name}{known} got {given}, for which it would need {wrong}"


def _others(spec: Any, sizes: set[int]) -> Iterator[Any]:
    """A single Spec, in its container, with another size along one axis, the last first; none for several inputs."""
    shape, *more = (leaf.shape for leaf in tree.leaves(spec))
    for axis in reversed(range(1, 0 if more else len(shape))):
        for size in sorted(sizes):
            other = (*shape[:axis], size, *shape[axis + 1 :])
            yield tree.map(lambda leaf, other=other: replace(leaf, shape=other), spec)


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


@functools.cache
def option_names(function: Callable[..., Any]) -> dict[str, Any]:
    """{option: default} of a layer function; `inspect.Parameter.empty` marks a required one."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
