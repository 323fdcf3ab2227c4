"""`fnet summary`: the steps of a model."""

from __future__ import annotations

import argparse
import json

from fnet.cli.common import add_model, load_model

HELP = "the steps of a model"
DESCRIPTION = "Steps, output shapes and parameter counts of a model."
EPILOG = "example:  fnet summary examples/models/cifar10-cnn.safetensors"


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_model(command)
    command.add_argument("--json", action="store_true", help="the same as JSON")


def run(args: argparse.Namespace) -> int:
    import fnet

    model, _, info = load_model(args)
    if args.json:
        rows = fnet.trace(model, fnet.core.infer.input_spec(model))[:-1]
        steps = [
            {"step": fnet.tree.path_name(row.path), "layer": repr(row.step), "output": str(row.outputs)} for row in rows
        ]
        print(json.dumps({"steps": steps, **info}, indent=1))
    else:
        print(fnet.summary(model))
    return 0
