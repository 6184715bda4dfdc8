"""Shards, read back by TensorStore."""

import json
from pathlib import Path

import pytest
import tensorstore as ts
from hypothesis import given
from hypothesis import strategies as st

from blockseg.skeletons.precomputed import info_json
from blockseg.skeletons.shards import Sharding, shard_bytes


def read(folder: Path, sharding: Sharding, number: int) -> bytes | None:
    store = ts.KvStore.open(
        {
            "driver": "neuroglancer_uint64_sharded",
            "base": {"driver": "file", "path": f"{folder}/"},
            "metadata": sharding.to_plain(),
        }
    ).result()
    found = store.read(number.to_bytes(8, "big")).result()
    return bytes(found.value) if found.state == "value" else None


@given(
    st.dictionaries(
        st.integers(1, 2**64 - 1) | st.integers(1, 5000), st.binary(max_size=40),
        min_size=1, max_size=20,
    ),
    st.integers(0, 12),
)  # fmt: skip
def test_every_content_is_found_under_its_id(
    tmp_path_factory: pytest.TempPathFactory,
    contents: dict[int, bytes],
    low_bits: int,
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    sharding = Sharding.of(low_bits, max(contents))
    shards: dict[int, dict[int, bytes]] = {}
    for number, content in contents.items():
        shards.setdefault(sharding.shard(number), {})[number] = content
    for shard, inside in shards.items():
        (folder / sharding.file(shard)).write_bytes(shard_bytes(inside))
    for number, content in contents.items():
        assert read(folder, sharding, number) == content
    absent = max(contents) ^ 1
    if absent not in contents:
        assert read(folder, sharding, absent) is None


def test_files_have_as_many_digits_as_the_greatest_shard() -> None:
    assert Sharding.of(6, 63).file(0) == "0.shard"
    sharding = Sharding.of(6, 100_000)
    assert (sharding.shard_bits, sharding.shard(100_000)) == (11, 1562)
    assert sharding.file(10) == "00a.shard"
    assert sharding.file(1562) == "61a.shard"


def test_the_layer_says_how_it_is_sharded() -> None:
    info = json.loads(info_json("", Sharding.of(6, 100_000)))
    assert info["sharding"] == Sharding(6, 11).to_plain()
    assert "sharding" not in json.loads(info_json())
