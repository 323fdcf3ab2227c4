"""Hostile and broken files: typed errors only, in little time, with nothing executed and little allocated."""

import ast
import contextlib
import json
import re
import signal
import tracemalloc
import zlib
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

import fnet
from fnet import cli
from fnet.core.sources import describe
from params import CorruptFile, Limits, ModelFileError, load_keras
from params.errors import LimitExceeded
from params.file.reading import read
from params.file.strict_json import parse
from tests import hostile
from tests.hostile_sizes import SIZES, chain

ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def within(seconds):
    """Fail when the block takes longer: nothing may hang."""

    def late(*_):
        raise AssertionError(f"still reading after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def load_all(data):
    """Load a file of any kind to the last number."""
    for array in read(data).arrays.every:
        array.load()
    return load_keras(data)


def test_the_honest_files_load():
    x = np.ones((1, 3), "float32")
    for data in (hostile.keras_zip(), hostile.keras_zip(method=8), hostile.legacy(),
                 hostile.zip_by_hand(hostile.honest_members()), hostile.wide_zip()):  # fmt: skip
        model, params = load_keras(data)
        np.testing.assert_array_equal(model(params, x), x @ hostile.KERNEL + hostile.BIAS)


@pytest.mark.parametrize("name", hostile.ATTACKS)
def test_attack_is_refused(name):
    attack = hostile.ATTACKS[name]
    data = attack.build()
    hostile.MARKER.unlink(missing_ok=True)
    tracemalloc.start()
    with within(20), pytest.raises(attack.errors) as caught:
        load_keras(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not hostile.MARKER.exists()
    assert len(str(caught.value)) <= 450
    assert str(caught.value).startswith("the model file")
    assert peak < 4 * len(data) + (150 << 20)
    with within(20), pytest.raises(attack.errors) as again:
        load_all(data)
    assert not hostile.mistake(caught.value)
    assert not hostile.mistake(again.value)


def wrapping(class_name, option, inside):
    config = hostile.sequential_config(hostile.input_entry(5, 4), hostile.entry(class_name, "w", **{option: inside}))
    return hostile.keras_zip(config)


def damaged_member():
    zlib_header = hostile.member("config.json", zlib.compress(b"{}"), method=8, size=2, crc=zlib.crc32(b"{}"))
    return hostile.zip_by_hand([zlib_header, *hostile.honest_members()[2:]])


def of_an_odd_float(file):
    """A float of 32 bits with another exponent size."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(126)
    hostile.dense_vars(file, kernel=None)
    space = h5py.h5s.create_simple((3, 2))
    h5py.h5d.create(file["layers/dense/vars"].id, b"0", kind, space).write(h5py.h5s.ALL, h5py.h5s.ALL, hostile.KERNEL)


def without_texts():
    """Weights whose attributes refer to texts that are not there."""
    data = hostile.dense_weights()
    at = data.index(b"GCOL") + 16
    return data[:at] + bytes(8) + data[at + 8 :]


def tensor_without_config():
    config = chain(2)
    config["config"]["layers"][2]["inbound_nodes"][0]["args"] = [{"class_name": "__keras_tensor__"}]
    return hostile.keras_zip(config)


TOLD = {
    "a lambda": (lambda: hostile.legacy(hostile.legacy_config(activation=[hostile.code(), None, None])),
                 r"activation of layer 'dense' holds code .*custom={'dense': my_layer}"),
    "cut weights": (lambda: hostile.keras_zip(weights=hostile.dense_weights()[:-500]), r"model\.weights\.h5: "),
    "texts": (lambda: hostile.keras_zip(weights=without_texts()), r"model\.weights\.h5: .* heap .* has no object"),
    "a member": (damaged_member, "'config.json' is damaged: Error -3"),
    "a name": (lambda: hostile.keras_zip(weights=hostile.dense_weights().replace(b"dense\0", b"d\xff\xffse\0")),
               r"heap is not UTF-8 text: b'd\\xff"),
    "a float": (lambda: hostile.keras_zip(weights=hostile.h5(of_an_odd_float)), "vars/0' holds unusual float values"),
    "a tensor": (tensor_without_config, "__keras_tensor__ has the config None"),
    "a layer": (lambda: wrapping("TimeDistributed", "layer", "Dense"), "'layer' = 'Dense', of the wrong type"),
    "layers": (lambda: wrapping("TimeDistributed", "layer", [hostile.dense_entry()]), "'layer' = .*, of the wrong"),
    "a half": (lambda: wrapping("Bidirectional", "layer", "LSTM"), "LSTM"),
    "a cell": (lambda: wrapping("RNN", "cell", "LSTMCell"), "'cell' = 'LSTMCell', of the wrong type"),
    "no cell": (lambda: wrapping("RNN", "cell", hostile.dense_entry()), r"a cell gives \(output, states\)"),
}  # fmt: skip


@pytest.mark.parametrize("what", TOLD)
def test_messages_name_what_is_wrong(what):
    """They were messages of Python: an unhashable type, an invalid start byte, a missing key."""
    build, message = TOLD[what]
    with pytest.raises(ModelFileError, match=message):
        load_keras(build())


def test_bytes_are_unshuffled_that_are_no_whole_number_of_values():
    """A filter before may have left any number of them."""

    def write(file):
        chunks = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        chunks.set_chunk((3, 2))
        chunks.set_deflate(4)
        chunks.set_shuffle()
        hostile.dense_vars(file, kernel=None)
        group, space = file["layers/dense/vars"].id, h5py.h5s.create_simple((3, 2))
        made = h5py.h5d.create(group, b"0", h5py.h5t.IEEE_F32LE, space, chunks)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, hostile.KERNEL)

    _, params = load_keras(hostile.keras_zip(weights=hostile.h5(write)))
    np.testing.assert_array_equal(params["dense"]["kernel"], hostile.KERNEL)


# --- mutants --------------------------------------------------------------------------------------------------


def seeds():
    """Small valid files of every container and HDF5 format."""
    new = hostile.h5(hostile.dense_vars, libver="latest")
    many = hostile.h5(many_groups, libver=("v108", "v108"))
    chunked = hostile.h5(lambda f: hostile.dense_vars_with(
        f, chunks=(2, 1), compression="gzip", shuffle=True, fletcher32=True))  # fmt: skip
    return {
        "weights": hostile.dense_weights(),
        "new_format": new,
        "dense_groups": many,
        "chunked": chunked,
        "keras": hostile.keras_zip(),
        "deflated": hostile.keras_zip(method=8),
        "legacy": hostile.legacy(),
    }


def many_groups(file):
    """Enough members and attributes for a fractal heap and its B-trees."""
    for number in range(60):
        hostile.dense_vars(file, path=f"layers/dense_{number}")
    for number in range(20):
        file.attrs[f"attribute_{number}"] = "text" * number


def mutant(data, random):
    """A copy of `data` with some bytes changed, as bits, extremes or small numbers, or a piece cut or moved."""
    found = bytearray(data)
    for _ in range(random.integers(1, 5)):
        at = int(random.integers(0, len(found)))
        kind = random.integers(0, 8)
        if kind < 3:
            found[at] ^= 1 << int(random.integers(0, 8))
        elif kind < 5:
            found[at] = int(random.choice([0, 1, 2, 4, 8, 127, 128, 254, 255]))
        elif kind == 5:
            width = int(random.choice([2, 4, 8]))
            found[at : at + width] = int(random.integers(0, len(data))).to_bytes(8, "little")[:width]
        elif kind == 6:
            found[at : at + 8] = b"\xff" * 8
        else:
            source = int(random.integers(0, len(found)))
            found[at : at + 32] = found[source : source + 32]
    return bytes(found)


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", seeds())
def test_mutants_load_or_are_typed_errors(name, count):
    data = seeds()[name]
    random = np.random.default_rng([count, sum(name.encode())])
    for number in range(count):
        changed = mutant(data, random)
        with within(20):
            try:
                load_all(changed)
            except ModelFileError as error:
                message, mistake = str(error), hostile.mistake(error)
            else:
                message, mistake = "", ""
        assert not mistake, (number, mistake)
        assert len(message) <= 450, (number, message)


@pytest.mark.parametrize("name", seeds())
def test_every_truncation_is_refused(name):
    data = seeds()[name]
    step = max(1, len(data) // 150)
    for size in range(0, len(data) - 1, step):
        with within(20), pytest.raises(ModelFileError):
            load_all(data[:size])


@pytest.mark.slow
def test_every_single_bit_of_a_weights_file_may_flip():
    data = seeds()["weights"]
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        with within(20), contextlib.suppress(ModelFileError):
            load_all(bytes(changed))


def test_work_is_bounded():
    with pytest.raises(LimitExceeded, match=r"Limits\.steps"):
        read(hostile.dense_weights(), Limits(steps=5))
    with pytest.raises(LimitExceeded, match=r"Limits\.total"):
        read(hostile.dense_weights(), Limits(total=100))
    with pytest.raises(TypeError, match=r"limits are numbers of at least 0, such as total=8 << 30; got Limits\(tot"):
        Limits(total="4 GB")
    for number in (float("nan"), -1):
        with pytest.raises(TypeError, match="of at least 0"):
            Limits(steps=number)
    for function in (fnet.load, fnet.load_info, fnet.load_keras, fnet.explain, fnet.verify):
        with pytest.raises(TypeError, match=r"limits is a fnet\.Limits, such as fnet\.Limits\(total=8 << 30\); got 3"):
            function(Path("examples/models/nusax-lstm.safetensors"), limits=3)
    zeros = np.zeros((1000, 1000), "f4")
    packed = hostile.h5(lambda f: hostile.dense_vars_with(f, zeros.shape, zeros, compression="gzip"))
    assert len(packed) < 1 << 16
    with pytest.raises(LimitExceeded, match=r"its arrays take 4000008 bytes"):
        read(hostile.keras_zip(weights=packed), Limits(total=1 << 20))


def calling_twice(levels):
    """A model that calls the model in it twice, and so on for `levels` levels."""
    inside = calling_twice(levels - 1) if levels > 1 else {}
    return {"config": {"layers": [inside]}, "inbound_nodes": [[], []]}


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        ([[1]], Limits(depth=1), r"deeper than the 1 levels of `Limits\.depth`"),
        ({"layers": [1, 2, 3]}, Limits(layers=2), r"more than the 2 layers and calls that `Limits\.layers`"),
        ({"a": {"inbound_nodes": [1, 2]}, "layers": [1]}, Limits(layers=2), r"`Limits\.layers`"),
        (calling_twice(6), Limits(layers=63), r"layers run 64 times, .* 63 of `Limits\.layers`"),
        ([1] * 9, Limits(steps=17), r"has 9 values, each two steps"),
    ],
)
def test_a_config_is_bounded_before_it_is_converted(value, limits, message):
    text = json.dumps(value)
    assert parse(text, "config", Limits()) == value
    with pytest.raises(LimitExceeded, match=message):
        parse(text, "config", limits)


def test_a_key_that_is_there_twice_is_refused():
    with pytest.raises(CorruptFile, match="key 'a' appears twice"):
        parse('{"b": {"a": 1, "a": 1}}', "config", Limits())


# --- the sources ----------------------------------------------------------------------------------------------

FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__", "globals", "locals", "setattr", "delattr", "breakpoint"}
FORBIDDEN_MODULES = {
    "marshal", "pickle", "cPickle", "dill", "cloudpickle", "shelve", "yaml", "runpy", "imp", "code", "codeop",
    "ctypes", "socket", "urllib", "http", "requests", "h5py", "joblib", "importlib", "pkgutil",
}  # fmt: skip
ALLOWED = {
    ("fnet/__init__.py", "importlib"),  # our own `params`, when a name of it is first used
    ("fnet/__init__.py", "getattr"),  # of the names listed in the same file
    ("fnet/__init__.py", "globals"),
    ("fnet/layers/__init__.py", "getattr"),  # of names in the table of the same file
    ("params/convert/models.py", "marshal"),  # `dumps` alone, for equal bytes of equal values
    ("params/store/records.py", "getattr"),  # of names that fnet exports, listed there
    ("fnet/core/compose.py", "importlib"),  # our own `cutting`, when a model is cut
    ("fnet/backend/__init__.py", "importlib"),  # one of two fixed names
    ("fnet/backend/__init__.py", "getattr"),  # the names that a backend exports
    ("fnet/backend/jax_backend.py", "getattr"),  # of names in the same file
    ("fnet/backend/jax_index.py", "getattr"),  # how to combine, named by the caller in fnet.operations
    ("fnet/tf_functions/reductions.py", "getattr"),  # names of the table in the same file
    ("fnet/tf_functions/shaping.py", "getattr"),  # zeros and ones, named in the same file
    ("fnet/cli/__init__.py", "importlib"),  # our own packages, each in the command that needs it
    ("fnet/cli/__init__.py", "importlib.metadata"),
    ("fnet/cli/export.py", "importlib.util"),  # whether the one package that ONNX needs is there
    ("fnet/operations/convolutions.py", "getattr"),  # the layers of a family, by a pattern in the same file
    ("fnet/operations/creation.py", "getattr"),  # zeros_like and its like, named in the same file
    ("fnet/operations/elementwise.py", "getattr"),  # names of the table in the same file
    ("fnet/operations/reductions.py", "getattr"),
    ("fnet/cli/completion.py", "importlib"),  # our own packages, each in the command that needs it
    ("fnet/cli/doctor.py", "importlib"),  # packages of a fixed list, to say whether they are there
    ("fnet/cli/doctor.py", "importlib.util"),
    ("params/store/keras_config.py", "getattr"),  # start, stop and step of a slice
    ("fnet/core/display.py", "importlib"),  # treescope, where it is installed
    ("fnet/lazy.py", "importlib"),  # the families of fnet.layers and fnet.operations, by the names listed there
    ("fnet/lazy.py", "getattr"),
    ("fnet/lazy.py", "setattr"),
    ("fnet/importing.py", "importlib"),  # what the user names on a command line
    ("fnet/importing.py", "importlib.util"),
    ("fnet/importing.py", "getattr"),
    ("fnet/records.py", "exec"),  # the names of the fields of our own classes, as the standard library does
    ("fnet/records.py", "getattr"),
    ("fnet/records.py", "setattr"),
    ("fnet/operations/rules.py", "getattr"),  # what functools.wraps copies
    ("fnet/operations/rules.py", "setattr"),
    ("fnet/inference/processors.py", "ctypes"),  # the number of threads of the BLAS that NumPy has loaded
    ("fnet/inference/processors.py", "getattr"),
    ("fnet/tf_functions/__init__.py", "globals"),  # the functions of the folder by their own names
    ("params/table/layers.py", "getattr"),  # names of the table in the same file
    ("params/table/operations.py", "getattr"),
}
"""(file, what) that is allowed, because no text from a model file gets there."""


def sources():
    for package in ("fnet", "params"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix()


def findings(tree):
    """(line, what) of everything in a source that could turn text into code."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found = [name for name in names if name.partition(".")[0] in FORBIDDEN_MODULES]
        else:
            found = [what for what in used(node) if what not in own]
        yield from ((node.lineno, what) for what in found)


def used(node):
    """The forbidden names that one expression uses."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in FORBIDDEN_NAMES:
            yield node.func.id
        if node.func.id == "getattr" and not isinstance(node.args[1], ast.Constant):
            yield "getattr"
    elif isinstance(node, ast.Call):
        values = [k.value for k in node.keywords if k.arg == "allow_pickle"]
        if not all(isinstance(value, ast.Constant) and value.value is False for value in values):
            yield "allow_pickle"
    elif isinstance(node, ast.Attribute):
        if node.attr in ("__globals__", "__code__", "__subclasses__"):
            yield node.attr
        if getattr(node.value, "id", "") == "builtins" and node.attr in FORBIDDEN_NAMES:
            yield node.attr


@pytest.mark.parametrize("name", list(sources()))
def test_no_source_can_turn_a_file_into_code(name):
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    found = [(line, what) for line, what in findings(tree) if (name, what) not in ALLOWED]
    assert not found


def test_the_guard_finds_what_it_forbids():
    lines = [
        "import pickle", "from yaml import x", "eval('1')", "getattr(a, b)", "getattr(a, 'b')", "builtins.exec",
        "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=False)",
    ]  # fmt: skip
    found = {what for _, what in findings(ast.parse("\n".join(lines)))}
    assert found == {"pickle", "yaml", "eval", "getattr", "exec", "allow_pickle"}


OBEYED = "\x1b]0;t\x07\x1b[31m\r\n\x7f\x9b1m\u2028\u202e"


def test_what_a_terminal_would_obey_is_shown_as_escapes(tmp_path, capsys):
    """Names, labels and versions of a file were printed as they are."""
    layers = (hostile.dense_entry(), hostile.entry("ReLU", OBEYED))
    config, metadata = hostile.sequential_config(hostile.input_entry(3), *layers), json.dumps({"keras_version": OBEYED})
    path, stored, rows, picture = (str(tmp_path / name) for name in ("m.keras", "m.safetensors", "x.jsonl", "m.svg"))
    Path(path).write_bytes(hostile.keras_zip(config, metadata=metadata))
    Path(rows).write_text("[1, 2, 3]")
    model, params = load_keras(path)
    fnet.save(stored, model, params, labels=["a", OBEYED])
    odd = {**params, OBEYED: {OBEYED: np.ones(2)}}
    with pytest.raises(fnet.InvalidParams) as wrong:
        fnet.check(model, odd)
    said = [str(wrong.value), fnet.summary(model), repr(fnet.show(odd)), describe(odd)]
    for file in (path, stored):
        for command in (
            ["explain", file], ["summary", file], ["verify", file], ["activations", file, rows],
            ["plot", file, "--output", picture], ["predict", file, rows, "--labels", f"a,{OBEYED}b"],
        ):  # fmt: skip
            assert cli.main(command) == 0, command
            said += capsys.readouterr()
        assert b"\\x1b" in Path(picture).read_bytes()
        ElementTree.parse(picture)
    assert not {*"".join(said)} & {*"\x1b\x07\r\x7f\x9b\u2028\u202e"}
    assert "\\x1b]0;t\\x07\\x1b[31m\\r\\n\\x7f\\x9b1m\\u2028\\u202e" in said[1]


def test_the_page_of_hostile_files_has_each_with_what_fnet_says():
    _, page = (ROOT / "docs" / "hostile-files.md").read_text("utf-8").split("| file | fnet | Keras |")
    said = dict(re.findall(r"^\| (\w+) \| (\w+(?:, .*?)?) \| [^|]+ \|$", page, re.M))
    files = {**hostile.ATTACKS, **SIZES}
    assert list(said) == list(files)
    for name, attack in files.items():
        types = {kind for error in attack.errors or (type(None),) for kind in [error, *error.__subclasses__()]}
        assert said[name] in {"loads" if kind is type(None) else kind.__name__ for kind in types}, name
