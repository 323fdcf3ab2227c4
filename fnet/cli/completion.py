"""`fnet completion`: commands, options and files by the Tab key."""

from __future__ import annotations

import argparse
import functools
import importlib
from typing import Any

DESCRIPTION = """Print what makes a shell complete fnet's commands, options and files. Once, in a shell's start-up file:
  bash: eval "$(fnet completion bash)" in ~/.bashrc
  zsh:  fnet completion zsh > ~/.zsh/completions/_fnet, a folder that is in fpath
  fish: fnet completion fish > ~/.config/fish/completions/fnet.fish"""
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def add(commands: Any, top: argparse.ArgumentParser) -> None:
    """Add the command. top: the parser of all commands."""
    command = commands.add_parser(
        "completion",
        help="completion for a shell",
        description=DESCRIPTION,
        epilog="example:\n  fnet completion bash",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("shell", choices=SHELLS, help="the shell")
    command.set_defaults(run=functools.partial(_run, top))


def _run(top: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    import shtab

    _prepare(top, shtab.FILE)
    print(shtab.complete(top, args.shell))
    return 0


def _prepare(parser: argparse.ArgumentParser, files: Any) -> None:
    """Every command with its arguments, and files for those that name one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                if (module := command.get_default("module")) is not None:
                    importlib.import_module(module).add_arguments(command)
                _prepare(command, files)
        elif action.dest in ("model", "inputs", "output", "labels", "data", "report"):
            vars(action)["complete"] = files
