"""What each layer becomes elsewhere: the first row of the table of layers of every layer, in each format.

    python -m tests.exported --seconds 600    # go on with docs/exports.json, a layer after the other
    python -m tests.exported --page           # docs/exports.md from it

ONNX runs in ONNX Runtime and StableHLO in JAX, and both are compared with fnet before they are written; what is written
for Keras is loaded by Keras in `tests/test_to_keras.py`, and the bridges are run in `tests/test_bridges.py`.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from fnet import tree
from params.bridges.layouts import EQUINOX, FLAX, TORCH
from tests.cases import Case, all_cases

DOCS = Path(__file__).parent.parent / "docs"
ROWS = DOCS / "exports.json"
LIMIT = 180
"""Seconds for one conversion."""

WRITERS = {"Keras": fnet.to_keras, "StableHLO": fnet.to_stablehlo, "ONNX": fnet.to_onnx}
SUFFIXES = {"Keras": ".keras", "StableHLO": ".stablehlo", "ONNX": ".onnx"}
BRIDGES = {"PyTorch": TORCH, "flax.nnx": FLAX, "Equinox": EQUINOX}
KINDS = {
    "takes strings": "strings",
    "off by": "other values",
    "cannot be converted": "not converted",
    "does not run": "does not run",
    "which no file of Keras 3": "no such layer",
}
"""What a refusal says, in a word of the table."""

HEAD = """# What can be exported: layer by layer

Made by `python -m tests.exported`: of every layer, the first row of the table in `tests/cases`, as a model with a free
number of rows. "yes" is a file that was written after its outputs were compared with fnet's; everything else is the
refusal (`fnet.ExportError`), and nothing is written then. {count}
Run with JAX 0.10.2, jax2onnx 0.17.1 and ONNX Runtime 1.32.0 on x86-64.

| word | what it means |
|---|---|
| no | refused: a file of Keras 3 cannot say it |
| strings | the layer takes strings, which no array program does |
| other values | what the other runtime computes is farther off than the yardstick allows |
| not converted, does not run | `jax.export`, jax2onnx or ONNX Runtime cannot |
| – | not run yet; for PyTorch, flax.nnx, Equinox: there is no bridge |

A layer may be "yes" with the options of its first row and be refused with others, by name. The golden files of Keras 3
go back to Keras in `tests/test_to_keras.py`. [howto-export.md](howto-export.md) shows how to export.

"""


def specs_of(x):
    """What a model takes that is fed with `x`, any number of rows."""
    text = {"O": "string", "U": "string", "S": "string"}
    return tree.map(lambda a: fnet.Spec((None, *a.shape[1:]), text.get(a.dtype.kind, str(a.dtype))), x)


def model_of(case: Case):
    """(model of one layer, drawn params, what it takes)."""
    model = fnet.sequential([("layer", case.step)])
    takes = specs_of(tree.map(np.asarray, case.inputs()))
    rng = np.random.default_rng(1)

    def draw(param):
        shape = tuple(3 if d is None else d for d in param.shape)
        if "float" not in param.dtype:
            return rng.integers(0, 2, shape).astype(param.dtype)
        made = np.abs(rng.standard_normal(shape)).astype("float32" if param.dtype == "bfloat16" else param.dtype)
        return (made.view("u4") & 0xFFFF0000).view("f4") if param.dtype == "bfloat16" else made

    params = {"layer": case.params} if case.params is not None else None
    return model, params or tree.map(draw, fnet.infer(model, takes)[1]), takes


def cases() -> dict[str, Any]:
    """{layer: its first row}, of the layers that files have: what `fnet.optimize` makes is left out."""
    first: dict[str, Any] = {}
    for case in all_cases():
        if case.plain is None:
            first.setdefault(case.layer.__name__, case)
    return dict(sorted(first.items()))


def outcome(case: Any, kind: str) -> str:
    """ "yes", or what the refusal says."""
    model, params, takes = model_of(case)
    shapes = takes if isinstance(takes, tuple) else (takes,)
    signal.alarm(LIMIT)
    try:
        with tempfile.TemporaryDirectory() as folder:
            WRITERS[kind](model, params, Path(folder) / f"m{SUFFIXES[kind]}", *shapes)
    except (fnet.ExportError, fnet.InvalidInput) as error:
        return str(error)[:300]
    finally:
        signal.alarm(0)
    return "yes"


def too_long(*_: Any) -> None:
    """What the alarm does."""
    raise TimeoutError(f"not done after {LIMIT} s")


def run(seconds: float, kinds: list[str]) -> None:
    """Fill in what is missing until the time is over."""
    signal.signal(signal.SIGALRM, too_long)
    rows = json.loads(ROWS.read_text("utf-8")) if ROWS.exists() else {}
    end = time.monotonic() + seconds
    for kind in kinds:
        for name, case in cases().items():
            if time.monotonic() > end:
                return
            if kind not in rows.setdefault(name, {}):
                rows[name][kind] = outcome(case, kind)
                ROWS.write_text(json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
                print(f"{name}: {kind}: {rows[name][kind][:100]}", flush=True)


def cell(said: str | None) -> str:
    """The word of the table for an outcome."""
    if said is None or said == "yes":
        return said or "–"
    return next((word for part, word in KINDS.items() if part in said), "no").replace("no such layer", "no")


def page() -> str:
    """docs/exports.md."""
    rows = json.loads(ROWS.read_text("utf-8"))
    counts = (
        f"{kind}: {sum(row.get(kind) == 'yes' for row in rows.values())} of {sum(kind in row for row in rows.values())}"
        for kind in WRITERS
    )
    lines = ["| layer | " + " | ".join([*WRITERS, *BRIDGES]) + " |", "|---" * (1 + len(WRITERS) + len(BRIDGES)) + "|"]
    for name, case in cases().items():
        ours = [cell(rows.get(name, {}).get(kind)) for kind in WRITERS]
        bridges = ["yes" if case.layer in layouts else "–" for layouts in BRIDGES.values()]
        lines.append("| " + " | ".join([f"`{name}`", *ours, *bridges]) + " |")
    return HEAD.format(count=f"Written, of those run: {', '.join(counts)}.") + "\n".join(lines) + "\n"


def main() -> None:
    """Run or write, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--to", nargs="*", choices=WRITERS, default=list(WRITERS))
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    if args.page:
        (DOCS / "exports.md").write_text(page(), "utf-8")
    else:
        run(args.seconds, args.to)


if __name__ == "__main__":
    main()
