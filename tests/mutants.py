"""Small faults put in on purpose: which of them do the tests find?  `make mutants`, `python -m tests.mutants --help`.

A fault is one change of one place that a reviewer would call a bug: a sign, an off-by-one, a dropped term, swapped
operands, a wrong default, an ignored option, a removed check, a wrong error type. They are drawn with a seed, package
by package, from what the syntax trees offer, and `TELLING` adds some by hand that no rule makes. The fast suite runs
once, with probes at all of them (`tests.reach`). Then each goes into a scratch copy of the tree, never into the tree
itself, and the tests that reach it run, the quickest first, until one fails; with `--slow`, what survives is given to
the slow tests of its place (`PLACES`).

Why not mutmut or cosmic-ray: both judge every fault of every line; here that is 15,000 tests for 50,000 faults. A
sample with a seed says as much.
TensorFlow takes longer to import than most faults to be found, so tests run in forks of one process that has it.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests import reach

ROOT = Path(__file__).resolve().parents[1]

SHARES = {
    "fnet/layers/": 25,
    "fnet/operations/": 13,
    "fnet/tf_functions/": 3,
    "fnet/backend/": 8,
    "fnet/cli/": 3,
    "fnet/": 16,
    "params/file/hdf5": 6,
    "params/": 15,
    "compare/": 8,
    "train_keras/": 3,
}
"""How many of a hundred faults a folder gets; a file counts for the first that it lies below."""

PACKAGES = ("fnet/", "params/", "compare/", "train_keras/")

ERRORS = "error_table layer_errors"
LAYERS = f"{ERRORS} telling cases masks mask_rules drawn saved_cases"
FILES = "refused_configs config_values hostile strangers read load"
GRAPHS = f"call_structures weights tf_functions mask_generations versions {FILES}"
WEIGHTS = f"weights versions load read {FILES}"
STUDIES = "study statistics compare"
PLACES = {
    "fnet/layers/dot_attention": f"attention attention_masks {LAYERS}",
    "fnet/layers/multi_head": f"attention attention_masks mask_generations {LAYERS}",
    "fnet/layers/group_query": f"attention attention_masks {LAYERS}",
    "fnet/layers/conv": f"conv_pitfalls streaming {LAYERS} hostile_options",
    "fnet/layers/pooled_convolution": f"rewrites {LAYERS}",
    "fnet/layers/windows": f"conv_pitfalls {LAYERS}",
    "fnet/layers/depthwise": f"conv_pitfalls {LAYERS}",
    "fnet/layers/recurrence_stack": f"recurrent_stack {LAYERS}",
    "fnet/layers/rec": f"recurrent streaming mask_generations {LAYERS}",
    "fnet/layers/any_cell": f"recurrent streaming {LAYERS}",
    "fnet/layers/cells": f"recurrent {LAYERS}",
    "fnet/layers/state_passing": "streaming recurrent predict_keras",
    "fnet/layers/wrappers": f"recurrent {LAYERS}",
    "fnet/layers/quantized": "quantized",
    "fnet/layers/norms": f"normalization {LAYERS}",
    "fnet/layers/scaling": f"normalization {LAYERS}",
    "fnet/layers/regularization": f"regularization {LAYERS}",
    "fnet/layers/numeric": f"integers {LAYERS} hashing",
    "fnet/layers/hashed": f"hashing {LAYERS}",
    "fnet/layers/image": f"image {LAYERS}",
    "fnet/layers/audio": f"image {LAYERS}",
    "fnet/layers/augmentation": f"image versions {LAYERS}",
    "fnet/layers/merging": f"integers mask_generations {LAYERS}",
    "fnet/layers/text": f"text {LAYERS}",
    "fnet/layers/lookup": f"text vocabularies {LAYERS}",
    "fnet/layers/vocabulary": f"text vocabularies {LAYERS}",
    "fnet/layers/pooling": f"conv_pitfalls {LAYERS}",
    "fnet/layers/global_pooling": f"conv_pitfalls integers {LAYERS}",
    "fnet/layers/adaptive_pooling": f"conv_pitfalls {LAYERS}",
    "fnet/layers/": f"integers {LAYERS}",
    "fnet/operations/": f"{ERRORS} operations integers activations telling",
    "fnet/activation_functions": "activations operations cases",
    "fnet/backend/gates": "recurrent_stack recurrent",
    "fnet/backend/jax_lowering": "export",
    "fnet/backend/jax_recurrence": "recurrent_stack",
    "fnet/backend/numpy_recurrence": "recurrent_stack recurrent streaming",
    "fnet/backend/numpy": "backend conv_pitfalls cases operations integers recurrent",
    "fnet/backend/jax": "backend cases operations integers",
    "fnet/backend/winograd": "rewrites",
    "fnet/backend/": "backend cases operations",
    "fnet/tf_functions/": "tf_functions",
    "fnet/cli/explain": "explain",
    "fnet/cli/plot": "pictures cli_predict",
    "fnet/cli/export": "export",
    "fnet/cli/activations": "pictures cli_predict",
    "fnet/cli/verify": "verify",
    "fnet/cli/": "cli cli_predict",
    "fnet/__main__": "cli",
    "fnet/starting": "cli",
    "fnet/importing": "cli compare",
    "fnet/core/compose": f"{ERRORS} compose inference masks call_structures",
    "fnet/core/cutting": "cutting inference",
    "fnet/core/display": "compose modelling",
    "fnet/core/explaining": "layer_errors compose",
    "fnet/core/infer": f"{ERRORS} modelling compose masks transforms saved_cases cases",
    "fnet/core/layer": "compose policies integers masks layer_errors",
    "fnet/core/model": f"{ERRORS} compose inference masks call_structures",
    "fnet/core/options": f"{ERRORS} compose mask_generations saved_cases cases",
    "fnet/core/parameters": "modelling initializers compose store",
    "fnet/core/room": "hostile_options explain",
    "fnet/core/rules": "compose policies integers masks layer_errors",
    "fnet/core/sources": "inference call_structures compose door",
    "fnet/inference/door": "door inference text predict_keras",
    "fnet/inference/arrays": "door inference config_values predict_keras",
    "fnet/inference/compile": "inference text",
    "fnet/inference/statistics": "training",
    "fnet/inference/device": "inference store rewrites",
    "fnet/inference/optimized": "rewrites inference",
    "fnet/inference/processors": "schedule",
    "fnet/inference/schedule": "schedule",
    "fnet/inference/lengths": "recurrent_stack schedule",
    "fnet/inference/labels": f"{ERRORS} cli",
    "fnet/inference/batches": f"{ERRORS} door inference text predict_keras recurrent_stack",
    "fnet/inference/prepared": "schedule inference recurrent_stack",
    "fnet/inference/predict": f"{ERRORS} door inference text predict_keras",
    "fnet/inference/rows": "door inference text",
    "fnet/inference/scaling": "scale cli",
    "fnet/inference/stream": "streaming",
    "fnet/inference/string_split": "text hashing transforms",
    "fnet/dtypes": "policies integers operations masks",
    "fnet/errors": f"{ERRORS} compose door",
    "fnet/hashes": "hashing",
    "fnet/latest": "latest",
    "fnet/lazy": "architecture telling store",
    "fnet/masks": "masks mask_rules attention_masks mask_generations recurrent",
    "fnet/random": "initializers modelling regularization transforms",
    "fnet/initializers": "initializers modelling",
    "fnet/constants": "store",
    "fnet/records": "records",
    "fnet/resampling": "image cases operations",
    "fnet/shapes": "operations error_table layer_errors",
    "fnet/strings": f"{ERRORS} text hashing",
    "fnet/pictures": "pictures",
    "fnet/export/": "export",
    "fnet/sklearn": "scale",
    "fnet/rewrites/recurrent": "recurrent_stack",
    "fnet/rewrites": "rewrites",
    "fnet/tree": "transforms compose modelling inference door",
    "fnet/types": "compose modelling",
    "fnet/writing": "writing store",
    "params/file/hdf5": "hdf5 read hostile hostile_sizes",
    "params/file/checksum": "hdf5",
    "params/file/foreign_files": "strangers weights",
    "params/file/strict_json": f"store {FILES}",
    "params/file/": f"{FILES} weights versions hostile_sizes",
    "params/convert/generations": "generations versions config_values mask_generations",
    "params/convert/graph_ops": f"tf_functions operations {GRAPHS}",
    "params/convert/legacy": f"versions {FILES}",
    "params/convert/mask_effects": "mask_generations mask_rules",
    "params/convert/quantization": "quantized",
    "params/convert/requirements": f"config_values {FILES} hostile_options policies hashing",
    "params/convert/training_flags": "predict_keras call_structures",
    "params/convert/layer_options": f"policies saved_cases {GRAPHS} hostile_options",
    "params/convert/": f"{GRAPHS} saved_cases policies hostile_options hostile_sizes",
    "params/assign/options_from_arrays": f"vocabularies text quantized {WEIGHTS}",
    "params/assign/": WEIGHTS,
    "params/table/tf_functions": "tf_functions",
    "params/table/operations": f"operations call_structures {FILES}",
    "params/table/vocabularies": f"vocabularies text saved_cases versions {FILES} hostile_options",
    "params/table/": f"saved_cases load call_structures versions {FILES} hostile_options",
    "params/explaining/pictured": "pictures",
    "params/explaining/": "explain",
    "params/predicting": "scale",
    "params/store/selftest": "verify",
    "params/store/verifying": "verify",
    "params/bridges/": "bridges",
    **dict.fromkeys(("params/store/hdf5", "params/store/keras", "params/store/meaning", "params/store/sp"), "to_keras"),
    "params/store/": "store writing",
    "params/output_sizes": "hostile_options explain",
    "params/loading": f"versions predict_keras weights {FILES}",
    "params/errors": FILES,
    "compare/studies/statistics": "statistics",
    "compare/yardstick": "compare",
    "compare/studies/": STUDIES,
    "compare/": f"compare {STUDIES} cli",
    "train_keras/": "train data study",
}
"""{beginning of a path: the names of its test files}: the first that fits; a file for which none does is a fault."""

SKIPPED = (
    *(f"{folder}/__init__.py" for folder in ("fnet", "fnet/core", "fnet/inference", "fnet/operations", "params")),
    *("compare/demo.py", "compare/pictures.py"),
)


@dataclass(frozen=True)
class Fault:
    """One change: the bytes [start, end) of a file become `text`."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def shown(self, source: bytes) -> str:
        was, now = (" ".join(part.split())[:90] for part in (source[self.start : self.end].decode(), self.text))
        return f"{self.path}:{self.line} [{self.kind}] {was}  ->  {now}"


# --- faults from the syntax tree ------------------------------------------------------------------

COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
OPERATORS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "//"}
ORDERED = {ast.Sub: "-", ast.Div: "/", ast.FloorDiv: "//", ast.MatMult: "@"}
TWINS = {
    **dict(pair for a, b in (
        ("min", "max"), ("any", "all"), ("minimum", "maximum"), ("floor", "ceil"), ("zeros", "ones"), ("sin", "cos"),
        ("argmin", "argmax"), ("sum", "mean"), ("zeros_like", "ones_like"), ("append", "extend"), ("exp", "expm1"),
        ("log", "log1p"), ("amin", "amax"), ("startswith", "endswith"), ("logical_and", "logical_or"),
    ) for pair in ((a, b), (b, a))),
}  # fmt: skip
CASTS = {"astype", "cast", "asarray", "float", "int", "abs", "absolute"}
"""Calls that leave a value of the same meaning when they go."""
SYMMETRIC = {
    "isinstance",
    "maximum",
    "minimum",
    "min",
    "max",
    "add",
    "multiply",
    "getattr",
    "hasattr",
    "setattr",
    "zip",
}


def faults_of(path: str, source: bytes) -> list[Fault]:
    """Every fault that the rules make of a file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def fault(kind: str, node: ast.AST, text: str) -> Fault:
        at = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        return Fault(path, node.lineno, kind, *at, text)

    made = []
    for node, options in _code(ast.parse(source)):
        for kind, place, text in _changes(node, options):
            made.append(fault(kind, place, text))
    return made


def _code(tree: ast.AST) -> Iterator[tuple[ast.AST, dict[str, ast.expr]]]:
    """(node, the keyword-only options of the function around it), without annotations, texts and what is for types."""

    def walk(node: ast.AST, options: dict[str, ast.expr]) -> Iterator[tuple[ast.AST, dict[str, ast.expr]]]:
        yield node, options
        if isinstance(node, ast.FunctionDef):
            options = {a.arg: d for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d}
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_params", "msg") or isinstance(node, ast.JoinedStr):
                continue
            for child in value if isinstance(value, list) else [value]:
                dunder = isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Name)
                if dunder and (child.targets[0].id.startswith("__") or "TypeAlias" in ast.dump(child)):
                    continue
                if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                    continue
                if isinstance(child, ast.AnnAssign) and "TypeAlias" in ast.dump(child.annotation):
                    continue
                if isinstance(child, ast.AST):
                    yield from walk(child, options)

    return walk(tree, {})


def _changes(node: ast.AST, options: dict[str, ast.expr]) -> Iterator[tuple[str, ast.AST, str]]:
    """(kind, the node that is replaced, its new text)."""
    yield from _operators(node)
    yield from _choices(node)
    yield from _places(node)
    yield from _statements(node)
    if isinstance(node, ast.Call):
        yield from _calls(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in options:
        yield "ignored option", node, f"({ast.unparse(options[node.id])})"


def _operators(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    text = ast.unparse
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield "comparison", node, f"(({text(left)}) {COMPARISONS[type(op)]} ({text(right)}))"
        case ast.BinOp(left=left, op=op, right=right) if not _is_text(left) and not _is_text(right):
            if type(op) in OPERATORS:
                yield "operator", node, f"(({text(left)}) {OPERATORS[type(op)]} ({text(right)}))"
            if isinstance(op, ast.Add | ast.Sub):
                yield "dropped term", node, f"({text(left)})"
            if type(op) in ORDERED:
                yield "swapped operands", node, f"(({text(right)}) {ORDERED[type(op)]} ({text(left)}))"
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield "sign", node, f"({text(operand)})"


def _choices(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    text = ast.unparse
    match node:
        case ast.BoolOp(op=op, values=values):
            joint = " or " if isinstance(op, ast.And) else " and "
            yield "and for or", node, f"({joint.join(f'({text(v)})' for v in values)})"
            yield "dropped condition", node, f"({text(values[0])})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "swapped branches", node, f"(({text(orelse)}) if ({text(test)}) else ({text(body)}))"
        case ast.If(test=test, body=[ast.Raise(), *_]):
            yield "removed check", test, "False"
        case ast.If(test=test):
            yield "negated", test, f"not ({text(test)})"
            yield "dropped branch", test, "False"


def _places(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    """Positions, axes and numbers."""
    text = ast.unparse
    match node:
        case ast.Subscript(slice=ast.Constant(value=0)):
            yield "last for first", node.slice, "-1"
        case ast.Subscript(slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1))):
            yield "first for last", node.slice, "0"
        case ast.Slice(lower=lower, upper=upper):
            for bound in filter(None, (lower, upper)):
                yield "off by one", bound, f"({text(bound)}) + 1"
        case ast.keyword(arg="axis", value=ast.Constant(value=int(value))):
            yield "wrong axis", node.value, str(0 if value == -1 else value - 1)
        case ast.keyword(arg="dtype" | "mask", value=ast.expr() as value) if text(value) != "None":
            yield "dropped option", value, "None"
        case ast.Constant(value=bool(value)):
            yield "flag", node, repr(not value)
        case ast.Constant(value=int(value)):
            yield "off by one", node, f"({value} + 1)"
        case ast.Constant(value=float(value)):
            yield ("wrong eps" if abs(value) < 1e-2 else "wrong number"), node, f"({value!r} * 10 + 1e-4)"


def _statements(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    """Errors, calls for their effect, entries of tables."""
    text = ast.unparse
    match node:
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name) as function)) if name != "RuntimeError":
            yield "wrong error type", function, "RuntimeError"
        case ast.Expr(value=ast.Call()):
            yield "removed call", node, "pass"
        case ast.Dict(keys=[*keys, ast.Constant()]) if keys:
            pairs = [f"{text(k)}: {text(v)}" if k else f"**{text(v)}" for k, v in zip(keys, node.values, strict=False)]
            yield "skipped name", node, "{" + ", ".join(pairs) + "}"
        case ast.Tuple(elts=[*most, ast.Constant(value=str())], ctx=ast.Load()) if len(most) > 1:
            yield "skipped name", node, f"({', '.join(map(text, most))},)"


def _calls(node: ast.Call) -> Iterator[tuple[str, ast.AST, str]]:
    text = ast.unparse
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in CASTS and len(node.args) in (1, 2):
        inner = function.value if name == "astype" else node.args[0]
        yield "missing call", node, f"({text(inner)})"
    if name in TWINS:
        base = f"{text(function.value)}." if isinstance(function, ast.Attribute) else ""
        yield "other function", function, f"{base}{TWINS[name]}"
    simple = all(isinstance(arg, ast.Name | ast.Attribute | ast.Subscript) for arg in node.args)
    if len(node.args) == 2 and simple and name not in SYMMETRIC and not node.keywords:
        yield "swapped arguments", node, f"{text(function)}({text(node.args[1])}, {text(node.args[0])})"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


# --- faults by hand -------------------------------------------------------------------------------

TELLING = [
    ("fnet/writing.py", "    os.fsync(number)\n\n\ndef _check", "\n\ndef _check"),
    ("fnet/core/parameters.py", "make(random.fold_in(rng, number), sizes)", "make(rng, sizes)"),
    ("fnet/core/sources.py", "for key in sorted(values) for leaf in", "for key in values for leaf in"),
    ("fnet/backend/numpy_backend.py", "    c -= _mean(c, axes)", "    pass"),
    ("fnet/backend/jax_backend.py", "    c = c - jnp.mean(c, axis=axes, keepdims=True)", "    pass"),
    ("fnet/layers/quantized.py", "list(_pieces(equation, q, kernel))", "[ops.einsum(equation, q, kernel)]"),
    ("fnet/rewrites/folding.py", "* factor + offset if use_bias", "* factor - offset if use_bias"),
    ("fnet/rewrites/folding.py", "{name: exact(kernel) * factor", "{name: -exact(kernel) * factor"),
    ("fnet/rewrites/folding.py", "exact(kernel) * scale", "exact(kernel) * -scale"),
    ("fnet/rewrites/folding.py", '{None: "relu", 6: "relu6"}', '{None: "relu6", 6: "relu"}'),
    ("fnet/rewrites/convolution.py", 'of_conv["activation"] in NEVER_FALL', 'of_conv["activation"] not in NEVER_FALL'),
    ("fnet/rewrites/convolution.py", "winograd.of_kernel(exact(kernel)", "winograd.of_kernel(-exact(kernel)"),
    ("fnet/rewrites/recurrent.py", "dtype.type(0.5)", "dtype.type(-0.5)"),
    ("fnet/rewrites/recurrent.py", "embeddings @ first", "-embeddings @ first"),
    ("fnet/rewrites/recurrent.py", 'table + first["bias"]', 'table - first["bias"]'),
    ("fnet/rewrites/recurrent.py", '("forward_layer", "backward_layer")', '("backward_layer", "forward_layer")'),
    ("fnet/rewrites/recurrent.py", "not after_params else None", "True else None"),
    ("params/file/hdf5.py", "SMALL_CHUNK = 1 << 20", "SMALL_CHUNK = 1 << 30"),
    ("compare/studies/statistics.py", "(len(pairs) - rank) * pair.p", "len(pairs) * pair.p"),
    ("compare/studies/statistics.py", "largest = max(largest, min(1.0,", "largest = max(0.0, min(1.0,"),
]  # fmt: skip
"""(path, text, its replacement) that no rule makes: a lost fsync, one key for all params, a lost second mean."""


def by_hand() -> list[Fault]:
    made = []
    for path, old, new in TELLING:
        source = (ROOT / path).read_bytes()
        if source.count(old.encode()) != 1:
            print(f"a fault by hand fits no more, mend TELLING: {path}: {old!r}", file=sys.stderr)
            continue
        start = source.index(old.encode())
        made.append(Fault(path, source[:start].count(b"\n") + 1, "by hand", start, start + len(old.encode()), new))
    return made


# --- drawing --------------------------------------------------------------------------------------


def drawn(count: int, seed: int, only: str = "") -> list[Fault]:
    """`count` faults: folders by their shares, files by size, then a kind, then a place."""
    rng = random.Random(seed)
    folders: dict[str, list[str]] = {}
    for path in modules():
        if path.startswith(only):
            folders.setdefault(next(f for f in SHARES if path.startswith(f)), []).append(path)
    faults: list[Fault] = []
    while len(faults) < count:
        folder = rng.choices(list(folders), [SHARES[f] for f in folders])[0]
        sizes = [(ROOT / path).stat().st_size for path in folders[folder]]
        path = rng.choices(folders[folder], sizes)[0]
        source = (ROOT / path).read_bytes()
        kinds: dict[str, list[Fault]] = {}
        for fault in faults_of(path, source):
            kinds.setdefault(fault.kind, []).append(fault)
        if not kinds:
            continue
        fault = rng.choice(kinds[rng.choice(sorted(kinds))])
        same = any(f.path == fault.path and f.start < fault.end and fault.start < f.end for f in faults)
        with contextlib.suppress(SyntaxError, ValueError):
            changed = ast.dump(ast.parse(fault.apply(source))) != ast.dump(ast.parse(source))
            if changed and not same:
                faults.append(fault)
    return faults


def modules() -> list[str]:
    """The files that get faults."""
    return [path for path in _tracked("*.py") if path.startswith(tuple(SHARES)) and path not in SKIPPED]


def _tracked(pattern: str = "") -> list[str]:
    listed = ["git", "ls-files", *([pattern] if pattern else [])]
    return subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


# --- running --------------------------------------------------------------------------------------


def scratch_copy(folder: Path) -> Path:
    """The tracked files of the tree as they are now, compiled."""
    for path in _tracked():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    subprocess.run([sys.executable, "-m", "compileall", "-q", *PACKAGES], cwd=folder, check=True)
    return folder


def files_of(path: str) -> list[str]:
    """The test files of a module."""
    names = next(names for start, names in PLACES.items() if path.startswith(start))
    return [f"tests/test_{name}.py" for name in dict.fromkeys(names.split())]


def reached(folder: Path, faults: list[Fault], jobs: int) -> Mapping[int, list[str]]:
    """{number of a fault: the fast tests that run what it changes}, of a run in a scratch copy with probes."""
    paths = [path for path in _tracked("*.py") if path.startswith(PACKAGES)]
    places = [(fault.path, fault.line) for fault in faults]
    for path, text in reach.probed(places, {path: (ROOT / path).read_text() for path in paths}).items():
        (folder / path).write_text(text)
    rows = folder / "reached"
    rows.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.reach", "-n", str(jobs), "-m", "not slow", *QUIET]
    variables = os.environ | {"PYTHONPATH": str(folder), reach.FOLDER: str(rows)}
    subprocess.run(command, cwd=folder, env=variables, check=False, stdout=subprocess.DEVNULL)
    return reach.tests_of(rows)


def found(folder: Path, fault: Fault | None, tests: list[str], marks: str, timeout: float) -> tuple[str, float]:
    """("killed" | "timeout" | "survived", seconds) of tests, or of files of tests, with the fault in a scratch copy."""
    begin = time.monotonic()
    source = b""
    if fault is not None:
        source = (folder / fault.path).read_bytes()
        (folder / fault.path).write_bytes(fault.apply(source))
        for stale in (folder / fault.path).parent.glob(f"__pycache__/{Path(fault.path).stem}.*.pyc"):
            stale.unlink()
    child = os.fork()
    if child == 0:
        _pytest(folder, tests, marks)
    try:
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                word = "survived" if code in (0, 5) else "killed"
                return word, time.monotonic() - begin
            if time.monotonic() - begin > timeout:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "timeout", time.monotonic() - begin
            time.sleep(0.05)
    finally:
        if fault is not None:
            (folder / fault.path).write_bytes(source)


QUIET = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


def _pytest(folder: Path, tests: list[str], marks: str) -> None:
    """In a fork: run pytest on the scratch copy and leave with its exit code."""
    os.setsid()
    os.chdir(folder)
    os.environ["PYTHONPATH"], os.environ["PYTHONDONTWRITEBYTECODE"] = str(folder), "1"
    sys.path[:] = [str(folder), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
    sys.dont_write_bytecode = True
    with Path("pytest.log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 3
    try:
        import pytest

        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        plugins = [reach.Chosen(tests)] if "::" in tests[0] else []
        code = int(pytest.main(["-x", "-q", *QUIET, "-m", marks, *files], plugins))
    except BaseException:  # noqa: BLE001 - a fork never returns into its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


SOUND: dict[str, bool] = {}
"""{test that failed on a fault: whether it passes without one}."""


def found_by_sound_tests(folder: Path, fault: Fault, tests: list[str], marks: str, timeout: float) -> tuple[str, float]:
    """As `found`, by tests that pass without the fault; those that do not are left out."""
    while True:
        left = [test for test in tests if SOUND.get(test, True)]
        word, seconds = found(folder, fault, left, marks, timeout) if left else ("survived", 0.0)
        test = finder_of(folder).removeprefix("FAILED ").partition(" - ")[0]
        if word != "killed" or test not in left or SOUND.get(test):
            return word, seconds
        log = (folder / "pytest.log").read_bytes()
        SOUND[test] = found(folder, None, [test], marks, timeout)[0] == "survived"
        (folder / "pytest.log").write_bytes(log)


def finder_of(folder: Path) -> str:
    """The test that failed, or the last line of what pytest wrote."""
    lines = (folder / "pytest.log").read_text(errors="replace").splitlines() or [""]
    return next((line for line in lines if line.startswith(("FAILED", "ERROR"))), lines[-1])


def warm() -> None:
    """Import what is slow to import, once, in the process whose forks run the tests."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
    os.environ.update(JAX_PLATFORMS="cpu", TF_NUM_INTRAOP_THREADS="1")
    for name in (
        "pytest",
        "hypothesis",
        "jax",
        "tensorflow",
        "keras",
        "h5py",
        "chex",
        "optax",
        "sklearn.metrics",
        "scipy.stats",
    ):
        __import__(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="how many faults to draw (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--only", default="", help="only files whose path begins so: fnet/layers/")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds after which a fault counts as found (600)")
    parser.add_argument("--slow", action="store_true", help="give those that survive to the slow tests of the place")
    parser.add_argument("--list", action="store_true", help="only print the faults")
    parser.add_argument("--pick", default="", help="only the faults with these numbers: 3,17")
    given = parser.parse_args()
    faults = [*drawn(given.count, given.seed, given.only), *([] if given.only else by_hand())]
    chosen = [int(n) for n in given.pick.split(",")] if given.pick else range(len(faults))
    sources = {fault.path: (ROOT / fault.path).read_bytes() for fault in faults}
    if given.list:
        for n in chosen:
            print(n, faults[n].shown(sources[faults[n].path]))
        return
    warm()
    with tempfile.TemporaryDirectory(prefix="mutants-") as base:
        tests = reached(scratch_copy(Path(base) / "probes"), faults, given.jobs)
        folders = [scratch_copy(Path(base) / str(n)) for n in range(given.jobs)]

        def judge(n: int) -> str:
            """How a fault ends: "survived", or by which suite it was found."""
            fault, folder = faults[n], folders.pop()
            result, seconds = "survived", 0.0
            stages = [("not slow", tests.get(n, [])), *([("slow", files_of(fault.path))] if given.slow else [])]
            for marks, chosen_tests in stages:
                word, took = found_by_sound_tests(folder, fault, chosen_tests, marks, given.timeout)
                seconds += took
                if word != "survived":
                    result = f"{word} by {marks} tests"
                    break
            by = f"\n      by {finder_of(folder)}" if result.startswith("killed") else ""
            print(f"{n:3} {result:24} {seconds:5.0f} s  {fault.shown(sources[fault.path])}{by}", flush=True)
            folders.append(folder)
            return result

        with ThreadPoolExecutor(given.jobs) as pool:
            results = list(pool.map(judge, chosen))
    fast, left = (sum(part in result for result in results) for part in ("not slow", "survived"))
    print(f"{len(results) - left} of {len(results)} faults found, {fast} of them by the fast suite; {left} survived")


if __name__ == "__main__":
    main()
