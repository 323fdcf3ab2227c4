"""`fnet activations`: the outputs of the steps of a model, in numbers and as a picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fnet import tree, writing
from fnet.cli import inputs
from fnet.cli.common import UsageError, add_model, check_target, load_model, log
from fnet.core.infer import aligned
from fnet.errors import printable

HELP = "the activations of a model: ranges, feature maps as a picture"
DESCRIPTION = """The outputs of the steps of a model for some rows: shapes, ranges, how many numbers are 0 or NaN.
With --output, the first row at one step as a picture: a map for each channel, a line for each feature over time;
white is 0, blue above, red below."""
EPILOG = """examples:
  fnet activations examples/models/cifar10-cnn.safetensors photos/0.png --resize
  fnet activations examples/models/cifar10-cnn.safetensors photos/0.png --resize --at conv_1 --output maps.png
  fnet activations examples/models/nusax-lstm.safetensors --text 'kamarnya bersih' --at embedding"""
HEADER = ("step", "shape", "dtype", "least", "mean", "largest", "zeros", "NaN")


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_model(command)
    inputs.add_arguments(command)
    command.add_argument("--at", action="append", metavar="NAME", help="a step, like block/conv (all); may be repeated")
    command.add_argument("--rows", type=int, default=1, metavar="N", help="how many rows, from the first on (1)")
    command.add_argument("--output", type=Path, metavar="FILE", help="write the picture of one step as .png")
    command.add_argument("--json", action="store_true", help="the table as JSON")


def run(args: argparse.Namespace) -> int:
    import fnet
    from fnet.inference.door import Door

    if bool(args.inputs) == bool(args.text):
        raise UsageError("give either input files or --text")
    if args.rows < 1:
        raise UsageError("--rows is at least 1")
    if args.output is not None:
        if args.output.suffix.lower() != ".png" or len(args.at or ()) != 1:
            raise UsageError("--output writes one step as a .png: give --at NAME once, and a name that ends in .png")
        check_target(args.output, args, inputs.files(args))
    model, params, info = load_model(args)
    source = inputs.source(inputs.request(model, args, args.rows))
    batch = next(source.batches, None)
    if batch is None:
        raise UsageError("there are no rows")
    x = Door(model).admit(inputs.scaling(model, args, info, source.pixels)(batch.rows))
    try:
        flows = fnet.activations(model, params, x, args.at)
    except KeyError as error:
        raise UsageError(error.args[0]) from None
    table = [line for path, value in flows.items() for line in _lines(path, value)]
    if args.output is not None:
        from fnet.pictures.maps import feature_maps

        first = tree.leaves(flows[args.at[0]])[0]
        writing.write(args.output, feature_maps(np.asarray(first)[0]))
        log.info("wrote %s", args.output)
    if args.json:
        print(json.dumps([dict(zip(HEADER, line, strict=True)) for line in table], indent=1))
        return 0
    print("\n".join(aligned([HEADER, *(tuple(map(_shown, line)) for line in table)])))
    return 0


def _lines(path: str, value: Any) -> Iterator[tuple[Any, ...]]:
    """A line for each output array of a step."""
    for place, leaf in tree.items(value):
        array = np.asarray(leaf)
        name = "/".join([path, *map(str, place)])
        if array.dtype.kind not in "fiub":
            yield name, list(array.shape), str(array.dtype), None, None, None, None, None
            continue
        numbers = array.astype(np.float64)
        sound = numbers[np.isfinite(numbers)]
        least, mean, largest = (float(f(sound)) if sound.size else None for f in (np.min, np.mean, np.max))
        zeros = float((numbers == 0).mean()) if numbers.size else 0.0
        yield name, list(array.shape), str(array.dtype), least, mean, largest, zeros, int(numbers.size - sound.size)


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else printable(str(cell).replace(" ", ""))
