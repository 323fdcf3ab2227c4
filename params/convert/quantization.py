"""The option `quantization` of fnet's layers, for layers that were quantized by `model.quantize(...)`.

It follows from their dtype policy and `quantization_config`. For layers inside an attention layer it follows from the
arrays: Keras saves only the policy of the whole, float32, and cannot load such a file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fnet.layers.quantized import scheme
from params.convert.generations import Version
from params.errors import CorruptFile, UnsupportedLayer, quoted
from params.file.keras_objects import KerasObject, quantized

UNSCALED = ("TimeDistributed", "SpectralNormalization")
"""Wrappers that use the inner layer directly, without its quantization."""


ROWS_SHARE_BYTES = ("Dense", "EinsumDense")
"""Classes whose kernels of 4 bits held two rows in a byte to 3.13, and whose inputs were quantized by default."""
TABLES_HAVE_ROW_SCALES: Version = (3, 3)
"""The first Keras that gave each row of an Embedding its own scale."""


def quantization(source: KerasObject, version: Version) -> str | None:
    """The option for a layer by its config; None for one in floats. Raises UnsupportedLayer.

    version: that of the Keras that wrote the file.
    """
    if source.class_name in UNSCALED and _is_quantized(source.config.get("layer")):
        raise UnsupportedLayer(
            f"{source.label} wraps a quantized layer: Keras leaves out the scales there, so its results mean nothing; "
            "quantize the model without this layer"
        )
    how = quantized(source.config.get("dtype"))
    if how is None:
        return None
    mode, _ = how
    if version < TABLES_HAVE_ROW_SCALES and source.class_name == "Embedding":
        raise UnsupportedLayer(
            f"{source.label} is quantized with a scale for each column, as Keras 3.2 did; fnet knows a scale for each "
            "row: quantize the model with Keras 3.3 or later"
        )
    if not isinstance(mode, str):
        raise CorruptFile(f"{source.label} has the quantization mode {quoted(mode)}")
    bits, _, block = mode.partition("/")
    if mode == "float8":
        return "float8"
    if bits not in ("int8", "int4"):
        raise UnsupportedLayer(f"{source.label} is quantized as {quoted(mode)}; fnet knows int8, int4 and float8")
    if mode == "int4" and version < (3, 14) and source.class_name in ROWS_SHARE_BYTES:
        return "int4_rows_dynamic" if _quantizes_inputs(source, "int8") else "int4_rows"
    dynamic = _quantizes_inputs(source, bits)
    if bits == "int4" and block not in ("", "-1", "None"):
        _require_known_blocks(source, mode, dynamic)
        return mode
    return {"int8": ("int8_weight_only", "int8"), "int4": ("int4", "int4_dynamic")}[bits][dynamic]


def _require_known_blocks(source: KerasObject, mode: str, dynamic: bool) -> None:
    """Refuse an int4 with a scale for each block of rows where fnet does not compute as Keras."""
    try:
        scheme(mode)
    except ValueError as error:
        raise CorruptFile(f"{source.label} has the quantization mode {quoted(mode)}") from error
    if source.policy not in ("float32", "mixed_float16", "mixed_bfloat16"):
        raise UnsupportedLayer(f"{source.label} is quantized as {quoted(mode)} from {source.policy}, not from float32")
    if dynamic:
        raise UnsupportedLayer(f"{source.label} is quantized as {quoted(mode)} with quantized inputs")


def _is_quantized(value: Any) -> bool:
    """Whether a config value is a layer with a quantized policy."""
    config = value.get("config") if isinstance(value, Mapping) else None
    return isinstance(config, Mapping) and quantized(config.get("dtype")) is not None


def _quantizes_inputs(source: KerasObject, bits: str) -> bool:
    """Whether the inputs are rounded to integers as well: Keras's default for int8 and, without a config, for the
    reverse of a ReversibleEmbedding; only Keras's own default rounding is known."""
    config = source.config.get("quantization_config")
    if config is None:
        return bits == "int8" or source.class_name == "ReversibleEmbedding"
    inner = config.get("config") if isinstance(config, Mapping) else None
    if not isinstance(inner, Mapping):
        raise CorruptFile(f"{source.label} has the quantization_config {quoted(config)}")
    quantizer = inner.get("activation_quantizer")
    if quantizer is None:
        return False
    own = quantizer.get("config") if isinstance(quantizer, Mapping) else None
    own = own if isinstance(own, Mapping) else {}
    default = {"value_range": [-127, 127], "epsilon": 1e-07, "output_dtype": "int8"}
    same = {key: own.get(key) for key in default} == default and own.get("axis") in (None, -1, [-1])
    if not same or quantizer.get("class_name") != "AbsMaxQuantizer":
        raise UnsupportedLayer(f"{source.label} rounds its inputs by {quoted(quantizer)}; fnet knows Keras's default")
    return True
