"""Rules that decide which bright bodies are somata, and which of overlapping ones to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.blobs import BLOB

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOMA = np.dtype(
    [
        *BLOB.descr,
        ("noise", "<f8"),  # SD of the background there, in grey levels
        ("probability", "<f8"),  # mean that the run painted on its inside, 0 to 1
        ("component", "<u8"),  # object of labels/components that touches most of it; 0
    ]
)
"""Row of a soma: measures of the body, and the run's results at its place."""

_THICK = 0.4
"""Share of a body's contrast that is left without all that is thin."""

_FILLED = 0.5
_AROUND = 0.5
_ROUND = 0.25
_ROUNDER = 0.1
"""How much rounder a body must be where the run took it for a neurite."""

_BEYOND = 1.3
"""Factor by which a measured radius may lie beyond the range that was asked for."""


def are_somata(
    rows: NDArray[np.void], least_snr: float, radius: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return which bodies are somata.

    A soma is bright (contrast over noise), thick and bright all over (neurites and where
    they cross are not), dark around (sheets and edges are not) and round (thick dendrites
    and vessels are not); rounder where the run painted a neurite.

    Parameters
    ----------
    rows
        Of :data:`SOMA`.
    least_snr
        Contrast that a soma has at least, in SDs of the background's noise.
    radius
        Range of radii, in µm.
    """
    low, high = radius[0] / _BEYOND, radius[1] * _BEYOND
    bright = rows["response"] >= least_snr * rows["noise"]
    bright &= rows["response"] >= _THICK * rows["contrast"]
    shaped = (rows["filled"] >= _FILLED) & (rows["around"] <= _AROUND)
    shaped &= rows["roundness"] >= _ROUND + _ROUNDER * rows["probability"]
    sized = (rows["radius"] >= low) & (rows["radius"] <= high)
    found: NDArray[np.bool_] = bright & shaped & sized
    return found


def one_each(
    rows: NDArray[np.void], size: tuple[float, float, float]
) -> NDArray[np.void]:
    """Return the rows without those whose centre lies in a body that responds more.

    Parameters
    ----------
    rows
        Of :data:`SOMA`, from all blocks, in any order.
    size
        Edge lengths of a voxel that places are measured in, in µm.

    Returns
    -------
    NDArray[np.void]
        By place, (z, y, x).
    """
    from scipy.spatial import cKDTree

    rows = rows[np.lexsort((*rows["place"].T[::-1], -rows["response"]))]
    place = rows["place"] * np.array(size)
    taken = np.zeros(len(rows), bool)
    if len(rows):
        tree = cKDTree(place)
        reach = float(rows["radius"].max())
        for number, own in enumerate(rows["radius"].tolist()):
            if taken[number]:
                continue
            for other in tree.query_ball_point(place[number], reach):
                if other <= number:
                    continue
                away = float(np.linalg.norm(place[other] - place[number]))
                taken[other] |= away < max(own, float(rows["radius"][other]))
    kept = rows[~taken]
    return kept[np.lexsort(kept["place"].T[::-1])]
