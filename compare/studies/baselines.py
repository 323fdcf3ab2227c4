"""Baselines to beat: the majority class, and for texts linear models on the tf-idf of words and characters."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from fnet import writing

if TYPE_CHECKING:
    from train_keras.data import Data, Split

BASELINES = "baselines.json"
CHOSEN = "best of these on validation"
FEATURES: dict[str, tuple[dict[str, Any], ...]] = {
    "words": ({"ngram_range": (1, 1)},),
    "characters": ({"analyzer": "char_wb", "ngram_range": (2, 5)},),
    "words and characters": ({"ngram_range": (1, 1)}, {"analyzer": "char_wb", "ngram_range": (2, 5)}),
}
STRENGTHS = {"logistic regression": (1, 3, 10, 30), "linear SVM": (0.1, 0.3, 1, 3)}
CLASSIFIERS: dict[str, Callable[..., Any]] = {
    "logistic regression": lambda strength: LogisticRegression(C=strength, max_iter=20_000, tol=1e-8),
    "linear SVM": lambda strength: LinearSVC(C=strength, random_state=0),
}


def measure(data: Data) -> dict[str, Any]:
    """{"data_sha256", "source", "scores": {baseline: macro-F1 on test}, "validation": the same on validation}.

    All are fitted on the training split; the strength of a classifier's regularization is chosen on validation.
    """
    found = {"majority class": [np.full(len(s), np.bincount(data.train.y).argmax()) for s in (data.valid, data.test)]}
    if data.kind == "texts":
        for features, name in itertools.product(FEATURES, CLASSIFIERS):
            found[f"{name}, {features}"] = _chosen(data, features, name)
    valid, test = ({n: _macro_f1(s, p[i]) for n, p in found.items()} for i, s in enumerate((data.valid, data.test)))
    if data.kind == "texts":
        best = max(valid, key=valid.__getitem__)
        valid[CHOSEN], test[CHOSEN] = valid[best], test[best]
    return {"data_sha256": data.fingerprint, "source": data.source, "scores": test, "validation": valid}


def _chosen(data: Data, features: str, name: str) -> list[Any]:
    """Predicted classes on validation and test, of the classifier with the best regularization on validation."""
    fitted = [_fitted(data, features, CLASSIFIERS[name](strength)) for strength in STRENGTHS[name]]
    model = max(fitted, key=lambda one: _macro_f1(data.valid, one.predict(list(data.valid.x))))
    return [model.predict(list(split.x)) for split in (data.valid, data.test)]


def _fitted(data: Data, features: str, classifier: Any) -> Pipeline:
    """L2-normalized tf-idf with 1 + log counts, then the classifier."""
    read = [(str(i), TfidfVectorizer(sublinear_tf=True, **options)) for i, options in enumerate(FEATURES[features])]
    return make_pipeline(FeatureUnion(read), classifier).fit(list(data.train.x), data.train.y)


def _macro_f1(split: Split, predicted: Any) -> float:
    return float(f1_score(split.y, predicted, average="macro", zero_division=0))


def kept(folder: Path) -> dict[str, Any]:
    """{data set: result of `measure`} as kept in a results folder."""
    path = folder / BASELINES
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def keep(folder: Path, data: Data) -> dict[str, Any]:
    """The baselines of a data set; measured and kept unless they are already there for the same rows."""
    known = kept(folder)
    if known.get(data.name, {}).get("data_sha256") != data.fingerprint or "validation" not in known[data.name]:
        known[data.name] = measure(data)
        writing.write(folder / BASELINES, (json.dumps(known, indent=1) + "\n").encode())
    found: dict[str, Any] = known[data.name]
    return found
