"""The reference of the site, made from the code when the site is built: `pages()` returns {name: Markdown}.

Sphinx writes them to docs/reference, which is not committed; `python docs/reference_pages.py` does the same.
"""

import argparse
import contextlib
import importlib
import inspect
import io
import os
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fnet
from fnet import cli, layers, operations

HERE = Path(__file__).parent
GROUPS = {
    "Files": "load_keras load_weights from_keras load load_info save to_keras verify explain Explanation Limits",
    "Running": "predict in_predict compile jit optimize classes streaming initial_state",
    "Composing": "bind sequential graph at masked_by run Bound Sequential Graph Masked Param Spec",
    "Layers of your own": "layer Entrance Rounding",
    "Looking": "summary plot show activations infer trace",
    "Parameters": "init check merge partition with_rng cut pruned",
    "Text": "pack_strings unpack_strings vocabulary_params",
    "Modules": "activation_functions layers operations random",
}
"""Other names come last, under "More"; errors have their own page."""
SECTION = re.compile(r"(?P<key>[\w`/]+(?: \w+)?): ")
FENCE = "`" * 3
FUNCTION_FENCE = "`" * 4


def pages() -> dict[str, str]:
    """{file name: Markdown} of the whole reference."""
    return {
        "api.md": api_page(),
        "errors.md": errors_page(),
        "command-line.md": command_line_page(),
        "operations.md": family_page(
            "Operations", "fnet.operations", operations.FAMILIES, inspect.getdoc(operations) or ""
        ),
        **{f"layers-{family}.md": text for family, text in layer_pages()},
    }


def write() -> None:
    """Write the pages that have changed."""
    folder = HERE / "reference"
    folder.mkdir(exist_ok=True)
    texts = pages()
    for stale in {path.name for path in folder.glob("*.md")} - set(texts):
        (folder / stale).unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def described_names() -> set[str]:
    """The full names that are in the reference."""
    return {name for text in pages().values() for name in re.findall(r"\{py:\w+\} (fnet[\w.]*)", text)}


# --- pages -----------------------------------------------------------------------------------------


def is_error(name: str) -> bool:
    value = getattr(fnet, name)
    return isinstance(value, type) and issubclass(value, Exception)


def api_page() -> str:
    """The page of every name in `fnet.PUBLIC` that is not an error."""
    groups = {title: [name for name in names.split() if name in fnet.PUBLIC] for title, names in GROUPS.items()}
    rest = sorted({name for name in fnet.PUBLIC if not is_error(name)} - {name for g in groups.values() for name in g})
    body = [section(title, "fnet", names) for title, names in {**groups, "More": rest}.items() if names]
    return "\n".join(
        [
            "# Functions",
            "The public functions and classes, by use. Layers and operations have pages of their own.",
            *body,
        ]
    )


def errors_page() -> str:
    """The page of errors and warnings, each after its base class."""
    errors = sorted((name for name in fnet.PUBLIC if is_error(name)), key=lambda name: len(getattr(fnet, name).__mro__))
    lead = (
        "Loaders raise `fnet.ModelFileError` and nothing else, whatever the bytes of a file. `fnet.InvalidInput` and "
        "`fnet.InvalidParams` are about what a caller hands to a model. Messages say the rule, what was got, what was "
        "expected, and the likely fix."
    )
    return f"# Errors\n\n{lead}\n\n" + "\n".join(described("fnet", name) for name in errors)


def layer_pages() -> Iterator[tuple[str, str]]:
    for family, names in layers.FAMILIES.items():
        doc = inspect.getdoc(importlib.import_module(f"fnet.layers.{family}")) or ""
        title = family.replace("_layers", "").replace("_", " ").capitalize()
        yield family, f"# {title}\n\n{prose(doc)}\n\n" + "\n".join(described("fnet", name) for name in names.split())


def family_page(title: str, module: str, families: dict[str, str], doc: str) -> str:
    body = [section(family.replace("_", " "), module, names.split()) for family, names in families.items()]
    return "\n".join([f"# {title}", prose(doc), *body])


def command_line_page() -> str:
    """The page of the command line: the output of every command for `--help`."""
    top = help_of()
    commands = next(a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    parts = ["# Command line", f"{FENCE}text\n{top}{FENCE}\n"]
    for command in commands:
        text = help_of(command)
        parts.append(f"## `fnet {command}`\n\n{FENCE}text\n{text}{FENCE}\n")
        for action in re.findall(r"^    (\w+) ", text.partition("\nactions:\n")[2].partition("\n\n")[0], re.MULTILINE):
            parts.append(f"### `fnet {command} {action}`\n\n{FENCE}text\n{help_of(command, action)}{FENCE}\n")
    return "\n".join([*parts, (HERE / "exit-status.txt").read_text("utf-8")])


def help_of(*command: str) -> str:
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "88"
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
            cli.main([*command, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())


# --- names -----------------------------------------------------------------------------------------


def section(title: str, module: str, names: Iterable[str]) -> str:
    return f"## {title[0].upper()}{title[1:]}\n\n" + "\n".join(described(module, name) for name in names)


def described(module: str, name: str) -> str:
    """A function, class or module as a directive of Sphinx, its docstring as Markdown."""
    value = getattr(importlib.import_module(module), name)
    doc = prose(inspect.getdoc(value) or "")
    if inspect.ismodule(value):
        end = f"{FENCE}{{py:currentmodule}} None\n{FENCE}"
        return f"{FENCE}{{py:module}} {module}.{name}\n{FENCE}\n\n**{module}.{name}**: {doc}\n\n{end}\n"
    kind = "exception" if inspect.isclass(value) and issubclass(value, Exception) else "class"
    kind = kind if inspect.isclass(value) else "function"
    base = f"*{value.__base__.__name__}.* " if kind == "exception" else ""
    return f"{FUNCTION_FENCE}{{py:{kind}}} {module}.{name}{signature(value, kind)}\n{base}{doc}\n{FUNCTION_FENCE}\n"


def signature(value: Any, kind: str) -> str:
    """Parameters and defaults; types are in the text."""
    if kind == "exception":
        return ""
    try:
        known = inspect.signature(value)
    except (TypeError, ValueError):
        return "()"
    bare = [p.replace(annotation=p.empty, default=shown(p.default)) for p in known.parameters.values()]
    return re.sub(r"\s*\n\s*", " ", str(inspect.Signature(bare)))


class Shown(str):
    """The text of a default, as its own repr."""

    __repr__ = str.__str__


def shown(default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return default
    return Shown(getattr(default, "__name__", None) or repr(default).split(" at 0x")[0].replace("'", '"'))


# --- docstrings ------------------------------------------------------------------------------------


def prose(doc: str) -> str:
    """A docstring as Markdown: examples and indented formulas as blocks, `params:` and the like as paragraphs."""
    blocks = (block.strip("\n") for block in re.split(r"\n\s*\n", doc.strip("\n")))
    return "\n\n".join(block_of(block) for block in blocks if block.strip())


def block_of(block: str) -> str:
    if block.lstrip().startswith(">>>"):
        return f"{FENCE}python\n{textwrap.dedent(block)}\n{FENCE}"
    if all(line.startswith("    ") for line in block.splitlines()):
        return f"{FENCE}text\n{textwrap.dedent(block)}\n{FENCE}"
    lines: list[str] = []
    for line in block.splitlines():
        key = SECTION.match(line)
        if key and (key["key"] in ("Mask", "Errors", "Source") or key["key"][0].islower() or key["key"][0] == "`"):
            lines.append(f"\n**{key['key']}**: {escaped(line[key.end() :])}")
        else:
            lines.append(escaped(line.strip()))
    return "\n".join(lines).strip()


def escaped(line: str) -> str:
    """A line of a docstring with Markdown's special characters escaped, except in code between backticks."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]|~#$\\])", r"\\\1", part) for part in parts)


if __name__ == "__main__":
    write()
