"""Keras's own tests as files: every call of a layer, model or operation in them, with its outputs.

    PYTHON_WITH_KERAS tests/golden/keras_tests.py OUT TESTS [PART OF A FILE'S PATH ...]    # writes files
    python -m tests.golden.check_sweep OUT                                                  # loads each

TESTS is a folder of `*_test.py`: the wheel of Keras 3.15 holds them in `keras/src`, the sdist of Keras 2.3.1 in
`tests` (those need pytest). Any Keras from 2.12 runs them, newer or older than they are: each statement runs in its own
`try`, so that one that this Keras does not support stops nothing after it. An outermost call on arrays is repeated on
symbolic tensors, and its model saved: with the weights, inputs and output of the call ("drift" says where the model has
another output), and with drawn weights. A model that is built, and an operation that is called on symbolic tensors, are
called on drawn numbers too. Tests of training are left out.
"""

import ast
import importlib
import inspect
import json
import re
import signal
import sys
import types
import unittest
from pathlib import Path

import absl.logging
import numpy as np
from absl.testing import parameterized

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tensorflow as tf
from recording import KERAS_2, called, keras, leaves, numbered, portable, redraw, reset, set_policy

LARGEST = 1 << 20
"""The most entries of an input; larger ones are left out."""
SECONDS = 40
"""The most processor time of a test."""
TRAINING = re.compile("train|fit|tpu|distill|export|saved_model|tf_data|dataset|lora_|distribut|jit_comp")
"""Names of tests that are left out."""
OPERATIONS = ("core", "einops", "image", "linalg", "math", "nn", "numpy")
ROOT = "keras" if KERAS_2 and not hasattr(keras, "src") else f"{keras.__name__}.src"
ENDINGS = (".keras", ".h5", ".weights.h5")
"""The files of a model; a model without weights is only saved as `.keras`."""


class Recorder:
    """Saves every call once."""

    def __init__(self, folder):
        self.folder, self.inside, self.seen, self.count = folder, 0, set(), 0
        self.index = (folder / "index.jsonl").open("w")
        self.test, self.models = "", []

    def around(self, call, of_layer):
        """`call`, recorded. of_layer: its first argument is the layer."""

        def recording(*args, **kwargs):
            self.inside += 1
            try:
                y = call(*args, **kwargs)
            finally:
                self.inside -= 1
            if not self.inside and not kwargs.get("training"):
                kwargs = {} if call.__name__ == "predict" else with_mask(args, kwargs)
                self.apart(self.save, args[0] if of_layer else call, args[of_layer:], kwargs, y)
            return y

        return recording

    def around_init(self, init):
        """The `__init__` of models, which keeps those that are built outside any call to the end of the test."""

        def recording(model, *args, **kwargs):
            init(model, *args, **kwargs)
            if not self.inside:
                self.models.append(model)

        return recording

    def apart(self, do, *args):
        """Call `do` without recording."""
        self.inside += 1
        try:
            do(*args)
        finally:
            self.inside -= 1

    def save_models(self):
        """Save the models of a test, called on drawn numbers."""
        for model in self.models:
            if is_graph(model) and getattr(model, "inputs", None) is not None:
                x = [drawn(tensor) for tensor in model.inputs]
                self.apart(self.save, model, (tf.nest.pack_sequence_as(structure(model), x),), {})
        self.models = []

    def save(self, function, args, kwargs, y=None):
        if not isinstance(function, keras.layers.Layer) and any(map(is_symbolic, tf.nest.flatten((args, kwargs)))):
            args, kwargs = tf.nest.map_structure(lambda a: drawn(a, False) if is_symbolic(a) else a, (args, kwargs))
            y = None
        given = arrays_of((args, kwargs))
        label = getattr(function, "__name__", type(function).__name__)
        ours = keras.__name__ in (type(function).__module__ + getattr(function, "__module__", ""))
        if not given or not ours or label == "Lambda" or any(a.size > LARGEST for a in given):
            return
        policy = getattr(function, "dtype_policy", None) or getattr(function, "_dtype_policy", None)
        line = {"class": label, "error": "", "policy": getattr(policy, "name", "float32"), "lost": [], "drift": ""}
        line["label"] = f"{self.test}: {label}({', '.join(f'{a.dtype}{a.shape}' for a in given)})"
        try:
            model = wrapped(function, args, kwargs, given)
            config = re.sub(r'"(name|layer_name|registered_name)": "[^"]*"|[a-z_0-9]+_\d+', "", model.to_json())
            key = config + repr([(a.shape, a.dtype.name) for a in given])
        except Exception as error:  # a layer without a config, or one that cannot be called on symbolic tensors
            self.note(dict(line, stem="", files=[], error=f"{type(error).__name__}: {str(error)[:200]}"))
            return
        if y is not None:
            self.once(key + "".join(map(repr, given)), model, given, line, y)
        if y is None or model.weights:
            self.once(key, model, given, line, None)

    def once(self, key, model, given, line, own):
        """Write the files and outputs of a model, unless there was one with this key."""
        if key in self.seen:
            return
        self.seen.add(key)
        line = dict(line, files=[], stem=f"{self.count + 1:05d}-{line['class']}")
        try:
            self.write(model, given, line, own)
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {str(error)[:200]}"
        self.note(line)

    def note(self, line):
        self.count += 1
        self.index.write(json.dumps(line) + "\n")
        self.index.flush()

    def write(self, model, given, line, own):
        """Write a model with its own weights and the output of a call, or with drawn weights, and restore its own."""
        before = model.get_weights()
        try:
            if own is None and not is_quantized(model):
                redraw(model)
                settle(model)
            reset(model)
            file = self.folder / f"{line['stem']}.keras"
            y = leaves(called(model, given))
            p = predicted(model, given, line)
            if [a.shape for a in p] != [a.shape for a in y]:
                p = []
            line["drift"] = "" if own is None else drift(y, leaves(own))
            arrays = dict(numbered("x", given), **numbered("y", y), **numbered("p", p))
            if any(array.dtype.kind == "O" for array in arrays.values()):
                raise TypeError("sparse results are not recorded")
            for ending in ENDINGS if before and own is None else ENDINGS[:1]:
                try:
                    (model.save_weights if "weights" in ending else model.save)(str(file.with_suffix(ending)))
                    line["files"].append(file.stem + ending)
                except Exception as error:
                    line["error"] += f"{ending}: {type(error).__name__}: {str(error)[:100]} "
            np.savez(str(file.with_suffix(".npz")), **arrays)
        finally:
            reset(model)
            model.set_weights(before)
            settle(model)


def settle(model):
    """Compute again what Normalization derives from its weights."""
    for layer in model._flatten_layers():
        if hasattr(layer, "adapt_mean"):
            layer.finalize_state()


def drift(y, own):
    """How far a model is from the call that it was made from: a state had moved, or numbers are drawn at random."""
    if [a.shape for a in y] != [a.shape for a in own]:
        return "shapes"
    y, own = ([portable(a) for a in arrays] for arrays in (y, own))
    if any(a.dtype.kind not in "fiub" for a in y):
        return "" if all(map(np.array_equal, y, own)) else "texts"
    apart = max((float(np.max(np.abs(a - 1.0 * b), initial=0)) for a, b in zip(y, own)), default=0)
    return "" if apart < 1e-5 else f"{apart:.2g}"


def is_graph(model):
    return type(model).__name__ in ("Functional", "Sequential", "Model") and getattr(model, "_is_graph_network", True)


def is_quantized(model):
    """Whether some weights are scales and groups of others, which must not be drawn."""
    return any("_from_" in repr(getattr(layer, "dtype_policy", "")) for layer in model._flatten_layers())


def structure(model):
    names = [name for name in ("_nested_inputs", "_inputs_struct") if getattr(model, name, None) is not None]
    return getattr(model, names[0]) if names else model.inputs[0] if len(model.inputs) == 1 else model.inputs


def wrapped(function, args, kwargs, given):
    """The call as a model of the arrays in it; for a call of a model on nothing but these, that model."""
    if is_graph(function) and not kwargs and isinstance(args[0], (list, np.ndarray, tf.Tensor)):
        return function
    try:
        return symbolic(function, args, kwargs, [(None, *a.shape[1:]) for a in given], given)
    except Exception:  # the number of rows must be known
        return symbolic(function, args, kwargs, [a.shape for a in given], given)


def symbolic(function, args, kwargs, shapes, given):
    inputs = [keras.Input(batch_shape=shape, dtype=dtype_of(a)) for shape, a in zip(shapes, given)]
    left = iter(inputs)
    args, kwargs = tf.nest.map_structure(lambda a: next(left) if is_array(a) else a, (args, kwargs))
    return keras.Model(inputs, function(*args, **kwargs))


def predicted(model, given, line):
    """The outputs of `predict` in batches of one or two rows; nothing if the arrays have different numbers of rows."""
    rows = {a.shape[0] for a in given}
    if len(rows) != 1 or not (count := rows.pop()):
        return []
    line["batch_size"] = size = model.inputs[0].shape[0] or (2 if count > 2 else 1)
    try:
        parts = [leaves(run(model, [a[n : n + size] for a in given])) for n in range(0, count, size)]
        y = [np.concatenate(part) for part in zip(*parts)]
    except Exception:  # a model for a fixed number of rows, or one whose outputs have no rows
        y = []
    reset(model)
    return y


def run(model, given):
    x = [tf.constant(a) for a in given]
    return model(x[0] if len(x) == 1 else x, training=False)


def is_array(value):
    return isinstance(value, (np.ndarray, tf.Tensor, tf.Variable)) and len(value.shape) > 0


def arrays_of(value):
    """The arrays in the arguments of a call; none for a call on anything else."""
    flat = tf.nest.flatten(value)
    if any(re.search("KerasTensor|Sparse|Ragged|Symbolic", type(a).__name__) for a in flat):
        return []
    arrays = [a for a in flat if is_array(a)]
    concrete = all(isinstance(a, np.ndarray) or hasattr(a, "numpy") for a in arrays)
    return [leaves(a)[0] for a in arrays] if concrete else []


def with_mask(args, kwargs):
    """The keywords of a call, with the mask of its first argument."""
    mask = getattr(args[1] if len(args) > 1 else None, "_keras_mask", None)
    takes = mask is not None and "mask" in inspect.signature(args[0].call).parameters
    return dict(kwargs, mask=mask) if takes and kwargs.get("mask") is None else kwargs


def dtype_of(array):
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def is_symbolic(value):
    return type(value).__name__ == "KerasTensor"


def drawn(tensor, whole=True):
    shape = [2 + (axis == 0) if size is None else size for axis, size in enumerate(tensor.shape)]
    dtype = tf.as_dtype(tensor.dtype)
    if dtype == tf.string:
        return np.full(shape, "a")
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, shape) if whole or not dtype.is_floating else rng.uniform(0.1, 2, shape)
    return values.astype(dtype.as_numpy_dtype)  # whole numbers may be ids


class TestCase(parameterized.TestCase):
    """The base class of Keras's tests, as far as calls need it; its assertions do nothing."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None

    def run_layer_test(self, layer_cls, init_kwargs, input_shape=None, input_dtype=None, input_data=None, **options):
        layer = layer_cls(**init_kwargs)
        if input_data is None:
            input_data = data(input_shape, input_dtype)
        if isinstance(input_data, dict):
            return layer(**input_data, **(options.get("call_kwargs") or {}))
        return layer(input_data, **(options.get("call_kwargs") or {}))


def data(shape, dtype):
    """Drawn tensors of a shape, or of each in a list or dict of them."""
    if isinstance(shape, dict):
        dtypes = dtype if isinstance(dtype, dict) else dict.fromkeys(shape, dtype)
        return {key.removesuffix("_shape"): data(shape[key], dtypes[key]) for key in shape}
    if shape and not isinstance(shape[0], (int, type(None))):
        dtypes = dtype if isinstance(dtype, (list, tuple)) else [dtype] * len(shape)
        return [data(s, d) for s, d in zip(shape, dtypes)]
    shape = [2 if size is None else size for size in shape]
    return tf.cast(np.random.default_rng(0).uniform(0, 3, shape), dtype or "float32")


def layer_test(layer_cls, kwargs=None, input_shape=None, input_dtype=None, input_data=None, **_):
    """`layer_test` of Keras 2."""
    layer = layer_cls(**(kwargs or {}))
    return layer(data(input_shape, input_dtype) if input_data is None else tf.constant(input_data))


WHOLE = (ast.Return, ast.FunctionDef, ast.ClassDef, ast.Nonlocal, ast.Global, ast.Continue, ast.Break)
"""Statements that are not changed."""


class Apart(ast.NodeTransformer):
    """Puts each statement of a function into its own `try`; drops statements that must raise."""

    def visit_ClassDef(self, node):
        node.body = [self.visit(item) for item in node.body]
        return node

    def generic_visit(self, node):
        for field in ("body", "orelse"):
            if isinstance(getattr(node, field, None), list) and not isinstance(node, ast.Try):
                setattr(node, field, [self.apart(item) for item in getattr(node, field)])
        return node

    def apart(self, statement):
        statement = self.visit(statement)
        if isinstance(statement, WHOLE) or getattr(statement, "module", "") == "__future__":
            return statement
        if isinstance(statement, ast.With) and re.search("aises|arns", ast.unparse(statement.items[0])):
            return ast.Pass()
        handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
        return ast.Try([statement], [handler], [], [])


def load(path, name):
    """The module of a test file."""
    tree = ast.fix_missing_locations(Apart().visit(ast.parse(path.read_text())))
    module = types.ModuleType(name)
    sys.modules[name] = module
    module.__file__ = str(path)
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module


def tests_of(module):
    """(name, function) of each test in a module."""
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == module.__name__:
            for test in unittest.defaultTestLoader.loadTestsFromTestCase(value):
                yield test.id().partition("_test.")[2], lambda test=test: test.run(unittest.TestResult())
        elif name.startswith("test_") and callable(value):
            yield name, lambda value=value: each_parametrized(value)


def each_parametrized(function):
    """A test function of pytest with each set of its parameters."""
    calls = [{}]
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names = [n.strip() for n in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
            calls = [
                dict(call, **dict(zip(names, v if len(names) > 1 else [v]))) for call in calls for v in mark.args[1]
            ]
    for call in calls:
        function(**call)


def too_long(*_):
    raise KeyboardInterrupt("a test took too long")


def hook(recorder):
    """Record the calls of `__call__`, `predict` and the functions of `keras.ops`, and models; disable training."""
    layers = [value for value in vars(keras.layers).values() if isinstance(value, type)]
    for cls in {base for layer in [*layers, keras.Model] for base in layer.__mro__}:
        if issubclass(cls, keras.layers.Layer) and "__call__" in vars(cls):
            cls.__call__ = recorder.around(cls.__call__, True)
    keras.Model.predict = recorder.around(keras.Model.predict, True)
    for name in ("fit", "train_on_batch", "evaluate"):
        setattr(keras.Model, name, lambda *_, **__: None)
    for cls in (keras.Model, keras.Sequential, type(keras.Model(i := keras.Input((1,)), keras.layers.Flatten()(i)))):
        if "__init__" in vars(cls):
            cls.__init__ = recorder.around_init(cls.__init__)
    if KERAS_2:
        return
    operation = importlib.import_module("keras.src.ops.operation").Operation
    operation.__call__ = recorder.around(operation.__call__, True)
    for name in OPERATIONS:
        try:
            module = importlib.import_module(f"keras.src.ops.{name}")
        except ImportError:
            continue
        for key, value in list(vars(module).items()):
            if inspect.isfunction(value) and value.__module__ == module.__name__ and key[0] != "_":
                setattr(module, key, recorder.around(value, False))


def stand_ins():
    """Replacements for modules that this Keras does not have, as far as the tests need them."""
    try:
        testing = importlib.import_module(f"{ROOT}.testing")
    except ImportError:
        testing = types.ModuleType("keras.src.testing")
        testing.test_utils = testing.test_case = testing
    testing.TestCase = TestCase
    utils = types.ModuleType("test_utils")
    utils.layer_test = layer_test
    sys.modules.setdefault("keras.src", sys.modules.get(ROOT))
    sys.modules.setdefault("keras.src.testing", testing)
    if KERAS_2:
        sys.modules["keras.src"].testing = testing
        for name in ("keras.utils.test_utils", "keras.src.testing_infra.test_utils"):
            sys.modules[name] = utils


def main(folder, tests, parts):
    folder.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(folder)
    stand_ins()
    hook(recorder)
    signal.signal(signal.SIGPROF, too_long)
    absl.logging.set_verbosity("error")
    for path in sorted(tests.rglob("*test*.py")):
        place = path.relative_to(tests).as_posix()
        if parts and not any(part in place for part in parts):
            continue
        try:
            module = load(path, place[:-3].replace("/", "."))
        except Exception as error:
            print(place, type(error).__name__, error)
            continue
        for name, test in tests_of(module):
            if TRAINING.search(name.rpartition(".")[2]):
                continue
            recorder.test = name
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                test()
                recorder.save_models()
            except (Exception, KeyboardInterrupt) as error:
                print(f"  {name}: {type(error).__name__} {str(error)[:100]}")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                recorder.inside, recorder.models = 0, []
            set_policy("float32")
        print(place, recorder.count, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
