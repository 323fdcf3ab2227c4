"""fnet: Keras models as pure functions.

Every layer is a pure `apply(params, x)`; `bind`, `sequential` and `graph` compose them; NumPy or JAX runs them.
"""

from fnet import activations as activation_functions
from fnet import random
from fnet.compose import Bound, Graph, Sequential, at, bind, graph, layer, masked_by, run, sequential
from fnet.errors import InvalidInput, InvalidParams, MissingBackend
from fnet.inference import classes, compile, jit, predict  # noqa: A004 - the field's words
from fnet.layers.adaptive_pooling import (
    adaptive_average_pooling1d,
    adaptive_average_pooling2d,
    adaptive_average_pooling3d,
    adaptive_max_pooling1d,
    adaptive_max_pooling2d,
    adaptive_max_pooling3d,
)
from fnet.layers.convolution import conv1d, conv2d, conv3d
from fnet.layers.convolution_transpose import conv1d_transpose, conv2d_transpose, conv3d_transpose
from fnet.layers.cells import gru_cell, lstm_cell, simple_rnn_cell
from fnet.layers.core import constant, dense, embedding, identity, input_layer, masking
from fnet.layers.depthwise import depthwise_conv1d, depthwise_conv2d, separable_conv1d, separable_conv2d
from fnet.layers.global_pooling import (
    global_average_pooling1d,
    global_average_pooling2d,
    global_average_pooling3d,
    global_max_pooling1d,
    global_max_pooling2d,
    global_max_pooling3d,
)
from fnet.layers.pooling import (
    average_pooling1d,
    average_pooling2d,
    average_pooling3d,
    max_pooling1d,
    max_pooling2d,
    max_pooling3d,
)
from fnet.layers.recurrent import gru, lstm, rnn, simple_rnn, stacked_rnn_cells
from fnet.layers.wrappers import bidirectional, time_distributed
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
    # layers: recurrent
    "bidirectional", "gru", "gru_cell", "lstm", "lstm_cell", "rnn", "simple_rnn", "simple_rnn_cell",
    "stacked_rnn_cells", "time_distributed",
    # layers: core
    "constant", "dense", "embedding", "identity", "input_layer", "masking",
    # layers: convolution
    "conv1d", "conv1d_transpose", "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose",
    "depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d",
    # layers: pooling
    "adaptive_average_pooling1d", "adaptive_average_pooling2d", "adaptive_average_pooling3d",
    "adaptive_max_pooling1d", "adaptive_max_pooling2d", "adaptive_max_pooling3d",
    "average_pooling1d", "average_pooling2d", "average_pooling3d",
    "global_average_pooling1d", "global_average_pooling2d", "global_average_pooling3d",
    "global_max_pooling1d", "global_max_pooling2d", "global_max_pooling3d",
    "max_pooling1d", "max_pooling2d", "max_pooling3d",
]
# fmt: on
