"""How a class of `keras.ops` becomes a row of the table.

In a functional model an operation on symbolic tensors is an entry beside the layers. Its config holds the
arguments of the constructor; those of the call are in the node. A literal among the latter that fnet has as an
option (the key of GetItem) becomes that option; tensors and other numbers flow, in the order of the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from params.table.layers import Entry

Config = dict[str, Any]


def op(
    layer: Callable[..., Any],
    call: tuple[str, ...] | None = None,
    options: Callable[[Config], Config] | None = None,
    false: tuple[str, ...] = (),
) -> Entry:
    """The row of an operation; `call` names the arguments of the Keras call where fnet's differ, `false` the
    keys of the config that must be false or null.
    """
    names = vars(layer)["arguments"]
    several = len(names) > 1 or names[0].startswith("*")
    arguments = call or (() if names[0].startswith("*") else names)
    return Entry(
        layer,
        options,
        arguments=arguments,
        inputs=in_order(names) if several else None,
        neutral=dict.fromkeys(false, (False,)),
    )


def in_order(names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """What makes the tuple of a call's tensors and numbers: None for those left out, unless nothing follows."""

    def arrange(given: dict[str, Any]) -> tuple[Any, ...]:
        if names[0].startswith("*"):
            return tuple(given.values())
        values = list(given.values()) if set(given) - set(names) else [given.get(name) for name in names]
        while values and values[-1] is None:
            values.pop()
        return tuple(values)

    return arrange


def renamed(config: Config, **names: str) -> Config:
    """`config` with keys renamed."""
    return {names.get(key, key): value for key, value in config.items()}
