"""fnet: Keras models as pure functions.

Every layer is a pure `apply(params, x)`; `bind`, `sequential` and `graph` compose them; NumPy or JAX runs them.
"""

from fnet import activations as activation_functions
from fnet import random
from fnet.compose import Bound, Graph, Sequential, at, bind, graph, layer, masked_by, run, sequential
from fnet.errors import InvalidInput, InvalidParams, MissingBackend
from fnet.inference import classes, compile, jit, predict  # noqa: A004 - the field's words
from fnet.layers.core import dense, embedding, identity, input_layer
from fnet.masking import Masked
from fnet.modelling import activations, check, infer, init, merge, partition, summary, trace, with_rng
from fnet.types import Param, Spec

# One line or more a family, so that families grow side by side.
# fmt: off
__all__ = [
    "Bound", "Graph", "Masked", "Param", "Sequential", "Spec", "at", "bind", "graph", "layer", "masked_by", "run",
    "sequential",
    "activations", "check", "infer", "init", "merge", "partition", "summary", "trace", "with_rng",
    "classes", "compile", "jit", "predict",
    "InvalidInput", "InvalidParams", "MissingBackend", "activation_functions", "random",
    # layers: core
    "dense", "embedding", "identity", "input_layer",
]
# fmt: on
