"""Vector instructions that OpenVINO's kernels use.

They hold 16 channels in a register where the CPU has AVX-512. Of a network with 8
channels at full resolution half of each register is then empty. On a CPU that works
through 512 bits in two halves, AMD's Zen 4, that is slower than 8 channels a register:
SDASN of width 8 takes 1.25 times as long (docs/adr/0015; ``benchmarks/infer/bench_vectors.py``).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARIABLE = "ONEDNN_MAX_CPU_ISA"
_NARROW = 8
"""Channels that fill a register of AVX2."""

_ZEN_4 = ("AuthenticAMD", "25")
"""Vendor and family; of that family only Zen 4 has AVX-512. Zen 5 is family 26."""


@contextmanager
def fitting_vectors(
    channels: int, info: Path = Path("/proc/cpuinfo")
) -> Iterator[None]:
    """Let kernels built inside the context use AVX2 where that is faster.

    The library looks once in a process, when it builds its first kernel. A user who
    has set ``ONEDNN_MAX_CPU_ISA`` decides.

    Parameters
    ----------
    channels
        Of the network at full resolution, where most of its work is.
    info
        What the system says of its processors.
    """
    if not prefers_avx2(channels, info):
        yield
        return
    os.environ[_VARIABLE] = "AVX2"
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)


def prefers_avx2(channels: int, info: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether :func:`fitting_vectors` restricts kernels to AVX2, without bfloat16."""
    narrow = channels <= _NARROW and halves_vectors(info)
    return narrow and _VARIABLE not in os.environ


@cache
def halves_vectors(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether the CPU has AVX-512, but works through it in two halves."""
    try:
        lines = info.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    pairs = (line.partition(":") for line in lines)
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    maker = facts.get("vendor_id"), facts.get("cpu family")
    return maker == _ZEN_4 and "avx512f" in facts.get("flags", "").split()
