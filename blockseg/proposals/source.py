"""Picks from any source: a measured brain, a bare volume, or labelled volumes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.outputs import absolute, writable
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.sources.doubts import warn_of
from blockseg.core.choices import SourceChoices
from blockseg.core.errors import ConfigError, LedgerError
from blockseg.core.text import blockseg_command
from blockseg.io.stores.address import addressed, is_remote
from blockseg.measurement.run import metrics
from blockseg.networks.shipped import weights_named
from blockseg.proposals.brain import doubts_of_measured, is_measured
from blockseg.proposals.labelled import is_labelled, propose_labelled
from blockseg.proposals.run import propose

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.blockwise.job import JobResult
    from blockseg.config.propose_settings import ProposeSettings
    from blockseg.config.settings import RunSettings
    from blockseg.proposals.folder import Proposed

_OF_LABELS = ("label_map", "label_channel", "allow_labels")
_OF_FOLDERS = ("level", "downsample", "dataset", "voxel_size")
_SILENT = ("allow_gaps", "allow_empty", "endpoint", "region", "anonymous")


def propose_source(
    source: str,
    folder: str,
    settings: ProposeSettings,
    measuring: RunSettings,
    *,
    measure: Callable[..., JobResult] = metrics,
    picking: AbstractContextManager[Callable[[int, int], None] | None] | None = None,
) -> Proposed:
    """Pick blocks, after measuring the volume if needed.

    Parameters
    ----------
    source
        Output of ``run`` or ``metrics``, a volume, or a folder of labelled volumes.
    folder
        ``PICKS``.
    settings
        Settings of the picks.
    measuring
        How a bare volume is read and measured; of this, what is said of images counts for
        labelled ones too.
    measure
        Measures a bare volume, called as :func:`~blockseg.measurement.run.metrics`.
    picking
        Entered when picking begins; gives what is told how many are done, and of how many.

    Raises
    ------
    BlocksegError
        Of the kind that fits, with one line, before PICKS is touched.
    """
    source = addressed(source, measuring.stores)
    _check_source(source, settings, measuring)
    labelled, out = is_labelled(source), source
    if not labelled and not is_measured(source):
        if is_remote(source):
            message = (
                f"{source} was not measured yet, and has no folder beside it to do so; "
                f"measure it with {blockseg_command('metrics', source, 'OUT')}, and give "
                "that OUT"
            )
            raise ConfigError(message)
        writable(folder, "PICKS")  # before hours of measuring
        result = measure(source, None, measuring)
        if not result.complete:
            message = (
                f"{result.blocks - result.done} of {result.blocks} blocks of {source} were "
                f"not measured{f' ({result.stopped})' if result.stopped else ''}; the same "
                "call goes on"
            )
            raise LedgerError(message)
        out = str(result.out)
    with picking or nullcontext() as on_pick:
        if labelled:
            return propose_labelled(out, folder, settings, measuring.choices, on_pick)
        found = propose(out, folder, settings, on_pick)
    record = RunRecord.of(Paths(absolute(out)))
    if record is None:
        return found
    sha256, path = record.request["weights"], record.facts.get("weights")
    return replace(found, weights=weights_named(sha256, path))


def _check_source(
    source: str, settings: ProposeSettings, measuring: RunSettings
) -> None:
    """Refuse options that do not apply to the kind of source.

    What may mislead about the source of an output is said; of a volume that is to be
    measured, measuring says it.
    """
    given = [
        field.name
        for field in fields(SourceChoices)
        if getattr(measuring.choices, field.name) != field.default
    ]
    if is_labelled(source):
        useless, why = set(given) & {*_OF_FOLDERS}, "a folder of labelled volumes"
    else:
        useless = {name for name in _OF_LABELS if getattr(settings, name)}
        why = "a brain; its labels are yet to come"
        if not useless and is_measured(source):
            useless = set(given) - {*_SILENT}
            why = "what was measured before, which keeps what was said then"
    if useless:
        name = "as" if "stored_as" in useless else min(useless).replace("_", "-")
        message = f"--{name} does not go with {why}; leave it out"
        raise ConfigError(message)
    if is_measured(source):
        warn_of(doubts_of_measured(source))
