"""Which faults make tests fail?  For `tests.mutants`: a plugin of pytest, in a tree with the faults behind switches.

One collection serves all faults: for each, a fork puts it in force and runs its tests until one fails that passes
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
"""The variable that names the file of [[number of a fault, {test: its CPU seconds} or None for all], ...]."""


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Instead of the tests as they are: print [number, "found" | "survived" | "undecided" | "untested", by which test];
    nothing for a fault in force from the start that collection fails with."""
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
    """What became of a fault in a fork, and the place of the test that ended it."""
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
        os.killpg(child, signal.SIGKILL)  # what the tests started
    begun = os.read(reading, 1 << 16)
    os.close(reading)
    os.close(writing)
    words = {0: "survived", 1: "found"}
    return words.get(os.waitstatus_to_exitcode(status), "undecided"), len(begun) - 1


def _failed(chosen: list[tuple[pytest.Item, float]], begun: int) -> int:
    """Whether a test fails; a byte is written as each begins. A signal ends one that takes far longer than it does."""
    reports: list[pytest.TestReport] = []

    class Log:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            reports.append(report)

    try:
        chosen[0][0].config.pluginmanager.register(Log())
        for place, (item, cost) in enumerate(chosen):
            os.write(begun, b".")
            signal.setitimer(signal.ITIMER_PROF, 10 + 10 * cost)
            signal.setitimer(signal.ITIMER_REAL, 600 + 60 * cost)  # one that waits takes no CPU time
            later = chosen[place + 1][0] if place + 1 < len(chosen) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=later)
            if any(report.failed for report in reports):
                return 1
    except BaseException:  # noqa: BLE001 - a fork never returns into its parent's code
        return 2
    return 0
