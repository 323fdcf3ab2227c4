"""`show`: params as a readable tree of names, dtypes and shapes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from fnet import tree
from fnet.core.sources import describe
from fnet.errors import InvalidInput, printable
from fnet.records import dataclass
from fnet.types import Params


@dataclass(frozen=True, repr=False)
class Shown:
    """The result of `show`: its repr is the tree; in notebooks treescope draws it, if installed."""

    params: Params

    def __repr__(self) -> str:
        leaves = [leaf for leaf in tree.leaves(self.params) if hasattr(leaf, "shape")]
        count, size = sum(leaf.size for leaf in leaves), sum(leaf.nbytes for leaf in leaves)
        return "\n".join([*_lines(self.params, ""), f"total: {count:,} numbers, {size:,} bytes"])

    def _repr_html_(self) -> str:
        try:
            html: str = importlib.import_module("treescope").render_to_html(dict(self.params))
        except ModuleNotFoundError:
            from html import escape  # here, since it takes a millisecond to import

            return f"<pre>{escape(repr(self))}</pre>"
        return html


def show(params: Params) -> Shown:
    """The params of a model as a tree of names, dtypes and shapes, to look at.

    Raises InvalidInput for anything but a dict, such as a model.

    >>> show({"d": {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)}})
    d
      kernel: float64[3, 2]
      bias: float64[2]
    total: 8 numbers, 64 bytes
    """
    if not isinstance(params, Mapping):
        hint = "; a model shows itself: repr(model), or fnet.summary(model)" if callable(params) else ""
        raise InvalidInput(f"show takes params, a dict of arrays; got a {type(params).__name__}{hint}")
    return Shown(params)


def _lines(params: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, item in params.items():
        key = printable(str(name))
        if isinstance(item, Mapping) and item:
            yield f"{indent}{key}"
            yield from _lines(item, indent + "  ")
        else:
            yield f"{indent}{key}: {describe(item)}"
