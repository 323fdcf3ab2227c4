"""docs/try: the page on which a visitor drops a model. Its Python here and under WASI, the page itself in Chromium.

In Chromium, where there is no network, a module replaces Pyodide and passes each call to this process, which runs the
same page.py: so the page, its settings and its Python are tested together, without Pyodide itself.
"""

import contextlib
import functools
import http.server
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fnet
from tests.golden.archives import golden

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "examples" / "models"
STAND_IN = """
const call = name => (...given) => {
  const request = new XMLHttpRequest();
  const plain = given.map(value => value instanceof Uint8Array ? { bytes: Array.from(value) } : value);
  request.open("POST", "/call", false);
  request.send(JSON.stringify([name, plain]));
  return request.responseText;
};
export const loadPyodide = async () => ({
  loadPackage: async () => {}, unpackArchive: () => {}, FS: { writeFile: () => {} },
  pyimport: () => Object.fromEntries(["open_model", "run_text", "run_numbers", "run_image"].map(n => [n, call(n)])),
});
"""


@pytest.fixture
def page(tmp_path):
    spec = importlib.util.spec_from_file_location("page", ROOT / "docs" / "try" / "page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.FOLDER = tmp_path
    return module


def opened(page, name):
    return json.loads(page.open_model(name, (MODELS / name).read_bytes()))


def test_a_text_model_is_explained_drawn_and_run(page):
    said = opened(page, "nusax-lstm.safetensors")
    assert (said["takes"], said["error"]) == ("text", "")
    assert said["labels"] == ["negative", "neutral", "positive"]
    assert "TextVectorization" in said["text"]
    assert said["svg"].startswith("<svg")
    answer = json.loads(page.run_text("pelayanannya ramah sekali"))
    assert answer["scores"][0]["label"] == "positive"
    assert json.loads(page.run_text(""))["error"] == ""  # pooled without padding, no words have an answer, too


def test_an_image_model_gets_the_pixels_of_a_canvas(page):
    said = opened(page, "cifar10-cnn.safetensors")
    assert (said["takes"], said["shape"]) == ("image", [32, 32, 3])
    rgba = np.random.default_rng(0).integers(0, 256, (32, 32, 4), "uint8")
    scores = json.loads(page.run_image(rgba.tobytes(), 32, 32))["scores"]
    y = fnet.predict(*fnet.load(MODELS / "cifar10-cnn.safetensors"), rgba[None, ..., :3].astype("float32"))[0]
    assert [s["label"] for s in scores] == [said["labels"][i] for i in np.argsort(-y)[:10]]
    np.testing.assert_allclose([s["score"] for s in scores], np.sort(y)[::-1][:10], rtol=1e-6)


def test_pixels_go_in_as_the_visitor_says(page, tmp_path):
    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 1, 1, 3)), y=fnet.identity)
    fnet.save(tmp_path / "m.safetensors", model, {}, scale=2.0)
    page.open_model("m.safetensors", (tmp_path / "m.safetensors").read_bytes())
    for within, expected in (("", [510, 204, 0]), ("0 1", [1, 0.4, 0]), ("-1 1", [1, -0.2, -1])):
        scores = json.loads(page.run_image(bytes([0, 102, 255, 0]), 1, 1, within))["scores"]
        assert [s["score"] for s in scores] == pytest.approx(expected, abs=1e-6)


def test_numbers_are_read_as_people_write_them(page, tmp_path):
    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 3)), y=fnet.identity)
    fnet.save(tmp_path / "m.safetensors", model, {}, scale=2.0)
    assert json.loads(page.open_model("m.safetensors", (tmp_path / "m.safetensors").read_bytes()))["takes"] == "numbers"
    for text in ("1 2 3", "1, 2, 3", "[1, 2, 3]"):
        assert [s["score"] for s in json.loads(page.run_numbers(text))["scores"]] == [6, 4, 2]
    assert "the model takes 3 numbers, [3]; got 2" in json.loads(page.run_numbers("1 2"))["error"]
    assert "not numbers" in json.loads(page.run_numbers("a"))["error"]


def test_what_is_wrong_with_a_file_is_said(page):
    assert json.loads(page.open_model("a.keras", b"nonsense"))["error"].startswith("'a.keras': ")
    said = json.loads(page.open_model("a.keras", golden("refused_code.keras")))
    assert said["error"]
    assert "refused" in said["text"]
    assert said["takes"] == ""


@contextlib.contextmanager
def served(folder, page):
    """The address of a server of the page's folder, with the replacement for Pyodide."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self):
            name, given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            values = [bytes(value["bytes"]) if isinstance(value, dict) else value for value in given]
            answer = getattr(page, name)(*values).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_the_page_shows_it_in_a_browser(page, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "pyodide.mjs").write_text(STAND_IN)
    site = tmp_path / "site"
    build = [sys.executable, ROOT / "docs" / "try" / "build.py", site, "--pyodide", tmp_path / "copy"]
    subprocess.run([*map(str, build)], check=True, capture_output=True)
    assert "from fnet.params." in (site / "page.py").read_text()
    with served(site, page) as address:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
        command = [chromium, *options, f"{address}/?example=nusax-lstm.safetensors"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "nusax-lstm.safetensors: read." in done.stdout
    assert "TextVectorization" in done.stdout
    assert '<div class="bar"><span>positive</span>' in done.stdout
    assert '<img alt="the steps of the model' in done.stdout
