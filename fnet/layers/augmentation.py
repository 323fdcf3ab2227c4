"""Augmentation layers of training: at inference each of them hands its images on.

One mechanism makes them all. Keras's `predict` and `evaluate` run them so; a bare call of a Keras layer or model
outside of those augments, which is training and has no place here. No mask passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fnet.backend import ops
from fnet.core.rules import layer
from fnet.dtypes import floats_of
from fnet.types import Params, ParamTree


def _rule(x: Any, *, casts: bool | None) -> tuple[Any, ParamTree]:
    return _passed_on(x, casts, floats_of), {}


def _passed_on(x: Any, casts: bool | None, floats: Callable[[Any], Any]) -> Any:
    """`x`, integers in `floats` if the layer casts; next to labels and boxes in a dict the images, and boxes always."""
    if not isinstance(x, Mapping):
        return floats(x) if casts else x
    passed = {"images": _passed_on(x["images"], casts, floats)}
    if "bounding_boxes" in x:
        passed["bounding_boxes"] = {**x["bounding_boxes"], "boxes": floats(x["bounding_boxes"]["boxes"])}
    return {**x, **passed}


def _identity(name: str, casts: bool | None) -> Callable[..., Any]:
    """The inference form of one augmentation layer; `casts`: that of Keras today."""

    def function(params: Params, x: Any, *, casts: bool | None = casts) -> Any:
        return _passed_on(x, casts, lambda x: ops.cast(x, "float32") if x.dtype.kind in "iub" else x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        "(...) -> (...): the images themselves; only training augments. casts: integers become float32, which "
        "differs between layers and versions of Keras; None: in `predict` alone. A dict of images, labels and "
        f"bounding_boxes, {{boxes, labels}}, passes too, its boxes as floats. Mask: dropped. "
        f"Source: keras.layers.{name.title().replace('_', '')}."
    )
    return layer(shape=_rule, mask="drop", in_predict={"casts": True})(function)


aug_mix = _identity("aug_mix", casts=True)
cut_mix = _identity("cut_mix", casts=True)
equalization = _identity("equalization", casts=None)
max_num_bounding_boxes = _identity("max_num_bounding_boxes", casts=None)
mix_up = _identity("mix_up", casts=None)
rand_augment = _identity("rand_augment", casts=True)
random_brightness = _identity("random_brightness", casts=None)
random_color_degeneration = _identity("random_color_degeneration", casts=None)
random_color_jitter = _identity("random_color_jitter", casts=None)
random_contrast = _identity("random_contrast", casts=None)
random_elastic_transform = _identity("random_elastic_transform", casts=True)
random_erasing = _identity("random_erasing", casts=True)
random_flip = _identity("random_flip", casts=True)
random_gaussian_blur = _identity("random_gaussian_blur", casts=True)
random_grayscale = _identity("random_grayscale", casts=None)
random_hue = _identity("random_hue", casts=None)
random_invert = _identity("random_invert", casts=None)
random_perspective = _identity("random_perspective", casts=True)
random_posterization = _identity("random_posterization", casts=None)
random_rotation = _identity("random_rotation", casts=True)
random_saturation = _identity("random_saturation", casts=None)
random_sharpness = _identity("random_sharpness", casts=True)
random_shear = _identity("random_shear", casts=True)
random_translation = _identity("random_translation", casts=True)
random_zoom = _identity("random_zoom", casts=True)
solarization = _identity("solarization", casts=True)
