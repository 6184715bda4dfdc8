"""``blockseg info``: what a volume is, what stands out in it, and on which grid to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from blockseg.core.choices import SourceChoices
from blockseg.io.describe import describe
from blockseg.networks.shipped import DEFAULT
from blockseg.suitability.advice import advised_factors, advised_weights
from blockseg.suitability.limits import outside_of
from blockseg.suitability.sampled import sample_of

if TYPE_CHECKING:
    import os

    from blockseg.core.geometry import Zyx
    from blockseg.io.describe import SourceInfo
    from blockseg.normalization.structures import Structures

_MOST = 0.25  # share of a sample that neurites take at most


@dataclass(frozen=True, slots=True)
class Inspection:
    """Description of a source, and of what stands out in it."""

    source: SourceInfo
    """Description of the source."""

    structures: Structures | None
    """Findings in a sample; None where there is none, or nothing varies in it."""

    half_depth: float | None
    """Planes from the middle of bright structures to where they have half their height along
    z; None where that was not looked at, as neurites are thin."""

    downsample: Zyx | None
    """Factors with which neurites have the width that the shipped weights know; None where
    that is not known."""

    weights: str | None = None
    """Name of the shipped weights that suit what was found; None where that is not known."""

    given: Zyx = (1, 1, 1)
    """Factors with which the sample was read."""

    outside: tuple[str, ...] = ()
    """In which ways it lies outside of what the default weights were trained for."""

    saturated: float = 0.0
    """Share of what stands out that is at the camera's limit."""

    def lines(self) -> list[str]:
        """Return it for people to read."""
        return [*self.source.lines(), *self._of_limits(), *self._of_structures()]

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = None if self.structures is None else asdict(self.structures)
        factors = None if self.downsample is None else list(self.downsample)
        more = {"half_depth": self.half_depth, "saturated": self.saturated}
        found = None if found is None else found | more
        advice = {
            "weights": self.weights,
            "downsample": factors,
            "outside": list(self.outside),
        }
        return asdict(self.source) | {"structures": found} | advice

    def _of_limits(self) -> list[str]:
        found = self.structures
        if found is None or not found.share:
            return []
        lines = [
            (
                f"  {100 * found.share:.2g} % of the sample stand out, "
                f"{100 * found.somata:.0f} % of that round and wide as somata, "
                f"{100 * self.saturated:.0f} % saturated"
            )
        ]
        if self.outside:
            lines += [
                f"  outside of what the default weights were trained for ({DEFAULT.purpose}):",
                *(f"    {clause}" for clause in self.outside),
            ]
        return lines

    def _of_structures(self) -> list[str]:
        found = self.structures
        if found is None:
            return []
        if not found.share:
            return ["  nothing stands out of the background in the sample"]
        if found.half_width is None:
            return [f"  too little stands out to tell a width, {_height(found)}"]
        what = f"  bright structures: half-width {found.half_width:.2g} voxels, {_height(found)}"
        if self.downsample is None:
            share = f"{100 * found.share:.0f} % of the sample, more than neurites do"
            return [f"{what}; they take {share}: nothing is recommended"]
        words = []
        if self.weights not in (None, DEFAULT.name):
            words.append(f"--weights {self.weights}")
        if self.downsample != self.given:
            words.append(f"--downsample {','.join(map(str, self.downsample))}")
        if not words:
            return [f"{what}; this resolution suits the shipped weights"]
        return [what, f"  recommended: {' '.join(words)}"]


def inspect(
    uri: str | os.PathLike[str], choices: SourceChoices | None = None
) -> Inspection:
    """Describe what lies at a path, and measure what stands out in a sample of it.

    Parameters
    ----------
    uri
        As for :func:`~blockseg.io.find.find`.
    choices
        What the user says of it.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing of a known format.
    """
    choices = choices or SourceChoices()
    source = describe(uri, choices)
    given = choices.downsample
    if source.taken is None:
        return Inspection(source, None, None, None, given=given)
    sampled = sample_of(source.taken.spec)
    if sampled is None:
        return Inspection(source, None, None, None, given=given)
    found, depth, space = sampled.structures, sampled.half_depth, source.taken.space
    seen = Inspection(
        source,
        found,
        depth,
        None,
        given=given,
        outside=outside_of(sampled, space, DEFAULT.trained),
        saturated=sampled.saturated,
    )
    if found.half_width is None or found.share > _MOST:
        return seen
    weights = advised_weights(found)
    wide = found.half_width
    if weights != DEFAULT.name and found.half_width_high is not None:
        wide = found.half_width_high  # what thin ends have is not what dendrites have
    more = advised_factors(wide, space, depth)
    z, y, x = (a * b for a, b in zip(given, more, strict=True))
    return replace(seen, downsample=(z, y, x), weights=weights)


def _height(found: Structures) -> str:
    """Return how bright they are, as a part of a line."""
    if found.contrast is None:
        return "on a background of exactly 0, which has no noise"
    return (
        f"{found.contrast:.2g} noise SDs above the background (the brightest "
        f"tenth {found.contrast_high:.2g} and more)"
    )
