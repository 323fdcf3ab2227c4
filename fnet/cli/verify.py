"""`fnet verify`: whether a model file is whole and its model gives the outputs that were saved with it."""

from __future__ import annotations

import argparse
import json

from fnet.cli.common import add_custom, custom_layers

HELP = "whether a model file is whole and its outputs are those of when it was saved"
DESCRIPTION = """Check all of a model file (.keras, .h5, .safetensors): checksums, shapes, dtypes, numbers, with remarks
on odd ones (layers of zeros, statistics as before training). Then run the self-test in a .safetensors of
`fnet convert`: generated rows, and the outputs of the model for them when it was saved."""
EPILOG = """Exit status: 0 if the file is whole, 1 if it is not.
examples:
  fnet verify examples/models/nusax-lstm.safetensors
  fnet verify cnn.keras --json"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help="model file")
    command.add_argument("--json", action="store_true", help="the same as JSON")
    add_custom(command)


def run(args: argparse.Namespace) -> int:
    import fnet

    verification = fnet.verify(args.model, custom=custom_layers(args))
    print(json.dumps(verification.as_dict(), indent=1) if args.json else verification)
    return 0 if verification.holds else 1
