"""Paths spelt as ``file:`` URIs (RFC 8089)."""

from __future__ import annotations

import re
from urllib.parse import unquote

from blockseg.core.errors import VolumeError

_URI = re.compile(
    r"file:(?://(?P<host>[^/]*))?(?P<path>/.*)?", re.IGNORECASE | re.DOTALL
)
_HERE = ("", "localhost")


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
