"""Updates the tables of docs/performance.md from docs/results/speed-*.json, copies of the output of `make bench`.

    python benchmarks/page.py

Columns of earlier runs, such as those of an earlier fnet, are not changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
RUNS = ROOT / "docs" / "results"


def cells() -> dict[str, dict[str, Any]]:
    """{name: cell} of the committed runs with at least one peer."""
    runs = [json.loads(file.read_text("utf-8")) for file in sorted(RUNS.glob("speed-*.json"))]
    return {cell["cell"]: cell for run in runs for cell in run["cells"] if cell["peer"]}


def columns(cell: dict[str, Any]) -> dict[str, str]:
    """{column of the table: text of the cell}: ratios to the fastest peer other than LiteRT, the better one in bold."""
    times = cell["best ms"]
    ours = {name: times[f"fnet {name}"] for name in ("numpy", "jax")}
    peer = min((name for name in times if not name.startswith(("fnet", "litert"))), key=times.__getitem__)
    fastest = min(ours.values())
    numpy, jax = (f"{times[peer] / t:.2f}" if t > fastest else f"**{times[peer] / t:.2f}**" for t in ours.values())
    litert = f"{times['litert'] / fastest:.2f}" if "litert" in times else "-"
    return {"fnet on NumPy": numpy, "fnet on JAX": jax, "fastest peer": peer, "to LiteRT": litert}


def renewed(text: str) -> str:
    """The page with the numbers of the committed runs."""
    known, head, lines = cells(), [], []
    for line in text.splitlines():
        row = [entry.strip() for entry in line.strip("|").split("|")]
        head = row if row[0] == "cell" else head
        if line.startswith("| ") and row[0] in known:
            row = [columns(known[row[0]]).get(name, entry) for name, entry in zip(head, row, strict=True)]
            line = f"| {' | '.join(row)} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
