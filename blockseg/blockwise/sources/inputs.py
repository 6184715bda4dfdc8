"""Inputs of a run, opened and checked; nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.outputs import output_of, place
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.sources.doubts import warn_of
from blockseg.blockwise.sources.masks import outside_of, warn_of_mask
from blockseg.core.errors import ConfigError, GeometryError, LedgerError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.space import Space
from blockseg.core.specs import VolumeSpec
from blockseg.core.text import times
from blockseg.inference.backends.table import stands_in
from blockseg.io.downsampled import Downsampled
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.plausibility.checks import doubts_of, find_plausible
from blockseg.io.plausibility.chunks import refuse_misplaced
from blockseg.io.protocol import MemoryVolume
from blockseg.io.reinterpreted import Reinterpreted
from blockseg.io.source_files.fingerprint import fingerprint
from blockseg.io.stores.address import addressed
from blockseg.io.stores.location import RemotePath
from blockseg.networks.shipped import SHIPPED, weights_path
from blockseg.networks.weights_info import WeightsInfo, load_info, sha256

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.config.settings import RunSettings
    from blockseg.core.choices import SourceChoices
    from blockseg.core.geometry import Zyx
    from blockseg.io.protocol import Volume
    from blockseg.io.source_files.fingerprint import Fingerprint
    from blockseg.io.stores.location import Location
    from blockseg.networks.receptive_field import Field


@dataclass(frozen=True, slots=True)
class Source:
    """A volume to read, opened once by the driver."""

    spec: VolumeSpec
    """Specification by which workers open it."""

    volume: Volume
    """The volume, open for reading."""

    space: Space
    """Voxel size and place; a voxel size that the user gave wins over the metadata."""

    fingerprint: Fingerprint
    """By which a change of the data is noticed."""

    remarks: tuple[str, ...] = ()
    """Remarks that are no cause for doubt, a line each."""

    doubts: tuple[str, ...] = ()
    """Doubts of which the user was warned, a line each."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A weights file, read and hashed."""

    path: Path
    """The safetensors file."""

    info: WeightsInfo
    """Its header."""

    sha256: str
    """SHA-256 of the file."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a run reads, and where it writes.

    Raises
    ------
    ConfigError
        If the halo is below the network's reach and no seams are asked for.
    """

    source: Source
    """The brain."""

    out: Location
    """The output group; absolute."""

    roi: Roi
    """Region to segment, in the source's voxels."""

    weights: Weights | None
    """Weights of the network; None for the fake engine."""

    mask: Source | None
    """Mask that restricts what is segmented, if any."""

    settings: RunSettings
    """As the user gave them."""

    def __post_init__(self) -> None:
        if self.halo < self.field.reach and not self.settings.inexact:
            message = (
                f"--halo {self.halo} is below the network's reach of "
                f"{self.field.reach} voxels and would make seams; leave it out, or add "
                "--inexact if you want them"
            )
            raise ConfigError(message)

    @property
    def sparse(self) -> bool:
        """Whether empty tissue may be skipped at a small loss."""
        return self.settings.sparse and not self.settings.exhaustive

    @property
    def outside_mask(self) -> float:
        """Share of the region beyond the ends of the mask, which stays empty."""
        if self.mask is None:
            return 0.0
        shape, space = self.source.volume.shape, self.source.space
        return outside_of(self.mask.volume, shape, space, self.roi)

    @property
    def info(self) -> WeightsInfo:
        """Header of the weights; the fake engine stands in for SDASN."""
        return WeightsInfo("fake", 1.0) if self.weights is None else self.weights.info

    @property
    def field(self) -> Field:
        """Field that a window of the network needs around its core."""
        return self.info.field

    @property
    def halo(self) -> int:
        """Voxels to read around each block."""
        halo = self.settings.halo
        return self.field.reach if halo is None else halo


def gather(source: str, out: str | None, settings: RunSettings) -> Inputs:
    """Open and check everything that a run reads.

    Raises
    ------
    BlocksegError
        Of the kind that fits, with one line, if anything is wrong.
    """
    refuse_result(source)
    opened = open_source(source, settings)
    shape = opened.volume.shape
    roi = settings.roi or Roi.whole(shape)
    check_roi(roi, shape)
    target = output_of(opened.spec, out, settings.stores)
    return Inputs(
        source=opened,
        out=target,
        roi=roi,
        weights=read_weights(settings),
        mask=open_mask(
            settings.mask and addressed(settings.mask, settings.stores),
            shape,
            opened.space,
            roi,
            allow_gaps=settings.allow_gaps,
        ),
        settings=settings,
    )


def refuse_result(source: str) -> None:
    """Refuse the output of a run as a source: it holds probabilities, and no image.

    Raises
    ------
    VolumeError
        Names the run's own source and the command that goes on with it.
    """
    where = place(source)
    if isinstance(where, RemotePath):  # every look is a request
        return
    paths = Paths(where)
    if not paths.record.is_file():
        return
    try:
        record = RunRecord.of(paths)
    except LedgerError:
        return  # a damaged record is reported by the commands of that run
    if record is None or record.phases[0].name != "segment" or record.source is None:
        return
    again = record.sessions[-1]["command"] if record.sessions else "blockseg run"
    message = (
        f"SOURCE {source} is the output of a run, its probability, and no image; go on "
        f"with that run with: {again}; or give the image that it was made from: "
        f"{record.source.spec.uri}"
    )
    raise VolumeError(message)


def memory_source(
    array: NDArray[np.generic], choices: SourceChoices | None = None
) -> Source:
    """Wrap an array as a source; workers of other processes cannot open it.

    Parameters
    ----------
    array
        Voxels, axes (z, y, x).
    choices
        Choices of the user; doubts about the array are only reported if they are given.

    Raises
    ------
    VolumeError
        If it is not 3-D, empty, of a dtype that no microscope writes, or surely wrong.
    """
    volume: Volume = MemoryVolume(array)
    spec = VolumeSpec("the array", "memory")
    doubts: tuple[str, ...] = ()
    if choices is not None:
        if choices.stored_as is not None:
            volume = Reinterpreted(volume, choices.stored_as)
            spec = replace(spec, stored_as=choices.stored_as)
        # An array has no metadata that a voxel size might be missing from.
        told = replace(choices, voxel_size=choices.voxel_size or (1.0, 1.0, 1.0))
        doubts = doubts_of(spec, volume, told)
        warn_of(doubts)
        if max(choices.downsample) > 1:
            volume = Downsampled(volume, choices.downsample)
            spec = replace(spec, downsample=choices.downsample)
    return Source(spec, volume, Space(), {}, doubts=doubts)


def open_source(uri: str, settings: RunSettings) -> Source:
    """Find and open the volume that ``uri`` and the settings name.

    Raises
    ------
    VolumeError
        If there is none, or it needs a choice that was not made.
    """
    choices = settings.choices
    found = find_plausible(uri, choices)
    warn_of(found.doubts)
    return Source(
        found.spec,
        found.volume,
        choices.measured(found.volume.space),
        fingerprint(found.spec),
        found.remarks,
        found.doubts,
    )


def check_roi(roi: Roi, shape: Zyx) -> None:
    """Refuse a region that is not wholly inside the volume.

    Raises
    ------
    GeometryError
        With both in the message.
    """
    if not Roi.whole(shape).contains(roi):
        by = times(shape)
        message = f"--roi {roi} does not lie inside the volume of {by} voxels (z×y×x)"
        raise GeometryError(message)


def open_mask(
    uri: str | None,
    shape: Zyx,
    space: Space,
    roi: Roi,
    option: str = "--mask",
    *,
    allow_gaps: bool | None = None,
) -> Source | None:
    """Open the volume that restricts a run, if there is one.

    Parameters
    ----------
    uri
        Of the mask; None if there is none.
    shape, space
        Of the volume that it restricts.
    roi
        Region of that volume that is asked for.
    option
        Option that names the mask, for messages.
    allow_gaps
        As for :func:`~blockseg.io.find`.

    Raises
    ------
    VolumeError
        If it cannot be opened, or is no mask of this volume.
    """
    if uri is None:
        return None
    try:
        spec = find(uri, allow_gaps=allow_gaps, mask=True)
        volume = open_volume(spec)
        refuse_misplaced(spec, volume)
    except VolumeError as error:
        message = f"{option}: {error}"
        raise VolumeError(message) from error
    warn_of_mask(f"{option} {uri}", volume, shape, space, roi)
    return Source(spec, volume, volume.space, fingerprint(spec))


def read_weights(settings: RunSettings) -> Weights | None:
    """Read the header of the weights that a run would use; None for the fake engine.

    Raises
    ------
    WeightsError
        If they cannot be used.
    """
    if stands_in(settings.backend):
        return None
    path = weights_path(settings.weights).resolve()
    info = load_info(path)  # answers at once where the file is none of ours
    digest = sha256(path)
    if digest not in {weights.sha256 for weights in SHIPPED}:
        from blockseg.networks.weights import load_weights

        load_weights(path)  # brings in torch, and looks at every tensor
    return Weights(path, info, digest)
