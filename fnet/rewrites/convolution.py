"""Convolutions in faster forms: max pooling before bias and activation, windows of 3x3 in Winograd's form."""

from __future__ import annotations

from typing import Any

from fnet import backend
from fnet.backend import ops, winograd
from fnet.core.layer import Bound, bind
from fnet.core.options import option_names
from fnet.layers import own_name
from fnet.rewrites.folding import as_value, exact
from fnet.rewrites.places import each_pair, each_step
from fnet.types import Params

FEW = {("numpy", 1): 16, ("numpy", 2): 16, ("jax", 1): 64, ("jax", 2): 32}
"""{(backend, pooling): number of channels and filters from which Winograd's form is faster}, by benchmarks/sizes.py."""

MANY = 512
"""Number of channels and filters up to which it is faster."""

LARGE_TILES = 64
"""Number of channels up to which tiles of 4x4 stay well within the yardstick."""

NEVER_FALL = (None, "linear", "relu", "relu6")
"""Activations that may come after a maximum as well as before it."""


def _pool(conv: Bound, params: Params, pool: Bound, _: Params) -> tuple[Bound, Params] | None:
    """conv2d and the max pooling after it as one layer."""
    kinds = own_name(conv.function), own_name(pool.function)
    if kinds != ("conv2d", "max_pooling2d") or conv.dtype or pool.dtype:
        return None
    from fnet.layers.pooled_convolution import pooled_conv2d

    of_conv, of_pool = conv.all_options, pool.all_options
    plain = of_conv["groups"] == 1 and _is_channels_last(of_conv) and of_conv["activation"] in NEVER_FALL
    sizes = [_pair(of_pool[key] or of_pool["pool_size"]) for key in ("pool_size", "strides")]
    if not plain or not _is_channels_last(of_pool) or of_pool["padding"] != "valid" or sizes[0] != sizes[1]:
        return None
    options = {key: value for key, value in of_conv.items() if key in option_names(pooled_conv2d)}
    return bind(pooled_conv2d, **options, pool_size=of_pool["pool_size"]), params


def _winograd(step: Bound, params: Params) -> tuple[Bound, Params] | None:
    """A convolution of 3x3 with strides of 1 in Winograd's form, where that is faster."""
    if own_name(step.function) not in ("conv2d", "pooled_conv2d") or step.dtype or not ops.on_cpu():
        return None
    from fnet.layers.pooled_convolution import winograd_conv2d

    options, kernel = step.all_options, params.get("kernel")
    if kernel is None or kernel.ndim != 4 or kernel.shape[:2] != (3, 3) or kernel.dtype != "float32":
        return None
    ones = _pair(options["strides"]) == _pair(options["dilation_rate"]) == (1, 1)
    pool = _pair(options.get("pool_size", 1))
    if not ones or pool not in ((1, 1), (2, 2)) or not _is_channels_last(options):
        return None
    least = FEW[backend.name(), pool[0]]
    if not all(least <= size <= MANY for size in kernel.shape[2:]):
        return None
    if options.get("groups", 1) != 1 or options.get("batch_axes", 1) != 1:
        return None
    tile = 4 if kernel.shape[2] <= LARGE_TILES else 2
    new = {key: value for key, value in options.items() if key in option_names(winograd_conv2d)}
    form = as_value(winograd.of_kernel(exact(kernel), tile), kernel.dtype)
    return bind(winograd_conv2d, **new, tile=tile, pool=pool[0]), {**params, "kernel": form}


pool_first = each_pair(_pool)
winograd_form = each_step(_winograd)


def _is_channels_last(options: dict[str, Any]) -> bool:
    return options.get("data_format") in (None, "channels_last")


def _pair(size: Any) -> tuple[int, int]:
    first, second = (size, size) if isinstance(size, int) else size
    return first, second
