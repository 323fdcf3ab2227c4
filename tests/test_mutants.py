"""`make mutants` judges rightly: in a small project whose faults are known."""

import shutil
import subprocess

import pytest

from tests import mutants

CODE = """
import functools
LIMITS = {"side": 7, "edge": 8}
assert LIMITS["edge"] == 8


def area(a, b):
    return a * b


def inside(a):
    return a < LIMITS["side"]


def positive(a):
    return abs(a) if a > 0 else 0


def after(a):
    return a + 1


def before(a):
    return a - 1


@functools.lru_cache
def once(a):
    return a * 2


def made(a):
    return a * 3


def kept(a):
    return sorted(a, reverse=False)


def elsewhere(a):
    return a % 3


def made_at_import():
    def apply(a, factor=5):
        return a * factor

    return apply


def signed():
    sign = -1
    return lambda a: sign * a


times5, negative = made_at_import(), signed()
"""

TESTS = """
import subprocess
import sys

import pytest
from fnet import records


def test_fails_for_itself():
    assert records.positive(1) == records.inside(1) == 2


def test_values():
    assert records.area(2, 3) == 6 and records.inside(1) and records.positive(2) == 2 and records.before(1) == 0


@pytest.fixture(scope="module")
def made():
    return records.made(records.once(3))


def test_one_of_what_is_made_once(made):
    assert made


def test_other_of_what_is_made_once(made):
    assert (made, records.once(3)) == (18, 6)


def test_a_source():
    assert "reverse=False" in open(records.__file__).read()


def test_in_another_process():
    words = [sys.executable, "-c", "from fnet import records; print(records.elsewhere(5))"]
    assert subprocess.run(words, capture_output=True, text=True).stdout == "2\\n"


def test_what_imports_made():
    assert (records.times5(2), records.negative(2)) == (10, -2)


@pytest.mark.slow
def test_fails_for_itself_slowly():
    assert records.positive(1) == 2


@pytest.mark.slow
def test_edge():
    assert not records.inside(7)
"""

SURVIVES = [("fast", "survived", ""), ("slow", "survived", "")]
KNOWN = {
    "a * b  ->  ((a) / (b))": [("fast", "found", "test_values")],
    "a < LIMITS[\"side\"]  ->  ((a) <= (LIMITS['side']))": [("fast", "survived", ""), ("slow", "found", "test_edge")],
    "abs(a)  ->  (a)": SURVIVES,  # equivalent
    "a + 1  ->  ((a) - (1))": SURVIVES,  # no test calls it: those of its place run
    "8  ->  (8 + 1)": [("fast", "found", "imports and collection")],
    "a * 2  ->  ((a) / (2))": [("fast", "found", "test_other_of_what_is_made_once")],
    "a * 3  ->  ((a) / (3))": [("fast", "found", "test_other_of_what_is_made_once")],
    "False  ->  True": [("fast", "found", "test_a_source")],  # which fails with a switch, too
    "a % 3  ->  ((a) // (3))": [("fast", "found", "test_in_another_process")],
    "5  ->  (5 + 1)": [("fast", "found", "test_what_imports_made")],
    "-1  ->  (1)": [("fast", "found", "test_what_imports_made")],
    "a - 1  ->  a - 2": [("fast", "found", "test_values")],  # without a switch
}
"""{a fault: (suite, how it ends there, by which test)}."""


@pytest.mark.slow
def test_faults_end_as_they_should(tmp_path, monkeypatch):
    project, copy = tmp_path / "project", tmp_path / "copy"
    for folder in ("fnet", "tests"):
        (project / folder).mkdir(parents=True)
    for name in ("__init__", "judging", "reach"):
        shutil.copy(mutants.ROOT / f"tests/{name}.py", project / "tests")
    (project / "fnet/__init__.py").touch()
    (project / "fnet/records.py").write_text(CODE)
    (project / "tests/test_records.py").write_text(TESTS)
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "add", "."], cwd=project, check=True)
    monkeypatch.setattr(mutants, "ROOT", project)
    monkeypatch.setattr(mutants, "READERS", ("tests/test_records.py::test_a_source",))

    place = "fnet/records.py"
    faults = {fault.shown(CODE.encode()).partition("] ")[2]: fault for fault in mutants.faults_of(place, CODE.encode())}
    at = CODE.index("a - 1")
    by_hand = mutants.Fault(place, CODE[:at].count("\n") + 1, "by hand", at, at + len("a - 1"), "a - 2")
    faults["a - 1  ->  a - 2"] = by_hand
    chosen = {n: faults[shown] for n, shown in enumerate(KNOWN)}
    switches = mutants.scratch_copy(copy, chosen)
    assert switches == set(range(11))
    got = {shown: [] for shown in KNOWN}
    for suite, (n, word, test) in mutants.ends(copy, chosen, switches, mutants.reached(copy, 1), slow=True):
        got[[*KNOWN][n]].append((suite, word, test.rpartition("::")[2]))
    assert got == KNOWN


def test_every_fault_by_hand_fits_the_code():
    assert len(mutants.by_hand()) == len(mutants.TELLING)
