import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from blockseg.core.errors import BackendError
from blockseg.inference.backends.tensorrt.cache import EngineCache, cache_folder
from blockseg.inference.backends.tensorrt.file import EngineKey

KEY = EngineKey(
    weights="a" * 64,
    architecture="sdasn",
    width=8,
    core=(128, 128, 128),
    edge=False,
    precision="float16",
    graph=1,
    library="tensorrt",
    version="10.9.0",
    target="sm90",
    card="A Card",
)

OTHERS: dict[str, Any] = {
    "weights": "b" * 64,
    "architecture": "unet3d",
    "width": 16,
    "core": (128, 128, 64),
    "edge": True,
    "precision": "float32",
    "graph": 2,
    "library": "tensorrt_rtx",
    "version": "10.10.0",
    "target": "sm89",
    "card": "Another Card",
}


def never():
    pytest.fail("built although it was there")


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path)


def file_of(cache, key=KEY):
    return cache.folder / key.filename


def test_an_engine_is_built_once_and_found_from_then_on(cache):
    assert cache.get(KEY, lambda: b"engine") == b"engine"
    assert cache.get(KEY, never) == b"engine"
    (entry,) = cache.entries()
    assert entry.header is not None
    assert (entry.header.key, entry.header.size, entry.problem) == (KEY, 6, "")
    assert {p.name for p in cache.folder.iterdir()} <= {KEY.filename, "build.lock"}


@pytest.mark.parametrize("field", OTHERS)
def test_whatever_an_engine_depends_on_makes_another_of_it(cache, field):
    other = replace(KEY, **{field: OTHERS[field]})
    cache.get(KEY, lambda: b"one")
    assert cache.get(other, lambda: b"two") == b"two"
    assert cache.get(KEY, never) == b"one"


def test_a_file_says_what_it_is_of_before_it_says_it_uniquely():
    assert KEY.filename.startswith("sdasn8-128x128x128-interior-float16-sm90-")


DAMAGES = {
    "cut": lambda content: content[:-1],
    "longer": lambda content: content + b"!",
    "flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "empty": lambda _: b"",
    "of something else": lambda content: b"x" + content[1:],
    "header cut": lambda content: content[:40],
    "header of no key": lambda _: b"blockseg engine 1\n{}\nengine",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_engine_is_built_again_and_never_given(cache, damage):
    cache.get(KEY, lambda: b"engine")
    file = file_of(cache)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    (entry,) = cache.entries()
    assert entry.header is None
    assert str(file) in entry.problem
    assert cache.get(KEY, lambda: b"new") == b"new"
    assert cache.get(KEY, never) == b"new"


def test_an_engine_under_the_name_of_another_is_not_given(cache):
    other = replace(KEY, precision="float32")
    cache.get(other, lambda: b"other")
    file_of(cache, other).rename(file_of(cache))
    assert cache.get(KEY, lambda: b"right") == b"right"


def test_what_a_library_refuses_is_built_again_unless_somebody_did_already(cache):
    refused = cache.get(KEY, lambda: b"old")
    assert cache.rebuild(KEY, lambda: b"new", refused) == b"new"
    assert cache.rebuild(KEY, never, refused) == b"new"


def test_a_build_that_fails_leaves_nothing(cache):
    def fail():
        raise BackendError("no")

    with pytest.raises(BackendError, match="no"):
        cache.get(KEY, fail)
    assert cache.entries() == []
    assert cache.get(KEY, lambda: b"engine") == b"engine"  # the lock is free


BUILD_SLOWLY = """
import pickle, sys, time
from pathlib import Path
from blockseg.inference.backends.tensorrt.cache import EngineCache

folder = Path(sys.argv[1])

def build():
    (folder / "started").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return b"engine"

EngineCache(folder).get(pickle.loads(bytes.fromhex(sys.argv[2])), build)
"""


@pytest.fixture
def builder(tmp_path):
    """Another process, in the middle of a build."""
    words = [sys.executable, "-c", BUILD_SLOWLY, tmp_path, pickle.dumps(KEY).hex()]
    with subprocess.Popen(words) as process:
        try:
            while not (tmp_path / "started").exists():
                assert process.poll() is None
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def test_while_one_process_builds_another_waits_and_finds_it_built(
    cache, tmp_path, caplog, builder
):
    found: list[bytes] = []
    waiter = Thread(target=lambda: found.append(cache.get(KEY, never)))
    waiter.start()
    while "waiting for it" not in caplog.text:
        assert waiter.is_alive()
        time.sleep(0.01)
    assert found == []
    (tmp_path / "go").touch()
    waiter.join()
    assert (found, builder.wait()) == ([b"engine"], 0)


def test_a_builder_that_is_killed_lets_go(cache, builder):
    builder.kill()
    builder.wait()
    assert cache.get(KEY, lambda: b"engine") == b"engine"


def test_what_a_builder_measured_is_kept_for_the_next(cache):
    cache.get(KEY, lambda: b"engine")
    assert cache.timings("card") == b""
    cache.keep_timings("card", b"measured")
    assert cache.timings("card") == b"measured"
    cache.keep_timings("card", b"")
    assert cache.timings("card") == b"measured"


def test_removing_takes_what_dead_processes_left_and_nothing_in_work(cache):
    cache.get(KEY, lambda: b"engine")
    old, new = (cache.folder / f".{n}.engine.1.partial" for n in ("old", "new"))
    for part in (old, new):
        part.touch()
    os.utime(old, (0, 0))
    cache.remove([])
    assert not old.exists()
    assert new.exists()
    assert len(cache.entries()) == 1
    cache.remove([file_of(cache)])
    assert cache.entries() == []


def test_a_folder_that_cannot_be_used_is_one_line_that_says_how_to_name_another(
    tmp_path,
):
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(BackendError, match="local disk in BLOCKSEG_CACHE"):
        EngineCache(tmp_path).get(KEY, lambda: b"engine")


def test_a_cache_that_is_not_there_is_empty(tmp_path):
    cache = EngineCache(tmp_path / "none")
    assert cache.entries() == []
    cache.remove([])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"BLOCKSEG_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/blockseg"),
        ({}, str(Path.home() / ".cache" / "blockseg")),
    ],
)
def test_the_environment_says_where_engines_are_kept(monkeypatch, environment, folder):
    for name in ("BLOCKSEG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == folder
