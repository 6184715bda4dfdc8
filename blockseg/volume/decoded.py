"""Keep decoded pieces of a file in memory, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

__all__ = ["DecodedCache"]


class DecodedCache:
    """The most recently used decoded pieces; for several threads.

    A piece that two threads ask for at the same time is decoded once.

    Parameters
    ----------
    limit
        Bytes that the pieces may take together; pieces in use come on top.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
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
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            pending = self._pending.get(key)
            if pending is None:
                mine = self._pending[key] = Future()
        if pending is not None:
            return pending.result()
        try:
            piece = decode()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._pending[key]
            self._keep(key, piece)
        mine.set_result(piece)
        return piece

    def _keep(self, key: Hashable, piece: NDArray[Any]) -> None:
        if piece.nbytes > self._limit:
            return
        self._kept[key] = piece
        self._bytes += piece.nbytes
        while self._bytes > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
