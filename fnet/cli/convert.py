"""`fnet convert`: a Keras file as one .safetensors file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fnet.cli.common import (
    UsageError,
    add_model,
    add_scaling,
    check_labels,
    check_target,
    custom_layers,
    log,
    read_labels,
)
from fnet.cli.inputs import warn_of_two_scales

HELP = "a Keras file as one .safetensors file"
DESCRIPTION = """Write model and weights as one .safetensors file, which loads faster and holds no code.
It has a self-test for `fnet verify`, if the model has answers for generated rows.
--scale is kept next to the model; with --offset both become a layer before it."""
EPILOG = """examples:
  fnet convert cnn.keras cnn.safetensors --scale 1/255
  fnet convert model.json model.safetensors --weights model.weights.h5"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_model(command)
    command.add_argument("output", help="the .safetensors file to write")
    command.add_argument("--labels", help="class names to keep: comma-separated, or a file with one per line")
    add_scaling(command)


def run(args: argparse.Namespace) -> int:
    import fnet

    if not args.output.endswith(".safetensors"):
        raise UsageError(f"{args.output}: the file to write ends in .safetensors; `fnet export` writes other kinds")
    check_target(Path(args.output), args)
    custom = custom_layers(args)
    model, weights = fnet.load_keras(args.model, weights=args.weights, custom=custom)
    labels = read_labels(args.labels)
    if labels:
        check_labels(labels, fnet.core.infer.infer(model, fnet.core.infer.input_spec(model))[0])
    warn_of_two_scales(model, args.scale, args.offset)
    scale = args.scale
    if args.offset:
        (model, weights), scale = rescaled(model, weights, args.scale, args.offset), None
    fnet.save(args.output, model, weights, labels=labels, scale=scale, custom=custom, selftest=True)
    log.info("wrote %s (%s bytes)", args.output, f"{Path(args.output).stat().st_size:,}")
    return 0


def rescaled(model: Any, params: Any, scale: float | None, offset: float = 0.0) -> tuple[Any, Any]:
    """(model, params) with a layer before the model that scales its inputs."""
    import fnet

    spec: Any = fnet.core.infer.input_spec(model)
    if not isinstance(spec, fnet.Spec) or "float" not in spec.dtype:
        raise UsageError("a scale that becomes a layer, as with --offset, is for a model with one input, of floats")
    whole = fnet.sequential(
        pixels=fnet.bind(fnet.input_layer, shape=spec.shape, dtype=spec.dtype),
        rescaling=fnet.bind(fnet.rescaling, scale=1.0 if scale is None else scale, offset=offset),
        model=model,
    )
    return whole, {"model": params}
