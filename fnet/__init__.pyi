# What type checkers read of `__init__.py`: in a stub the layers that are imported by * are names of `fnet`, too.
# isort: off
# fmt: off
from fnet import (
    activation_functions as activation_functions, errors as errors, layers as layers, operations as operations,
    random as random, types as types,
)
from fnet.core.compose import Graph as Graph, Sequential as Sequential, graph as graph, sequential as sequential
from fnet.core.cutting import cut as cut, pruned as pruned
from fnet.core.display import show as show
from fnet.core.infer import activations as activations, infer as infer, summary as summary, trace as trace
from fnet.core.layer import Bound as Bound, bind as bind
from fnet.core.model import run as run
from fnet.core.parameters import (
    check as check, init as init, merge as merge, partition as partition, with_rng as with_rng,
)
from fnet.core.rules import Entrance as Entrance, Rounding as Rounding, layer as layer
from fnet.core.sources import at as at, masked_by as masked_by
from fnet.errors import (
    ExportError as ExportError, InvalidInput as InvalidInput, InvalidParams as InvalidParams,
    InvalidRows as InvalidRows, MissingBackend as MissingBackend, MissingExtra as MissingExtra,
)
from fnet.export.programs import (
    load_onnx as load_onnx, load_stablehlo as load_stablehlo, to_onnx as to_onnx, to_stablehlo as to_stablehlo,
)
from fnet.inference.compile import compile as compile, jit as jit  # noqa: A004 - the field's words
from fnet.inference.in_predict import in_predict as in_predict
from fnet.inference.labels import classes as classes
from fnet.inference.predict import predict as predict
from fnet.inference.statistics import with_statistics as with_statistics
from fnet.inference.stream import initial_state as initial_state, streaming as streaming
from fnet.layers import *  # noqa: F403
from fnet.layers.vocabulary import vocabulary_params as vocabulary_params
from fnet.masks import Masked as Masked
from fnet.pictures.plot import plot as plot
from fnet.rewrites import optimize as optimize
from fnet.strings import pack_strings as pack_strings, unpack_strings as unpack_strings
from fnet.types import Param as Param, Spec as Spec
from params import *  # noqa: F403

PUBLIC: list[str]
__version__: str
