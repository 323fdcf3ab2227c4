"""The pages as a reader uses them: questions lead to their page, the reference is whole, the pictures are current."""

import argparse
import html
import importlib
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fnet
from fnet import layers, operations
from fnet.cli import main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

import pictures  # noqa: E402 - in docs
import reference_pages  # noqa: E402

QUESTIONS = {
    "several inputs": "howto-inputs",
    "thread safety": "howto-deploy",
    "safe load untrusted": "explanation-security",
    "mc dropout": "howto-uncertainty",
    "convert h5 npz": "answers",
    "keras versions tried": "versions",
    "unsupported layers": "howto-files",
    "what does predict check": "howto-inputs",
    "docker": "howto-deploy",
    "aws lambda function": "howto-deploy",
    "peak memory": "howto-deploy",
    "transfer learning": "howto-features",
    "tokenizer": "howto-inputs",
    "class names": "howto-inputs",
    "threshold": "howto-inputs",
    "misclassified accuracy": "howto-many-files",
    "folders of images": "howto-many-files",
    "convert onnx": "howto-export",
    "cut functional model features": "howto-features",
    "new head features": "howto-features",
    "streaming rnn": "howto-streaming",
    "jit": "howto-jax",
    "ensembles vmap": "howto-jax",
    "gpu": "howto-jax",
    "batch normalisation training jax": "howto-jax",
    "how fast": "howto-deploy",
    "float16 int8": "howto-16-bit-and-int8",
    "limits hostile files": "explanation-security",
    "code execution model file": "explanation-security",
    "threads": "howto-deploy",
    "web service": "howto-deploy",
    "windows macos": "howto-platforms",
    "alpine musl": "howto-platforms",
    "python versions": "howto-platforms",
    "browser webassembly": "howto-platforms",
    "small install": "howto-platforms",
    "rescaling": "howto-inputs",
    "answer nan": "howto-inputs",
    "verify custom layer": "howto-custom-layers",
    "lambda layer": "howto-custom-layers",
    "public functions": "api",
    "what is the report": "howto-compare",
    "numbers differ conversion": "howto-compare",
    "uncertainty dropout": "howto-uncertainty",
    "teachable machine": "howto-files",
    "old files keras 2": "howto-files",
    "why is my file refused": "howto-files",
    "weights only": "howto-files",
    "memory predict": "howto-deploy",
    "optax": "howto-jax",
    "orbax checkpoint": "howto-train-in-jax",
    "fine-tune": "howto-train-in-jax",
    "exit status": "command-line",
    "picture model shapes": "howto-look-inside",
    "graphviz plot_model": "howto-look-inside",
    "activations": "howto-look-inside",
    "csv parquet": "howto-many-files",
    "csv pipe columns": "howto-many-files",
    "pixels scale offset": "howto-many-files",
    "certificate": "howto-compare",
    "weights config two files": "howto-files",
    "resume": "howto-many-files",
    "back to keras": "howto-export",
    "onnx": "howto-export",
    "ray spark": "howto-scale",
    "intermediate layer output": "answers",
    "lstm weights order numpy": "answers",
    "how does an lstm work": "tutorial-2-sequences",
    "how does a convolution work": "tutorial-1-images",
    "how does a gru work": "tutorial-2-sequences",
    "how does attention work": "tutorial-2-sequences",
    "how does batch normalization work": "tutorial-3-models",
    "batch norm training": "howto-jax",
    "grad cam heatmap": "howto-jax",
    "mixed precision": "howto-16-bit-and-int8",
    "sharding gpus": "howto-scale",
    "visualize feature maps": "howto-look-inside",
    "gru gate order": "answers",
    "predictions differ": "howto-compare",
    "custom activation": "answers",
    "sequences different length": "answers",
    "raspberry pi": "answers",
    "excel xlsx": "answers",
    "semicolon decimal comma csv": "answers",
    "apple silicon m1": "answers",
    "python 3.13 tensorflow available": "answers",
    "keras version wrote file": "answers",
    "unknown layer functional": "answers",
    "axes match array": "answers",
    "unrecognized keyword arguments": "answers",
    "single image": "answers",
    "memory leak loop": "answers",
    "pypi license": "answers",
    "offline": "answers",
    "pretrained bert": "answers",
    "regression forecast": "answers",
    "object detection": "answers",
    "deterministic reproducible": "answers",
    "flops": "answers",
    "corrupted file": "answers",
    "load_model compile": "answers",
    "get_weights": "answers",
    "contribute layer": "answers",
    "savedmodel": "howto-files",
    "freeze layers": "howto-train-in-jax",
    "grad cam": "howto-jax",
    "saliency": "howto-jax",
    "pandas dataframe": "howto-inputs",
    "flask": "howto-deploy",
    "load_model fails": "answers",
    "multiple outputs": "howto-inputs",
    "missing values nan": "howto-inputs",
    "sklearn pipeline": "howto-scale",
    "compatibility": "versions",
    "tflite": "howto-files",
    "quantize": "howto-16-bit-and-int8",
    "which keras versions": "versions",
    "explain which layers unsupported": "howto-files",
    "confusion accuracy": "howto-many-files",
    "model.layers output": "answers",
    "output of a layer": "answers",
    "features of an inner layer": "howto-features",
    "output of a hidden layer": "howto-features",
    "feature extraction": "howto-features",
    "load bytes memory s3": "answers",
    "run keras model without tensorflow": "answers",
    "hessian second derivative": "howto-jax",
    "per-sample gradients": "howto-jax",
    "double precision": "explanation-numerics",
    "micropython": "answers",
    "unit test model": "answers",
    "android phone": "answers",
    "microcontroller c++": "answers",
    "upgrade keras 2 keras 3": "answers",
    "jupyter notebook streamlit": "answers",
    "jit numpy numba": "answers",
    "audit stranger certificate": "explanation-security",
    "sha256 digest": "explanation-security",
    "lambda 250 mb cold start": "howto-deploy",
    "hard_sigmoid keras 2": "generations",
    "batch size 1 latency": "howto-deploy",
    "gradient of output with respect to input": "howto-jax",
    "is it safe to load a model from the internet": "explanation-security",
    "sigmoid threshold binary classification": "howto-inputs",
    "decode_predictions imagenet": "answers",
    "keras h5 to numpy": "answers",
    "assignment destination is read-only": "answers",
    "dropout at inference monte carlo": "howto-uncertainty",
    "mask padding ignored": "tutorial-2-sequences",
    "celery gunicorn workers memory": "howto-deploy",
    "alternative to tflite onnx runtime": "answers",
    "frugally-deep": "answers",
    "stable cite": "answers",
    "report a bug": "answers",
    "lora": "answers",
    "merge weights models": "answers",
    "load image from disk": "howto-inputs",
    "dataset larger than memory": "howto-inputs",
    "limit cpu threads": "howto-deploy",
    "large images tiles": "howto-deploy",
    "subclassed model": "howto-custom-layers",
    "tf2onnx": "answers",
    "tensorflow.js": "answers",
    "openvino tensorrt core ml": "answers",
    "keras2c": "answers",
    "java rust": "answers",
    "numpy 1.26 python 3.10": "answers",
    "requirements.txt": "answers",
    "pyinstaller executable": "answers",
    "telemetry network access": "answers",
    "remove softmax logits": "answers",
    "shap lime": "answers",
    "sharded weights shards": "howto-files",
    "4 gib large model limit": "explanation-security",
}
"""{words that somebody searches for: the page that answers}."""


@pytest.fixture(scope="module")
def reference():
    return reference_pages.pages()


@pytest.fixture(scope="module")
def texts(reference):
    """{page: (title, headings, text)} in small letters."""
    pages = {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md") if path.stem not in ("README", "index")}
    pages |= {name.removesuffix(".md"): text for name, text in reference.items()}
    return {
        name: (text.splitlines()[0].lower(), " ".join(re.findall(r"^##+ .*", text, re.MULTILINE)).lower(), text.lower())
        for name, text in pages.items()
    }


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_words_of_a_question_find_its_page(question, texts):
    """Among the three pages that have most of its words: rare ones count for more, those of titles most."""
    scores = dict.fromkeys(texts, 0.0)
    for word in question.split():
        having = {name: [bool(re.search(rf"\b{word}", part)) for part in parts] for name, parts in texts.items()}
        rarity = math.log(len(texts) / max(1, sum(any(parts) for parts in having.values())))
        for name, (title, heading, text) in having.items():
            scores[name] += rarity * (4 * title + 2 * heading + text)
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:3]
    assert QUESTIONS[question] in best


def test_the_reference_has_every_public_name(reference):
    text = "\n".join(reference.values())
    described = set(re.findall(r"\{py:\w+\} (fnet(?:\.operations)?\.\w+)", text))
    public = {f"fnet.{name}" for name in (*fnet.PUBLIC, *layers.NAMES)}
    assert described == public | {f"fnet.operations.{name}" for name in operations.NAMES}


def test_the_reference_has_the_help_of_every_command(reference):
    page = reference["command-line.md"]
    commands = re.findall(r"^## `fnet (\w+)`", page, re.MULTILINE)
    assert {"predict", "explain", "convert", "compare", "train", "study"} <= set(commands)
    assert [name for name in commands if f"usage: fnet {name}" not in page] == []
    assert "usage: fnet study run" in page


@pytest.mark.parametrize(
    ("status", "arguments"),
    [(0, ["layers", "conv2d"]), (1, ["summary", "no-such-file.keras"]), (2, ["layers", "--no-such-option"])],
)
def test_exit_statuses_are_those_of_the_page(status, arguments, reference):
    try:
        got = main(arguments)
    except SystemExit as stop:  # argparse
        got = stop.code
    assert got == status
    assert f"| {status} | " in reference["command-line.md"]


PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "examples").glob("*/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_on_pages_exist_with_their_options(page):
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"^(\w+=\S* )+", "", line) for block in blocks for line in block.splitlines()]
    for line in lines:
        if line.startswith("fnet "):
            command, *words = shlex.split(line, comments=True)[1:]
            action = [words[0]] if command == "study" else []
            known = reference_pages.help_of(command, *action)
            assert f"usage: fnet {command}" in known, line
            assert [w for w in words if w.startswith("--") and w.partition("=")[0] not in known] == [], line


@pytest.mark.parametrize("module", ["compare.cli", "compare.demo", "compare.studies.study", "train_keras.cli"])
def test_examples_of_commands_that_run_for_long_are_understood_as_printed(module):
    parser = argparse.ArgumentParser()
    importlib.import_module(module).add_arguments(parser)
    examples = re.findall(r"^(?:example:)? *fnet \w+(.*)", parser.epilog, re.MULTILINE)
    assert [parser.parse_args(shlex.split(line, comments=True)) for line in examples]


def test_the_first_command_of_the_readme_prints_what_it_says(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    commands, printed = re.search(
        r"^```sh\n(.*?)```\n\n```text\n(.*?)```", PAGES[0].read_text("utf-8"), re.M | re.S
    ).groups()
    assert main(shlex.split(commands.splitlines()[-1])[1:]) == 0
    assert capsys.readouterr().out == printed


def test_pictures_are_what_their_script_draws():
    files = {path.stem: path.read_text("utf-8") for path in (DOCS / "pictures").glob("*.svg")}
    assert files == dict(pictures.pictures())


SEARCHES = """<p id="search-progress"></p><pre></pre>
<script src="_static/documentation_options.js"></script><script src="_static/doctools.js"></script>
<script src="_static/sphinx_highlight.js"></script><script src="_static/searchtools.js"></script>
<script src="_static/language_data.js"></script><script src="searchindex.js"></script>
<script>
  const found = QUESTIONS.map((question) => Search._performSearch(...Search._parseQuery(question)).reverse());
  document.querySelector("pre").textContent = JSON.stringify(found.map((results) => results.map(([page]) => page)));
</script>"""
"""A page that searches the site for all questions at once: a browser takes a second to start."""


@pytest.mark.slow
def test_the_site_finds_the_pages():
    """The built site, without a warning, and its own search in a browser."""
    pytest.importorskip("sphinx")
    browser = shutil.which("chromium")
    site = ROOT / "build" / "site"  # where `make docs` may have built it a moment ago
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, site]
    done = subprocess.run(build, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    if browser is None:
        pytest.skip("no chromium to search in")

    def shown(address):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
        return subprocess.run([browser, *options, address], capture_output=True, text=True, timeout=60).stdout

    searches = site / "searches.html"
    searches.write_text(SEARCHES.replace("QUESTIONS", json.dumps([*QUESTIONS])), "utf-8")
    found = json.loads(html.unescape(shown(searches.as_uri()).partition("<pre>")[2].partition("</pre>")[0]))
    for (question, page), results in zip(QUESTIONS.items(), found, strict=True):
        assert page in [Path(result).name for result in results][:5], question

    question, *_ = QUESTIONS
    visited = shown(f"{(site / 'search.html').as_uri()}?q={question.replace(' ', '+')}")
    listed = re.findall(r'<li class="kind-\w+"><a href="([\w/.-]+)\.html', visited.partition('id="search-results"')[2])
    assert listed == found[0]
