"""Import Keras on TensorFlow without the lines that TensorFlow's C++ code writes while it loads."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Discard what is written to file descriptor 2: the lines come from C++, before logging is set up."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def import_keras(threads: int | None = None) -> None:
    """Import Keras on TensorFlow, which then runs on `threads` threads (None: all cores).

    The threads are set here because importing Keras starts TensorFlow, after which they are fixed.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # real errors are raised in Python
    with _no_stderr():
        import tensorflow as tf

        tf.zeros(1)  # the first tensor writes the last of these lines
        if threads is not None and "keras" not in sys.modules:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        import keras  # noqa: F401

        tf.get_logger().setLevel("ERROR")  # hides hints about retracing and the like, which nobody can act on
