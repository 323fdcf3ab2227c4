"""The trained models in examples/models: they are what their cards say, and run."""

import hashlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fnet
import params
from tests import parity

EXAMPLES = Path(__file__).parent.parent / "examples"
MODELS = EXAMPLES / "models"


def test_every_model_has_a_card_with_its_digest():
    files = sorted(MODELS.glob("*.safetensors"))
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) < 6_000_000
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in file.with_suffix(".md").read_text("utf-8")


def test_the_texts_model_knows_good_from_bad(each_backend):
    model, weights = params.load(MODELS / "nusax-lstm.safetensors")
    labels = params.load_info(MODELS / "nusax-lstm.safetensors")["labels"]
    scores = fnet.predict(model, weights, ["makanannya enak sekali", "kamarnya kotor dan mahal"])
    assert [labels[i] for i in fnet.classes(model, scores)] == ["positive", "negative"]


def test_the_images_model_takes_pixels(each_backend):
    model, weights = params.load(MODELS / "cifar10-cnn.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    scores = fnet.predict(model, weights, pixels)
    assert scores.shape == (3, len(params.load_info(MODELS / "cifar10-cnn.safetensors")["labels"]))
    parity.assert_close(scores.sum(axis=1), np.ones(len(scores)))


def output_of(*command):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=True).stdout


def test_the_word_that_decides_is_found():
    first, *words = output_of(EXAMPLES / "which_words.py", "makanannya", "enak").splitlines()
    assert first.startswith("positive: ")
    assert max(words, key=lambda line: float(line.split()[0])).endswith("  enak")


@pytest.mark.parametrize(
    ("example", "package", "remedy"),
    [
        ("mesh", "jax", "'.[jax]'"),
        ("saliency", "PIL", "'.[jax,images]'"),
        ("ray_parquet", "ray", "'.[ray]'"),
        ("spark_parquet", "pyspark", "pyspark pandas pyarrow"),
        ("train_with_optax", "sklearn", "'.[jax]' optax scikit-learn"),
        ("serve/app", "fastapi", "'.[serve]'"),
        ("serve/load", "keras", "'.[keras,bench,serve]'"),
    ],
)
def test_an_example_without_its_packages_says_in_one_line_what_to_install(example, package, remedy, monkeypatch):
    path = EXAMPLES / f"{example}.py"
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(sys, "argv", [path.name])
    monkeypatch.setenv("FNET_BACKEND", "numpy")  # some set it
    missing = {name for name in sys.modules if name.partition(".")[0] == package}
    for name in {package, *missing}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit, match=rf"^[^\n]*\b{package}\b[^\n]*: pip install {re.escape(remedy)}$"):
        runpy.run_path(str(path), run_name="__main__")


def test_a_model_made_by_hand_trains():
    accuracy = float(output_of(EXAMPLES / "train_with_optax.py").split(": ")[1])
    assert accuracy > 0.85


def test_the_pixel_that_decides_is_found(tmp_path, monkeypatch):
    image = np.full((32, 32, 3), 120, "uint8")
    image[8:14, 20:26] = (250, 30, 30)
    Image.fromarray(image).save(tmp_path / "in.png")
    monkeypatch.setenv("FNET_BACKEND", "jax")
    said = output_of(EXAMPLES / "saliency.py", tmp_path / "in.png", tmp_path / "out.png")
    assert "the pixel that matters most is at row" in said
    assert np.ptp(np.asarray(Image.open(tmp_path / "out.png"))) > 100


def test_the_card_of_the_text_model_shows_what_the_file_gives_for_everyday_phrases():
    model, weights = params.load(MODELS / "nusax-lstm.safetensors")
    labels = params.load_info(MODELS / "nusax-lstm.safetensors")["labels"]
    card = (MODELS / "nusax-lstm.md").read_text("utf-8")
    lines = [line.strip("| ").split(" | ") for line in card[card.index("| phrase |") :].splitlines()[2:]]
    scores = np.asarray(fnet.predict(model, weights, [line[0] for line in lines]))
    given = [[labels[row.argmax()], f"{row.max():.2f}"] for row in scores]
    assert len(lines) == 24
    assert [line[2:] for line in lines] == given
    assert f"what was expected for {sum(line[1] == line[2] for line in lines)}." in card
