"""Small studies on the embedded data in place of the real table; `python -m tests.tiny_studies` is `fnet study`."""

import argparse
import logging
import sys

from train_keras import architectures, studies
from train_keras.config import Config


def _cnn(**changed):
    return Config(
        "cnn", architectures.options("cnn", **({"filters": (4, 4), "dense": 8} | changed)), epochs=2, batch_size=64
    )


def _rnn(**changed):
    small = {"units": 4, "embedding": 4, "tokens": 200, "length": 12, "layers": 1}
    return Config("rnn", architectures.options("rnn", **(small | changed)), epochs=2, patience=1)


TINY = (
    studies.Study(
        "cnn.pooling", "Maximum or average?", "reported", {"max": _cnn(), "average": _cnn(pooling="average")}, 3
    ),
    studies.Study(
        "rnn.direction.reported", "Both directions?", "reported", {"uni": _rnn(bidirectional=False), "bi": _rnn()}, 5
    ),
)


def install(setitem=dict.__setitem__, delitem=dict.__delitem__):
    """Replace the table of studies, in place; the arguments are methods of a monkeypatch, which undoes it."""
    for name in reversed(list(studies.STUDIES)):  # a monkeypatch restores them in the opposite order
        delitem(studies.STUDIES, name)
    for study in TINY:
        setitem(studies.STUDIES, study.name, study)


def main(arguments):
    from compare.studies import study

    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser()
    study.add_arguments(parser)
    return study.run(parser.parse_args(arguments))


if __name__ == "__main__":
    install()
    sys.exit(main(sys.argv[1:]))
