"""`fnet export`: a model as an ONNX file, as StableHLO, or as a `.keras` file."""

from __future__ import annotations

import argparse
from pathlib import Path

from fnet import tree
from fnet.cli.common import UsageError, add_model, check_target, custom_layers, load_model, log
from fnet.cli.convert import rescaled
from fnet.shapes import sized
from fnet.types import Spec

SUFFIXES = {".onnx": "onnx", ".stablehlo": "stablehlo", ".keras": "keras"}


HELP = "a model as ONNX, StableHLO or .keras"
DESCRIPTION = """Write a model for another runtime, after a comparison of its outputs there with fnet's; if they differ,
nothing is written. The scale in a .safetensors becomes a layer before the model.
Neither Keras nor TensorFlow is needed; ONNX needs the extra [onnx], StableHLO [jax]."""
EPILOG = """examples:
  fnet export cnn.keras cnn.onnx
  fnet export lstm.keras lstm.onnx --size 100   # steps"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_model(command)
    command.add_argument("output", help="the file to write, .onnx, .stablehlo or .keras")
    command.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="ONNX, StableHLO: the size of axes that the inputs leave free, but the rows, as the steps of an RNN",
    )
    command.add_argument("--to", choices=sorted(SUFFIXES.values()), help="the format to write, whatever the suffix")


def run(args: argparse.Namespace) -> int:
    import fnet

    kind = args.to or SUFFIXES.get(Path(args.output).suffix)
    if kind is None:
        raise UsageError(
            f"{args.output}: the suffix is none of {', '.join(SUFFIXES)}; say which with --to (fnet convert writes "
            ".safetensors)"
        )
    if args.size is not None and (args.size < 1 or kind == "keras"):
        raise UsageError("--size is at least 1, and for ONNX and StableHLO: a .keras file leaves sizes free")
    check_target(Path(args.output), args)
    model, params, info = load_model(args)
    if info.get("scale") not in (None, 1):
        model, params = rescaled(model, params, info["scale"])
        log.info("inputs are multiplied by %s first, the scale in %s", info["scale"], args.model)
    if kind == "keras":
        classes = {name: layer for name, layer in custom_layers(args).items() if ">" in name}
        fnet.to_keras(model, params, args.output, custom=classes)
        log.info("wrote %s (%s bytes)", args.output, f"{Path(args.output).stat().st_size:,}")
        return 0
    from fnet.core import infer
    from fnet.export import to_onnx, to_stablehlo

    takes = infer.inputs_of(model)
    if args.size is not None:
        takes = tree.map(lambda spec: Spec((*spec.shape[:1], *sized(spec.shape[1:], args.size)), spec.dtype), takes)
    verdicts = (to_onnx if kind == "onnx" else to_stablehlo)(model, params, args.output, takes)
    worst = max(verdicts, key=lambda verdict: verdict.error)
    size = f"{Path(args.output).stat().st_size:,}"
    log.info("wrote %s (%s bytes); error %.1e, allowed %.1e", args.output, size, worst.error, worst.allowed)
    return 0
