"""The direction of imports, and what a fresh process loads."""

import ast
import graphlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fnet
import params
from tests import mutants
from tests.golden import archives

ROOT = Path(__file__).parent.parent

# The allowed imports: each tier imports itself and the tiers above it in this list.
TIERS = [
    {"constants", "errors", "hashes", "importing", "latest", "lazy", "masks", "records", "shapes", "starting"}
    | {"strings", "tree", "types", "writing"},
    {"backend"},
    {"dtypes", "random", "initializers", "resampling", "activation_functions"},
    {"core"},
    {"layers"},
    {"operations"},
    {"tf_functions"},
    {"rewrites"},
    {"inference"},
    {"export"},
    {"pictures"},
    {"sklearn"},
]
PACKAGES = {
    "fnet": {"fnet"},
    "params": {"fnet", "params"},
    "train_keras": {"train_keras"},
    "compare": {"fnet", "params", "train_keras", "compare"},
}


def imports(path: Path) -> list[str]:
    """Every module that a file imports, anywhere in it; `from fnet import tree` counts as fnet.tree."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_in_one_direction(package):
    others = set(PACKAGES) - PACKAGES[package]
    for path in (ROOT / package).rglob("*.py"):
        if is_shell(path) or path == ROOT / "fnet" / "__init__.py":
            continue  # both import the packages above them when they are first used
        wrong = [name for name in imports(path) if name.split(".")[0] in others]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_examples_import_what_is_installed_under_its_name():
    """In an installed wheel the other packages are inside `fnet`; make.py belongs to the project."""
    for path in set((ROOT / "examples").rglob("*.py")) - {ROOT / "examples" / "models" / "make.py"}:
        assert not [name for name in imports(path) if name.split(".")[0] in set(PACKAGES) - {"fnet"}], path


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "examples", "docs"])
def test_what_is_imported_of_ours_is_there(folder):
    """A name that moved fails here at once, not when its users are next collected."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in (
                "fnet",
                "params",
                "compare",
            ):
                exec(compile(ast.Module([node], []), str(path), "exec"), {})


def is_shell(path: Path) -> bool:
    """Whether a file belongs to the command line `fnet`."""
    return ROOT / "fnet" / "cli" in path.parents or path == ROOT / "fnet" / "__main__.py"


def tier(module: str) -> int:
    return next((i for i, names in enumerate(TIERS) if module in names), len(TIERS))


def test_inside_fnet_imports_go_to_the_left():
    for path in (ROOT / "fnet").rglob("*.py"):
        module = path.relative_to(ROOT / "fnet").with_suffix("").parts[0]
        if module == "__init__" or is_shell(path):
            continue
        used = {name.split(".")[1] for name in imports(path) if name.startswith("fnet.")}
        assert tier(module) < len(TIERS), f"fnet/{module} has no tier: add it to TIERS"
        wrong = [name for name in used if tier(name) > tier(module)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}, which are to its right"


COMPARE = [
    {"machine", "svg", "yardstick"},
    {"measuring", "others", "reference", "worker"},
    {"parity"},
    {"certificate", "pictures"},
    {"report"},
    {"cli", "demo"},
    {"studies"},
]
"""The modules of compare/; the studies come last: they use the tool, and the tool does not know them."""


def test_inside_compare_imports_go_to_the_left_and_none_to_the_studies():
    places = {name: i for i, names in enumerate(COMPARE) for name in names}
    for path in (ROOT / "compare").rglob("*.py"):
        module = path.relative_to(ROOT / "compare").with_suffix("").parts[0]
        if module != "__init__":
            used = {name.split(".")[1] for name in imports(path) if name.startswith("compare.")}
            assert not [name for name in used if places[name] > places[module]], path


PARAMS = [
    *("errors", "file", "output_sizes", "table", "convert", "assign", "loading", "store", "explaining", "bridges"),
    *("predicting", "__init__"),
]
"""The folders and modules of params/: each may import itself and those before it."""


def test_inside_params_imports_go_to_the_left():
    for path in (ROOT / "params").rglob("*.py"):
        place = path.relative_to(ROOT / "params").with_suffix("").parts[0]
        used = {[*found.split("."), "__init__"][1] for found in imports(path) if found.split(".")[0] == "params"}
        wrong = [found for found in used if PARAMS.index(found) > PARAMS.index(place)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}, which are to its right"


LAZY = {("fnet", "params")}
"""(importing module, imported module): imports for type checkers, done only when a name is first used."""


def test_no_modules_import_each_other_in_a_circle():
    """Imports anywhere in a file count: one inside a function can also close a circle."""
    packages = ("fnet", "params", "compare", "train_keras")
    files = {name(path): path for package in packages for path in (ROOT / package).rglob("*.py")}
    graph = {}
    for module, path in files.items():
        used = {found if found in files else found.rpartition(".")[0] for found in imports(path)}
        graph[module] = {found for found in used & set(files) - {module} if (module, found) not in LAZY}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def name(path: Path) -> str:
    """The module of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_jax_is_named_only_in_its_backend():
    for path in (ROOT / "fnet").rglob("*.py"):
        if path.name.startswith("jax_"):
            continue
        assert not [n for n in imports(path) if n.split(".")[0] in ("jax", "jaxlib")], path
        assert "if jax" not in path.read_text("utf-8"), path


def test_nothing_imports_the_command_line():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if not is_shell(path):
                assert not [name for name in imports(path) if name.startswith("fnet.cli")], path


@pytest.mark.parametrize("package", ["fnet", "params", "fnet.cli"])
def test_importing_loads_no_framework_and_no_functions_of_one(package):
    unwanted = ("fnet.tf_functions", "jax", "keras", "tensorflow", "h5py", "pyfive", "numpy.f2py", "numpy.testing")
    code = f"import sys, {package}; print([m for m in sys.modules if m.startswith({unwanted})])"
    env = {key: value for key, value in os.environ.items() if key != "FNET_BACKEND"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_fnet_loads_no_family_of_layers_or_operations():
    code = "import sys, fnet; print([m for m in sys.modules if m.startswith(('fnet.layers', 'fnet.operations'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", [fnet, fnet.layers, fnet.operations])
def test_no_public_name_is_that_of_a_module(package):
    """`fnet.layers.x` would be one or the other, depending on earlier imports."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules & set(package.__all__) <= {"activation_functions", "layers", "operations", "random"}
    assert len(fnet.__all__) < 55


def stub_of(package):
    """{module: [names]} that the stub next to a package exports: `from module import name as name`."""
    tree = ast.parse(Path(package.__file__ + "i").read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {node.module: [a.name for a in node.names if a.name in (a.asname, "*")] for node in imports}


@pytest.mark.parametrize(
    ("package", "homes"),
    [(fnet.layers, fnet.layers.FAMILIES), (fnet.operations, fnet.operations.FAMILIES), (params, params.HOMES)],
)
def test_what_type_checkers_read_is_what_is_imported(package, homes):
    own = f"{package.__name__}."
    read = {module.removeprefix(own): names for module, names in stub_of(package).items() if module.startswith(own)}
    assert read == {home: names.split() for home, names in homes.items()}


def test_what_type_checkers_read_of_fnet_is_what_it_has():
    stub = {name for names in stub_of(fnet).values() for name in names} - {"*"}
    assert set(fnet.PUBLIC) <= stub | fnet._IN_PARAMS
    assert set(params.__all__) == fnet._IN_PARAMS
    assert [name for name in stub if not hasattr(fnet, name)] == []


def test_loading_a_store_imports_nothing_that_reads_keras_files(tmp_path):
    model = fnet.bind(fnet.dense, units=2)
    fnet.save(tmp_path / "dense.safetensors", model, fnet.init(model, 0, (None, 3)))
    code = (
        "import sys, fnet; fnet.load(sys.argv[1])\n"
        "print([m for m in sys.modules if m.startswith(('params.convert', 'params.assign', 'params.table'))])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "dense.safetensors")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_first_prediction_imports_no_layers_that_the_model_does_not_use(tmp_path):
    (tmp_path / "cnn.keras").write_bytes(archives.golden("cnn.keras"))
    code = (
        "import sys, numpy as np, fnet; model, params = fnet.load_keras(sys.argv[1])\n"
        "fnet.predict(model, params, np.zeros((1, 8, 8, 3), 'float32'))\n"
        "print(*sorted(m.removeprefix('fnet.layers.') for m in sys.modules if m.startswith('fnet.layers.')))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cnn.keras")]
    used = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    shared = {"merging", "quantized", "recurrence", "state_passing", "windows", "wrappers"}
    own = {"activation_layers", "basic", "convolution", "depthwise", "norms", "pooling", "regularization", "reshaping"}
    assert set(used) - shared == own | {"pooled_convolution"}


def test_what_reads_files_is_under_fnet_too_and_loads_when_used():
    code = (
        "import sys, fnet; before = 'params' in sys.modules; fnet.load_keras; import params\n"
        "print(before, all(getattr(fnet, name) is getattr(params, name) for name in params.__all__), "
        "set(params.__all__) <= set(dir(fnet)), fnet.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:3] == ["False", "True", "True"]


def test_every_module_has_test_files_of_its_own_that_exist():
    used = set()
    for path in mutants.modules():
        place = next((start for start in mutants.PLACES if path.startswith(start)), None)
        assert place, f"{path} has no place: add its test files to PLACES"
        used.add(place)
        assert all((ROOT / file).is_file() for file in mutants.files_of(path)), path
    assert used == set(mutants.PLACES), "places of no module, or after a shorter one"


BUILT = {"_Box", "_Building", "_Calls", "_Cut", "Converted", "Marks", "Walk", "WeightMap"}
"""Records that are filled step by step; all others are values."""


def test_records_are_frozen():
    thawed = {
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in (text := ast.unparse(d)) and "frozen=True" not in text for d in node.decorator_list)
    }
    assert thawed == BUILT
