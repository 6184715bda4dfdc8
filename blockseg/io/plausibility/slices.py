"""Slices whose numbers do not say where their planes lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.io.tiff.slices import slice_doubt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.choices import SourceChoices
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


def uneven_slices(
    spec: VolumeSpec,
    volume: Volume,  # noqa: ARG001 - names tell
    choices: SourceChoices,
) -> Iterator[str]:
    """Yield a line where the numbers of slices go in no equal steps."""
    if spec.format != "tiff" or choices.allow_gaps or Path(spec.uri).is_file():
        return
    doubt = slice_doubt(spec.uri)
    if doubt:
        yield doubt
