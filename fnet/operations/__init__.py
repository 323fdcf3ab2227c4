"""Keras operations on tensors (`keras.ops`) as layers: nodes of functional graphs.

Each is `(params, x, *, options)` without parameters; `x` is the tensor, or the tuple of tensors and numbers of
the Keras call: `operations.add({}, (a, 2.5))`. The options have the names of the Keras constructor. Masks are
dropped. Dtypes follow Keras on TensorFlow: integers become float32 where a float is needed, never float64.
NumPy rules of broadcasting hold; the shape rules know the output without running anything.
"""

# ruff: noqa: A004 - the operations have Keras's names
# isort: off
# fmt: off
from fnet.operations.activations import (
    celu, elu, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, leaky_relu, log_sigmoid, log_softmax,
    mish, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus, softsign, sparse_plus, sparse_sigmoid,
    sparsemax, squareplus, tanh_shrink, threshold,
)
from fnet.operations.convolutions import (
    conv, conv_transpose, depthwise_conv, separable_conv,
)
from fnet.operations.creation import (
    arange, array, cast, convert_to_tensor, empty_like, full, full_like, geomspace, linspace, logspace, multi_hot,
    ndim, one_hot, ones_like, saturate_cast, size, vander, view, zeros_like,
)
from fnet.operations.decoding import (
    ctc_decode, ctc_loss,
)
from fnet.operations.elementwise import (
    abs, absolute, add, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, cbrt, ceil, clip, conj,
    conjugate, copy, cos, cosh, deg2rad, divide, divide_no_nan, erf, erfc, erfinv, exp, exp2, expm1, fabs, floor,
    floor_divide, fmax, fmin, fmod, gcd, heaviside, hypot, i0, imag, isreal, lcm, ldexp, log, log10, log1p, log2,
    logaddexp, logaddexp2, maximum, minimum, mod, multiply, nan_to_num, negative, nextafter, power, rad2deg, real,
    reciprocal, round, rsqrt, sign, sin, sinc, sinh, sqrt, square, stop_gradient, subtract, tan, tanh, true_divide,
    trunc,
)
from fnet.operations.image_filters import (
    extract_patches, gaussian_blur, sobel_edges, ssim,
)
from fnet.operations.image_geometry import (
    affine_transform, map_coordinates, perspective_transform, scale_and_translate,
)
from fnet.operations.images import (
    crop_images, hsv_to_rgb, pad_images, resize, rgb_to_grayscale, rgb_to_hsv,
)
from fnet.operations.indexing import (
    get_item, nonzero, scatter, scatter_update, select, slice, slice_update, take, take_along_axis, where,
)
from fnet.operations.joining import (
    append, array_split, concatenate, dsplit, dstack, hsplit, hstack, meshgrid, rearrange, split, stack, unstack,
    vsplit, vstack,
)
from fnet.operations.linear_algebra import (
    cholesky, cholesky_inverse, det, eig, eigh, inv, logdet, lstsq, lu_factor, matrix_rank, norm, pinv, qr, slogdet,
    solve, solve_triangular, svd,
)
from fnet.operations.logic import (
    allclose, bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift,
    bitwise_xor, equal, greater, greater_equal, isclose, isfinite, isinf, isnan, isneginf, isposinf, left_shift,
    less, less_equal, logical_and, logical_not, logical_or, logical_xor, not_equal, right_shift, signbit,
)
from fnet.operations.neural import (
    batch_norm, binary_crossentropy, categorical_crossentropy, dot_product_attention, fake_quant_with_min_max_vars,
    layer_norm, moments, normalize, psnr, rms_norm, sparse_categorical_crossentropy,
)
from fnet.operations.products import (
    cdist, correlate, cross, dot, einsum, inner, kron, matmul, outer, tensordot, trace, vdot,
)
from fnet.operations.reductions import (
    all, amax, amin, any, argmax, argmin, average, count_nonzero, cumprod, cumsum, logsumexp, max, mean, min,
    nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean, nanmin, nanprod, nanstd, nansum, nanvar, prod,
    ptp, std, sum, var,
)
from fnet.operations.shaping import (
    broadcast_to, diag, diagflat, diagonal, expand_dims, flip, fliplr, flipud, moveaxis, pad, ravel, repeat,
    reshape, roll, rot90, squeeze, swapaxes, tile, transpose, tril, triu,
)
from fnet.operations.signals import (
    extract_sequences, fft, fft2, ifft2, irfft, istft, polar, rfft, segment_max, segment_min, segment_prod,
    segment_sum, stft, view_as_complex, view_as_real,
)
from fnet.operations.sorting import (
    argpartition, argsort, digitize, in_top_k, isin, searchsorted, sort, top_k, unique, unravel_index,
)
from fnet.operations.statistics import (
    bincount, corrcoef, diff, histogram, median, nanmedian, nanpercentile, nanquantile, percentile, quantile,
    trapezoid,
)
from fnet.operations.windows import (
    adaptive_average_pool, adaptive_max_pool, average_pool, depth_to_space, fold, max_pool, space_to_depth, unfold,
)

__all__ = [
    "abs", "absolute", "adaptive_average_pool", "adaptive_max_pool", "add", "affine_transform", "all", "allclose",
    "amax", "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort", "array", "array_split", "average",
    "average_pool", "batch_norm", "binary_crossentropy", "bincount", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "broadcast_to", "cast",
    "categorical_crossentropy", "cbrt", "cdist", "ceil", "celu", "cholesky", "cholesky_inverse", "clip",
    "concatenate", "conj", "conjugate", "conv", "conv_transpose", "convert_to_tensor", "copy", "corrcoef",
    "correlate", "cos", "cosh", "count_nonzero", "crop_images", "cross", "ctc_decode", "ctc_loss", "cumprod",
    "cumsum", "deg2rad", "depth_to_space", "depthwise_conv", "det", "diag", "diagflat", "diagonal", "diff",
    "digitize", "divide", "divide_no_nan", "dot", "dot_product_attention", "dsplit", "dstack", "eig", "eigh",
    "einsum", "elu", "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims", "expm1",
    "extract_patches", "extract_sequences", "fabs", "fake_quant_with_min_max_vars", "fft", "fft2", "flip", "fliplr",
    "flipud", "floor", "floor_divide", "fmax", "fmin", "fmod", "fold", "full", "full_like", "gaussian_blur", "gcd",
    "gelu", "geomspace", "get_item", "glu", "greater", "greater_equal", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_tanh", "heaviside", "histogram", "hsplit", "hstack", "hsv_to_rgb", "hypot", "i0", "ifft2", "imag",
    "in_top_k", "inner", "inv", "irfft", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf",
    "isreal", "istft", "kron", "layer_norm", "lcm", "ldexp", "leaky_relu", "left_shift", "less", "less_equal",
    "linspace", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax", "logaddexp", "logaddexp2", "logdet",
    "logical_and", "logical_not", "logical_or", "logical_xor", "logspace", "logsumexp", "lstsq", "lu_factor",
    "map_coordinates", "matmul", "matrix_rank", "max", "max_pool", "maximum", "mean", "median", "meshgrid", "min",
    "minimum", "mish", "mod", "moments", "moveaxis", "multi_hot", "multiply", "nan_to_num", "nanargmax",
    "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod",
    "nanquantile", "nanstd", "nansum", "nanvar", "ndim", "negative", "nextafter", "nonzero", "norm", "normalize",
    "not_equal", "one_hot", "ones_like", "outer", "pad", "pad_images", "percentile", "perspective_transform",
    "pinv", "polar", "power", "prod", "psnr", "ptp", "qr", "quantile", "rad2deg", "ravel", "real", "rearrange",
    "reciprocal", "relu", "relu6", "repeat", "reshape", "resize", "rfft", "rgb_to_grayscale", "rgb_to_hsv",
    "right_shift", "rms_norm", "roll", "rot90", "round", "rsqrt", "saturate_cast", "scale_and_translate", "scatter",
    "scatter_update", "searchsorted", "segment_max", "segment_min", "segment_prod", "segment_sum", "select", "selu",
    "separable_conv", "sigmoid", "sign", "signbit", "silu", "sin", "sinc", "sinh", "size", "slice", "slice_update",
    "slogdet", "sobel_edges", "soft_shrink", "softmax", "softplus", "softsign", "solve", "solve_triangular", "sort",
    "space_to_depth", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split",
    "sqrt", "square", "squareplus", "squeeze", "ssim", "stack", "std", "stft", "stop_gradient", "subtract", "sum",
    "svd", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tanh_shrink", "tensordot", "threshold", "tile",
    "top_k", "trace", "transpose", "trapezoid", "tril", "triu", "true_divide", "trunc", "unfold", "unique",
    "unravel_index", "unstack", "vander", "var", "vdot", "view", "view_as_complex", "view_as_real", "vsplit",
    "vstack", "where", "zeros_like",
]
