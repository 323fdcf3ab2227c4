"""`make check`: the tests that it selects, their order, and that it ends in time."""

import subprocess
import time
from types import SimpleNamespace

import pytest

import fnet
from tests import check


def item(nodeid, **params):
    callspec = SimpleNamespace(params=params)
    return SimpleNamespace(nodeid=nodeid, location=(nodeid.split("::")[0], 1, ""), callspec=callspec)


def test_the_files_of_a_change_are_its_own_and_those_of_its_module():
    paths = ["fnet/layers/norms.py", "tests/test_text.py", "docs/layers.md"]
    files = check.files_for(paths)
    assert files[:2] == ["tests/test_architecture.py", "tests/test_text.py"]
    assert {"tests/test_cases.py", "tests/test_telling.py"} <= set(files)
    assert "tests/test_store.py" not in files
    assert check.files_for(["docs/layers.md"]) == ["tests/test_architecture.py"]
    assert "tests/test_cases.py" in check.files_for(["tests/cases/core.py"])


def test_what_needs_jax_is_left_out_and_rows_of_changed_layers_come_first(monkeypatch):
    monkeypatch.setenv(check.CHANGED, "fnet/layers/norms.py\ntests/test_text.py")
    monkeypatch.setenv(check.SECONDS, "60")
    monkeypatch.setenv(check.END, "0")  # before any of them was known
    rows = [
        item(f"tests/test_cases.py::row[{layer.__name__}]", case=SimpleNamespace(layer=layer))
        for layer in (fnet.dense, fnet.batch_normalization)
    ]
    items = [*rows, item("tests/test_x.py::t[jax]"), item("tests/test_text.py::t")]
    left_out = []
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: left_out.extend(items)))
    check.pytest_collection_modifyitems(config, items)
    assert [i.nodeid.split("::")[1] for i in items] == ["row[batch_normalization]", "t", "row[dense]"]
    assert [i.nodeid for i in left_out] == ["tests/test_x.py::t[jax]"]
    check.pytest_runtest_setup(items[0])  # the time begins when the tests are collected


def test_nothing_begins_once_the_time_is_up(monkeypatch):
    monkeypatch.setenv(check.END, str(time.time() + 60))
    check.pytest_runtest_setup(item("tests/test_x.py::t"))
    monkeypatch.setenv(check.END, str(time.time() - 1))
    with pytest.raises(pytest.skip.Exception, match="make test"):
        check.pytest_runtest_setup(item("tests/test_x.py::t"))


def test_changes_are_those_since_a_commit_and_new_files(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path, check=True)

    monkeypatch.setattr(check, "ROOT", tmp_path)
    git("init", "-q", "-b", "main")
    for name in ("same", "edited", "removed"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "edited").write_text("2")
    (tmp_path / "removed").unlink()
    (tmp_path / "new").write_text("3")
    assert check.changed(None) == check.changed("HEAD") == ["edited", "new"]
