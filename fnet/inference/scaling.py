"""What is done to the numbers of rows before a model sees them: pixels of 0 to 255 become what it was trained on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnet import tree


class Scaling(NamedTuple):
    """scale * x + offset in float32, of what is not None; texts stay as they are."""

    scale: float | None
    offset: float | None

    def __call__(self, x: Any) -> Any:
        return x if self == (None, None) else tree.map(self._scaled, x)

    def _scaled(self, a: Any) -> Any:
        a = np.asarray(a)
        if a.dtype.kind in "USO":
            return a
        scale, offset = (1.0 if self.scale is None else self.scale), self.offset or 0.0
        return a.astype(np.float32) * np.float32(scale) + np.float32(offset)
