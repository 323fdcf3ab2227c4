"""Rows of operations on images."""

from __future__ import annotations

from fnet import operations as o
from tests.cases.operations.row import A, OpCase, rows

IMAGE = A((2, 6, 7, 3), center=0.5, scale=0.15)

SHEAR = A((8,), center=0.1, scale=0.3)

INSIDE = "no coordinate lies outside"

IMAGES = [
    *rows((o.crop_images,), IMAGE, top_cropping=1, left_cropping=2, target_height=4, target_width=3),
    *rows((o.crop_images,), A((5, 6, 3)), top_cropping=1, bottom_cropping=1, left_cropping=0, right_cropping=2),
    *rows((o.pad_images,), IMAGE, top_padding=1, left_padding=2, target_height=9, target_width=10),
    *rows(
        (o.pad_images,),
        A((2, 3, 5, 6)),
        top_padding=1,
        bottom_padding=1,
        left_padding=0,
        right_padding=2,
        data_format="channels_first",
    ),
    *rows((o.rgb_to_grayscale, o.rgb_to_hsv, o.hsv_to_rgb, o.gaussian_blur, o.sobel_edges), IMAGE),
    *rows(
        (o.rgb_to_grayscale, o.rgb_to_hsv, o.hsv_to_rgb),
        A((3, 5, 6), center=0.5, scale=0.15),
        data_format="channels_first",
    ),
    OpCase(o.rgb_to_grayscale, (A((2, 3, 4, 1)),), idle="one channel is gray"),
    *rows((o.gaussian_blur,), A((5, 6, 3)), kernel_size=(3, 5), sigma=(0.7, 1.3)),
    *[
        OpCase(o.resize, (IMAGE,), {"size": size, "interpolation": kind, "antialias": smooth})
        for size, kind, smooth in (
            *(((9, 5), "bilinear", False), ((3, 4), "bilinear", True), ((9, 5), "nearest", False)),
            *(((9, 5), "bicubic", False), ((4, 9), "lanczos3", False), ((3, 4), "area", False)),
        )
    ],
    *rows((o.resize,), IMAGE, size=(4, 4), crop_to_aspect_ratio=True),
    *rows((o.resize,), A((2, 6, 7, 3), "uint8", 0, 255), size=(4, 4)),
    *rows((o.extract_patches,), IMAGE, size=(3, 2)),
    *rows((o.extract_patches,), A((6, 7, 3)), size=3, strides=1, padding="same"),
    *rows((o.extract_patches,), A((2, 4, 5, 6, 2)), size=(2, 2, 3)),
    *rows((o.ssim,), A((2, 14, 13, 3), center=0.5, scale=0.15), A((2, 14, 13, 3), center=0.5, scale=0.15)),
    *rows((o.ssim,), A((8, 9, 3), center=0.5, scale=0.15), A((8, 9, 3), center=0.5, scale=0.15), filter_size=5),
    *[
        OpCase(o.affine_transform, (IMAGE, SHEAR), {"interpolation": kind, "fill_mode": mode})
        for kind in ("bilinear", "nearest")
        for mode in ("constant", "nearest", "reflect", "wrap")
    ],
    *rows((o.affine_transform,), IMAGE, A((2, 8), center=0.1, scale=0.2), fill_value=0.5),
    *rows((o.affine_transform,), A((2, 6, 7, 3), "int32", 0, 9), A((8,), "int32", 0, 3)),
    *rows(
        (o.perspective_transform,),
        IMAGE,
        [[0.0, 0.0], [5.0, 1.0], [0.0, 4.0], [6.0, 5.0]],
        [[1.0, 0.0], [6.0, 0.0], [0.0, 5.0], [5.0, 4.0]],
    ),
    *[
        OpCase(o.map_coordinates, (A((5, 6)), A((2, 4, 3), center=2.0, scale=2.0)), {"order": order, "fill_mode": mode})
        for order in (0, 1)
        for mode in ("constant", "nearest", "wrap", "reflect")
    ],
    *[  # Keras on TensorFlow leaves the array where a coordinate mirrors onto its size
        OpCase(
            o.map_coordinates,
            (A((5, 6)), A((2, 4, 3), center=2.0, scale=0.5)),
            {"order": n, "fill_mode": "mirror"},
            idle=INSIDE,
        )
        for n in (0, 1)
    ],
    *[
        OpCase(
            o.scale_and_translate, (A((2, 6, 7, 3)), (2, *size, 3), A((2,), center=scale, scale=0.1), A((2,))), options
        )
        for size, scale in (((9, 8), 1.6), ((4, 5), 0.6))
        for options in (
            *({"spatial_dims": (1, 2), "method": kind} for kind in ("linear", "cubic", "lanczos3", "lanczos5")),
        )
    ],
    *[
        OpCase(o.scale_and_translate, (A((2, 6, 7, 3)), (2, 4, 5, 3), A((2,), center=0.6, scale=0.1), A((2,))), options)
        for options in ({"spatial_dims": (1, 2), "method": kind, "antialias": False} for kind in ("bilinear", "cubic"))
    ],
    *rows((o.scale_and_translate,), A((6, 7)), (13, 16), [2, 2], [0.5, 0.5], spatial_dims=(0, 1), method="linear"),
    *rows((o.scale_and_translate,), A((6, 7), "float16"), (6, 9), [1.3], [0.2], spatial_dims=(-1,), method="tricubic"),
]
