"""`fnet explain`: what is in a model file and what fnet makes of it."""

from __future__ import annotations

import argparse
import json
from typing import Any

DESCRIPTION = """Each layer and operation of a .keras, .h5 or .safetensors file, supported, limited or refused and why,
all at once; shapes, parameters, floating-point operations, masks, the Keras that wrote it, and what is worth a look.
Reads the configuration alone, no weights; `fnet verify` reads those."""


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "explain",
        help="what is in a model file, what is refused and why",
        description=DESCRIPTION,
        epilog="Exit status: 0 where fnet runs the model, 1 where it does not.\nexamples:\n  fnet explain cnn.keras\n"
        "  fnet explain examples/models/cifar10-cnn.safetensors --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", help=".keras, .h5 or .safetensors file, or the config alone (.json)")
    command.add_argument("--json", action="store_true", help="the same as JSON")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import fnet

    explanation = fnet.explain(args.model)
    print(json.dumps(explanation.as_dict(), indent=1) if args.json else explanation)
    return 0 if explanation.supported else 1
