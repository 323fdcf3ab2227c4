"""Keras operations on tensors (`keras.ops`) as layers: nodes of functional graphs.

Each is `(params, x, *, options)` without parameters; `x` is the tensor, or the tuple of tensors and numbers of
the Keras call: `operations.add({}, (a, 2.5))`. The options have the names of the Keras constructor. Masks are
dropped. Dtypes follow Keras on TensorFlow: integers become float32 where a float is needed, never float64.
NumPy rules of broadcasting hold; the shape rules know the output without running anything.

Each family is imported when its first operation is used.
"""

from fnet.lazy import lazily

FAMILIES = {
    "activations": (
        "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax mish "
        "relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax "
        "squareplus tanh_shrink threshold"
    ),
    "convolutions": "conv conv_transpose depthwise_conv separable_conv",
    "creation": (
        "arange array cast convert_to_tensor empty_like full full_like geomspace linspace logspace multi_hot ndim "
        "one_hot ones_like saturate_cast size vander view zeros_like"
    ),
    "decoding": "ctc_decode ctc_loss",
    "elementwise": (
        "abs absolute add angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil clip conj "
        "conjugate copy cos cosh deg2rad divide divide_no_nan erf erfc erfinv exp exp2 expm1 fabs floor "
        "floor_divide fmax fmin fmod gcd heaviside hypot i0 imag isreal lcm ldexp log log10 log1p log2 logaddexp "
        "logaddexp2 maximum minimum mod multiply nan_to_num negative nextafter power rad2deg real reciprocal "
        "round rsqrt sign sin sinc sinh sqrt square stop_gradient subtract tan tanh true_divide trunc"
    ),
    "image_filters": "extract_patches gaussian_blur sobel_edges ssim",
    "image_geometry": "affine_transform map_coordinates perspective_transform scale_and_translate",
    "images": "crop_images hsv_to_rgb pad_images resize rgb_to_grayscale rgb_to_hsv",
    "indexing": "get_item nonzero scatter scatter_update select slice slice_update take take_along_axis where",
    "joining": (
        "append array_split concatenate dsplit dstack hsplit hstack meshgrid rearrange split stack unstack vsplit "
        "vstack"
    ),
    "linear_algebra": (
        "cholesky cholesky_inverse det eig eigh inv logdet lstsq lu_factor matrix_rank norm pinv qr slogdet solve "
        "solve_triangular svd"
    ),
    "logic": (
        "allclose bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
        "bitwise_xor equal greater greater_equal isclose isfinite isinf isnan isneginf isposinf left_shift less "
        "less_equal logical_and logical_not logical_or logical_xor not_equal right_shift signbit"
    ),
    "neural": (
        "batch_norm binary_crossentropy categorical_crossentropy dot_product_attention "
        "fake_quant_with_min_max_vars layer_norm moments normalize psnr rms_norm sparse_categorical_crossentropy"
    ),
    "products": "cdist correlate cross dot einsum inner kron matmul outer tensordot trace vdot",
    "reductions": (
        "all amax amin any argmax argmin average count_nonzero cumprod cumsum logsumexp max mean min nanargmax "
        "nanargmin nancumprod nancumsum nanmax nanmean nanmin nanprod nanstd nansum nanvar prod ptp std sum var"
    ),
    "shaping": (
        "broadcast_to diag diagflat diagonal expand_dims flip fliplr flipud moveaxis pad ravel repeat reshape "
        "roll rot90 squeeze swapaxes tile transpose tril triu"
    ),
    "signals": (
        "extract_sequences fft fft2 ifft2 irfft istft polar rfft segment_max segment_min segment_prod segment_sum "
        "stft view_as_complex view_as_real"
    ),
    "sorting": "argpartition argsort digitize in_top_k isin searchsorted sort top_k unique unravel_index",
    "statistics": (
        "bincount corrcoef diff histogram median nanmedian nanpercentile nanquantile percentile quantile trapezoid"
    ),
    "windows": (
        "adaptive_average_pool adaptive_max_pool average_pool depth_to_space fold max_pool space_to_depth unfold"
    ),
}
"""{file: its operations}."""

NAMES = [name for names in FAMILIES.values() for name in names.split()]

__all__ = NAMES
__getattr__, __dir__ = lazily(__name__, FAMILIES)
