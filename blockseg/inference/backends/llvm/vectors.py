"""Vector registers of the CPU, and how many channels of a layer fill them."""

from __future__ import annotations

from dataclasses import dataclass

from blockseg.core.geometry import ceil_to, floor_to
from blockseg.inference.backends.llvm.compiler import library

_MOST_CHANNELS = 8
_MOST_PAIRED = 14  # where a block has whole pairs: 7 of 14 channels are none
_MOST_VECTORS = 3

_BUSY = {32: 20, 16: 10}
"""Sums at a time, by the number of registers, that keep a CPU's multipliers busy."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Registers to write kernels for."""

    lanes: int
    """Float32 numbers in one."""

    registers: int
    """Number of registers."""

    cpu: str = ""
    """Name of the CPU as LLVM spells it; this one's if empty."""

    features: str | None = None
    """Its features; this one's if None."""


AVX512 = Vectors(16, 32)
AVX = Vectors(8, 16)
SHORT = Vectors(4, 16)
"""Registers of SSE, and those of Arm's NEON, of which there are more."""


def host_vectors() -> Vectors:
    """Return the registers of this CPU."""
    features = library().get_host_cpu_features()
    if features.get("avx512f"):
        return AVX512
    return AVX if features.get("avx") else SHORT


@dataclass(frozen=True, slots=True)
class Blocking:
    """Layout of a layer's sums in registers."""

    channels: int
    """Channels at a time."""

    vectors: int
    """Vectors along x at a time."""

    blocks: int
    """Times that ``channels`` go into the layer's, rounded up."""


def convolution_blocking(channels: int, vectors: Vectors, word: int = 1) -> Blocking:
    """Return the blocking of a convolution with this number of output channels.

    One register holds a weight, and one each vector of inputs. A block has whole words,
    of ``word`` channels.
    """
    most = _MOST_CHANNELS if word == 1 else _MOST_PAIRED

    def value(found: Blocking) -> float:
        sums = found.channels * found.vectors
        used = channels / (found.channels * found.blocks)
        return used * min(1, sums / _BUSY[vectors.registers]) + sums * 1e-6

    return max(
        (
            Blocking(n, v, -(-channels // n))
            for n in range(word, min(ceil_to(channels, word), most) + 1, word)
            for v in range(1, _MOST_VECTORS + 1)
            if n * v + v + 1 <= vectors.registers
        ),
        key=value,
    )


def transposed_blocking(channels: int, vectors: Vectors, word: int = 1) -> Blocking:
    """Return the blocking of a transposed convolution: two sums a channel."""
    most = _MOST_CHANNELS if word == 1 else _MOST_PAIRED
    most = min(
        ceil_to(channels, word), most, floor_to((vectors.registers - 3) // 2, word)
    )
    blocks = -(-channels // most)
    return Blocking(ceil_to(-(-channels // blocks), word), 1, blocks)
