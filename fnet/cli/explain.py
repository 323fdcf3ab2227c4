"""`fnet explain`: the contents of a model file and what fnet makes of them."""

from __future__ import annotations

import argparse
import json

from fnet.cli.common import add_custom, custom_layers

HELP = "what is in a model file, what is refused and why"
DESCRIPTION = """Each layer and operation of a .keras, .h5 or .safetensors file, supported, limited or refused and why;
shapes, parameters, floating-point operations, masks, the Keras that wrote it, and remarks that are worth a look.
Reads only the configuration, no weights; `fnet verify` reads those."""
EPILOG = """Exit status: 0 if fnet runs the model (given sound weights), 1 if it does not.
examples:
  fnet explain cnn.keras
  fnet explain examples/models/cifar10-cnn.safetensors --json"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help=".keras, .h5 or .safetensors file, or only the config (.json)")
    command.add_argument("--json", action="store_true", help="the same as JSON")
    add_custom(command)


def run(args: argparse.Namespace) -> int:
    import fnet

    explanation = fnet.explain(args.model, custom=custom_layers(args))
    print(json.dumps(explanation.as_dict(), indent=1) if args.json else explanation)
    return 0 if explanation.supported else 1
