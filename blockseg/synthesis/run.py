"""``blockseg synth``: a synthetic brain with its truth, as OME-Zarr, block by block."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import writable
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.planning.tiling import block_shape
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.record.request import Request, deciding
from blockseg.blockwise.run import open_job, run
from blockseg.config.settings import RunSettings
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.morphology.swc import swc_files
from blockseg.runtime.memory import Need
from blockseg.synthesis.task import Centrelines, Recipe, Synthesis
from blockseg.synthesis.truth_tables import TruthTables

if TYPE_CHECKING:
    from typing import Any

    from blockseg.blockwise.job import JobResult
    from blockseg.synthetic.params import SynthParams

_BYTES_A_VOXEL = 60  # of the generator at work, measured
_BYTES_HELD = 2**27  # textures, cells, tiles


@dataclass(frozen=True, slots=True)
class SynthesisDecisions:
    """Decisions of a synthesis."""

    params: SynthParams
    """Parameters that the preset stands for."""

    def to_plain(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {"params": asdict(self.params)}


def synth(
    out: str,
    recipe: Recipe,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Write a synthetic brain with its truth.

    Beside the image: ``labels/truth``, ``labels/neurons`` and ``labels/branches``; and in
    ``.blockseg/truth/`` centrelines as SWC, ``branches.csv`` and ``blocks.csv``.

    Parameters
    ----------
    out
        The OME-Zarr group to write.
    recipe
        Which brain.
    settings
        Of these, block, voxel size, format of OUT and executor count.
    overwrite
        Start over if OUT holds an earlier one.
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
    size = settings.voxel_size or recipe.voxel_size
    files = swc_files([Path(path).expanduser() for path in recipe.swc])
    swc = tuple(str(path.resolve()) for path in files)
    recipe = replace(recipe, swc=swc, voxel_size=size)
    brain = recipe.brain()
    block = settings.block or block_shape(recipe.shape, 128)
    grid = BlockGrid(recipe.shape, block)
    target = writable(out)
    of_recipe = {
        "shape": recipe.shape,
        "preset": recipe.preset,
        "seed": recipe.seed,
        "swc": [sha256(path.read_bytes()).hexdigest() for path in files],
    }
    request = Request(
        deciding(
            replace(settings, block=block, voxel_size=size),
            ("block", "voxel_size", "zarr_format", "codec"),
            **of_recipe,
        )
    )
    begun = open_job(target, request, settings, overwrite=overwrite, command=command)
    image = PyramidSpec(
        uri=str(target),
        shape=recipe.shape,
        block=block,
        dtype="uint16",
        space=Space(size, "micrometer"),
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        reduce="mean",
        checked=begun.checked,
    )
    tables = TruthTables(Paths(target))
    within = tables.swc.relative_to(target).as_posix()
    units = brain.neurites.units
    voxels = grid.numbered(0).write_roi.size
    job = begun.job(
        Synthesis(recipe, grid, image),
        layout_for(settings, Need(_BYTES_A_VOXEL * voxels, _BYTES_HELD)),
        decisions=SynthesisDecisions(brain.params),
        then=(Centrelines(recipe, units, str(target), within, size),),
    )
    real = f", {len(swc)} reconstructed neurons" if swc else ""
    engine = f"synthetic brain {recipe.preset}, seed {recipe.seed}{real}"
    result = run(job, on_event, engine=engine)
    if result.complete:
        tables.write(job.ledger, job.record.fingerprint)
    return result
