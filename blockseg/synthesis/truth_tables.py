"""Tables of a synthetic brain's truth, and their place beside its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.io.output.atomic_files import replacing
from blockseg.io.output.written_files import stored_file
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.synthetic.truth import BlockTruth

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.blockwise.record.record import Paths

MAIN = "synth"
"""Name of the phase that writes blocks."""

TRACING = "centrelines"
"""Name of the phase that writes SWC."""

_PLACE = "block,z,y,x,size_z,size_y,size_x"


@dataclass(frozen=True, slots=True)
class TruthTables:
    """Files of the truth; the tables are made from what blocks reported."""

    paths: Paths
    """Paths of the brain."""

    @property
    def folder(self) -> Path:
        """All of them."""
        return self.paths.folder / "truth"

    @property
    def swc(self) -> Path:
        """Centrelines, a file a neuron."""
        return self.folder / "swc"

    @property
    def branches(self) -> Path:
        """A row for each branch: id, neuron, SNR, length in voxels."""
        return self.folder / "branches.csv"

    @property
    def blocks(self) -> Path:
        """A row for each block: place and size in voxels, then :class:`BlockTruth`."""
        return self.folder / "blocks.csv"

    def write(self, ledger: Path, fingerprint: str) -> None:
        """Write both tables, a row at a time, and enter them in the ledger.

        Raises
        ------
        VolumeError
            If a table cannot be written.
        LedgerError
            If the ledger is not that of the run.
        """
        out = self.paths.on_disk
        with Ledger.open(ledger, fingerprint) as rows:
            _write(self.branches, "branch,neuron,snr,length_voxels", rows, TRACING)
            _write(self.blocks, f"{_PLACE},{BlockTruth.columns()}", rows, MAIN)
            names = (path.relative_to(out) for path in (self.branches, self.blocks))
            rows.written.put(
                "tables", [stored_file(out, name.as_posix()) for name in names]
            )


def _write(path: Path, head: str, ledger: Ledger, phase: str) -> None:
    with replacing(path) as part:
        # A brain without a single neurite has no folder of centrelines yet.
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(f"{head}\n".encode())
            for _, payload in ledger.payloads(phase):
                file.write(payload)
