"""While the command line `fnet` starts, Ctrl-C and a wrong backend end it at once, without a traceback, as later.

Importing this module is enough. It changes nothing in any other process.
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
    """Let Ctrl-C end the process during imports, unless a shell runs it in the background, and skip the last garbage
    collection at its end, which takes 20 ms."""
    if is_command() and threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        atexit.register(gc.freeze)


def over() -> None:
    """Called after the imports: the command handles Ctrl-C itself."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def refuse(error: Exception) -> None:
    """End the command line with one line; any other process continues."""
    if is_command():
        print(f"fnet: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


begin()
