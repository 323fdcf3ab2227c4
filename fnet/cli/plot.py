"""`fnet plot`: a model file as a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fnet import writing
from fnet.cli.common import UsageError, add_custom, check_target, custom_layers, log

HELP = "a model as a picture (SVG)"
DESCRIPTION = """Draw the steps of a model as an SVG, with shapes at the lines between them. It reads only the
configuration, no weights. Refused layers are red. A box shows more when the mouse is over it."""
EPILOG = """Exit status: 0 if the picture is drawn, even with refused layers; `fnet explain` says why they are refused.
examples:
  fnet plot cnn.keras
  fnet plot examples/models/nusax-lstm.safetensors --depth 0 --output lstm.svg"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help=".keras, .h5 or .safetensors file, or only the config (.json)")
    command.add_argument("--depth", type=int, metavar="N", help="levels of nested models to open (all)")
    command.add_argument(
        "--output", metavar="FILE", help="the .svg to write (the model's name in this folder); - for standard output"
    )
    add_custom(command)


def run(args: argparse.Namespace) -> int:
    from params.explaining.pictured import picture

    if args.depth is not None and args.depth < 0:
        raise UsageError("--depth is at least 0")
    custom = custom_layers(args)
    if args.output == "-":
        sys.stdout.write(picture(args.model, depth=args.depth, custom=custom))
        return 0
    output = Path(args.output or f"{Path(args.model).stem}.svg")
    if output.suffix != ".svg":
        raise UsageError(f"{output}: the picture is an SVG, so a name that ends in .svg")
    check_target(output, args)
    writing.write(output, picture(args.model, depth=args.depth, custom=custom).encode())
    log.info("wrote %s", output)
    return 0
