# ruff: noqa: A004 - the operations have Keras's names
# What type checkers read of `__init__.py`.
# isort: off
# fmt: off
from fnet.operations.activations import (
    celu as celu, elu as elu, gelu as gelu, glu as glu, hard_shrink as hard_shrink, hard_sigmoid as
    hard_sigmoid, hard_silu as hard_silu, hard_tanh as hard_tanh, leaky_relu as leaky_relu, log_sigmoid as
    log_sigmoid, log_softmax as log_softmax, mish as mish, relu as relu, relu6 as relu6, selu as selu,
    sigmoid as sigmoid, silu as silu, soft_shrink as soft_shrink, softmax as softmax, softplus as softplus,
    softsign as softsign, sparse_plus as sparse_plus, sparse_sigmoid as sparse_sigmoid, sparsemax as
    sparsemax, squareplus as squareplus, tanh_shrink as tanh_shrink, threshold as threshold,
)
from fnet.operations.convolutions import (
    conv as conv, conv_transpose as conv_transpose, depthwise_conv as depthwise_conv, separable_conv as
    separable_conv,
)
from fnet.operations.creation import (
    arange as arange, array as array, cast as cast, convert_to_tensor as convert_to_tensor, empty_like as
    empty_like, full as full, full_like as full_like, geomspace as geomspace, linspace as linspace, logspace
    as logspace, multi_hot as multi_hot, ndim as ndim, one_hot as one_hot, ones_like as ones_like,
    saturate_cast as saturate_cast, size as size, vander as vander, view as view, zeros_like as zeros_like,
)
from fnet.operations.decoding import ctc_decode as ctc_decode, ctc_loss as ctc_loss
from fnet.operations.elementwise import (
    abs as abs, absolute as absolute, add as add, angle as angle, arccos as arccos, arccosh as arccosh,
    arcsin as arcsin, arcsinh as arcsinh, arctan as arctan, arctan2 as arctan2, arctanh as arctanh, cbrt as
    cbrt, ceil as ceil, clip as clip, conj as conj, conjugate as conjugate, copy as copy, cos as cos, cosh
    as cosh, deg2rad as deg2rad, divide as divide, divide_no_nan as divide_no_nan, erf as erf, erfc as erfc,
    erfinv as erfinv, exp as exp, exp2 as exp2, expm1 as expm1, fabs as fabs, floor as floor, floor_divide
    as floor_divide, fmax as fmax, fmin as fmin, fmod as fmod, gcd as gcd, heaviside as heaviside, hypot as
    hypot, i0 as i0, imag as imag, isreal as isreal, lcm as lcm, ldexp as ldexp, log as log, log10 as log10,
    log1p as log1p, log2 as log2, logaddexp as logaddexp, logaddexp2 as logaddexp2, maximum as maximum,
    minimum as minimum, mod as mod, multiply as multiply, nan_to_num as nan_to_num, negative as negative,
    nextafter as nextafter, power as power, rad2deg as rad2deg, real as real, reciprocal as reciprocal,
    round as round, rsqrt as rsqrt, sign as sign, sin as sin, sinc as sinc, sinh as sinh, sqrt as sqrt,
    square as square, stop_gradient as stop_gradient, subtract as subtract, tan as tan, tanh as tanh,
    true_divide as true_divide, trunc as trunc,
)
from fnet.operations.image_filters import (
    extract_patches as extract_patches, gaussian_blur as gaussian_blur, sobel_edges as sobel_edges, ssim as
    ssim,
)
from fnet.operations.image_geometry import (
    affine_transform as affine_transform, map_coordinates as map_coordinates, perspective_transform as
    perspective_transform, scale_and_translate as scale_and_translate,
)
from fnet.operations.images import (
    crop_images as crop_images, hsv_to_rgb as hsv_to_rgb, pad_images as pad_images, resize as resize,
    rgb_to_grayscale as rgb_to_grayscale, rgb_to_hsv as rgb_to_hsv,
)
from fnet.operations.indexing import (
    get_item as get_item, nonzero as nonzero, scatter as scatter, scatter_update as scatter_update, select
    as select, slice as slice, slice_update as slice_update, take as take, take_along_axis as
    take_along_axis, where as where,
)
from fnet.operations.joining import (
    append as append, array_split as array_split, concatenate as concatenate, dsplit as dsplit, dstack as
    dstack, hsplit as hsplit, hstack as hstack, meshgrid as meshgrid, rearrange as rearrange, split as
    split, stack as stack, unstack as unstack, vsplit as vsplit, vstack as vstack,
)
from fnet.operations.linear_algebra import (
    cholesky as cholesky, cholesky_inverse as cholesky_inverse, det as det, eig as eig, eigh as eigh, inv as
    inv, logdet as logdet, lstsq as lstsq, lu_factor as lu_factor, matrix_rank as matrix_rank, norm as norm,
    pinv as pinv, qr as qr, slogdet as slogdet, solve as solve, solve_triangular as solve_triangular, svd as
    svd,
)
from fnet.operations.logic import (
    allclose as allclose, bitwise_and as bitwise_and, bitwise_invert as bitwise_invert, bitwise_left_shift
    as bitwise_left_shift, bitwise_not as bitwise_not, bitwise_or as bitwise_or, bitwise_right_shift as
    bitwise_right_shift, bitwise_xor as bitwise_xor, equal as equal, greater as greater, greater_equal as
    greater_equal, isclose as isclose, isfinite as isfinite, isinf as isinf, isnan as isnan, isneginf as
    isneginf, isposinf as isposinf, left_shift as left_shift, less as less, less_equal as less_equal,
    logical_and as logical_and, logical_not as logical_not, logical_or as logical_or, logical_xor as
    logical_xor, not_equal as not_equal, right_shift as right_shift, signbit as signbit,
)
from fnet.operations.neural import (
    batch_norm as batch_norm, binary_crossentropy as binary_crossentropy, categorical_crossentropy as
    categorical_crossentropy, dot_product_attention as dot_product_attention, fake_quant_with_min_max_vars
    as fake_quant_with_min_max_vars, layer_norm as layer_norm, moments as moments, normalize as normalize,
    psnr as psnr, rms_norm as rms_norm, sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from fnet.operations.products import (
    cdist as cdist, correlate as correlate, cross as cross, dot as dot, einsum as einsum, inner as inner,
    kron as kron, matmul as matmul, outer as outer, tensordot as tensordot, trace as trace, vdot as vdot,
)
from fnet.operations.reductions import (
    all as all, amax as amax, amin as amin, any as any, argmax as argmax, argmin as argmin, average as
    average, count_nonzero as count_nonzero, cumprod as cumprod, cumsum as cumsum, logsumexp as logsumexp,
    max as max, mean as mean, min as min, nanargmax as nanargmax, nanargmin as nanargmin, nancumprod as
    nancumprod, nancumsum as nancumsum, nanmax as nanmax, nanmean as nanmean, nanmin as nanmin, nanprod as
    nanprod, nanstd as nanstd, nansum as nansum, nanvar as nanvar, prod as prod, ptp as ptp, std as std, sum
    as sum, var as var,
)
from fnet.operations.shaping import (
    broadcast_to as broadcast_to, diag as diag, diagflat as diagflat, diagonal as diagonal, expand_dims as
    expand_dims, flip as flip, fliplr as fliplr, flipud as flipud, moveaxis as moveaxis, pad as pad, ravel
    as ravel, repeat as repeat, reshape as reshape, roll as roll, rot90 as rot90, squeeze as squeeze,
    swapaxes as swapaxes, tile as tile, transpose as transpose, tril as tril, triu as triu,
)
from fnet.operations.signals import (
    extract_sequences as extract_sequences, fft as fft, fft2 as fft2, ifft2 as ifft2, irfft as irfft, istft
    as istft, polar as polar, rfft as rfft, segment_max as segment_max, segment_min as segment_min,
    segment_prod as segment_prod, segment_sum as segment_sum, stft as stft, view_as_complex as
    view_as_complex, view_as_real as view_as_real,
)
from fnet.operations.sorting import (
    argpartition as argpartition, argsort as argsort, digitize as digitize, in_top_k as in_top_k, isin as
    isin, searchsorted as searchsorted, sort as sort, top_k as top_k, unique as unique, unravel_index as
    unravel_index,
)
from fnet.operations.statistics import (
    bincount as bincount, corrcoef as corrcoef, diff as diff, histogram as histogram, median as median,
    nanmedian as nanmedian, nanpercentile as nanpercentile, nanquantile as nanquantile, percentile as
    percentile, quantile as quantile, trapezoid as trapezoid,
)
from fnet.operations.windows import (
    adaptive_average_pool as adaptive_average_pool, adaptive_max_pool as adaptive_max_pool, average_pool as
    average_pool, depth_to_space as depth_to_space, fold as fold, max_pool as max_pool, space_to_depth as
    space_to_depth, unfold as unfold,
)

FAMILIES: dict[str, str]
NAMES: list[str]
