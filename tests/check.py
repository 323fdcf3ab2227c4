"""A minute of tests for people in the middle of work: `make check`, `python -m tests.check --help`.

The changes since a commit (`--since`, by default where the branch left main) select the test files: those that
changed themselves, and those of changed modules (`tests.mutants.PLACES`). Their fast tests that need no JAX run, the
cases of layers in a changed module first, until the time is up; tests that were left out are counted. The directions of
imports are always tested. `make test` runs everything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import mutants

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = ("test_architecture",)
CHANGED, SECONDS, END = "FNET_CHECK_CHANGED", "FNET_CHECK_SECONDS", "FNET_CHECK_END"
"""Environment variables of the processes of a run: the changed files, how long tests run, and when the time is up."""


def changed(since: str | None) -> list[str]:
    """Paths of files that differ from a commit, including files that are not yet in git."""

    def git(*words: str) -> list[str]:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")

    base = since or git("merge-base", "HEAD", "main")[0]
    paths = [*git("diff", "--name-only", base), *git("ls-files", "--others", "--exclude-standard")]
    return sorted({path for path in paths if path and (ROOT / path).exists()})


def files_for(paths: list[str]) -> list[str]:
    """The test files for changed paths, those that changed themselves first."""
    own = [Path(path).stem for path in paths if path.startswith("tests/test_")]
    tables = ["test_cases", "test_telling"] if any(path.startswith("tests/cases/") for path in paths) else []
    sources = [path for path in paths if path.endswith(".py") and path.startswith(mutants.PACKAGES)]
    belonging = [names for path in sources for start, names in mutants.PLACES.items() if path.startswith(start)]
    named = [f"test_{name}" for names in belonging for name in names.split()]
    return [f"tests/{name}.py" for name in dict.fromkeys([*ALWAYS, *own, *tables, *named])]


# --- in the processes that run tests ---------------------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that need JAX; cases of changed layers come first, then changed tests. The time begins now: where
    it began earlier, a busy machine could spend it all before the first test."""
    os.environ[END] = str(time.time() + float(os.environ[SECONDS]))
    paths = os.environ[CHANGED].split("\n")
    config.hook.pytest_deselected(items=[item for item in items if _needs_jax(item)])
    items[:] = sorted((item for item in items if not _needs_jax(item)), key=lambda item: _rank(item, paths))


def _needs_jax(item: pytest.Item) -> bool:
    return "jax" in item.nodeid or "on_both_backends" in item.nodeid


def _rank(item: pytest.Item, paths: list[str]) -> int:
    case = getattr(item, "callspec", None) and item.callspec.params.get("case")  # type: ignore[attr-defined]
    layer = getattr(case, "layer", None)
    if layer is not None and f"{layer.__module__.replace('.', '/')}.py" in paths:
        return 0
    return 1 if item.location[0] in paths or Path(item.location[0]).stem in ALWAYS else 2


def pytest_runtest_setup(item: pytest.Item) -> None:
    """No test starts once the time is up."""
    if time.time() > float(os.environ[END]):
        pytest.skip("the time is up; make test runs all")


# --- the command -----------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="make check", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--since", metavar="COMMIT", help="what counts as changed (default: since the branch left main)"
    )
    parser.add_argument("--seconds", type=float, default=45, help="how long tests begin (default: %(default)s)")
    args = parser.parse_args()
    paths = changed(args.since)
    files = files_for(paths)
    print(f"{len(paths)} changed files: {' '.join(files)}", flush=True)
    os.environ |= {CHANGED: "\n".join(paths), SECONDS: str(args.seconds)}
    command = ["-q", "-p", "tests.check", "-m", "not slow", "-n", "2", "--dist", "worksteal", *files]
    return subprocess.run([sys.executable, "-m", "pytest", *command], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
