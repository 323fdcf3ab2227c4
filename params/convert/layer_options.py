"""The options of an fnet layer from the config of a Keras layer: every value converted, every unknown key refused."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Container, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from fnet.activation_functions import ACTIVATIONS
from fnet.core.layer import bind
from fnet.core.options import bounds, fits, kinds, option_names
from fnet.records import NamedTuple
from params.convert.conversion import Conversion
from params.convert.generations import OPTIONS as OF_AGE
from params.convert.recognition import KERAS_MODULES
from params.errors import CorruptFile, UnsupportedLayer, quoted
from params.file.keras_objects import LAMBDA, TRAINING_ONLY, KerasObject, is_object, literal, parse, policy, snake_case
from params.file.strict_json import LARGEST
from params.table.entry import IGNORED, Entry

DROPPED: dict[str, tuple[Any, ...]] = {
    "time_major": (False,),
    "dynamic": (False,),
    "renorm": (False,),
    "fused": (True, False),
    "ragged": (False,),
    "sparse": (False,),
    "causal": (False,),
    "unit_norm": (False,),
    "softmax_robust_masking": (False,),
}
"""{key that only Keras 2 wrote: values that change nothing}; some layers of Keras 3 have the key too."""

IRRELEVANT = (
    "input_length", "query_shape", "key_shape", "value_shape", "build_config", "batch_input_shape", "input_dtype",
    "renorm_clipping", "renorm_momentum", "experimental_autocast",
)  # fmt: skip


def _is_dropped(key: str, value: Any) -> bool:
    """Whether only Keras 2 wrote a key, with a value that changes nothing."""
    return key in IRRELEVANT or value in DROPPED.get(key, ())


def config_values(
    source: KerasObject, entry: Entry, conversion: Conversion, operation: bool, training: bool | None
) -> dict[str, Any]:
    """The config without keys for training only, and with nested layers as steps.

    Without a dtype a layer has the default policy, but many operations take the dtype of their inputs. training: the
    flag of the call of the layer, which counts for inner layers too.
    """
    legal, own = option_names(entry.layer), not (entry.arguments or operation)
    kept = {
        key: item
        for key, item in source.config.items()
        if (own and key in legal)
        or not (f"{'_' * own}{key}".endswith(TRAINING_ONLY) or (conversion.legacy and _is_dropped(key, item)))
    }
    if "*" in entry.ignored:
        kept = {key: item for key, item in kept.items() if key == "name" or key in legal}
    for key in ("quantization_config", *entry.ignored):
        kept.pop(key, None)
    if legal.get("dtype", "") is None and kept.get("dtype", "") is None:
        del kept["dtype"]
    values = _Values(source, conversion, operation, own, training)
    return {key: values.option(key, item) if key in legal or not own else item for key, item in kept.items()}


REQUIRED = frozenset({
    "filters", "head_dim", "input_dim", "key_dim", "num_heads", "num_key_value_heads", "num_query_heads",
    "output_dim", "units",
})  # fmt: skip
"""Options that every file has; in code they may be missing, and fnet takes them from the arrays."""


EXACT = REQUIRED | {
    "attention_axes", "axes", "axis", "clip_limit", "cropping", "depth_multiplier", "dilation_rate", "dims",
    "dropout", "fft_length", "frame_length", "pool_size", "sliding_window", "strides", "groups", "height",
    "kernel_size", "mask_token", "max_freq", "max_tokens", "max_value", "min_freq", "n", "negative_slope", "ngrams",
    "num_mel_bins", "num_oov_indices", "num_tokens", "output_sequence_length", "output_shape", "rate",
    "recurrent_dropout", "sequence_length", "sequence_stride", "size", "stddev", "threshold", "value_dim", "width",
}  # fmt: skip
"""Options that Keras 3 uses in shapes or comparisons: a float for an integer, or a list for a number, is refused."""

WITH_FLOATS = ("dilation_rate", "pool_size", "strides", "target_shape")
"""Options whose lists TensorFlow takes with floats, except where strides make sizes (`output_padding`)."""


def layer_options(entry: Entry, config: dict[str, Any], source: KerasObject, operation: bool) -> dict[str, Any]:
    """The options in a config that differ from the defaults of the layer; refuses unknown ones.

    Their types are checked later, by `Bound.misfit`.
    """
    changed = config if entry.options is None else entry.options(dict(config))
    of_age = OF_AGE if entry.arguments or operation else ()
    legal = {key: default for key, default in option_names(entry.layer).items() if key not in of_age}
    needed = REQUIRED
    if not operation:  # the options of an operation may be arguments of its call
        needed |= {key for key, default in legal.items() if default is inspect.Parameter.empty}
    missing = [key for key in legal if key in needed and changed.get(key) is None]
    if missing and entry.arguments:
        raise CorruptFile(f"{source.label} lacks the option {quoted(missing[0])}")
    options = {}
    for key, value in changed.items():
        if key in legal:
            if _differs(value, legal[key]):
                options[key] = value
        elif not (
            key in IGNORED
            or key in entry.ignored
            or "*" in entry.ignored
            or value is None
            or value in entry.neutral.get(key, ())
        ):
            runs = " or ".join(map(quoted, entry.neutral.get(key, ())))
            why = (
                f"fnet runs it with {runs} only" if runs else "unknown to fnet" if of_age else "unknown to its function"
            )
            raise UnsupportedLayer(f"{source.label} has the option {quoted(key)} = {quoted(value)}, {why}")
    return options


def meant_options(
    options: Mapping[str, Any], entry: Entry, source: KerasObject, exact: Container[str]
) -> dict[str, Any]:
    """Options with values of wrong types converted to the annotated types, where Keras accepts them.

    exact: options that Keras does not convert. Raises CorruptFile where no conversion is possible.
    """
    kind_of, defaults = kinds(entry.layer), option_names(entry.layer)
    right = {}
    for key, value in options.items():
        kind = kind_of.get(key, Any)
        if key in WITH_FLOATS and type(value) is tuple and "output_padding" not in defaults:
            value = tuple(meant(item, int) for item in value)
        if not fits(value, kind):
            value = _counted(value)
        as_is = key in exact
        if not fits(value, kind) and (as_is or not fits(value := meant(value, kind), kind)):
            limits = "".join(f"; it must be {bound}" for bound in bounds(kind))
            raise CorruptFile(
                f"{source.label} has the option {quoted(key)} = {quoted(value)}, of the wrong type or out of range"
                + limits
            )
        if key not in defaults or _differs(value, defaults[key]):
            right[key] = value
    return right


def _counted(value: Any) -> Any:
    """1 for True and 0 for False, also in a sequence."""
    if type(value) is tuple:
        return tuple(map(_counted, value))
    return int(value) if type(value) is bool else value


def meant(value: Any, kind: Any) -> Any:
    """`value` as Keras's Python code takes it for an option of the type `kind`: for a flag the truth of any value,
    True for the float 1, a whole float for an integer, an array of one number for the number."""
    parts = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if fits(value, kind):
        return value
    plain = {get_args(part)[0] if get_origin(part) is Annotated else part for part in parts}
    if bool in plain and (value is None or isinstance(value, int | float | str)):
        return bool(value)
    if float in plain and isinstance(value, bool):
        return float(value)
    if int in plain and isinstance(value, float) and value.is_integer() and abs(value) < LARGEST:
        return int(value)
    if float in plain and isinstance(value, tuple) and len(value) == 1:
        return meant(value[0], kind)
    return value


def _differs(value: Any, default: Any) -> bool:
    """Whether an option differs from its default, also in its type (records hold no defaults)."""
    return type(value) is not type(default) or value != default


WRITTEN_BY_TENSORFLOW = {"log_softmax_v2": "log_softmax", "softmax_v2": "softmax"}
"""{name that Keras 2 wrote for a function of TensorFlow: name of the activation}."""


class _Values(NamedTuple):
    """Reads the values in the config of one layer."""

    source: KerasObject
    conversion: Conversion
    operation: bool
    own: bool
    """Whether the layer is one of the caller's, whose options may have any name and number."""
    training: bool | None

    def option(self, key: str, value: Any) -> Any:
        """The value of an option: the policy by its name, an activation by its name or as a step."""
        if key == "dtype":
            return self.source.policy
        if key.endswith("activation") and not (self.own and isinstance(value, int | float)):
            return self.activation(value)
        return self.read(key, value)

    def read(self, key: str, value: Any) -> Any:
        """A value of an option, or a part of one: lists as tuples, nested layers as steps.

        NaN and infinity are allowed for operations; as options of a layer they would only give NaN later, except an
        infinite `max_value`, which means none.
        """
        if isinstance(value, list):
            return tuple([self.read(key, item) for item in value])
        if isinstance(value, dict):
            if is_object(value):
                return self.serialized(key, value)
            return {k: self.read(key, v) for k, v in value.items()}
        if not isinstance(value, float) or self.operation or self.own or math.isfinite(value):
            return value
        if key == "max_value" and value > 0:
            return None
        wrong = UnsupportedLayer if self.source.class_name == "Masking" else CorruptFile  # Keras writes them there
        raise wrong(f"{self.source.label} has the option {quoted(key)} = {value}; it must be finite")

    def serialized(self, key: str, value: dict[str, Any]) -> Any:
        """A serialized object: a literal that JSON lacks, a dtype policy, the name of what only training reads, or a
        layer."""
        if self.own and f"_{key}".endswith(TRAINING_ONLY):
            return snake_case(value["class_name"])
        if value["class_name"].startswith("__"):
            constant = literal(value)
            return self.read(key, constant.tolist()) if hasattr(constant, "tolist") else constant
        if value["class_name"] in ("DTypePolicy", "Policy"):
            return policy(value, self.source)
        if value["class_name"] == "function":
            raise UnsupportedLayer(
                f"{self.source.label} has your function {quoted(value['config'])} as {quoted(key)}, which is not in "
                f"the file: give the layer as a function, custom={{{quoted(self.source.name)}: my_layer}}"
            )
        return self.step(value)

    def step(self, value: dict[str, Any]) -> Any:
        """A layer inside this one."""
        return self.conversion.inside(self.source).inner(parse(value), self.training).step

    def activation(self, value: Any) -> Any:
        """An activation: a name, or a layer."""
        if value is None:
            return "linear"
        if isinstance(value, dict) and is_object(value):
            if value["class_name"] not in ("function", "__lambda__", "Lambda"):
                return self.step(value)
            value = self.function(value)
        if callable(value):
            return value
        if isinstance(value, dict | list):
            kind = "function" if isinstance(value, dict) else "lambda"
            raise UnsupportedLayer(f"{self.source.label} has a Python {kind} as activation: {LAMBDA}")
        value = WRITTEN_BY_TENSORFLOW.get(value, value)
        if value not in ACTIVATIONS or value in ("threshold", "hard_sigmoid_keras2"):
            custom = self.conversion.own(value) if isinstance(value, str) else None
            if custom is not None:
                return bind(custom)
            raise UnsupportedLayer(_no_activation(self.source, value))
        return "hard_sigmoid_keras2" if self.conversion.keras2 and value == "hard_sigmoid" else value

    def function(self, value: dict[str, Any]) -> Any:
        """A function in a config: one of Keras's activations by name, or the caller's own."""
        name, registered, module = (value.get(key) for key in ("config", "registered_name", "module"))
        if value["class_name"] != "function":
            raise UnsupportedLayer(f"{self.source.label} has a Python lambda as activation: {LAMBDA}")
        if not isinstance(name, str):
            raise UnsupportedLayer(_no_activation(self.source, name))
        full = registered if isinstance(registered, str) and registered != "function" else name
        for key in (full, name):
            custom = self.conversion.own(key)
            if custom is not None:
                return bind(custom)
        keras = module in (None, "builtins") or (isinstance(module, str) and KERAS_MODULES.fullmatch(module))
        if not keras or full != name:
            raise UnsupportedLayer(_no_activation(self.source, full))
        return name


def _no_activation(source: KerasObject, name: Any) -> str:
    return (
        f"{source.label} has the activation {quoted(name)}, which is not one of Keras's; if it is your own, "
        f"give it as a layer: custom={{{quoted(name)}: my_activation}}"
    )
