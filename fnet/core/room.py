"""How much memory and work a model takes for inputs of given shapes, told before anything runs."""

from __future__ import annotations

import functools
import math
import operator
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
"""Bytes of dtypes that NumPy lacks, or that have no one size."""

PRODUCTS = 16
"""As many products are added up in the time in which a byte is written, about."""


@dataclass(frozen=True)
class Room:
    """What a model takes.

    held: bytes of what flows, at most at once; what layers need while they run is counted roughly.
    work: bytes that are written, all together; products are counted as `PRODUCTS` says.
    largest: the step at which the most is held. busiest: the one with the most work.
    """

    held: int
    work: int
    largest: infer.TracedStep
    busiest: infer.TracedStep


def of(step: Any, x: Any) -> Room:
    """What a step takes that is fed with the Spec tree `x`."""
    return of_trace(infer.trace(step, x))


def of_step(step: Any, x: Any) -> tuple[int, int]:
    """What a layer or an operation declares that runs `step`, another one."""
    needed = of(step, x)
    return needed.held, needed.work


def of_trace(steps: Sequence[infer.TracedStep]) -> Room:
    """What a model takes, from what `trace` saw of it; open sizes count as 1."""
    return _of(steps[-1], {step.path: step for step in steps})


def _of(traced: infer.TracedStep, by_path: Mapping[Path, infer.TracedStep]) -> Room:
    if not isinstance(traced.step, Model):
        return _of_layer(traced)
    live, held, work, largest, busiest = size(traced.inputs), 0, 0, traced, (0, traced)
    given = dict[str, int]()
    for name, _, _, _, unread in traced.step.plan:
        part = by_path[(*traced.path, name)]
        inner = _of(part, by_path)
        if live + inner.held > held:
            held, largest = live + inner.held, inner.largest
        work += inner.work
        busiest = max(busiest, (inner.work, inner.busiest), key=operator.itemgetter(0))
        given[name] = size(part.outputs)
        live += given[name] - sum(given.pop(read, 0) for read in unread)
    return Room(held, work, largest, busiest[1])


def _of_layer(traced: infer.TracedStep) -> Room:
    """What a layer holds next to its inputs: its outputs, twice the largest of both, and what it says."""
    bound = traced.step if isinstance(traced.step, Bound) else bind(traced.step)
    read, written = [*map(size, arrays(traced.inputs))], size(traced.outputs)
    own = bound.rules.room
    held, work = (own and bound.fill(own)(traced.inputs)) or (0, 0)
    terms = sum([_product(param.shape[:-1]) for param in tree.leaves(traced.params)]) if traced.params else 0
    products = terms and terms * sum(map(numbers, arrays(traced.outputs)))
    work += sum(read) + written + products // PRODUCTS
    return Room(written + 2 * max([written, *read]) + held, work, traced, traced)


def of_products(spec: Spec, terms: int) -> tuple[int, int]:
    """What a layer declares that holds two arrays of `spec` while it runs, of sums of so many products."""
    return 2 * size(spec), 2 * size(spec) + numbers(spec) * terms // PRODUCTS


def work_of_products(spec: Spec, terms: int) -> tuple[int, int]:
    """What an operation declares whose result `spec` are sums of so many products."""
    return 0, numbers(spec) * terms // PRODUCTS


def copies(count: int) -> Callable[[Any], tuple[int, int]]:
    """What an operation declares that holds so many arrays of the size of its largest input while it runs."""

    def own(x: Any) -> tuple[int, int]:
        held = count * max([0, *map(size, arrays(x))])
        return held, held

    return own


def size(specs: Any) -> int:
    """The bytes of a tree of Specs or Params; open sizes count as 1, other leaves as nothing, and narrow numbers as 32
    bits, since most layers compute with those."""
    return sum([numbers(leaf) * max(width(leaf.dtype), 4) for leaf in arrays(specs)])


def arrays(specs: Any) -> list[Any]:
    """The Specs and Params in a tree."""
    return [specs] if isinstance(specs, Spec) else [leaf for leaf in tree.leaves(specs) if hasattr(leaf, "shape")]


def numbers(spec: Any) -> int:
    """How many numbers an array of a Spec or Param holds; open sizes count as 1."""
    return _product(spec.shape)


@functools.lru_cache(maxsize=1024)
def _product(sizes: Shape) -> int:
    """The product of sizes; open ones count as 1."""
    return math.prod(1 if d is None else d for d in sizes)


@functools.cache
def width(dtype: str) -> int:
    """Bytes of one value."""
    return WIDTHS[dtype] if dtype in WIDTHS else np.dtype(dtype).itemsize
