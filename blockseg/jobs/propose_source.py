"""Pick blocks of whatever is given: a measured brain, a bare one, or labelled volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import LedgerError
from blockseg.jobs.metrics import metrics
from blockseg.jobs.outputs import writable
from blockseg.jobs.propose import propose
from blockseg.jobs.propose_brain import is_measured
from blockseg.jobs.propose_labelled import is_labelled, propose_labelled

if TYPE_CHECKING:
    from blockseg.config import RunSettings
    from blockseg.jobs.propose_settings import ProposeSettings
    from blockseg.jobs.proposed import Proposed

__all__ = ["propose_source"]


def propose_source(
    source: str,
    folder: str,
    settings: ProposeSettings,
    measuring: RunSettings,
) -> Proposed:
    """Pick blocks, and measure what nobody has measured yet.

    Parameters
    ----------
    source
        Output of ``run`` or ``metrics``, a volume, or a folder of labelled volumes.
    folder
        ``PICKS``.
    settings
        What to pick.
    measuring
        How a bare volume is measured.

    Raises
    ------
    BlocksegError
        Of the kind that fits, with one line, before PICKS is touched.
    """
    if is_labelled(source):
        return propose_labelled(source, folder, settings)
    if is_measured(source):
        return propose(source, folder, settings)
    writable(folder, "PICKS")
    result = metrics(source, None, measuring)
    if not result.complete:
        message = (
            f"{result.blocks - result.done} of {result.blocks} blocks of {source} were not "
            f"measured{f' ({result.stopped})' if result.stopped else ''}; the same call "
            "goes on"
        )
        raise LedgerError(message)
    return propose(str(result.out), folder, settings)
