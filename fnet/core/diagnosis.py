"""What was wrong with the params or the input of a layer whose equation failed with an error of NumPy or Python."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.core.options import misfit, option_names
from fnet.core.sources import describe
from fnet.dtypes import name_of
from fnet.errors import InvalidInput, InvalidParams, OutOfMemory
from fnet.masks import Masked, mask_of, strip
from fnet.shapes import fits
from fnet.types import Params, Spec


def require_order(call: str, model: Any, *params: Any) -> None:
    """Raise InvalidInput unless the first arguments of `call`, such as "compile(model, params)", are what it says.

    params: of a call that takes them.
    """
    if any(map(callable, params)) and isinstance(model, Mapping):
        raise InvalidInput(f"the order is {call}; got the params first, then the model")
    if not callable(model) or not all(isinstance(each, dict | Mapping) for each in params):
        name, _, arguments = call.partition("(")
        expected = "a model and a dict of arrays" if params else "a model first"
        got = " and a ".join(type(each).__name__ for each in (model, *params))
        raise InvalidInput(f"{name} takes ({arguments}: {expected}; got a {got}")


def require_arrays(params: Params) -> None:
    """Raise InvalidParams for a list of numbers, as JSON has it, in the place of an array."""
    if (error := _lists(params)) is not None:
        raise error


def _lists(params: Params) -> InvalidParams | None:
    """The error for the first list of numbers in the params; None where there is none."""
    for path, leaf in tree.items(params):
        number = type(leaf) in (bool, int, float) or (ops.is_traced(leaf) and leaf.shape == ())
        if number and not all(isinstance(key, str) for key in path):
            name = tree.path_name(tuple(itertools.takewhile(lambda key: isinstance(key, str), path)))
            return InvalidParams(f"{name} in the params is a list of numbers; make an array of it: np.float32(...)")
    return None


def is_of_trace(error: Exception) -> bool:
    """Whether NumPy was given an array that JAX traces."""
    return type(error).__name__ == "TracerArrayConversionError"  # JAX is not imported here


def on_numpy(error: Exception) -> TypeError:
    """The error for arrays of JAX on the NumPy backend."""
    cause = "JAX traces this call (jit, grad, vmap, ...)" if is_of_trace(error) else "the arrays are of JAX"
    return TypeError(
        f"{cause}, but fnet runs on NumPy in this process: set FNET_BACKEND=jax before the first `import fnet`"
    )


def diagnosed(
    function: Callable[..., Any], rules: Any, options: Mapping[str, Any], params: Any, x: Any, error: Exception
) -> Exception:
    """A clearer error in place of one that a layer raised, or that error itself.

    ValueError for an option that does not fit its annotation, InvalidInput or InvalidParams where the input or the
    params are the cause, OutOfMemory, or TypeError for arrays of JAX on the NumPy backend. rules: the `Rules` of the
    layer, None for a function that has none.
    """
    if isinstance(error, MemoryError):
        return OutOfMemory(f"{function.__name__} takes more memory than there is; feed fewer rows at once: {error}")
    mixed = isinstance(error, (*FAILURES, NotImplementedError)) and _of_jax((params, strip(x)))
    if backend.name() == "numpy" and (mixed or is_of_trace(error)):
        return on_numpy(error)
    if not isinstance(params, Mapping) and isinstance(error, FAILURES):
        return InvalidInput(
            f"{function.__name__} takes (params, x): a dict of arrays first; got a {type(params).__name__}"
        )
    if isinstance(error, FAILURES) and (clear := _lists(params)) is not None:
        return clear
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0] not in params:
        return InvalidParams(
            f"missing {error.args[0]}: the params of {function.__name__} are {', '.join(map(str, params)) or 'empty'}; "
            "fnet.check(model, params) lists all that does not fit"
        )
    if rules is None or isinstance(error, InvalidInput) or not isinstance(error, FAILURES):
        return error
    if (unfit := misfit(function, options)) is not None:
        return ValueError(f"{function.__name__}: {unfit}") if in_words_of_python(error) else error
    all_options = {**option_names(function), **options}
    rule = functools.partial(rules.shape, **{key: all_options[key] for key in option_names(rules.shape)})
    wrong = _wrong_input(function.__name__, rules, rule, params, x, error)
    return error if wrong is None else InvalidInput(wrong)


def _wrong_input(
    name: str, rules: Any, rule: Callable[..., Any], params: Params, x: Any, error: Exception
) -> str | None:
    """What is wrong with the input of a layer that raised an error, or None. rule: its shape rule with its options."""
    if (foreign := _no_arrays(rules, x)) is not None:
        return f"{name} takes {foreign}; `fnet.predict` takes what people have: {error}"
    if (wrong := _wrong_shapes(name, rule, params, strip(x), error)) is not None:
        return wrong
    if isinstance(error, IndexError):
        return f"{name} picks what is not there: {error}"
    return f"{name} cannot compute {describe(x)}: {error}" if _is_of_values(error) else None


def _is_of_values(error: Exception) -> bool:
    """Whether fnet, NumPy or JAX refused the values of an input, with an error of no type of ours."""
    of_values = isinstance(error, ValueError | ArithmeticError) and not isinstance(error, InvalidParams)
    return of_values and _home(error) in ("fnet", "numpy", "jax")


def _of_jax(arrays: Any) -> bool:
    return any(type(leaf).__module__.startswith("jax") for leaf in tree.leaves(arrays))


FAILURES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What Python and NumPy raise for arguments that cannot be computed with."""


def in_words_of_python(error: Exception) -> bool:
    """Whether an error of a rule is one that it ran into, not a ValueError with a message of its own."""
    own = isinstance(error, ValueError) and not isinstance(error, LookupError)
    if not own or any(words in str(error) for words in WORDS):
        return True
    return _home(error) in ("numpy", "jax")


def _home(error: Exception) -> str:
    """The package in which an error was raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


WORDS = ("to unpack", "empty sequence", "zip() argument", "zero-size array", "could not convert")
"""Parts of the messages of ValueErrors that the interpreter and NumPy raise."""


def taken(rule: Callable[..., Any], declared: Any, error: Exception) -> str:
    """For a message: what a layer takes, found by trying its shape rule; else the error that the rule ran into."""
    dtypes = ("string",) if declared.entrance.host else ("float32", "int32")
    named = () if declared.call is None else declared.call.arguments
    counts = dict.fromkeys((len(named), 1, 2, 3, 4))
    if all(_failure(rule, Spec((8, 8, 8)), count) == repr(error) for count in counts):  # whatever the input is
        counts = {}
    for count, dtype, size in itertools.product(counts, dtypes, (8, None)):
        ranks = [rank for rank in range(RANKS) if _failure(rule, Spec((size,) * rank, dtype), count) is None]
        if ranks:
            least, most = ranks[0], ranks[-1]
            many = "any number of" if least == 0 else f"{least}" if least == most else f"{least} or more"
            axes = many if most in (least, RANKS - 1) else f"{least} to {most}"
            what = f"{count} arrays" if count > 1 else "an array"
            names = f" ({', '.join(named)})" if 0 < len(named) == count else ""
            return f": it takes {what}{names} of {axes} axes"
    if named:
        return f": it takes {', '.join(named)}"
    return f": it lacks {error}" if isinstance(error, KeyError) else f": {error}"


RANKS = 7
"""The numbers of axes below this are tried."""


def _failure(rule: Callable[..., Any], spec: Spec, count: int) -> str | None:
    """What a shape rule raises for so many inputs."""
    try:
        rule(spec if count == 1 else (spec,) * count)
    except (*FAILURES, NotImplementedError) as error:
        return repr(error)
    return None


def _no_arrays(rules: Any, x: Any) -> str | None:
    """What a layer takes, where `x` has leaves that are not arrays of numbers, or masks that do not fit; else None."""
    leaves = tree.leaves(strip(x))
    arrays = [leaf for leaf in leaves if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
    if not arrays and not rules.entrance.host:
        return f"arrays; got {', '.join(type(leaf).__name__ for leaf in leaves[:3]) or 'nothing'}"
    strange = [leaf.dtype for leaf in arrays if getattr(leaf.dtype, "kind", "") in "OSUMm" or _has_fields(leaf.dtype)]
    if strange and not rules.entrance.host:
        return f"numbers; got {strange[0]}"
    if rules.call is None and any(not leaf.shape for leaf in arrays):
        return "rows; got a single value"
    for leaf in tree.leaves(x):
        shape = getattr(mask_of(leaf), "shape", ())
        if isinstance(leaf, Masked) and (len(shape) < 2 or tuple(shape) != tuple(leaf.values.shape[: len(shape)])):
            return f"masks of the first axes of their values; got {describe(leaf)}"
    return None


def _has_fields(dtype: Any) -> bool:
    """Whether values are raw bytes or records, not numbers."""
    return issubclass(getattr(dtype, "type", object), np.void)


def _wrong_shapes(name: str, rule: Callable[..., Any], params: Params, x: Any, error: Exception) -> str | None:
    """The message where the shape rule of a layer expects other params for an input like `x`, or says itself what is
    wrong while `error`, which the layer raised, does not; else None."""
    if not all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in tree.leaves(x)):
        return None
    shape_at = {path: tuple(leaf.shape) for path, leaf in tree.items(params)}

    def wrong_param(spec: Any) -> str | None:
        """The first param that an input like `spec` needs in another shape."""
        params_needed = ((path, param.shape) for path, param in tree.items(rule(spec)[1]) if path in shape_at)
        wrong = (
            f"a {tree.path_name(path)} of {expected}, and it has {shape_at[path]}"
            for path, expected in params_needed
            if not fits(shape_at[path], expected)
        )
        return next(wrong, None)

    def suits(spec: Any) -> bool:
        """Whether the params are those for an input like `spec`, which the rule may refuse for another reason."""
        try:
            return wrong_param(spec) is None
        except FAILURES:
            return False

    spec = tree.map(lambda leaf: Spec(tuple(leaf.shape), name_of(leaf.dtype)), x)
    try:
        wrong = wrong_param(spec)
    except InvalidInput as other:  # the rule says itself what does not fit
        return str(other)
    except FAILURES as other:  # the rule knows no such input, or lacks an option that a call takes from its params
        clearer = in_words_of_python(error) and not in_words_of_python(other)
        return f"{name} does not take {describe(x)}: {other}" if clearer or not hasattr(x, "shape") else None
    if wrong is None:
        return None
    others = _others(spec, {size for shape in shape_at.values() for size in shape})
    takes = next(filter(suits, others), None)
    known = "" if takes is None else f" takes {(None, *tree.leaves(takes)[0].shape[1:])} with these params;"
    shapes = ", ".join(str(leaf.shape) for leaf in tree.leaves(spec))
    return f"{name}{known} got {shapes}, for which it would need {wrong}"


def _others(spec: Any, sizes: set[int]) -> Iterator[Any]:
    """A single Spec, in its container, with each of `sizes` along each axis, last axis first; none for several."""
    shape, *more = (leaf.shape for leaf in tree.leaves(spec))
    for axis in reversed(range(1, 0 if more else len(shape))):
        for size in sorted(sizes):
            other = (*shape[:axis], size, *shape[axis + 1 :])
            yield tree.map(lambda leaf, other=other: replace(leaf, shape=other), spec)
