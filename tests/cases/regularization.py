"""Cases of fnet.layers.regularization, fnet.layers.scaling and fnet.layers.augmentation, at inference."""

import fnet
from tests.cases import Case

FIRST = {"data_format": "channels_first"}


def _layer_scale(keras):
    from keras.src.applications.convnext import LayerScale

    return LayerScale(1e-6, 5)


def _stochastic_depth(keras):
    from keras.src.applications.convnext import StochasticDepth

    return StochasticDepth(0.3)


def _custom_scale(scale):
    def twin(keras):
        from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

        return CustomScaleLayer(scale)

    return twin


AUGMENTATIONS = {
    "AugMix": {},
    "CutMix": {},
    "Equalization": {},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.2},
    "RandomColorDegeneration": {"factor": 0.2},
    "RandomColorJitter": {"hue_factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomCrop": {"height": 3, "width": 3},
    "RandomElasticTransform": {},
    "RandomErasing": {},
    "RandomFlip": {},
    "RandomGaussianBlur": {},
    "RandomGrayscale": {},
    "RandomHue": {"factor": 0.2},
    "RandomInvert": {},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.2},
    "RandomSaturation": {"factor": 0.2},
    "RandomSharpness": {"factor": 0.2},
    "RandomShear": {"x_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
    "Solarization": {},
}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]


def _augmentation(name: str, dtype: str) -> Case:
    return Case(
        getattr(fnet, _snake(name)),
        (2, 6, 5, 3),
        AUGMENTATIONS[name] if name == "RandomCrop" else {},
        twin=name,
        twin_options=AUGMENTATIONS[name],
        dtype=dtype,
        high=256,
        call={"training": False},
        label=f"{_snake(name)}-{dtype}",
    )


CASES = [
    Case(fnet.dropout, (3, 4, 5), {"rate": 0.5}, twin="Dropout", mask=True),
    Case(fnet.dropout, (3, 4, 5), {"rate": 0.2, "noise_shape": (None, 1, None)}, twin="Dropout"),
    Case(fnet.spatial_dropout1d, (3, 4, 5), {"rate": 0.5}, twin="SpatialDropout1D", mask=True),
    Case(fnet.spatial_dropout2d, (3, 4, 5, 2), {"rate": 0.5, **FIRST}, twin="SpatialDropout2D"),
    Case(fnet.spatial_dropout3d, (3, 4, 2, 2, 2), {"rate": 0.5}, twin="SpatialDropout3D"),
    Case(fnet.alpha_dropout, (3, 4, 5), {"rate": 0.5, "noise_shape": (3, 1, 5)}, twin="AlphaDropout", mask=True),
    Case(fnet.gaussian_dropout, (3, 4, 5), {"rate": 0.5}, twin="GaussianDropout", mask=True),
    Case(fnet.gaussian_noise, (3, 4, 5), {"stddev": 0.5}, twin="GaussianNoise", mask=True),
    Case(
        fnet.activity_regularization,
        (3, 4, 5),
        twin="ActivityRegularization",
        twin_options={"l1": 0.1, "l2": 0.2},
        mask=True,
    ),
    Case(fnet.layer_scale, (3, 4, 5), {"projection_dim": 5}, twin=_layer_scale, mask=True),
    Case(fnet.stochastic_depth, (3, 4, 5), {"drop_path_rate": 0.3}, twin=_stochastic_depth, mask=True),
    *(
        Case(fnet.custom_scale_layer, ((3, 4, 5), (3, 4, 5)), {"scale": scale}, twin=_custom_scale(scale), mask=(0, 1))
        for scale in (0.17, -2.0)
    ),
    *(_augmentation(name, dtype) for name in AUGMENTATIONS for dtype in ("float32", "int32")),
]
