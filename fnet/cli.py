"""The command line `fnet`: the outermost shell. Each command imports what it needs; nothing imports this."""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger("fnet")

EXTRAS = {
    **dict.fromkeys(("keras", "tensorflow", "datasets", "sklearn", "matplotlib", "jinja2", "rich"), "keras"),
    "jax": "jax",
    "PIL": "images",
}
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


class UsageError(Exception):
    """What was asked for makes no sense: exit status 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit status: 0 done, 1 it did not work or parity did not hold, 2 wrong usage."""
    top = parser()
    args, rest = top.parse_known_args(argv)
    if rest and not hasattr(args, "delegated"):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    logging.basicConfig(format="fnet: %(message)s")
    for name in ("fnet", "compare", "train_keras"):
        logging.getLogger(name).setLevel(logging.DEBUG if args.verbose else logging.INFO)
    try:
        return int(args.delegated(rest) if hasattr(args, "delegated") else args.run(args))
    except UsageError as error:
        log.error("%s", error)
        return 2
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        log.error("this command needs %s: pip install 'fnet-layers[%s]'", error.name, extra)
        return 1
    except (ValueError, OSError, ImportError) as error:
        if args.verbose:
            raise
        log.error("%s", "\n  ".join([str(error), *getattr(error, "__notes__", [])]))
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    top = argparse.ArgumentParser(
        prog="fnet",
        description="Run, read and trust a trained Keras model without Keras.",
        epilog="FNET_BACKEND=jax runs the same commands on JAX. `fnet COMMAND --help` explains a command.",
    )
    top.add_argument("--version", action="version", version=f"fnet {_version()}")
    top.add_argument("-v", "--verbose", action="store_true", help="debug messages, and tracebacks for errors")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _predict_arguments(commands)
    _convert_arguments(commands)
    _summary_arguments(commands)
    _layers_arguments(commands)
    for name, module, words in (
        ("demo", "compare.demo", "train three small models on embedded data, run them without Keras, compare"),
        ("train", "train_keras.cli", "train one of the report's models with Keras"),
        ("compare", "compare.cli", "Keras beside fnet on one model file and the same rows"),
        ("study", "compare.study", "the hyperparameter studies: list, run, report"),
    ):
        _delegate(commands, name, module, words)
    return top


def _version() -> str:
    from importlib.metadata import version

    return version("fnet-layers")


def _delegate(commands: Any, name: str, module: str, words: str) -> None:
    """A command that a package of its own implements; its module is imported when the command is used."""

    def run(arguments: list[str]) -> int:
        import importlib

        implementation = importlib.import_module(module)
        own = argparse.ArgumentParser(prog=f"fnet {name}", description=implementation.__doc__)
        implementation.add_arguments(own)
        return int(implementation.run(own.parse_args(arguments)))

    commands.add_parser(name, help=words, add_help=False).set_defaults(delegated=run)


# --- predict --------------------------------------------------------------------------------------


def _predict_arguments(commands: Any) -> None:
    command = commands.add_parser(
        "predict",
        help="predictions for texts, images, CSV rows or arrays",
        description="Run a model (.keras, .h5, .safetensors) on inputs and print one line for each row.",
        epilog="examples:  fnet predict cnn.keras cat.png --scale 1/255 --labels cat,dog\n"
        "           fnet predict sentiment.safetensors --text 'pelayanannya ramah'\n"
        "           fnet predict model.keras rows.csv --json > predictions.jsonl",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", help="model file, or directory of an unzipped .keras")
    command.add_argument(
        "inputs", nargs="*", help=".npy, .csv, .txt (a text a line), image files, or - for texts on standard input"
    )
    command.add_argument("--text", action="append", default=[], help="a text to classify; may be repeated")
    command.add_argument("--column", help="CSV column that holds the text (default: text, or the only column)")
    command.add_argument("--labels", help="class names, comma-separated, or a file with one a line")
    command.add_argument("--scale", type=_number, help="multiply numbers by this first, as 1/255 for pixels")
    command.add_argument("--resize", action="store_true", help="resize images to what the model takes")
    command.add_argument("--batch-size", type=int, default=32, metavar="N", help="rows at a time (default 32)")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.add_argument("--output", type=Path, help="write here (.npy: the raw array) instead of printing")
    command.set_defaults(run=_predict)


def _number(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 0.5 or 1/255") from None


def _load(path: str) -> tuple[Any, Any, dict[str, Any]]:
    """(model, params, info): info holds what a .safetensors keeps beside the weights (labels, scale)."""
    import params

    if str(path).endswith(".safetensors"):
        return (*params.load(path), params.load_info(path))
    return (*params.load_keras(path), {})


def _predict(args: argparse.Namespace) -> int:
    import fnet

    if bool(args.inputs) == bool(args.text):
        raise UsageError("give either input files or --text")
    model, weights, info = _load(args.model)
    spec = fnet.modelling.input_spec(model)
    x, names = _read_inputs(args, spec)
    scale = args.scale if args.scale is not None else info.get("scale")
    if scale is not None and x.dtype.kind not in "USO":
        x = x.astype(np.float32) * np.float32(scale)
    y = fnet.predict(model, weights, x, batch_size=args.batch_size, progress=_progress(len(names)))
    labels = _labels(args.labels) or info.get("labels")
    if args.output is not None and args.output.suffix == ".npy":
        _write_npy(args.output, y)
        return 0
    lines = list(_lines(names, y, model, labels, args.json))
    if args.output is None:
        print("\n".join(lines))
    else:
        _write_text(args.output, "\n".join(lines) + "\n")
    return 0


def _write_npy(path: Path, y: Any) -> None:
    if not isinstance(y, np.ndarray):
        raise UsageError("a model with several outputs does not fit into one .npy file; use --json")
    temporary = path.with_name(path.name + ".part.npy")
    np.save(temporary, y)
    temporary.replace(path)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _progress(rows: int) -> Any:
    """A progress bar on a terminal, for work that is long enough, when rich is there."""
    if rows < 1000 or not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        return None
    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("predicting", total=rows)
    bar.start()

    def advance(done: int, total: int) -> None:
        bar.update(task, completed=done)
        if done == total:
            bar.stop()

    return advance


def _labels(text: str | None) -> list[str] | None:
    if text is None:
        return None
    path = Path(text)
    return path.read_text("utf-8").splitlines() if path.is_file() else [part.strip() for part in text.split(",")]


def _read_inputs(args: argparse.Namespace, spec: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    """(rows, their names) from what the command line names."""
    if args.text:
        return np.array(args.text), list(args.text)
    kinds = {"-" if name == "-" else Path(name).suffix.lower() for name in args.inputs}
    if kinds <= IMAGES:
        return np.stack([_image(Path(name), spec, args.resize) for name in args.inputs]), args.inputs
    if len(args.inputs) > 1:
        raise UsageError("give one input file, or several images")
    name = args.inputs[0]
    if kinds == {".npy"}:
        x = np.load(name, allow_pickle=False)
        return x, [str(i) for i in range(len(x))]
    if kinds <= {"-", ".txt"}:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        texts = text.rstrip("\n").split("\n")
        return np.array(texts), texts
    if kinds == {".csv"}:
        return _csv(Path(name), args.column, getattr(spec, "dtype", "float32") == "string")
    raise UsageError(f"{name}: do not know how to read this; use .npy, .csv, .txt, or an image")


def _csv(path: Path, column: str | None, text: bool) -> tuple[np.ndarray[Any, Any], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise UsageError(f"{path} has no rows below its header")
    header = list(rows[0])
    if text or column:
        column = column or ("text" if "text" in header else header[0] if len(header) == 1 else None)
        if column not in header:
            raise UsageError(f"{path} has the columns {', '.join(header)}; name the text with --column")
        texts = [row[column] for row in rows]
        return np.array(texts), texts
    try:
        return np.array([[float(row[key]) for key in header] for row in rows], np.float32), [
            str(i) for i in range(len(rows))
        ]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: every column must hold numbers for this model ({error})") from None


def _image(path: Path, spec: Any, resize: bool) -> np.ndarray[Any, Any]:
    """(height, width, channels) uint8, in the mode that the model takes."""
    from PIL import Image

    shape = spec.shape if spec is not None and len(spec.shape) == 4 else (None, None, None, 3)
    with Image.open(path) as image:
        pixels = image.convert("L" if shape[3] == 1 else "RGB")
    height, width = (shape[1] or pixels.height, shape[2] or pixels.width)
    if (pixels.height, pixels.width) != (height, width):
        if not resize:
            raise UsageError(
                f"{path} is {pixels.width}x{pixels.height}, the model takes {width}x{height}; add --resize to resize it"
            )
        pixels = pixels.resize((width, height))
    array = np.asarray(pixels)
    return array[..., None] if array.ndim == 2 else array


def _lines(names: list[str], y: Any, model: Any, labels: list[str] | None, as_json: bool) -> Iterator[str]:
    import fnet

    chosen = fnet.classes(model, y) if labels and isinstance(y, np.ndarray) and y.ndim <= 2 else None
    if chosen is not None and labels is not None and len(labels) <= chosen.max(initial=0):
        raise UsageError(f"{len(labels)} labels, but the model has class {chosen.max()}")
    for i, name in enumerate(names):
        values = fnet.tree.map(lambda a: np.round(a[i].astype(float), 6).tolist(), y)  # noqa: B023 - called at once
        label = labels[chosen[i]] if chosen is not None and labels is not None else None
        if as_json:
            yield json.dumps({"input": name, **({"label": label} if label else {}), "output": values})
        elif label is not None:
            yield f"{label}\t{max(values) if len(values) > 1 else values[0]:.4f}\t{name}"
        else:
            yield f"{json.dumps(values)}\t{name}"


# --- convert, summary, layers ---------------------------------------------------------------------


def _convert_arguments(commands: Any) -> None:
    command = commands.add_parser(
        "convert",
        help="a Keras file as one .safetensors file",
        description="Write model and weights as one .safetensors file, which loads faster and holds no code.",
    )
    command.add_argument("model", help=".keras or .h5 file")
    command.add_argument("output", help="the .safetensors file to write")
    command.add_argument("--labels", help="class names to keep: comma-separated, or a file with one a line")
    command.add_argument("--scale", type=_number, help="what inputs are multiplied by first, as 1/255 for pixels")
    command.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    import params

    if not args.output.endswith(".safetensors"):
        raise UsageError(f"{args.output}: the file to write ends in .safetensors")
    model, weights = params.load_keras(args.model)
    params.save(args.output, model, weights, labels=_labels(args.labels), scale=args.scale)
    log.info("wrote %s (%s bytes)", args.output, f"{Path(args.output).stat().st_size:,}")
    return 0


def _summary_arguments(commands: Any) -> None:
    command = commands.add_parser(
        "summary", help="the steps of a model", description="Steps, output shapes and parameter counts of a model."
    )
    command.add_argument("model", help="model file")
    command.add_argument("--json", action="store_true", help="the same as JSON")
    command.set_defaults(run=_summary)


def _summary(args: argparse.Namespace) -> int:
    import fnet

    model, _, info = _load(args.model)
    if args.json:
        rows = fnet.trace(model, fnet.modelling.input_spec(model))[:-1]
        steps = [
            {"step": "/".join(map(str, row.path)), "layer": repr(row.step), "output": str(row.outputs)} for row in rows
        ]
        print(json.dumps({"steps": steps, **info}, indent=1))
    else:
        print(fnet.summary(model))
    return 0


def _layers_arguments(commands: Any) -> None:
    command = commands.add_parser(
        "layers",
        help="every Keras layer and operation: supported or refused, and why",
        description="The conversion table: every public keras.layers class and keras.ops operation.",
    )
    command.add_argument("name", nargs="?", help="only names that contain this (case does not matter)")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the same as JSON")
    form.add_argument("--markdown", action="store_true", help="the same as a Markdown page")
    command.add_argument("--refused", action="store_true", help="only what is refused")
    command.set_defaults(run=_layers)


def _layers(args: argparse.Namespace) -> int:
    from params.catalogue import catalogue

    wanted = (args.name or "").lower()
    chosen = [row for row in catalogue() if wanted in row.keras.lower() and not (args.refused and row.supported)]
    if args.json:
        print(json.dumps([asdict(row) for row in chosen], indent=1))
    elif args.markdown:
        print("\n".join(_markdown(chosen)))
    else:
        for row in chosen:
            print(f"{row.family:<14} {row.keras:<28} {row.fnet or 'refused':<32} {row.note}".rstrip())
    return 0 if chosen else 1


def _markdown(rows: Sequence[Any]) -> Iterator[str]:
    """The table as a page: docs/layers.md is this output."""
    yield "# Keras layers and operations in fnet\n"
    yield "Printed by `fnet layers --markdown` from the conversion table. The reference is Keras 3.15 on TensorFlow."
    family = None
    for row in rows:
        if row.family != family:
            family = row.family
            yield f"\n## {family}\n\n| Keras | fnet | note |\n|---|---|---|"
        yield f"| {row.keras} | {f'`{row.fnet}`' if row.fnet else '**refused**'} | {row.note} |"


if __name__ == "__main__":
    sys.exit(main())
