"""`fnet doctor`: what makes fnet slow or incomplete on this machine, and what to do about it."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fnet.records import dataclass

HELP = "what holds this machine back"
DESCRIPTION = """The state of this machine for fnet: what is in order, and what makes it slow or stops a command,
with the remedy."""
EPILOG = "example:\n  fnet doctor"
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
OPTIONAL = {
    "PIL": ("images", "images on the command line"),
    "pyarrow": ("parquet", "Parquet files"),
    "jax": ("jax", "FNET_BACKEND=jax"),
    "keras": ("keras", "fnet compare, fnet train, fnet demo"),
    "jax2onnx": ("onnx", "export to ONNX"),
    "shtab": ("completion", "fnet completion"),
}
"""{package: (extra that brings it, what needs it)}."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    what: str
    found: str
    remedy: str = ""
    """What to do, or ""."""
    hinders: bool = False
    """Whether it is a hindrance; a package that is not installed is not."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="the same as JSON")


def run(args: argparse.Namespace) -> int:
    results = list(findings())
    if args.json:
        print(json.dumps([asdict(finding) for finding in results], indent=1))
    else:
        width = max(len(finding.what) for finding in results)
        for finding in results:
            mark = "!" if finding.hinders else "-" if finding.remedy else " "
            remedy = f": {finding.remedy}" if finding.remedy else ""
            print(f"{mark} {finding.what:<{width}}  {finding.found}{remedy}")
        count = sum(finding.hinders for finding in results)
        things = {0: "Nothing holds", 1: "1 thing (!) holds"}.get(count, f"{count} things (!) hold")
        print(f"\n{things} this machine back.")
    return 0


def findings() -> Iterator[Finding]:
    """All findings."""
    yield from _versions()
    yield from _processors()
    yield from _backend()
    for package, (extra, what) in OPTIONAL.items():
        there = importlib.util.find_spec(package) is not None
        remedy = "" if there else f"for {what}: pip install 'fnet-layers[{extra}]'"
        yield Finding(package, "installed" if there else "not installed", remedy)


def _versions() -> Iterator[Finding]:
    import numpy as np

    import fnet

    yield Finding("fnet", f"{fnet.__version__} in {Path(fnet.__file__).parent}")
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()} {sys.platform}"
    yield Finding("Python", python)
    yield Finding("NumPy", np.__version__)


def _processors() -> Iterator[Finding]:
    from fnet.inference import processors

    whole, allowed, used = os.cpu_count() or 1, processors.allowed(), processors.count()
    few = "an affinity or the quota of the container keeps the others away" if allowed < whole else ""
    yield Finding("processors", f"{allowed} of {whole}", few, allowed < whole)
    variables = {name: os.environ[name] for name in THREADS if os.environ.get(name)}
    words = "".join(f", {name}={value}" for name, value in variables.items())
    if not processors.settable():
        remedy = "the threads of this BLAS cannot be set, so predict runs in one; NumPy's own wheels bring OpenBLAS"
    else:
        remedy = f"unset {' and '.join(variables)} to use all {allowed}" if used < allowed and variables else ""
    yield Finding("BLAS", _blas())
    yield Finding("threads", f"predict uses {used}{words}", remedy, bool(remedy))
    if missing := _missing_instructions(Path("/proc/cpuinfo")):
        yield Finding("instructions", f"no {missing}", "products of matrices are several times slower here", True)


def _blas() -> str:
    """Name and version of the BLAS that NumPy was built with."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _missing_instructions(cpuinfo: Path) -> str:
    """Which of AVX2 and FMA an x86 on Linux lacks."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), None)
    return "" if flags is None else " and ".join(name.upper() for name in ("avx2", "fma") if name not in flags)


def _backend() -> Iterator[Finding]:
    from fnet import backend

    yield Finding("backend", backend.name())
    if backend.name() == "jax":
        devices = [str(device) for device in importlib.import_module("jax").devices()]
        slow = all("cpu" in device.lower() for device in devices)
        yield Finding("JAX devices", ", ".join(devices), "JAX sees no GPU or TPU" if slow else "")
