"""`fnet compare`: the arguments, the rows to compare on, the table and the report."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compare.measuring import Rows
    from compare.parity import Comparison

log = logging.getLogger("compare")

DESCRIPTION = """Run a Keras model file in Keras, in float64, and in fnet on each backend, on the same rows.

Prints the agreement of classes and the errors, also layer by layer, and macro-F1 where there are labels.
Exit status: 0 when parity holds, 1 when it does not (or fnet refuses the file), 2 for arguments that do not fit."""

EPILOG = """examples:
  fnet compare model.keras                                # test split of the embedded data that fits
  fnet compare model.keras --data DIR --report out.html   # CIFAR-10 or NusaX from a folder
  fnet compare model.keras --inputs x.npy --labels y.npy  # rows of your own
  fnet compare model.keras --fnet model.safetensors       # what `fnet convert` made of it
  fnet compare model.keras --inputs x.npy --with model.onnx --certificate parity.json
  fnet compare model.keras --custom 'my>Shifted=pure.py:shifted' --custom-object 'my>Shifted=layers.py:Shifted'"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a comparison to a parser."""
    from train_keras.cli import add_data_arguments

    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", type=Path, help=".keras or .h5 file")
    _add_sides(parser)
    add_data_arguments(parser)
    _add_rows(parser)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page")
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE", help="write hashes, versions, errors and verdict as JSON"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead of tables")


def _add_sides(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select what is compared."""
    parser.add_argument("--fnet", type=Path, metavar="FILE", help="what fnet loads instead (a .safetensors)")
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        dest="others",
        metavar="OTHER",
        help="measure this too: a .onnx, .stablehlo, .safetensors, .keras or .h5 file, or a function of an array for "
        "each input, module:function or file.py:function; repeatable",
    )
    parser.add_argument(
        "--backends", metavar="LIST", help="numpy,jax or one of them, each in a process of its own (those installed)"
    )
    for option, taker, example in (
        ("--custom", "a layer of your own for fnet", "function"),
        ("--custom-object", "the same layer for Keras", "Class"),
    ):
        text = f"{taker}: package>Name=module:{example}, or file.py:{example}; repeatable"
        parser.add_argument(option, action="append", default=[], metavar="NAME=PLACE", help=text)


def _add_rows(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select the rows, besides those of the data."""
    parser.add_argument("--split", choices=("test", "valid", "train"), default="test", help="of the data (test)")
    parser.add_argument(
        "--inputs", type=Path, metavar="FILE", help=".npy, or .npz with an array for each input, by its name"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help=".npy of class numbers, with --inputs")
    parser.add_argument("--rows", type=int, metavar="N", help="compare on the first N rows only")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="rows at a time (32)")
    parser.add_argument("--layer-rows", type=int, default=32, metavar="N", help="rows for the layers, 0: none (32)")


class UsageError(ValueError):
    """Arguments that do not fit together or with the model."""


def run(args: argparse.Namespace) -> int:
    """Compare as the arguments say: 0 when parity held, 1 when not or a file cannot be read, 2 for wrong arguments."""
    from compare.worker import WorkerFailed
    from fnet.importing import ImportFailed, imported, named
    from train_keras.quiet import import_keras

    try:
        backends = None if args.backends is None else tuple(args.backends.split(","))
        custom, objects = named(args.custom, "--custom"), named(args.custom_object, "--custom-object")
        _check(args, backends or (), [*args.others, *custom.values(), *objects.values()])
        import_keras()  # takes seconds: after all checks that do not need it
        objects = {name: imported(place) for name, place in objects.items()}
        rows = load_rows(args, objects)
    except (ValueError, OSError, ImportFailed) as error:
        log.error("%s", error)
        return 2 if isinstance(error, UsageError | ImportFailed) else 1
    from compare import parity, reference

    try:
        comparison = parity.compare(
            args.model,
            rows,
            fnet_file=args.fnet,
            other_sides=args.others,
            backends=backends,
            batch_size=args.batch_size,
            layer_rows=args.layer_rows,
            custom=custom,
            custom_objects=objects,
        )
    except (WorkerFailed, ImportFailed, reference.KerasRefuses) as error:
        log.error("%s", error)
        return 1
    _tell(comparison, args)
    return 0 if comparison.held else 1


def _tell(comparison: Comparison, args: argparse.Namespace) -> None:
    """Print a comparison, and write the report and the certificate that were asked for."""
    from rich.console import Console

    from compare import certificate, others, report
    from fnet import writing

    if args.json:
        print(json.dumps(comparison.summary()))
    else:
        # in files and pipes, lines are as long as the names need
        report.print_comparison(comparison, Console(width=None if sys.stdout.isatty() else 10_000))
    if args.report:
        log.warning("report: %s", report.write_report([comparison], args.report))
    if args.certificate:
        files = [args.model, *([args.fnet] if args.fnet else []), *map(Path, filter(others.is_file, args.others))]
        text = json.dumps(certificate.certificate(comparison, files), indent=2, ensure_ascii=False)
        args.certificate.parent.mkdir(parents=True, exist_ok=True)
        writing.write(args.certificate, f"{text}\n".encode())
        log.warning("certificate: %s", args.certificate)


def _check(args: argparse.Namespace, backends: tuple[str, ...], places: list[str]) -> None:
    """places: the other sides, and where the code of custom layers is."""
    from compare import others
    from fnet.backend import BACKENDS
    from fnet.importing import file_of

    if not set(backends) <= set(BACKENDS):
        raise UsageError(f"--backends takes {', '.join(BACKENDS)}; got {args.backends!r}")
    if args.batch_size < 1 or args.layer_rows < 0 or (args.rows is not None and args.rows < 1):
        raise UsageError("--batch-size and --rows must be at least 1, --layer-rows not negative")
    if args.labels and not args.inputs:
        raise UsageError("--labels belongs to --inputs")
    if args.inputs and args.inputs.suffix not in (".npy", ".npz"):
        raise UsageError(f"{args.inputs}: inputs are arrays of NumPy, .npy or .npz: np.save('x.npy', rows)")
    if args.labels and args.labels.suffix != ".npy":
        raise UsageError(f"{args.labels}: labels are an array of NumPy: np.save('y.npy', labels)")
    for place in args.others:
        if not others.is_file(place) and ":" not in place:
            suffixes = ", ".join((*others.PROGRAMS, *others.MODELS))
            raise UsageError(f"--with {place}: give a file ({suffixes}), module:function or file.py:function")
    code = map(file_of, (place.rpartition(":")[0] for place in places if not others.is_file(place)))
    _check_files(args, [Path(place) for place in args.others if others.is_file(place)], filter(None, code))
    if args.model.suffix not in others.KERAS:
        other = f", and --fnet {args.model} if fnet is to load this one instead" if others.is_file(args.model) else ""
        raise UsageError(f"{args.model} is not a file of Keras: give a {', '.join(others.KERAS)} file{other}")


def _check_files(args: argparse.Namespace, of_others: list[Path], code: Iterable[str]) -> None:
    files = list(filter(None, (args.model, args.fnet, args.inputs, args.labels, *of_others)))
    for file in files:
        if not file.exists():
            raise FileNotFoundError(f"no file {file}")
    files += map(Path, code)
    for target in filter(None, (args.report, args.certificate)):
        if target.exists() and (not target.is_file() or any(map(target.samefile, files))):
            raise UsageError(f"{target}: a file that is read, or not a regular file, so not written over")


def load_rows(args: argparse.Namespace, custom_objects: dict[str, Any]) -> Rows:
    """The rows to compare on: the user's own, or a split of the data set that fits the model."""
    from compare.measuring import Rows

    if args.inputs is None:
        rows = data_rows(args.model, args.data, args.split, args.cache, custom_objects, args.language)
    else:
        rows = Rows(args.inputs.name, *_own(args, custom_objects))
    if args.rows is None:
        return rows
    from compare.worker import head

    return Rows(rows.name, head(rows.x, args.rows), None if rows.y is None else rows.y[: args.rows], rows.classes)


def _own(args: argparse.Namespace, custom_objects: dict[str, Any]) -> tuple[Any, Any]:
    import numpy as np

    inputs, labels = args.inputs, args.labels
    try:
        x = np.load(inputs, allow_pickle=False)
        arrays = dict(x) if inputs.suffix == ".npz" else {}
        y = None if labels is None else np.load(labels, allow_pickle=False)
    except (ValueError, OSError, KeyError) as error:
        hint = "; texts are saved as np.array(rows, 'str')" if "Object" in str(error) else ""
        raise ValueError(f"cannot read {inputs} or its labels: {error}{hint}") from error
    x = _by_name(arrays, inputs, args.model, custom_objects) if inputs.suffix == ".npz" else x
    every = [*(x if isinstance(x, tuple) else (x,)), *([] if y is None else [y])]
    if any(a.ndim == 0 or len(a) != len(every[0]) or len(a) == 0 for a in every):
        shapes = ", ".join(str(a.shape) for a in every)
        raise UsageError(f"inputs and labels need the same number of rows, at least 1; got the shapes {shapes}")
    return x, None if y is None else _classes(y)


def _classes(y: Any) -> Any:
    """Labels, of rows or of pixels, as whole numbers. Raises UsageError for fractions and texts: no classes."""
    if y.dtype.kind not in "iubf" or (y != y // 1).any():
        raise UsageError(f"labels are numbers of classes, 0, 1, ...; got {y.dtype}{list(y.shape)}")
    return y.astype(int)


def _by_name(arrays: dict[str, Any], file: Path, model_file: Path, custom_objects: dict[str, Any]) -> Any:
    """The only array of a .npz `file`, or all in the order of the model's inputs: named like these, or x0, x1, ..."""
    from compare import reference
    from fnet import tree

    if not arrays:
        raise UsageError(f"{file} has no arrays")
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    names = [f"x{i}" for i in range(len(arrays))]
    if set(names) != set(arrays):
        names = [tensor.name for tensor in tree.leaves(reference.takes(reference.load(model_file, custom_objects)))]
        if set(names) != set(arrays):
            raise UsageError(f"{file} has {', '.join(arrays)}; the model takes {', '.join(names)}")
    return tuple(arrays[name] for name in names)


def data_rows(
    model_file: Path,
    where: str | None,
    split: str,
    cache: str | None = None,
    custom_objects: dict[str, Any] | None = None,
    language: str = "indonesian",
) -> Rows:
    """A split of the images or texts, whichever the model takes, as float32 pixels or strings."""
    import numpy as np

    from compare import reference
    from compare.measuring import Rows
    from train_keras import data

    model = reference.load(model_file, custom_objects)
    takes, *others = model.inputs
    if others:
        raise UsageError(f"{model_file.name} takes {1 + len(others)} arrays, a data set has one; use --inputs")
    kind = "texts" if takes.dtype == "string" else "images"
    data_set = data.load(kind, where, cache, language)
    part = data_set.splits[split]
    if kind == "images" and tuple(takes.shape[1:]) != part.x.shape[1:]:
        raise UsageError(
            f"{model_file.name} takes {tuple(takes.shape[1:])}, {data_set.name} has {part.x.shape[1:]}; "
            "use another --data, or --inputs"
        )
    x = part.x.astype(np.float32) if kind == "images" else part.x
    labelled = set(model.outputs[0].shape[1:-1]) <= {1}  # one class for each row, not for each pixel or step
    return Rows(f"{data_set.name} {split}", x, part.y if labelled else None, data_set.classes)
