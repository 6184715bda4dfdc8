"""Derived parts of an output: whether they were made from the run as it is now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.blockwise.derived.finished import content_of
from blockseg.blockwise.derived.staleness import MADE_FROM, what_is_stale
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.checks.verification.findings import Finding, Kind
from blockseg.io.output.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.record.record import RunRecord
    from blockseg.checks.jobs import StoredJob
    from blockseg.runtime.ledger.ledger import Ledger

_LABELS, _LABEL = "labels", "label"
_OF_LABELS = ("skeletonize", "somata")
"""Parts made from labels."""


def provenance_now(record: RunRecord, ledger: Ledger) -> Provenance:
    """Return the provenance of something made from a run now.

    Parameters
    ----------
    record, ledger
        Of a run that segmented.
    """
    main = record.phases[0]
    content = content_of(ledger, math.prod(main.grid))
    threshold = decisions_from(record.decisions).threshold
    return Provenance(record.fingerprint, content, threshold)


def stale_parts(
    run: StoredJob, ledger: Ledger, parts: list[StoredJob]
) -> Iterator[Finding]:
    """Yield the parts that were made from another state of the run, or of the labels.

    Parameters
    ----------
    run, ledger
        The run.
    parts
        Jobs derived from it.
    """
    if run.record is None or run.record.phases[0].name != "segment":
        return
    now = provenance_now(run.record, ledger)
    labels = next((part.record for part in parts if part.part == _LABEL), None)
    for part in parts:
        if part.record is None:
            continue
        settings = part.record.request["settings"]
        why = what_is_stale(Provenance.from_plain(settings.get(MADE_FROM)), now)
        made_from = settings.get(_LABELS)
        if not why and part.part.startswith(_OF_LABELS):
            if labels is None:
                why = "was made from labels that are not there"
            elif made_from != labels.fingerprint:
                why = "was made from other labels"
        if why:
            yield Finding(Kind.STALE, f"it {why}", part.part)
