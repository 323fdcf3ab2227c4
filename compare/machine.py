"""The machine of a measurement, and the versions of the packages that were measured."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata


def describe() -> str:
    """One line: architecture, cores, Python."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def gpu() -> str:
    """The name of the first GPU, from NVIDIA's driver.

    Raises FileNotFoundError where the driver is not installed.
    """
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """{package: version} of the packages that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
