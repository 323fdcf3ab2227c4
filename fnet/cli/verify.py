"""`fnet verify`: whether a model file is whole and its model gives the outputs that were saved with it."""

from __future__ import annotations

import argparse
import json

from fnet.cli.common import add_custom, custom_layers

HELP = "whether a model file is whole and gives what it gave"
DESCRIPTION = """Read all of a model file (.keras, .h5, .safetensors): checksums, shapes, dtypes, numbers, and what is
worth a look in them (layers of zeros, statistics as before training). Then run the self-test that a .safetensors of
`fnet convert` carries: rows made by a rule, and what the model gave for them when it was saved."""
EPILOG = """Exit status: 0 where the file is whole, 1 where it is not.
examples:
  fnet verify examples/models/nusax-lstm.safetensors
  fnet verify cnn.keras --json"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    command.add_argument("model", help="model file")
    command.add_argument("--json", action="store_true", help="the same as JSON")
    add_custom(command)


def run(args: argparse.Namespace) -> int:
    import fnet

    verification = fnet.verify(args.model, custom=custom_layers(args))
    print(json.dumps(verification.as_dict(), indent=1) if args.json else verification)
    return 0 if verification.holds else 1
