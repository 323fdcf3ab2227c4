"""A case of the table next to its Keras twin: weights, calls and the assertion by the yardstick."""

from __future__ import annotations

import contextlib
import functools
import pickle
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import fnet
from compare import yardstick
from fnet import backend, tree
from fnet.core import layer as core
from fnet.core import model as models
from fnet.inference.string_split import has_host
from fnet.masks import Masked, mask_of, strip
from tests.cases import Case

MODES = ("numpy", "numpy-readonly", "jax", "jax-jit")
FAST_MODES = ("numpy", "numpy-readonly", "jax-jit")
"""Without "jax": compiling a whole case is faster than compiling each of its operations."""


def random_weights(layer: Any, seed: int = 1) -> list[np.ndarray]:
    """Random weights for a built Keras layer, in its order; variances are positive."""
    rng = np.random.default_rng(seed)
    made = []
    for variable in layer.weights:
        if "seed" in variable.path or not np.issubdtype(variable.numpy().dtype, np.floating):
            made.append(variable.numpy())
            continue
        value = rng.standard_normal(variable.shape) * 0.5
        made.append(np.abs(value) + 0.5 if "variance" in variable.path else value)
    return [np.asarray(value, np.float32) if value.dtype.kind == "f" else value for value in made]


def fill(model: Any, seed: int = 5) -> None:
    """Give a Keras model random weights, so that layers and units differ."""
    model.set_weights(random_weights(model, seed))


def saved(model: Any, ending: str = "keras") -> bytes:
    """The file that Keras writes for a model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"m.{ending}"
        model.save(path)
        return path.read_bytes()


def keras_call(case: Case, x: Any, dtype: str, weights: list[np.ndarray] | None) -> tuple[Any, Any, Any]:
    """(layer, output, output mask) of the Keras twin under a dtype policy."""
    import keras
    import tensorflow as tf

    layer = case.keras_layer(keras, dtype)
    wide = tree.map(lambda a: tf.convert_to_tensor(a.astype(dtype) if a.dtype.kind == "f" else a), x)
    feed = list(wide) if isinstance(wide, tuple) else wide
    args, kwargs = ((), feed) if isinstance(feed, dict) else ((feed,), {})

    def call() -> Any:
        for at, mask in case.masks().items():
            masked = wide if at is None else wide[at]
            keras.src.backend.set_keras_mask(masked, tf.convert_to_tensor(mask))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Layer .* was passed an input with a mask attached")
            return layer(*args, **kwargs, **case.call)

    if isinstance(x, np.ndarray) and case.layer is not fnet.pipeline:  # which does not build what is in it
        layer.build(x.shape)
    else:
        call()
    layer.set_weights(weights if weights is not None else random_weights(layer))
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()  # Normalization copies its weights when it is adapted
    if getattr(layer, "stateful", False):
        layer.reset_state()
    y = call()
    masks = [getattr(leaf, "_keras_mask", None) for leaf in tree.leaves(y)]
    return layer, tree.map(np.asarray, y), [None if m is None else np.asarray(m) for m in masks]


def fnet_params(case: Case, x: Any, variables: list[Any]) -> dict[str, Any]:
    """The Keras weights as the params tree of the layer's shape rule; trainable ones must be trainable in Keras."""
    if case.params is not None:
        fnet.check(case.step, case.params, fnet.core.infer.spec(x))
        return case.params
    step = case.step if case.plain is None else case.plain
    _, wanted = fnet.infer(step, fnet.core.infer.spec(x))
    described = dict(tree.items(wanted))
    variables = variables if case.order is None else [variables[i] for i in case.order]
    assert len(described) == len(variables), f"{len(variables)} Keras weights, but the shape rule names {described}"
    assert [param.trainable for param in described.values()] == [variable.trainable for variable in variables]
    params = tree.nest({path: np.asarray(variable) for path, variable in zip(described, variables, strict=True)})
    if case.plain is not None:
        model, optimized = fnet.optimize(case.plain, params)
        ((name, step),) = model.steps
        assert step == case.step, f"optimize makes {step} of {case.plain}"
        params = optimized[name]
    fnet.check(case.step, params, fnet.core.infer.spec(x))
    return params


@contextlib.contextmanager
def mode(name: str) -> Iterator[Any]:
    """The backend of a mode, and a function that runs a step in that mode."""
    run = {
        "numpy": _plain, "numpy-readonly": _readonly, "numpy-optimized": functools.partial(_optimized, _plain),
        "jax": _plain, "jax-jit": _jitted, "jax-optimized": functools.partial(_optimized, _jitted),
    }[name]  # fmt: skip
    with backend.using(name.split("-")[0]):
        yield run


def _plain(step: Any, params: Any, x: Any) -> Any:
    return step(params, x)


def _jitted(step: Any, params: Any, x: Any) -> Any:
    import jax

    return (fnet.jit if has_host(step) else jax.jit)(step)(params, x)


def _optimized(run: Any, step: Any, params: Any, x: Any) -> Any:
    return run(*fnet.optimize(step, params), x)


def _readonly(step: Any, params: Any, x: Any) -> Any:
    """Run with read-only params, inputs and outputs of every layer, also inside wrappers: a layer owns none of them."""
    undecorated = core.undecorated

    def frozen_outputs(function: Any) -> Any:
        own = undecorated(function)

        @functools.wraps(own or function)
        def run(*args: Any, **options: Any) -> Any:
            y = own(*args, **options)
            for leaf in tree.leaves(y):
                _freeze(strip(leaf))
                _freeze(mask_of(leaf))
            return y

        return own and run

    with mock.patch.object(core, "undecorated", frozen_outputs), _nothing_remembered():
        return pickle.loads(pickle.dumps(step))(tree.map(_frozen, params), _map_masked(_frozen, x))


@contextlib.contextmanager
def _nothing_remembered() -> Iterator[None]:
    """With an empty cache of bound layers, during the block and after it."""
    models._bound.cache_clear()
    yield
    models._bound.cache_clear()


def _freeze(values: Any) -> None:
    for leaf in tree.leaves(values):
        if isinstance(leaf, np.ndarray):
            leaf.flags.writeable = False


def _frozen(a: np.ndarray) -> np.ndarray:
    a = a.view()
    a.flags.writeable = False
    return a


def _map_masked(f: Any, x: Any) -> Any:
    return tree.map(lambda a: Masked(f(a.values), f(a.mask)) if isinstance(a, Masked) else f(a), x)


def with_mask(case: Case, x: Any) -> Any:
    """The inputs, with the masks of the case."""
    for at, mask in case.masks().items():
        if at is None:
            x = Masked(x, mask)
        elif isinstance(x, dict):
            x = {**x, at: Masked(x[at], mask)}
        else:
            x = (*x[:at], Masked(x[at], mask), *x[at + 1 :])
    return x


def assert_parity(y: Any, keras32: Any, reference: Any, policy: str = "float32") -> None:
    """Every leaf of `y` meets the yardstick, with Keras's shape and dtype.

    reference: the exact values, or a function that gives them: it runs only where a leaf is farther from Keras's
    float32 than the floor. What is that near is held whatever the reference is, see `assert_close`.
    """
    ours, theirs = (tree.leaves(strip(t)) for t in (y, keras32))
    assert len(ours) == len(theirs), f"{len(ours)} outputs, Keras gives {len(theirs)}"
    far = {}
    for at, (a, b) in enumerate(zip(map(np.asarray, ours), theirs, strict=True)):
        assert a.shape == b.shape, f"shape {a.shape}, Keras gives {b.shape}"
        assert a.dtype == b.dtype or a.dtype == object, f"dtype {a.dtype}, Keras gives {b.dtype}"
        if yardstick.error(a, b) > yardstick.allowed(0, policy):
            far[at] = a, b
    exact = tree.leaves(strip(reference() if callable(reference) else reference)) if far else []
    for at, (a, b) in far.items():
        ref = exact[at]
        found = yardstick.judge(a, b, ref, policy)
        if policy == "float32" and found.keras > yardstick.LOUD:
            # Keras's error says nothing there: `y` must be exact or, where float64 is another function, equal float32.
            found = min(yardstick.judge(a, ref, ref, policy), yardstick.judge(a, b, b, policy), key=lambda j: j.error)
        assert found.held, f"{found}\nfnet  {a.ravel()[:8]}\nKeras {b.ravel()[:8]}\nexact {ref.ravel()[:8]}"


def assert_close(y: Any, expected: Any, policy: str = "float32") -> None:
    """Every leaf of `y` differs from `expected` by no more than the floor of the yardstick.

    expected: exact values; or the float32 values of Keras or of another form of the same model. Values so near to
    Keras's float32 meet the yardstick without a float64 reference: err(fnet) <= err(Keras) + floor.
    """
    ours, wanted = (dict(tree.items(strip(t))) for t in (y, expected))
    assert ours.keys() == wanted.keys()
    for path in wanted:
        a, b = np.asarray(ours[path]), np.asarray(wanted[path])
        err, floor = yardstick.error(a, b), yardstick.allowed(0, policy)
        shown = f"fnet     {a.ravel()[:8]}\nexpected {b.ravel()[:8]}"
        assert err <= floor, f"{path}: error {err:.3g} > {floor:.3g}\n{shown}"


def assert_masks(y: Any, masks: list[Any]) -> None:
    """The masks on the leaves of `y` are those that Keras puts on its outputs."""
    ours = [mask_of(leaf) for leaf in tree.leaves(y)]
    for mine, theirs in zip(ours, masks, strict=True):
        assert (mine is None) == (theirs is None), f"mask {mine}, Keras gives {theirs}"
        if theirs is not None:
            np.testing.assert_array_equal(np.asarray(mine), theirs)


def assert_case(case: Case, seed: int = 0, modes: tuple[str, ...] = FAST_MODES) -> None:
    """A case equals its Keras twin in these modes, on inputs drawn from `seed`."""
    x = case.inputs(seed)
    layer, keras32, masks = keras_call(case, x, "float32", None)
    weights = [np.asarray(w) for w in layer.get_weights()]
    exact = functools.cache(lambda: keras_call(case, x, "float64", weights)[1])
    params = fnet_params(case, x, layer.weights)
    for name in modes:
        with mode(name) as run:
            y = run(case.step, params, with_mask(case, x))
            assert_parity(y, keras32, exact)
            assert_masks(y, masks)
