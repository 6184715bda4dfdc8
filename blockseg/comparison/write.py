"""Writing of a comparison's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.outputs import absolute
from blockseg.comparison.page import compared_page
from blockseg.core.errors import VolumeError
from blockseg.io.output.atomic_files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.comparison.run import Compared

FILE = "compare.html"
"""Name of the page, in the folder of the user, if no other is given."""


def page_target(name: str | None) -> Path:
    """Return where the page goes, after checking that it can go there.

    Raises
    ------
    VolumeError
        If there is no such folder, or it is a folder itself.
    """
    target = absolute(name or FILE)
    if not target.parent.is_dir() or target.is_dir():
        what = "it is a folder" if target.is_dir() else f"{target.parent} is none"
        message = f"--output {target} cannot be written: {what}; name a file"
        raise VolumeError(message)
    return target


def write_comparison(found: Compared, target: Path) -> None:
    """Write the page of a comparison.

    Raises
    ------
    VolumeError
        If an image cannot be read, or the page not be written.
    """
    replace_file(target, compared_page(found).encode())
