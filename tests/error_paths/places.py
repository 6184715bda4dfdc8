"""Places of the code that make an error of blockseg, and those that tests have met."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "blockseg", ROOT / "cli")
KINDS = frozenset(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.BlocksegError)
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A call that makes an error."""

    file: str
    """Relative to the repository."""

    line: int
    """First of the call, from 1."""

    end: int
    """Last of the call."""

    kind: str
    """Class of the error."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def places() -> list[Place]:
    """List all places of the code that make an error of ours."""
    return sorted(
        Place(
            path.relative_to(ROOT).as_posix(), call.lineno, call.end_lineno or 0, kind
        )
        for folder in FOLDERS
        for path in folder.rglob("*.py")
        for call, kind in _made(ast.parse(path.read_text()))
    )


def _made(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else ""
            name = called.attr if isinstance(called, ast.Attribute) else name
            if name in KINDS:
                yield node, name


def met(folder: Path, found: Iterable[Place]) -> set[Place]:
    """Return the places that the notes of a folder name."""
    noted: dict[str, set[int]] = {}
    for path in folder.glob("*.txt"):
        for text in path.read_text().splitlines():
            file, _, line = text.rpartition(":")
            noted.setdefault(_relative(Path(file)), set()).add(int(line))
    return {
        place
        for place in found
        if any(place.line <= line <= place.end for line in noted.get(place.file, ()))
    }


def of_other_code(folder: Path, found: Iterable[Place]) -> str:
    """Say why the notes of a folder, made if missing, cannot be counted; else empty.

    Notes are line numbers: of code that has changed since they say nothing.
    """
    now = hashlib.sha256("\n".join(map(repr, found)).encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "places.sha256"
    if not mark.exists():
        mark.write_text(now)
    if mark.read_text() == now:
        return ""
    return f"the notes in {folder} are of other code: begin another folder"


def _relative(file: Path) -> str:
    """Return where a file stands in the repository, by whatever link it was imported."""
    file = file.resolve()
    return file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else ""


def table(found: Iterable[Place], seen: set[Place]) -> str:
    """Return shares by package, and what no test has met, as Markdown."""
    found = list(found)
    every, some = Counter(map(_package, found)), Counter(map(_package, seen))
    lines = ["| package | places | met by a test |", "|---|---|---|"]
    lines += [f"| {name} | {every[name]} | {some[name]} |" for name in sorted(every)]
    lines += [f"| **all** | {len(found)} | {len(seen)} |", ""]
    lines += [f"- `{place}` {place.kind}" for place in found if place not in seen]
    return "\n".join(lines)


def _package(place: Place) -> str:
    parts = place.file.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]
