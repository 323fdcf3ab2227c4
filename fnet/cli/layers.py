"""`fnet layers`: the conversion table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fnet.cli.common import log

HELP = "every Keras layer and operation: supported or refused, and why"
DESCRIPTION = "The conversion table: every public keras.layers class and keras.ops operation."
EPILOG = "example:  fnet layers conv2d"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", nargs="?", default="", help="only names that contain this (case does not matter)")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the same as JSON")
    form.add_argument("--markdown", action="store_true", help="the same as a Markdown page")
    command.add_argument("--refused", action="store_true", help="only refused ones")


def run(args: argparse.Namespace) -> int:
    from params.table.catalogue import catalogue

    part = args.name.lower()
    rows = [row for row in catalogue() if part in row.keras.lower() and not (args.refused and row.supported)]
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    elif args.markdown:
        print("\n".join(_markdown(rows)))
    else:
        for row in rows:
            print(f"{row.family:<14} {row.keras:<28} {row.fnet or 'refused':<32} {row.note}".rstrip())
    if not rows:
        log.error("no %slayer or operation of Keras has %r in its name", "refused " * args.refused, args.name)
    return 0 if rows else 1


def _markdown(rows: Sequence[Any]) -> Iterator[str]:
    """The table as a page, docs/layers.md."""
    from params.table.catalogue import NOTES

    yield "# Keras layers and operations in fnet\n"
    yield "Printed by `fnet layers --markdown` from the conversion table. The reference is Keras 3.15 on TensorFlow."
    family = None
    for row in rows:
        if row.family != family:
            family = row.family
            note = f"{NOTES[family]}\n\n" if family in NOTES else ""
            yield f"\n## {family}\n\n{note}| Keras | fnet | note |\n|---|---|---|"
        yield f"| {row.keras} | {f'`{row.fnet}`' if row.fnet else '**refused**'} | {row.note} |"
