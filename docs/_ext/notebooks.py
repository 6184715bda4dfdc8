"""Notebooks as pages: their cells as Markdown; nothing is executed.

The tests execute the notebook, and the repository keeps it without results. So what is
left to show is text and code, for which MyST-NB would bring in the whole of Jupyter.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from myst_parser.parsers.sphinx_ import MystParser

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


def as_markdown(notebook: str) -> str:
    """Give the cells of a notebook as one page.

    Parameters
    ----------
    notebook
        The file's text: JSON, format 4.

    Returns
    -------
    str
        Markdown cells as they are, code cells fenced.

    Raises
    ------
    ValueError
        If a cell keeps results: they would silently be left out.
    """
    parts = []
    for cell in json.loads(notebook)["cells"]:
        text = "".join(cell["source"])
        if cell.get("outputs"):
            message = "the notebook keeps results, which the page would leave out"
            raise ValueError(message)
        code = cell["cell_type"] == "code"
        parts.append(f"```python\n{text}\n```" if code else text)
    return "\n\n".join(parts) + "\n"


class NotebookParser(MystParser):
    """Parser of ``.ipynb`` files."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse the cells of a notebook as MyST would parse their Markdown."""
        super().parse(as_markdown(inputstring), document)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the suffix and its parser."""
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
