"""Cut of the kernels' work, fixed for a kind of device: bytes are repeatable."""

from __future__ import annotations

from dataclasses import dataclass

import torch

SUMS = 16384
"""float32 sums of one program: 64 registers of each of 256 threads."""

LEAST = 4
"""Least tiles of a group along y and x; 16 rows are the fewest that a product takes."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sizes of groups of tiles, and what a program takes of a multiprocessor."""

    edge: int
    """Most tiles of a group along y and x; a power of two."""

    stages: int
    """Steps of a product whose inputs are on their way at once."""

    warps: int
    """Warps of a program."""

    programs: int
    """Programs that march at the same time; each has its own ring."""

    sums: int = SUMS
    """Most sums of one group."""

    block: int = 32
    """Input values, or grey levels, of a tile that one step of a product takes at most:
    16, 32 or 64."""

    registers: int = 128
    """Registers of a thread that computes one layer: two programs of 8 warps then share a
    multiprocessor. Two layers in a row take what they need, and it is theirs alone."""

    on_chip: frozenset[str] = frozenset({"x00a"})
    """Maps that do not leave the chip, of those that need not."""

    def group(self, columns: int, tiles_y: int, tiles_x: int) -> tuple[int, int]:
        """Return the tiles of a group along y and x, no more than exist."""
        most = max(self.sums // columns, LEAST**2)
        edge_x = min(self.edge, most, _power(tiles_x))
        return min(self.edge, most // edge_x, _power(tiles_y)), edge_x


def tiling_for(device: torch.device) -> Tiling:
    """Return the tiling for a device; for a CPU, that of the interpreter."""
    if device.type == "cpu":
        return Tiling(edge=64, stages=1, warps=4, programs=2, sums=2**31)
    card = torch.cuda.get_device_properties(device)
    return Tiling(
        edge=16,
        stages=stages_for((card.major, card.minor)),
        warps=8,
        programs=card.multi_processor_count,
    )


def stages_for(capability: tuple[int, int]) -> int:
    """Return the number of stages of 20 KiB that a program has in shared memory.

    A multiprocessor has 164 KiB and more on A100, H100 and B200, for two programs of
    four stages; 100 KiB elsewhere.
    """
    return 4 if capability in ((8, 0), (9, 0), (10, 0)) else 2


def depth(tiles: int, groups: int, programs: int) -> int:
    """Return the tiles along z of one item of work.

    Short items compute the first layer's planes more often, long ones leave programs
    without work at the end.
    """

    def time(depth: int) -> int:
        return -(-groups * -(-tiles // depth) // programs) * (depth + 1)

    return min(range(1, tiles + 1), key=time)


def _power(least: int) -> int:
    return max(LEAST, 1 << (least - 1).bit_length())
