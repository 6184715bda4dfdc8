"""Comparison of a coarse level's tissue with the volume itself."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.cubes import voxels_of
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.affordable import affordable, chunks_of
from blockseg.io.chunk_memory import readers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.io.protocol import Volume

WRONG = 0.0005
"""Cubes that are taken to be outside by mistake, over those taken for tissue: at most,
with 95 % confidence."""

_CHANCE = 0.05
_NEARLY = 0.9  # share of what is outside from which on all of it is compared
_BRIGHT = 64  # cubes that say how bright tissue is
_PARTS = 256  # parts of what is outside, each of which is looked at
_FLAT = 512  # cubes of one value that are looked at for sure
_DECODED = 2**21  # voxels a cube
_BUDGET = 2**29  # voxels in all, or half of the volume
_STEP = 2  # every other voxel along each axis tells a mean
_HALF = 0.5  # of the way from dark to bright: so far from dark nothing may be
_OFF = 0.25  # of that way: so far below what level 0 says no cube may be
_UNEVEN = 0.1  # of that way: by how much its neighbours may differ
_READERS = 4
_SEED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """Claim of a coarse level on the cubes of a volume, each an array (z, y, x)."""

    tissue: NDArray[np.bool_]
    """Cubes that may be tissue."""

    bright: NDArray[np.bool_]
    """Cubes that surely are tissue."""

    flat: NDArray[np.bool_]
    """Cubes of one value, as are chunks that are missing or were never written."""

    mean: NDArray[np.float64]
    """Their grey levels."""

    level: int
    """Resolution level."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Outcome of a comparison."""

    seen: int
    """Cubes outside of the tissue that were compared."""

    wrong: float
    """Cubes that are outside by mistake, over those taken for tissue: at most, with 95 %
    confidence."""

    doubt: str = ""
    """Why the level is not to be trusted; empty if it is."""


@dataclass(frozen=True, slots=True)
class _Look:
    place: Zyx
    part: Roi
    """Part of its voxels that is read."""
    level: float = math.nan
    """Mean grey level there; NaN where it could not be read."""


def compare(volume: Volume, claim: Claim, edge: int) -> Compared:
    """Look whether what a coarse level takes to be outside is dark in the volume.

    Grey levels are not taken to be the same: a level may be made by averaging, by the
    maximum or by leaving voxels out, and be scaled. But where it says dark the volume has
    to be dark as well, beside where it says bright, and both have to go up together.

    Cubes are drawn by chance, one from each of equal stretches of what is outside; so many
    that no more than ``WRONG`` of them are wrong with 95 % confidence if none of these is.
    Added are one in each connected part of what is outside, and cubes of one value.

    Parameters
    ----------
    volume
        The finest level.
    claim
        Of a coarse one; something is outside of the tissue, and something bright.
    edge
        Of a cube, in voxels.
    """
    rng = np.random.default_rng(_SEED)
    outside = np.argwhere(~claim.tissue)
    inside = int(np.count_nonzero(claim.tissue))
    bright = _drawn(np.argwhere(claim.bright), _BRIGHT, rng)
    chosen = _drawn(outside, _enough(len(outside), inside), rng)
    chosen = np.unique(np.concatenate([chosen, _suspicious(claim, rng)]), axis=0)
    dark = _looked(volume, _within_budget(volume, _looks(volume, chosen, edge)))
    light = _looked(volume, _looks(volume, bright, edge))
    if not dark or not light:
        return Compared(0, 1.0, _said(claim, "level 0 could not be read there"))
    wrong = _missed(len(outside), len(dark)) / inside
    doubt = _contradiction(claim, edge, dark, light)
    if not doubt and wrong > WRONG:
        some = (
            f"only {len(dark)} of {len(outside)} cubes could be compared with level 0"
        )
        doubt = _said(claim, some)
    return Compared(len(dark), wrong, doubt)


def _contradiction(
    claim: Claim, edge: int, dark: list[_Look], light: list[_Look]
) -> str:
    """Say where the volume is bright and the level is not; empty if nowhere."""
    fine, coarse = _levels(claim, dark)
    fine_light, coarse_light = _levels(claim, light)
    low, high = float(np.median(fine)), float(np.median(fine_light))
    least, most = float(np.median(coarse)), float(np.median(coarse_light))
    if low < high and np.quantile(fine, 0.9) < np.quantile(fine_light, 0.1):
        way = (fine - low) / (high - low)
        below = least + way * (most - least) - coarse
        # Means of a cube agree only where what is around it is even.
        even = _even(claim.mean, _UNEVEN * (most - least))
        even = np.array([even[look.place] for look in dark])
        wrong = (way > _HALF) | (even & (below > _OFF * (most - least)))
    else:
        wrong, below = fine >= (fine.min() + max(low, high)) / 2, fine - coarse
    if not wrong.any():
        return ""
    worst = int(np.argmax(np.where(wrong, below, -np.inf)))
    z, y, x = (edge * n for n in dark[worst].place)
    why = (
        f"around voxel {z},{y},{x} it is {coarse[worst]:.4g} and level 0 {fine[worst]:.4g}, "
        f"where tissue is {most:.4g} and {high:.4g}; so it is in {np.count_nonzero(wrong)} "
        f"of the {len(dark)} cubes compared"
    )
    return _said(claim, why)


def _said(claim: Claim, why: str) -> str:
    return f"level {claim.level} does not tell tissue from what is outside: {why}"


def _levels(
    claim: Claim, looks: list[_Look]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean grey levels of the volume, and those that the level claims."""
    return (
        np.array([look.level for look in looks]),
        np.array([claim.mean[look.place] for look in looks]),
    )


def _even(mean: NDArray[np.float64], most: float) -> NDArray[np.bool_]:
    """Return the cubes that differ from their 26 neighbours by no more than ``most``."""
    from scipy import ndimage  # takes a quarter of a second, for --sparse alone

    apart = ndimage.maximum_filter(mean, 3) - ndimage.minimum_filter(mean, 3)
    return np.asarray(apart <= most)


def _enough(outside: int, inside: int) -> int:
    """Return the number of cubes that have to be right for WRONG to hold."""
    most = max(1.0, WRONG * inside)
    share = 1 - _CHANCE ** (1 / most)
    return outside if share > _NEARLY else math.ceil(share * outside)


def _missed(outside: int, seen: int) -> float:
    """Return the number of wrong cubes that a sample of right ones may have missed."""
    if seen >= outside:
        return 0.0
    # So many are missed with the probability (1 - seen / outside) ** many.
    return float(math.floor(math.log(_CHANCE) / math.log1p(-seen / outside)))


def _drawn(
    places: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw one from each of ``count`` equal stretches."""
    count = min(count, len(places))
    borders = np.linspace(0, len(places), count + 1).astype(np.int64)
    return places[rng.integers(borders[:-1], borders[1:])] if count else places[:0]


def _suspicious(claim: Claim, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return cubes in which a level that lies would show it."""
    from scipy import ndimage

    outside = ~claim.tissue
    parts, count = ndimage.label(outside, np.ones((3, 3, 3), bool))
    numbers = np.arange(1, min(count, _PARTS) + 1)
    # The one that lies deepest: its surroundings do not shine into it.
    depth = ndimage.distance_transform_cdt(np.pad(outside, 1), "chessboard")
    inner = depth[1:-1, 1:-1, 1:-1]
    deepest = ndimage.maximum_position(inner, parts, numbers) if count else []
    flat = _drawn(np.argwhere(outside & claim.flat), _FLAT, rng)
    return np.concatenate([np.array(deepest, np.int64).reshape(-1, 3), flat])


def _looks(volume: Volume, places: NDArray[np.int64], edge: int) -> list[_Look]:
    made = []
    for place in map(to_zyx, places.tolist()):
        cube = Roi(place, to_zyx(n + 1 for n in place))
        voxels = voxels_of(cube, volume.shape, edge)
        made.append(_Look(place, affordable(voxels, volume.chunk_shape, _DECODED)))
    return made


def _within_budget(volume: Volume, looks: list[_Look]) -> list[_Look]:
    """Leave out whole chunks with all that lies in them, if too much were decoded."""
    touched = [chunks_of(look.part, volume.chunk_shape) for look in looks]
    every = sorted({chunks.start for chunks in touched})
    each = max(chunks.size for chunks in touched) * math.prod(volume.chunk_shape)
    most = max(_BUDGET, math.prod(volume.shape) // 2)
    kept = set(every[:: max(1, math.ceil(len(every) * each / most))])
    return [
        look
        for look, chunks in zip(looks, touched, strict=True)
        if chunks.start in kept
    ]


def _looked(volume: Volume, looks: list[_Look]) -> list[_Look]:
    """Read each; those that cannot be read, or hold no numbers, are left out."""

    def look_at(look: _Look) -> _Look:
        try:
            raw = volume.read(look.part)[::_STEP, ::_STEP, ::_STEP]
        except VolumeError:
            return look
        return replace(look, level=float(np.mean(raw, dtype=np.float64)))

    with ThreadPoolExecutor(readers(volume, _READERS)) as pool:
        return [look for look in pool.map(look_at, looks) if math.isfinite(look.level)]
