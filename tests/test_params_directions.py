"""The directions of imports inside `params/`: its folders go one way. Circles: `tests/test_architecture.py`."""

from pathlib import Path

import pytest

from tests.test_architecture import imports

ROOT = Path(__file__).parent.parent
ORDER = [
    *("errors", "file", "output_sizes", "table", "convert", "assign", "loading", "store", "explaining", "bridges"),
    *("predicting", "__init__"),
]
"""Each may import itself and those before it."""
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "params").rglob("*.py")
}


def used(path: Path) -> set[str]:
    """The modules of params that a file imports, where `from params.file import hdf5` is params.file.hdf5."""
    names = [name for name in imports(path) if name.startswith("params")]
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def folder(module: str) -> int:
    return ORDER.index([*module.split("."), "__init__"][1])


@pytest.mark.parametrize("module", MODULES)
def test_folders_import_those_before_them(module):
    wrong = [name for name in used(MODULES[module]) if folder(name) > folder(module)]
    assert not wrong, f"{module} imports {wrong}"
