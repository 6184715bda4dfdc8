"""Listing of many files with sizes and times, in threads, within a time."""

from __future__ import annotations

import itertools
import operator
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from blockseg.core.errors import VolumeError
from blockseg.io.ahead import batches, map_ahead
from blockseg.io.source_files.table import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from blockseg.io.layout import ArrayLayout

Row: TypeAlias = tuple[int, int, int]
"""Number, size in bytes (``ABSENT`` if there is none) and time in ns of a file."""

THREADS = 8
"""Folders looked at at the same time."""

_TOGETHER = 1000  # files of one folder that a thread looks at
_SECONDS = 10.0
_SECONDS_A_FILE = 1e-5  # for more than a million files
_MOST_SECONDS = 60.0

_T = TypeVar("_T")


class TooSlowError(Exception):
    """There are more files than can be looked at in the time."""


@dataclass(slots=True)
class Deadline:
    """Time that looking at files may take: 10 s, and longer for more than 10⁶."""

    clock: Callable[[], float] = time.monotonic
    found: int = 0
    """Files so far."""

    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @staticmethod
    def allowed(files: float) -> float:
        """Return the seconds that looking at so many files may take."""
        return min(max(_SECONDS, files * _SECONDS_A_FILE), _MOST_SECONDS)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self._started

    def check(self) -> None:
        """Raise TooSlowError if the time is over."""
        if self.elapsed > self.allowed(self.found):
            raise TooSlowError


def file_row(number: int, path: str | Path, folder: int | None = None) -> Row:
    """Return the row of one file, which need not exist.

    Parameters
    ----------
    number
        Of the file.
    path
        Where it lies.
    folder
        Descriptor of the folder that ``path`` is relative to, if it is.

    Raises
    ------
    VolumeError
        If nothing can be found out.
    """
    try:
        status = os.stat(path, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return number, ABSENT, 0
    except OSError as error:
        raise _unreadable(str(path), error) from error
    return number, status.st_size, status.st_mtime_ns


def rows_of(files: Iterable[tuple[int, Path]], deadline: Deadline) -> Iterator[Row]:
    """Yield the rows of numbered files.

    Raises
    ------
    TooSlowError
        If the time is over.
    """

    def look(some: Sequence[tuple[int, Path]]) -> list[Row]:
        return [file_row(number, path) for number, path in some]

    return _in_threads(look, batches(files, _TOGETHER), deadline)


def array_rows(
    layout: ArrayLayout,
    weights: Sequence[int],
    fixed: dict[int, int],
    deadline: Deadline,
) -> Iterator[Row]:
    """Yield the rows of an array's chunk files that exist, by listing its folders.

    Parameters
    ----------
    layout
        The array.
    weights
        What a file's place along each axis adds to its number.
    fixed
        Place along the axes on which only one is wanted.
    deadline
        When to give up.

    Raises
    ------
    TooSlowError
        If the time is over.
    """
    if not layout.keys.listed:
        return rows_of(_numbered(layout, weights, fixed), deadline)
    # What each part of a key adds; parts that are not here are of no wanted file.
    steps = [
        {
            str(place): place * weights[axis]
            for place in (
                [fixed[axis]] if axis in fixed else range(layout.file_counts[axis])
            )
        }
        for axis in layout.keys.order
    ]
    if layout.keys.separator != "/":
        return _flat(layout, steps, deadline)
    top = os.path.join(layout.folder, layout.keys.prefix.rstrip("/"))  # noqa: PTH118
    leaves: Iterator[tuple[str, int]] = iter([(top, 0)])
    for step in steps[:-1]:
        leaves = _inside(leaves, step, deadline)

    def look(some: Sequence[tuple[str, int]]) -> list[Row]:
        (leaf,) = some
        return _folder_rows(*leaf, steps[-1])

    return _in_threads(look, ([leaf] for leaf in leaves), deadline)


def _numbered(
    layout: ArrayLayout, weights: Sequence[int], fixed: dict[int, int]
) -> Iterator[tuple[int, Path]]:
    """Yield number and place of each chunk file that may exist."""
    spans = [
        range(fixed[axis], fixed[axis] + 1) if axis in fixed else range(count)
        for axis, count in enumerate(layout.file_counts)
    ]
    for place in itertools.product(*spans):
        number = sum(map(operator.mul, place, weights))
        yield number, layout.chunk_file(place)


def _flat(
    layout: ArrayLayout, steps: Sequence[dict[str, int]], deadline: Deadline
) -> Iterator[Row]:
    """Yield the rows of chunk files that all lie in one folder."""
    folder, prefix = str(layout.folder), layout.keys.prefix

    def look(names: Sequence[str]) -> list[Row]:
        found = []
        for name in names:
            parts = name[len(prefix) :].split(layout.keys.separator)
            if name.startswith(prefix) and len(parts) == len(steps):
                each = [step.get(part) for step, part in zip(steps, parts, strict=True)]
                if None not in each:
                    number = sum(filter(None, each))
                    found.append(file_row(number, f"{folder}/{name}"))
        return found

    return _in_threads(look, batches(_names(folder), _TOGETHER), deadline)


def _inside(
    folders: Iterable[tuple[str, int]], step: dict[str, int], deadline: Deadline
) -> Iterator[tuple[str, int]]:
    for folder, number in folders:
        deadline.check()
        for name in _names(folder):
            if name in step:
                yield f"{folder}/{name}", number + step[name]


def _folder_rows(folder: str, first: int, step: dict[str, int]) -> list[Row]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    try:
        # By descriptor: the system need not walk the whole path for each file.
        return [
            file_row(first + step[name], name, descriptor)
            for name in os.listdir(descriptor)  # noqa: PTH208 - of no path
            if name in step
        ]
    except OSError as error:
        raise _unreadable(folder, error) from error
    finally:
        os.close(descriptor)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names alone, a million of them
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: str, error: OSError) -> VolumeError:
    return VolumeError(f"{path} cannot be read: {error.strerror or error}", path)


def _in_threads(
    look: Callable[[Sequence[_T]], list[Row]],
    some: Iterable[Sequence[_T]],
    deadline: Deadline,
) -> Iterator[Row]:
    """Yield what is found in batches, a few ahead: a time that is over ends it at once."""

    def in_time(batch: Sequence[_T]) -> list[Row]:
        deadline.check()
        return look(batch)

    for rows in map_ahead(in_time, some, THREADS):
        deadline.found += len(rows)
        deadline.check()
        yield from rows
