"""Checks of a source's plausibility before any work, alike for every command.

What is surely wrong is refused: a check raises VolumeError. What may be meant is doubted:
a check yields one line, which names the option that silences it. What is worth knowing and
no cause for doubt it yields as a Remark. A check looks at metadata and at samples, never at
a whole source, and takes a fraction of a second.

To add one, write a module here with a function of :data:`Check`'s form, and name it in
``_CHECKS``; the pages in ``docs/inputs`` have a row for each.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from blockseg.io.chunk_memory import open_for_samples
from blockseg.io.downsampled import Downsampled
from blockseg.io.find import find
from blockseg.io.plausibility.chunks import Remark, chunks_are_stored
from blockseg.io.plausibility.levels import lacks_levels
from blockseg.io.plausibility.metadata import (
    has_sizes_that_fit,
    is_of_no_microscope,
    states_no_unit,
    uneven_slices,
)
from blockseg.io.plausibility.values import are_of_another_type
from blockseg.io.stores.address import addressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from blockseg.core.choices import SourceChoices
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

Check: TypeAlias = "Callable[[VolumeSpec, Volume, SourceChoices], Iterable[str]]"
"""Yields a line for each doubt, a Remark for what is none; raises VolumeError for what is
surely wrong."""

_CHECKS: tuple[Check, ...] = (
    has_sizes_that_fit,
    states_no_unit,
    is_of_no_microscope,
    uneven_slices,
    chunks_are_stored,
    are_of_another_type,
)


@dataclass(frozen=True, slots=True)
class Plausible:
    """A volume that may be worked on."""

    spec: VolumeSpec
    """Specification by which any process opens it."""

    volume: Volume
    """It, open for reading."""

    doubts: tuple[str, ...]
    """Doubts, a line each."""

    remarks: tuple[str, ...] = ()
    """Remarks that are no cause for doubt, a line each, without a full stop."""


def find_plausible(uri: str | os.PathLike[str], choices: SourceChoices) -> Plausible:
    """Find a volume, and refuse what is surely not what the user means.

    Parameters
    ----------
    uri
        As for :func:`~blockseg.io.find`.
    choices
        What the user says of it.

    Raises
    ------
    VolumeError
        With one line that says what is wrong and what to do.
    """
    text = addressed(os.fspath(uri), choices.stores)
    spec = find(
        text,
        level=choices.level,
        dataset=choices.dataset,
        channel=choices.channel,
        timepoint=choices.timepoint,
        axes=choices.axes,
        stored_as=choices.stored_as,
        allow_gaps=choices.allow_gaps,
        downsample=choices.downsample,
    )
    volume = open_for_samples(spec)
    doubts, remarks = _judged(spec, volume, choices)
    lacking = lacks_levels(text, spec, choices)
    return Plausible(spec, volume, (*lacking, *doubts), remarks)


def doubts_of(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> tuple[str, ...]:
    """Return what may be misleading about a volume that was found before, a line each.

    Raises
    ------
    VolumeError
        If something is surely wrong.
    """
    return _judged(spec, volume, choices)[0]


def _judged(
    spec: VolumeSpec, volume: Volume, choices: SourceChoices
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return doubts and remarks, on the volume as it is stored."""
    stored = volume.volume if isinstance(volume, Downsampled) else volume
    lines = [line for check in _CHECKS for line in check(spec, stored, choices)]
    doubts = tuple(line for line in lines if not isinstance(line, Remark))
    return doubts, tuple(str(line) for line in lines if isinstance(line, Remark))
