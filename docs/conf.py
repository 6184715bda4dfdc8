"""The site: ``make docs`` writes it to ``build/docs``, and needs no network."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from blockseg import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "blockseg"
author = "The blockseg developers"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "notebooks",
    "repository_links",
]
exclude_patterns = ["_ext", "figures"]

# Where the repository can be looked at, with a branch: https://…/blob/main
repository = os.environ.get("BLOCKSEG_REPOSITORY", "").rstrip("/")

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
highlight_language = "none"

autodoc_typehints = "none"  # the docstrings say types where they matter
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "blockseg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5fa5",
        "color-brand-content": "#0b5fa5",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cc0f5",
        "color-brand-content": "#7cc0f5",
    },
}


def _tree_of_errors(
    _app: Sphinx, _kind: str, name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Show the tree in the docstring of the errors as it was typed."""
    if name == "blockseg.core.errors":
        first = next(n for n, line in enumerate(lines) if line.startswith("* "))
        last = max(n for n, line in enumerate(lines) if line.lstrip().startswith("* "))
        tree = [f"    {line}".replace("* ", "", 1) for line in lines[first : last + 1]]
        lines[first : last + 1] = ["::", "", *tree, ""]


def _own_signature(
    _app: Sphinx, _kind: str, _name: str, shown: Any, *_rest: Any
) -> tuple[str, str] | None:
    """Show the parameters that a function declares, and ``**options`` for the others."""
    if not hasattr(shown, "__signature__"):
        return None
    signature = inspect.signature(shown)
    declared = shown.__code__.co_varnames
    own = [p for name, p in signature.parameters.items() if name in declared]
    options = inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in [*own, options]]
    signature = inspect.Signature(plain)
    return str(signature), ""


def setup(app: Sphinx) -> None:
    """Connect what belongs to these pages alone."""
    app.connect("autodoc-process-docstring", _tree_of_errors)
    app.connect("autodoc-process-signature", _own_signature)
