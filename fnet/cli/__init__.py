"""The command line `fnet`: the outermost shell. Each command imports what it needs; nothing imports this."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from fnet import __version__, starting
from fnet.cli import activations, completion, convert, doctor, explain, export, layers, plot, predict, summary, verify
from fnet.cli.common import UsageError, near
from fnet.errors import needing, printable

log = logging.getLogger("fnet")

COMMANDS = (predict, explain, plot, activations, verify, convert, export, summary, layers, doctor, completion)
"""Modules with HELP, DESCRIPTION and EPILOG, `add_arguments(parser)`, and `run(args)`, which returns an exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit status: 0 done, 1 failed or parity did not hold, 2 wrong usage, 130 Ctrl-C."""
    _prepare_streams()
    top = parser()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        top.print_help(sys.stderr)
        return 2
    args, rest = _parsed(top, words)
    _log(logging.DEBUG if args.verbose else logging.ERROR if args.quiet else logging.INFO)
    try:
        starting.over()
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            status = int(args.delegated(rest) if hasattr(args, "delegated") else args.run(args))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `fnet layers | head`: the reader has enough; the flush at exit must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        log.error("%s", error)
        return 2
    except ModuleNotFoundError:  # a fault, not a package that is not installed, which is a MissingExtra
        raise
    except (ValueError, OSError, ImportError) as error:
        if args.verbose:
            raise
        log.error("%s", "\n  ".join([_said(error), *getattr(error, "__notes__", [])]))
        return 1
    except KeyboardInterrupt:
        return 130


def _log(level: int) -> None:
    """Write what is logged to standard error: of our packages from `level` on, of libraries errors alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("fnet: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    for name in ("fnet", "compare", "train_keras"):
        logging.getLogger(name).setLevel(level)


def _parsed(top: argparse.ArgumentParser, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and those for a command of another package; exits the process for wrong ones."""
    first = next((word for word in words if not word.startswith("-")), "")
    if Path(first).suffix:
        top.error(f"a command comes first: fnet predict {printable(first)}, or explain, verify, ... (fnet --help)")
    args, rest = top.parse_known_args(words)
    if hasattr(args, "inputs"):  # argparse takes only those next to the model, not those after an option
        args.inputs += [word for word in rest if word == "-" or not word.startswith("-")]
        rest = [word for word in rest if word not in args.inputs]
    if rest and not hasattr(args, "delegated"):
        hint = f"; a file to write is --output {rest[0]}" if hasattr(args, "output") and rest[0][0] != "-" else ""
        args.error(f"unrecognized arguments: {printable(' '.join(rest) + hint)}")
    return args, rest


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as a line like any other, without its place in the code."""
    log.warning("%s", message)


class _Printable(logging.Formatter):
    """Messages without control codes, which names of files may contain."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


class _Closed(io.TextIOBase):
    """The standard output of a process that was started without one."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed, so there is nowhere to print to")


def _prepare_streams() -> None:
    """Reserve the file descriptors of closed standard streams, so that no file gets one, and raise where a closed one
    is written to; make the others UTF-8, like files, whatever the locale."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    if sys.stdout is None:
        sys.stdout = _Closed()
    for stream, encoding, errors in ((sys.stdin, "utf-8-sig", "strict"), (sys.stdout, "utf-8", "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=errors)


def parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    top = argparse.ArgumentParser(
        prog="fnet",
        description="Run, read and trust a trained Keras model without Keras.",
        epilog="Exit status: 0 done, 1 it did not work (or parity did not hold), 2 wrong usage, 130 Ctrl-C. "
        "FNET_BACKEND=jax runs the same commands on JAX. `fnet COMMAND --help` explains a command.",
    )
    top.add_argument("--version", action="version", version=f"fnet {__version__}")
    _add_loudness(top, False)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        _add_loudness(command, argparse.SUPPRESS)  # keeps what was given before the command
        command.set_defaults(run=module.run, parser=top, error=command.error)
    for name, package, words in (
        ("demo", "compare.demo", "train three small models on embedded data, run them without Keras, compare"),
        ("train", "train_keras.cli", "train one of the report's models with Keras"),
        ("compare", "compare.cli", "Keras next to fnet on one model file and the same rows"),
        ("study", "compare.studies.study", "the hyperparameter studies: list, run, report"),
    ):
        _delegate(commands, name, package, words)
    return top


def _add_loudness(command: argparse.ArgumentParser, default: Any) -> None:
    loudness = command.add_mutually_exclusive_group()
    loudness.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="debug messages, and tracebacks for errors"
    )
    loudness.add_argument("-q", "--quiet", action="store_true", default=default, help="errors only, no progress")


def _said(error: Exception) -> str:
    """The message of an error; for one of the operating system, file and reason without its number."""
    if isinstance(error, OSError) and error.strerror:
        hint = near(os.fsdecode(error.filename)) if isinstance(error, FileNotFoundError) and error.filename else ""
        return f"{error.filename}: {error.strerror}{hint}" if error.filename else error.strerror
    return str(error)


def _delegate(commands: Any, name: str, module: str, words: str) -> None:
    """Add a command from another package; its module is imported when the command is used."""

    def run(arguments: list[str]) -> int:
        import importlib

        with needing("keras", f"fnet {name}"):
            implementation = importlib.import_module(module)
            own = argparse.ArgumentParser(prog=f"fnet {name}", description=implementation.__doc__)
            implementation.add_arguments(own)
            return int(implementation.run(own.parse_args(arguments)))

    commands.add_parser(name, help=words, add_help=False).set_defaults(delegated=run, module=module)
