"""Earlier labels of an output, and whether its components can stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.record.record import RunRecord
from blockseg.blockwise.status import part_status
from blockseg.io.output.create import image_provenance
from blockseg.io.output.written_files import damaged_files
from blockseg.labelling.components import is_merged
from blockseg.labelling.task import FilterLabels
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.blockwise.record.record import Paths
    from blockseg.blockwise.run import OpenedJob
    from blockseg.io.output.provenance import Provenance


def others_pass(
    paths: Paths,
    images: tuple[Path, Path],
    merged: Path,
    objects: Provenance,
    made: Provenance,
) -> bool:
    """Return whether all components exist, made in the same way, and only filters differ.

    Parameters
    ----------
    paths
        Of the job that wrote them.
    images
        Components, and the mask of those that passed.
    merged
        Folder of the merge.
    objects
        Everything that decides the components.
    made
        And which of them pass.
    """
    record = RunRecord.of(paths)
    if record is None or image_provenance(images[1]) == made:
        return False
    if image_provenance(images[0]) != objects or not is_merged(merged, objects):
        return False
    state = part_status(paths, record).state
    if record.phases[0].name == FilterLabels.name:  # which began with all of them
        return state != "damaged"
    return state == "complete"


def goes_on_filtering(begun: OpenedJob) -> bool:
    """Return whether a job applies other filters to existing components."""
    return (
        begun.earlier is not None and begun.earlier.phases[0].name == FilterLabels.name
    )


def components_lost(begun: OpenedJob, within: str) -> bool:
    """Return whether components that such a job relies on have changed since.

    Parameters
    ----------
    begun
        The job.
    within
        Name under which its ledger keeps their files.
    """
    if begun.earlier is None:
        return False
    path = begun.ledger or begun.paths.ledger
    with Ledger.read(path, begun.earlier.fingerprint) as ledger:
        return any(damaged_files(begun.paths.out, ledger.written.of(within)))
