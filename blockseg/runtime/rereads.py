"""Second reads of blocks, which must find what the first found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockseg.core.blocks import BlockReport


@dataclass(slots=True)
class Rereads:
    """Reads of unfinished blocks earlier, in this session or another."""

    sums: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Checksums of what each read, in order; as many as it came to before it failed."""

    def judged(self, report: BlockReport) -> BlockReport:
        """Return a report, as that of a failed block if it read something else.

        What a failed attempt read is kept for the next one.
        """
        before = self.sums.get(report.block_id, ())
        common = min(len(before), len(report.reads))
        if before[:common] != report.reads[:common]:
            return replace(
                report,
                error=(
                    "the source changed while the run went on: the block was read "
                    "before, and other voxels then; put the source back as it was and "
                    "run again, or start anew with --overwrite"
                ),
                retry=False,
                reads=before,
                payload=b"",
            )
        longest = max(before, report.reads, key=len)
        if report.error:
            self.sums[report.block_id] = longest
        else:
            self.sums.pop(report.block_id, None)
        return report
