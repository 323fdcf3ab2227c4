"""The examples in the README and in the docstrings of layers run and print what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import fnet
import fnet.layers
from tests.public import NAMES

MODULES = [f"fnet.layers.{info.name}" for info in pkgutil.iter_modules(fnet.layers.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    own = [o for o in vars(module).values() if callable(o) and getattr(o, "__module__", "") == name]
    for function in own:
        names = {**NAMES, **vars(module), "np": np}
        for example in finder.find(function, getattr(function, "__name__", name), globs=names):
            said = []
            assert runner.run(example, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("page", ["README.md", "docs/predict.md", "docs/weights-only.md"])
def test_pages(page, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent)
    assert doctest.testfile(page, module_relative=False).failed == 0
