"""Rows in which an option matters that no other row shows: each next to one that differs in it."""

from __future__ import annotations

from fnet import operations as o
from tests.cases.operations.images import IMAGE, SHEAR
from tests.cases.operations.row import A, M, OpCase, P, rows

FIRST = {"data_format": "channels_first"}
CORNERS = [[0.0, 0.0], [5.0, 1.0], [0.0, 4.0], [6.0, 5.0]], [[1.0, 0.0], [6.0, 0.0], [0.0, 5.0], [5.0, 4.0]]
SSIM = A((2, 14, 13, 3), center=0.5, scale=0.15), A((2, 14, 13, 3), center=0.4, scale=0.15)
HELD = A((6,), "int32", 0, 4)

WINDOWED = [
    *rows((o.adaptive_max_pool, o.adaptive_average_pool), A((2, 3, 7, 8)), output_size=4, **FIRST),
    *rows((o.adaptive_max_pool, o.adaptive_average_pool), A((2, 7, 3)), output_size=3),
    *rows((o.max_pool,), A((2, 7, 8, 3), "int32", -9, -1), pool_size=(3, 2), strides=2, padding="same"),
    *rows((o.conv_transpose,), A((2, 5, 6, 3)), A((3, 3, 4, 3)), strides=1, dilation_rate=2, padding="valid"),
    *rows((o.depthwise_conv,), A((2, 4, 9, 8)), A((3, 3, 4, 2)), **FIRST),
    *rows((o.depthwise_conv,), A((2, 9, 8, 4)), A((3, 3, 4, 2)), dilation_rate=2),
    *rows((o.separable_conv,), A((2, 9, 8, 4)), A((3, 3, 4, 2)), A((1, 1, 8, 5)), padding="same"),
    *rows((o.separable_conv,), A((2, 4, 9, 8)), A((3, 3, 4, 2)), A((1, 1, 8, 5)), strides=1, **FIRST),
    *rows((o.separable_conv,), A((2, 9, 8, 4)), A((3, 2, 4, 2)), A((1, 1, 8, 5)), dilation_rate=2),
    *rows((o.depth_to_space,), A((2, 3, 4, 18)), block_size=3),
    *rows((o.space_to_depth,), A((2, 6, 9, 2)), block_size=3),
    *rows((o.unfold,), A((2, 3, 7, 8)), kernel_size=2),
    *rows((o.fold,), A((2, 12, 12)), output_size=(4, 5), kernel_size=2),
]

NETWORKS = [
    *rows(
        (o.categorical_crossentropy,), A((2, 3, 4), center=0.5, scale=0.1), A((2, 3, 4), center=0.5, scale=0.1), axis=1
    ),
    *rows((o.glu,), A((4, 6)), axis=0),
    *rows((o.sparsemax,), A((3, 4, 2), scale=2.0), axis=1),
    *rows((o.normalize,), A((2, 3, 4)), axis=(0, 2)),
    *rows((o.threshold,), A((3, 6)), threshold=-0.5, default_value=2.0),
    *rows((o.layer_norm,), A((2, 3, 4)), A((3, 4)), A((3, 4)), axis=(1, 2)),
    *rows((o.layer_norm,), A((2, 3, 4)), A((4,)), A((4,)), epsilon=0.3),
    *rows((o.layer_norm,), A((2, 3, 4)), A((4,)), rms_scaling=True),
    *rows((o.normalize,), A((2, 3, 4), scale=0.1), epsilon=0.5),
    *rows((o.psnr,), M, M, max_val=1.0),
    *rows((o.psnr,), M, P, max_val=3.0),
]

PICTURES = [
    *rows((o.crop_images,), A((2, 3, 5, 6)), top_cropping=1, left_cropping=2, target_height=4, target_width=3, **FIRST),
    *rows((o.extract_patches,), IMAGE, size=(3, 2), dilation_rate=2, strides=1),
    *rows((o.extract_patches,), A((2, 3, 6, 7)), size=(3, 2), **FIRST),
    *rows((o.gaussian_blur, o.sobel_edges), A((2, 3, 6, 7)), **FIRST),
    *rows((o.resize,), IMAGE, size=(6, 9), pad_to_aspect_ratio=True),
    *rows((o.resize,), IMAGE, size=(6, 9), pad_to_aspect_ratio=True, fill_value=0.3),
    *rows((o.resize,), A((2, 3, 6, 7)), size=(4, 9), **FIRST),
    *rows((o.affine_transform,), A((2, 3, 6, 7)), SHEAR, **FIRST),
    *rows((o.perspective_transform,), IMAGE, *CORNERS, interpolation="nearest"),
    *rows((o.perspective_transform,), IMAGE, *CORNERS, fill_value=0.4),
    *rows((o.perspective_transform,), A((2, 3, 6, 7), center=1.0, scale=0.1), *CORNERS, **FIRST),
    *rows((o.map_coordinates,), A((5, 6)), A((2, 4, 3), center=2.0, scale=4.0), order=1, fill_value=0.7),
    *rows((o.ssim,), *SSIM, max_val=2.0),
    *rows((o.ssim,), *SSIM, filter_sigma=0.7),
    *rows((o.ssim,), *SSIM, k1=0.3),
    *rows((o.ssim,), *SSIM, k2=0.3),
    *rows((o.ssim,), A((2, 3, 14, 13), center=0.5), A((2, 3, 14, 13), center=0.4), **FIRST),
]

NUMBERS = [
    *rows((o.cumsum, o.cumprod, o.nancumsum, o.nancumprod, o.prod), A((3, 4), "int32"), axis=1, dtype="float32"),
    *rows((o.prod,), A((3, 4), "int8"), axis=1, dtype="int32"),
    *rows((o.min,), P, axis=1, initial=2.9),
    *rows((o.nanmedian,), A((3, 7), nan=True), axis=1, keepdims=True),
    *rows((o.nanquantile, o.nanpercentile), A((3, 7), nan=True), 0.4, axis=1, keepdims=True),
    *[
        OpCase(o.nanpercentile, (A((3, 7), nan=True), 40.0), {"axis": 1, "method": method})
        for method in ("lower", "nearest")
    ],
    *[
        # A row of six has its 40% at a whole rank, which float32, all that JAX has here, rounds the other way.
        OpCase(
            o.nanpercentile, (A((3, 7), nan=True), 40.0), {"axis": 1, "method": method}, skip_modes=("jax", "jax-jit")
        )
        for method in ("higher", "midpoint")
    ],
    OpCase(o.bincount, (HELD,), {"weights": (0.5, 1.5, 2.5, -1.0, 4.0, 0.1)}, jit=False),
    *rows((o.logsumexp, o.ptp, o.average, o.median, o.nanmedian), A((2, 3, 4)), axis=(0, -1)),
    *rows((o.average,), A((2, 3, 4)), A((2, 3, 4), center=2.0, scale=0.2), axis=(0, -1)),
    *rows((o.flip,), A((2, 3, 4)), axis=(0, -1)),
    *rows((o.roll,), A((2, 3, 4)), shift=(1, 2), axis=(0, -1)),
    *rows((o.squeeze,), A((1, 3, 1, 1)), axis=(0, -1)),
    *rows((o.cross,), A((4, 3)), A((3, 4)), axisb=0),
    *rows((o.cross,), A((3, 4)), A((4, 3)), axisa=0),
    *rows((o.cross,), A((4, 3)), A((4, 3)), axisc=0),
    *rows(
        (o.geomspace, o.logspace), A((3,), center=3.0, scale=0.2), A((3,), center=6.0, scale=0.2), num=5, endpoint=False
    ),
    *rows((o.logspace,), A((3,), center=3.0, scale=0.2), A((3,), center=6.0, scale=0.2), num=5, axis=-1),
    *rows((o.logspace,), A((3,), center=1.0, scale=0.2), A((3,), center=2.0, scale=0.2), num=5, base=3.0),
    *rows((o.linspace, o.logspace), A((2, 3), center=1.0), A((2, 3), center=3.0), num=4, axis=-2),
    *rows((o.linspace, o.geomspace, o.logspace), 1.0, 5.0, num=4, dtype="float16"),
    *rows((o.linspace, o.logspace), A((2,), "float16"), A((2,), "float16", center=5.0), num=3, dtype="float32"),
    OpCase(o.arange, (A((), "int32", 5, 9),), {"dtype": "float32"}, jit=False),
    *rows((o.lstsq,), A((5, 3)), A((5, 2)), rcond=0.7),
    *rows((o.pinv,), A((2, 4, 3)), rcond=0.6),
    OpCase(o.matrix_rank, (A((6, 4, 3)),), {"tol": 1.2}),
    *rows((o.trapezoid,), A((3, 5)), positions=(0.0, 1.0, 1.5, 4.0, 9.0)),
    *rows((o.trapezoid,), A((3, 5)), positions=(2.0, 1.0, 5.0), axis=0),
    *rows((o.stft,), A((2, 30)), sequence_length=6, sequence_stride=3, fft_length=10),
    *rows((o.istft,), (A((2, 7, 6)), A((2, 7, 6))), sequence_length=10, sequence_stride=3, fft_length=10),
    *rows((o.istft,), (A((2, 7, 4)), A((2, 7, 4))), sequence_length=4, sequence_stride=4, fft_length=7),
    *rows(
        (o.istft,), (A((2, 7, 5)), A((2, 7, 5))), sequence_length=8, sequence_stride=2, fft_length=8, window="hamming"
    ),
    *rows(
        (o.istft,),
        (A((2, 7, 5)), A((2, 7, 5))),
        sequence_length=8,
        sequence_stride=2,
        fft_length=8,
        center=False,
        window=None,
    ),
    *rows((o.extract_sequences,), A((2, 10)), sequence_length=3, sequence_stride=2),
]

PLACES = [
    *rows((o.array_split,), A((4, 7)), indices_or_sections=2, axis=1),
    *rows((o.hsplit, o.vsplit), A((4, 6)), indices_or_sections=[1, 3]),
    *rows((o.dsplit,), A((2, 3, 4)), indices_or_sections=[1]),
    *rows((o.broadcast_to,), A((3, 1)), shape=(3, 5)),
    *rows((o.swapaxes,), A((2, 3, 4)), axis1=1, axis2=2),
    *rows((o.unstack,), A((2, 3, 4)), axis=2),
    *rows((o.take_along_axis,), A((3, 4)), A((3, 2), center=1.5, scale=0.3), axis=1),
    *rows((o.slice,), A((4, 5)), (0, 1), shape=(3, 2)),
    *rows((o.scatter,), A((4, 1), "int32", 0, 3), A((4, 2)), shape=(3, 2)),
    *rows((o.in_top_k,), A((6,), "int32", 0, 5), A((6, 5)), k=1),
    *rows((o.in_top_k,), A((6,), "int32", 0, 2), A((6, 2), nan=True), k=1),
    *rows((o.top_k,), A((3, 9)), k=3),
    *rows((o.unravel_index,), A((5,), "int32", 0, 24), shape=(4, 6)),
    *rows((o.multi_hot,), A((3, 4), "int32", 0, 6), num_classes=8, axis=0),
    *rows((o.multi_hot,), A((3, 4), "int32", 0, 6), num_classes=6, dtype="int32"),
    *rows((o.empty_like,), M, dtype="int32"),
    *rows((o.full,), 2.5, shape=(4,), dtype="int32"),
    OpCase(o.unique, (A((9,), "int32"),), {"size": 12, "fill_value": 7}, jit=False),
    *rows((o.argpartition,), A((3, 7), "int32", -4, 4), kth=2),
    *rows((o.argpartition,), A((7, 3), "int32", 0, 90), kth=1, axis=0),
    *rows((o.argpartition,), A((4, 3, 5), "float32"), kth=1),
    *rows((o.argpartition,), A((3, 4)), kth=5, axis=None),
    *rows((o.argmax, o.argmin), A((3, 4, 5), "int32", 0, 3), axis=2),
]

OPTIONS = [*WINDOWED, *NETWORKS, *PICTURES, *NUMBERS, *PLACES]
