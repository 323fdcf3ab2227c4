"""What a model has to beat: the majority class, and for texts TF-IDF with logistic regression."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from fnet import writing

if TYPE_CHECKING:
    from train_keras.data import Data, Split

BASELINES = "baselines.json"
TFIDF = "TF-IDF + logistic regression"
USUAL = {"words": 1, "C": 10, "class_weight": None}
GRID = {"words": (1, 2), "C": (1, 10), "class_weight": (None, "balanced")}


def measure(data: Data) -> dict[str, Any]:
    """{"data_sha256", "source", "scores": {baseline: macro-F1 on test}}; all fitted on the training split."""
    predicted = {"majority class": np.full(len(data.test), np.bincount(data.train.y).argmax())}
    if data.kind == "texts":
        predicted[TFIDF] = _fitted(data, USUAL).predict(list(data.test.x))
        predicted[f"{TFIDF}, chosen on validation"] = _chosen(data).predict(list(data.test.x))
    scores = {name: _macro_f1(data.test, y) for name, y in predicted.items()}
    return {"data_sha256": data.fingerprint, "source": data.source, "scores": scores}


def _chosen(data: Data) -> Pipeline:
    """The classifier of the grid with the best macro-F1 on validation."""
    fitted = [_fitted(data, dict(zip(GRID, values, strict=True))) for values in itertools.product(*GRID.values())]
    return max(fitted, key=lambda model: _macro_f1(data.valid, model.predict(list(data.valid.x))))


def _fitted(data: Data, options: dict[str, Any]) -> Pipeline:
    """Words (and pairs of words) as L2-normalized TF-IDF with 1 + log counts, then logistic regression."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, options["words"]))
    classifier = LogisticRegression(C=options["C"], class_weight=options["class_weight"], max_iter=1000)
    return make_pipeline(words, classifier).fit(list(data.train.x), data.train.y)


def _macro_f1(split: Split, predicted: Any) -> float:
    return float(f1_score(split.y, predicted, average="macro", zero_division=0))


def kept(folder: Path) -> dict[str, Any]:
    """{data set: what `measure` gave} as kept in a results folder."""
    path = folder / BASELINES
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def keep(folder: Path, data: Data) -> dict[str, Any]:
    """The baselines of a data set, measured unless they are kept for the same rows already."""
    known = kept(folder)
    if known.get(data.name, {}).get("data_sha256") != data.fingerprint:
        known[data.name] = measure(data)
        writing.write(folder / BASELINES, (json.dumps(known, indent=1) + "\n").encode())
    found: dict[str, Any] = known[data.name]
    return found
