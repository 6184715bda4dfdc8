"""Windows of a volume to evaluate engines on: the same ones every time, the bright ones too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, floor_to, to_zyx
from blockseg.inference.block_input import BlockInput

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.io.protocol import Volume
    from blockseg.networks.receptive_field import Field

_PLACES = 4  # along each axis
_LOOK = (32, 96, 96)  # voxels in the middle of a window that are looked at
_BRIGHT = 99.0  # percentile of them that tells how much signal there is
_READERS = 4
_LONGEST = 48  # a multiple of every network's alignment


def trial_core(core: Zyx) -> Zyx:
    """Return the window for trials on a CPU: that of the run, at most 48 voxels long."""
    return to_zyx(min(n, _LONGEST) for n in core)


def trial_windows(
    volume: Volume, region: Roi, window: Zyx, field: Field
) -> tuple[Roi, ...]:
    """Choose up to four windows of a region: the two with most signal, first.

    Then the region's first corner, where windows reach beyond the volume, and one with
    as much signal as most.

    Parameters
    ----------
    volume
        A little is read from up to 64 places of it; those that cannot be are passed over.
    region
        Where to look, in the volume's voxels.
    window
        Voxels along (z, y, x) that an engine writes.
    field
        Of the network.

    Returns
    -------
    What each window writes, cut at the region's end; by falling weight.
    """
    sites = _sites(region, window, field.alignment)
    with ThreadPoolExecutor(_READERS) as pool:
        signal = list(pool.map(lambda site: _signal(volume, site), sites))
    found = [
        (value, site)
        for value, site in zip(signal, sites, strict=True)
        if value is not None
    ]
    if not found:
        return ()
    by_signal = sorted(found, key=lambda item: (-item[0], item[1].start))
    chosen = [site for _, site in by_signal[:2]]
    chosen.append(found[0][1])
    chosen.append(by_signal[len(by_signal) // 2][1])
    return tuple(dict.fromkeys(chosen))


def read_samples(
    volume: Volume, windows: tuple[Roi, ...], field: Field
) -> list[BlockInput]:
    """Read windows with what an engine needs around them; unreadable ones are left out."""
    whole = Roi.whole(volume.shape)
    samples = []
    for window in windows:
        around = window.aligned(field.alignment).grown((field.reach,) * 3)
        around = around.intersection(whole)
        try:
            raw = volume.read(around)
        except VolumeError:
            continue
        samples.append(BlockInput(raw, around, window, volume.shape))
    return samples


def _sites(region: Roi, window: Zyx, step: int) -> list[Roi]:
    starts = []
    for a, b, n in zip(region.start, region.stop, window, strict=True):
        last = max(a, b - n)
        places = np.linspace(a, last, _PLACES).astype(int)
        starts.append(sorted({max(floor_to(int(place), step), a) for place in places}))
    return [
        Roi(
            start, to_zyx(a + n for a, n in zip(start, window, strict=True))
        ).intersection(region)
        for start in map(to_zyx, product(*starts))
    ]


def _signal(volume: Volume, site: Roi) -> float | None:
    start = to_zyx(
        a + max(0, n - edge) // 2
        for a, n, edge in zip(site.start, site.shape, _LOOK, strict=True)
    )
    stop = to_zyx(a + edge for a, edge in zip(start, _LOOK, strict=True))
    try:
        raw = volume.read(Roi(start, stop).intersection(site))
    except VolumeError:
        return None
    return float(np.percentile(np.nan_to_num(raw), _BRIGHT))
