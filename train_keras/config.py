"""The configuration of a run, and when it stops early."""

from __future__ import annotations

import math
from dataclasses import dataclass

from train_keras import architectures
from train_keras.arrangement import ARRANGEMENTS

RECIPES = {
    "adam": "Adam at the learning rate, on the images as they are",
    "one-cycle": "Nesterov's momentum of 0.9; the rate climbs for a fifth of the steps, then falls along a cosine; "
    "weight decay of 0.005; labels smoothed by 0.1; images mirrored and shifted by up to 4 whole pixels",
}
"""{name: its meaning}."""


@dataclass(frozen=True)
class Config:
    """Everything besides the data that determines the result of a run.

    patience: None trains all epochs. decay: the learning rate falls to zero along half a cosine. rows: which rows train
    (`train_keras.arrangement`). average: None keeps the weights of the last step, a number their exponential
    moving average over the steps, with that momentum. recipe: one of RECIPES; the second one is for images.
    """

    family: str
    options: architectures.Options
    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    seed: int = 0
    patience: int | None = None
    decay: bool = False
    rows: str = "official"
    average: float | None = None
    recipe: str = "adam"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")
        if self.rows not in ARRANGEMENTS:
            raise ValueError(f"rows {self.rows!r}; use one of {', '.join(ARRANGEMENTS)}")
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe {self.recipe!r}; use one of {', '.join(RECIPES)}")
        if self.recipe != "adam" and (self.options.kind != "images" or self.decay):
            raise ValueError(f"recipe {self.recipe!r} is for images, and has a falling rate of its own")
        if self.rows == "all" and self.patience is not None:
            raise ValueError("rows 'all' leaves none to decide when training stops: leave out patience")
        if self.average is not None and not 0 < self.average < 1:
            raise ValueError(f"average is a momentum between 0 and 1, got {self.average}")

    def best_epoch(self, history: list[dict[str, float]]) -> int:
        """The epoch whose weights are kept: the last, or with patience the first of lowest validation loss.

        A function of the history alone, like `stops_after`, so that a resumed run decides the same.
        """
        if self.patience is None:
            return len(history)
        losses = [record["val_loss"] for record in history]
        return losses.index(min(losses)) + 1

    def stops_after(self, history: list[dict[str, float]]) -> bool:
        """Whether training ends early here."""
        if self.patience is None or not history:
            return False
        return len(history) - self.best_epoch(history) >= self.patience
