"""Work in threads, in batches and a few of them ahead, so that millions need no memory."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")
_R = TypeVar("_R")


def batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield items in lists of ``size``; the last may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def map_ahead(
    do: Callable[[_T], _R], items: Iterable[_T], threads: int
) -> Iterator[_R]:
    """Yield the results of items in their order; four a thread are under way at most.

    Items are taken as needed, in the calling thread.
    """
    rest = iter(items)
    with ThreadPoolExecutor(threads, "files") as pool:
        ahead = deque(pool.submit(do, item) for item in islice(rest, 4 * threads))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(do, item) for item in islice(rest, 1))
