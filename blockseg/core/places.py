"""Paths spelt as ``file:`` URIs (RFC 8089)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

_URI = re.compile(
    r"file:(?://(?P<host>[^/]*))?(?P<path>/.*)?", re.IGNORECASE | re.DOTALL
)
_HERE = ("", "localhost")


def refuse_no_text(path: Path) -> None:
    """Refuse a place whose name is no text: records could not say where they are.

    Raises
    ------
    VolumeError
        If the bytes of the name are no UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        message = f"the name {str(path)!r} is not valid UTF-8; choose another"
        raise VolumeError(message) from error


def local_path(text: str) -> str:
    """Return the path that a text names: of a ``file:`` URI, else the text as it is.

    ``file:///a%20b``, ``file://localhost/a%20b`` and ``file:/a%20b`` are ``/a b``; ``?``
    and ``#`` belong to the path.

    Raises
    ------
    VolumeError
        If a ``file:`` URI names another machine, or no absolute path.
    """
    if not re.match(r"file:/", text, re.IGNORECASE):
        return text
    match = _URI.fullmatch(text)
    host = "" if match is None else (match["host"] or "").lower()
    path = None if match is None else match["path"]
    if path is None or host not in _HERE:
        message = (
            f"{text} names no file of this machine; write file:///PATH with three slashes "
            "and an absolute path, or the path alone"
        )
        raise VolumeError(message)
    return unquote(path)
