"""While the command line `fnet` starts, Ctrl-C and a wrong backend end it as later: without a traceback; it ends at
once. No other process is touched.

To import this module is enough.
"""

from __future__ import annotations

import atexit
import gc
import signal
import sys
import threading


def is_command() -> bool:
    """Whether this process is the command line, as `fnet` or as `python -m fnet`."""
    program = sys.argv[0].replace("\\", "/").rpartition("/")[2] if sys.argv else ""
    return program in ("fnet", "fnet.exe") or (program == "-m" and "fnet" in sys.orig_argv)


def begin() -> None:
    """Let Ctrl-C end the process while the packages are imported, unless a shell lets it run in the background, and at
    its end let it go without a look for circles in what is left, which takes 20 ms."""
    if is_command() and threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        atexit.register(gc.freeze)


def over() -> None:
    """From here on the command handles Ctrl-C itself."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def refuse(error: Exception) -> None:
    """End the command line with one line; any other process goes on."""
    if is_command():
        print(f"fnet: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


begin()
