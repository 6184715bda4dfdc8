"""``blockseg info``: what a volume is, what stands out in it, and on which grid to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from blockseg.core.choices import SourceChoices
from blockseg.io.describe import describe
from blockseg.networks.shipped import DEFAULT, SHIPPED, weights_path
from blockseg.networks.weights_info import load_info, sha256
from blockseg.suitability.advice import MOST, advised, option_words
from blockseg.suitability.limits import outside_of, trained_ranges
from blockseg.suitability.sampled import sample_of

if TYPE_CHECKING:
    import os

    from blockseg.core.geometry import Zyx
    from blockseg.io.describe import SourceInfo
    from blockseg.networks.trained import Trained
    from blockseg.normalization.structures import Structures


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
    """In which ways it lies outside of what the weights were trained for."""

    saturated: float = 0.0
    """Share of what stands out that is at the camera's limit."""

    judged_by: str = DEFAULT.name
    """Name or file of the weights that ``outside`` is about."""

    trained_for: str = ""
    """Images that they were trained for, in words; empty if they do not say."""

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
                f"  outside of what {self.trained_for}:",
                *(f"    {clause}" for clause in self.outside),
            ]
        if not self.trained_for:
            lines.append("  the weights do not say which images they were trained for")
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
        shipped = self.judged_by in (weights.name for weights in SHIPPED)
        if not shipped and self.trained_for and not self.outside:
            return [f"{what}; that is inside of what these weights were trained for"]
        if self.downsample is None:
            why = "hardly any is long, as neurites are"
            if found.share > MOST:
                share = f"{100 * found.share:.0f} % of the sample"
                why = f"they take {share}, more than neurites do"
            return [f"{what}; {why}: nothing is recommended"]
        recommended = option_words(
            None if self.weights == self.judged_by else self.weights,
            None if self.downsample == self.given else self.downsample,
        )
        if not recommended and self.outside:
            said = "their width suits the weights, but not what lies outside"
            return [f"{what}; {said}: segment a small region first, and look at it"]
        if not recommended:
            return [f"{what}; this resolution suits the shipped weights"]
        return [what, f"  recommended: {recommended}"]


def inspect(
    uri: str | os.PathLike[str],
    choices: SourceChoices | None = None,
    weights: str | None = None,
) -> Inspection:
    """Describe what lies at a path, and measure what stands out in a sample of it.

    Parameters
    ----------
    uri
        As for :func:`~blockseg.io.find.find`.
    choices
        What the user says of it.
    weights
        A file, or a name of weights that ship, of which it is said whether they suit it;
        the default if not given.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing of a known format.
    WeightsError
        If there are no such weights.
    """
    name, trained_for, ranges = _judge(weights)
    choices = choices or SourceChoices()
    source = describe(uri, choices)
    bare = Inspection(source, None, None, None, given=choices.downsample)
    sampled = None if source.taken is None else sample_of(source.taken.spec)
    if source.taken is None or sampled is None:
        return bare
    space = source.taken.space
    seen = replace(
        bare,
        structures=sampled.structures,
        half_depth=sampled.half_depth,
        outside=() if ranges is None else outside_of(sampled, space, ranges),
        saturated=sampled.saturated,
        judged_by=name,
        trained_for=trained_for,
    )
    advice = advised(sampled, space)
    if advice is None:
        return seen
    suited, factors = advice
    z, y, x = (a * b for a, b in zip(choices.downsample, factors, strict=True))
    return replace(seen, downsample=(z, y, x), weights=suited)


def _judge(weights: str | None) -> tuple[str, str, Trained | None]:
    """Return name, purpose in words, and ranges of the weights to judge a volume by."""
    if weights is not None:
        path = weights_path(weights)
        info, digest = load_info(path), sha256(path)
        if digest != DEFAULT.sha256:
            known = trained_ranges(digest, info)
            if known is None:
                return weights, "", None
            purpose, ranges = known
            return weights, f"{weights} was trained for ({purpose})", ranges
    purpose = f"the default weights were trained for ({DEFAULT.purpose})"
    return DEFAULT.name, purpose, DEFAULT.trained


def _height(found: Structures) -> str:
    """Return how bright they are, as a part of a line."""
    if found.contrast is None:
        return "on a background of exactly 0, which has no noise"
    return (
        f"{found.contrast:.2g} noise SDs above the background (the brightest "
        f"tenth {found.contrast_high:.2g} and more)"
    )
