"""Models as programs for other runtimes: ONNX and StableHLO. Each is run and compared before it is written."""

from fnet.export.programs import load_onnx, load_stablehlo, to_onnx, to_stablehlo

__all__ = ["load_onnx", "load_stablehlo", "to_onnx", "to_stablehlo"]
