from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest

from blockseg.volume.decoded import DecodedCache


def piece(size: int = 10) -> np.ndarray[Any, np.dtype[Any]]:
    return np.zeros(size, "u1")


def missing() -> np.ndarray[Any, np.dtype[Any]]:
    raise KeyError("decoded again")


def test_a_piece_is_decoded_once_while_it_is_kept() -> None:
    cache = DecodedCache(100)
    calls: list[int] = []

    def decode() -> np.ndarray[Any, np.dtype[Any]]:
        calls.append(1)
        return piece()

    first = cache.get("a", decode)
    assert cache.get("a", decode) is first
    assert len(calls) == 1


def test_the_least_recently_used_piece_is_dropped_and_the_limit_kept() -> None:
    cache = DecodedCache(30)
    for key in "abc":
        cache.get(key, piece)
    cache.get("a", lambda: pytest.fail("it is kept"))
    cache.get("d", piece)
    assert cache.nbytes == 30
    cache.get("a", lambda: pytest.fail("it was used last"))
    with pytest.raises(KeyError, match="decoded again"):
        cache.get("b", missing)


def test_a_piece_above_the_limit_is_returned_and_not_kept() -> None:
    cache = DecodedCache(30)
    assert cache.get("a", lambda: piece(31)).size == 31
    assert cache.nbytes == 0


def test_two_threads_wait_for_one_decoding() -> None:
    cache = DecodedCache(100)
    started, finish, calls = Event(), Event(), []

    def decode() -> np.ndarray[Any, np.dtype[Any]]:
        calls.append(1)
        started.set()
        finish.wait(10)
        return piece()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", decode)
        started.wait(10)
        second = pool.submit(cache.get, "a", decode)
        finish.set()
        assert first.result() is second.result()
    assert len(calls) == 1


def test_an_error_reaches_all_that_wait_and_is_not_kept() -> None:
    cache = DecodedCache(100)
    together = Barrier(2, timeout=10)

    def decode() -> np.ndarray[Any, np.dtype[Any]]:
        raise ValueError("bad piece")

    def ask() -> None:
        together.wait()
        cache.get("a", decode)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(ask) for _ in range(2)]:
            with pytest.raises(ValueError, match="bad piece"):
                future.result()
    assert cache.get("a", piece).size == 10
