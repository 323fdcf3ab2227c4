"""A check of the test for differences, on simulated trainings whose true difference is known.

`python -m compare.studies.simulation FILE` writes how often the test is wrong where there is no difference, and how
often it detects one. Each row has a difficulty, each training its luck, each configuration rows that suit it, and the
rest is chance: a row is right where the sum of these is positive.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compare.studies import statistics
from fnet import writing


@dataclass(frozen=True)
class Setting:
    """A simulated study: its size, and the standard deviations of the parts of a row's margin.

    mean: of the margins. seed: of a training over all rows. suited: of a configuration on a row.
    shift: the advantage of the better configuration where there is a difference.
    """

    name: str
    rows: int
    classes: int
    seeds: int
    mean: float
    seed: float
    shift: float
    row: float = 1.5
    suited: float = 0.5
    rest: float = 1.0


SETTINGS = (
    Setting("images, 10,000 rows, 3 seeds", 10_000, 10, 3, 1.0, 0.04, 0.1),
    Setting("texts, 400 rows, 5 seeds that vary much", 400, 3, 5, 0.1, 0.3, 0.6),
    Setting("texts, 400 rows, 5 seeds", 400, 3, 5, 1.1, 0.1, 0.35),
    Setting("texts, 400 rows, 10 seeds", 400, 3, 10, 1.1, 0.1, 0.35),
)


def drawn(setting: Setting, shift: float, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """(labels, classes predicted by one configuration, by the other), the latter two (seeds, rows)."""
    labels = rng.integers(0, setting.classes, setting.rows)
    taken_for = (labels + rng.integers(1, setting.classes, setting.rows)) % setting.classes
    row = setting.mean + setting.row * rng.standard_normal(setting.rows)
    found = []
    for more in (shift, 0.0):
        suited = setting.suited * rng.standard_normal(setting.rows)
        luck = setting.seed * rng.standard_normal((setting.seeds, 1))
        rest = setting.rest * rng.standard_normal((setting.seeds, setting.rows))
        found.append(np.where(row + more + suited + luck + rest > 0, labels, taken_for))
    return labels, found[0], found[1]


def simulate(setting: Setting, trials: int, seed: int = 0) -> dict[str, Any]:
    """How often a difference is significant at the 5% level: without a true one, and with that of the setting."""
    rng, found = np.random.default_rng(seed), {}
    for name, shift in (("null", 0.0), ("shifted", setting.shift)):
        tests = []
        for _ in range(trials):
            labels, first, second = drawn(setting, shift, rng)
            (pair,) = statistics.compare({"a": first, "b": second}, labels)
            tests.append((pair.difference, pair.p < statistics.LEVEL, pair.detectable, pair.low <= 0 <= pair.high))
        found[name] = np.mean(tests, axis=0)
    return {
        **asdict(setting),
        "trials": trials,
        "type I error": float(found["null"][1]),
        "true difference": float(found["shifted"][0]),
        "power": float(found["shifted"][1]),
        "detectable": float(found["shifted"][2]),
    }


def main(argv: list[str] | None = None) -> int:
    """Write the results of all settings as JSON."""
    parser = argparse.ArgumentParser(prog="python -m compare.studies.simulation", description=__doc__)
    parser.add_argument("file", type=Path, help="where the results go, .json")
    parser.add_argument("--trials", type=int, default=2000, metavar="N", help="of each setting (%(default)s)")
    args = parser.parse_args(argv)
    found = [simulate(setting, args.trials) for setting in SETTINGS]
    writing.write(args.file, (json.dumps(found, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
