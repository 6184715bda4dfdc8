"""Resource planning: blocks, windows, workers fitted to a machine and its devices."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.planning.decoding import decoded_voxels
from blockseg.blockwise.planning.reading import ENOUGH, ENOUGH_OF_A_STORE, plan_reading
from blockseg.blockwise.planning.tiling import LARGEST_WINDOW, Tiling, tilings
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import array_type
from blockseg.core.text import times
from blockseg.inference import devices
from blockseg.inference.window_memory import host_bytes, window_memory
from blockseg.io.chunk_memory import bytes_to_decode, voxel_bytes
from blockseg.io.holes.flat import SQUARE
from blockseg.io.stores.address import is_remote
from blockseg.runtime.memory import Layout, Machine, Need, machine, plan_layout

if TYPE_CHECKING:
    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.planning.reading import Reading
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.config.settings import RunSettings
    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Precision

_MOST_BLOCKS = 10**8  # the driver takes some tens of bytes for each
_DOUBLED = 0.6  # 2 threads an inference are worth 2**0.6 of one, measured


def make_grid(inputs: Inputs, block: Zyx) -> BlockGrid:
    """Return the blocks of a run."""
    shape, halo = inputs.source.volume.shape, (inputs.halo,) * 3
    grid = BlockGrid(shape, block, halo, inputs.roi, inputs.field.alignment)
    check_count(grid)
    return grid


def check_count(grid: BlockGrid) -> None:
    """Refuse more blocks than the driver can keep count of.

    Raises
    ------
    ConfigError
        With what to do.
    """
    count = math.prod(grid.counts)
    if count > _MOST_BLOCKS:
        by = times(grid.block_shape)
        message = (
            f"{count:.2g} blocks of {by} voxels are more than {_MOST_BLOCKS:.0e}, which "
            "is what one run can keep count of; choose a larger --block, or an --roi"
        )
        raise ConfigError(message)


def _read_grid(inputs: Inputs, decisions: Decisions) -> BlockGrid:
    """Return the blocks with all that is read around them, to tell holes by it too."""
    grid = make_grid(inputs, decisions.block)
    if decisions.holes is None:
        return grid
    return replace(grid, halo=to_zyx(n + SQUARE for n in grid.halo))


def plan_resources(inputs: Inputs, decisions: Decisions) -> Layout:
    """Return the number of workers of this engine that fit the machine.

    Unlike the decisions this may differ from one session to the next: it changes
    no byte of the result.

    Raises
    ------
    ConfigError
        If not even one worker fits.
    """
    blocks = len(make_grid(inputs, decisions.block))
    tiling = Tiling(decisions.block, decisions.window, blocks)
    here = budget(inputs.settings)
    fit = _layout(
        inputs, here, decisions.backend, decisions.device, decisions.precision, tiling
    )
    fit = replace(fit, inference_threads=decisions.threads)
    return fit.with_cache(planned_reading(inputs, decisions, fit).cache_bytes)


def planned_decoding(inputs: Inputs, decisions: Decisions, layout: Layout) -> float:
    """Return the number of voxels of the source that these workers decode."""
    volume = inputs.source.volume
    return decoded_voxels(
        _read_grid(inputs, decisions),
        volume.chunk_shape,
        voxel_bytes(volume),
        planned_reading(inputs, decisions, layout),
        layout.workers,
    )


def planned_reading(inputs: Inputs, decisions: Decisions, layout: Layout) -> Reading:
    """Return the way in which these workers read the source, within their memory."""
    volume = inputs.source.volume
    return plan_reading(
        _read_grid(inputs, decisions),
        volume.chunk_shape,
        voxel_bytes(volume),
        layout.cache_bytes or layout.spare_bytes,
        layout.workers,
        kinds=True,
        enough=ENOUGH_OF_A_STORE if is_remote(inputs.source.spec.uri) else ENOUGH,
    )


def budget(settings: RunSettings) -> Machine:
    """Return this machine, within what the user allows of its memory."""
    here = machine()
    if settings.memory is None:
        return here
    return replace(here, available=min(here.available, settings.memory))


def tiling_for(
    inputs: Inputs,
    backend: str,
    device: str,
    precision: Precision,
    largest: int = LARGEST_WINDOW,
) -> tuple[Tiling, Layout]:
    """Choose blocks and windows with which the run ends first.

    Large windows compute less halo, but only while they fit into the memory of as many
    workers as there are cores, and while every worker has as many blocks as the others.

    Parameters
    ----------
    inputs
        Of the run.
    backend, device, precision
        Of the engine.
    largest
        Longest edge of a window, in voxels.

    Raises
    ------
    ConfigError
        If nothing fits.
    """
    settings, here = inputs.settings, budget(inputs.settings)
    most = settings.workers or here.cores
    threads = settings.threads or max(1, here.cores // most)
    best: tuple[float, Tiling, Layout] | None = None
    least: tuple[Tiling, Layout] | None = None
    problem: ConfigError | None = None
    for tiling in tilings(
        inputs.roi,
        inputs.field,
        block=settings.block,
        window=settings.window,
        largest=largest,
    ):
        if best is not None and tiling.weight / most / threads**_DOUBLED >= best[0]:
            break  # not even with all workers busy to the end
        try:
            fit = _layout(inputs, here, backend, device, precision, tiling)
        except ConfigError as error:
            problem = error
            continue
        if settings.workers and fit.workers * fit.peak_bytes > here.available:
            # Their number is the user's; how much each takes is not.
            if least is None or fit.peak_bytes < least[1].peak_bytes:
                least = (tiling, fit)
            continue
        rounds = math.ceil(tiling.blocks / fit.workers) / tiling.blocks
        time = tiling.cost * rounds / fit.inference_threads**_DOUBLED
        if best is None or time < best[0]:
            best = (time, tiling, fit)
    if best is not None:
        return best[1:]
    if least is not None:
        return least
    raise problem or ConfigError("no window fits the memory")


def _layout(
    inputs: Inputs,
    here: Machine,
    backend: str,
    device: str,
    precision: str,
    tiling: Tiling,
) -> Layout:
    settings, dtype = inputs.settings, inputs.source.volume.dtype
    if device == "cuda":
        here = replace(here, gpus=len(devices.cuda_devices()))
        engine = host_bytes(tiling.window, dtype.itemsize, inputs.info)
    else:
        itemsize = np.dtype(array_type(precision)).itemsize
        shape = inputs.source.volume.shape
        engine = window_memory(tiling.window, backend, itemsize, inputs.info, shape)
    grown = 2 * inputs.halo + inputs.field.alignment
    voxels = math.prod(b + grown for b in tiling.block)
    results = math.prod(tiling.block) * 6  # float32 probability, its byte, the mask
    need = Need(
        block_bytes=voxels * dtype.itemsize + results,
        engine_bytes=engine,
        decoding_bytes=bytes_to_decode(inputs.source.volume),
    )
    fit = plan_layout(
        here, need, workers=settings.workers, inference_threads=settings.threads
    )
    if settings.workers is None and not here.gpus and tiling.blocks < fit.workers:
        return plan_layout(
            here, need, workers=tiling.blocks, inference_threads=settings.threads
        )
    return fit
