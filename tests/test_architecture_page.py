"""docs/architecture.md: its names exist, its journeys are run in that order, its picture is whole."""

import ast
import re
from pathlib import Path

import pytest

import fnet
from benchmarks.journeys import traced
from tests.golden.archives import NEWEST, golden, npz

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAME_IN_FILE = re.compile(r"`(\w+)`\s+in\s+`([\w/]+\.py)`")


def names_of(path):
    """The names that a file defines, at the top level or in a class."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [t for node in assigned for t in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return defined | {t.id for t in targets if isinstance(t, ast.Name)}


def section(title):
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_file_and_name_on_the_page_exists():
    files = re.findall(r"`([\w/]+/[\w/]*\.py)`", PAGE)
    assert len(files) > 20
    assert [file for file in files if not (ROOT / file).is_file()] == []
    pairs = NAME_IN_FILE.findall(PAGE)
    assert len(pairs) > 20
    assert [f"{name} in {file}" for name, file in pairs if name not in names_of(file)] == []


def test_every_file_that_contributing_names_exists():
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    files = re.findall(r"`((?:fnet|params|tests|compare|docs|benchmarks)/[\w/.]+)`", page)
    assert len(files) > 10
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert [n for n, file in re.findall(r"`(\w+)` of `([\w/]+\.py)`", page) if n not in names_of(file)] == []


def test_the_picture_shows_every_folder_and_module_of_fnet_and_params_and_nothing_else():
    shown, package = {}, ""
    for line in section("The folders").split("```")[1].splitlines()[1:]:
        indent, names = re.match(r"( *)(\S+(?: \S+)*)", line).groups()
        if not indent:
            package = names.strip("/")
        else:
            shown.setdefault(package, set()).update(name.strip("/") for name in names.split())
    for package in ("fnet", "params"):
        folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert shown[package] == folders | {p.stem for p in (ROOT / package).glob("*.py") if p.stem[0] != "_"}


def calls_of(function):
    """(name, file) of our functions that a call runs, each once, in the order of their first call."""
    return [(name, file) for file, name in traced(function).calls]


@pytest.fixture(scope="module")
def cnn():
    return golden("cnn.keras"), npz(NEWEST, "cnn")["x0"]


def test_the_journey_of_a_file_is_made_in_this_order(cnn):
    follow("A file into params", calls_of(lambda: fnet.load_keras(cnn[0])), unordered={"open_file", "parse"})


def test_the_journey_of_a_batch_is_made_in_this_order(cnn):
    model, params = fnet.load_keras(cnn[0])
    follow(
        "A batch through a model",
        calls_of(lambda: fnet.predict(model, params, cnn[1])),
        unordered={"plan", "joined", "dense", "conv"},
    )


def follow(title, calls, unordered):
    """Assert that the names of a section are called, in the order of the page except for those in `unordered`."""
    pairs = NAME_IN_FILE.findall(section(title))
    assert len(pairs) > 7
    assert [pair for pair in pairs if pair not in calls] == []
    places = [calls.index(pair) for pair in pairs if pair[0] not in unordered]
    assert places == sorted(places), [calls[i] for i in places]
