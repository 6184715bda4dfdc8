"""``blockseg synth``: a synthetic brain with its truth, as OME-Zarr, block by block."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.config import RunSettings
from blockseg.core.blocks import BlockReport
from blockseg.core.errors import VolumeError
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.jobs.assemble import start
from blockseg.jobs.decisions import block_shape, budget
from blockseg.jobs.events import OnJobEvent, ignore
from blockseg.jobs.inputs import writable
from blockseg.jobs.launch import launch
from blockseg.jobs.phases import Phase, Stored
from blockseg.runtime import Need, plan_layout
from blockseg.training.synth import SyntheticBrain
from blockseg.volume import PyramidSpec, PyramidWriter

if TYPE_CHECKING:
    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Zyx
    from blockseg.jobs.execute import JobResult

__all__ = ["Recipe", "synth"]

_BYTES_A_VOXEL = 60  # of the generator at work, measured


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes a synthetic brain."""

    shape: Zyx
    """Voxels."""

    preset: str
    """Kind of brain."""

    seed: int
    """Which one of its kind."""


@dataclass(frozen=True, slots=True)
class Synthesis:
    """Makes and writes blocks of a synthetic brain; picklable."""

    recipe: Recipe
    """Which brain."""

    grid: BlockGrid
    """Its blocks."""

    image: PyramidSpec
    """uint16 voxels."""

    neurons: PyramidSpec
    """uint16, one id a neuron, 0 for none."""

    truth: PyramidSpec
    """uint8, 1 on neurites."""

    def __call__(self) -> _SynthBlock:
        """Draw the centrelines."""
        return _SynthBlock(self)


class _SynthBlock:
    def __init__(self, spec: Synthesis) -> None:
        self._grid = spec.grid
        self._recipe = spec.recipe
        # A brain caches what it draws, and blocks come on several threads.
        self._of_this_thread = threading.local()
        self._image, self._neurons, self._truth = (
            PyramidWriter(p) for p in (spec.image, spec.neurons, spec.truth)
        )

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        roi = self._grid.block(self._grid.index_of(block_id)).write_roi
        with meter("synthesise"):
            brain = self._brain()
            labels, truth = brain.labels(roi), brain.mask(roi)
            image = brain.image(roi)
        if int(labels.max(initial=0)) > np.iinfo(np.uint16).max:
            message = "more than 65,535 neurons; make a smaller or sparser brain"
            raise VolumeError(message)
        with meter("write"):
            written = self._image.write_block(roi, image)
            self._neurons.write_block(roi, labels.astype(np.uint16))
            foreground = self._truth.write_block(roi, truth).nonzero
        return BlockReport(
            block_id,
            written=roi.size,
            foreground=foreground,
            nonzero=written.nonzero,
            digest=written.crc32,
        )

    def _brain(self) -> SyntheticBrain:
        mine = self._of_this_thread
        if not hasattr(mine, "brain"):
            recipe = self._recipe
            mine.brain = SyntheticBrain(recipe.shape, recipe.preset, recipe.seed)
        brain: SyntheticBrain = mine.brain
        return brain

    def close(self) -> None:
        """Nothing is held."""


def synth(
    out: str,
    recipe: Recipe,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Write a synthetic brain: the image, ``labels/neurons`` and ``labels/truth``.

    Parameters
    ----------
    out
        The OME-Zarr group to write.
    recipe
        Which brain.
    settings
        Of these, block, voxel size, format of OUT and executor count.
    overwrite
        Start anew where OUT holds an earlier one.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    settings = settings or RunSettings()
    brain = SyntheticBrain(recipe.shape, recipe.preset, recipe.seed)
    block = settings.block or block_shape(recipe.shape, 128)
    grid = BlockGrid(recipe.shape, block)
    target = writable(out)
    size = settings.voxel_size or (1.0, 0.35, 0.35)
    image = PyramidSpec(
        uri=str(target),
        shape=recipe.shape,
        block=block,
        dtype="uint16",
        space=Space(size, "micrometer"),
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        reduce="mean",
    )
    neurons = replace(
        image, uri=str(target / "labels" / "neurons"), reduce="max", name="neurons"
    )
    truth = replace(
        neurons, uri=str(target / "labels" / "truth"), dtype="uint8", name="truth"
    )
    request = {
        "source": None,
        "mask": None,
        "weights": None,
        "settings": {
            "shape": list(recipe.shape),
            "preset": recipe.preset,
            "seed": recipe.seed,
            "block": list(block),
            "voxel-size": list(size),
            "zarr-format": settings.zarr_format,
            "codec": settings.codec,
        },
    }
    stored = (Stored(image), Stored(truth, column="foreground"))
    synthesis = Synthesis(recipe, grid, image, neurons, truth)
    job = start(target, request, settings, overwrite=overwrite).job(
        Phase("synth", grid, synthesis, stored),
        {"image": image, "neurons": neurons, "truth": truth},
        {"params": asdict(brain.params)},
        command=command,
    )
    fit = plan_layout(
        budget(settings),
        Need(
            block_bytes=_BYTES_A_VOXEL * grid.block((0, 0, 0)).write_roi.size,
            engine_bytes=0,
        ),
        workers=settings.workers,
    )
    return launch(
        job,
        settings,
        fit,
        on_event,
        engine=f"synthetic brain {recipe.preset}, seed {recipe.seed}",
    )
