"""`in_predict`: a model with the values of Keras's `predict`, where they differ from those of a call."""

from __future__ import annotations

from functools import partial
from typing import Any

from fnet.core.compose import with_each
from fnet.core.diagnosis import require_order
from fnet.core.layer import Bound, bind
from fnet.core.model import Model
from fnet.core.rules import rules_of
from fnet.latest import Latest
from fnet.layers import own_name

_results: Latest[int, tuple[Any, Any]] = Latest(8)
"""{id of a model: (the model, kept alive so that its id stays unique; as `predict` runs it)}."""


def in_predict(model: Any) -> Any:
    """The model that `predict`, `compile` and exports run: itself, except for integers into preprocessing layers.

    Those of Keras 3 take them as they come in `model(x)`, and cast them first in `predict`, `tf.function` and `export`,
    on TensorFlow: `resizing` does not round then, `random_brightness` and its like give floats. A layer declares
    what it is there (`fnet.core.rules.Rules.in_predict`), for an option that is None.

    >>> print(in_predict(bind(random_contrast)))
    bind(random_contrast, casts=True)
    """
    require_order("in_predict(model)", model)
    return _results.computed(id(model), lambda: (model, _in_predict(model, {})))[1]


def _in_predict(step: Any, known: dict[int, Any]) -> Any:
    """known: {id of a step: what it becomes}, as a step may be called often."""
    if id(step) in known:
        return known[id(step)]
    new = step
    if not isinstance(step, Model):
        bound = bind(step)
        if own_name(bound.function) == "time_distributed" and isinstance(bound.options["layer"], Bound):
            return step  # Keras goes around the casting of a layer directly in one
        options = {key: value for key, value in rules_of(bound).in_predict.items() if bound.all_options[key] is None}
        new = bind(bound, **options) if options else step
    new = with_each(new, partial(_in_predict, known=known))
    known[id(step)] = step if new == step else new
    return known[id(step)]
