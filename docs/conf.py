"""The configuration of the site, which `make docs` builds. Warnings are errors, so every link must lead somewhere."""

import importlib.util
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import reference_pages  # next to this file

LOG = logging.getLogger(__name__)
DESCRIBED = reference_pages.described_names()

project = "fnet"
copyright = "the authors of fnet; Apache-2.0"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
root_doc = "index"
exclude_patterns = ["results/figures", "try"]
nitpicky = True
smartquotes = False  # quotes of code in docstrings are code
html_theme = "pydata_sphinx_theme"
html_title = "fnet"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_search_scorer = str(HERE / "search.js")
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
NAME = re.compile(r"(fnet\.(?:operations\.)?[a-zA-Z]\w*)(\(.*\))?")
PAGE = re.compile(r"\[([\w./-]+\.md)\]\((\1[^)]*)\)")
LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#:]+)(#[^)]*)?\)")


def link_names(app, doctree):
    """Link names such as `fnet.predict` in a text to the reference; an unknown name is a warning."""
    for literal in list(doctree.findall(nodes.literal)):
        name = NAME.fullmatch(literal.astext())
        if name is None or isinstance(literal.parent, nodes.reference | addnodes.pending_xref):
            continue
        if name[1] not in DESCRIBED:
            if not exists(name[1]):
                LOG.warning("there is no %s", name[1], location=literal)
            continue
        link = addnodes.pending_xref(
            "", refdomain="py", reftype="obj", reftarget=name[1], refexplicit=True, refdoc=app.env.docname
        )
        literal.replace_self(link)
        link += literal


def exists(name):
    """Whether a dotted name is a module or an attribute of one."""
    module, _, last = name.rpartition(".")
    return hasattr(importlib.import_module(module), last) or importlib.util.find_spec(name) is not None


def mend_links(app, name, source):
    """Show the title of a page in a link that shows its name; make links out of docs, such as `../examples`, paths."""
    folder = (HERE / name).parent

    def plain(link):
        path = (folder / link[2]).resolve()
        if path.is_relative_to(HERE) or not path.exists():
            return link[0]
        words, place = link[1].strip("`"), path.relative_to(HERE.parent).as_posix()
        return f"`{place}`" if words in place else f"{link[1]} (`{place}`)"

    source[0] = PAGE.sub(r"[](\2)", LINK.sub(plain, source[0]))


def trim_code(app, doctree):
    """Remove the blank line at the end of an example, which only doctest needs."""
    for block in doctree.findall(nodes.literal_block):
        block.rawsource = block.astext().rstrip()
        block.children[:] = [nodes.Text(block.rawsource)]


def leave_out_of_search(app, doctree):
    """Leave the pages of single studies out of the search: their tables would hide what people look for."""
    page = app.env.docname
    if page.startswith("results/") and page != "results/README":
        app.env.metadata[page]["nosearch"] = True


def setup(app):
    app.connect("builder-inited", lambda app: reference_pages.write())
    app.connect("source-read", mend_links)
    app.connect("doctree-read", link_names)
    app.connect("doctree-read", trim_code)
    app.connect("doctree-read", leave_out_of_search)
