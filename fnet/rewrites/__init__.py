"""`optimize`: a model and its params as a faster model and its params, by a short list of rewrites.

A rewrite is pure, `(model, params) -> (model, params)`; the result is a model like any other. Steps that keep their
names keep their outputs; steps that were merged into the one after them are gone.
"""

from __future__ import annotations

from typing import Any

from fnet import tree
from fnet.backend import ops
from fnet.core import infer
from fnet.core.diagnosis import require_arrays, require_order
from fnet.core.layer import Bound
from fnet.layers import own_name
from fnet.rewrites.convolution import pool_first, winograd_form
from fnet.rewrites.folding import fold_batch_normalization, fold_relu, fold_scale
from fnet.rewrites.places import Rewrite
from fnet.types import Params

REWRITES: tuple[Rewrite, ...] = (
    fold_scale,
    fold_batch_normalization,
    fold_relu,
    pool_first,
    winograd_form,
)
"""The rewrites of `optimize`, in this order; after them, where a model has recurrent layers, `of_recurrent`."""

RECURRENT = frozenset({"simple_rnn", "lstm", "gru", "bidirectional", "recurrent_stack"})
"""The names of recurrent layers."""


def is_recurrent(step: Bound) -> bool:
    """Whether a layer is one of `RECURRENT`."""
    return own_name(step.function) in RECURRENT


def optimize(model: Any, params: Params, *, table_bytes: int = 64 << 20) -> tuple[Any, Params]:
    """(model, params) -> (model, params) that compute the same faster: within the yardstick, not bit by bit.

    Pure: neither argument changes. Arrays that no rewrite replaces are shared with the arguments. `predict` and
    `compile` optimize by themselves; call this to look at what they run, or to save it. Steps that no rewrite fits,
    such as two that share params, stay as they are.
    table_bytes: the most memory for the product of an embedding and the first kernel of the recurrent layer after it.
    Raises InvalidParams for lists in the place of arrays.
    """
    require_order("optimize(model, params)", model, params)
    require_arrays(params)
    if not isinstance(table_bytes, int | float) or not table_bytes >= 0:
        raise ValueError(f"table_bytes is a number of bytes, at least 0; got {table_bytes!r:.40}")
    return ops.exactly(_rewritten, model, tree.map(_as_array, ops.native(params)), table_bytes)


def _as_array(leaf: Any) -> Any:
    """An array of another library (JAX's on the NumPy backend) as one of NumPy; anything else as it is."""
    return ops.to_numpy(leaf) if hasattr(leaf, "__array__") and not ops.is_array(leaf) else leaf


def _rewritten(model: Any, params: Params, table_bytes: int) -> tuple[Any, Params]:
    rewrites = REWRITES
    if any(map(is_recurrent, infer.layers_in(model))):
        from fnet.rewrites.recurrent import of_recurrent

        rewrites += of_recurrent(table_bytes)
    for rewrite in rewrites:
        model, params = rewrite(model, params)
    return model, params
