"""Which tests run the code that a fault changes?  Probes in a scratch copy, and one run of its suite.

For `tests.mutants`. A probe is a call before a statement; it records the numbers of the faults that affect the
statement. Loaded into pytest (`-p tests.reach`), this module writes a line for each test: its time, and the faults that
it reached.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

FAULT = "FNET_FAULT"
"""The environment variable with the number of the fault that is on."""

FOLDER = "FNET_REACH"
"""The environment variable with the folder in which the processes of a run write their records."""

PROBE = '__import__("builtins").__dict__.get("_reached", len)({numbers})'
"""A probe; where nothing records, it does nothing."""

SWITCH = f'(({{changed}}) if [{PROBE}] and __import__("os").environ.get("{FAULT}") == "{{number}}" else ('
"""The text before an expression that a fault changes; "))" follows it. The variable selects the fault."""

STARTED = f"""
import os

if "{FOLDER}" in os.environ and "PYTEST_CURRENT_TEST" in os.environ:
    import atexit, builtins, json, time

    name, numbers = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0], set()
    builtins._reached = numbers.update

    @atexit.register
    def write():
        with open(os.path.join(os.environ["{FOLDER}"], str(os.getpid())), "a") as file:
            print(json.dumps((name, time.process_time(), sorted(numbers))), file=file)
"""
"""`sitecustomize.py` of the scratch copy: what processes that a test starts reach, the test reaches."""

Place = tuple[str, int]
"""A file and a line in it."""


# --- probes ---------------------------------------------------------------------------------------


def probed(changes: Mapping[int, Place], sources: Mapping[str, str]) -> dict[str, str]:
    """The sources with a probe before each statement that the numbered changes affect."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    users = _users(trees)
    probes: dict[Place, list[int]] = defaultdict(list)
    for number, change in changes.items():
        for place in _statements_of(change, trees, users):
            probes[place].append(number)
    lines = {path: text.splitlines(keepends=True) for path, text in sources.items()}
    for (path, line), numbers in sorted(probes.items(), reverse=True):
        below = lines[path][line - 1]
        indent = below[: len(below) - len(below.lstrip())]
        lines[path].insert(line - 1, f"{indent}{PROBE.format(numbers=(*numbers,))}\n")
    return {path: "".join(parts) for path, parts in lines.items()}


def _statements_of(change: Place, trees: Mapping[str, ast.Module], users: Mapping[str, set[Place]]) -> set[Place]:
    """The statements in functions that a change affects: the one around it, or those that use a name that it binds at
    import."""
    todo, seen, places = [change], set(), set()
    while todo:
        path, line = place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        *above, statement = _around(trees[path], line)
        if isinstance(statement, ast.FunctionDef):  # in its decorators or defaults
            places.add((path, _begin(statement.body[bool(ast.get_docstring(statement)) :][0])))
        if any(isinstance(node, ast.FunctionDef) for node in above):
            places.add((path, _probe_line([*above, statement])))
        elif isinstance(statement, ast.FunctionDef):
            continue
        elif names := _bound(statement):
            todo += [user for name in names for user in users[name]]
        else:
            todo += [(path, n.body[-1].lineno) for n in ast.walk(trees[path]) if isinstance(n, ast.FunctionDef)]
    return places


def _around(tree: ast.AST, line: int) -> list[ast.stmt]:
    """The statements around a line, the outermost first."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ExceptHandler | ast.match_case):
            if inner := _around(node, line):
                return inner
        elif isinstance(node, ast.stmt) and _begin(node) <= line <= (node.end_lineno or 0):
            return [node, *_around(node, line)]
    return []


def _begin(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def _probe_line(around: list[ast.stmt]) -> int:
    """The line before which the probe of the innermost statement goes; for an `elif` it is that of its `if`."""
    *above, node = around
    while above and isinstance(node, ast.If) and isinstance(above[-1], ast.If):
        if above[-1].orelse != [node] or above[-1].col_offset != node.col_offset:
            break
        node = above.pop()
    return _begin(node)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)}


def _users(trees: Mapping[str, ast.Module]) -> Mapping[str, set[Place]]:
    """{name: places of its uses}."""
    users: dict[str, set[Place]] = defaultdict(set)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                users[node.id].add((path, node.lineno))
            elif isinstance(node, ast.Attribute):
                users[node.attr].add((path, node.lineno))
    return users


# --- in the processes that run tests ---------------------------------------------------------------

_numbers: set[int] = set()
_failed: set[str] = set()
_kept: dict[Any, set[int]] = {}
"""{fixture that was set up: the faults that this reached}"""


builtins._reached = _numbers.update  # type: ignore[attr-defined]


@contextlib.contextmanager
def _apart() -> Iterator[set[int]]:
    """The set of faults reached in the block; they also count for the test around it."""
    before, inside = _numbers.copy(), set[int]()
    _numbers.clear()
    try:
        yield inside
    finally:
        inside.update(_numbers)
        _numbers.update(before)


def _told(maxsize: Any = 128, typed: bool = False) -> Any:
    """`functools.lru_cache` in which every call reaches the faults that the first call reached."""
    if callable(maxsize):
        return _told()(maxsize)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if function.__module__.partition(".")[0] not in ("fnet", "params", "compare", "train_keras"):
            return lru_cache(maxsize, typed)(function)

        @lru_cache(maxsize, typed)
        def known(*args: Any, **options: Any) -> tuple[Any, set[int]]:
            with _apart() as inside:
                return function(*args, **options), inside

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            y, inside = known(*args, **options)
            _numbers.update(inside)
            return y

        vars(call).update(cache_clear=known.cache_clear, cache_info=known.cache_info)
        return call

    return decorate


if FOLDER in os.environ:
    functools.lru_cache, functools.cache = _told, _told(maxsize=None)  # type: ignore[assignment]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[Any]:
    with _apart() as inside:
        y = yield
    _kept[fixturedef] = inside
    return y


def pytest_collection_finish() -> None:
    """Write the faults that imports and collection reached as a line without a test name."""
    _write("", 0.0)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _numbers.clear()
    begin = time.process_time()
    try:
        return (yield)
    finally:
        fixtures = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
        _numbers.update(*(_kept.get(made, ()) for each in fixtures.values() for made in each))
        if item.nodeid not in _failed:
            _write(item.nodeid, time.process_time() - begin)


def _write(name: str, seconds: float) -> None:
    with Path(os.environ[FOLDER], str(os.getpid())).open("a") as file:
        print(json.dumps((name, seconds, sorted(_numbers))), file=file)


# --- what they wrote -------------------------------------------------------------------------------


def tests_of(folder: Path) -> Mapping[int, dict[str, float]]:
    """{fault: {test that passes and reaches it: its CPU seconds}}: first the quickest case of each test function, then
    the second ones, and so on; the test "" where imports or collection reach it."""
    rows = [json.loads(line) for file in folder.iterdir() for line in file.read_text().splitlines()]
    ranked: dict[int, list[tuple[int, float, str]]] = defaultdict(list)
    same: Counter[tuple[int, str]] = Counter()
    for name, seconds, numbers in sorted(rows, key=lambda row: row[1]):
        for number in numbers:
            function = number, name.partition("[")[0]
            ranked[number].append((same[function], seconds, name))
            same[function] += 1
    return {number: {name: seconds for _, seconds, name in sorted(tests)} for number, tests in ranked.items()}
