"""The fuzzer tells wrong results from right ones, and in a short run finds none."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from params import CorruptFile
from tests import fuzz


def refuse(data):
    raise CorruptFile("x" * len(data))


@pytest.mark.parametrize(("load", "data", "wrong"), [
    (bytes, b"", None), (refuse, b"1", None), (refuse, b"1" * 1001, "a message of 1001"),
    (lambda data: 1 // 0, b"", "ZeroDivisionError"), (lambda data: np.ones(12 << 20), b"", "MiB"),
    (lambda data: np.ones(12 << 20), b"1" * (2 << 20), None),
    (lambda data: sum(range(10**7)), b"", "seconds"),
])  # fmt: skip
def test_what_counts_as_a_finding(load, data, wrong, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 60 if wrong != "seconds" else 0.01)  # a busy machine may be slow
    monkeypatch.setattr(fuzz, "MEMORY", 64 << 20)
    found = fuzz.outcome(load, data)
    assert found is None if wrong is None else wrong in found


@pytest.mark.slow
@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_a_short_run_finds_nothing(target, tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", target, "--seconds", "20", "--keep", str(tmp_path)]
    run = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 findings" in run.stdout
