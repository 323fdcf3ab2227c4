"""Keras's own tests of its layers as files: every call of a layer that they make, with what it gave.

    PYTHON_WITH_KERAS_3 tests/golden/keras_tests.py FOLDER [PART OF A MODULE'S NAME ...]    # writes files
    python -m tests.golden.check_sweep FOLDER                                               # loads each

The tests are those that the wheel of Keras holds, run as they are; a call of a layer or a model on arrays, from outside
any other, is made once more on symbolic tensors, and the model of it saved. Checks of training are left out.
"""

import importlib
import json
import pkgutil
import signal
import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from keras.src import backend, testing, tree
from recording import called, keras, leaves, numbered, reset

LARGEST = 1 << 20
"""Entries of an input: larger ones are left out."""
SECONDS = 20
"""What a test may take."""
TRAINING = ("train", "fit", "jit", "tpu", "distill", "export", "saved_model", "symbolic", "tf_data", "dataset", "lora_")


class Recorder:
    """Saves every call once."""

    def __init__(self, folder):
        self.folder, self.inside, self.seen, self.count = folder, 0, set(), 0
        self.index = (folder / "index.jsonl").open("w")
        self.test = ""

    def around(self, call):
        def recording(layer, *args, **kwargs):
            self.inside += 1
            try:
                y = call(layer, *args, **kwargs)
            finally:
                self.inside -= 1
            if not self.inside and arrays_of((args, kwargs)) and not kwargs.get("training"):
                self.inside += 1
                try:
                    self.save(layer, args, kwargs)
                finally:
                    self.inside -= 1
            return y

        return recording

    def save(self, layer, args, kwargs):
        given = arrays_of((args, kwargs))
        line = {"class": type(layer).__name__, "files": [], "error": "", "policy": layer.dtype_policy.name, "lost": []}
        try:
            key = json.dumps(
                [keras.saving.serialize_keras_object(layer), [a.shape for a in given], repr(other(kwargs))]
            )
            if key in self.seen or any(a.size > LARGEST for a in given):
                return
            self.seen.add(key)
            self.count += 1
            line["stem"] = f"{self.count:04d}-{type(layer).__name__}"
            line["label"] = f"{self.test}: {type(layer).__name__}({', '.join(str(a.shape) for a in given)})"
            self.write(layer, args, kwargs, given, line)
        except Exception as error:  # a layer that has no config, or cannot be called on symbolic tensors
            line["error"] = f"{type(error).__name__}: {str(error)[:200]}"
        if "stem" in line:
            self.index.write(json.dumps(line) + "\n")
            self.index.flush()

    def write(self, layer, args, kwargs, given, line):
        inputs = [keras.Input(batch_shape=(None, *a.shape[1:]), dtype=dtype_of(a)) for a in given]
        left = iter(inputs)
        args, kwargs = tree.map_structure(lambda a: next(left) if is_array(a) else a, (args, kwargs))
        model = keras.Model(inputs, layer(*args, **kwargs))
        file = self.folder / f"{line['stem']}.keras"
        model.save(str(file))
        reset(model)
        arrays = dict(numbered("x", given), **numbered("y", called(model, given)))
        if any(array.dtype.kind == "O" for array in arrays.values()):
            raise TypeError("sparse results are not recorded")
        np.savez(str(file.with_suffix(".npz")), **arrays)
        line["files"] = [file.name]


def is_array(value):
    return (isinstance(value, np.ndarray) or backend.is_tensor(value)) and len(value.shape) > 0


def arrays_of(value):
    """The arrays in the arguments of a call; none of a call that is made on other things."""
    flat = tree.flatten(value)
    if any(isinstance(a, keras.KerasTensor) or getattr(a, "_keras_mask", None) is not None for a in flat):
        return []
    return [leaves(a)[0] for a in flat if is_array(a)]


def dtype_of(array):
    return "string" if array.dtype.kind in "OSU" else array.dtype.name


def other(kwargs):
    return {key: value for key, value in kwargs.items() if not is_array(value)}


def run_layer_test(case, layer_cls, init_kwargs, input_shape=None, input_dtype=None, input_data=None, **options):
    """The call of Keras's `run_layer_test` on numbers, without the rest of it."""
    layer = layer_cls(**init_kwargs)
    if input_data is None:
        dtype = input_dtype or tree.map_shape_structure(lambda _: "float32", input_shape)
        input_data = testing.test_case.create_eager_tensors(input_shape, dtype, False, False)
    if isinstance(input_data, dict):
        return layer(**input_data, **(options.get("call_kwargs") or {}))
    return layer(input_data, **(options.get("call_kwargs") or {}))


def modules(parts):
    """The test modules of layers and models."""
    for package in ("layers", "models"):
        place = importlib.import_module(f"keras.src.{package}")
        for found in pkgutil.walk_packages(place.__path__, f"keras.src.{package}."):
            if found.name.endswith("_test") and (not parts or any(part in found.name for part in parts)):
                yield found.name


def tests_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


def too_long(*_):
    raise TimeoutError("a test took too long")


def main(folder, parts):
    folder.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(folder)
    testing.TestCase.run_layer_test = run_layer_test
    keras.Layer.__call__ = recorder.around(keras.Layer.__call__)
    signal.signal(signal.SIGALRM, too_long)
    for name in modules(parts):
        for test in tests_of(unittest.defaultTestLoader.loadTestsFromName(name)):
            if any(word in test.id().rpartition(".")[2] for word in TRAINING):
                continue
            recorder.test = test.id().partition("_test.")[2]
            signal.alarm(SECONDS)
            try:
                test.run(unittest.TestResult())
            except TimeoutError:
                pass
            finally:
                signal.alarm(0)
            keras.config.set_dtype_policy("float32")
        print(name, recorder.count, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
