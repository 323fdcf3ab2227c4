"""Every operation beside its Keras class, in every mode; values at the yardstick, dtypes and shapes equal."""

from __future__ import annotations

import importlib
import inspect
import pickle
from typing import Any

import jax
import numpy as np
import pytest

import fnet
from compare import yardstick
from fnet import backend, operations, tree
from fnet.compose import bind, option_names
from params import load_keras
from params.op_table import OPERATIONS, REFUSED_OPERATIONS
from tests.cases.operations import CASES, OpCase

ROWS = {entry.layer: (key, entry) for key, entry in OPERATIONS.items()}
MODES = ("numpy", "numpy-readonly", "jax", "jax-jit")
DEMOTED = {"int64": "int32", "float64": "float32", "complex128": "complex64"}
"""What JAX makes of 64 bits unless told otherwise."""


def keras_result(case: OpCase, inputs: Any, dtype: str) -> Any:
    """What the Keras class of the row gives, floats of the inputs in `dtype`."""
    import tensorflow as tf

    (module, name), _ = ROWS[case.layer]
    cls = getattr(importlib.import_module(module), name)
    legal = set(inspect.signature(cls.__init__).parameters)
    config = {key: value for key, value in case.options.items() if key in legal}
    call = {key: value for key, value in case.options.items() if key not in legal}
    if "axes_lengths" in call:
        call |= call.pop("axes_lengths")
    args = tree.map(lambda a: tf.convert_to_tensor(_as(a, dtype)) if isinstance(a, np.ndarray) else a, inputs)
    if name == "GetItem":
        key = call.pop("key", None) if len(args) == 1 else args[1]
        args = (args[0], tuple(key) if isinstance(key, list) else key)
    if name == "Quantile":  # the class forgets the method, the function does not
        import keras

        return np.asarray(keras.ops.quantile(*args, **config))
    if name == "MultiHot" and dtype == "float64":
        config.setdefault("dtype", "float32")
    result = cls(**config)(*args, **call)
    result = np.int32(result) if isinstance(result, int) else result
    return tree.map(np.asarray, list(result) if isinstance(result, tuple | list) else result)


def exact_result(case: OpCase, inputs: Any, keras32: Any) -> Any:
    """The float64 reference, where TensorFlow has the kernel."""
    try:
        return keras_result(case, inputs, "float64")
    except Exception:  # noqa: BLE001 - InTopK and NCHW convolutions know float32 only
        return keras32


def _as(a: np.ndarray, dtype: str) -> np.ndarray:
    return a.astype(dtype) if a.dtype.name == "float32" else a


def fnet_input(case: OpCase, inputs: tuple[Any, ...]) -> Any:
    """`x` of the layer: the one argument, or the tuple of them."""
    single = len(case.layer.arguments) == 1 and not case.layer.arguments[0].startswith("*")
    return inputs[0] if single else inputs


def compare(ours: Any, keras32: Any, exact: Any, name: str, case: OpCase) -> None:
    ours = list(ours) if isinstance(ours, tuple | list) else ours
    a, b, c = tree.leaves(ours), tree.leaves(keras32), tree.leaves(exact)
    assert len(a) == len(b), f"{len(a)} results, Keras gives {len(b)}"
    for mine, theirs in zip(a, b, strict=True):
        assert mine.shape == theirs.shape, f"shape {mine.shape}, Keras gives {theirs.shape}"
        wanted = theirs.dtype.name
        wanted = DEMOTED.get(wanted, wanted) if name.startswith("jax") else wanted
        assert str(mine.dtype) == wanted, f"dtype {mine.dtype}, Keras gives {wanted}"
    if case.check is not None:
        a, b, c = (case.check(*map(np.asarray, x)) for x in (a, b, c))
    for mine, theirs, ref in zip(a, b, c, strict=True):
        policy = "float16" if theirs.dtype.name == "float16" else "float32"
        parts = (np.real, np.imag) if np.iscomplexobj(ref) else (np.asarray,)
        for part in parts:
            limit = yardstick.allowed(yardstick.error(part(theirs), part(ref)), policy) + case.floor
            err = yardstick.error(part(np.asarray(mine)), part(ref))
            assert err <= limit, (
                f"error {err:.3g} > {limit:.3g}\nfnet  {np.asarray(mine).ravel()[:6]}\nexact {ref.ravel()[:6]}"
            )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_operation_equals_its_keras_class_in_every_mode(case):
    inputs = case.draw()
    try:
        keras32 = keras_result(case, inputs, "float32")
    except Exception as error:  # noqa: BLE001 - TensorFlow has no kernel for some dtypes
        pytest.skip(f"Keras on TensorFlow cannot: {type(error).__name__}")
    exact = exact_result(case, inputs, keras32)
    step = bind(case.layer, **case.options)
    for name in MODES:
        if name in case.skip_modes:
            continue
        compare(run_operation(name, step, fnet_input(case, inputs)), keras32, exact, name, case)
    if exact is not keras32 and any(
        isinstance(a, np.ndarray) and a.dtype == "float32" for a in tree.leaves(list(inputs))
    ):
        wide = tree.map(lambda a: _as(a, "float64") if isinstance(a, np.ndarray) else a, inputs)
        compare(step({}, fnet_input(case, wide)), exact, exact, "numpy", case)


def run_operation(mode: str, step: Any, x: Any) -> Any:
    """The step in a mode; literals (numbers, slices) are no arguments of a jitted function."""
    arrays = [a for a in tree.leaves([x]) if isinstance(a, np.ndarray)]

    def call(given: list[Any]) -> Any:
        left = iter(given)
        return step({}, tree.map(lambda a: next(left) if isinstance(a, np.ndarray) else a, x))

    if mode == "numpy-readonly":
        for array in arrays:
            array.flags.writeable = False
    with backend.using(mode.split("-")[0]):
        return jax.jit(call)(arrays) if mode == "jax-jit" else call(arrays)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_operation_is_a_value_and_its_shape_rule_tells_the_truth(case):
    step = bind(case.layer, **case.options)
    assert pickle.loads(pickle.dumps(step)) == step
    assert eval(repr(step), {**vars(fnet), "operations": operations, "inf": float("inf")}) == step
    x = fnet_input(case, case.draw())
    specs = tree.map(lambda a: fnet.Spec(a.shape, a.dtype.name) if isinstance(a, np.ndarray) else a, x)
    try:
        y = step({}, x)
    except Exception:  # noqa: BLE001 - dtypes that Keras cannot either are not asked for
        pytest.skip("not for these dtypes")
    y = list(y) if isinstance(y, tuple) else y
    given, told = tree.leaves(y), tree.leaves(fnet.infer(step, specs)[0])
    assert len(given) == len(told)
    for array, spec in zip(given, told, strict=True):
        assert len(spec.shape) == array.ndim
        assert all(d in (None, n) for d, n in zip(spec.shape, array.shape, strict=True)), f"{spec} for {array.shape}"
        assert not case.jit or None not in spec.shape
        assert spec.dtype == array.dtype.name, f"{spec} for {array.dtype}"


SAVED = [
    case
    for case in CASES
    if not (case.skip_modes or case.check or "method" in case.options) and "inf" not in str(case.options.get("ord"))
]


@pytest.mark.parametrize("start", range(0, len(SAVED), 50))
def test_operations_in_a_saved_model_load_and_give_the_same(start, tmp_path):
    import keras

    inputs, outputs, arrays, cases = [], [], [], []
    for case in SAVED[start : start + 50]:
        drawn = case.draw()
        own = [a for a in tree.leaves(list(drawn)) if isinstance(a, np.ndarray)]
        symbols = [keras.Input(batch_shape=a.shape, dtype=a.dtype.name) for a in own]
        left = iter(symbols)
        try:
            args = tree.map(lambda a, left=left: next(left) if isinstance(a, np.ndarray) else a, drawn)
            made = called(case, args)
            keras.Model(symbols, made)(own)
        except Exception:  # noqa: BLE001 - what Keras cannot build or run is no model
            continue
        inputs += symbols
        arrays += own
        outputs.append(made)
        cases.append(case)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "operations.keras")
    theirs = model(arrays)
    loaded, params = load_keras(tmp_path / "operations.keras")
    ours = loaded(params, arrays)
    assert len(cases) >= 5
    for case, y, wanted in zip(cases, ours, theirs, strict=True):
        wanted = np.int32(wanted) if isinstance(wanted, int) else wanted
        wanted = tree.map(np.asarray, list(wanted) if isinstance(wanted, tuple | list) else wanted)
        y = tree.map(np.asarray, list(y) if isinstance(y, tuple | list) else y)
        for a, b in zip(tree.leaves(y), tree.leaves(wanted), strict=True):
            assert a.dtype == b.dtype, case.id
            np.testing.assert_allclose(a, b, rtol=2e-3 if a.dtype == "float16" else 2e-5, atol=1e-5, err_msg=case.id)


def called(case: OpCase, args: tuple[Any, ...]) -> Any:
    """The Keras class of the row called on symbolic tensors."""
    (module, name), _ = ROWS[case.layer]
    cls = getattr(importlib.import_module(module), name)
    legal = set(inspect.signature(cls.__init__).parameters)
    call = {key: value for key, value in case.options.items() if key not in legal}
    if "axes_lengths" in call:
        call |= call.pop("axes_lengths")
    if name == "GetItem":
        key = call.pop("key", None) if len(args) == 1 else args[1]
        args = (args[0], tuple(key) if isinstance(key, list) else key)
    return cls(**{key: value for key, value in case.options.items() if key in legal})(*args, **call)


def test_every_operation_of_keras_is_in_the_table_or_refused_with_a_reason():
    import keras
    from keras.src.ops.operation import Operation

    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    for module in ("core", "einops", "image", "linalg", "math", "nn", "numpy"):
        importlib.import_module(f"keras.src.ops.{module}")
    known = {
        (sub.__module__, sub.__name__)
        for sub in below(Operation)
        if sub.__module__.startswith("keras.src.ops") and not issubclass(sub, keras.layers.Layer)
    }
    missing = sorted(key for key in known if key not in OPERATIONS and key[1] not in REFUSED_OPERATIONS)
    assert not missing, missing


def test_every_operation_has_a_row_here_and_a_docstring():
    tested = {case.layer for case in CASES}
    untested = [name for name in operations.__all__ if getattr(operations, name) not in tested]
    assert not untested, untested
    assert not [name for name in operations.__all__ if not getattr(operations, name).__doc__]


def test_the_arguments_of_the_table_are_those_of_the_keras_call():
    for (module, name), entry in OPERATIONS.items():
        cls = getattr(importlib.import_module(module), name)
        call = [p for p in inspect.signature(cls.call).parameters.values() if p.name != "self"]
        names = [("**" if p.kind is p.VAR_KEYWORD else "") + p.name for p in call if p.kind is not p.VAR_POSITIONAL]
        names = [] if any(p.kind is p.VAR_POSITIONAL for p in call) else names
        assert list(entry.arguments) == names, f"{name}: {entry.arguments}, Keras has {names}"
        made = set(inspect.signature(cls.__init__).parameters) - {"self", "name", "kwargs"}
        legal = {*option_names(entry.layer), *entry.neutral}
        if entry.options is None:
            assert made <= legal, f"{name}: {made - legal} are no options of {entry.layer.__name__}"
