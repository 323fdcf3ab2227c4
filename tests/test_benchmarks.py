"""The benchmarks: directions of ratios, files that know their source, and one cell measured from end to end."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import harness

    return harness


def test_a_ratio_is_the_time_of_the_fastest_peer_or_of_an_earlier_fnet_by_ours(harness):
    table = harness.contenders(["fnet numpy", "onnxruntime", "tensorflow"], ROOT)
    times = {"fnet numpy": [0.3, 0.2], "onnxruntime": [0.1, 0.4], "tensorflow": [0.5], "fnet numpy before": [0.8]}
    line = harness.entry(harness.Cell("c", int, int, 4), times, table)
    assert line["peer"] == "onnxruntime"
    assert line["ratio"] == pytest.approx({"peer / fnet numpy": 0.5, "before / fnet numpy": 4.0})
    assert line["best ms"]["fnet numpy"] == pytest.approx(200)
    assert line["median ms"]["onnxruntime"] == pytest.approx(250)


def test_contenders_whose_outputs_differ_are_not_timed(harness):
    class Answers:
        def __init__(self, y):
            self.y = y

        def send(self, order):
            assert not isinstance(order, float), "timed"

        def recv(self):
            return self.y

    cell = harness.Cell("c", harness.main, lambda n: np.zeros((n, 1)), 2)
    with pytest.raises(SystemExit, match=r"c: b and a differ by 0\.001"):
        harness.measure(cell, {"a": Answers(np.ones(3)), "b": Answers(np.array([1, 1, 1.001]))}, 1.0)


def test_cells_have_names_of_their_own_rows_that_repeat_and_files_that_options_tell_apart(harness):
    import applications
    import layers
    import loading
    import models
    import sizes

    cells = [*models.CELLS, *loading.CELLS, *sizes.CELLS, *applications.CELLS, *layers.CELLS]
    assert len({cell.name for cell in cells}) == len(cells)
    for cell in [*models.CELLS, *sizes.CELLS]:
        x = cell.rows(cell.count)
        assert len(x) == cell.count, cell
        assert np.array_equal(x, cell.rows(cell.count)), cell
    files = {cell.name: cell.file.name for cell in cells}
    assert files["lstm real 1"] == files["lstm full 32"] != files["rnn real 1"]
    assert files["max pool 2x2 32x32x32x32"] != files["max pool 2x2 1x112x112x64"]


def test_real_rows_have_the_lengths_that_are_committed(harness):
    import models

    lengths = np.count_nonzero(models.real(400), axis=1)
    assert 23 <= lengths.mean() < 24
    assert lengths.tolist() == [int(word) for word in models.LENGTHS.read_text("utf-8").split()]
    assert np.all(models.full(8) > 0)


@pytest.mark.slow
def test_a_cell_is_measured_from_end_to_end(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "models.py", "--only", "mlp 1", "--seconds", "0.05"]
    subprocess.run([*command, "--json", tmp_path / "out.json", "--before", ROOT], check=True, capture_output=True)
    found = json.loads((tmp_path / "out.json").read_text("utf-8"))
    (line,) = found["cells"]
    assert line["peer"] in line["best ms"]
    assert set(line["ratio"]) >= {"peer / fnet numpy", "before / fnet numpy"}
    assert found["versions"]["numpy"] == np.__version__
    assert "cores" in found["machine"]


def test_the_performance_page_says_what_the_committed_runs_say(harness):
    import page

    text = page.PAGE.read_text("utf-8")
    assert page.renewed(text) == text
    assert all(f"| {name} |" in text for name in page.cells())
    assert len(page.cells()) > 20
