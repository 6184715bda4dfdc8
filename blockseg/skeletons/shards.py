"""Many small files in one: Neuroglancer's sharded format, ``neuroglancer_uint64_sharded_v1``.

Format: google/neuroglancer, src/datasource/precomputed/sharded.md. A shard holds the ids
that agree in all but their lowest bits, in one minishard: at its head where the index
lies, then the contents by rising id, then the index.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sharding:
    """Which ids share a file."""

    low_bits: int
    """Lowest bits of an id, which count within a shard."""

    shard_bits: int
    """Bits that number the shards, 1 or more."""

    @classmethod
    def of(cls, low_bits: int, greatest: int) -> Sharding:
        """Return the sharding of ids up to the greatest."""
        return cls(low_bits, max(1, (greatest >> low_bits).bit_length()))

    def shard(self, number: int) -> int:
        """Return the number of the shard that holds an id."""
        return number >> self.low_bits

    def file(self, shard: int) -> str:
        """Return the name of a shard's file."""
        return f"{shard:0{-(-self.shard_bits // 4)}x}.shard"

    def to_plain(self) -> dict[str, Any]:
        """Return it as the ``info`` of a layer states it."""
        return {
            "@type": "neuroglancer_uint64_sharded_v1",
            "preshift_bits": self.low_bits,
            "hash": "identity",
            "minishard_bits": 0,
            "shard_bits": self.shard_bits,
            "minishard_index_encoding": "raw",
            "data_encoding": "raw",
        }


def shard_bytes(contents: Mapping[int, bytes]) -> bytes:
    """Return the file of a shard.

    Parameters
    ----------
    contents
        Of all of its ids that have any.
    """
    ids = sorted(contents)
    sizes = [len(contents[number]) for number in ids]
    # Ids as steps from the one before; between contents there is nothing.
    steps = np.diff(np.array([0, *ids], np.uint64))
    index = np.stack([steps, np.zeros(len(ids), np.uint64), np.array(sizes, np.uint64)])
    index = index.astype("<u8")
    end = sum(sizes)
    head = struct.pack("<QQ", end, end + index.nbytes)
    return b"".join((head, *(contents[number] for number in ids), index.tobytes()))
