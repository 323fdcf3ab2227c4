"""The wheel: `params`, `compare` and `train_keras` are carried inside `fnet`, so that fnet owns one import name.

In the checkout they are top-level packages. In the wheel they are `fnet.params`, ..., and what names them is rewritten
by one rule, a line at a time (`inside`). Everything else is copied as it is; an editable install is the checkout.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("fnet", "params", "compare", "train_keras")
CARRIED = "|".join(PACKAGES[1:])
RULE = [
    (rf"^(\s*(?:>>> )?from )(?=(?:{CARRIED})[\w.]* import )", r"\1fnet."),  # from params.errors import CorruptFile
    (rf"^(\s*(?:>>> )?)(?=import (?:{CARRIED})$)", r"\1from fnet "),  # import params
    (rf'"(?=(?:{CARRIED})(?:\.\w+)+")', '"fnet.'),  # "compare.worker", for import_module and `python -m`
]


def inside(source: str) -> str:
    """The text of a module, with the carried packages under their names in the wheel."""
    for pattern, replacement in RULE:
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
    return source


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts the four folders into the wheel as the one package `fnet`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the tree of the wheel to a folder of its own, and have the builder take it from there."""
        if version == "editable":
            return
        self.folder = tempfile.mkdtemp()
        for package in PACKAGES:
            target = Path(self.folder) / ("" if package == "fnet" else package)
            shutil.copytree(
                Path(self.root) / package, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
            )
        for file in Path(self.folder).rglob("*.py*"):
            file.write_bytes(inside(file.read_bytes().decode()).encode())
        build_data["force_include"][self.folder] = "fnet"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Take the folder away again."""
        if version != "editable":
            shutil.rmtree(self.folder)
