"""The built wheel, in an environment of its own: one import name, whatever lies next to the user's script."""

import ast
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fnet
from tests.golden.archives import NEWEST, golden, npz

ROOT = Path(__file__).parent.parent

SCRIPT = """
import sys
import numpy as np
import fnet
import fnet.params
import params, compare  # the user's own

assert params.MINE and compare.MINE
assert fnet.load_keras is fnet.params.load_keras
assert fnet.CorruptFile is fnet.params.errors.CorruptFile
model, weights = fnet.load_keras("cnn.keras")
x = np.load("cnn.npy")
y = fnet.predict(model, weights, x)
fnet.save("cnn.safetensors", model, weights)
again, same = fnet.load("cnn.safetensors")
assert again == model
assert np.array_equal(fnet.predict(again, same, x), y)
try:
    fnet.load_keras(b"no model")
except fnet.ModelFileError as error:
    print(type(error).__module__, fnet.__version__)
ours = [name for name in sys.modules if name.split(".")[0] in ("params", "compare", "train_keras")]
assert ours == ["params", "compare"], ours
"""

PROGRAM = """
from pathlib import Path

import numpy as np

import fnet
from fnet import bind, dense, layers, operations


def scores(path: Path, x: fnet.types.Array) -> fnet.types.Array:
    try:
        model, params = fnet.load_keras(path)
    except fnet.ModelFileError as error:
        raise SystemExit(str(error)) from error
    fnet.save(path.with_suffix(".safetensors"), model, params, labels=["cat", "dog"])
    return fnet.predict(model, params, x)


model = fnet.sequential(fnet.bind(fnet.dense, units=2), fnet.softmax)
params = fnet.init(model, 0, (None, 3))
print(model(params, np.ones((1, 3), np.float32)), scores(Path("cnn.keras"), np.ones((1, 3), np.float32)))
print(fnet.__version__)


def shifted_shape(x: fnet.Spec, *, factor: float) -> tuple[fnet.Spec, fnet.types.ParamTree]:
    return x, {"offset": fnet.Param(x.shape[-1:], "zeros")}


@fnet.layer(shape=shifted_shape)
def shifted(params: fnet.types.Params, x: fnet.types.Array, *, factor: float) -> fnet.types.Array:
    return factor * x + params["offset"]


branches = fnet.graph(
    inputs="x", h=(bind(dense, units=3), "x"), y=(bind(shifted, factor=2.0), "h"), outputs=(layers.add, ("x", "y"))
)
print(fnet.summary(branches, (None, 3)), fnet.infer(branches, fnet.Spec((None, 3))), fnet.random.key(0))
print(operations.matmul, fnet.operations.add, fnet.activation_functions.relu(np.ones(3)))
fnet.check(model, params)
loaded, weights = fnet.load("cnn.safetensors")
y, state = fnet.streaming(loaded)(weights, np.ones((1, 3), np.float32))
print(y, state, fnet.show(weights), fnet.compile(loaded, weights)(np.ones((1, 3), np.float32)))
assert isinstance(loaded, fnet.Sequential | fnet.Graph)
"""


def run(*command, **options):
    """The standard output of a process that must succeed. fnet's checkout is not on its path."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(root, kind, folder):
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=root)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of an environment with the wheel, and with what is installed here after it."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    assert list(packages.iterdir()) == []
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    names = {path.name for path in packages.iterdir()}
    assert names == {"fnet", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}
    assert (packages / "fnet" / "py.typed").exists()
    (packages / "here.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.fixture
def folder(tmp_path):
    """A user's folder: a model, rows, and modules with the same names as our folders."""
    (tmp_path / "cnn.keras").write_bytes(golden("cnn.keras"))
    np.save(tmp_path / "cnn.npy", npz(NEWEST, "cnn")["x0"])
    (tmp_path / "params.py").write_text("MINE = True")
    (tmp_path / "compare").mkdir()
    (tmp_path / "compare" / "__init__.py").write_text("MINE = True")
    return tmp_path


@pytest.mark.slow
def test_an_installed_wheel_owns_one_import_name(python, folder):
    (folder / "script.py").write_text(SCRIPT)
    assert run(python, "script.py", cwd=folder).split() == ["fnet.params.errors", fnet.__version__]
    printed = run(python, "-m", "fnet", "predict", "cnn.keras", "cnn.npy", cwd=folder)
    assert len(printed.splitlines()) > 1
    assert "fnet compare" in run(python, "-m", "fnet", "compare", "--help", cwd=folder)


@pytest.mark.slow
def test_a_program_against_the_wheel_checks_under_mypy_strict(python, folder):
    (folder / "program.py").write_text(PROGRAM)
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "program.py", cwd=folder)


@pytest.mark.slow
def test_a_program_against_the_wheel_checks_under_pyright_strict(python, folder):
    pytest.importorskip("pyright")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    run(sys.executable, "-m", "pyright", "--pythonpath", python, "program.py", cwd=folder)


@pytest.mark.slow
def test_the_wheel_imports_what_it_carries_from_inside(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    assert "fnet/compare/worker.py" in sources
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {module.split(".")[0] for module in modules} & {"params", "compare", "train_keras"}, name
        assert '"-m", "compare' not in source


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "tree", filter="data")
    again = build(next((tmp_path / "tree").iterdir()), "wheel", tmp_path / "wheel")
    assert again.read_bytes() == wheel.read_bytes()


def test_a_module_that_hides_our_params_in_a_checkout_is_named(folder):
    code = f"import sys; sys.path.insert(1, {str(ROOT)!r}); import fnet; fnet.load_keras"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert f"ImportError: fnet's own package `params` ({ROOT / 'params'}) is hidden" in done.stderr
    assert str(folder / "params.py") in done.stderr
