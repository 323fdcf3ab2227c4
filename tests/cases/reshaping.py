"""Cases of fnet.layers.reshaping and fnet.layers.up_sampling."""

import itertools

import fnet
from tests.cases import Case

FIRST = {"data_format": "channels_first"}

CASES = [
    Case(fnet.flatten, (3, 4, 5), twin="Flatten"),
    Case(fnet.flatten, (3,), twin="Flatten"),
    Case(fnet.flatten, (3, 4, 2, 5), FIRST, twin="Flatten"),
    Case(fnet.flatten, (3, 4), FIRST, twin="Flatten", idle="it is flat"),
    Case(fnet.flatten, (3, 4, 5), twin="Flatten", mask=True),
    Case(fnet.reshape, (2, 3, 4, 5, 6), {"target_shape": (12, 30)}, twin="Reshape"),
    Case(fnet.reshape, (2, 3, 4), {"target_shape": (-1, 2)}, twin="Reshape"),
    Case(fnet.reshape, (2, 3, 4), {"target_shape": (3, 4)}, twin="Reshape", mask=True),
    Case(fnet.reshape, (2, 12), {"target_shape": (2, 1, -1, 3)}, twin="Reshape"),
    Case(fnet.reshape, (2, 1), {"target_shape": ()}, twin="Reshape"),
    Case(fnet.permute, (2, 3, 4, 5, 2, 3), {"dims": (3, 4, 1, 5, 2)}, twin="Permute"),
    Case(fnet.permute, (2, 3, 4, 5, 2, 3), {"dims": (1, 5, 3, 2, 4)}, twin="Permute"),
    Case(fnet.permute, (2, 3, 4), {"dims": (2, 1)}, twin="Permute", mask=True),
    *(Case(fnet.repeat_vector, (2, 3), {"n": n}, twin="RepeatVector") for n in (4, 2)),
    Case(fnet.cropping1d, (2, 6, 3), twin="Cropping1D", mask=True),
    Case(fnet.cropping1d, (2, 6, 3), {"cropping": 2}, twin="Cropping1D"),
    Case(fnet.cropping1d, (2, 6, 3), {"cropping": (0, 3)}, twin="Cropping1D"),
    Case(fnet.cropping2d, (2, 6, 7, 3), {"cropping": ((1, 2), (3, 0))}, twin="Cropping2D"),
    Case(fnet.cropping2d, (2, 3, 6, 7), {"cropping": (1, 2), **FIRST}, twin="Cropping2D"),
    Case(fnet.cropping2d, (2, 6, 7, 3), {"cropping": 2}, twin="Cropping2D"),
    Case(fnet.cropping2d, (2, 6, 7, 3), twin="Cropping2D", idle="crops nothing"),
    Case(fnet.cropping3d, (2, 7, 8, 12, 3), {"cropping": ((1, 2), (3, 4), (5, 6))}, twin="Cropping3D"),
    Case(fnet.cropping3d, (2, 3, 6, 7, 5), {"cropping": (1, 2, 1), **FIRST}, twin="Cropping3D"),
    Case(fnet.cropping3d, (2, 3, 6, 7, 5), twin="Cropping3D"),
    Case(fnet.zero_padding1d, (2, 4, 3), twin="ZeroPadding1D", mask=True),
    Case(fnet.zero_padding1d, (2, 4, 3), {"padding": (2, 0)}, twin="ZeroPadding1D"),
    Case(fnet.zero_padding1d, (2, 4, 3), {"padding": (0, 3), **FIRST}, twin="ZeroPadding1D"),
    Case(fnet.zero_padding2d, (2, 4, 3, 2), twin="ZeroPadding2D"),
    Case(fnet.zero_padding2d, (2, 4, 3, 2), {"padding": ((1, 2), (3, 4))}, twin="ZeroPadding2D"),
    Case(fnet.zero_padding2d, (2, 4, 3, 2), {"padding": (1, 2), **FIRST}, twin="ZeroPadding2D"),
    Case(fnet.zero_padding2d, (2, 4, 3, 2), {"padding": 2}, twin="ZeroPadding2D"),
    Case(fnet.zero_padding3d, (2, 4, 3, 2, 2), {"padding": ((1, 2), (3, 4), (5, 6))}, twin="ZeroPadding3D"),
    Case(fnet.zero_padding3d, (2, 4, 3, 2, 2), {"padding": (1, 2, 0), **FIRST}, twin="ZeroPadding3D"),
    Case(fnet.zero_padding3d, (2, 4, 3, 2, 2), twin="ZeroPadding3D"),
    Case(fnet.up_sampling1d, (2, 4, 3), twin="UpSampling1D", mask=True),
    Case(fnet.up_sampling1d, (2, 4, 3), {"size": 3}, twin="UpSampling1D"),
    Case(fnet.up_sampling2d, (2, 4, 3, 2), twin="UpSampling2D"),
    Case(fnet.up_sampling2d, (2, 4, 3, 2), {"size": (5, 3)}, twin="UpSampling2D"),
    Case(fnet.up_sampling2d, (2, 4, 3, 2), {"size": (1, 2), **FIRST}, twin="UpSampling2D"),
    *(
        Case(fnet.up_sampling2d, (2, 4, 3, 2), {"size": size, "interpolation": kind, **layout}, twin="UpSampling2D")
        for kind, size, layout in itertools.product(
            ("bilinear", "bicubic", "lanczos3", "lanczos5"), (3, (5, 2)), ({}, FIRST)
        )
    ),
    Case(
        fnet.up_sampling2d,
        (2, 4, 3, 2),
        {"interpolation": "bicubic", "half_pixels": False},
        twin="UpSampling2D",
        twin_options={"interpolation": "bicubic"},
        idle="bilinear alone is measured otherwise",
    ),
    Case(fnet.up_sampling3d, (2, 4, 3, 2, 2), twin="UpSampling3D"),
    Case(fnet.up_sampling3d, (2, 4, 3, 2, 2), {"size": (1, 3, 5)}, twin="UpSampling3D"),
    Case(fnet.up_sampling3d, (2, 4, 3, 2, 2), {"size": 2, **FIRST}, twin="UpSampling3D"),
]
