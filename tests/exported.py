"""Every case of the table of layers and every golden file, exported to each format.

    python -m tests.exported --seconds 600    # go on with docs/exports.json, layers with the fewest cases first
    python -m tests.exported --rows 1         # the first case of each layer that was not run
    python -m tests.exported --again dense    # forget the results of these layers
    python -m tests.exported --page           # write docs/exports.md from it

ONNX runs in ONNX Runtime and StableHLO in JAX. Both are compared with fnet before they are written, on drawn inputs,
and here on the inputs of the case too. Files for Keras are loaded by Keras in `tests/test_to_keras.py`; the bridges are
in `tests/test_bridges.py`: every case of the table crosses or is refused; one or two of each layer are run in the other
library.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import fnet
from fnet import tree, writing
from fnet.core.layer import bind
from fnet.export import load_onnx, load_stablehlo
from fnet.export.exactness import verdicts
from params.bridges.layouts import EQUINOX, FLAX, TORCH
from tests.cases import Case, all_cases
from tests.golden.on_device import models as files_of
from tests.golden.on_device import recorded

DOCS = Path(__file__).parent.parent / "docs"
SEEN = DOCS / "exports.json"
LIMIT = 180
"""Seconds of processor time for one conversion."""

WRITERS = {"Keras": fnet.to_keras, "StableHLO": fnet.to_stablehlo, "ONNX": fnet.to_onnx}
READERS = {"StableHLO": load_stablehlo, "ONNX": load_onnx}
SUFFIXES = {"Keras": ".keras", "StableHLO": ".stablehlo", "ONNX": ".onnx"}
BRIDGES = {"PyTorch": TORCH, "flax.nnx": FLAX, "Equinox": EQUINOX}
KINDS = {
    "takes strings": "strings",
    "off by": "other values",
    "cannot be converted": "not converted",
    "does not run": "does not run",
}
"""{part of a refusal: its word in the table}; "no" for others."""

Rows: TypeAlias = dict[str, Callable[[str], str]]
"""{case of a layer, or model of an archive: function that returns its outcome in a format}."""

HIDDEN = -9.0
"""The value of the steps that `masking` hides."""

HEAD = """# What can be exported: layer by layer

Made by `python -m tests.exported`: every row of the table in `tests/cases`, as a model with a free number of rows, with
its masks, and every golden file. "yes" is a file that was written for each of them after its outputs were compared with
fnet's, "3 of 5" for so many, "(first 1 of 5)" where not all rows were run; the rest is refused (`fnet.ExportError`) and
nothing is written then. The reasons are at the end of the page. {count}
Run with JAX 0.10.2, jax2onnx 0.17.1 and ONNX Runtime 1.32.0 on x86-64.

| word | what it means |
|---|---|
| no | refused: a file of Keras 3 cannot say it |
| strings | the layer takes strings or looks up tokens, which no array program does |
| other values | what the other runtime computes is farther off than the yardstick allows |
| not converted, does not run | `jax.export`, jax2onnx or ONNX Runtime cannot |
| – | not run yet; for PyTorch, flax.nnx, Equinox: there is no bridge |

Most refusals as Keras are files of Keras 2 and early 3 whose rules no file of today's Keras can say (its hard_sigmoid,
float32 of lookups, RandomCrop, layers that are gone). As ONNX, jax2onnx lacks what `mel_spectrogram` (a Fourier
transform), CLAHE (free sizes) and an RNN over a free number of steps would need.
[howto-export.md](howto-export.md) shows how to export.

"""


def specs_of(x):
    """The Specs of a model's inputs for the arrays `x`, with any number of rows."""
    text = {"O": "string", "U": "string", "S": "string"}
    return tree.map(lambda a: fnet.Spec((None, *a.shape[1:]), text.get(a.dtype.kind, str(a.dtype))), x)


def model_of(case: Case):
    """(model of one layer, drawn params, Specs of its inputs)."""
    model = fnet.sequential([("layer", case.step)])
    x = tree.map(np.asarray, case.inputs())
    takes = fnet.Spec(x.shape) if case.options.get("stateful") else specs_of(x)  # of batches of one size
    rng = np.random.default_rng(1)

    def draw(param):
        shape = tuple(3 if d is None else d for d in param.shape)
        if "float" not in param.dtype:
            return rng.integers(0, 2, shape).astype(param.dtype)
        made = np.abs(rng.standard_normal(shape)).astype("float32" if param.dtype == "bfloat16" else param.dtype)
        return (made.view("u4") & 0xFFFF0000).view("f4") if param.dtype == "bfloat16" else made

    params = {"layer": case.params} if case.params is not None else None
    return model, params or tree.map(draw, fnet.infer(model, takes)[1]), takes


def masked(case: Case, model: Any, x: Any) -> tuple[Any, Any]:
    """(the model after a `masking` that makes the mask of its only input, that input); others stay as they are."""
    mask = case.masks().get(None)
    if mask is None or np.ndim(x) != 3 or x.dtype.kind != "f":
        return model, x
    hidden = np.where(mask[..., None], x, np.float32(HIDDEN))
    return fnet.sequential([("mask", bind(fnet.masking, mask_value=HIDDEN)), *model.steps]), hidden


def cases() -> dict[str, list[Case]]:
    """{layer: its cases}, without the layers that only `fnet.optimize` makes."""
    rows: dict[str, list[Case]] = {}
    for case in all_cases():
        if case.plain is None:
            rows.setdefault(case.layer.__name__, []).append(case)
    return dict(sorted(rows.items()))


def archives() -> dict[str, Path]:
    """{name of an archive of golden files: its path}."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "golden").glob("keras-*.zip"))}


def outcome(case: Case, kind: str) -> str:
    """ "yes", or the refusal of a case."""
    model, params, takes = model_of(case)
    model, x = masked(case, model, tree.map(np.asarray, case.inputs()))
    shapes = takes if isinstance(takes, tuple) and len(takes) > 1 else (takes,)
    return written(model, params, x, kind, *shapes)


def written(model: Any, params: Any, x: Any, kind: str, *shapes: Any) -> str:
    """ "yes" if the file is written and has the model's output for `x`, or the refusal."""
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"m{SUFFIXES[kind]}"
            WRITERS[kind](model, params, path, *shapes)
            if kind in READERS:
                given = [np.asarray(y) for y in READERS[kind](path)(*tree.leaves(x))]
                assert all(verdict.holds for verdict in verdicts(model, params, x, given)), "written, and wrong"
    except (fnet.ExportError, fnet.InvalidInput) as error:
        return " ".join(str(error).split())[:200]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "yes"


def of_layer(cases: list[Case]) -> Rows:
    """The cases of a layer; cases with the same name, which differ in masks or weights, are numbered."""
    rows: Rows = {}
    for number, case in enumerate(cases):
        rows[f"{case.id} (row {number})" if case.id in rows else case.id] = functools.partial(outcome, case)
    return rows


def of_archive(archive: Path) -> Rows:
    """The models of an archive of golden files."""

    def outcome_of(kind: str, source: bytes, arrays: Any) -> str:
        x = recorded(arrays, "x")
        return written(*fnet.load_keras(source), x if len(x) > 1 else x[0], kind)

    return {
        name.split()[-1]: functools.partial(outcome_of, source=files[suffix], arrays=arrays)
        for name, files, suffix, arrays in files_of(archive)
    }


def too_long(*_: Any) -> None:
    """The handler of the alarm."""
    raise TimeoutError(f"not done after {LIMIT} s")


def run(seconds: float, kinds: list[str], most: int) -> None:
    """Run missing cases, at most `most` of a layer, until the time is over."""
    signal.signal(signal.SIGPROF, too_long)
    end = time.monotonic() + seconds
    tasks = {name: of_layer(rows) for name, rows in cases().items()}
    tasks |= {name: of_archive(path) for name, path in archives().items()}
    for kind, (name, rows) in itertools.product(kinds, sorted(tasks.items(), key=lambda task: len(task[1]))):
        done = seen().get(kind, {}).get(name, {"rows": 0, "refused": {}})
        for row, of_row in itertools.islice(rows.items(), done["rows"], most):
            if time.monotonic() > end:
                return
            said = of_row(kind)
            done["rows"] += 1
            done["refused"] |= {} if said == "yes" else {row: said}
            keep(kind, name, done)
            print(f"{kind}: {name}: {done['rows']} of {len(rows)}, {len(done['refused'])} refused", flush=True)


def seen() -> dict[str, dict[str, Any]]:
    """{format: {layer or archive: {"rows": how many cases, "refused": {case: why}}}}, as far as they were run."""
    said: dict[str, dict[str, Any]] = json.loads(SEEN.read_text("utf-8")) if SEEN.exists() else {}
    return said


def keep(kind: str, name: str, said: Any) -> None:
    """Write a result to the file; None forgets it."""
    all_of_it = seen()
    all_of_it.setdefault(kind, {})[name] = said
    if said is None:
        del all_of_it[kind][name]
    writing.write(SEEN, (json.dumps(all_of_it, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def word(said: str) -> str:
    """The word of the table for a refusal."""
    return next((word for part, word in KINDS.items() if part in said), "no")


def cell(said: dict[str, Any] | None, total: int) -> str:
    """The cell of the table for a layer or an archive with `total` cases."""
    if said is None:
        return "–"
    rows, refused = said["rows"], said["refused"]
    if not refused:
        text = "yes" if rows else "–"
    elif len(refused) < rows:
        text = f"{rows - len(refused)} of {rows}"
    else:
        text = ", ".join(sorted({word(why) for why in refused.values()}))
    return text if rows >= total else f"{text} (first {rows} of {total})"


def table(head: str, names: list[str], more: Callable[[str], list[str]], columns: list[str]) -> list[str]:
    """A Markdown table: a line for each name with its results and the cells of `more`."""
    said = seen()
    totals = {name: len(rows) for name, rows in cases().items()}
    totals |= {name: sum(1 for _ in files_of(path)) for name, path in archives().items() if name in names}
    lines = [f"| {head} | " + " | ".join([*WRITERS, *columns]) + " |", "|---" * (1 + len(WRITERS) + len(columns)) + "|"]
    for name in names:
        cells = [cell(said.get(kind, {}).get(name), totals[name]) for kind in WRITERS]
        lines.append("| " + " | ".join([f"`{name}`", *cells, *more(name)]) + " |")
    return lines


def reasons() -> list[str]:
    """The refusals by format: each reason once, with its layers and archives, and one case of a layer."""
    lines = []
    for kind in WRITERS:
        rows: dict[str, dict[str, list[str]]] = {}
        for name, said in sorted(seen().get(kind, {}).items()):
            for row, why in said["refused"].items():
                rows.setdefault(why, {}).setdefault(name, []).append(row)
        lines += ["", f"## Refused as {kind}", ""]
        for why, of in rows.items():
            where = (_where(name, which, seen()[kind][name]["rows"]) for name, which in of.items())
            lines.append(f"- {why.replace('<', '&lt;').replace('*', chr(92) + '*')}: {', '.join(where)}")
    return lines


def _where(name: str, which: list[str], of: int) -> str:
    if len(which) == of:
        return f"`{name}`"
    row = " ".join(which[0].split()).replace("`", "'")
    return f"`{name}` ({len(which)} of {of}, such as `{row}`)"


def page() -> str:
    """docs/exports.md."""
    rows, said = cases(), seen()

    def bridges(name: str) -> list[str]:
        return ["yes" if rows[name][0].layer in layouts else "–" for layouts in BRIDGES.values()]

    def total(kind: str) -> str:
        of = list(said.get(kind, {}).values())
        done = sum(item["rows"] for item in of)
        return f"{kind}: {done - sum(len(item['refused']) for item in of)} of {done}"

    count = f"Written, of rows and files together: {', '.join(map(total, WRITERS))}."
    lines = table("layer", list(rows), bridges, list(BRIDGES))
    lines += ["", "## Golden files", "", "Models that earlier versions of Keras wrote, whole.", ""]
    lines += table("archive", list(archives()), lambda name: [], [])
    return HEAD.format(count=count) + "\n".join([*lines, *reasons()]) + "\n"


def main() -> None:
    """Run cases or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--to", nargs="*", choices=WRITERS, default=list(WRITERS))
    parser.add_argument("--again", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=10**6)
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    if args.page:
        (DOCS / "exports.md").write_text(page(), "utf-8")
        return
    for kind in args.to:
        for name in set(args.again) & set(seen().get(kind, {})):
            keep(kind, name, None)
    run(args.seconds, args.to, args.rows)


if __name__ == "__main__":
    main()
