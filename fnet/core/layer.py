"""A layer with its options fixed, as a value: `bind`; what its shape rule says; its dtype policy; its repr.

`fnet.core.compose` puts layers together.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from typing import Any, TypeVar

from fnet import dtypes, tree
from fnet.backend import ops
from fnet.core.diagnosis import FAILURES, in_words_of_python, taken
from fnet.core.options import misfit, option_names
from fnet.core.rules import HANDED_ON, Rules, apply, rules_of, undecorated
from fnet.core.sources import describe
from fnet.errors import InvalidInput, OutOfMemory
from fnet.masks import strip
from fnet.records import dataclass
from fnet.tree import FrozenDict, freeze
from fnet.types import Params, ParamTree, Spec

T = TypeVar("T")

MOST_AXES, MOST_SIZE = 64, (1 << 63) - 1
"""The most axes of a NumPy array, and the largest size of one: a dozen operations can multiply sizes to numbers whose
arithmetic never ends."""

WHATEVER_THE_LAYER = ("drop", *HANDED_ON)
"""The mask rules that `bind` takes as `masks`, for layers without such an option."""

REMEMBERED = 64
"""For how many input shapes a layer remembers the result of its shape rule: a deep model repeats its layers."""


@dataclass(frozen=True, repr=False)
class Bound:
    """A layer with its options fixed: `(params, x) -> y` as a value. Made by `bind`."""

    function: Callable[..., Any]
    options: FrozenDict = field(default_factory=FrozenDict)
    dtype: str | None = None

    @functools.cached_property
    def rules(self) -> Rules:
        """What the layer declares, or what `masks` says. Raises TypeError for what is not a layer."""
        declared, masks = rules_of(self.function), self.options.get("masks")
        ruled = masks in WHATEVER_THE_LAYER and "masks" not in option_names(self.function)
        return replace(declared, mask=masks) if ruled else declared

    @functools.cached_property
    def own_options(self) -> dict[str, Any]:
        """The bound options, as the layer and its rules take them."""
        legal = option_names(self.function)
        return {key: item for key, item in tree.as_options(self.options).items() if key in legal}

    @functools.cached_property
    def all_options(self) -> dict[str, Any]:
        """All options, bound ones over defaults, as the layer and its rules take them."""
        return {**option_names(self.function), **self.own_options}

    def fill(self, rule: Callable[..., T]) -> Callable[..., T]:
        """A rule of the layer with its options filled in. Raises InvalidInput where one has no value."""
        options = {key: self.all_options[key] for key in option_names(rule)}
        for key, value in options.items():
            if value is inspect.Parameter.empty:
                raise InvalidInput(f"{name_of(self.function)} lacks the option {key!r}")
        return functools.partial(rule, **options)

    @functools.cached_property
    def misfit(self) -> str | None:
        """What is wrong with the first option that does not fit its annotation; None where all do."""
        return misfit(self.function, self.all_options)

    @functools.cached_property
    def inferred(self) -> dict[tuple[Any, str], tuple[Any, ParamTree]]:
        """{(shape, dtype) of an input: the result of `infer`}, for recent inputs."""
        return {}

    def infer(self, x: Any) -> tuple[Any, ParamTree]:
        """(output Spec tree, params) for inputs of the Spec tree `x`, by the shape rule."""
        if not isinstance(x, Spec) or self.rules.call is not None:
            return self._infer(x)
        key = tuple(x.shape), x.dtype
        known = self.inferred.get(key)
        if known is None:
            known = self._infer(x)
            if len(self.inferred) >= REMEMBERED:
                self.inferred.clear()
            self.inferred[key] = known
        return known

    def _infer(self, x: Any) -> tuple[Any, ParamTree]:
        """`infer` without its memory: what the shape rule says, under the dtype policy of the layer.

        Raises ValueError for options that do not fit.
        """
        if self.misfit is not None:
            raise ValueError(f"{name_of(self.function)}: {self.misfit}")
        if self.rules.call is None or not self.rules.call.reads_values:
            x = _without_values(x)
        outputs, params = self._by_shape_rule(x)
        leaves = tree.leaves(params) if params else []
        if leaves and not self.rules.entrance.host:
            dtypes.require_no_strings(*_specs(x))
        if self.dtype is None and any(map(dtypes.is_float_spec, leaves)) and any(map(dtypes.is_narrow, _specs(x))):
            outputs, params = self._by_shape_rule(dtypes.of_32_bits(x))
            leaves = tree.leaves(params)
        for leaf in (*_specs(outputs), *leaves):
            self._require_possible(leaf, x)
        if self.dtype is None:
            return outputs, params
        stored = {k: p if k in self.keys_with_policies else dtypes.stored_as(p, self.dtype) for k, p in params.items()}
        return dtypes.given_as(outputs, x, self.dtype, self.gives), stored

    def _require_possible(self, leaf: Any, x: Any) -> None:
        """Raise ValueError for sizes and dtypes that no array has, OutOfMemory for large sizes."""
        shape = getattr(leaf, "shape", ())
        if any(d is not None and d < 0 for d in shape):
            raise ValueError(f"{brief(self)} of {x} would have the sizes {shape}")
        if len(shape) > MOST_AXES or max(filter(None, shape), default=0) > MOST_SIZE:
            raise OutOfMemory(f"{brief(self)} would have {len(shape)} axes of the sizes {shape!s:.200}")
        if getattr(leaf, "dtype", "bool") not in dtypes.KNOWN:
            raise ValueError(f"{brief(self)} of {x} would have the dtype {leaf.dtype!r:.60}")

    def _by_shape_rule(self, x: Any) -> tuple[Any, ParamTree]:
        """What the shape rule says. Raises InvalidInput, with what the layer takes, for other inputs."""
        by_rule = self.fill(self.rules.shape)
        try:
            return by_rule(x)
        except FAILURES as error:
            if not in_words_of_python(error):
                raise
            accepted = taken(by_rule, self.rules, error)
            raise InvalidInput(f"{brief(self)} does not take {describe(x)}{accepted}") from None

    @functools.cached_property
    def by_rules(self) -> Callable[[Params, Any], Any]:
        """What a model calls for this layer: `apply`, which handles masks and integers, under the dtype policy."""
        own = undecorated(self.function)
        run = functools.partial(self.function, **self.own_options)
        if own is not None:
            run = functools.partial(apply, own, self.rules, self.own_options)
        return run if self.dtype is None else functools.partial(self._under_policy, run, self.dtype)

    @functools.cached_property
    def on_floats(self) -> Callable[[Params, Any], Any]:
        """What a model calls for a single array of a dtype in `dtypes.WIDE`: no rule has anything to do there."""
        own = undecorated(self.function)
        return self.by_rules if own is None or self.dtype is not None else functools.partial(own, **self.own_options)

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.exactly(self.by_rules, params, x)

    def _under_policy(self, run: Callable[[Params, Any], Any], policy: str, params: Params, x: Any) -> Any:
        """Run the layer on numbers rounded as its dtype policy says."""
        keeps = self.rules.rounding.keeps
        floats = [leaf.dtype.name for leaf in map(strip, tree.leaves(x)) if dtypes.is_float(leaf)]
        dtype = dtypes.of_result(floats, policy, self.gives)
        rounded = dtypes.widened if "params" in keeps else functools.partial(dtypes.to_compute, policy=policy)
        params = {key: entry if key in self.keys_with_policies else rounded(entry) for key, entry in params.items()}
        x = dtypes.widened(x) if "inputs" in keeps else dtypes.to_compute(x, policy)
        y = run(params, x)
        return y if dtype is None else dtypes.from_compute(y, dtype)

    @functools.cached_property
    def keys_with_policies(self) -> frozenset[str]:
        """The params keys of inner layers that have dtype policies of their own."""
        rule = self.rules.children
        children = {} if rule is None else self.fill(rule)()
        return frozenset(key for key, step in children.items() if has_policy(step))

    @functools.cached_property
    def gives(self) -> str | None:
        """The dtype of the output floats under any policy, or a word for it (see `Rounding.gives`)."""
        rule = self.rules.rounding.gives
        return None if rule is None else self.fill(rule)()

    def __repr__(self) -> str:
        options = {**self.options, **({} if self.dtype is None else {"dtype": self.dtype})}
        parts = [name_of(self.function), *(f"{key}={name_of(value)}" for key, value in options.items())]
        return written("bind", parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return Bound, (self.function, self.options, self.dtype)


def _specs(x: Any) -> list[Any]:
    """The leaves of a tree of Specs, usually a single Spec."""
    return [x] if isinstance(x, Spec) else tree.leaves(x)


def _without_values(x: Any) -> Any:
    """A tree of Specs without known values, which only functions of TensorFlow read."""
    if isinstance(x, Spec):
        return x if x.value is None else replace(x, value=None)
    return tree.map(lambda spec: _without_values(spec) if isinstance(spec, Spec) else spec, x)


def has_policy(step: Any) -> bool:
    """Whether a layer, or a layer in a model, has a dtype policy."""
    if isinstance(step, Bound):
        return step.dtype is not None or bool(step.keys_with_policies)
    return any(has_policy(child) for _, _, child in getattr(step, "entries", ()))


def bind(function: Callable[..., Any], /, **options: Any) -> Bound:
    """Fix options of a layer: `bind(dense, activation="relu")` is again `(params, x) -> y`.

    Equal and hashable by value, picklable; its repr is the call that makes it. Every layer also takes `dtype=`, the
    Keras dtype policy to compute under ("float16", "mixed_bfloat16", "float64", ...), and, unless it has an option
    `masks` of its own, `masks="drop"`, to lose a mask whatever its rule, as a Lambda of Keras does, or "same", to lose
    it but where an output is one of the inputs, "first", to keep that of the first of several arguments, or "place",
    to keep masks as Keras 2 does.

    Raises TypeError for an option that the layer does not have, naming the legal ones.
    """
    if isinstance(function, Bound):
        if not options:
            return function
        merged = {**function.options, **({"dtype": function.dtype} if function.dtype else {}), **options}
        return bind(function.function, **merged)
    if not callable(function):
        raise TypeError(f"bind takes a layer; got {function!r:.80}")
    legal = option_names(function)
    everywhere = [("masks", rule) for rule in WHATEVER_THE_LAYER]
    wrong = [key for key, item in options.items() if key not in (*legal, "dtype") and (key, item) not in everywhere]
    if wrong:
        known = ", ".join(dict.fromkeys((*legal, "dtype")))
        raise TypeError(f"{name_of(function)} has no option {', '.join(map(repr, wrong))}; it takes {known}")
    dtype = None if "dtype" in legal else options.pop("dtype", None)
    if dtype is not None and dtypes.compute_dtype(str(dtype)) not in dtypes.FLOATS:
        raise ValueError(f"{name_of(function)}: {dtype!r:.40} is not a dtype policy such as 'mixed_bfloat16'")
    return Bound(function, freeze(options), dtype)


WIDTH = 100
"""Longer reprs are broken into lines."""


def written(name: str, parts: Sequence[str], ends: Sequence[str] = "()") -> str:
    """`name(part, part)`, with one part a line where that is too long."""
    line = f"{name}{ends[0]}{', '.join(parts)}{ends[1]}"
    if (len(line) <= WIDTH and "\n" not in line) or not parts:
        return line
    body = "".join(f"{part},\n" for part in parts)
    return f"{name}{ends[0]}\n{textwrap.indent(body, '    ')}{ends[1]}"


def brief(value: Any, most: int = 100) -> str:
    """The start of the repr of `value`, in one line, for messages."""
    line = " ".join(repr(value).split())
    return re.sub(r"(?<=[(\[{]) |,? (?=[)\]}])", "", line)[:most]


def steps_like(name: str, steps: Iterable[str]) -> str:
    """For messages about an unknown step: the names of all steps or, where there are many, the most similar."""
    import difflib  # only where something is missing

    names = list(steps)
    if len(names) <= 12:
        return f"the steps are {', '.join(names)}"
    near = difflib.get_close_matches(name, names, 5, 0.5)
    return f"of {len(names)} steps the nearest are {', '.join(near)}" if near else f"the steps are {', '.join(names)}"


def name_of(value: Any) -> str:
    """How `value` is written in the repr of a record."""
    if inspect.isfunction(value):
        home = value.__module__.rpartition(".")[2]
        return f"{home}.{value.__name__}" if home in ("operations", "tf_functions") else value.__name__
    return repr(value)
