"""`TensorFlowOpLayer` of Keras 2 (TensorFlow 2.0 to 2.3): a node of a graph in a layer's config, as a call by name.

Its `node_def` names the operation and its attributes, `constants` holds the inputs that are not tensors of the model.
Each becomes the `TFOpLambda` that later versions would have written; the rest is `params.table.tf_functions`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from params.errors import CorruptFile, UnsupportedLayer, quoted
from params.file.keras_objects import snake_case


def _named(functions: str) -> dict[str, str]:
    """{operation: function} from words: "math.Abs" means Abs and math.abs, "Neg=math.negative" gives both."""
    pairs = [word.partition("=")[::2] for word in functions.split()]
    return {op.rpartition(".")[2]: function or _lower(op) for op, function in pairs}


def _lower(op: str) -> str:
    home, dot, name = op.rpartition(".")
    return f"{home}{dot}{snake_case(name)}"


_UNARY = _named("""
    Identity OnesLike Rank StopGradient Where ZerosLike bitwise.Invert linalg.Cholesky MatrixDeterminant=linalg.det
    MatrixInverse=linalg.inv
    math.Abs math.Acos math.Acosh math.Asin math.Asinh math.Atan math.Atanh math.Ceil math.Conj math.Cos math.Cosh
    math.Digamma math.Erf math.Erfc math.Erfinv math.Exp math.Expm1 math.Floor math.Imag math.IsFinite math.IsInf
    math.IsNan math.Lgamma math.Log math.Log1p math.LogicalNot math.Real math.Reciprocal math.Rint math.Round math.Rsqrt
    math.Sigmoid math.Sign math.Sin math.Sinh math.Softplus math.Sqrt math.Square math.Tan math.Tanh
    ComplexAbs=math.abs Inv=math.reciprocal Neg=math.negative
    nn.Elu nn.L2Loss nn.LogSoftmax nn.Relu nn.Relu6 nn.Selu nn.Softmax nn.Softsign
    HSVToRGB=image.hsv_to_rgb RGBToHSV=image.rgb_to_hsv
""")
_BINARY = _named("""
    bitwise.BitwiseAnd bitwise.BitwiseOr bitwise.BitwiseXor bitwise.LeftShift bitwise.RightShift
    math.Add math.Equal math.Greater math.GreaterEqual math.Less math.LessEqual math.LogicalAnd math.LogicalOr
    math.Maximum math.Minimum math.NotEqual math.Pow math.SquaredDifference math.Xdivy math.Xlog1py math.Xlogy
    AddV2=math.add Div=compat.v1.div DivNoNan=math.divide_no_nan FloorDiv=math.floordiv FloorMod=math.floormod
    Mul=math.multiply MulNoNan=math.multiply_no_nan NextAfter=math.nextafter RealDiv=realdiv Sub=math.subtract
    TruncateDiv=truncatediv TruncateMod=truncatemod
""")
_REDUCTIONS = _named("All Any EuclideanNorm Max Mean Min Prod Sum")
_MASKS = "begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask"
_CONV = "strides padding data_format dilations"
_POOL = "ksize strides padding data_format"

ROWS: dict[str, tuple[str, str, str]] = {
    **{op: (function, "x", "") for op, function in _UNARY.items()},
    **{op: (function, "x y", "") for op, function in _BINARY.items()},
    **{op: (f"math.reduce_{function}", "x axis", "keep_dims") for op, function in _REDUCTIONS.items()},
    "AddN": ("math.add_n", "*x", ""),
    "ArgMax": ("math.argmax", "x axis", "output_type"),
    "ArgMin": ("math.argmin", "x axis", "output_type"),
    "Atan2": ("math.atan2", "y x", ""),
    "AvgPool": ("nn.avg_pool2d", "x", _POOL),
    "BatchMatMul": ("linalg.matmul", "a b", "adj_x:adjoint_a adj_y:adjoint_b"),
    "BatchMatMulV2": ("linalg.matmul", "a b", "adj_x:adjoint_a adj_y:adjoint_b"),
    "BiasAdd": ("nn.bias_add", "x bias", "data_format"),
    "BroadcastTo": ("broadcast_to", "x shape", ""),
    "Cast": ("cast", "x", "DstT:dtype"),
    "ClipByValue": ("clip_by_value", "t clip_value_min clip_value_max", ""),
    "Complex": ("dtypes.complex", "real imag", ""),
    "ConcatV2": ("concat", "*values axis", ""),
    "Conv2D": ("nn.conv2d", "x filters", _CONV),
    "Conv3D": ("nn.conv3d", "x filters", _CONV),
    "Cumprod": ("math.cumprod", "x axis", "exclusive reverse"),
    "Cumsum": ("math.cumsum", "x axis", "exclusive reverse"),
    "DepthToSpace": ("nn.depth_to_space", "x", "block_size data_format"),
    "DepthwiseConv2dNative": ("nn.depthwise_conv2d", "x filters", _CONV),
    "Einsum": ("raw_ops.Einsum", "*x", "equation"),
    "ExpandDims": ("expand_dims", "x axis", ""),
    "Fill": ("fill", "dims value", ""),
    "GatherNd": ("gather_nd", "params indices", ""),
    "GatherV2": ("gather", "params indices axis", "batch_dims"),
    "LRN": ("nn.local_response_normalization", "x", "depth_radius bias alpha beta"),
    "LeakyRelu": ("nn.leaky_relu", "x", "alpha"),
    "LinSpace": ("linspace", "start stop num", ""),
    "MatMul": ("linalg.matmul", "a b", "transpose_a transpose_b"),
    "MatrixBandPart": ("linalg.band_part", "x num_lower num_upper", ""),
    "MaxPool": ("nn.max_pool2d", "x", _POOL),
    "MirrorPad": ("pad", "x paddings", "mode"),
    "OneHot": ("one_hot", "indices depth on_value off_value", "axis"),
    "Pack": ("stack", "*values", "axis"),
    "Pad": ("pad", "x paddings", ""),
    "PadV2": ("pad", "x paddings constant_values", ""),
    "Range": ("range", "start limit delta", ""),
    "Reshape": ("reshape", "x shape", ""),
    "ReverseV2": ("reverse", "x axis", ""),
    "Roll": ("roll", "x shift axis", ""),
    "SelectV2": ("where", "condition x y", ""),
    "Shape": ("shape", "x", "out_type"),
    "Size": ("size", "x", "out_type"),
    "Slice": ("slice", "x begin size", ""),
    "SpaceToDepth": ("nn.space_to_depth", "x", "block_size data_format"),
    "Split": ("split", "axis x", "num_split:num_or_size_splits"),
    "SplitV": ("split", "x num_or_size_splits axis", ""),
    "Squeeze": ("squeeze", "x", "squeeze_dims"),
    "StridedSlice": ("strided_slice", "x begin end strides", _MASKS),
    "Tile": ("tile", "x multiples", ""),
    "TopKV2": ("math.top_k", "x k", ""),
    "Transpose": ("transpose", "x perm", ""),
    "Unpack": ("unstack", "x", "num axis"),
    **{
        f"Resize{name}": ("image.resize", "x size", f"method={method}")
        for name, method in (("Bilinear", "bilinear"), ("Bicubic", "bicubic"), ("NearestNeighbor", "nearest"))
    },
}
"""{operation: (function, its inputs by the names of that function, "*" before what all the others make a list of;
attributes that are options, as "attribute:option" where the names differ)}."""

NEUTRAL = {"align_corners": False, "half_pixel_centers": True, "Truncate": False}
"""{attribute: its only supported value}."""

_FIRST = {"Split": 1}
"""{operation: which input is the first argument of the function}, where it is not the first."""


def as_function(layer: dict[str, Any]) -> dict[str, Any]:
    """A TensorFlowOpLayer in a Keras 2 config as the equivalent TFOpLambda."""
    name, config = layer.get("name"), layer["config"]
    node = config.get("node_def") if isinstance(config, dict) else None
    if not isinstance(node, dict) or not isinstance(node.get("op"), str) or not isinstance(name, str):
        raise CorruptFile(f"TensorFlowOpLayer {quoted(name)} holds no node of a graph but {quoted(node)}")
    new_config = {"name": name, "trainable": True, "dtype": config.get("dtype")}
    if node["op"] not in ROWS:
        return {**layer, "config": {**new_config, "op": node["op"]}}
    options = _options(name, node["op"], node.get("attr") or {})
    calls = [
        _call(name, node, config.get("constants") or {}, call, options) for call in layer.get("inbound_nodes") or []
    ]
    new_config["function"] = ROWS[node["op"]][0]
    return {**layer, "class_name": "TFOpLambda", "config": new_config, "inbound_nodes": calls}


def _options(name: str, op: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes that are options of the function."""
    options: dict[str, Any] = {}
    for word in ROWS[op][2].split():
        if "=" in word:
            key, options[key] = word.split("=")[0], word.split("=")[1]
            continue
        key, _, option = word.partition(":")
        if key in attributes:
            options[option or key] = _value(attributes[key])
    for key, only in NEUTRAL.items():
        if key in attributes and _value(attributes[key]) != only:
            raise UnsupportedLayer(
                f"TensorFlowOpLayer {quoted(name)}: {op} with {key}={quoted(_value(attributes[key]))}"
            )
    if options.get("padding") == "EXPLICIT":
        flat = _value(attributes.get("explicit_paddings"))
        options["padding"] = [flat[i : i + 2] for i in range(0, len(flat), 2)]
    return options


_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16"}


def _value(attribute: Any) -> Any:
    """The value of an attribute of a node, from {"i": "2"}, {"b": true}, {"s": base64}, {"type": "DT_FLOAT"}, ..."""
    kind: str
    value: Any
    kind, value = next(iter(attribute.items())) if isinstance(attribute, dict) and attribute else ("", None)
    if kind == "list":
        inner, items = next(iter(value.items()), ("i", []))
        return [_value({inner: item}) for item in items]
    if kind == "i":
        return int(value)
    if kind == "type":
        return _DTYPES.get(value, str(value).removeprefix("DT_").lower())
    if kind == "s":
        try:
            return base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError, TypeError) as error:
            raise CorruptFile(f"an attribute of a node is not a text: {quoted(value)}") from error
    return value


def _call(name: str, node: dict[str, Any], constants: dict[str, Any], call: Any, options: dict[str, Any]) -> Any:
    """One call of the layer, its constants put among its tensors, all but the first by name."""
    read = node.get("input")
    if not isinstance(read, list) or not read:
        raise CorruptFile(f"TensorFlowOpLayer {quoted(name)} holds a node that reads nothing")
    tensors = iter(call if isinstance(call, list) else [])
    try:
        inputs = [_input(constants.get(str(i)), str(i) in constants, tensors) for i in range(len(read))]
    except StopIteration:
        raise CorruptFile(f"TensorFlowOpLayer {quoted(name)} has fewer inputs than its node") from None
    names, place = ROWS[node["op"]][1].split(), _FIRST.get(node["op"], 0)
    several = names[0].startswith("*")
    after = len(inputs) - len(names) + 1 if several else place + 1
    first, rest = inputs[place:after], inputs[:place] + inputs[after:]
    del names[place]
    kwargs = {**dict(zip(names, map(_plain, rest), strict=False)), **options}
    return [[*item, kwargs] for item in first] if several else [*first[0], kwargs]


def _input(constant: Any, is_constant: bool, tensors: Any) -> list[Any]:
    """[layer, call, output] of a tensor, or the mark of a constant."""
    return ["_CONSTANT_VALUE", -1, constant] if is_constant else list(next(tensors)[:3])


def _plain(item: list[Any]) -> Any:
    return item[2] if item[0] == "_CONSTANT_VALUE" else item
