"""Configs that are refused, or whose arrays do not fit: the type of the error and what it says."""

import io
import json
import zipfile

import numpy as np
import pytest

import fnet
from fnet import InvalidInput
from params import Limits, load_keras
from params.errors import CorruptFile, LimitExceeded, UnsafeFile, UnsupportedLayer, WeightsMismatch
from tests import hostile
from tests.hostile import dense_entry, entry, input_entry, keras_zip, sequential_config


def alone(*layers, shape=(3,)):
    return keras_zip(sequential_config(input_entry(*shape), *layers))


def with_options(item, **options):
    return {**item, "config": {**item["config"], **options}}


def tensor(name, call=0, index=0):
    config = {"shape": [None, 3], "dtype": "float32", "keras_history": [name, call, index]}
    return {"class_name": "__keras_tensor__", "config": config}


def node(layer, *args, **kwargs):
    return {**layer, "name": layer["config"]["name"], "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}


def functional(*layers, inputs="input_layer", outputs="dense", weights=None, metadata=hostile.METADATA, **changes):
    first = {**input_entry(3), "name": "input_layer", "inbound_nodes": []}
    ends = {"input_layers": [[inputs, 0, 0]], "output_layers": [[outputs, 0, 0]]}
    config = {"name": "functional", "trainable": True, "layers": [first, *layers], **ends, **changes}
    module = "keras.src.models.functional"
    model = {"module": module, "class_name": "Functional", "config": config, "registered_name": "Functional"}
    return keras_zip(model, weights, metadata)


def activation(value):
    return alone(dense_entry(activation=value))


def zip_with(member, data=b"x", kind=zipfile.ZIP_STORED, **attributes):
    """The archive of a good model with one more member."""
    buffer = io.BytesIO(keras_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo(member)
        info.compress_type = kind
        for name, value in attributes.items():
            setattr(info, name, value)
        archive.writestr(info, data)
    return buffer.getvalue()


DENSE = dense_entry()
QUANTIZED = {"module": "keras", "class_name": "QuantizedDTypePolicy", "registered_name": None}


def quantized(mode, source="float32", **config):
    policy = {**QUANTIZED, "config": {"mode": mode, "source_name": source}}
    return alone(dense_entry(dtype=policy, **config))


NO_WEIGHTS = hostile.h5(lambda file: file.create_group("layers"))
INPUT = tensor("input_layer")
ELLIPSIS = {"class_name": "__ellipsis__", "config": {}}


def spelled(**config):
    """A graph whose only tensor has the entries `config`."""
    return functional(node(DENSE, {**INPUT, "config": {**INPUT["config"], **config}}))


def without(key):
    """A graph whose only tensor lacks the entry `key`."""
    said = {name: value for name, value in INPUT["config"].items() if name != key}
    return functional(node(DENSE, {**INPUT, "config": said}))


def operation(name, *args, config=None, **kwargs):
    """A graph of one operation of Keras; its arrays are arguments, or nothing."""
    made = {**entry(name, "dense"), "module": "keras.src.ops.numpy", "config": {"name": "dense", **(config or {})}}
    return functional(node(made, *args, **kwargs), weights=NO_WEIGHTS)


def piece(*bounds, leave_out=None):
    """A slice in the form of files."""
    config = dict(zip(("start", "stop", "step"), bounds, strict=True))
    return {"class_name": "__slice__", "config": {key: item for key, item in config.items() if key != leave_out}}


def twice(key):
    """An input with its shape under a second key."""
    made = input_entry(3)
    made["config"][key] = [None, 3]
    return made


def nameless():
    model = json.loads(hostile.members_of(functional(node(DENSE, INPUT)))["config.json"])
    del model["config"]["name"]
    return keras_zip(model)


REFUSED = {
    **{
        f"trainable {value}": (
            lambda v=value: alone({**DENSE, "config": {**DENSE["config"], "trainable": v}}),
            CorruptFile,
            "trainable is .*, not true or false",
        )
        for value in (None, 2.0, -1, "yes", [], 1)
    },
    **{
        f"tensor {config}": (lambda c=config: spelled(**c), CorruptFile, "a tensor of the shape")
        for config in (
            {"shape": 3},
            {"shape": [None, "3"]},
            {"shape": [None, -1]},
            {"shape": [None, 1.5]},
            {"shape": [[], 3]},
            {"dtype": 1.5},
            {"dtype": "float31"},
        )
    },
    **{
        f"tensor without {key}": (lambda k=key: without(k), CorruptFile, "a tensor")
        for key in ("shape", "dtype", "keras_history")
    },
    "two names": (
        lambda: functional({**node(DENSE, INPUT), "config": {**DENSE["config"], "name": "x"}}, outputs="x"),
        CorruptFile,
        "has two names, 'dense' and 'x'",
    ),
    **{
        f"built for {shape}": (
            lambda s=shape: alone({**DENSE, "build_config": {"input_shape": s}}),
            CorruptFile,
            "which is not a shape",
        )
        for shape in ("x", 3, [None, "3"], [None, -1], [None, 2.0], [[None, 3], 4], {"a": 3}, True)
    },
    **{
        f"shared {value}": (lambda v=value: alone({**DENSE, "shared_object_id": v}), CorruptFile, "not an integer")
        for value in ([], {"a": 1}, "1", 1.0, True)
    },
    **{
        f"module {module}": (lambda m=module: alone({**DENSE, "module": m}), UnsafeFile, "claims the module")
        for module in ("keras", "keras.src", "keras.models", "keras.ops", "keras.activations", "tf_keras.models", "")
    },
    "no module in a file of Keras 2, but a registered name": (
        lambda: keras_zip(
            sequential_config(input_entry(3), {**DENSE, "module": None, "registered_name": "Dense"}),
            metadata={"keras_version": "2.15.0"},
        ),
        UnsafeFile,
        "claims the module",
    ),
    **{
        f"module of the model {module}": (
            lambda m=module: keras_zip({**sequential_config(input_entry(3), DENSE), "module": m}),
            UnsafeFile,
            "claims the module",
        )
        for module in ("keras.layers", "keras.src.layers.core.dense", "keras.ops", "keras.applications")
    },
    **{
        f"{key} {value}": (lambda k=key, v=value: alone(dense_entry(**{k: v})), CorruptFile, f"has the {key}")
        for key in ("kernel_initializer", "bias_regularizer", "kernel_constraint", "activity_regularizer")
        for value in (5, True, [], {}, {"class_name": [], "config": {}})
    },
    **{
        f"policy {dtype} of {name}": (
            lambda n=name, o=options, d=dtype: alone(entry(n, "x", dtype=d, **o), shape=(4, 3)),
            UnsupportedLayer,
            f"has the dtype policy {dtype}",
        )
        for dtype in ("bool", "int32", "string", "complex64", "complex128")
        for name, options in (
            *(("BatchNormalization", {}), ("LSTM", {"units": 2}), ("LayerNormalization", {}), ("RandomFlip", {})),
            *(("Rescaling", {"scale": 0.5}), ("CenterCrop", {"height": 2, "width": 2})),
        )
    },
    **{
        f"floats for {name} of {dtype}": (
            lambda n=name, o=options, d=dtype: alone(entry(n, "x", dtype=d, **o), shape=(4, 3)),
            UnsupportedLayer,
            f"gets floats and has the dtype policy {dtype}",
        )
        for dtype in ("bool", "int32")
        for name, options in (("Flatten", {}), ("MaxPooling1D", {}), ("Activation", {"activation": "relu"}))
    },
    "floats for a layer of integers": (
        lambda: functional(node(entry("Flatten", "dense", dtype="int32"), INPUT)),
        UnsupportedLayer,
        "Flatten 'dense' gets floats and has the dtype policy int32, to which Keras casts them",
    ),
    "unstacked batch": (
        lambda: functional(
            node({**entry("Unstack", "dense", "keras.src.ops.core"), "config": {"name": "dense", "axis": 0}}, INPUT)
        ),
        UnsupportedLayer,
        "the number of tensors is unknown; give num=",
    ),
    "ellipsis for an array": (
        lambda: operation("LogicalOr", INPUT, ELLIPSIS),
        UnsupportedLayer,
        r"was called with '\.\.\.', which fnet does not know",
    ),
    "ellipsis for one of several": (
        lambda: functional(node(entry("Dot", "dense", axes=1), [INPUT, ELLIPSIS])),
        CorruptFile,
        "by position, which is not a tensor",
    ),
    "value by position": (
        lambda: functional(node(DENSE, INPUT, 3)),
        CorruptFile,
        "was called with 3 by position, which is not a tensor",
    ),
    "text by position": (
        lambda: functional(node(DENSE, INPUT, "x")),
        CorruptFile,
        "was called with .*'x'.* by position, which is not a tensor",
    ),
    "argument of none": (
        lambda: functional(node(DENSE, INPUT, foo=None)),
        UnsupportedLayer,
        "was called with 'foo', an argument unknown to fnet",
    ),
    "mask by position and by name": (
        lambda: functional(node(entry("Softmax", "dense"), INPUT, INPUT, mask=INPUT), weights=NO_WEIGHTS),
        UnsupportedLayer,
        "was called with 2 positional arguments",
    ),
    "mask of none": (lambda: functional(node(DENSE, INPUT, mask=None)), CorruptFile, "takes no mask"),
    "state of another size": (
        lambda: functional(
            node(entry("LSTM", "dense", units=2), INPUT, initial_state=[INPUT, INPUT]),
            layers=[
                {**input_entry(4, 3), "name": "input_layer", "inbound_nodes": []},
                node(entry("LSTM", "dense", units=2), INPUT, initial_state=[INPUT, INPUT]),
            ],
        ),
        CorruptFile,
        r"has states of \(None, 2\); got one of \(None, 4, 3\)",
    ),
    **{
        f"{name} {key} {value}": (
            lambda n=name, o=options, k=key, v=value: alone(entry(n, "x", **{**o, k: v}), shape=(4, 3)),
            CorruptFile,
            f"has the option '{key}' = .* of the wrong type",
        )
        for name, options, key, value in (
            ("Dense", {}, "units", 2.0),
            ("Conv1D", {"filters": 2}, "kernel_size", [2.0]),
            ("Conv1D", {"filters": 2, "kernel_size": 2}, "groups", 1.0),
            ("UpSampling1D", {}, "size", 2.0),
            ("Permute", {}, "dims", [2.0, 1]),
            ("Dropout", {}, "rate", [0.5]),
            ("LSTM", {"units": 2}, "dropout", [0.0]),
        )
    },
    **{
        f"{key} {value}": (
            lambda key=key, value=value: alone(entry("BatchNormalization", "x", **{key: value})),
            CorruptFile,
            "not a number",
        )
        for key, value in (("momentum", None), ("momentum", "fast"), ("momentum", [0.9]), ("epsilon", [0.1]))
    },
    **{
        f"seed {value}": (lambda v=value: alone(entry("Dropout", "x", rate=0.5, seed=v)), CorruptFile, "not an integer")
        for value in ([1, 2], "x", 1.0, {})
    },
    **{
        f"idf {value}": (
            lambda v=value: alone(entry("StringLookup", "x", vocabulary=["a"], output_mode="int", idf_weights=v)),
            CorruptFile,
            "has idf_weights, which go with output_mode='tf_idf', not 'int'",
        )
        for value in ({}, [], [1.0])
    },
    "sparse": (
        lambda: alone(entry("Hashing", "x", num_bins=3, output_mode="int", sparse=True)),
        CorruptFile,
        "is sparse, which no output_mode='int' is",
    ),
    "padded": (
        lambda: alone(entry("IntegerLookup", "x", vocabulary=[1], pad_to_max_tokens=True, max_tokens=None)),
        CorruptFile,
        "has pad_to_max_tokens, but no max_tokens",
    ),
    "bins": (
        lambda: operation("Digitize", INPUT, config={"bins": [0.0, 2.0, 1.0]}),
        CorruptFile,
        r"bins must ascend; got \(0.0, 2.0, 1.0\)",
    ),
    "bins that are a tensor": (
        lambda: operation("Digitize", INPUT, INPUT),
        UnsupportedLayer,
        "called with a tensor for 'bins', which fnet takes as numbers",
    ),
    "no sequence": (
        lambda: functional(node(entry("LSTM", "dense", units=2), None, initial_state=[INPUT, INPUT])),
        CorruptFile,
        "takes sequences",
    ),
    **{
        f"batch {size}": (
            lambda s=size: functional(
                node(DENSE, INPUT),
                layers=[
                    {
                        **input_entry(3),
                        "name": "input_layer",
                        "inbound_nodes": [],
                        "config": {**input_entry(3)["config"], "batch_shape": [s, 3]},
                    },
                    node(DENSE, INPUT),
                ],
            ),
            CorruptFile,
            "has the batch_shape",
        )
        for size in (2.0, "2", -1, [1])
    },
    "calls": (lambda: functional({**node(DENSE, INPUT), "inbound_nodes": None}), CorruptFile, "not a list"),
    "name": (lambda: functional({**node(DENSE, INPUT), "name": 1.5}), CorruptFile, "name is 1.5, not a str"),
    "called input": (
        lambda: functional(
            node(DENSE, INPUT),
            layers=[{**input_entry(3), "name": "input_layer", "inbound_nodes": [1]}, node(DENSE, INPUT)],
        ),
        CorruptFile,
        "but an input reads nothing",
    ),
    "option of no layer": (
        lambda: alone(dense_entry(rows=3)),
        UnsupportedLayer,
        "Dense 'dense' has the option 'rows' = 3, unknown to fnet",
    ),
    "ragged input": (
        lambda: keras_zip(sequential_config(with_options(input_entry(3), ragged=True), DENSE)),
        UnsupportedLayer,
        "InputLayer '[a-z_0-9]*' has the option 'ragged' = True, fnet runs it with False only",
    ),
    "no tensor": (
        lambda: functional(node(DENSE, [1.0, 2.0, 3.0])),
        CorruptFile,
        "^[^,]*Dense 'dense' is called on no tensor",
    ),
    "mask": (lambda: functional(node(DENSE, INPUT, mask=INPUT)), CorruptFile, "takes no mask"),
    **{
        f"mask {value}": (
            lambda v=value: functional(node(entry("Softmax", "dense"), INPUT, mask=v)),
            CorruptFile,
            "which is not a tensor",
        )
        for value in (2.0, {}, [1])
    },
    "states": (
        lambda: functional(node(entry("LSTM", "dense", units=2), INPUT, initial_state=[2.0, 3])),
        CorruptFile,
        "called with initial_state=2.0, which is not a tensor",
    ),
    **{
        f"argument {key}": (
            lambda k=key: operation("Absolute", INPUT, **{k: None}),
            UnsupportedLayer,
            f"was called with '{key}', an argument",
        )
        for key in ("training", "mask", "foo")
    },
    **{
        f"no {key}": (
            lambda c=class_name, o=options: alone(entry(c, "x", **o), shape=(4, 3)),
            CorruptFile,
            f"lacks the option '{key}'",
        )
        for key, class_name, options in (
            ("units", "Dense", {}),
            ("units", "GRU", {"units": None}),
            ("filters", "Conv1D", {"kernel_size": 2}),
            ("key_dim", "MultiHeadAttention", {"num_heads": 2}),
        )
    },
    "columns": (
        lambda: operation("Bincount", INPUT, config={"minlength": 10**8}),
        CorruptFile,
        "'minlength' = 1000000",
    ),
    "rows": (
        lambda: operation("BroadcastTo", INPUT, config={"shape": [10**9, 3]}),
        LimitExceeded,
        "for one row the model holds",
    ),
    **{
        f"axis {name}": (lambda n=name: operation(n, INPUT, config={"axis": 10**9}), CorruptFile, "axis 1000000000")
        for name in ("Flip", "Sort", "Argsort")
    },
    "quantile": (lambda: operation("Quantile", INPUT, -(10**9)), CorruptFile, "a quantile is between 0 and 1"),
    "coordinates": (
        lambda: operation("UnravelIndex", INPUT, config={"shape": [-4, 5]}),
        CorruptFile,
        "give sizes of 1 and more",
    ),
    "index": (lambda: operation("Take", INPUT, 7, config={"axis": 1}), CorruptFile, "index 7 of 3 entries"),
    **{
        f"lacks {key}": (
            lambda k=key: functional({a: b for a, b in node(DENSE, INPUT).items() if a != k}),
            CorruptFile,
            "without its name or calls",
        )
        for key in ("name", "inbound_nodes")
    },
    "padding": (
        lambda: operation("Pad", INPUT, config={"pad_width": [[0, 0], True]}),
        CorruptFile,
        "True is not a whole number",
    ),
    "constant of no dtype": (
        lambda: operation("Add", INPUT, {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float31"}}),
        CorruptFile,
        "a constant of the dtype 'float31'",
    ),
    "object as an argument": (
        lambda: functional(node(DENSE, INPUT, mask={"class_name": "Zeros", "config": {}})),
        UnsupportedLayer,
        "was called with Zeros as an argument",
    ),
    "operation of none": (
        lambda: operation("Nope", INPUT),
        UnsupportedLayer,
        r"the operation Nope \(node 'dense'\) is not supported: 'keras.src.ops.numpy' has no such operation",
    ),
    "map of no policies": (
        lambda: alone(dense_entry(dtype={"module": "keras", "class_name": "DTypePolicyMap", "config": 3})),
        CorruptFile,
        "has a DTypePolicyMap that is 3",
    ),
    "quantization of no config": (
        lambda: quantized("int8", quantization_config={"class_name": "Int8QuantizationConfig", "config": 3}),
        CorruptFile,
        "has the quantization_config",
    ),
    **{
        f"layers {value}": (lambda v=value: functional(layers=v), CorruptFile, "expected a layer|layers")
        for value in (3, None, [3])
    },
    "default salt": (
        lambda: alone(entry("Hashing", "h", num_bins=7, salt=[0xDECAFCAFFE] * 2)),
        UnsupportedLayer,
        "Hashing 'h' has the salt that TensorFlow 2.3 to 2.5 wrote.*custom=",
    ),
    "activation": (
        lambda: activation("relux"),
        UnsupportedLayer,
        r"activation 'relux', which is not one of Keras's.*cust",
    ),
    "activation_number": (lambda: activation(3), UnsupportedLayer, "the activation 3, which is not one"),
    "activation_nameless": (
        lambda: activation({"class_name": "function", "config": {"a": 1}}),
        UnsupportedLayer,
        r"has the activation \{'a': 1\}, which is not one of Keras's",
    ),
    "activation_lambda": (
        lambda: activation({"class_name": "Lambda", "config": {}}),
        UnsupportedLayer,
        "has a Python lambda as activation",
    ),
    "activation_dict": (lambda: activation({"a": 1}), UnsupportedLayer, "has a Python function as activation"),
    "rank_of_call": (
        lambda: functional(node(DENSE, tensor("input_layer", index=1))),
        CorruptFile,
        "output 1 of 'input_layer', which gives 1",
    ),
    "call": (
        lambda: functional({**DENSE, "name": "dense", "inbound_nodes": [{"args": 3, "kwargs": {}}]}),
        CorruptFile,
        r"a call is not \{'args': \[\.\.\.\], 'kwargs': \{\.\.\.\}\}",
    ),
    "call_of_nothing": (
        lambda: functional(node(DENSE, tensor("input"))),
        CorruptFile,
        "'dense' reads 'input', which is not a layer of the model",
    ),
    "call_too_far": (
        lambda: functional(node(DENSE, tensor("input_layer", call=1))),
        CorruptFile,
        "'dense' reads call 1 of 'input_layer', which is called 0 times",
    ),
    "call_of_itself": (
        lambda: functional(node(DENSE, tensor("dense"))),
        CorruptFile,
        "calls that read each other in a circle: 'dense'",
    ),
    "input_is_a_layer": (
        lambda: functional(node(DENSE, tensor("input_layer")), inputs="dense"),
        CorruptFile,
        "the input 'dense' is not an InputLayer",
    ),
    "input_not_listed": (
        lambda: functional(
            {**node({**input_entry(3), "config": {**input_entry(3)["config"], "name": "second"}}), "inbound_nodes": []},
            node(DENSE, tensor("second")),
        ),
        CorruptFile,
        "'dense' reads 'second', which is neither an input nor an earlier node; known here: input_layer",
    ),
    "no_outputs": (
        lambda: functional(node(DENSE, tensor("input_layer")), output_layers=3),
        CorruptFile,
        "output_layers is 3",
    ),
    "output_of_nothing": (
        lambda: functional(node(DENSE, tensor("input_layer")), outputs="densest"),
        CorruptFile,
        r"output_layers names \['densest', 0, 0\], which does not exist",
    ),
    "two_of_a_name": (lambda: alone(DENSE, dense_entry(units=2)), CorruptFile, "has several layers named"),
    "policy": (lambda: alone(dense_entry(dtype="float31")), CorruptFile, "unknown dtype policy: 'float31'"),
    "mode": (lambda: quantized(3), CorruptFile, "quantization mode 3"),
    "mode_unknown": (lambda: quantized("int2"), UnsupportedLayer, "quantized as 'int2'; fnet knows"),
    "mode_block": (lambda: quantized("int4/x"), CorruptFile, "quantization mode 'int4/x'"),
    "mode_source": (lambda: quantized("int4/4", "float64"), UnsupportedLayer, "from float64, not from float32"),
    "quantization_config": (
        lambda: quantized("int8", quantization_config={"config": 3}),
        CorruptFile,
        "has the quantization_config",
    ),
    "layers_no_list": (
        lambda: keras_zip({**sequential_config(), "config": {"name": "s", "layers": 3}}),
        CorruptFile,
        "layers is 3, not a list",
    ),
    "one_column": (
        lambda: alone(entry("HashedCrossing", "x", num_bins=4)),
        CorruptFile,
        "does not take float32.*: it takes 2 arrays of any number of axes",
    ),
    "no_cell": (
        lambda: alone(entry("StackedRNNCells", "c", cells=[3]), shape=(5, 3)),
        CorruptFile,
        "sequential takes layers, or pairs .* got 3",
    ),
    "no_layer_inside": (
        lambda: alone(entry("Pipeline", "p", layers=[{**DENSE, "class_name": None}])),
        CorruptFile,
        "bind takes a layer; got",
    ),
    "no_layer": (lambda: alone("dense"), CorruptFile, "expected a layer"),
    **{
        f"{kind} {value}": (
            lambda k=kind, v=value: alone(
                entry("Hashing", "h", num_bins=3, mask_value={"class_name": k, "config": {"value": v}})
            ),
            UnsafeFile,
            f"a value of the unknown kind '{kind}'",
        )
        for kind, value in (("__bytes__", 3), ("__code__", "b"))
    },
    "constant": (
        lambda: functional(
            node(
                entry("Add", "dense"),
                [
                    tensor("input_layer"),
                    {"class_name": "__numpy__", "config": {"value": [[1], [1, 2]], "dtype": "int32"}},
                ],
            )
        ),
        CorruptFile,
        "a constant is not an array of",
    ),
    "config_limit": (lambda: keras_zip(b" " * 3000 + b"{}"), LimitExceeded, "has 3002 bytes; 2000 are allowed"),
    "not_json": (lambda: keras_zip("{'a': 1}"), CorruptFile, "config.json is not JSON"),
    "list": (lambda: keras_zip("[]"), CorruptFile, "must be a JSON object, not"),
    "link": (lambda: zip_with("assets/a", external_attr=0o120777 << 16), UnsafeFile, "is a symbolic link"),
    "method": (
        lambda: zip_with("assets/a", kind=zipfile.ZIP_BZIP2),
        UnsafeFile,
        "uses compression 12; deflate is read",
    ),
    "parent": (lambda: zip_with("../a"), UnsafeFile, "is not a plain name of a zip's member"),
    "root": (lambda: zip_with("/a"), UnsafeFile, "is not a plain name of a zip's member"),
    "folder": (lambda: zip_with("config.json/", b""), UnsafeFile, "two members of the zip are called 'config.json'"),
    "slash": (lambda: alone(DENSE, entry("ReLU", "a/b")), CorruptFile, "'a/b' has a name with a '/'"),
    **{
        f"input of two shapes, {key}": (
            lambda k=key: keras_zip(sequential_config(twice(k), DENSE)),
            CorruptFile,
            "has several shapes",
        )
        for key in ("shape", "batch_input_shape")
    },
    "graph without a name": (nameless, CorruptFile, "without a name"),
    **{
        f"operand {value}": (lambda v=value: operation("Add", INPUT, v), CorruptFile, "for which Keras builds no graph")
        for value in (None, [1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]])
    },
    **{
        f"key {value}": (lambda v=value: operation("GetItem", INPUT, v), CorruptFile, "for which Keras builds no graph")
        for value in (
            None,
            True,
            ELLIPSIS,
            piece(0, 1, None),
            [[0]],
            [True, False, True],
            [None] * 33,
            {"class_name": "__numpy__", "config": {"value": [0], "dtype": "int32"}},
        )
    },
    **{
        f"slice without {key}": (
            lambda k=key: operation("GetItem", INPUT, [piece(0, 1, None, leave_out=k)]),
            UnsupportedLayer,
            "a slice with the bound ''",
        )
        for key in ("start", "stop", "step")
    },
    "shape": (lambda: alone(dense_entry(units=5)), WeightsMismatch, r"'dense/kernel' must have the shape \[3, 5\]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    build, kind, message = REFUSED[name]
    limits = Limits(config=2000) if name == "config_limit" else None
    with pytest.raises(kind, match=message) as caught:
        load_keras(build(), **({"limits": limits} if limits else {}))
    assert type(caught.value) is kind
    assert not hostile.mistake(caught.value)


def test_the_frame_of_these_files_is_good():
    x = np.ones((1, 3), "float32")
    for data in (alone(DENSE), functional(node(DENSE, tensor("input_layer"))), activation("linear")):
        model, params = load_keras(data)
        np.testing.assert_array_equal(model(params, x), x @ hostile.KERNEL + hostile.BIAS)


@pytest.mark.parametrize("row", [
    ("Take", {"axis": 1}, [{"class_name": "__numpy__", "config": {"value": [9] * 5000, "dtype": "int32"}}]),
    ("BroadcastTo", {"shape": [1000, 3]}, []),
])  # fmt: skip
def test_what_only_the_numbers_tell_is_typed_at_predict(row):
    """Load looks at few numbers of a constant, and at none of a batch."""
    name, config, more = row
    model, params = load_keras(operation(name, INPUT, *more, config=config))
    with pytest.raises(InvalidInput, match=r"picks what is not there|do not broadcast"):
        fnet.predict(model, params, np.ones((2, 3), "float32"))


def test_a_layer_of_a_sequential_model_may_have_no_name():
    """Custom layers whose `get_config` leaves it out; Keras makes one up."""
    own = fnet.layer(shape=lambda x: (x, {}))(lambda params, x, *, by=1.0: x * by)
    doubled = {"module": "mine", "class_name": "Scaled", "registered_name": "mine>Scaled", "config": {"by": 2.0}}
    dense = {**DENSE, "config": {key: value for key, value in DENSE["config"].items() if key != "name"}}
    x = np.ones((1, 3), "float32")
    model, params = load_keras(alone(dense, doubled), custom={"mine>Scaled": own})
    np.testing.assert_array_equal(model(params, x), 2 * (x @ hostile.KERNEL + hostile.BIAS))
    with pytest.raises(UnsupportedLayer, match=r"Scaled 'layer_2' is a custom layer: give its pure function"):
        load_keras(alone(dense, doubled))


def test_the_config_of_a_custom_layer_is_its_own():
    own = fnet.layer(shape=lambda x: (x, {}))(lambda params, x, *, seed=(): x * sum(seed))
    zeros = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
    options = {"seed": [1, 2], "kernel_regularizer": 0.01, "initializer": zeros}

    def file(**further):
        layer = entry("Seeded", "seeded", module="mine", registered="mine>Seeded", **options, **further)
        return keras_zip(sequential_config(input_entry(3), layer), NO_WEIGHTS)

    model, params = load_keras(file(), custom={"mine>Seeded": own})
    np.testing.assert_array_equal(model(params, np.ones((1, 3), "float32")), np.full((1, 3), 3.0))
    for further in ({"inner": zeros}, {"layers": 2}):
        with pytest.raises(
            UnsupportedLayer, match=f"has the option '{next(iter(further))}' = .* unknown to its function"
        ):
            load_keras(file(**further), custom={"mine>Seeded": own})
        with pytest.raises(UnsupportedLayer, match="Seeded 'seeded' is a custom layer"):
            load_keras(file(**further))


@pytest.mark.parametrize("legacy", [False, True])
def test_options_of_a_custom_layer_may_have_any_name_and_number(legacy):
    """Also names that mean something in Keras: of activations, of training, of versions, of Keras 2."""
    values = {"use_activation": True, "floor": float("-inf"), "max_constraint": 2.0, "pads": 3, "input_length": 4}

    @fnet.layer(shape=lambda x, **options: (x, {}))
    def own(
        params, x, *, use_activation=False, floor=0.0, max_constraint=0.0, pads=0, input_length=0, causal=True,
        unit_norm=True,
    ):  # fmt: skip
        assert (use_activation, floor, causal, unit_norm) == (True, float("-inf"), False, False)
        return x * max_constraint * pads * input_length

    layer = entry("Free", "free", module="mine", registered="mine>Free", causal=False, unit_norm=False, **values)
    config = sequential_config(input_entry(3), layer)
    if legacy:
        config["config"]["layers"] = [
            {key: item[key] for key in ("class_name", "config")} for item in config["config"]["layers"]
        ]
        data, name = hostile.legacy(config, ()), "Free"
    else:
        data, name = keras_zip(config, NO_WEIGHTS), "mine>Free"
    model, params = load_keras(data, custom={name: own})
    np.testing.assert_array_equal(model(params, np.ones((1, 3), "float32")), np.full((1, 3), 24.0))


@pytest.mark.parametrize("name", ["MultiHeadAttention", "LayerNormalization", "Hashing", "RandomCrop", "UpSampling2D"])
@pytest.mark.parametrize("version", ["2.4.0", "3.2.0", "3.15.0"])
def test_a_custom_layer_may_have_the_name_of_a_class_of_keras(name, version):
    """What holds of that class by the version of the file does not hold of it, nor does its effect on masks."""
    own = fnet.layer(shape=lambda x: (x, {}), mask="keep")(lambda params, x: 2 * x)
    masked, metadata = entry("Masking", "masked", mask_value=0.0), {"keras_version": version}
    layers = [input_entry(4, 3), masked, entry(name, "mine", module="mine", registered=f"mine>{name}")]
    data, key = keras_zip(sequential_config(*layers), NO_WEIGHTS, metadata), f"mine>{name}"
    if version < "3":
        layers = [{"class_name": item["class_name"], "config": item["config"]} for item in layers]
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
        data, key = hostile.legacy(config, (), lambda file: file.attrs.modify("keras_version", version)), name
    for custom in ({key: own}, {"mine": own}):
        model, params = load_keras(data, custom=custom)
        np.testing.assert_array_equal(model(params, np.ones((1, 4, 3), "float32")), np.full((1, 4, 3), 2.0))
        step = fnet.explain(data, custom=custom).steps[-1]
        assert (step.status, step.age) == ("supported", None)
        assert step.keras in (f"mine>{name}", f"custom>{name}")
    if version > "3":
        with pytest.raises(UnsafeFile, match=rf"If it is a class of your own, .*custom=\{{'mine>{name}'"):
            load_keras(data)


def test_inputs_and_outputs_may_be_called_activation():
    """A list under that name in the options of a layer is code."""
    ends = {"input_layers": {"activation": ["input_layer", 0, 0]}, "output_layers": {"activation": ["dense", 0, 0]}}
    model, params = load_keras(functional(node(DENSE, tensor("input_layer")), **ends))
    y = model(params, {"activation": np.ones((1, 3), "float32")})
    np.testing.assert_array_equal(y["activation"], np.ones((1, 3)) @ hostile.KERNEL + hostile.BIAS)


def test_what_keras_writes_and_files_do_not_say_all_of_is_unsupported():
    first = entry("Rescaling", "first", scale=[0.5, 2.0, 3.0], offset=0.0)
    for layer, shape, match in (
        (first, (3, 4, 4), "one number for each of the 3 channels on axis 1"),
        (entry("Masking", "hidden", mask_value=float("inf")), (4, 3), "'hidden' has the option 'mask_value' = inf"),
    ):
        with pytest.raises(UnsupportedLayer, match=match):
            load_keras(alone(layer, shape=shape))
    load_keras(keras_zip(sequential_config(input_entry(4, 4, 3), first), NO_WEIGHTS))


def test_keras_before_3_12_takes_1_for_trainable():
    layer = {**DENSE, "config": {**DENSE["config"], "trainable": 1}}
    load_keras(keras_zip(sequential_config(input_entry(3), layer), metadata='{"keras_version": "3.11.3"}'))
    with pytest.raises(CorruptFile, match="trainable is 1, not true or false"):
        load_keras(keras_zip(sequential_config(input_entry(3), layer), metadata='{"keras_version": "3.12.0"}'))


def test_a_layer_with_the_policy_of_integers_takes_integers():
    first = {**input_entry(3), "config": {**input_entry(3)["config"], "dtype": "int32"}}
    flat = entry("Flatten", "flatten", dtype="int32")
    model, params = load_keras(keras_zip(sequential_config(first, flat), NO_WEIGHTS))
    x = np.array([[1, 2, 3]], "int32")
    assert model(params, x).dtype == "int32"


@pytest.mark.parametrize(
    ("name", "dtype", "version", "config"),
    [
        ("Add", "uint64", "3.11.3", {}),
        ("Greater", "uint64", "3.11.3", {}),
        ("Prod", "uint64", "3.11.3", {}),
        ("Einsum", "int8", "3.0.5", {"subscripts": "ij,kj->ik"}),
    ],
)
def test_integers_of_another_dtype_in_earlier_versions_are_refused(name, dtype, version, config):
    """Keras 3.12 and 3.3 on give what fnet gives (run: 3.0, 3.3, 3.10, 3.12)."""
    read = {**INPUT, "config": {**INPUT["config"], "dtype": dtype}}
    first = {**input_entry(3), "name": "input_layer", "inbound_nodes": []}
    first["config"] = {**first["config"], "dtype": dtype}
    made = {**entry(name, "dense"), "module": "keras.src.ops.numpy", "config": {"name": "dense", **config}}
    layers = [first, node(made, *[read] * (1 if name == "Prod" else 2))]
    for age in (version, "3.12.0"):
        data = functional(layers=layers, weights=NO_WEIGHTS, metadata={"keras_version": age})
        if age == "3.12.0":
            load_keras(data)
        else:
            with pytest.raises(UnsupportedLayer, match=f"takes {dtype}, which it gave as {dtype} up to"):
                load_keras(data)
