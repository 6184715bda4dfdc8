"""Survey of some cubes of a volume, a few of them inferred, to learn what to skip."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.cubes import TILE, by_cube, cube_box, cube_counts, spread, voxels_of
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.inference.block_input import BlockInput
from blockseg.inference.make_engine import make_engine
from blockseg.inference.tile_scores.averaged_image import SEEN
from blockseg.inference.tile_scores.choice import tile_score
from blockseg.io.chunk_memory import readers
from blockseg.io.holes.mended_volume import MendedVolume
from blockseg.segmentation.sparse.cube import what_it_holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.specs import ScoutSpec
    from blockseg.inference.skip_calibration import Inferred

_GROUP = 2  # edge, in cubes, of what is read together
_FEWEST_GROUPS, _MOST_GROUPS = 32, 128  # read, of 2 million voxels each; between them:
_GROUP_SHARE = 2  # one in so many of the volume
_READERS = 4
_FEWEST, _MOST = 24, 256  # cubes inferred, and between them:
_SHARE = 50  # one in so many of the volume
_SMALL = 4  # never more than one in so many
_OUTSIDE = 4  # one in so many of those inferred lies outside of the tissue
_OTHERS = 3  # and one in so many of these is not of the best by score
_SUSPECTS = 12  # outside of the tissue, inferred because they show too much for that
_STRATA = (16, 8, 4, 2, 1)  # of the cubes by score: the best 16th, the next, ...
_BEST_SHARE = 2  # of those inferred, one in so many is of the best stratum
_BEST = 8  # cubes that the best stratum has at least
_SEED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Neighbouring cubes that were looked at together."""

    box: Roi
    """Their positions, in cubes."""

    cubes: NDArray[np.float32]
    """Score of each, -inf outside of the tissue."""

    tiles: NDArray[np.float32]
    """Score of each tile of theirs, -inf outside of the tissue."""

    outside: NDArray[np.float32]
    """Score of each cube outside of the tissue, -inf of the others."""


class Survey:
    """A sample of cubes, the same for every way to store, to cut or to mask a volume.

    Groups of 2×2×2 cubes are drawn one from each of equal stretches of the volume, and
    their score looked at. Of their cubes a few are drawn to be inferred, by strata of
    score: half from the best, where most of the foreground is, and as many from each of
    the others. How many cubes a stratum stands for makes up for that. Cubes outside of
    the tissue are looked at like all others: most of those inferred show the most.

    Parameters
    ----------
    inputs, decisions
        Of the run.
    edge
        Of a cube, in voxels.
    tissue
        Cubes (z, y, x) that may be tissue; None if that is not known.
    scout
        Network that gives tiles their score; None for the path opening.
    threads
        That it works with.
    """

    def __init__(
        self,
        inputs: Inputs,
        decisions: Decisions,
        edge: int,
        tissue: NDArray[np.bool_] | None,
        scout: ScoutSpec | None = None,
        threads: int = 1,
    ) -> None:
        self._volume = MendedVolume(inputs.source.volume, decisions.holes)
        self._weights = "" if inputs.weights is None else str(inputs.weights.path)
        self._reach = inputs.field.reach
        self._decisions = decisions
        self.edge = edge
        counts = cube_counts(self._volume.shape, edge)
        self._tissue = np.ones(counts, bool) if tissue is None else tissue
        self._score = tile_score(scout, decisions.affine, self._volume.shape, threads)
        self._rng = np.random.default_rng(_SEED)
        self._left: list[tuple[list[tuple[Zyx, float]], int]] = []
        self._inferred: set[Zyx] = set()
        self.groups = self._look(BlockGrid(counts, (_GROUP,) * 3))
        """All that were looked at."""

    @property
    def sample_size(self) -> int:
        """Cubes to infer unless fewer make it clear what may be skipped."""
        total = self._tissue.size
        return min(max(_FEWEST, min(total // _SHARE, _MOST)), total // _SMALL)

    @property
    def seen(self) -> int:
        """Cubes that were looked at."""
        return sum(group.cubes.size for group in self.groups)

    def empty(self, threshold: float | None) -> float:
        """Return the share of all tiles that are tissue and have no higher score."""
        if threshold is None or not self.seen:
            return 0.0
        few = sum(
            int(
                np.count_nonzero((group.tiles <= threshold) & (group.tiles > -math.inf))
            )
            for group in self.groups
        )
        return few / sum(group.tiles.size for group in self.groups)

    def inferred(self, workers: int) -> tuple[list[Inferred], list[float]]:
        """Infer a few cubes with the run's own engine.

        Parameters
        ----------
        workers
            Engines at work at the same time.

        Returns
        -------
        cubes
            What they hold; those that cannot be read are left out.
        sizes
            How many cubes of the volume each stratum stands for.
        """
        drawn, sizes = self._drawn()
        return self._all(drawn, workers), sizes

    def more(self, workers: int, times: int = 1) -> list[Inferred]:
        """Infer ``times`` as many cubes as at first, others of the same strata."""
        drawn: list[tuple[Zyx, float, int]] = []
        before, self._left = self._left, []
        for stratum, (cubes, count) in enumerate(before):
            self._take(cubes, count, times, stratum, drawn)
        return self._all(drawn, workers)

    def suspects(self, threshold: float | None, workers: int) -> list[Inferred]:
        """Infer cubes outside of the tissue that would not be skipped inside of it.

        Parameters
        ----------
        threshold
            Score up to which a tile of the tissue is skipped; None where none is.
        workers
            Engines at work at the same time.

        Returns
        -------
        Of a dozen of those that show the most, what they hold; as cubes of the first
        stratum.
        """
        least = max(0.0, -math.inf if threshold is None else threshold)
        left = [
            cube
            for cube in self._outside()
            if cube[1] > least and cube[0] not in self._inferred
        ]
        drawn = [(place, -math.inf, 0) for place, _ in left[:_SUSPECTS]]
        return self._all(drawn, workers)

    def _outside(self) -> list[tuple[Zyx, float]]:
        """Return the cubes looked at outside of the tissue, the highest score first."""
        found = [
            (to_zyx(np.add(index, group.box.start)), float(group.outside[index]))
            for group in self.groups
            for index in np.ndindex(group.outside.shape)
            if group.outside[index] > -math.inf
        ]
        return sorted(found, key=lambda cube: (-cube[1], cube[0]))

    def _all(
        self, drawn: Sequence[tuple[Zyx, float, int]], workers: int
    ) -> list[Inferred]:
        self._inferred |= {place for place, _, _ in drawn}
        parts = [drawn[k::workers] for k in range(min(workers, len(drawn)))]
        with ThreadPoolExecutor(max(1, len(parts))) as pool:
            return [cube for part in pool.map(self._infer, parts) for cube in part]

    def _look(self, grid: BlockGrid) -> list[Group]:
        groups = min(max(_FEWEST_GROUPS, len(grid) // _GROUP_SHARE), _MOST_GROUPS)
        count = min(groups, len(grid))
        borders = np.linspace(0, len(grid), count + 1).astype(np.int64)
        numbers = [int(self._rng.integers(a, b)) for a, b in pairwise(borders)]
        boxes = [grid.numbered(number).write_roi for number in numbers]
        with ThreadPoolExecutor(readers(self._volume, _READERS)) as pool:
            looked = list(pool.map(self._group, boxes))
        return [group for group in looked if group is not None]

    def _group(self, cubes: Roi) -> Group | None:
        shape = self._volume.shape
        inside = self._tissue[cubes.slices()]
        roi = voxels_of(cubes, shape, self.edge)
        tiles = cube_box(roi, TILE)
        seen = roi.grown((SEEN,) * 3).intersection(Roi.whole(shape))
        try:
            raw = self._volume.read(seen)
        except VolumeError:
            return None
        found = self._score(raw, seen, roi, TILE)
        outside = np.where(inside, -np.inf, self._best(found, tiles)).astype(np.float32)
        found[~spread(inside, cubes, tiles, self.edge // TILE)] = -np.inf
        return Group(cubes, self._best(found, tiles), found, outside)

    def _best(self, found: NDArray[np.float32], tiles: Roi) -> NDArray[np.float32]:
        """Return the most that the tiles of each cube show."""
        return by_cube(found, tiles, self.edge // TILE, np.maximum)

    def _near(self, place: Zyx) -> NDArray[np.float32]:
        """Return the score of each tile of a cube that was looked at."""
        group = next(g for g in self.groups if g.box.contains(_one(place)))
        each = self.edge // TILE
        first = [(a - b) * each for a, b in zip(place, group.box.start, strict=True)]
        return group.tiles[tuple(slice(a, a + each) for a in first)]

    def _drawn(self) -> tuple[list[tuple[Zyx, float, int]], list[float]]:
        """Draw cubes to infer: position, score and stratum of each."""
        places = [
            (to_zyx(np.add(index, group.box.start)), float(group.cubes[index]))
            for group in self.groups
            for index in np.ndindex(group.cubes.shape)
        ]
        places.sort(key=lambda cube: (-cube[1], cube[0]))
        inside = [cube for cube in places if cube[1] > -math.inf]
        outside = [(place, -math.inf) for place, _ in self._outside()]
        at_first = min(_FEWEST, self.sample_size)
        drawn: list[tuple[Zyx, float, int]] = []
        sizes: list[float] = []
        if outside:
            each = np.count_nonzero(~self._tissue) / len(outside)
            few = at_first // _OUTSIDE
            first = max(len(outside) // _STRATA[0], min(_BEST, len(outside)))
            if few < _OTHERS:
                first = len(outside)
            for some, count in (
                (outside[:first], few - few // _OTHERS),
                (outside[first:], few // _OTHERS),
            ):
                if some:
                    self._draw(some, count, drawn, sizes)
                    sizes[-1] *= float(each)
        scale = np.count_nonzero(self._tissue) / max(len(inside), 1)
        left, start = at_first - len(drawn), 0
        best = -(-left // _BEST_SHARE)
        for number, part in enumerate(_STRATA):
            stop = max(len(inside) // part, min(_BEST, len(inside)))
            count = best if number == 0 else -(-(left - best) // (len(_STRATA) - 1))
            if stop > start:
                self._draw(inside[start:stop], count, drawn, sizes)
                sizes[-1] *= float(scale)
                start = stop
        return drawn, sizes

    def _draw(
        self,
        stratum: Sequence[tuple[Zyx, float]],
        count: int,
        drawn: list[tuple[Zyx, float, int]],
        sizes: list[float],
    ) -> None:
        self._take(stratum, count, 1, len(sizes), drawn)
        sizes.append(float(len(stratum)))

    def _take(
        self,
        cubes: Sequence[tuple[Zyx, float]],
        count: int,
        times: int,
        stratum: int,
        drawn: list[tuple[Zyx, float, int]],
    ) -> None:
        most = min(count * times, len(cubes))
        numbers = self._rng.choice(len(cubes), most, replace=False)
        drawn += [(*cubes[int(k)], stratum) for k in numbers]
        chosen = set(numbers.tolist())
        others = [cube for k, cube in enumerate(cubes) if k not in chosen]
        self._left.append((others, count))

    def _infer(self, drawn: Sequence[tuple[Zyx, float, int]]) -> list[Inferred]:
        shape = self._volume.shape
        spec = self._decisions.engine(self._weights)
        spec = replace(spec, core=(self.edge,) * 3)
        found = []
        with closing(
            make_engine(spec, self._decisions.affine, self._volume.dtype)
        ) as engine:
            for place, value, stratum in drawn:
                cube = voxels_of(_one(place), shape, self.edge)
                around = cube.grown((self._reach,) * 3)
                around = around.intersection(Roi.whole(shape))
                try:
                    seen = self._volume.look(around)
                except VolumeError:
                    continue
                raw = seen.voxels
                done = engine.segment(BlockInput(raw, around, cube, shape))
                foreground = done.probability >= self._decisions.threshold
                if seen.missing is not None:
                    foreground &= ~seen.missing[cube.slices(around.start)]
                near = None if value == -math.inf else self._near(place)
                found.append(
                    what_it_holds(foreground, cube, shape, value, near, stratum)
                )
        return found


def _one(place: Zyx) -> Roi:
    """Return the box of one cube."""
    return Roi(place, to_zyx(n + 1 for n in place))
