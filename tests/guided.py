"""The coverage-guided part of `tests.fuzz`, a process of its own: `python -m tests.guided TARGET FOLDER SECONDS SEED`.

libFuzzer (atheris) counts which branches of fnet and params a file takes, and FOLDER/corpus keeps each file that takes
a new one; the changes are its own and those of `tests.fuzz`, which know the structure of the files. FOLDER/suspects
gets one file for each kind of wrong result: the counters make all code slower, so `tests.fuzz` judges it again.
"""

from __future__ import annotations

import random
import sys
import zlib
from pathlib import Path

import atheris


def main() -> None:
    """Run until the time is over; libFuzzer ends the process."""
    target, folder, seconds, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    with atheris.instrument_imports(include=["fnet", "params"]):  # all along: layers are imported when a file has them
        from tests import fuzz

        change, load = fuzz.TARGETS[target]

        def judge(data: bytes) -> None:
            if (wrong := fuzz.outcome(load, data)) is not None:
                (folder / "suspects" / f"{zlib.crc32(wrong[:60].encode()):08x}").write_bytes(data)

        def changed(data: bytes, most: int, number: int) -> bytes:
            rng = random.Random(number)
            new = atheris.Mutate(data, most) if rng.random() < 0.2 else change(bytes(data), rng)
            return new if len(new) <= most else data

        options = {
            "max_total_time": seconds,
            "seed": seed,
            "max_len": fuzz.LARGEST,
            "timeout": 600,  # of the clock: the work is judged by `tests.fuzz`, and other processes may have the cores
            "rss_limit_mb": 4096,
        }
        flags = [f"-{key}={value}" for key, value in options.items()]
        atheris.Setup(
            [__file__, f"-artifact_prefix={folder}/", *flags, f"{folder}/corpus"], judge, custom_mutator=changed
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
