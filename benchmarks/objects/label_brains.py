"""Finished runs of any size for the benchmarks of objects, written without a network.

Filaments fill a twentieth of a unit that is repeated, mirrored, so that they go on across
its faces. Probability, mask, image and records are those that ``blockseg run`` would leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter

from blockseg.blockwise.planning.decisions import Decisions
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.request import Request, deciding
from blockseg.blockwise.run import open_job, run
from blockseg.blockwise.sources.inputs import open_source
from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.config.settings import RunSettings
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.core.specs import Affine
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.normalization.finding import BackgroundFinding
from blockseg.runtime.memory import Need

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.blockwise.job import JobResult
    from blockseg.core.blocks import BlockReport, Meter
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.grid import Block

UNIT = 128
LEVEL, SD = 200.0, 12.0
SIZE = (1.0, 0.5, 0.5)
_THRESHOLD = 128


def unit(density: float, seed: int = 7) -> np.ndarray:
    """Return the probability bytes of a cube: lines where two random fields are near 0."""
    rng = np.random.default_rng(seed)
    fields = [
        gaussian_filter(rng.standard_normal((UNIT,) * 3).astype(np.float32), 9)
        for _ in range(2)
    ]
    away = sum((field / field.std()) ** 2 for field in fields)
    least = np.quantile(away, density)
    byte = 255 * np.clip(1 - 0.5 * away / least, 0, 1)
    whole: np.ndarray = np.rint(byte).astype(np.uint8)
    return whole


@dataclass(frozen=True, slots=True)
class Painted:
    """Writes probability and mask of the filaments."""

    name: ClassVar[str] = "segment"

    grid: BlockGrid
    density: float
    probability: PyramidSpec
    foreground: PyramidSpec

    def open(self, cache_bytes: int) -> _Painting:  # noqa: ARG002
        return _Painting(
            repeated(unit(self.density), self.grid),
            PyramidWriter(self.probability),
            PyramidWriter(self.foreground),
        )

    def stores(self) -> tuple[Stored, ...]:
        return Stored(self.probability), Stored(self.foreground, column="foreground")

    def reads(self) -> None:
        return None


class _Painting(OpenTask):
    def __init__(self, part: Any, *writers: PyramidWriter) -> None:
        self.part, self.writers = part, writers

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("write"):
            byte = self.part(block.write_roi)
            mask = (byte >= _THRESHOLD).view(np.uint8)
            written = self.writers[0].write_block(block.write_roi, byte)
            masked = self.writers[1].write_block(block.write_roi, mask)
        return report_of(block, written, masked, foreground=masked.nonzero)


def repeated(cube: np.ndarray, grid: BlockGrid) -> Any:
    """Return a function that gives a region of the volume that a cube fills, mirrored."""
    ahead = [np.arange(n) for n in grid.volume_shape]
    places = [
        np.where((a // UNIT) % 2 == 0, a % UNIT, UNIT - 1 - a % UNIT) for a in ahead
    ]

    def part(roi: Roi) -> np.ndarray:
        z, y, x = (p[a:b] for p, a, b in zip(places, roi.start, roi.stop, strict=True))
        return np.ascontiguousarray(cube[np.ix_(z, y, x)])

    return part


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader of ``run.json`` relies on."""

    grid: BlockGrid

    def to_plain(self) -> dict[str, Any]:
        return {
            "roi": str(self.grid.region),
            "volume_shape": list(self.grid.volume_shape),
            "network": None,
        }


def image(folder: Path, shape: Zyx, density: float, block: int) -> Path:
    """Write the image of a brain, if it is not there."""
    path = folder / f"image-{'x'.join(map(str, shape))}-{density}.zarr"
    if (path / ".complete").exists():
        return path
    spec = PyramidSpec(
        uri=str(path.absolute()),
        shape=shape,
        block=(block,) * 3,
        dtype="uint16",
        space=Space(SIZE, "micrometer"),
        reduce="mean",
    )
    create_output(spec)
    writer, part = PyramidWriter(spec), repeated(unit(density), spec.grid)
    noise = np.random.default_rng(3).normal(LEVEL, SD, (block,) * 3)
    for one in spec.grid:
        z, y, x = one.write_roi.shape
        grey = noise[:z, :y, :x] + part(one.write_roi) * 0.6
        writer.write_block(one.write_roi, grey.astype(np.uint16))
    (path / ".complete").touch()
    return path


def finished_run(
    folder: Path, shape: Zyx, density: float = 0.05, block: int = 128
) -> Path:
    """Return the output of a run of such a brain, made now if it is not there."""
    source = image(folder, shape, density, block)
    name = "x".join(map(str, shape))
    target = (folder / f"run-{name}-{density}-{block}.zarr").absolute()
    settings = RunSettings(block=(block,) * 3)
    opened = open_source(str(source), settings)
    request = Request(deciding(settings, ("block",)), opened)
    begun = open_job(target, request, settings, overwrite=False)
    grid = BlockGrid(shape, (block,) * 3)
    probability = PyramidSpec(
        uri=str(target),
        shape=shape,
        block=grid.block_shape,
        space=Space(SIZE, "micrometer"),
        name="probability",
    )
    within = "labels/foreground"
    foreground = PyramidSpec(
        uri=str(target / within),
        shape=shape,
        block=grid.block_shape,
        space=Space(SIZE, "micrometer"),
        name="foreground",
        within=within,
    )
    decisions = Decisions(
        backend="fake",
        device="cpu",
        precision="float32",
        threads=1,
        window=grid.block_shape,
        block=grid.block_shape,
        threshold=_THRESHOLD,
        whole=Affine(LEVEL, SD),
        background=BackgroundFinding("given"),
    )
    job = begun.job(
        Painted(grid, density, probability, foreground),
        layout_for(settings, Need(20 * block**3, 2**26)),
        decisions=decisions,
        facts=Facts(grid),
    )
    result: JobResult = run(job, lambda _: None, engine="filaments")
    assert result.complete, result
    return target
