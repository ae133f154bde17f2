"""One site of the documents, the executed notebooks, every public name and every command: ``make docs``."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import jinja2
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import sakerepro
from sakerepro.experiment import Experiment

project = "sakerepro"
release = sakerepro.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb", "sphinx_argparse_cli"]

# The source is the checkout, so that a link that works on the repository's pages works here.
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*", "results/*/*.ipynb", "sakerepro/models/*/README.md"]
ROOT = Path(__file__).resolve().parent.parent
tables = [file for file in ROOT.glob("results/*/*.md") if not file.with_suffix(".ipynb").is_file()]
include_patterns += [str(file.relative_to(ROOT)) for file in tables]  # the others stand in their notebooks
exclude_patterns = ["results/*/*-claims.md", ".*", "build", "runs", "cache", "data", "collections"]

html_theme = "furo"
html_title = "sakerepro"
html_copy_source = False
html_show_copyright = False
templates_path: list[str] = []

nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, Any] = {}  # no page loads a script from elsewhere
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"

suppress_warnings = ["myst.header"]  # a table of results/ begins as a section
default_role = "code"  # one backtick, in the help of a flag
add_module_names = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "exclude-members": "set_fit_request, set_transform_request",  # scikit-learn adds them
}
maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"


def public() -> dict[str, list[str]]:
    """The public names of each module, as ``__init__.pyi`` lists them; none stands for all, of a public module."""
    stub = ast.parse(Path(sakerepro.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    found = {n.module: [a.name for a in n.names] for n in stub.body if isinstance(n, ast.ImportFrom)}
    rooms = [getattr(sakerepro, name).__name__ for name in (*found.pop(None), *found.pop("apps"))]
    modules = {f"sakerepro.{module}": names for module, names in found.items()}
    return {m: names for m, names in modules.items() if m not in rooms} | dict.fromkeys(rooms, [])


def kind(name: str) -> str:
    """What autodoc calls the sort of thing that a public name is."""
    value = getattr(sakerepro, name)
    return "function" if not isinstance(value, type) else "exception" if issubclass(value, Exception) else "class"


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """The page of the reference is a template."""
    if page == "docs/reference":
        source[0] = jinja2.Template(source[0]).render(modules=public(), kind=kind)


def describe(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """The settings of an experiment are described by their help."""
    if value is Experiment:
        lines += [f":param {f.name}: {f.metadata['help']}" for f in dataclasses.fields(Experiment)]


def mathml(writer: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Browsers know MathML; MathJax would be loaded from elsewhere."""
    writer.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", describe)
