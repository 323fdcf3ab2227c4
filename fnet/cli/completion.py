"""`fnet completion`: commands, options and files by the Tab key."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from fnet.errors import needing

HELP = "completion for a shell"
DESCRIPTION = """Print the script that completes fnet's commands, options and files. Add to the shell's start-up file:
  bash: eval "$(fnet completion bash)" in ~/.bashrc
  zsh:  fnet completion zsh > ~/.zsh/completions/_fnet, a folder that is in fpath
  fish: fnet completion fish > ~/.config/fish/completions/fnet.fish"""
EPILOG = "example:\n  fnet completion bash"
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=SHELLS, help="the shell")


@needing("completion", "fnet completion")
def run(args: argparse.Namespace) -> int:
    import shtab

    _prepare(args.parser, shtab.FILE)
    print(shtab.complete(args.parser, args.shell))
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
