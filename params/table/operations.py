"""The conversion table of operations: (module, class) of `keras.ops` -> fnet.operations, and what is refused, why."""

from __future__ import annotations

from fnet import operations
from params.table.layers import Entry
from params.table.numpy_operations import NUMPY
from params.table.op_entry import op

ACTIVATIONS = {
    "Mish": op(operations.mish),
    "ReLU": op(operations.relu),
}

CORE = {
    "Cast": op(operations.cast),
    "ConvertToTensor": op(operations.convert_to_tensor, false=("sparse", "ragged")),
    "SaturateCast": op(operations.saturate_cast),
    "Scatter": op(operations.scatter),
    "ScatterUpdate": op(operations.scatter_update),
    "Slice": op(operations.slice),
    "SliceUpdate": op(operations.slice_update),
    "StopGradient": op(operations.stop_gradient, ("variable",)),
    "Unstack": op(operations.unstack),
}

EINOPS = {
    "Rearrange": op(operations.rearrange, ("tensor", "pattern", "**axes_lengths")),
}

IMAGE = {
    "AffineTransform": op(operations.affine_transform),
    "CropImages": op(operations.crop_images),
    "ExtractPatches": op(operations.extract_patches),
    "GaussianBlur": op(operations.gaussian_blur),
    "HSVToRGB": op(operations.hsv_to_rgb),
    "MapCoordinates": op(operations.map_coordinates),
    "PadImages": op(operations.pad_images),
    "PerspectiveTransform": op(operations.perspective_transform),
    "RGBToGrayscale": op(operations.rgb_to_grayscale),
    "RGBToHSV": op(operations.rgb_to_hsv),
    "Resize": op(operations.resize),
    "SSIM": op(operations.ssim),
    "ScaleAndTranslate": op(operations.scale_and_translate),
    "SobelEdges": op(operations.sobel_edges),
}

LINALG = {
    "Cholesky": op(operations.cholesky),
    "CholeskyInverse": op(operations.cholesky_inverse),
    "Det": op(operations.det),
    "Eig": op(operations.eig),
    "Eigh": op(operations.eigh),
    "Inv": op(operations.inv),
    "Lstsq": op(operations.lstsq),
    "LuFactor": op(operations.lu_factor),
    "MatrixRank": op(operations.matrix_rank),
    "Norm": op(operations.norm),
    "Pinv": op(operations.pinv),
    "Qr": op(operations.qr),
    "SVD": op(operations.svd),
    "Solve": op(operations.solve),
    "SolveTriangular": op(operations.solve_triangular),
}

MATH = {
    "CDist": op(operations.cdist),
    "Erf": op(operations.erf),
    "Erfc": op(operations.erfc),
    "Erfinv": op(operations.erfinv),
    "ExtractSequences": op(operations.extract_sequences),
    "FFT": op(operations.fft),
    "FFT2": op(operations.fft2),
    "IFFT2": op(operations.ifft2),
    "IRFFT": op(operations.irfft),
    "ISTFT": op(operations.istft),
    "InTopK": op(operations.in_top_k),
    "Logdet": op(operations.logdet),
    "Logsumexp": op(operations.logsumexp),
    "RFFT": op(operations.rfft),
    "Rsqrt": op(operations.rsqrt),
    "STFT": op(operations.stft),
    "SegmentMax": op(operations.segment_max),
    "SegmentMin": op(operations.segment_min),
    "SegmentProd": op(operations.segment_prod),
    "SegmentSum": op(operations.segment_sum),
    "TopK": op(operations.top_k),
    "ViewAsComplex": op(operations.view_as_complex),
    "ViewAsReal": op(operations.view_as_real),
}

NN = {
    "AdaptiveAveragePool": op(operations.adaptive_average_pool),
    "AdaptiveMaxPool": op(operations.adaptive_max_pool),
    "AveragePool": op(operations.average_pool),
    "BatchNorm": op(operations.batch_norm),
    "BinaryCrossentropy": op(operations.binary_crossentropy),
    "CTCDecode": op(operations.ctc_decode),
    "CTCLoss": op(operations.ctc_loss),
    "CategoricalCrossentropy": op(operations.categorical_crossentropy),
    "Celu": op(operations.celu),
    "Conv": op(operations.conv),
    "ConvTranspose": op(operations.conv_transpose),
    "DepthToSpace": op(operations.depth_to_space),
    "DepthwiseConv": op(operations.depthwise_conv),
    "DotProductAttention": op(operations.dot_product_attention),
    "Elu": op(operations.elu),
    "Fold": op(operations.fold),
    "Gelu": op(operations.gelu),
    "Glu": op(operations.glu),
    "HardShrink": op(operations.hard_shrink),
    "HardSigmoid": op(operations.hard_sigmoid),
    "HardSilu": op(operations.hard_silu),
    "HardTanh": op(operations.hard_tanh),
    "LayerNorm": op(operations.layer_norm),
    "LeakyRelu": op(operations.leaky_relu),
    "LogSigmoid": op(operations.log_sigmoid),
    "LogSoftmax": op(operations.log_softmax),
    "MaxPool": op(operations.max_pool),
    "Moments": op(operations.moments),
    "MultiHot": op(operations.multi_hot),
    "Normalize": op(operations.normalize),
    "OneHot": op(operations.one_hot),
    "PSNR": op(operations.psnr),
    "Polar": op(operations.polar),
    "RMSNorm": op(operations.rms_norm),
    "Relu": op(operations.relu),
    "Relu6": op(operations.relu6),
    "Selu": op(operations.selu),
    "SeparableConv": op(operations.separable_conv),
    "Sigmoid": op(operations.sigmoid),
    "Silu": op(operations.silu),
    "SoftShrink": op(operations.soft_shrink),
    "Softmax": op(operations.softmax),
    "Softplus": op(operations.softplus),
    "Softsign": op(operations.softsign),
    "SpaceToDepth": op(operations.space_to_depth),
    "SparseCategoricalCrossentropy": op(operations.sparse_categorical_crossentropy),
    "SparsePlus": op(operations.sparse_plus),
    "SparseSigmoid": op(operations.sparse_sigmoid),
    "Sparsemax": op(operations.sparsemax),
    "Squareplus": op(operations.squareplus),
    "TanhShrink": op(operations.tanh_shrink),
    "Threshold": op(operations.threshold),
    "Unfold": op(operations.unfold),
}

QUANTIZERS = {
    "FakeQuantWithMinMaxVars": op(operations.fake_quant_with_min_max_vars),
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
    "ElasticTransform": "it moves pixels at random, in training",
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
