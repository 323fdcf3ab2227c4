"""Keras's side: a model file in its own precision and in float64, its outputs and those of its layers."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from compare import worker
from fnet import tree
from fnet.errors import printable

NARROW = ("float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
"""The dtypes and dtype policies that become float64."""


class KerasRefuses(ValueError):
    """The installed Keras does not load a model file."""


def load(path: Path, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model of a file, not compiled. custom_objects: {name in the file: Keras class or function}.

    Raises KerasRefuses where Keras does not load it, as with many files of older versions.
    """
    try:
        return keras.saving.load_model(path, custom_objects=custom_objects, compile=False)
    except ImportError:
        raise
    except Exception as error:  # Keras may raise anything, with the config of the file in the message
        what = printable(f"{type(error).__name__}: {error}")[:300]
        raise KerasRefuses(
            f"Keras {keras.__version__} cannot load {path}: {what} (a class of your own goes into --custom-object; for "
            "files of an older Keras compare with the answers that it gave: docs/howto-compare.md)"
        ) from error


@contextlib.contextmanager
def float64(path: Path, custom_objects: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """The same model, same weights, evaluated in float64: every dtype and policy in its config is rewritten.

    Keras's global float type is float64 inside the block, so that no input or constant is narrowed on the way.
    """
    kept, policy = keras.config.floatx(), keras.config.dtype_policy()
    with tempfile.TemporaryDirectory(prefix="fnet-compare-") as folder:
        wide = _rewritten(path, Path(folder))
        try:
            keras.config.set_floatx("float64")
            keras.config.set_dtype_policy("float64")
            yield load(wide, custom_objects)
        finally:
            keras.config.set_floatx(kept)
            keras.config.set_dtype_policy(policy)


def _rewritten(path: Path, folder: Path) -> Path:
    """A copy of the model file whose config says float64."""
    wide = folder / path.name
    if path.is_dir():
        shutil.copytree(path, wide)
        _widen_file(wide / "config.json")
    elif path.suffix != ".keras":
        _copy_hdf5(path, wide)
    else:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / "parts")
        _widen_file(folder / "parts" / "config.json")
        with zipfile.ZipFile(wide, "w") as archive:
            for part in sorted((folder / "parts").rglob("*")):
                archive.write(part, part.relative_to(folder / "parts"))
    return wide


def _widen_file(config: Path) -> None:
    config.write_text(json.dumps(widened(json.loads(config.read_text("utf-8")))), "utf-8")


def _copy_hdf5(path: Path, wide: Path) -> None:
    import h5py

    shutil.copyfile(path, wide)
    with h5py.File(wide, "r+") as file:
        file.attrs["model_config"] = json.dumps(widened(json.loads(file.attrs["model_config"])))


def widened(config: Any) -> Any:
    """A Keras config with every narrow float dtype and dtype policy replaced by float64."""
    if isinstance(config, list):
        return [widened(item) for item in config]
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name")).endswith("DTypePolicy"):
        return "float64" if config["config"].get("name") in NARROW else config
    narrow = {key for key, value in config.items() if key in ("dtype", "input_dtype") and value in NARROW}
    return {key: "float64" if key in narrow else widened(value) for key, value in config.items()}


def policy(model: Any) -> str:
    """The narrowest compute dtype of the model's layers: "float32", or a 16-bit one."""
    used = {layer.compute_dtype for layer in model._flatten_layers()}
    return next((name for name in ("bfloat16", "float16") if name in used), "float32")


def outputs(model: Any, x: Any, batch_size: int) -> list[Any]:
    """All outputs of the model for all rows, in the order in which it names them."""
    call = tf.function(lambda rows: model(rows, training=False), reduce_retracing=True)
    return batched(lambda rows: call(worker.structured(takes(model), rows)), x, batch_size)


def takes(model: Any) -> Any:
    """The inputs of a model in their structure, whose dicts have their own order; `model.inputs` is sorted."""
    return (getattr(model, "_functional", None) or model).input


def layer_outputs(model: Any, x: Any) -> dict[str, list[Any]]:
    """{layer name: its outputs} for the layers that run once; empty for a model without a graph."""
    if not getattr(model, "inputs", None):
        return {}
    graph = getattr(model, "_functional", None) or model  # what runs inside a Sequential
    by_depth = sorted(getattr(graph, "_nodes_by_depth", {}).items(), reverse=True)
    nodes = [node for _, nodes in by_depth for node in nodes if not node.is_input]
    runs = Counter(node.operation.name for node in nodes)
    # Keras itself adds operations for masks inside a Sequential: they are not layers of the model.
    layer_names = {layer.name for layer in model.layers} if graph is not model else set(runs)
    outputs = {n.operation.name: n.outputs for n in nodes if runs[n.operation.name] == 1}
    outputs = {name: outputs for name, outputs in outputs.items() if name in layer_names}
    if not outputs:
        return {}
    arrays = worker.structured(graph.input, tensors(x, keras.config.floatx()))
    given = keras.Model(graph.input, outputs)(arrays, training=False)
    return {name: [np.asarray(leaf) for leaf in keras.tree.flatten(value)] for name, value in given.items()}


def kinds(model: Any) -> dict[str, str]:
    """{name: class} of the operations at the top level."""
    return {operation.name: type(operation).__name__ for operation in getattr(model, "operations", model.layers)}


def batched(call: Any, x: Any, batch_size: int) -> list[Any]:
    """`call` on the rows of x, `batch_size` at a time, its outputs joined."""
    rows = len(x[0]) if isinstance(x, tuple) else len(x)
    parts = []
    for start in range(0, rows, batch_size):
        cut = slice(start, start + batch_size)
        taken = tuple(a[cut] for a in x) if isinstance(x, tuple) else x[cut]
        y = call(tensors(taken, keras.config.floatx()))
        parts.append([np.asarray(leaf) for leaf in tree.leaves(y)])
    return [np.concatenate(leaves) for leaves in zip(*parts, strict=True)]


def tensors(x: Any, floats: str) -> Any:
    """Rows for Keras: strings as TensorFlow's, floats of one dtype."""
    if isinstance(x, tuple):
        return tuple(tensors(a, floats) for a in x)
    return tf.constant(x.astype(floats) if x.dtype.kind == "f" else x)
