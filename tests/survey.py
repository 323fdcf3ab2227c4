"""Measures what `require_room` lets through: `python -m tests.survey [NUMBER ...]`, half an hour on a quiet core.

Every layer and operation of the tables of cases gets one option with a huge, negative, empty, repeated or wide value.
If its rule and `require_room` allow that, with params that a file of 1 MB can hold, it is called on a few rows in a
separate process; calls that take more than SECONDS or MEMORY are printed.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fnet import bind, tree
from fnet.core import infer, room
from fnet.core.options import option_names
from fnet.shapes import sized
from params import Limits
from params.errors import LimitExceeded
from params.output_sizes import require_room
from tests.cases import all_cases
from tests.cases.operations import CASES
from tests.hostile_options import huge, specs
from tests.test_hostile_sizes import peak

SECONDS, MEMORY = 4.0, 640 << 20
FILE, PARAMS = 1 << 20, 200 << 20
"""The most bytes of a file, and of the zeros that it unpacks to."""
WRONG = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


def steps(numbers: tuple[int, ...]) -> Iterator[tuple[str, Any, Any]]:
    """(label, bound layer or operation, Specs of its inputs)."""
    yield from huge(*numbers)
    for case in [*all_cases(), *CASES]:
        for name in option_names(case.layer):
            value = case.options.get(name)
            for other in (
                *([(), [*value] * 2, [*value] * 10_000, [-size for size in value]] if _sizes(value) else []),
                *([[value] * 10_000, -value] if type(value) is int else []),
            ):
                options = {**case.options, name: other}
                yield (
                    f"{case.layer.__name__}({name}={other!r:.60}) of {specs(case)!r:.80}",
                    (case, options),
                    specs(case),
                )


def _sizes(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(type(size) is int for size in value)


def allowed(step: Any, x: Any) -> list[infer.TracedStep] | None:
    """The trace of a step that a small file may hold, or None."""
    try:
        rows = infer.trace(step, x)
        require_room(rows, Limits(), FILE)
    except (LimitExceeded, *WRONG):
        return None
    return rows if room.size(infer.params_of(rows)) <= PARAMS else None


def measured(call: Callable[[], Any]) -> str:
    """What is wrong with a call in a separate process, or ""."""
    read, write = os.pipe()
    if not (child := os.fork()):
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        before, start, error = peak(reset=True), time.process_time(), ""
        try:
            call()
        except WRONG as caught:
            error = f" {type(caught).__name__}: {str(caught)[:80]}"
        except MemoryError:
            error = " no memory"
        seconds, memory = time.process_time() - start, peak() - before
        much = seconds > SECONDS or memory > MEMORY or "no memory" in error
        os.write(write, (f"{seconds:.1f} s, {memory >> 20} MiB{error}" if much else "").encode())
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read() if status == 0 else f"ended by signal {status & 127}"


def arrays(spec: Any) -> Any:
    """Ones in place of Specs; literals are unchanged."""

    def of(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray) or not hasattr(leaf, "shape"):
            return leaf
        return np.ones(
            tuple(d or 1 for d in leaf.shape),
            "float32" if "float" in leaf.dtype else leaf.dtype.replace("string", "U1"),
        )

    return tree.map(of, spec)


def main(numbers: tuple[int, ...]) -> int:
    """Print calls that take too much; exit status 1 if there are any."""
    count = called = found = 0
    for label, given, x in steps(numbers):
        count += 1
        try:
            step = bind(given[0].layer, **given[1]) if isinstance(given, tuple) else given
            rows = allowed(step, x)
            if rows is None or any("string" in str(spec) for spec in tree.leaves(x)):
                continue
            needs = infer.params_of(rows)
        except WRONG:
            continue
        except Exception:  # noqa: BLE001 - any other is what is looked for
            print(f"{label}\n  {traceback.format_exc(limit=-1)}", flush=True)
            found += 1
            continue
        params = tree.map(lambda param: np.zeros(sized(param.shape, 1), param.dtype), needs)
        called += 1
        if wrong := measured(lambda step=step, params=params, x=x: step(params, arrays(x))):
            needed = room.of_trace(rows)
            print(f"{label}: {wrong}; bound: {needed.work >> 20} MiB written, {needed.memory >> 20} held", flush=True)
            found += 1
    print(f"{count} configurations, {called} called, {found} findings", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(tuple(map(int, sys.argv[1:])) or (10**3, 10**5, 10**9)))
