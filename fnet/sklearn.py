"""`FnetClassifier`: a Keras model in scikit-learn, as features for a head that is fitted, or as it was trained.

Only this module needs scikit-learn, so it is imported as `from fnet.sklearn import FnetClassifier`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fnet
from fnet.errors import needing
from fnet.inference.labels import PROBABILITIES, final_activation, require_labels
from fnet.inference.scaling import Scaling
from fnet.writing import is_saved

with needing("sklearn", "fnet.sklearn"):
    from sklearn.base import BaseEstimator, ClassifierMixin, clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data


class FnetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose features are the output of a step of a model; the model itself is not trained.

    source: a model file, or (model, params); None: the columns of X are the features. X is multiplied by the scale in
    a `.safetensors`.
    at: the step whose output the head reads, such as "mean" or "block/pool"; None for the output of the model. Several
    axes are flattened.
    head: a classifier of scikit-learn that `fit` fits; None for LogisticRegression.
    batch_size: rows at a time.

    `FnetClassifier.trained(source)` is fitted already: it classifies as the model was trained to.
    """

    def __init__(self, source: Any = None, *, at: str | None = None, head: Any = None, batch_size: int = 256) -> None:
        self.source = source
        self.at = at
        self.head = head
        self.batch_size = batch_size

    @classmethod
    def trained(cls, source: Any, labels: Any = None) -> FnetClassifier:
        """The model as it was trained. labels: the classes in order; None for those of a `.safetensors`, or numbers."""
        classifier = cls(source)
        model, params, info = _loaded(source)
        classifier._model = (model, params)
        classifier._scaling = Scaling(info.get("scale"), None).of(model)
        classifier.head_ = None
        scores = fnet.infer(model, fnet.core.infer.input_spec(model))[0]
        names = info.get("labels") if labels is None else labels
        classifier.classes_ = np.arange(max(2, scores.shape[-1])) if names is None else np.asarray(names)
        require_labels(classifier.classes_, scores)
        return classifier

    def fit(self, X: Any, y: Any) -> FnetClassifier:  # noqa: N803 - scikit-learn's name
        """Fit the head on the features of X."""
        self._model: tuple[Any, Any] | None = None
        self._scaling = Scaling(None, None)
        if self.source is not None:
            model, params, info = _loaded(self.source)
            self._scaling = Scaling(info.get("scale"), None).of(model)
            cut = model if self.at is None else fnet.cut(model, outputs=self.at)
            self._model = (cut, params if self.at is None else fnet.pruned(cut, params))
        if self._plain():
            X, y = validate_data(self, X, y)  # noqa: N806
        check_classification_targets(y)
        head = LogisticRegression(max_iter=1000) if self.head is None else clone(self.head)
        self.head_ = head.fit(self._features(X), y)
        self.classes_ = self.head_.classes_
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """(rows, classes): the probability of each class."""
        check_is_fitted(self, "classes_")
        if self.head_ is None:
            assert self._model is not None
            return _probabilities(self._scores(X), final_activation(self._model[0]))
        return self.head_.predict_proba(self._features(self._checked(X)))

    def predict(self, X: Any) -> Any:  # noqa: N803
        """(rows,): the most probable class."""
        check_is_fitted(self, "classes_")
        if self.head_ is None:
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        return self.head_.predict(self._features(self._checked(X)))

    def _plain(self) -> bool:
        """Whether the model does not declare its inputs, so that X is any table of numbers."""
        return fnet.core.infer.input_spec(self._model[0]) is None if self._model else True

    def _checked(self, X: Any) -> Any:  # noqa: N803
        return validate_data(self, X, reset=False) if self._plain() else X

    def _features(self, X: Any) -> Any:  # noqa: N803
        if self._model is None:
            return X
        y = self._scores(np.asarray(X, np.float32) if self._plain() else X)
        return y.reshape(len(y), -1)

    def _scores(self, X: Any) -> Any:  # noqa: N803
        assert self._model is not None
        model, params = self._model
        return fnet.predict(model, params, self._scaling(X), batch_size=self.batch_size)


def _loaded(source: Any) -> tuple[Any, Any, dict[str, Any]]:
    """(model, params, labels and scale of a `.safetensors`) of a file or of (model, params)."""
    if isinstance(source, tuple | list):
        return source[0], source[1], {}
    if is_saved(source):
        return (*fnet.load(source), fnet.load_info(source))
    return (*fnet.load_keras(source), {})


def _probabilities(y: Any, activation: str) -> Any:
    """(rows, classes) from scores after an activation; a single unit is the second of two classes.

    Scores that are neither probabilities nor their logarithms count as logits, so that the classes are those of
    `fnet.classes`.
    """
    scores = np.asarray(y, np.float64).reshape(len(y), -1)
    single = scores.shape[1] == 1
    if activation in ("log_softmax", "log_sigmoid"):
        scores = np.exp(scores)
    elif activation not in PROBABILITIES:
        scores = 0.5 + 0.5 * np.tanh(scores / 2) if single else np.exp(scores - scores.max(axis=1, keepdims=True))
    if single:
        return np.concatenate([1 - scores, scores], axis=1)
    total = scores.sum(axis=1, keepdims=True)
    return np.divide(scores, total, out=np.full_like(scores, 1 / scores.shape[1]), where=total != 0)
