"""Engine that takes from OUT what its checksums prove, and infers the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.inference.block_input import nonfinite_voxels
from blockseg.inference.engine import Segmented

if TYPE_CHECKING:
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.engine import Segmenter
    from blockseg.io.output.proven import StoredProbability

TAKEN = "taken over from OUT, where its checksums prove it, without inference"
"""Note on a block that was not inferred."""


class StoredFirst:
    """Stands before an engine where a ledger was lost and the store was not.

    Parameters
    ----------
    stored
        Probability that OUT holds.
    engine
        Infers what nothing proves.
    """

    def __init__(self, stored: StoredProbability, engine: Segmenter) -> None:
        self._stored = stored
        self._engine = engine

    @property
    def depth(self) -> int:
        """As of the engine."""
        return self._engine.depth

    def segment(self, block: BlockInput) -> Segmented:
        """Return the write ROI of a block as bytes."""
        found = self._stored.proven(block.write_roi)
        if found is None:
            return self._engine.segment(block)
        inner = block.voxels[block.write_roi.slices(block.read_roi.start)]
        return Segmented(block.masked(found), 0, nonfinite_voxels(inner), TAKEN)

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()
