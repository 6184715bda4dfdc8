"""Cache of decoded pieces of a file, up to a number of bytes, counted as decoded.

What is decoded counts for the thread that asked for it, so that each block can say what
it cost: ``with counting() as count: volume.read(roi)``.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from numpy.typing import NDArray


@dataclass(slots=True)
class DecodedBytes:
    """Amount that was decoded."""

    total: int = 0
    """Bytes, whole pieces; of formats that are not decoded, the bytes copied."""


_counted: ContextVar[DecodedBytes | None] = ContextVar("_counted", default=None)


@contextmanager
def counting() -> Iterator[DecodedBytes]:
    """Count what this thread's reads inside the context decode.

    What another thread decodes for itself and this one shares counts there.
    """
    count = DecodedBytes()
    token = _counted.set(count)
    try:
        yield count
    finally:
        _counted.reset(token)


def count_decoded(nbytes: int) -> None:
    """Add bytes to what the reading thread has decoded; called by readers."""
    count = _counted.get()
    if count is not None:
        count.total += nbytes


class DecodedCache:
    """The most recently used decoded pieces; for several threads.

    A piece that two threads ask for at the same time is decoded once.

    Parameters
    ----------
    limit
        Bytes that the pieces may take together; pieces in use come on top.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._pending: dict[Hashable, Future[NDArray[Any]]] = {}
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """Bytes kept at the moment."""
        return self._bytes

    def get(self, key: Hashable, decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the piece ``key``, decoding it if it is not there.

        The array is shared: it must not be written to. What ``decode`` raises
        is raised in every thread that waits for the piece, and nothing is kept.
        """
        (piece,) = self.get_all((key,), lambda _: decode)
        return piece

    def get_all(
        self,
        keys: Iterable[Hashable],
        begin: Callable[[Any], Callable[[], NDArray[Any]]],
    ) -> list[NDArray[Any]]:
        """Return several pieces; those that are not there are decoded side by side.

        Parameters
        ----------
        keys
            Of the pieces, in the order in which they are returned.
        begin
            Begins to decode the piece of a key, and returns what waits for its array.
        """
        found: list[NDArray[Any] | Future[NDArray[Any]]] = []
        mine: dict[Hashable, Future[NDArray[Any]]] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found.append(self._kept[key])
                    continue
                if key not in self._pending:
                    mine[key] = self._pending[key] = Future()
                found.append(self._pending[key])
        self._decode(mine, begin)
        # Only now, when nobody waits for us, is it safe to wait for others.
        return [p.result() if isinstance(p, Future) else p for p in found]

    def _decode(
        self,
        mine: dict[Hashable, Future[NDArray[Any]]],
        begin: Callable[[Any], Callable[[], NDArray[Any]]],
    ) -> None:
        """Settle every one of these, whatever happens: others may wait for it."""
        begun: dict[Hashable, Callable[[], NDArray[Any]]] = {}
        for key, future in mine.items():
            try:
                begun[key] = begin(key)
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                self._failed(key, future, error)
        for key, wait in begun.items():
            try:
                piece = wait()
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                self._failed(key, mine[key], error)
                continue
            count_decoded(piece.nbytes)
            with self._lock:
                del self._pending[key]
                self._keep(key, piece)
            mine[key].set_result(piece)

    def _failed(
        self, key: Hashable, future: Future[NDArray[Any]], error: BaseException
    ) -> None:
        with self._lock:
            del self._pending[key]
        future.set_exception(error)

    def _keep(self, key: Hashable, piece: NDArray[Any]) -> None:
        if piece.nbytes > self.limit:
            return
        self._kept[key] = piece
        self._bytes += piece.nbytes
        while self._bytes > self.limit:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
