"""The examples in the README and in docstrings run and print what they say."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from fnet import backend
from tests.mutants import PACKAGES
from tests.public import NAMES

ROOT = Path(__file__).parent.parent
FILES = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py")) if ">>>" in path.read_text()]
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    own = [o for o in vars(module).values() if callable(o) and getattr(o, "__module__", "") == name]
    for function in (module, *own):
        names = {**NAMES, **vars(module), "np": np}
        for example in finder.find(function, getattr(function, "__name__", name), globs=names):
            said = []
            assert runner.run(example, out=said.append).failed == 0, "".join(said)


PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_pages(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    with backend.using("jax" if page == "docs/howto-jax.md" else "numpy"):
        assert doctest.testfile(page, module_relative=False).failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_links_of_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text("utf-8"))
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    assert [page for page in PAGES if page.startswith("docs/") and f"({page[5:]})" not in index] == ["docs/README.md"]
