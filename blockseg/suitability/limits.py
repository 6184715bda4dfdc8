"""Limits of weights: in which ways a volume lies outside of what they were trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.networks.shipped import SHIPPED
from blockseg.suitability.advice import advised, option_words
from blockseg.suitability.sampled import elongation, sample_of, sample_of_volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume
    from blockseg.networks.trained import Trained
    from blockseg.networks.weights_info import WeightsInfo
    from blockseg.normalization.structures import Structures
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
    share = found.structures.share
    if share < _EMPTY:
        empty = (
            f"{100 * share:.2g} % of the sample stand out of the noise by 5 SDs: it is "
            "empty, or its neurites are too dim"
        )
        return (empty,)
    return (
        *_by_neurites(found.structures, trained),
        *_by_shares(found, trained),
        *_by_voxel_size(space, trained),
    )


def _by_neurites(seen: Structures, trained: Trained) -> Iterator[str]:
    wide, high = seen.neurite_width, seen.contrast_high
    if wide is not None and wide > trained.half_width:
        yield (
            f"structures have a half-width of up to {wide:.2g} voxels and more, trained to "
            f"{trained.half_width:g}"
        )
    if high is not None and high < trained.contrast:
        yield (
            f"the brightest tenth is {high:.2g} noise SDs above the background, trained "
            f"from {trained.contrast:g}: neurites are dim, or so dense that they pass for "
            "background"
        )


def _by_shares(found: Sampled, trained: Trained) -> Iterator[str]:
    seen = found.structures
    for share, most, what in (
        (seen.share, trained.share, "of the sample stand out"),
        (
            seen.somata,
            trained.somata,
            "of what stands out is round and wide, as somata are",
        ),
        (found.saturated, trained.saturated, "of what stands out is saturated"),
    ):
        if share > most:
            yield f"{100 * share:.0f} % {what}, trained to {100 * most:g} %"


def _by_voxel_size(space: Space, trained: Trained) -> Iterator[str]:
    ratio, most = elongation(space), trained.elongation
    # Voxel sizes that were rounded lie a little beyond.
    if ratio is not None and not 1 / most <= ratio * 1.001 <= most * 1.002:
        yield (
            f"voxels are {ratio:.2g} times as long along z as along y and x, trained "
            f"from {1 / most:.2g} to {most:g}"
        )


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
    return f"images like the training data of {info.name}", info.trained


def warnings_of(
    spec: VolumeSpec,
    space: Space,
    sha256: str,
    info: WeightsInfo,
    volume: Volume | None = None,
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
    volume
        The volume where it is in memory, and cannot be opened by ``spec``.

    Returns
    -------
    tuple of str
        None where nothing is outside, or the weights do not say what they were trained for.
    """
    known = trained_ranges(sha256, info)
    if known is None:
        return ()
    found = sample_of(spec) if volume is None else sample_of_volume(volume)
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
    advice = advised(found, space)
    if advice is None:
        return ""
    name, more = advice
    shipped = next(one for one in SHIPPED if one.name == name)
    z, y, x = (a * b for a, b in zip(given, more, strict=True))
    return option_words(
        name if shipped.sha256 != sha256 else None,
        (z, y, x) if more != (1, 1, 1) else None,
    )
