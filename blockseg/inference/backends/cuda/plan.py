"""SDASN as our kernels run it: its maps, where they lie, and what makes each.

A *tile* is a small box of output voxels, two along x and one or two along z and y. One
row of a matrix product computes a whole tile from all the voxels that it sees, so the
product is at least 16 columns wide where a layer of 8 channels would give it only 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from blockseg.core.errors import ConfigError
from blockseg.core.geometry import ceil_to, to_zyx
from blockseg.networks.receptive_field import REACH, STRIDE

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

WIDEST = 16
"""Greatest width for which a tile's sums fit into the registers."""

FEWEST = 8
"""Least channels that a map is stored with: 16 bytes a voxel, one load."""

ON_CHIP = frozenset({"x00a", "x02a"})
"""Maps that need not leave the chip: the next layer alone reads them."""

COLUMNS = 128
"""Sums a tile holds at most, where it is free to have fewer voxels."""


@dataclass(frozen=True, slots=True)
class Map:
    """A feature map: fp16, ``(z, y, x, channel)``."""

    name: str
    """As in :mod:`blockseg.networks.sdasn`; ``a`` and ``b`` are before the last of a node."""

    level: int
    """Its voxels are ``2**level`` times as large as the window's."""

    margin: int
    """Voxels of its level that it has around the core, on each side."""

    channels: int
    """With which it is stored: a power of two; those that no layer writes stay 0."""

    @property
    def origin(self) -> int:
        """Position of its first voxel in the window on each axis, in voxels of its level."""
        return REACH // int(STRIDE**self.level) - self.margin

    def shape(self, core: Zyx) -> Zyx:
        """Return its voxels (z, y, x), even: one more than is used may be there."""
        return to_zyx(ceil_to(n, 2) for n in self.used(core))

    def used(self, core: Zyx) -> Zyx:
        """Return the number of voxels (z, y, x) of it that count."""
        return to_zyx(n // STRIDE**self.level + 2 * self.margin for n in core)


@dataclass(frozen=True, slots=True)
class Source:
    """Part of a map that a layer reads."""

    map: str
    """Its name; ``raw`` is the window."""

    start: int
    """Index of the first voxel that the first tile sees, on each axis."""

    parts: tuple[tuple[int, int], ...]
    """For each run of the layer's input channels: the first place in the map, and how
    many."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution, norm and activation, and what is done with the result at once."""

    name: str
    """As in :mod:`blockseg.networks.sdasn`, with the convolution's index: ``x10.1``."""

    kind: Literal["first", "conv", "up"]
    """``first`` reads grey levels; ``up`` is the transposed convolution."""

    sources: tuple[Source, ...]
    """In the order of the layer's input channels."""

    target: Map
    """Map that the result goes to."""

    inputs: int
    """Channels that it reads."""

    outputs: int
    """Channels that it computes."""

    stored: int
    """The same, as stored: a power of two."""

    place: int
    """First channel in the target."""

    tile: tuple[int, int]
    """Voxels of a tile along z and y; two along x."""

    pooled: str | None = None
    """Takes the maximum of each tile of 2×2×2 voxels."""

    head: Literal["set", "add", "last"] | None = None
    """Work on the logits: starts them, adds its head, or ends with bytes."""

    @property
    def columns(self) -> int:
        """Return the sums of one tile."""
        return math.prod(self.tile) * 2 * self.stored

    @property
    def step(self) -> Zyx:
        """Return the voxels of the sources between neighbouring tiles (z, y, x)."""
        return (1, 1, 1) if self.kind == "up" else (*self.tile, 2)

    @property
    def seen(self) -> Zyx:
        """Return the voxels of the sources that a tile sees (z, y, x)."""
        return to_zyx(n + (1 if self.kind == "up" else 2) for n in self.step)

    def tiles(self, core: Zyx) -> Zyx:
        """Return the number of tiles (z, y, x) that cover the target."""
        shape = self.target.shape(core)
        # The last voxel of an odd number of pooled ones is no tile's: it stays 0.
        return to_zyx(n // k for n, k in zip(shape, (*self.tile, 2), strict=True))


def maps(width: int) -> dict[str, Map]:
    """Return all feature maps by name.

    Raises
    ------
    ConfigError
        If the network is too wide for the kernels.
    """
    if width > WIDEST:
        message = (
            f"the cuda backend's kernels are for SDASN of width {WIDEST} at most, not "
            f"{width}; choose --backend torch"
        )
        raise ConfigError(message)
    c0, c1, c2 = (_stored(n) for n in _channels(width))
    table = (
        ("x00a", 0, 31, c0),
        ("x00", 0, 30, c0),
        ("pool1", 1, 15, c0),
        ("x10a", 1, 14, c0),
        ("x10b", 1, 13, c1),
        ("x10", 1, 12, c1),
        ("pool2", 2, 6, c1),
        ("x20a", 2, 5, c1),
        ("x20b", 2, 4, c2),
        ("x20", 2, 3, c2),
        ("up11", 1, 4, c1),
        ("x11a", 1, 3, c1),
        ("x11", 1, 2, c1),
        ("ups", 0, 2, 2 * c0),
        ("x02a", 0, 1, c0),
        ("x02", 0, 0, c0),
    )
    return {name: Map(name, *rest) for name, *rest in table}


def layers(width: int) -> tuple[Layer, ...]:
    """Return the layers in the order in which they run."""
    m = maps(width)
    c0, c1, c2 = _channels(width)
    s0 = _stored(c0)
    fine = (2, 2)

    def layer(
        name: str,
        target: str,
        sources: tuple[Source, ...],
        outputs: int,
        tile: tuple[int, int] | None = None,
        pooled: str | None = None,
        head: Literal["set", "add", "last"] | None = None,
    ) -> Layer:
        kind: Literal["first", "conv", "up"] = "conv"
        if sources[0].map == "raw":
            kind = "first"
        elif name.startswith("up"):
            kind = "up"
        inputs = sum(n for source in sources for _, n in source.parts)
        stored = _stored(outputs)
        place = s0 if name == "up02" else 0
        tile = tile or _tile(stored)
        return Layer(
            name, kind, sources, m[target], inputs, outputs, stored, place, tile,
            pooled, head,
        )  # fmt: skip

    def of(name: str, channels: int, start: int = 0) -> Source:
        return Source(name, start, ((0, channels),))

    ups = Source("ups", 0, ((0, c0), (s0, c0)))
    return (
        layer("x00.0", "x00a", (of("raw", 1),), c0, fine),
        layer("x00.1", "x00", (of("x00a", c0),), c0, fine, "pool1", "set"),
        layer("x10.0", "x10a", (of("pool1", c0),), c0),
        layer("x10.1", "x10b", (of("x10a", c0),), c1),
        layer("x10.2", "x10", (of("x10b", c1),), c1, fine, "pool2"),
        layer("x20.0", "x20a", (of("pool2", c1),), c1),
        layer("x20.1", "x20b", (of("x20a", c1),), c2),
        layer("x20.2", "x20", (of("x20b", c2),), c2),
        layer("up11", "up11", (of("x20", c2, 1),), c1, fine),
        layer("x11.0", "x11a", (of("x10", c1, 8), of("up11", c1)), c1),
        layer("x11.1", "x11", (of("x11a", c1),), c1),
        layer("up01", "ups", (of("x10", c1, 11),), c0, fine, head="add"),
        layer("up02", "ups", (of("x11", c1, 1),), c0, fine),
        layer("x02.0", "x02a", (of("x00", c0, 28), ups), c0, fine),
        layer("x02.1", "x02", (of("x02a", c0),), c0, fine, head="last"),
    )


def device_bytes(core: Zyx, width: int, on_chip: frozenset[str] = frozenset()) -> int:
    """Return the device memory of one window, in bytes.

    Maps that leave the chip, logits, and three windows on their way in and out. What
    stays on the chip has rings of some megabytes.
    """
    voxels = math.prod(core)
    window = math.prod(n + 2 * REACH for n in core)
    stored = sum(
        math.prod(m.shape(core)) * m.channels * 2
        for m in maps(width).values()
        if m.name not in on_chip | {"x02"}
    )
    return stored + 4 * voxels + 3 * (2 * window + voxels)


def _channels(width: int) -> tuple[int, int, int]:
    return width, 2 * (width - 1), 4 * (width - 1)


def _stored(channels: int) -> int:
    return max(FEWEST, 1 << (channels - 1).bit_length())


def _tile(stored: int) -> tuple[int, int]:
    # Larger tiles load less and multiply more zeros; see the decision record.
    return (1, 2) if 4 * stored <= COLUMNS else (1, 1)
