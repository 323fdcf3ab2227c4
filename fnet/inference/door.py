"""The checks of inputs before a model runs: structure, shapes, dtypes, finite numbers, ids within tables.

`admit` makes arrays of the inputs, in the structure of the model; `faults` finds the rows for which the model would
give a wrong answer without an error.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fnet import tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.compose import Graph, Sequential, input_names
from fnet.core.layer import bind
from fnet.core.rules import rules_of
from fnet.core.sources import describe, feed, only_item, references
from fnet.dtypes import WIDE
from fnet.errors import IN_32_BITS, InvalidInput
from fnet.inference.arrays import array, columns, is_none, is_table, numbers, table
from fnet.inference.string_split import inputs_of_host
from fnet.records import NamedTuple
from fnet.shapes import fits
from fnet.types import Array, Shape, Spec

Rule = Callable[[Array], Any]
"""(values) -> (bool of their shape: True where wrong, value -> a description for the message)."""

FEW = 8192
"""Up to so many numbers one dot product tells whether all are finite; a longer one would use several threads."""

REARRANGING = {
    *("identity", "input_layer", "flatten", "batch_flatten", "reshape", "ravel", "permute", "transpose", "swapaxes"),
    *("moveaxis", "squeeze", "expand_dims", "repeat_vector", "repeat", "tile", "stack", "concat", "concatenate"),
    *("append", "dstack", "hstack", "vstack", "flip", "fliplr", "flipud", "flip_left_right", "flip_up_down", "reverse"),
    *("reverse_sequence", "roll", "rot90", "sort", "rearrange", "broadcast_to", "space_to_depth", "depth_to_space"),
    *("transpose_image", "matrix_transpose", "up_sampling1d", "up_sampling3d", "copy", "real", "conj", "conjugate"),
    *("nan_to_num", "ensure_shape", "stop_gradient", "activity_regularization", "dropout", "stochastic_depth"),
    *("alpha_dropout", "gaussian_dropout", "gaussian_noise", *(f"spatial_dropout{rank}d" for rank in (1, 2, 3))),
}
"""Names of layers, operations and functions of TensorFlow whose output has the values of their inputs, and only those
(dropout and noise where they do not act)."""

INTEGER = ("int", "uint")
"""Beginnings of the names of integer dtypes."""

MISSING = re.compile(r"nan.*|is_?(nan|inf|finite|posinf|neginf)")
"""Names of operations that are defined for NaN or infinity."""


class Fault(NamedTuple):
    """Rows of one input that the model must not see."""

    name: str
    """That of the input."""
    rows: np.ndarray[Any, Any]
    """bool (rows,)"""
    say: Callable[[int], str]
    """What is wrong with a row: "NaN at (1,)"."""


class Door:
    """The door of one model."""

    def __init__(self, model: Any) -> None:
        self.inputs = input_names(model)
        specs = infer.input_spec(model)
        self.specs = {} if specs is None else feed(self.inputs, specs)
        self.rules = list[tuple[str, Rule]]()
        _follow(model, tree.map(lambda name: frozenset({name}), self.inputs), self.rules)
        self.missing = any(MISSING.fullmatch(layer.function.__name__) for layer in infer.layers_in(model))
        """Whether a part of the model is defined for NaN or infinity."""
        self.whole = inputs_of_host(model)
        """The inputs of which all 64 bits count on each backend."""

    def admit(self, x: Any) -> Any:
        """`x` as arrays in the structure of the inputs, with shapes and dtypes checked. Raises InvalidInput."""
        if x is None or (isinstance(x, Mapping) and not x):
            raise InvalidInput(f"{x} where rows are expected; give an array, a table or a list")
        if isinstance(self.inputs, str | Mapping) or all(isinstance(part, str) for part in self.inputs):
            x = _by_column(x)
        x = self._single(x) if isinstance(self.inputs, str) else self._several(self.inputs, x)
        given = [(name, value) for name, value in feed(self.inputs, x).items() if value is not None]
        changed = {id(value): new for name, value in given if (new := self._checked(name, value)) is not value}
        return tree.map(lambda leaf: changed.get(id(leaf), leaf), x) if changed else x

    def _checked(self, name: str, value: Any) -> Any:
        """A value that fits its input: as numbers where it has objects, as floats where JAX would cut it."""
        spec = self.specs.get(name)
        if value.dtype.kind == "O" and (spec is None or spec.dtype != "string"):
            none = spec is not None and is_none(value)  # as in a single row
            value = np.full(value.shape, np.nan) if none else numbers(value)
        if spec is None:
            return value
        _check_kind(name, value, spec)
        _check_shape(name, value, spec)
        held = _held(value, spec, name in self.whole)
        is_cut = held and not spec.dtype.startswith(INTEGER) and _beyond(value, held).any()
        return value.astype(spec.dtype) if is_cut else value

    def _single(self, x: Any) -> Any:
        """The value of the only input: given alone, in a list of one, by name, or as columns."""
        spec = self.specs.get(self.inputs)
        tabular = spec is None or len(spec.shape) == 2
        if isinstance(x, Mapping):
            if self.inputs in x or len(x) == 1:
                _no_others(x, [self.inputs] if self.inputs in x else list(x))
                x = x[self.inputs] if self.inputs in x else next(iter(x.values()))
            elif tabular:
                x = _numbers_of(x, spec)
        elif is_table(x) and tabular:
            x = _numbers_of(columns(x), spec)
        elif isinstance(x, list | tuple) and x and hasattr(x[0], "shape"):
            x = tree.alike(x, map(array, x))
        if isinstance(spec, Spec):
            x = only_item(x, spec.shape)
        elif isinstance(x, list | tuple) and len(x) == 1 and hasattr(x[0], "shape"):
            x = x[0]
        return array(x)

    def _several(self, inputs: Any, x: Any) -> Any:
        """The values of several inputs: given by name, in the order of the model, or as columns of a table."""
        if isinstance(inputs, str):
            x = x[0] if isinstance(x, list | tuple) and len(x) == 1 and np.ndim(x[0]) > 0 else x
            return array(x)
        if is_table(x):
            x = columns(x)
        if isinstance(x, Mapping):
            if isinstance(inputs, Mapping) and set(inputs) <= set(x):
                _no_others(x, list(inputs))
                return {key: self._several(inputs[key], item) for key, item in x.items()}
            names = references(inputs)
            if set(names) <= set(x):
                _no_others(x, names)
            return {key: array(item) for key, item in x.items()}
        if not isinstance(x, list | tuple):
            return array(x)
        parts = [inputs[key] for key in sorted(inputs)] if isinstance(inputs, Mapping) else list(inputs)
        if len(parts) != len(x):  # all leaves in a row, or a wrong number of them, which `feed` tells
            return tree.alike(x, map(array, x))
        return tree.alike(x, map(self._several, parts, x))

    @staticmethod
    def rows(x: Any) -> int:
        """The number of rows that all inputs share."""
        leaves = tree.leaves(x)
        if not all(leaf.shape for leaf in leaves):
            raise InvalidInput(f"a single value where rows are expected; put it in a list: got {describe(x)}")
        counts = {len(leaf) for leaf in leaves}
        if len(counts) != 1:
            raise InvalidInput(f"all inputs need the same number of rows; got {describe(x)}")
        return counts.pop()

    def soundness(self, x: Any) -> Callable[[Any], Any] | None:
        """A test whether the only input, an array like `x`, has no faults, faster than `faults`; or None."""
        spec = self.specs.get(self.inputs) if self.inputs.__class__ is str else None
        if spec is None or spec.dtype not in ("float32", "float64") or self.rules or x.__class__ is not np.ndarray:
            return None
        if x.dtype.kind in "iu":
            least, end = _range(_held(x, spec, self.inputs in self.whole) or x.dtype.name)
            return lambda x: not x.size or (least <= x.min() and x.max() < end)
        if x.dtype not in WIDE or x.dtype.itemsize > np.dtype(spec.dtype).itemsize:
            return None
        return _is_finite_in_squares if _is_few(x) else lambda x: np.isfinite(x).all()

    def faults(self, batch: Any) -> list[Fault]:
        """The faults of all inputs."""
        if batch.__class__ is np.ndarray and self.inputs.__class__ is str:
            values = {self.inputs: batch}
        else:
            values = {name: value for name, value in feed(self.inputs, batch).items() if value is not None}
        faults: list[Fault] = []
        for name, value in values.items():
            spec = self.specs.get(name)
            faults += _number_faults(name, value, spec, self.missing, _held(value, spec, name in self.whole))
        for name, rule in self.rules:
            if name in values and values[name].dtype.kind in "biuf":
                wrong, say = rule(values[name])
                faults += _fault(name, values[name], wrong, say)
        return faults


def _fault(name: str, value: Array, wrong: Array, say: Callable[[Any], str]) -> list[Fault]:
    """The fault of the rows with a `wrong` value; empty where there are none."""
    wrong = np.asarray(wrong).reshape(len(value), -1)
    if not wrong.any():
        return []
    rows = wrong.any(axis=1)

    def of_row(row: int) -> str:
        at = np.unravel_index(int(wrong[row].argmax()), value.shape[1:]) if value.ndim > 1 else ()
        place = tuple(int(i) for i in at)
        return f"{say(ops.to_numpy(value[row])[place])}{f' at {place}' if place else ''}"

    return [Fault(name, rows, of_row)]


def _held(value: Array, spec: Spec | None, whole: bool) -> str:
    """The integers, other than its own, that are to hold the values of an input: those that the model declares or, as
    given, the ones that JAX cuts them to, unless it keeps the `whole` of them. "" where there are none."""
    kind, dtype = value.dtype.kind, "" if spec is None else spec.dtype
    if not dtype.startswith(INTEGER):  # as given; `dtype.name` would take microseconds
        dtype = {"i": "int64", "u": "uint64"}.get(kind, "") if value.dtype.itemsize == 8 else ""
    if not dtype or kind not in "iuf":
        return ""
    held = dtype if whole else ops.canonical(dtype)
    return "" if value.dtype == held else held


def _beyond(value: Array, integers: str) -> np.ndarray[Any, Any]:
    """bool of the shape of `value`: where it does not fit in these integers."""
    value, (least, end) = ops.to_numpy(value), _range(integers)
    return np.asarray((value < least) | (value >= end))


@functools.cache
def _range(integers: str) -> tuple[int, int]:
    """The least of these integers, and the number after the largest: a power of two, exact in floats of any size."""
    limits = np.iinfo(integers)
    return int(limits.min), int(limits.max) + 1


def _number_faults(name: str, value: Array, spec: Spec | None, missing: bool, held: str) -> list[Fault]:
    """Values that are NaN or infinity (unless `missing`), not texts, or beyond the input's dtype or that in `held`."""
    dtype, kind = "" if spec is None else spec.dtype, value.dtype.kind
    faults: list[Fault] = []
    if kind in "OU" and dtype == "string":
        wrong = np.array([_no_text(item) is not None for item in value.flat], bool)
        faults += _fault(name, value, wrong, lambda item: f"{_plain(item)!r:.40} ({_no_text(item)})")
    if kind == "f":
        narrow = dtype in ("float16", "float32") and value.dtype.itemsize > np.dtype(dtype).itemsize
        if narrow or not (_is_few(value) and _is_finite_in_squares(value)):
            sound = abs(value) <= float(np.finfo(dtype).max) if narrow else np.isfinite(value)
            sound = sound | ~np.isfinite(value) if missing else sound
            if not sound.all():
                faults += _fault(name, value, ~ops.to_numpy(sound), lambda item: _unsound(item, dtype))
    if held:
        way = "" if held == dtype else IN_32_BITS
        faults += _fault(name, value, _beyond(value, held), lambda item: f"{item}, which does not fit in {held}{way}")
    return faults


def _no_text(item: Any) -> str | None:
    """Why an item is not a text; None for a text."""
    if not isinstance(item, str | bytes):
        return "no text; for a missing one give ''"
    if isinstance(item, str) and not item.isascii() and re.search("[\ud800-\udfff]", item):
        return "no valid Unicode: a lone surrogate"
    return None


def _plain(item: Any) -> Any:
    """A NumPy scalar as a Python number, whose repr is shorter."""
    return item.item() if isinstance(item, np.generic) else item


def _is_finite_in_squares(value: Array) -> bool:
    """Whether the sum of squares of a few numbers is finite; then all of them are. Faster than a test of each."""
    return math.isfinite(np.vdot(value, value))


def _is_few(value: Array) -> bool:
    return value.__class__ is np.ndarray and value.size <= FEW and value.dtype in WIDE


def _unsound(item: Any, dtype: str) -> str:
    if np.isnan(item):
        return "NaN"
    return "infinity" if np.isinf(item) else f"{item:g}, which is infinity in {dtype},"


def _no_others(x: Mapping[str, Any], names: list[str]) -> None:
    others = [key for key in x if key not in names]
    if others:
        raise InvalidInput(
            f"the model takes the inputs {', '.join(map(repr, names))}; leave out {', '.join(map(repr, others))}"
        )


def _by_column(x: Any) -> Any:
    """Rows that are dicts, as from JSON, as a dict of columns; anything else as it is."""
    listed = isinstance(x, list | tuple) or (isinstance(x, np.ndarray) and x.dtype.kind == "O" and x.ndim == 1)
    if not (listed and len(x) and isinstance(x[0], Mapping)):
        return x
    for number, row in enumerate(x):
        if not isinstance(row, Mapping) or row.keys() != x[0].keys():
            raise InvalidInput(f"row {number} lacks or adds names to those of the first, {list(x[0])}: {row!r:.80}")
    return {name: [row[name] for row in x] for name in x[0]}


def _numbers_of(by_name: Mapping[Any, Any], spec: Spec | None) -> Array:
    """The columns of a table as the one input that they make."""
    x = table(by_name)
    if spec is not None and spec.dtype != "string" and x.dtype.kind in "biuf" and not fits(x.shape, spec.shape):
        raise InvalidInput(
            f"the model takes {spec.shape[1]} columns, the table has {x.shape[1]}: "
            f"{', '.join(map(str, by_name)):.200}; choose those that it was trained on, in that order"
        )
    return x


def _check_kind(name: str, value: Any, spec: Spec) -> None:
    """Refuse non-numbers for a numeric input (NumPy would cast dates, drop imaginary parts), or numbers for texts."""
    kind = getattr(value.dtype, "kind", "")
    if spec.dtype == "string" and kind in "biufc":
        raise InvalidInput(
            f"input {name!r} holds {value.dtype} values, the model takes strings; if its vocabulary has numbers, as "
            "texts: x.astype(str)"
        )
    if spec.dtype == "string" or kind not in "cmMOSTU" or (kind == "c" and spec.dtype.startswith("complex")):
        return
    strings = kind in "STU" or (kind == "O" and isinstance(next(iter(value.flat), None), str | bytes))
    what = "strings" if strings else f"{value.dtype} values"
    if kind in "OSTU" and _are_numbers(value):
        hint = "; they are numbers: x.astype('float32')"
    elif strings and len(spec.shape) == 4:
        hint = "; of an image file it takes the pixels: np.asarray(PIL.Image.open(path))[None]"
    else:
        hint = "; turn words into numbers as in training" if strings else ""
    raise InvalidInput(f"input {name!r} holds {what}, the model takes {spec.dtype}{list(spec.shape)}{hint}")


def _are_numbers(value: Any) -> bool:
    try:
        value.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _check_shape(name: str, value: Any, spec: Spec) -> None:
    shape = tuple(value.shape)
    takes = spec.shape
    if spec.dtype == "string" or fits(shape, takes) or fits(shape[:-1], takes) or fits((*shape, 1), takes):
        return
    raise InvalidInput(f"input {name!r} has shape {shape}, the model takes {takes}{_way_to_shape(shape, takes)}")


def _way_to_shape(shape: tuple[int, ...], takes: Shape) -> str:
    """A hint how an array may be brought to the shape that the model takes; "" for none."""
    row, count = takes[1:], math.prod(d or 0 for d in takes[1:])
    if not shape:
        return "; a single value goes into a list, [x], and so does a row that is a dict, [row]"
    if fits((None, *shape), takes):
        return "; add a batch axis: [x]"
    if len(shape) > 2 and fits((shape[0], *shape[2:], shape[1]), takes):
        return "; the channels come last here: np.moveaxis(x, 1, -1), if they are axis 1"
    if 0 not in shape and math.prod(shape) in (count, shape[0] * count):
        return f"; if its numbers have this order: x.reshape{(-1, *row)}"
    if len(takes) == 4 and takes[-1] == 3 and fits((*shape, 3), takes):
        return "; for grey images: np.repeat(x[..., None], 3, axis=-1)"
    if len(takes) == 4 and shape[-1] == 4 and fits((*shape[:-1], 3), takes):
        return "; for images with transparency, the colors alone: x[..., :3]"
    return ""


def _follow(step: Any, reads: Any, found: list[tuple[str, Rule]]) -> frozenset[str]:
    """The inputs of the model of which all values are in the output of a step.

    reads: a tree like the inputs of the step, with the names of the inputs of the model whose values are in each.
    found: takes (input name, rule) for every layer with an `Entrance.faults` that reads all values of an input.
    """
    if isinstance(step, Graph):
        names = references(step.inputs)
        known = feed(step.inputs, reads) if not isinstance(reads, frozenset) else dict.fromkeys(names[:1], reads)
        reach = known if len(known) == len(names) else {}
        for name, node in step.nodes:
            if node.sources is not None:
                given = tree.map(lambda s: reach.get(next(iter(references(s)), ""), frozenset()), node.sources)
                reach[name] = _follow(node.step, given, found)
        return reach.get(step.outputs, frozenset()) if isinstance(step.outputs, str) else frozenset()
    if isinstance(step, Sequential):
        for _, inner in step.steps:
            reads = _follow(inner, reads, found)
        return _all(reads)
    if (faults := rules_of(step).entrance.faults) is not None:
        found += [(name, bind(step).fill(faults)) for name in _all(reads)]
    function = bind(step).function
    moves = function.__name__ in REARRANGING and function.__module__.startswith("fnet.")  # none of a user's
    return _all(reads) if moves else frozenset()


def _all(reads: Any) -> frozenset[str]:
    return frozenset[str]().union(*tree.leaves(reads))
