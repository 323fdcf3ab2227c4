"""Which faults make tests fail?  A pytest plugin for `tests.mutants`, in a tree with the faults behind switches.

One collection serves all faults: for each, a fork switches it on and runs its tests until one fails that passes
without it. A test that does not end decides nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from tests.reach import FAULT

PLAN = "FNET_PLAN"
"""The environment variable with the file of [[number of a fault, {test: its CPU seconds} or None: all], ...]."""


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Instead of running the tests, print [number, "found" | "survived" | "undecided" | "untested", by which test] for
    each fault; nothing for a fault that is on from the start and makes collection fail."""
    if session.testsfailed and FAULT in os.environ:
        return True
    items = {item.nodeid: item for item in session.items}
    for number, costs in json.loads(Path(os.environ[PLAN]).read_text()):
        left = [(items[name], cost) for name, cost in costs.items() if name in items] if costs else []
        left = [(item, 60.0) for item in session.items] if costs is None else left
        print(json.dumps([number, *_judged(number, left)]), flush=True)
    return True


def _judged(number: int, left: list[tuple[pytest.Item, float]]) -> tuple[str, str]:
    ended = "survived" if left else "untested"
    while left:
        word, at = _run(number, left)
        if word == "survived":
            break
        test = left[at][0].nodeid
        if word == "found" and (FAULT in os.environ or _run(-1, left[at : at + 1])[0] == "survived"):
            return word, test
        if word == "undecided":
            ended = word
        left = [
            (item, cost)
            for item, cost in left[at + 1 :]
            if word == "found" or _function(item) != _function(left[at][0])
        ]
    return ended, ""


def _function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _run(number: int, chosen: list[tuple[pytest.Item, float]]) -> tuple[str, int]:
    """(end of a fault in a fork, index of the test that decided)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.environ.setdefault(FAULT, str(number))
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        os._exit(_failed(chosen, writing))
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # processes that the tests started
    begun = os.read(reading, 1 << 16)
    os.close(reading)
    os.close(writing)
    words = {0: "survived", 1: "found"}
    return words.get(os.waitstatus_to_exitcode(status), "undecided"), len(begun) - 1


def _failed(chosen: list[tuple[pytest.Item, float]], begun: int) -> int:
    """Whether a test fails; a byte is written as each begins. A signal ends a test that takes far longer than usual."""
    reports: list[pytest.TestReport] = []

    class Log:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            reports.append(report)

    try:
        chosen[0][0].config.pluginmanager.register(Log())
        for place, (item, cost) in enumerate(chosen):
            os.write(begun, b".")
            signal.setitimer(signal.ITIMER_PROF, 10 + 10 * cost)
            signal.setitimer(signal.ITIMER_REAL, 180 + 60 * cost)  # a waiting test takes no CPU time
            later = chosen[place + 1][0] if place + 1 < len(chosen) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=later)
            if any(report.failed for report in reports):
                return 1
    except BaseException:  # noqa: BLE001 - a fork never returns into its parent's code
        return 2
    return 0
