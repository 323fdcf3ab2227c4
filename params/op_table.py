"""The conversion table of operations: (module, class) of `keras.ops` -> fnet.operations, and what is refused, why.

In a functional model an operation on symbolic tensors is an entry beside the layers. Its config holds the
arguments of the constructor; those of the call are in the node. A literal among the latter that fnet has as an
option (the key of GetItem) becomes that option; tensors and other numbers flow, in the order of the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnet import operations
from params.table import Entry

Config = dict[str, Any]


def _op(
    layer: Callable[..., Any],
    call: tuple[str, ...] | None = None,
    options: Callable[[Config], Config] | None = None,
    false: tuple[str, ...] = (),
) -> Entry:
    """The row of an operation; `call` names the arguments of the Keras call where fnet's differ, `false` the
    keys of the config that must be false or null.
    """
    names = vars(layer)["arguments"]
    several = len(names) > 1 or names[0].startswith("*")
    arguments = call or (() if names[0].startswith("*") else names)
    return Entry(
        layer,
        options,
        arguments=arguments,
        inputs=_in_order(names) if several else None,
        neutral=dict.fromkeys(false, (False,)),
    )


def _in_order(names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """What makes the tuple of a call's tensors and numbers: None for those left out, unless nothing follows."""

    def arrange(given: dict[str, Any]) -> tuple[Any, ...]:
        if names[0].startswith("*"):
            return tuple(given.values())
        values = list(given.values()) if set(given) - set(names) else [given.get(name) for name in names]
        while values and values[-1] is None:
            values.pop()
        return tuple(values)

    return arrange


def _renamed(config: Config, **names: str) -> Config:
    """`config` with keys renamed."""
    return {names.get(key, key): value for key, value in config.items()}


ACTIVATIONS = {
    "Mish": _op(operations.mish),
    "ReLU": _op(operations.relu),
}

CORE = {
    "Cast": _op(operations.cast),
    "ConvertToTensor": _op(operations.convert_to_tensor, false=("sparse", "ragged")),
    "SaturateCast": _op(operations.saturate_cast),
    "Scatter": _op(operations.scatter),
    "ScatterUpdate": _op(operations.scatter_update),
    "Slice": _op(operations.slice),
    "SliceUpdate": _op(operations.slice_update),
    "StopGradient": _op(operations.stop_gradient, ("variable",)),
    "Unstack": _op(operations.unstack),
}

EINOPS = {
    "Rearrange": _op(operations.rearrange, ("tensor", "pattern", "**axes_lengths")),
}

IMAGE = {
    "AffineTransform": _op(operations.affine_transform),
    "CropImages": _op(operations.crop_images),
    "ExtractPatches": _op(operations.extract_patches),
    "GaussianBlur": _op(operations.gaussian_blur),
    "HSVToRGB": _op(operations.hsv_to_rgb),
    "MapCoordinates": _op(operations.map_coordinates),
    "PadImages": _op(operations.pad_images),
    "PerspectiveTransform": _op(operations.perspective_transform),
    "RGBToGrayscale": _op(operations.rgb_to_grayscale),
    "RGBToHSV": _op(operations.rgb_to_hsv),
    "Resize": _op(operations.resize),
    "SSIM": _op(operations.ssim),
    "ScaleAndTranslate": _op(operations.scale_and_translate),
    "SobelEdges": _op(operations.sobel_edges),
}

LINALG = {
    "Cholesky": _op(operations.cholesky),
    "CholeskyInverse": _op(operations.cholesky_inverse),
    "Det": _op(operations.det),
    "Eig": _op(operations.eig),
    "Eigh": _op(operations.eigh),
    "Inv": _op(operations.inv),
    "Lstsq": _op(operations.lstsq),
    "LuFactor": _op(operations.lu_factor),
    "MatrixRank": _op(operations.matrix_rank),
    "Norm": _op(operations.norm),
    "Pinv": _op(operations.pinv),
    "Qr": _op(operations.qr),
    "SVD": _op(operations.svd),
    "Solve": _op(operations.solve),
    "SolveTriangular": _op(operations.solve_triangular),
}

MATH = {
    "CDist": _op(operations.cdist),
    "Erf": _op(operations.erf),
    "Erfc": _op(operations.erfc),
    "Erfinv": _op(operations.erfinv),
    "ExtractSequences": _op(operations.extract_sequences),
    "FFT": _op(operations.fft),
    "FFT2": _op(operations.fft2),
    "IFFT2": _op(operations.ifft2),
    "IRFFT": _op(operations.irfft),
    "ISTFT": _op(operations.istft),
    "InTopK": _op(operations.in_top_k),
    "Logdet": _op(operations.logdet),
    "Logsumexp": _op(operations.logsumexp),
    "RFFT": _op(operations.rfft),
    "Rsqrt": _op(operations.rsqrt),
    "STFT": _op(operations.stft),
    "SegmentMax": _op(operations.segment_max),
    "SegmentMin": _op(operations.segment_min),
    "SegmentProd": _op(operations.segment_prod),
    "SegmentSum": _op(operations.segment_sum),
    "TopK": _op(operations.top_k),
    "ViewAsComplex": _op(operations.view_as_complex),
    "ViewAsReal": _op(operations.view_as_real),
}

NN = {
    "AdaptiveAveragePool": _op(operations.adaptive_average_pool),
    "AdaptiveMaxPool": _op(operations.adaptive_max_pool),
    "AveragePool": _op(operations.average_pool),
    "BatchNorm": _op(operations.batch_norm),
    "BinaryCrossentropy": _op(operations.binary_crossentropy),
    "CTCDecode": _op(operations.ctc_decode),
    "CategoricalCrossentropy": _op(operations.categorical_crossentropy),
    "Celu": _op(operations.celu),
    "Conv": _op(operations.conv),
    "ConvTranspose": _op(operations.conv_transpose),
    "DepthToSpace": _op(operations.depth_to_space),
    "DepthwiseConv": _op(operations.depthwise_conv),
    "DotProductAttention": _op(operations.dot_product_attention),
    "Elu": _op(operations.elu),
    "Fold": _op(operations.fold),
    "Gelu": _op(operations.gelu),
    "Glu": _op(operations.glu),
    "HardShrink": _op(operations.hard_shrink),
    "HardSigmoid": _op(operations.hard_sigmoid),
    "HardSilu": _op(operations.hard_silu),
    "HardTanh": _op(operations.hard_tanh),
    "LayerNorm": _op(operations.layer_norm),
    "LeakyRelu": _op(operations.leaky_relu),
    "LogSigmoid": _op(operations.log_sigmoid),
    "LogSoftmax": _op(operations.log_softmax),
    "MaxPool": _op(operations.max_pool),
    "Moments": _op(operations.moments),
    "MultiHot": _op(operations.multi_hot),
    "Normalize": _op(operations.normalize),
    "OneHot": _op(operations.one_hot),
    "PSNR": _op(operations.psnr),
    "Polar": _op(operations.polar),
    "RMSNorm": _op(operations.rms_norm),
    "Relu": _op(operations.relu),
    "Relu6": _op(operations.relu6),
    "Selu": _op(operations.selu),
    "SeparableConv": _op(operations.separable_conv),
    "Sigmoid": _op(operations.sigmoid),
    "Silu": _op(operations.silu),
    "SoftShrink": _op(operations.soft_shrink),
    "Softmax": _op(operations.softmax),
    "Softplus": _op(operations.softplus),
    "Softsign": _op(operations.softsign),
    "SpaceToDepth": _op(operations.space_to_depth),
    "SparseCategoricalCrossentropy": _op(operations.sparse_categorical_crossentropy),
    "SparsePlus": _op(operations.sparse_plus),
    "SparseSigmoid": _op(operations.sparse_sigmoid),
    "Sparsemax": _op(operations.sparsemax),
    "Squareplus": _op(operations.squareplus),
    "TanhShrink": _op(operations.tanh_shrink),
    "Threshold": _op(operations.threshold),
    "Unfold": _op(operations.unfold),
}

NUMPY = {
    "Abs": _op(operations.abs),
    "Absolute": _op(operations.absolute),
    "Add": _op(operations.add),
    "All": _op(operations.all),
    "AllClose": _op(operations.allclose),
    "Amax": _op(operations.amax),
    "Amin": _op(operations.amin),
    "Angle": _op(operations.angle),
    "Any": _op(operations.any),
    "Append": _op(operations.append),
    "Arange": _op(operations.arange),
    "Arccos": _op(operations.arccos),
    "Arccosh": _op(operations.arccosh),
    "Arcsin": _op(operations.arcsin),
    "Arcsinh": _op(operations.arcsinh),
    "Arctan": _op(operations.arctan),
    "Arctan2": _op(operations.arctan2),
    "Arctanh": _op(operations.arctanh),
    "Argmax": _op(operations.argmax),
    "Argmin": _op(operations.argmin),
    "Argpartition": _op(operations.argpartition),
    "Argsort": _op(operations.argsort),
    "Array": _op(operations.array),
    "ArraySplit": _op(operations.array_split),
    "Average": _op(operations.average),
    "Bincount": _op(operations.bincount),
    "BitwiseAnd": _op(operations.bitwise_and),
    "BitwiseInvert": _op(operations.bitwise_invert),
    "BitwiseLeftShift": _op(operations.bitwise_left_shift),
    "BitwiseNot": _op(operations.bitwise_not),
    "BitwiseOr": _op(operations.bitwise_or),
    "BitwiseRightShift": _op(operations.bitwise_right_shift),
    "BitwiseXor": _op(operations.bitwise_xor),
    "BroadcastTo": _op(operations.broadcast_to),
    "Cbrt": _op(operations.cbrt),
    "Ceil": _op(operations.ceil),
    "Clip": _op(operations.clip),
    "Concatenate": _op(operations.concatenate),
    "Conj": _op(operations.conj),
    "Conjugate": _op(operations.conjugate),
    "Copy": _op(operations.copy),
    "Corrcoef": _op(operations.corrcoef),
    "Correlate": _op(operations.correlate),
    "Cos": _op(operations.cos),
    "Cosh": _op(operations.cosh),
    "CountNonzero": _op(operations.count_nonzero),
    "Cross": _op(operations.cross),
    "Cumprod": _op(operations.cumprod),
    "Cumsum": _op(operations.cumsum),
    "Deg2rad": _op(operations.deg2rad),
    "Diag": _op(operations.diag),
    "Diagflat": _op(operations.diagflat),
    "Diagonal": _op(operations.diagonal),
    "Diff": _op(operations.diff),
    "Digitize": _op(operations.digitize, ("x", "bins")),
    "Divide": _op(operations.divide),
    "DivideNoNan": _op(operations.divide_no_nan),
    "Dot": _op(operations.dot),
    "Dsplit": _op(operations.dsplit),
    "Dstack": _op(operations.dstack),
    "Einsum": _op(operations.einsum),
    "EmptyLike": _op(operations.empty_like),
    "Equal": _op(operations.equal),
    "Exp": _op(operations.exp),
    "Exp2": _op(operations.exp2),
    "ExpandDims": _op(operations.expand_dims),
    "Expm1": _op(operations.expm1),
    "Fabs": _op(operations.fabs),
    "Flip": _op(operations.flip),
    "Fliplr": _op(operations.fliplr),
    "Flipud": _op(operations.flipud),
    "Floor": _op(operations.floor),
    "FloorDivide": _op(operations.floor_divide),
    "Fmax": _op(operations.fmax),
    "Fmin": _op(operations.fmin),
    "Fmod": _op(operations.fmod),
    "Full": _op(operations.full),
    "FullLike": _op(operations.full_like),
    "Gcd": _op(operations.gcd),
    "Geomspace": _op(operations.geomspace),
    "GetItem": _op(operations.get_item, ("x", "key")),
    "Greater": _op(operations.greater),
    "GreaterEqual": _op(operations.greater_equal),
    "Heaviside": _op(operations.heaviside),
    "Histogram": _op(operations.histogram),
    "Hsplit": _op(operations.hsplit),
    "Hstack": _op(operations.hstack),
    "Hypot": _op(operations.hypot),
    "I0": _op(operations.i0),
    "Imag": _op(operations.imag),
    "Inner": _op(operations.inner),
    "IsIn": _op(operations.isin),
    "Isclose": _op(operations.isclose, ("x1", "x2", "rtol", "atol")),
    "Isfinite": _op(operations.isfinite),
    "Isinf": _op(operations.isinf),
    "Isnan": _op(operations.isnan),
    "Isneginf": _op(operations.isneginf),
    "Isposinf": _op(operations.isposinf),
    "Isreal": _op(operations.isreal),
    "Kron": _op(operations.kron),
    "Lcm": _op(operations.lcm),
    "Ldexp": _op(operations.ldexp),
    "LeftShift": _op(operations.left_shift),
    "Less": _op(operations.less),
    "LessEqual": _op(operations.less_equal),
    "Linspace": _op(operations.linspace),
    "Log": _op(operations.log),
    "Log10": _op(operations.log10),
    "Log1p": _op(operations.log1p),
    "Log2": _op(operations.log2),
    "Logaddexp": _op(operations.logaddexp),
    "Logaddexp2": _op(operations.logaddexp2),
    "LogicalAnd": _op(operations.logical_and),
    "LogicalNot": _op(operations.logical_not),
    "LogicalOr": _op(operations.logical_or),
    "LogicalXor": _op(operations.logical_xor),
    "Logspace": _op(operations.logspace),
    "Matmul": _op(operations.matmul),
    "Max": _op(operations.max),
    "Maximum": _op(operations.maximum),
    "Mean": _op(operations.mean),
    "Median": _op(operations.median),
    "Meshgrid": _op(operations.meshgrid),
    "Min": _op(operations.min),
    "Minimum": _op(operations.minimum),
    "Mod": _op(operations.mod),
    "Moveaxis": _op(operations.moveaxis),
    "Multiply": _op(operations.multiply),
    "NanToNum": _op(operations.nan_to_num),
    "Nanargmax": _op(operations.nanargmax),
    "Nanargmin": _op(operations.nanargmin),
    "Nancumprod": _op(operations.nancumprod),
    "Nancumsum": _op(operations.nancumsum),
    "Nanmax": _op(operations.nanmax),
    "Nanmean": _op(operations.nanmean),
    "Nanmedian": _op(operations.nanmedian),
    "Nanmin": _op(operations.nanmin),
    "Nanpercentile": _op(operations.nanpercentile),
    "Nanprod": _op(operations.nanprod),
    "Nanquantile": _op(operations.nanquantile),
    "Nanstd": _op(operations.nanstd),
    "Nansum": _op(operations.nansum),
    "Nanvar": _op(operations.nanvar),
    "Ndim": _op(operations.ndim),
    "Negative": _op(operations.negative),
    "Nextafter": _op(operations.nextafter),
    "Nonzero": _op(operations.nonzero),
    "NotEqual": _op(operations.not_equal),
    "OnesLike": _op(operations.ones_like),
    "Outer": _op(operations.outer),
    "Pad": _op(operations.pad, ("x", "constant_values")),
    "Percentile": _op(operations.percentile),
    "Power": _op(operations.power),
    "Prod": _op(operations.prod),
    "Ptp": _op(operations.ptp),
    "Quantile": _op(operations.quantile, options=lambda config: {**config, "method": "linear"}),  # as Keras's graphs do
    "Rad2deg": _op(operations.rad2deg),
    "Ravel": _op(operations.ravel),
    "Real": _op(operations.real),
    "Reciprocal": _op(operations.reciprocal),
    "Repeat": _op(operations.repeat),
    "Reshape": _op(operations.reshape),
    "RightShift": _op(operations.right_shift),
    "Roll": _op(operations.roll),
    "Rot90": _op(operations.rot90),
    "Round": _op(operations.round),
    "SearchSorted": _op(operations.searchsorted),
    "Select": _op(operations.select),
    "Sign": _op(operations.sign),
    "Signbit": _op(operations.signbit),
    "Sin": _op(operations.sin),
    "Sinc": _op(operations.sinc),
    "Sinh": _op(operations.sinh),
    "Size": _op(operations.size),
    "Slogdet": _op(operations.slogdet),
    "Sort": _op(operations.sort),
    "Split": _op(operations.split),
    "Sqrt": _op(operations.sqrt),
    "Square": _op(operations.square),
    "Squeeze": _op(operations.squeeze),
    "Stack": _op(operations.stack),
    "Std": _op(operations.std),
    "Subtract": _op(operations.subtract),
    "Sum": _op(operations.sum),
    "Swapaxes": _op(operations.swapaxes),
    "Take": _op(operations.take),
    "TakeAlongAxis": _op(operations.take_along_axis),
    "Tan": _op(operations.tan),
    "Tanh": _op(operations.tanh),
    "Tensordot": _op(operations.tensordot),
    "Tile": _op(operations.tile),
    "Trace": _op(operations.trace),
    "Transpose": _op(operations.transpose),
    "Trapezoid": _op(operations.trapezoid, options=lambda config: _renamed(config, x="positions")),
    "Tril": _op(operations.tril),
    "Triu": _op(operations.triu),
    "TrueDivide": _op(operations.true_divide),
    "Trunc": _op(operations.trunc),
    "Unique": _op(operations.unique),
    "UnravelIndex": _op(operations.unravel_index),
    "Vander": _op(operations.vander),
    "Var": _op(operations.var),
    "Vdot": _op(operations.vdot),
    "View": _op(operations.view),
    "Vsplit": _op(operations.vsplit),
    "Vstack": _op(operations.vstack),
    "Where": _op(operations.where),
    "ZerosLike": _op(operations.zeros_like),
}

QUANTIZERS = {
    "FakeQuantWithMinMaxVars": _op(operations.fake_quant_with_min_max_vars),
}

_FUNCTIONS = "it calls Python functions, which a model file cannot hold as data"
_SCAN = f"{_FUNCTIONS}; use a recurrent layer"

REFUSED_OPERATIONS = {
    "AssociativeScan": _SCAN,
    "Cond": f"{_FUNCTIONS}; use where(condition, a, b)",
    "ForiLoop": _SCAN,
    "Map": _SCAN,
    "Scan": _SCAN,
    "Switch": f"{_FUNCTIONS}; use where(condition, a, b)",
    "VectorizedMap": f"{_FUNCTIONS}; write the operation for the whole batch",
    "WhileLoop": _SCAN,
    "JVP": f"{_FUNCTIONS}; it belongs to training",
    "Function": "it is a graph within a graph that Keras does not save",
    "SegmentReduction": "it is the abstract base of SegmentSum and its like",
    "ElasticTransform": "it is random; a layer of the preprocessing does the same in training",
    "CTCLoss": "it belongs to training",
}
"""{class name: why fnet does not have it}."""

OPERATIONS: dict[tuple[str, str], Entry] = {
    (f"keras.src.{module}", name): entry
    for module, rows in {
        "activations.activations": ACTIVATIONS,
        "ops.core": CORE,
        "ops.einops": EINOPS,
        "ops.image": IMAGE,
        "ops.linalg": LINALG,
        "ops.math": MATH,
        "ops.nn": NN,
        "ops.numpy": NUMPY,
        "quantizers.quantizers": QUANTIZERS,
    }.items()
    for name, entry in rows.items()
}
"""{(module, class name): entry}."""
