"""Values that were asked for last, kept."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Recent(Generic[_Key, _Value]):
    """Values by key, the last ones kept; several threads may ask at once.

    A pickle of it holds none.

    Parameters
    ----------
    most
        Sizes of the values that are kept, together; the last value is kept always.
    size
        Gives the size of a value; 1 if not given.
    """

    def __init__(self, most: int, size: Callable[[_Value], int] | None = None) -> None:
        self._most, self._size = most, size
        self._kept: OrderedDict[_Key, _Value] = OrderedDict()
        self._held = 0
        self._lock = RLock()

    def __reduce__(self) -> tuple[object, ...]:
        return (Recent, (self._most, self._size))

    def get(self, key: _Key, make: Callable[[_Key], _Value]) -> _Value:
        """Return the value of a key, made of it if it is not kept."""
        size = self._size or (lambda _: 1)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value = make(key)
                self._held += size(value)
                while self._held > self._most and len(self._kept) > 1:
                    _, old = self._kept.popitem(last=False)
                    self._held -= size(old)
            self._kept.move_to_end(key)
            return self._kept[key]
