"""Limits of weights: in which ways a volume lies outside of what they were trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.networks.shipped import SHIPPED
from blockseg.suitability.advice import advised_factors, advised_weights
from blockseg.suitability.sampled import sample_of

if TYPE_CHECKING:
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.networks.trained import Trained
    from blockseg.networks.weights_info import WeightsInfo
    from blockseg.suitability.sampled import Sampled

_EMPTY = 1e-4  # share that noise and dust reach


def outside_of(found: Sampled, space: Space, trained: Trained) -> tuple[str, ...]:
    """Return in which ways a volume lies outside of trained ranges, a clause each.

    Parameters
    ----------
    found
        Findings in a sample of the volume.
    space
        Voxel size of the volume.
    trained
        The ranges.
    """
    seen = found.structures
    if seen.share < _EMPTY:
        return (
            (
                f"{100 * seen.share:.2g} % of the sample stand out of the noise by 5 SDs: it is "
                "empty, or its neurites are too dim"
            ),
        )
    wide, high = seen.neurite_width, seen.contrast_high
    clauses = []
    if wide is not None and wide > trained.half_width:
        clauses.append(
            f"structures have a half-width of up to {wide:.2g} voxels and more, trained to "
            f"{trained.half_width:g}"
        )
    if high is not None and high < trained.contrast:
        clauses.append(
            f"the brightest tenth is {high:.2g} noise SDs above the background, trained "
            f"from {trained.contrast:g}: neurites are dim, or so dense that they pass for "
            "background"
        )
    if seen.share > trained.share:
        clauses.append(
            f"{100 * seen.share:.0f} % of the sample stand out, trained to "
            f"{100 * trained.share:g} %"
        )
    if seen.somata > trained.somata:
        clauses.append(
            f"{100 * seen.somata:.0f} % of what stands out is round and wide, as somata "
            f"are, trained to {100 * trained.somata:g} %"
        )
    if found.saturated > trained.saturated:
        clauses.append(
            f"{100 * found.saturated:.0f} % of what stands out is saturated, trained to "
            f"{100 * trained.saturated:g} %"
        )
    if space.unit is not None:
        z, y, x = space.voxel_size
        ratio = z / max(y, x)
        if not 1 / trained.elongation <= ratio * 1.001 <= trained.elongation * 1.002:
            clauses.append(
                f"voxels are {ratio:.2g} times as long along z as along y and x, trained "
                f"from {1 / trained.elongation:.2g} to {trained.elongation:g}"
            )
    return tuple(clauses)


def trained_ranges(sha256: str, info: WeightsInfo) -> tuple[str, Trained] | None:
    """Return the purpose of weights, with the ranges; None if they do not say.

    Parameters
    ----------
    sha256
        Of their file.
    info
        Its header.
    """
    for shipped in SHIPPED:
        if shipped.sha256 == sha256:
            return shipped.purpose, shipped.trained
    if info.trained is None:
        return None
    return f"what {info.training_data} shows", info.trained


def warnings_of(
    spec: VolumeSpec, space: Space, sha256: str, info: WeightsInfo
) -> tuple[str, ...]:
    """Return lines for the user where a volume is not one that weights were trained for.

    Parameters
    ----------
    spec
        The volume, with the factors by which it is read.
    space
        Its voxel size.
    sha256, info
        Of the weights.

    Returns
    -------
    tuple of str
        None where nothing is outside, or the weights do not say what they were trained for.
    """
    known = trained_ranges(sha256, info)
    if known is None:
        return ()
    found = sample_of(spec)
    if found is None:
        return ()
    purpose, trained = known
    clauses = outside_of(found, space, trained)
    if not clauses:
        return ()
    lines = [
        (
            f"these weights were trained for {purpose}; this volume lies outside: "
            f"{'; '.join(clauses)}: look at the result before you use it"
        )
    ]
    better = better_options(found, space, sha256, spec.downsample)
    if better:
        lines.append(f"what may suit it better: {better}")
    return tuple(lines)


def better_options(
    found: Sampled, space: Space, sha256: str, given: tuple[int, int, int]
) -> str:
    """Return options that may suit a volume better; empty where none are known."""
    seen = found.structures
    if seen.half_width is None:
        return ""
    name = advised_weights(seen)
    shipped = next(one for one in SHIPPED if one.name == name)
    wide = seen.half_width
    if shipped is not SHIPPED[0] and seen.half_width_high is not None:
        wide = seen.half_width_high
    more = advised_factors(wide, space, found.half_depth)
    words = []
    if shipped.sha256 != sha256:
        words.append(f"--weights {name}")
    if more != (1, 1, 1):
        factors = (str(a * b) for a, b in zip(given, more, strict=True))
        words.append(f"--downsample {','.join(factors)}")
    return " ".join(words)
