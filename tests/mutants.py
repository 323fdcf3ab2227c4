"""Mutation testing: which small faults do the tests find?  `make mutants`, `python -m tests.mutants --help`.

A fault is one change of one place that a reviewer would call a bug: a sign, an off-by-one, a dropped term, swapped
operands, a wrong default, an ignored option, a removed check, a wrong error type. They are drawn with a seed, package
by package, from the syntax trees; `TELLING` adds some that no rule makes. All go into a scratch copy of the tree,
behind switches. The fast suite runs there once, with probes at all of them (`tests.reach`). Then they are switched on
one at a time, and the tests that reach a fault run, the quickest first, until one fails (`tests.judging`). What is
not found goes to the tests that read the sources (`READERS`), in a copy where the change is made without a switch; with
`--slow`, the slow tests of its place (`PLACES`) then judge what is left.

Why not mutmut or cosmic-ray: both judge every fault of every line; here that is 15,000 tests for 50,000 faults. A
sample with a seed says as much.
Imports and collection take longer than finding most faults, so tests run in forks of a process that has done both; a
fault that acts there gets a separate process.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import judging, reach

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
"""{folder: how many of a hundred faults it gets}; a file counts for the first folder that it is in."""

PACKAGES = ("fnet/", "params/", "compare/", "train_keras/")

ERRORS = "error_table layer_errors rules"
LAYERS = f"{ERRORS} telling cases masks drawn saved_cases"
FILES = "refused_configs config_values hostile foreign_files read load"
GRAPHS = f"call_structures weights tf_functions mask_generations versions {FILES}"
WEIGHTS = f"weights versions load read {FILES}"
STUDIES = "study statistics compare"
PLACES = {
    "fnet/layers/dot_attention": f"attention {LAYERS}",
    "fnet/layers/multi_head": f"attention mask_generations {LAYERS}",
    "fnet/layers/group_query": f"attention {LAYERS}",
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
    "fnet/core/diagnosis": "layer_errors compose",
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
    "fnet/inference/in_predict": "predict_keras policies image",
    "fnet/inference/statistics": "fine_tuning",
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
    "fnet/masks": "masks attention mask_generations recurrent",
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
    "params/file/foreign_files": "foreign_files weights",
    "params/file/strict_json": f"store {FILES}",
    "params/file/": f"{FILES} weights versions hostile_sizes",
    "params/convert/generations": "generations versions config_values mask_generations",
    "params/convert/graph_ops": f"tf_functions operations {GRAPHS}",
    "params/convert/legacy": f"versions {FILES}",
    "params/convert/mask_effects": "mask_generations masks",
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
    "train_keras/": "train data study published",
}
"""{beginning of a path: its test files}; the first that fits counts, and every file must have one."""

READERS = (
    "tests/test_architecture.py::test_records_are_frozen",
    "tests/test_hostile.py::test_no_source_can_turn_a_file_into_code",
)
"""The tests that read the sources, where a switch hides a fault."""

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
"""Calls that can be removed without changing what a value is."""
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
    "fits",
}


def faults_of(path: str, source: bytes) -> list[Fault]:
    """Every fault that the rules make in a file."""
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
    """(node, keyword-only options of the function around it), without annotations, texts and code for types only."""

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
    """(kind, node to replace, its new text)."""
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
    """Faults in positions, axes and numbers."""
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
    """Faults in raised errors, calls for their effect, entries of tables."""
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
    ("fnet/tree.py", "for key in sorted(tree) for leaf in", "for key in tree for leaf in"),
    ("fnet/backend/numpy_backend.py", "    c -= np.vecdot(c, weights)[:, None]", "    pass"),
    ("fnet/backend/jax_backend.py", "    c = c - mean(c, axes)", "    pass"),
    ("fnet/layers/quantized.py", "list(_pieces(equation, q, kernel))", "[ops.einsum(equation, q, kernel)]"),
    ("fnet/rewrites/folding.py", "* factor + offset if use_bias", "* factor - offset if use_bias"),
    ("fnet/rewrites/folding.py", "{name: exact(kernel) * factor", "{name: -exact(kernel) * factor"),
    ("fnet/rewrites/folding.py", "exact(kernel) * scale", "exact(kernel) * -scale"),
    ("fnet/rewrites/folding.py", '{None: "relu", 6: "relu6"}', '{None: "relu6", 6: "relu"}'),
    ("fnet/rewrites/convolution.py", 'of_conv["activation"] in NEVER_FALL', 'of_conv["activation"] not in NEVER_FALL'),
    ("fnet/rewrites/convolution.py", "winograd.of_kernel(exact(kernel)", "winograd.of_kernel(-exact(kernel)"),
    ("fnet/rewrites/recurrent.py", "embeddings @ first", "-embeddings @ first"),
    ("fnet/rewrites/recurrent.py", 'table + first["bias"]', 'table - first["bias"]'),
    ("fnet/rewrites/recurrent.py", '("forward_layer", "backward_layer")', '("backward_layer", "forward_layer")'),
    ("fnet/rewrites/recurrent.py", "not after_params else None", "True else None"),
    ("params/file/hdf5.py", "SMALL_CHUNK = 1 << 20", "SMALL_CHUNK = 1 << 30"),
    ("compare/studies/statistics.py", "(len(pairs) - rank) * pair.p", "len(pairs) * pair.p"),
    ("compare/studies/statistics.py", "largest = max(largest, min(1.0,", "largest = max(0.0, min(1.0,"),
]  # fmt: skip
"""(path, text, its replacement): faults that no rule makes, such as a lost fsync or one key for all params."""


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
    """`count` drawn faults: folders by their shares, files by size, then a kind, then a place."""
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
    """The paths of the files that get faults."""
    return [path for path in _tracked("*.py") if path.startswith(tuple(SHARES)) and path not in SKIPPED]


def _tracked(pattern: str = "") -> list[str]:
    listed = ["git", "ls-files", *([pattern] if pattern else [])]
    return subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


# --- running --------------------------------------------------------------------------------------

QUIET = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
FAST = ("-m", "not slow")


def switched(faults: Mapping[int, Fault], sources: Mapping[str, bytes]) -> tuple[dict[str, bytes], set[int]]:
    """(the sources with faults behind switches, the faults that have one: those in expressions)."""
    texts, numbers = dict(sources), set()
    for n, fault in sorted(faults.items(), key=lambda item: -item[1].start):  # from the end, to keep earlier places
        source = texts[fault.path]
        changed = "None" if fault.text == "pass" else fault.text
        before = reach.SWITCH.format(changed=changed, numbers=(n,), number=n).encode()
        text = source[: fault.start] + before + source[fault.start : fault.end] + b"))" + source[fault.end :]
        with contextlib.suppress(SyntaxError):
            if fault.kind != "by hand" and ast.parse(text):
                texts[fault.path] = text
                numbers.add(n)
    return texts, numbers


def copied(folder: Path) -> Path:
    """Copy the tracked files of the tree to a new folder."""
    for path in _tracked():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    return folder


def scratch_copy(folder: Path, faults: Mapping[int, Fault]) -> set[int]:
    """Copy the tree with switches and probes; returns the faults that have a switch."""
    copied(folder)
    paths = [path for path in _tracked("*.py") if path.startswith(PACKAGES)]
    texts, numbers = switched(faults, {path: (ROOT / path).read_bytes() for path in paths})
    places = {n: (fault.path, fault.line) for n, fault in faults.items()}
    for path, text in reach.probed(places, {path: text.decode() for path, text in texts.items()}).items():
        (folder / path).write_text(text)
    (folder / "sitecustomize.py").write_text(reach.STARTED)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "."], cwd=folder, check=True)
    return numbers


def files_of(path: str) -> list[str]:
    """The test files of a module."""
    names = next(names for start, names in PLACES.items() if path.startswith(start))
    return [f"tests/test_{name}.py" for name in dict.fromkeys(names.split())]


def run(folder: Path, *words: str, **variables: str) -> Iterator[str]:
    """Run pytest in a scratch copy; yields the lines that it prints."""
    command = [sys.executable, "-m", "pytest", "-s", *QUIET, *words]
    known = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, cwd=folder, env=known | variables, stdout=subprocess.PIPE, text=True) as process:
        yield from process.stdout


def reached(folder: Path, jobs: int) -> Mapping[int, dict[str, float]]:
    """{number of a fault: {fast test that runs the changed code: its seconds}}."""
    rows = folder / "reached"
    rows.mkdir()
    list(run(folder, "-p", "tests.reach", "-n", str(jobs), *FAST, **{reach.FOLDER: str(rows)}))
    return reach.tests_of(rows)


End = tuple[int, str, str]
"""(number of a fault, "found" | "survived" | "undecided" | "untested", by which test)."""


def judged(folder: Path, plan: Mapping[int, dict[str, float] | None], *words: str, **variables: str) -> Iterator[End]:
    """The ends of faults that one process switches on in turn, judged by these tests or by all that the words choose;
    nothing if that process fails before its tests."""
    file = folder / "plan.json"
    file.write_text(json.dumps(list(plan.items())))
    files = sorted({test.partition("::")[0] for tests in plan.values() for test in tests or () if test})
    options = ("-p", "no:xdist", "-p", "tests.judging", *words, *files)
    for line in run(folder, *options, **{judging.PLAN: str(file)}, **variables) if plan else ():
        if line.startswith("["):
            yield tuple(json.loads(line))


def judged_anew(folder: Path, n: int, fault: Fault | None, plan: dict[str, float] | None, *words: str) -> End:
    """The end of a fault that is on from the start of a separate process, by a switch or, if `fault` is given, by a
    change of its file. A test that also fails without it is ignored."""
    file = folder / (fault.path if fault else "plan.json")
    while True:
        kept = file.read_bytes() if fault else b""
        if fault:
            file.write_bytes(fault.apply((ROOT / fault.path).read_bytes()))
        try:
            _, word, test = next(judged(folder, {n: plan}, *words, **{reach.FAULT: str(n)}), (n, "found", ""))
        finally:
            if fault:
                file.write_bytes(kept)
        if word != "found":
            return n, word, test
        without = next(judged(folder, {n: {test: 60.0}}, *words, **{reach.FAULT: "-1"}), (n, "undecided", ""))
        if without[1] == ("survived" if test else "untested"):
            return n, word, test or "imports and collection"
        if not test:
            return without
        words += ("--deselect", test)


def ends(
    folder: Path, faults: Mapping[int, Fault], switches: set[int], tests: Mapping[int, dict[str, float]], slow: bool
) -> Iterator[tuple[str, End]]:
    """(suite, end of a fault) in a scratch copy. If no fast test reaches a fault, or imports do, all tests of its
    place judge it."""
    last: dict[int, str] = {}
    plain = copied(folder / "plain")

    def told(end: End) -> tuple[str, End]:
        n, word, _ = end
        if word != "found" and (read := judged_anew(plain, n, faults[n], None, *READERS))[1] == "found":
            end = read
        last[n] = end[1]
        return "fast", end

    def anew(n: int, plan: dict[str, float] | None, *words: str) -> End:
        fault = None if n in switches else faults[n]
        return judged_anew(folder, n, fault, plan, *words, *(files_of(faults[n].path) if plan is None else ()))

    at_once = {n: tests[n] for n in faults if n in switches and tests.get(n) and "" not in tests[n]}
    for end in judged(folder, at_once, *FAST):
        yield told(end)
    for n in faults:
        if last.get(n, "untested") in ("undecided", "untested"):
            known = {test: cost for test, cost in tests.get(n, {}).items() if test}
            end = anew(n, known, *FAST) if known else (n, "untested", "")
            by_place = not known or ("" in tests[n] and end[1] != "found")
            yield told(anew(n, None, *FAST) if by_place else end)
    for n in faults if slow else ():
        if last[n] != "found":
            yield "slow", anew(n, None, "-m", "slow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="how many faults to draw (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--only", default="", help="only files whose path begins so: fnet/layers/")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that run the suite once, to see what it reaches (1)"
    )
    parser.add_argument(
        "--slow", action="store_true", help="give those that are not found to the slow tests of the place"
    )
    parser.add_argument("--list", action="store_true", help="only print the faults")
    parser.add_argument("--pick", default="", help="only the faults with these numbers: 3,17")
    given = parser.parse_args()
    faults = dict(enumerate([*drawn(given.count, given.seed, given.only), *([] if given.only else by_hand())]))
    if given.pick:
        faults = {int(n): faults[int(n)] for n in given.pick.split(",")}
    shown = {n: f"{n:3} {fault.shown((ROOT / fault.path).read_bytes())}" for n, fault in faults.items()}
    if given.list:
        print(*shown.values(), sep="\n")
        return
    words: dict[int, str] = {}
    fast = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as base:
        folder = Path(base)
        switches = scratch_copy(folder, faults)
        for suite, (n, word, test) in ends(folder, faults, switches, reached(folder, given.jobs), given.slow):
            words[n] = word
            fast += suite == "fast" and word == "found"
            print(f"{word:9} by {suite} tests: {shown[n]}", *([f"\n          {test}"] if test else []), flush=True)
    counts = Counter(words.values())
    left = ", ".join(f"{counts[word]} {word}" for word in ("survived", "undecided", "untested"))
    print(f"of {len(faults)} faults {counts['found']} found, {fast} of them by the fast suite; {left}")


if __name__ == "__main__":
    main()
