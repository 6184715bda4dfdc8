"""JSON that somebody else wrote, of bounded depth and size once it is parsed."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from blockseg.core.errors import BlocksegError

_DEEPEST = 100
"""Lists and tables inside each other; metadata of images have ten."""

_MOST_PARTS = 500_000
"""Lists and tables in all: each takes as many bytes as two hundred in the text."""

MALFORMED = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""Errors of code that takes a document of another form for what it expects."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def parse_json(text: str | bytes) -> Any:
    """Return the values of a JSON document.

    Parameters
    ----------
    text
        The document; bytes in UTF-8, 16 or 32.

    Raises
    ------
    ValueError
        If it is no JSON, says a key twice, or is nested so deep or in so many parts that
        no honest writer made it.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    _require_modest(text.encode("utf-8", "surrogatepass"))
    try:
        return json.loads(text, object_pairs_hook=_table)
    except RecursionError as error:  # in a process with little room on its stack
        message = "it is nested too deep"
        raise ValueError(message) from error


def shortened(error: Exception) -> str:
    """Return what is wrong with a document, of the error that reading it gave, in a line.

    Python's names of errors tell nothing to whoever has to correct the document.
    """
    words = " ".join(_plainly(error).split())
    # Not what a terminal would take for orders.
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _plainly(error: Exception) -> str:
    match error:
        case KeyError(args=[name, *_]):
            return f"{name!r} is missing or unknown"
        case OSError() if error.strerror:
            return error.strerror
        case IndexError():
            return "a list in it is too short"
        case TypeError() | AttributeError():
            return f"a value in it is of another type than it must be: {error}"
        case BlocksegError() | ValueError() if str(error):
            return str(error)
    return repr(error)


def _require_modest(raw: bytes) -> None:
    bare = np.frombuffer(_STRING.sub(b"", raw), np.uint8)
    opens = (bare == ord("[")) | (bare == ord("{"))
    closes = (bare == ord("]")) | (bare == ord("}"))
    parts = int(np.count_nonzero(opens))
    if parts > _MOST_PARTS:
        message = f"it holds {parts} lists and tables, more than {_MOST_PARTS}"
        raise ValueError(message)
    if parts <= _DEEPEST:
        return
    depth = np.cumsum(opens.astype(np.int32) - closes).max()
    if depth > _DEEPEST:
        message = f"it is nested {depth} deep, more than {_DEEPEST}"
        raise ValueError(message)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # readers disagree on which of them counts
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        message = f"it says {twice[:40]!r} twice"
        raise ValueError(message)
    return found
