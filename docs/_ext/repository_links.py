"""Links of pages to files of the repository that are no pages.

Pages are read in the repository as well as on the site, so they link to code, tests and
results by relative paths. On the site such a link leads to the repository's own view of
the file where its address is known (``repository`` in ``conf.py``), and is text that
shows the path under the mouse where it is not. A path that leads nowhere is a warning, as any other
broken link is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LOGGER = logging.getLogger(__name__)


class RepositoryLinks(SphinxTransform):
    """Turns links that leave the folder of the pages."""

    default_priority = 400

    def apply(self, **_kwargs: Any) -> None:
        """Replace each of them in the page that was just read."""
        pages = Path(self.env.srcdir).resolve()
        folder = (pages / self.env.docname).parent
        kinds = (addnodes.download_reference, addnodes.pending_xref)
        for link in list(self.document.findall(lambda node: isinstance(node, kinds))):
            target = str(link.get("reftarget", ""))
            if link.get("reftype") != "myst" or target.startswith("#"):
                continue
            # A page is named from the folder of the pages, all else from the page itself.
            start = pages if link.get("refdomain") == "doc" else folder
            path = (start / target.partition("#")[0]).resolve()
            if path.is_relative_to(pages):
                continue
            if link.get("refdomain") == "doc" and not path.exists():
                path = path.with_name(f"{path.name}.md")
            self._replace(link, path, pages.parent)

    def _replace(self, link: nodes.Element, path: Path, root: Path) -> None:
        """Put an address, or the text with the path to hover over, in its place."""
        children = [child.deepcopy() for child in link.children]
        if not path.is_relative_to(root) or not path.exists():
            _LOGGER.warning(
                "broken link: %s is not in the repository",
                link["reftarget"],
                location=link,
                type="repository_links",
            )
            link.replace_self(children)
            return
        inside = path.relative_to(root).as_posix()
        repository = self.config.repository
        put: nodes.Element
        if repository:
            put = nodes.reference(refuri=f"{repository}/{inside}")
        else:
            put = nodes.abbreviation(explanation=inside)
        put += children
        link.replace_self(put)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the transform and its setting."""
    app.add_config_value("repository", "", "env", types=(str,))
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
