"""Keras objects in a config: class, config, calls. Names are compared, never imported."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from types import NoneType
from typing import Any, TypeGuard

import numpy as np

from fnet.records import NamedTuple, dataclass
from fnet.types import Array
from params.errors import CorruptFile, ModelFileError, UnsafeFile, UnsupportedLayer, quoted

MODELS = ("Functional", "Sequential")
NESTED = (dict, list, tuple)
"""The container types of a config. A tuple, not a union, since `isinstance` is called for every value."""
TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
"""Suffixes of the config keys for training only."""
WRITTEN = "written_class_name"
"""The key of the class name in the file, where `params.convert.legacy_config` has changed it to the current name."""
LAMBDA = "its Python code is in the file, and a model file is data: replace it by layers or keras.ops operations"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A symbolic tensor in the arguments of a call: output `index` of call number `call` of `layer`."""

    layer: str
    call: int
    index: int


@dataclass(frozen=True, eq=False)
class KerasObject:
    """A layer, model or operation."""

    class_name: str
    module: str | None
    registered_name: str | None
    config: dict[str, Any]
    name: str
    calls: list[Any] = field(default_factory=list)
    shared: int | None = None
    """`shared_object_id`: equal for all mentions of one object."""
    build_config: Mapping[str, Any] = field(default_factory=dict)
    python_name: str = ""
    """The name of the class in Python, which the groups of a file are named after: without its package, and in legacy
    files the name at that time."""
    is_model: bool = False
    """Follows from the class."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_model", self.class_name in MODELS)
        if not self.python_name:
            object.__setattr__(self, "python_name", self.class_name.rpartition(">")[2])

    @functools.cached_property
    def policy(self) -> str:
        """The name of the dtype policy."""
        return policy(self.config.get("dtype"), self)

    @functools.cached_property
    def label(self) -> str:
        """Its name in messages: `Dense 'logits'`."""
        return f"{shown(self.class_name)} {quoted(self.name)}"

    def __str__(self) -> str:
        return self.label

    @property
    def signature(self) -> str:
        """A value that is equal for all descriptions of one object."""
        return json.dumps([self.class_name, self.name, _unshared(self.config)], sort_keys=True, default=repr)


def shown(class_name: str, width: int = 60) -> str:
    """A class name in a message: bare when it is an identifier."""
    return class_name if class_name.isidentifier() and len(class_name) <= width else quoted(class_name, width)


def is_object(value: Any) -> bool:
    """Whether a config value is a serialized object."""
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value


def parse(data: Any) -> KerasObject:
    """The object of a JSON value."""
    if not is_object(data):
        raise CorruptFile(f"expected a layer, as {{'class_name': ..., 'config': {{...}}}}; got {quoted(data)}")
    config = data["config"]
    if not isinstance(config, dict):
        raise CorruptFile(f"the config of {shown(data['class_name'])} is not an object but {quoted(config)}")
    calls, build, shared = data.get("inbound_nodes", []), data.get("build_config") or {}, data.get("shared_object_id")
    _require_kinds(data, config, calls, build)
    name = config.get("name") or data.get("name") or ""
    if _is_map(config.get("dtype")):
        config = {**config, "dtype": _mapped(config["dtype"], data["class_name"], name)}
    written = str(data.get(WRITTEN, "")).rpartition(">")[2]
    module, registered = data.get("module"), data.get("registered_name")
    return KerasObject(data["class_name"], module, registered, config, name, calls, shared, build, written)


def _require_kinds(data: dict[str, Any], config: dict[str, Any], calls: Any, build: Any) -> None:
    """Refuse an object with parts of wrong types, or with two names."""
    shared, label = data.get("shared_object_id"), shown(data["class_name"])
    for key, value, kinds in (
        ("name", config.get("name"), (str, NoneType)),
        ("name", data.get("name", ""), (str,)),
        ("inbound_nodes", calls, (list,)),
        ("build_config", build, (dict,)),
        ("module", data.get("module"), (str, NoneType)),
        ("registered_name", data.get("registered_name"), (str, NoneType)),
    ):
        if not isinstance(value, kinds):
            raise CorruptFile(f"{label}: {key} is {quoted(value)}, not a {kinds[0].__name__}")
    if shared is not None and type(shared) is not int:
        raise CorruptFile(f"{label}: shared_object_id is {quoted(shared)}, not an integer")
    if config.get("trainable", True) not in (False, True):
        raise CorruptFile(f"{label}: trainable is {quoted(config['trainable'])}, not true or false")
    if "name" in data and config.get("name") not in (None, data["name"]):
        raise CorruptFile(f"{label} has two names, {quoted(data['name'])} and {quoted(config['name'])}")
    if not _are_shapes(build.get("input_shape")):
        raise CorruptFile(f"{label} was built for {quoted(build['input_shape'])}, which is not a shape")


class Survey(NamedTuple):
    """The contents of a config.

    objects: all serialized objects. floats: the policies of layers, and the dtypes of inputs, casts and constants,
    which Keras's layers cast. masked: whether something makes masks. quantized: whether a layer was quantized.
    """

    objects: list[dict[str, Any]]
    floats: set[str]
    masked: bool
    quantized: bool


def survey(config: Any, custom: Mapping[str, Any]) -> Survey:
    """The contents of a config, in one pass, without keys for training only (a third of most configs)."""
    objects, values, masked, is_quantized = list[dict[str, Any]](), list[Any](), False, False
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            kind = value.get("class_name")
            masked = masked or _makes_mask(kind, value, custom)
            if kind.__class__ is str and "config" in value:
                objects.append(value)
                is_quantized |= _has_quantized_policy(value)
            values += value.values()
            inner = [
                item for key, item in value.items() if item.__class__ in NESTED and not key.endswith(TRAINING_ONLY)
            ]
        else:
            values += value
            inner = [item for item in value if item.__class__ in NESTED]
        inner.reverse()
        waiting += inner
    floats = set(POLICIES).intersection([item for item in values if item.__class__ is str])
    return Survey(objects, floats, masked, is_quantized)


def _has_quantized_policy(item: dict[str, Any]) -> bool:
    """Whether an object has a quantized dtype policy; an unknown one is refused."""
    config = item["config"]
    if not isinstance(config, dict) or "dtype" not in config or item["class_name"] == "InputLayer":
        return False
    dtype = config["dtype"]
    if _is_map(dtype):
        dtype = _mapped(dtype, item["class_name"], config.get("name"))
    if is_object(dtype) or (isinstance(dtype, str) and "trainable" in config):
        policy(dtype, shown(item["class_name"]))
    return quantized(dtype) is not None


def _makes_mask(class_name: Any, value: dict[str, Any], custom: Mapping[str, Any]) -> bool:
    """Whether an object of a config may make masks: some layers, custom layers, a mask in a call."""
    if class_name == "Masking":
        return True
    if custom and any(isinstance(name, str) and name in custom for name in (class_name, value.get("registered_name"))):
        return True
    if "mask" not in "".join(value):  # as in most
        return False
    if value.get("mask_zero"):
        return True
    return any(key.endswith("mask") and not (item is None or isinstance(item, bool)) for key, item in value.items())


def layers_of(source: KerasObject) -> list[KerasObject]:
    """The layers in the config of a model, with unique names.

    A layer without a name in its config, as custom layers may be, gets one, as in Keras.
    """
    layers = source.config.get("layers")
    if not isinstance(layers, list):
        raise CorruptFile(f"{source.label}: layers is {quoted(layers)}, not a list")
    by_name: dict[str, KerasObject] = {}
    for number, layer in enumerate(map(parse, layers)):
        if not layer.name:
            layer = replace(layer, name=f"layer_{number}")
        if layer.name in by_name:
            raise CorruptFile(f"{source.label} has several layers named {quoted(layer.name)}")
        by_name[layer.name] = layer
    return list(by_name.values())


def as_graphs(config: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A config in which models of the classes of these names are Functional or Sequential ones."""
    found = set[str]()

    def change(value: Any) -> Any:
        value = each_item(change, value)
        named = (value.get("registered_name"), value["class_name"]) if is_object(value) else ()
        if not (own := [name for name in named if name in names]):
            return value
        found.update(own)
        if (kind := kind_of_graph(value["config"])) is None:
            raise CorruptFile(f"custom[{own[0]!r}] is fnet.graph, but the file has no graph of {value['class_name']}")
        return {**value, "class_name": kind, "module": "keras", "registered_name": None, WRITTEN: value["class_name"]}

    changed: dict[str, Any] = change(config)
    for name in names:
        if name not in found and ">" not in name:
            raise ModelFileError(f"custom[{name!r}] is fnet.graph, but no model of the file is of that class")
    return changed


def each_item(change: Callable[..., Any], value: Any, *options: Any) -> Any:
    """A list or object of JSON with `change(item, *options)` for each one in it; any other value as it is."""
    if isinstance(value, dict):
        return dict(zip(value, each_item(change, [*value.values()], *options), strict=True))
    if isinstance(value, list):
        return [change(item, *options) if item.__class__ in NESTED else item for item in value]
    return value


def kind_of_graph(config: Any) -> str | None:
    """The class of Keras that describes a model by such a config: "Functional", "Sequential", or None."""
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return None
    return "Functional" if "input_layers" in config else "Sequential"


def _unshared(value: Any) -> Any:
    """A config without `shared_object_id`, which only later mentions of an object have."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items() if key != "shared_object_id"}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


# --- names ----------------------------------------------------------------------------------------

PYTHON_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""{name that Keras exports and writes into configs: name of the Python class}, where they differ."""


@functools.lru_cache(maxsize=256)
def snake_case(name: str) -> str:
    """Keras's rule: "Conv2DTranspose" -> "conv2d_transpose", "PReLU" -> "p_re_lu"."""
    name = re.sub(r"\W+", "", PYTHON_NAMES.get(name, name))
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Names:
    """Makes unique names; counters are remembered, so that many equal names take linear time."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        """`name`, or the first of `name_1`, `name_2`, ... that is not in use; it is in use then."""
        unique = name
        while unique in self._taken:
            number = self._next[name] = self._next.get(name, 0) + 1
            unique = f"{name}_{number}"
        self._taken.add(unique)
        return unique


def elements(container: str, class_names: Mapping[str, str]) -> dict[str, str]:
    """{key: group} of the layers in a list: by class, numbered."""
    names = Names()
    return {key: f"{container}/{names.fresh(snake_case(class_name))}" for key, class_name in class_names.items()}


# --- dtype policies -------------------------------------------------------------------------------

FLOATS = ("float32", "float16", "bfloat16", "float64")
POLICIES = (*FLOATS, "mixed_float16", "mixed_bfloat16")
PLAIN_POLICIES = ("DTypePolicy", "Policy", "FloatDTypePolicy")
QUANTIZED_POLICIES = ("QuantizedDTypePolicy", "Int4DTypePolicy", "QuantizedFloat8DTypePolicy")
"""Policies that `params.convert.quantization` supports; the policy of their floats is in `source_name`."""
CALIBRATED_POLICIES = ("GPTQDTypePolicy", "AWQDTypePolicy")
WITH_LAYERS_INSIDE = r".*(Attention|LSTM.*|GRU|RNN)"
"""Classes with inner layers that share their policy and are not in the file."""
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
OTHER_DTYPES = (*INTEGERS, "bool", "string", "complex64", "complex128")
QUANTIZED_NAME = re.compile(r"(int8|float8)_from_(\w+)")


def quantized(value: Any) -> tuple[Any, Any] | None:
    """(mode, original policy) of a quantized dtype policy, which Keras 3.1 to 3.3 wrote as one name."""
    if isinstance(value, str):
        written = QUANTIZED_NAME.fullmatch(value)
        return None if written is None else (written[1], written[2])
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict) or "mode" not in value["config"]:
        return None
    return value["config"]["mode"], value["config"].get("source_name")


def policy(value: Any, owner: object = "a layer") -> str:
    """The name of a dtype policy, given as a name, a DTypePolicy (Keras 3) or a Policy (Keras 2); of a quantized one,
    that of the original policy. owner: the object that has it, for messages."""
    if value is None:
        return "float32"
    name = value
    if isinstance(value, str) and (how := quantized(value)):
        name = how[1]
    elif is_object(value):
        if value["class_name"] not in (*PLAIN_POLICIES, *QUANTIZED_POLICIES):
            lost = value["class_name"] in CALIBRATED_POLICIES
            why = "whose zero points Keras leaves out of the file (and cannot load it)" if lost else "unknown to fnet"
            raise UnsupportedLayer(
                f"{owner} has the dtype policy {quoted(value['class_name'])}, {why}; quantized models can be int8, "
                "int4 and float8: quantize it as one of these, or save it before `model.quantize(...)`"
            )
        key = "name" if value["class_name"] in PLAIN_POLICIES else "source_name"
        name = value["config"].get(key) if isinstance(value["config"], dict) else None
    if name not in POLICIES and name not in OTHER_DTYPES:
        raise CorruptFile(f"{owner} has an unknown dtype policy: {quoted(name)}")
    return str(name)


def _is_map(dtype: Any) -> TypeGuard[dict[str, Any]]:
    return is_object(dtype) and dtype["class_name"] == "DTypePolicyMap"


def _mapped(dtype: dict[str, Any], class_name: str, name: Any) -> Any:
    """The dtype policy of a layer in a DTypePolicyMap: that of its name, or the default.

    Keys are regular expressions. Some versions of Keras search for them in a name, others match all of it, so patterns
    and parts of the name are refused; so are maps of layers with inner layers, which look up other names. Without a
    default Keras writes no names of policies: they are lost.
    """
    config, label = dtype["config"], f"{shown(class_name)} {quoted(name)}"
    policies = config.get("policy_map") if isinstance(config, dict) else None
    if not isinstance(policies, dict) or not isinstance(name, str):
        raise CorruptFile(f"{label} has a DTypePolicyMap that is {quoted(config)}")
    default = config.get("default_policy")
    if default is None and all(is_object(item) and item["class_name"] in PLAIN_POLICIES for item in policies.values()):
        return None
    if policies and re.fullmatch(WITH_LAYERS_INSIDE, class_name):
        raise UnsupportedLayer(
            f"{label} has a DTypePolicyMap, which the layers inside it read by other names: give it a policy of its own"
        )
    if name in policies:
        return policies[name]
    if unclear := [key for key in policies if key in name or re.search(r"[^\w/ -]", key)]:
        raise UnsupportedLayer(
            f"{label} has a DTypePolicyMap with the key {quoted(unclear[0])}, by which versions of Keras mean other "
            "layers; give a key of its whole name"
        )
    return default


def literal(value: dict[str, Any]) -> Any:
    """A value that JSON cannot express: `__slice__`, `__numpy__`, ..."""
    kind, config = value["class_name"], value.get("config")
    if kind == "__ellipsis__":
        return ...
    if kind == "__lambda__":
        raise UnsupportedLayer(f"the file holds a Python lambda: {LAMBDA}")
    if not isinstance(config, dict):
        raise CorruptFile(f"{kind} has the config {quoted(config)}")
    if kind == "__slice__":
        return slice(*(_slice_part(config.get(key, "")) for key in ("start", "stop", "step")))
    if kind in ("__numpy__", "__tensor__"):
        return array(config.get("value"), config.get("dtype"))
    if kind == "__keras_tensor__":
        _require_spec(config.get("shape"), config.get("dtype"))
        return tensor(config.get("keras_history"))
    if kind == "__bytes__" and isinstance(config.get("value"), str):
        return config["value"]
    raise UnsafeFile(f"a value of the unknown kind {quoted(kind)}")


def _slice_part(value: Any) -> int | None:
    if is_object(value):
        value = literal(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise UnsupportedLayer(f"a slice with the bound {quoted(value)}: only integers and None are supported")


def _require_spec(shape: Any, dtype: Any) -> None:
    """Refuse a tensor of a graph with an invalid shape or dtype. The real ones follow from the layers."""
    if not is_shape(shape) or (dtype not in FLOATS and dtype not in OTHER_DTYPES):
        raise CorruptFile(f"a tensor of the shape {quoted(shape)} and the dtype {quoted(dtype)}")


def _are_shapes(value: Any) -> bool:
    """Whether a JSON value is a shape or a tree of shapes; null is an unknown size."""
    if isinstance(value, dict):
        return all(map(_are_shapes, value.values()))
    return value is None or is_shape(value) or (isinstance(value, list) and all(map(_are_shapes, value)))


def is_shape(value: Any) -> TypeGuard[Sequence[int | None]]:
    """Whether a JSON value is a list of sizes; null is an unknown size."""
    return isinstance(value, list | tuple) and all(map(_is_size, value))


def _is_size(value: Any) -> bool:
    return value is None or _is_index(value)


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def above_one(sizes: Any) -> bool:
    """Whether a size, or one of several, is above 1: strides or dilations with an effect."""
    listed = sizes if isinstance(sizes, list | tuple) else [sizes]
    return any(isinstance(size, int | float) and size > 1 for size in listed)


def tensor(history: Any) -> Tensor:
    """The tensor of `[layer, call, index]`."""
    if is_triple(history):
        return Tensor(*history)
    raise CorruptFile(f"a tensor is not [layer name, call, index]: {quoted(history)}")


def is_call(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is a call as Keras 3 writes it, {"args": [...], "kwargs": {...}}."""
    return isinstance(value, dict) and isinstance(value.get("args"), list) and isinstance(value.get("kwargs"), dict)


def is_triple(value: Any) -> bool:
    """Whether a JSON value is the history of a tensor."""
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and all(map(_is_index, value[1:]))


def histories(value: Any) -> Iterator[list[Any]]:
    """The histories in a tree of them."""
    if is_history(value):
        yield value
        yield from histories(value[3:])
    elif isinstance(value, list):
        for item in value:
            yield from histories(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from histories(item)


def is_history(value: Any) -> bool:
    """Whether a JSON value is the history of a tensor, in Keras 2 perhaps with the further arguments of the call."""
    if not isinstance(value, list) or len(value) not in (3, 4) or (len(value) == 4 and not isinstance(value[3], dict)):
        return False
    return is_triple(value[:3])


def numbers(value: list[Any], floats: str = "float32") -> Array | None:
    """The array of a nested list of numbers, of int32, bool or `floats`; None for other values."""
    leaves = list(_leaves(value))
    kinds = set(map(type, leaves))
    if not leaves or not kinds <= {int, float, bool} or (bool in kinds and len(kinds) > 1):
        return None
    if float in kinds:
        return array(value, floats)
    if bool in kinds:
        return array(value, "bool")
    return array(value, "int32" if all(-(1 << 31) <= n < 1 << 31 for n in leaves) else "int64")


def tuples(value: Any) -> Any:
    """A JSON value with tuples for its lists, at any depth."""
    if isinstance(value, dict):
        return {key: tuples(item) for key, item in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def array(value: Any, dtype: Any) -> Array:
    """A constant of the graph, read-only."""
    if dtype not in (*FLOATS, *INTEGERS, "bool"):
        raise CorruptFile(f"a constant of the dtype {quoted(dtype)}")
    try:
        with np.errstate(over="ignore"):  # a number beyond a float16 is infinity, in Keras too
            values = np.array(value, "float32" if dtype == "bfloat16" else dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptFile(f"a constant is not an array of {dtype}: {quoted(value)}") from error
    values.flags.writeable = False
    return values
