"""Voxels of an output, decoded: against the ledger, the mask, and the levels below."""

from __future__ import annotations

import math
import os
import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from blockseg.checks.verification.findings import Finding, Kind
from blockseg.checks.verification.images import MASK, PROBABILITY
from blockseg.core.blocks import BlockState
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.ahead import map_ahead
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.reduction import halve
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blockseg.checks.verification.images import JobImages
    from blockseg.core.grid import Block
    from blockseg.io.output.stored_images import StoredImage
    from blockseg.io.protocol import Volume
    from blockseg.io.stores.location import Location
    from blockseg.runtime.ledger.ledger import Ledger

_SAMPLE = 16  # blocks that are decoded where not all are
_THREADS = 4
_CACHE = 32 * 2**20
_EDGE = 128  # of the parts of a coarse level


@dataclass(frozen=True, slots=True)
class VoxelCheck:
    """Compares the voxels of one job's images; threads may share it."""

    out: Location
    """The output."""

    images: JobImages
    """Images of the job."""

    part: str
    """Name of the derived job; empty for the run itself."""

    threshold: int | None
    """Smallest probability byte that is foreground; None where there is no mask."""

    digests: NDArray[np.int64]
    """CRC-32 of the voxels of each block of the first image."""

    finished: frozenset[str]
    """Names of the passes whose blocks are all written: coarse levels of others are not
    compared."""

    _opened: dict[tuple[str, int], Volume] = field(default_factory=dict)

    def run(self, blocks: NDArray[np.int64], *, whole: bool) -> Iterator[Finding]:
        """Yield what differs.

        Parameters
        ----------
        blocks
            Numbers of the blocks of the main pass to decode.
        whole
            Whether to compare all of the coarse levels, and not what lies above the
            blocks.
        """
        for image in self.images.images:  # before threads would
            for level in range(len(image.levels)):
                self._volume(image, level)
        checks: list[Callable[[], list[Finding]]] = [
            partial(self._block, int(block)) for block in blocks
        ]
        checks += [
            partial(self._coarse, image, level, roi)
            for image in self.images.images
            for level in range(1, len(image.levels))
            if self._is_later(self.images.pass_of(image, level))
            for roi in self._parts(image, level, blocks, whole=whole)
        ]
        threads = min(_THREADS, 2 * (os.cpu_count() or 1))
        for found in map_ahead(_called, checks, threads):
            yield from found

    def _is_later(self, phase: str) -> bool:
        """Say whether a pass after the main one wrote all that it had to."""
        return phase != self.images.main and phase in self.finished

    def _block(self, number: int) -> list[Finding]:
        first = self.images.images[0]
        block = self.images.grid(first).numbered(number)
        try:
            return [*self._finest(block), *self._inline(block)]
        except VolumeError as error:
            return [self._finding(Kind.VOXELS, str(error), self.images.main, number)]

    def _finest(self, block: Block) -> Iterator[Finding]:
        """Compare a block with its digest, and its mask with its probability."""
        images = {image.within: image for image in self.images.images}
        first, mask = self.images.images[0], images.get(MASK)
        fine, crc, wrong = self._volume(first, 0), 0, 0
        for slab in _slabs(block.write_roi, fine.chunk_shape[0]):
            voxels = np.ascontiguousarray(fine.read(slab))
            crc = zlib.crc32(voxels.data, crc)
            if (
                mask is not None
                and PROBABILITY in images
                and self.threshold is not None
            ):
                there = self._volume(mask, 0).read(slab)
                wrong += int(np.count_nonzero((voxels >= self.threshold) != there))
        main, where = self.images.main, f"block {block.index}"
        if crc != self.digests[block.number]:
            what = (
                f"{where} of {_called_so(first)} holds other voxels than were written"
            )
            yield self._finding(Kind.VOXELS, what, main, block.number)
        if wrong:
            what = f"{where} of {MASK} differs from the probability in {wrong} voxels"
            yield self._finding(Kind.VOXELS, what, main, block.number)

    def _inline(self, block: Block) -> Iterator[Finding]:
        """Compare the levels that were written with a block, each with the one below."""
        for image in self.images.images:
            roi = block.write_roi
            for level in range(1, len(image.levels)):
                if self.images.pass_of(image, level) != self.images.main:
                    break
                roi = _halved(roi)
                if wrong := self._differing(image, level, roi):
                    what = (
                        f"block {block.index} of {image.levels[level].path} differs from "
                        f"the level below in {wrong} voxels"
                    )
                    yield self._finding(
                        Kind.LEVELS, what, self.images.main, block.number
                    )

    def _coarse(self, image: StoredImage, level: int, roi: Roi) -> list[Finding]:
        phase, path = self.images.pass_of(image, level), image.levels[level].path
        try:
            wrong = self._differing(image, level, roi)
        except VolumeError as error:
            return [self._finding(Kind.LEVELS, str(error), phase, None)]
        if not wrong:
            return []
        what = f"{path} differs from the level below in {wrong} voxels of {roi}"
        return [self._finding(Kind.LEVELS, what, phase, None)]

    def _differing(self, image: StoredImage, level: int, roi: Roi) -> int:
        """Return the number of voxels of a level that do not follow from the one below."""
        coarse, fine = self._volume(image, level), self._volume(image, level - 1)
        wrong = 0
        for slab in _slabs(roi, coarse.chunk_shape[0]):
            below = Roi(
                to_zyx(2 * a for a in slab.start),
                to_zyx(
                    min(2 * b, n) for b, n in zip(slab.stop, fine.shape, strict=True)
                ),
            )
            made = halve(np.ascontiguousarray(fine.read(below)), image.reduce)
            there = coarse.read(slab)
            same = (made == there) | ((made != made) & (there != there))  # NaN  # noqa: PLR0124
            wrong += int(there.size - np.count_nonzero(same))
        return wrong

    def _parts(
        self,
        image: StoredImage,
        level: int,
        blocks: NDArray[np.int64],
        *,
        whole: bool,
    ) -> Iterator[Roi]:
        """Yield the parts of a level that are compared."""
        if whole:
            yield from self.images.tiles(image, level, _EDGE)
            return
        grid = self.images.grid(image)
        seen = set()
        for number in blocks.tolist():
            roi = grid.numbered(number).write_roi
            for _ in range(level):
                roi = _halved(roi)
            if roi not in seen:
                seen.add(roi)
                yield roi

    def _volume(self, image: StoredImage, level: int) -> Volume:
        place = (image.within, level)
        if place not in self._opened:
            path = self.out / image.within if image.within else self.out
            spec = find(str(path), mask=True, level=level)
            self._opened[place] = open_volume(spec, ReadLimits(_CACHE))
        return self._opened[place]

    def _finding(self, kind: Kind, what: str, phase: str, block: int | None) -> Finding:
        return Finding(kind, what, self.part, phase, block)


def blocks_to_decode(
    ledger: Ledger, images: JobImages, unknown: NDArray[np.int64], *, deep: bool
) -> NDArray[np.int64]:
    """Return the written blocks whose voxels are compared, by number.

    Parameters
    ----------
    ledger, images
        Of the job.
    unknown
        Blocks of which no files are known: nothing else proves them.
    deep
        Whether to take all, and not these and a sample of the others, of which most hold
        something.
    """
    if not images.images:
        return unknown
    count = math.prod(images.counts(images.main))
    states = ledger.states(images.main, count) == STATE_CODES[BlockState.DONE]
    if deep:
        return np.flatnonzero(states).astype(np.int64)
    full = ledger.column(images.main, "nonzero", count) > 0
    random = np.random.default_rng(0)
    chosen = [unknown]
    for some, share in ((states & full, _SAMPLE), (states & ~full, _SAMPLE // 4)):
        ids = np.flatnonzero(some)
        chosen.append(random.choice(ids, min(share, len(ids)), replace=False))
    return np.unique(np.concatenate(chosen)).astype(np.int64)


def _called(check: Callable[[], list[Finding]]) -> list[Finding]:
    return check()


def _called_so(image: StoredImage) -> str:
    return image.within or image.name


def _halved(roi: Roi) -> Roi:
    return Roi(to_zyx(a // 2 for a in roi.start), to_zyx(-(-b // 2) for b in roi.stop))


def _slabs(roi: Roi, depth: int) -> Iterator[Roi]:
    """Yield slabs along z, so that a block is never decoded as a whole."""
    for z in range(roi.start[0], roi.stop[0], depth):
        stop = min(z + depth, roi.stop[0])
        yield Roi((z, *roi.start[1:]), (stop, *roi.stop[1:]))
