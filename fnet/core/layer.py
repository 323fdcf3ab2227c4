"""What a layer is: its rules, `layer` that declares them, `bind` that fixes options, dtype policies.

A layer is a function `(params, x, *, options) -> y` decorated with `layer`, which records its mask rule and
its shape rule and lets masks ride along (`fnet.masks`). `bind` makes a frozen record with the same call, equal
and hashable by value. `fnet.core.compose` puts them together.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, cast

from fnet import dtypes, tree
from fnet.backend import ops
from fnet.errors import InvalidInput, InvalidParams
from fnet.masks import Masked, first_mask, masked, strip
from fnet.tree import FrozenDict, freeze
from fnet.types import Params, Spec

P = ParamSpec("P")

CARRIERS = (Masked, tuple, list, dict)
"""Types of what may carry masks."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a layer declares next to its function `(params, x, *, options) -> y`: `@layer(shape=..., mask=...)`.

    For a layer that takes its weights from a Keras file the shape rule lists the params in the order in which the Keras
    layer creates them, under its own names where it gives names (see docs/weights-only.md).

    shape: (x: Spec or tree of Spec, *, options it needs) -> (output Spec tree, {param name: Param}).
    mask: "keep" hands the mask on, "drop" loses it; "own": the function gets `Masked` values and returns them.
    children: options -> {params key: step}, for wrappers around other layers.
    rng: options -> whether an `rng` entry in the params would change the result (dropout).
    host: takes strings, so it runs in NumPy in front of the jitted part.
    door: (values, *, options) -> (bool of their shape: True for values that must not be fed from outside, such as
    token ids beyond the table; what to say of such a value); `predict` asks, layers never do.
    floats: computes in floats, so integers and booleans among its inputs become floats first, of the dtype of its
    params or float32 without any, as Keras's promotion has it. Masks given by name stay what they are.
    takes: options -> the Spec of what a model that begins with this layer takes.
    passes_on: gives the values that it got, so the door of the layer after it is its own.
    unrounded: which of "inputs" and "params" a dtype policy leaves as they are: what Keras has `autocast=False` for.
    gives: options -> the dtype of the floats that come out under any dtype policy; None for the policy's own,
    "wider" for the wider of that and the dtype of the inputs.
    """

    shape: Callable[..., tuple[Any, Mapping[str, Any]]]
    mask: str = "keep"
    children: Callable[..., dict[str, Any]] | None = None
    rng: Callable[..., bool] | None = None
    host: bool = False
    door: Callable[..., tuple[Any, Callable[[Any], str]]] | None = None
    floats: bool = False
    takes: Callable[..., Spec] | None = None
    passes_on: bool = False
    unrounded: tuple[str, ...] = ()
    gives: Callable[..., str | None] | None = None

    def __post_init__(self) -> None:
        if self.mask not in ("keep", "drop", "own"):
            raise ValueError(f"mask rule {self.mask!r}; use 'keep', 'drop' or 'own'")

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """`function` as a layer: called alone it is quiet and takes arrays of any byte order."""
        own = replace(self, shape=dtypes.of_floats(self.shape)) if self.floats else self

        @functools.wraps(function)
        def call(params: Params, x: Any, /, **options: Any) -> Any:
            return ops.exactly(apply, function, own, hashable(options), ops.native(params), ops.native(x))

        vars(call)["rules"] = own
        return cast(Callable[P, Any], call)


layer = Rules


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
        return masked(y, first_mask(x) if rules.mask == "keep" else None)
    except (LookupError, AttributeError, TypeError) as error:
        if (clear := explained(function, params, error)) is error:
            raise
        raise clear from error


def hashable(options: Any) -> Any:
    """Options as layers take them: lists as tuples, so that what is computed of them can be remembered."""
    if isinstance(options, dict):
        return {key: hashable(value) for key, value in options.items()}
    return tuple(map(hashable, options)) if isinstance(options, list | tuple) else options


def body(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function of a layer without its rules; None for what is no layer, or one that somebody has wrapped."""
    own: Callable[..., Any] | None = getattr(function, "__wrapped__", None)
    rules = getattr(function, "rules", None)
    return None if rules is None or rules is getattr(own, "rules", None) else own


def explained(function: Callable[..., Any], params: Any, error: Exception) -> Exception:
    """InvalidParams or InvalidInput where params that are missing, or no dict, are the cause of an error; or itself."""
    if not isinstance(params, Mapping) and isinstance(error, LookupError | AttributeError | TypeError):
        return InvalidInput(
            f"{function.__name__} takes (params, x): a dict of arrays first; got a {type(params).__name__}"
        )
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0] not in params:
        return InvalidParams(
            f"missing {error.args[0]}: the params of {function.__name__} are {', '.join(map(str, params)) or 'empty'}; "
            "fnet.check(model, params) lists all that does not fit"
        )
    return error


def rules(step: Any) -> Rules:
    """The rules that the layer function (or bound layer) `step` declares."""
    function = step.function if isinstance(step, Bound) else step
    found = getattr(function, "rules", None)
    if not isinstance(found, Rules):
        raise TypeError(f"{function!r} is not a layer: decorate it with @fnet.layer(shape=...)")
    return found


@functools.cache
def option_names(function: Callable[..., Any]) -> dict[str, Any]:
    """{option: default} of a layer function; `inspect.Parameter.empty` marks a required one."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


@dataclass(frozen=True, repr=False)
class Bound:
    """A layer with its options fixed: `(params, x) -> y` as a value. Made by `bind`."""

    function: Callable[..., Any]
    options: FrozenDict = field(default_factory=FrozenDict)
    dtype: str | None = None

    @functools.cached_property
    def _thawed(self) -> dict[str, Any]:
        return {key: hashable(tree.thaw(value)) for key, value in self.options.items()}

    @functools.cached_property
    def inside(self) -> Callable[[Params, Any], Any]:
        """What a model runs of this layer: `apply`, under the dtype policy."""
        own = body(self.function)
        run = functools.partial(self.function, **self._thawed)
        if own is not None:
            run = functools.partial(apply, own, rules(self), self._thawed)
        return run if self.dtype is None else functools.partial(self._under_policy, run, self.dtype)

    @functools.cached_property
    def straight(self) -> Callable[[Params, Any], Any]:
        """What a model runs for one array of floats of `dtypes.WIDE`, for which no rule has anything to do."""
        own = body(self.function)
        return self.inside if own is None or self.dtype is not None else functools.partial(own, **self._thawed)

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.exactly(self.inside, ops.native(params), ops.native(x))

    def _under_policy(self, run: Callable[[Params, Any], Any], policy: str, params: Params, x: Any) -> Any:
        """The layer on numbers rounded as its dtype policy says."""
        kept, gives = rules(self).unrounded, self.gives or policy
        if gives == "wider":
            gives = dtypes.wider(x, policy)
        params = dtypes.widened(params) if "params" in kept else dtypes.to_compute(params, policy)
        x = dtypes.widened(x) if "inputs" in kept else dtypes.to_compute(x, policy)
        return dtypes.from_compute(run(params, x), gives)

    @functools.cached_property
    def gives(self) -> str | None:
        """The dtype of the floats that come out under any dtype policy, "wider", or None (see `Rules.gives`)."""
        rule = rules(self).gives
        options = {**option_names(self.function), **self._thawed}
        return None if rule is None else rule(**{key: options[key] for key in option_names(rule)})

    def __repr__(self) -> str:
        options = {**self.options, **({} if self.dtype is None else {"dtype": self.dtype})}
        parts = [name_of(self.function), *(f"{key}={name_of(value)}" for key, value in options.items())]
        return written("bind", parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return Bound, (self.function, self.options, self.dtype)


def bind(function: Callable[..., Any], /, **options: Any) -> Bound:
    """Fix options of a layer: `bind(dense, activation="relu")` is again `(params, x) -> y`.

    Equal and hashable by value, picklable; its repr is the call that makes it. `dtype=` is understood for
    every layer: a Keras dtype policy ("float16", "mixed_bfloat16", "float64", ...) to compute under.

    Raises TypeError for an option that the layer does not have, naming the legal ones.
    """
    if isinstance(function, Bound):
        if not options:
            return function
        merged = {**function.options, **({"dtype": function.dtype} if function.dtype else {}), **options}
        return bind(function.function, **merged)
    legal = option_names(function)
    wrong = [key for key in options if key not in legal and key != "dtype"]
    if wrong:
        raise TypeError(
            f"{name_of(function)} has no option {', '.join(map(repr, wrong))}; it takes {', '.join([*legal, 'dtype'])}"
        )
    dtype = None if "dtype" in legal else options.pop("dtype", None)
    return Bound(function, freeze(options), dtype)


WIDTH = 100
"""A repr that is longer is broken into lines."""


def written(name: str, parts: Sequence[str], ends: Sequence[str] = "()") -> str:
    """`name(part, part)`, a part in a line where that is long; Python reads both alike."""
    line = f"{name}{ends[0]}{', '.join(parts)}{ends[1]}"
    if (len(line) <= WIDTH and "\n" not in line) or not parts:
        return line
    body = "".join(f"{part},\n" for part in parts)
    return f"{name}{ends[0]}\n{textwrap.indent(body, '    ')}{ends[1]}"


def brief(value: Any, most: int = 100) -> str:
    """The beginning of the repr of `value`, in one line, for messages."""
    line = " ".join(repr(value).split())
    return re.sub(r"(?<=[(\[{]) |,? (?=[)\]}])", "", line)[:most]


def name_of(value: Any) -> str:
    """How `value` is written in the repr of a record."""
    if inspect.isfunction(value):
        home = value.__module__.rpartition(".")[2]
        return f"{home}.{value.__name__}" if home in ("operations", "tf_functions") else value.__name__
    return repr(value)
