"""Every operation beside its Keras class, in every mode; values at the yardstick, dtypes and shapes equal.

`make test` runs the first row of every operation, `make test-slow` all of them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pickle
from dataclasses import dataclass
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
DEMOTED = {"int64": "int32", "float64": "float32", "complex128": "complex64"}
"""What JAX makes of 64 bits unless told otherwise."""
FIRST = list({case.layer: number for number, case in reversed(list(enumerate(CASES)))}.values())
"""The first row of every operation."""
TOGETHER = 24
"""How many rows one jitted function holds: compiling one after the other takes most of the time."""


def fast(numbers: list[int], chosen: set[int]) -> list[Any]:
    """The rows as parameters; those not `chosen` are slow."""
    return [pytest.param(n, id=CASES[n].id, marks=() if n in chosen else pytest.mark.slow) for n in numbers]


def groups(numbers: list[int], size: int) -> list[Any]:
    """Lists of row numbers as parameters: the first rows of operations together, then the others, slow."""
    first, others = [n for n in numbers if n in FIRST], [n for n in numbers if n not in FIRST]
    made = []
    for part, marks in ((sorted(first), ()), (others, (pytest.mark.slow,))):
        for start in range(0, len(part), size):
            some = part[start : start + size]
            made.append(pytest.param(some, id=f"{CASES[some[0]].id}...{len(some)}", marks=marks))
    return made


EVERY = fast(list(range(len(CASES))), set(FIRST))


# --- Keras ----------------------------------------------------------------------------------------


def called(case: OpCase, args: tuple[Any, ...], **defaults: Any) -> Any:
    """The Keras class of the row called on tensors, or on symbolic ones."""
    (module, name), _ = ROWS[case.layer]
    cls = getattr(importlib.import_module(module), name)
    legal = set(inspect.signature(cls.__init__).parameters)
    call = {key: value for key, value in case.options.items() if key not in legal}
    if "axes_lengths" in call:
        call |= call.pop("axes_lengths")
    if name == "GetItem":
        key = call.pop("key", None) if len(args) == 1 else args[1]
        args = (args[0], tuple(key) if isinstance(key, list) else key)
    config = {key: value for key, value in case.options.items() if key in legal}
    return cls(**{**defaults, **config})(*args, **call)


def keras_result(case: OpCase, inputs: Any, dtype: str) -> Any:
    """What the Keras class of the row gives, floats of the inputs in `dtype`."""
    import tensorflow as tf

    args = tree.map(lambda a: tf.convert_to_tensor(_as(a, dtype)) if isinstance(a, np.ndarray) else a, inputs)
    if case.layer.__name__ in TWINS:
        return plain(TWINS[case.layer.__name__](*args, **case.options))
    wide = case.layer is operations.multi_hot and dtype == "float64"
    return plain(called(case, args, **({"dtype": "float32"} if wide else {})))


def _keras_function(name: str) -> Any:
    def call(*args: Any, **options: Any) -> Any:
        import keras

        return getattr(keras.ops, name)(*args, **options)

    return call


def _keras_activation(name: str) -> Any:
    def call(x: Any, **options: Any) -> Any:
        import keras

        return getattr(keras.activations, name)(x, **options)

    return call


def _complex(x: Any) -> Any:
    import tensorflow as tf

    return tf.complex(x[..., 0], x[..., 1])


TWINS = {
    "quantile": _keras_function("quantile"),  # the class forgets the method
    "conv_transpose": _keras_function("conv_transpose"),  # the class mixes up its arguments
    "relu": _keras_activation("relu"),  # the class of keras.ops has no options
    "histogram": _keras_function("histogram"),  # the class calls what is not there
    "view_as_complex": _complex,  # Keras multiplies by a Python 1j, which TensorFlow refuses
}
"""What stands in for Keras classes that fail on TensorFlow."""


def plain(result: Any) -> Any:
    """The tensors of a Keras result as arrays in a list or alone."""
    import tensorflow as tf

    result = np.int32(result) if isinstance(result, int) else result
    result = list(result) if isinstance(result, tuple | list) else result
    return tree.map(lambda a: np.asarray(tf.sparse.to_dense(a) if isinstance(a, tf.SparseTensor) else a), result)


def _as(a: np.ndarray, dtype: str) -> np.ndarray:
    return a.astype(dtype) if a.dtype.name == "float32" else a


@dataclass(frozen=True)
class Reference:
    """What Keras gives for one row."""

    inputs: tuple[Any, ...]
    keras32: Any
    exact: Any
    """In float64; `keras32` where TensorFlow has no kernel for it."""


@functools.cache
def reference(number: int) -> Reference | str:
    """Keras's results for a row, or why there are none."""
    case = CASES[number]
    inputs = case.draw()
    try:
        keras32 = keras_result(case, inputs, "float32")
    except Exception as error:  # noqa: BLE001 - TensorFlow has no kernel for some dtypes
        return f"Keras on TensorFlow cannot: {type(error).__name__}"
    try:
        return Reference(inputs, keras32, keras_result(case, inputs, "float64"))
    except Exception:  # noqa: BLE001 - InTopK and NCHW convolutions know float32 only
        return Reference(inputs, keras32, keras32)


# --- fnet -----------------------------------------------------------------------------------------


def fnet_input(case: OpCase, inputs: tuple[Any, ...]) -> Any:
    """`x` of the layer: the one argument, or the tuple of them."""
    single = len(case.layer.arguments) == 1 and not case.layer.arguments[0].startswith("*")
    return inputs[0] if single else inputs


def arrays_of(value: Any) -> list[np.ndarray]:
    return [a for a in tree.leaves([value]) if isinstance(a, np.ndarray)]


def run(case: OpCase, inputs: tuple[Any, ...], arrays: list[Any]) -> Any:
    """The operation on its inputs, `arrays` in place of theirs; literals (numbers, slices) are never traced."""
    left = iter(arrays)
    x = tree.map(lambda a: next(left) if isinstance(a, np.ndarray) else a, fnet_input(case, inputs))
    return bind(case.layer, **case.options)({}, x)


def compare(ours: Any, theirs: Reference, mode: str, case: OpCase) -> None:
    ours = list(ours) if isinstance(ours, tuple | list) else ours
    a, b, c = tree.leaves(ours), tree.leaves(theirs.keras32), tree.leaves(theirs.exact)
    assert len(a) == len(b), f"{len(a)} results, Keras gives {len(b)}"
    for mine, other in zip(a, b, strict=True):
        assert mine.shape == other.shape, f"shape {mine.shape}, Keras gives {other.shape}"
        wanted = other.dtype.name
        wanted = DEMOTED.get(wanted, wanted) if mode.startswith("jax") else wanted
        assert str(mine.dtype) == wanted, f"dtype {mine.dtype}, Keras gives {wanted}"
    if case.check is not None:
        a, b, c = (case.check(*map(np.asarray, x)) for x in (a, b, c))
    for mine, other, exact in zip(a, b, c, strict=True):
        policy = "float16" if other.dtype.name == "float16" else "float32"
        for part in (np.real, np.imag) if np.iscomplexobj(exact) else (np.asarray,):
            limit = yardstick.allowed(yardstick.error(part(other), part(exact)), policy) + case.floor
            err = yardstick.error(part(np.asarray(mine)), part(exact))
            assert err <= limit, (
                f"error {err:.3g} > {limit:.3g}\nfnet  {np.asarray(mine).ravel()[:6]}\nexact {exact.ravel()[:6]}"
            )


def wanted(number: int) -> Reference:
    found = reference(number)
    if isinstance(found, str):
        pytest.skip(found)
    return found


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", EVERY)
def test_operation_equals_its_keras_class_on_numpy(number):
    case, theirs = CASES[number], wanted(number)
    arrays = arrays_of(theirs.inputs)
    compare(run(case, theirs.inputs, [a.copy() for a in arrays]), theirs, "numpy", case)
    for array in arrays:
        array.flags.writeable = False
    compare(run(case, theirs.inputs, arrays), theirs, "numpy-readonly", case)
    if theirs.exact is not theirs.keras32 and any(a.dtype == "float32" for a in arrays):
        wide = Reference(theirs.inputs, theirs.exact, theirs.exact)
        compare(run(case, theirs.inputs, [_as(a, "float64") for a in arrays]), wide, "numpy", case)


@pytest.mark.parametrize("number", fast([n for n, c in enumerate(CASES) if "jax" not in c.skip_modes], set()))
def test_operation_equals_its_keras_class_on_jax(number):
    case, theirs = CASES[number], wanted(number)
    with backend.using("jax"):
        compare(run(case, theirs.inputs, arrays_of(theirs.inputs)), theirs, "jax", case)


JITTED = [n for n, case in enumerate(CASES) if "jax-jit" not in case.skip_modes]


@pytest.mark.parametrize("numbers", groups(JITTED, TOGETHER))
def test_operations_equal_their_keras_classes_under_jax_jit(numbers):
    known = {n: found for n in numbers if isinstance(found := reference(n), Reference)}

    def together(arrays: dict[int, list[Any]]) -> dict[int, Any]:
        return {n: run(CASES[n], known[n].inputs, given) for n, given in arrays.items()}

    with backend.using("jax"):
        results = jax.jit(together)({n: arrays_of(theirs.inputs) for n, theirs in known.items()})
    failures = []
    for n, theirs in known.items():
        try:
            compare(results[n], theirs, "jax-jit", CASES[n])
        except AssertionError as error:
            failures.append(f"{CASES[n].id}: {error}")
    assert not failures, "\n".join(failures)


# --- records and shapes ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", EVERY)
def test_operation_is_a_value_and_its_shape_rule_tells_the_truth(number):
    case = CASES[number]
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


# --- saved models ---------------------------------------------------------------------------------


def is_saved(case: OpCase) -> bool:
    """Whether Keras can save the row: it forgets `method`, and JSON has no infinity."""
    return not (case.skip_modes or case.check or "method" in case.options or "inf" in str(case.options.get("ord")))


SAVED = [n for n, case in enumerate(CASES) if is_saved(case) and case.options.get("sparse") is not True]


def saved_model(numbers: list[int], path: Any) -> tuple[list[OpCase], list[np.ndarray], Any]:
    """(the rows that Keras builds, their arrays, what Keras gives), after saving them as one model."""
    import keras

    inputs, outputs, arrays, cases = [], [], [], []
    for case in (CASES[n] for n in numbers):
        drawn = case.draw()
        symbols = [keras.Input(batch_shape=a.shape, dtype=a.dtype.name) for a in arrays_of(drawn)]
        left = iter(symbols)
        try:
            made = called(case, tree.map(lambda a, left=left: next(left) if isinstance(a, np.ndarray) else a, drawn))
            keras.Model(symbols, made)(arrays_of(drawn))
        except Exception:  # noqa: BLE001 - what Keras cannot build or run is no model
            continue
        inputs += symbols
        arrays += arrays_of(drawn)
        outputs.append(made)
        cases.append(case)
    model = keras.Model(inputs, outputs)
    model.save(path)
    return cases, arrays, model(arrays)


@pytest.mark.parametrize("numbers", groups(SAVED, 50))
def test_operations_in_a_saved_model_load_and_give_the_same(numbers, tmp_path):
    cases, arrays, theirs = saved_model(numbers, tmp_path / "operations.keras")
    loaded, params = load_keras(tmp_path / "operations.keras")
    assert len(cases) >= 5
    for case, y, other in zip(cases, loaded(params, arrays), theirs, strict=True):
        for a, b in zip(tree.leaves(plain(y)), tree.leaves(plain(other)), strict=True):
            assert a.dtype == b.dtype, case.id
            np.testing.assert_allclose(a, b, rtol=2e-3 if a.dtype == "float16" else 2e-5, atol=1e-5, err_msg=case.id)


# --- the table ------------------------------------------------------------------------------------


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
