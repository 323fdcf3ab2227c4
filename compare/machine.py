"""What a measurement was made on: the machine, and the versions of what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata


def describe() -> str:
    """One line: architecture, cores, Python."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """{package: version} of those that are installed."""
    return {name: version for name in packages if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
