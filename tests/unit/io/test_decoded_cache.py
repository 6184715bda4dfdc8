from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest

from blockseg.io.decoded_cache import DecodedCache, count_decoded, counting


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
        finish.wait(300)
        return piece()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", decode)
        started.wait(300)
        second = pool.submit(cache.get, "a", decode)
        finish.set()
        assert first.result() is second.result()
    assert len(calls) == 1


def test_an_error_reaches_all_that_wait_and_is_not_kept() -> None:
    cache = DecodedCache(100)
    together = Barrier(2, timeout=300)

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


def test_several_pieces_are_all_begun_before_the_first_is_awaited() -> None:
    cache = DecodedCache(100)
    cache.get("b", lambda: piece(2))
    steps: list[str] = []

    def begin(key: str) -> Any:
        steps.append(f"begin {key}")

        def wait() -> np.ndarray[Any, np.dtype[Any]]:
            steps.append(f"wait {key}")
            return piece(ord(key))

        return wait

    sizes = [p.size for p in cache.get_all("abca", begin)]
    assert sizes == [97, 2, 99, 97]
    assert steps == ["begin a", "begin c", "wait a", "wait c"]


def test_who_waits_for_another_s_piece_has_decoded_its_own_before() -> None:
    cache = DecodedCache(100)
    claimed, decoded = Event(), Event()

    def slow() -> np.ndarray[Any, np.dtype[Any]]:
        claimed.set()
        assert decoded.wait(300)
        return piece()

    def quick() -> np.ndarray[Any, np.dtype[Any]]:
        decoded.set()
        return piece()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(cache.get, "a", slow)
        assert claimed.wait(300)
        assert len(cache.get_all("ab", lambda _: quick)) == 2
        assert other.result(300).size == 10


def test_a_piece_that_cannot_be_decoded_leaves_the_others_settled() -> None:
    cache = DecodedCache(100)

    def begin(key: str) -> Any:
        if key == "b":
            raise ValueError("cannot begin")
        return missing if key == "c" else piece

    with pytest.raises(ValueError, match="cannot begin"):
        cache.get_all("abcd", begin)
    assert cache.nbytes == 20
    for key in "abcd":
        assert cache.get(key, piece).size == 10


def test_decoded_bytes_count_once_and_for_the_thread_that_decoded() -> None:
    cache = DecodedCache(100)
    with counting() as first:
        cache.get("a", piece)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(cache.get, "b", piece).result()
    with counting() as second:
        cache.get("a", piece)
        cache.get("c", piece)
    cache.get("d", piece)
    assert (first.total, second.total) == (10, 10)


def test_counts_inside_each_other_do_not_mix() -> None:
    with counting() as outer:
        count_decoded(1)
        with counting() as inner:
            count_decoded(2)
        count_decoded(4)
    assert (outer.total, inner.total) == (5, 2)
