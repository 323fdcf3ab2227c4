"""Functions of TensorFlow as layers, by its rules: what Keras 2 wrote into graphs for `x + y`, `x[:, 0]`, `tf.concat`.

Each is `(params, x, *, options)` without parameters; `x` is the tensor, or the tuple of the tensors and numbers of the
call: `tf_functions.add({}, (a, 2.5))`. Names of arguments are TensorFlow's. Unlike those of `fnet.operations` they
promote nothing, and a quotient of integers is a float64. Masks are dropped, as in Keras 2. `FUNCTIONS` tells the names
that files use.
"""

# ruff: noqa: A004 - the functions have TensorFlow's names
# isort: off
# fmt: off
from fnet.tf_functions.algebra import (
    adjoint, band_part, cholesky, clip_by_norm, cross, det, diag, diag_part, einsum, inv, keras_dot, l2_normalize,
    matmul, matrix_transpose, matvec, norm, normalize, slogdet, solve, tensordot, trace,
)
from fnet.tf_functions.elementwise import (
    absolute, acos, acosh, add, add_n, angle, approximate_equal, asin, asinh, atan, atan2, atanh, bessel_i0,
    bitwise_and, bitwise_or, bitwise_xor, cast, ceil, clip_by_value, complex_number, conj, convert_to_tensor, cos,
    cosh, crelu, div, divide_no_nan, elu, ensure_shape, equal, erf, erfc, erfcinv, erfinv, exp, expm1, floor,
    floordiv, floormod, gelu, greater, greater_equal, hard_sigmoid, identity, imag, invert, is_finite, is_inf,
    is_nan, leaky_relu, left_shift, less, less_equal, log, log1p, log_sigmoid, logical_and, logical_not,
    logical_or, logical_xor, maximum, minimum, mish, multiply, multiply_no_nan, ndtri, negative, nextafter,
    not_equal, power, real, realdiv, reciprocal, relu, relu6, relu_with_limits, right_shift, rint,
    round_half_to_even, rsqrt, saturate_cast, selu, sigmoid, sign, silu, sin, sinh, softplus, softsign, sqrt,
    square, squared_difference, stop_gradient, subtract, tan, tanh, to_double, to_float, to_int32, to_int64,
    truediv, truncatediv, truncatemod, xdivy, xlog1py, xlogy,
)
from fnet.tf_functions.images import (
    adjust_brightness, adjust_contrast, adjust_gamma, adjust_hue, adjust_saturation, central_crop,
    convert_image_dtype, crop_to_bounding_box, extract_patches, flip_left_right, flip_up_down, grayscale_to_rgb,
    hsv_to_rgb, image_gradients, pad_to_bounding_box, per_image_standardization, resize, resize_with_crop_or_pad,
    rgb_to_grayscale, rgb_to_hsv, rgb_to_yiq, rgb_to_yuv, rot90, sobel_edges, total_variation, transpose_image,
    yiq_to_rgb, yuv_to_rgb,
)
from fnet.tf_functions.indexing import (
    boolean_mask, gather, gather_nd, getitem, one_hot, scatter_nd, slice, strided_slice, tensor_scatter_nd_add,
    tensor_scatter_nd_max, tensor_scatter_nd_min, tensor_scatter_nd_sub, tensor_scatter_nd_update, where,
)
from fnet.tf_functions.neural import (
    avg_pool, batch_normalization, bias_add, binary_crossentropy, categorical_crossentropy, conv, conv_transpose,
    depth_to_space, depthwise_conv2d, l2_loss, local_response_normalization, log_softmax, max_pool, moments,
    separable_conv2d, sigmoid_cross_entropy_with_logits, softmax, softmax_cross_entropy_with_logits,
    space_to_depth, sparse_categorical_crossentropy, sparse_softmax_cross_entropy_with_logits,
)
from fnet.tf_functions.reductions import (
    argmax, argmin, argsort, count_nonzero, cumprod, cumsum, in_top_k, reduce_all, reduce_any,
    reduce_euclidean_norm, reduce_logsumexp, reduce_max, reduce_mean, reduce_min, reduce_prod, reduce_std,
    reduce_sum, reduce_variance, searchsorted, sort, top_k, unique, unsorted_segment_mean, unsorted_segment_sqrt_n,
    unsorted_segment_sum, zero_fraction,
)
from fnet.tf_functions.shaping import (
    batch_flatten, broadcast_to, concat, expand_dims, eye, fill, linspace, numbers, ones, ones_like, pad, rank,
    repeat, reshape, reverse, reverse_sequence, roll, sequence_mask, shape, size, split, squeeze, stack, tile,
    transpose, unstack, zeros, zeros_like,
)
from fnet.tf_functions.signals import (
    dct, fft, fft2d, fftshift, frame, ifft, ifft2d, ifftshift, irfft, overlap_and_add, rfft, stft,
)
from fnet.tf_functions.rules import FUNCTIONS

__all__ = [
    "FUNCTIONS", "absolute", "acos", "acosh", "add", "add_n", "adjoint", "adjust_brightness", "adjust_contrast",
    "adjust_gamma", "adjust_hue", "adjust_saturation", "angle", "approximate_equal", "argmax", "argmin", "argsort",
    "asin", "asinh", "atan", "atan2", "atanh", "avg_pool", "band_part", "batch_flatten", "batch_normalization",
    "bessel_i0", "bias_add", "binary_crossentropy", "bitwise_and", "bitwise_or", "bitwise_xor", "boolean_mask",
    "broadcast_to", "cast", "categorical_crossentropy", "ceil", "central_crop", "cholesky", "clip_by_norm",
    "clip_by_value", "complex_number", "concat", "conj", "conv", "conv_transpose", "convert_image_dtype",
    "convert_to_tensor", "cos", "cosh", "count_nonzero", "crelu", "crop_to_bounding_box", "cross", "cumprod",
    "cumsum", "dct", "depth_to_space", "depthwise_conv2d", "det", "diag", "diag_part", "div", "divide_no_nan",
    "einsum", "elu", "ensure_shape", "equal", "erf", "erfc", "erfcinv", "erfinv", "exp", "expand_dims", "expm1",
    "extract_patches", "eye", "fft", "fft2d", "fftshift", "fill", "flip_left_right", "flip_up_down", "floor",
    "floordiv", "floormod", "frame", "gather", "gather_nd", "gelu", "getitem", "grayscale_to_rgb", "greater",
    "greater_equal", "hard_sigmoid", "hsv_to_rgb", "identity", "ifft", "ifft2d", "ifftshift", "imag",
    "image_gradients", "in_top_k", "inv", "invert", "irfft", "is_finite", "is_inf", "is_nan", "keras_dot",
    "l2_loss", "l2_normalize", "leaky_relu", "left_shift", "less", "less_equal", "linspace",
    "local_response_normalization", "log", "log1p", "log_sigmoid", "log_softmax", "logical_and", "logical_not",
    "logical_or", "logical_xor", "matmul", "matrix_transpose", "matvec", "max_pool", "maximum", "minimum", "mish",
    "moments", "multiply", "multiply_no_nan", "ndtri", "negative", "nextafter", "norm", "normalize", "not_equal",
    "numbers", "one_hot", "ones", "ones_like", "overlap_and_add", "pad", "pad_to_bounding_box",
    "per_image_standardization", "power", "rank", "real", "realdiv", "reciprocal", "reduce_all", "reduce_any",
    "reduce_euclidean_norm", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod",
    "reduce_std", "reduce_sum", "reduce_variance", "relu", "relu6", "relu_with_limits", "repeat", "reshape",
    "resize", "resize_with_crop_or_pad", "reverse", "reverse_sequence", "rfft", "rgb_to_grayscale", "rgb_to_hsv",
    "rgb_to_yiq", "rgb_to_yuv", "right_shift", "rint", "roll", "rot90", "round_half_to_even", "rsqrt",
    "saturate_cast", "scatter_nd", "searchsorted", "selu", "separable_conv2d", "sequence_mask", "shape", "sigmoid",
    "sigmoid_cross_entropy_with_logits", "sign", "silu", "sin", "sinh", "size", "slice", "slogdet", "sobel_edges",
    "softmax", "softmax_cross_entropy_with_logits", "softplus", "softsign", "solve", "sort", "space_to_depth",
    "sparse_categorical_crossentropy", "sparse_softmax_cross_entropy_with_logits", "split", "sqrt", "square",
    "squared_difference", "squeeze", "stack", "stft", "stop_gradient", "strided_slice", "subtract", "tan", "tanh",
    "tensor_scatter_nd_add", "tensor_scatter_nd_max", "tensor_scatter_nd_min", "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update", "tensordot", "tile", "to_double", "to_float", "to_int32", "to_int64", "top_k",
    "total_variation", "trace", "transpose", "transpose_image", "truediv", "truncatediv", "truncatemod", "unique",
    "unsorted_segment_mean", "unsorted_segment_sqrt_n", "unsorted_segment_sum", "unstack", "where", "xdivy",
    "xlog1py", "xlogy", "yiq_to_rgb", "yuv_to_rgb", "zero_fraction", "zeros", "zeros_like",
]
