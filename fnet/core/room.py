"""How much memory and work a model takes for inputs of given shapes, told before anything runs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fnet import tree
from fnet.core import infer
from fnet.core.layer import Bound, bind
from fnet.core.model import Model
from fnet.records import dataclass
from fnet.tree import Path
from fnet.types import Shape, Spec

WIDTHS = {"string": 0, "bfloat16": 2}
"""Bytes of dtypes that NumPy lacks or that have no fixed size."""

PRODUCTS = 16
"""About how many products are summed in the time that it takes to write one byte."""


@dataclass(frozen=True)
class Room:
    """The memory and work of a model.

    memory: the peak of the bytes that flow; what layers need while they run is counted roughly.
    work: the total of the bytes written; products are converted by `PRODUCTS`.
    largest: the step at that peak. busiest: the step with the most work.
    """

    memory: int
    work: int
    largest: infer.TracedStep
    busiest: infer.TracedStep


def of(step: Any, x: Any) -> Room:
    """The room of a step for inputs of the Spec tree `x`."""
    return of_trace(infer.trace(step, x))


def of_step(step: Any, x: Any) -> tuple[int, int]:
    """(bytes of memory, work): the `room` rule of a layer or operation that runs another one, `step`."""
    needed = of(step, x)
    return needed.memory, needed.work


def of_trace(steps: Sequence[infer.TracedStep]) -> Room:
    """The room of a model, from its `trace`; unknown sizes count as 1."""
    return _of(steps[-1], {step.path: step for step in steps})


def _of(traced: infer.TracedStep, by_path: Mapping[Path, infer.TracedStep]) -> Room:
    if not isinstance(traced.step, Model):
        return _of_layer(traced)
    live, memory, work, most = size(traced.inputs), 0, 0, 0
    largest = busiest = traced
    outputs = dict[str, int]()
    for planned in traced.step.plan:
        part = by_path[(*traced.path, planned.name)]
        inner = _of(part, by_path)
        if live + inner.memory > memory:
            memory, largest = live + inner.memory, inner.largest
        if inner.work > most:
            most, busiest = inner.work, inner.busiest
        work += inner.work
        outputs[planned.name] = size(part.outputs)
        live += outputs[planned.name] - sum(outputs.pop(name, 0) for name in planned.unread)
    return Room(memory, work, largest, busiest)


def _of_layer(traced: infer.TracedStep) -> Room:
    """A layer holds, next to its inputs, its outputs, twice the largest of both, and what its `room` rule declares."""
    bound = traced.step if isinstance(traced.step, Bound) else bind(traced.step)
    read, written = [*map(size, arrays(traced.inputs))], size(traced.outputs)
    rule = bound.rules.room
    memory, work = (0, 0) if rule is None else bound.fill(rule)(traced.inputs)
    terms = sum([_product(param.shape[:-1]) for param in tree.leaves(traced.params)]) if traced.params else 0
    products = terms * sum(map(numbers, arrays(traced.outputs))) if terms else 0
    work += sum(read) + written + products // PRODUCTS
    return Room(written + 2 * max([written, *read]) + memory, work, traced, traced)


def of_products(spec: Spec, terms: int) -> tuple[int, int]:
    """The `room` rule of a layer that holds two arrays of `spec`, each number a sum of `terms` products."""
    return 2 * size(spec), 2 * size(spec) + numbers(spec) * terms // PRODUCTS


def work_of_products(spec: Spec, terms: int) -> tuple[int, int]:
    """The `room` rule of an operation whose result `spec` consists of sums of `terms` products."""
    return 0, numbers(spec) * terms // PRODUCTS


def copies(count: int) -> Callable[[Any], tuple[int, int]]:
    """The `room` rule of an operation that holds `count` arrays of the size of its largest input while it runs."""

    def rule(x: Any) -> tuple[int, int]:
        memory = count * max([0, *map(size, arrays(x))])
        return memory, memory

    return rule


def size(specs: Any) -> int:
    """The bytes of a tree of Specs or Params.

    Unknown sizes count as 1, other leaves as 0, narrow numbers as 32 bits, since most layers compute in those.
    """
    return sum([numbers(leaf) * max(width(leaf.dtype), 4) for leaf in arrays(specs)])


def arrays(specs: Any) -> list[Any]:
    """The Specs and Params in a tree."""
    return [specs] if isinstance(specs, Spec) else [leaf for leaf in tree.leaves(specs) if hasattr(leaf, "shape")]


def numbers(spec: Any) -> int:
    """How many numbers an array of a Spec or Param holds; unknown sizes count as 1."""
    return _product(spec.shape)


@functools.lru_cache(maxsize=1024)
def _product(sizes: Shape) -> int:
    """The product of sizes; unknown ones count as 1."""
    return math.prod(1 if d is None else d for d in sizes)


@functools.cache
def width(dtype: str) -> int:
    """Bytes of one value."""
    return WIDTHS[dtype] if dtype in WIDTHS else np.dtype(dtype).itemsize
