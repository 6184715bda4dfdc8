"""Doubts about annotations that do not look like neurites: too many, too dark, misplaced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import spelt
from blockseg.training.annotations.orientation import TURNED
from blockseg.training.annotations.placement import Placement, local_contrast, placement
from blockseg.training.data.held_out import validation_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.training.annotations.orientation import Orientation
    from blockseg.training.data.scan import AnnotationIndex, Scan
    from blockseg.training.data.volume_source import OpenAnnotation

_VOXELS = 2**19  # looked at, where most neurites are
_MUCH = 0.5  # share of neurites that is doubted
_MOST = 0.9  # and refused
_SEARCHES = 8  # of all orientations; later volumes are tried in those found before
_RARE, _PLAIN = 0.2, 8.0  # share of 255, and SDs, that may be neurites
_MEANT = "; give --allow-labels if they are meant"


class LabelDoubts:
    """Checks the annotations of one source, one after the other.

    Volumes of a source were mostly saved by one program: a way in which one is turned is
    what the next is tried for first.
    """

    def __init__(self) -> None:
        self._found: list[Orientation] = []
        self._searches = 0

    def of(self, name: str, annotation: OpenAnnotation, scan: Scan) -> str | None:
        """Return one line if an annotation may not be what it seems.

        Parameters
        ----------
        name
            How to call the volume.
        annotation
            It, open.
        scan
            What was found when it was gone through.

        Raises
        ------
        VolumeError
            If it says of most voxels, or of most of what is darker, that it is neurite.
        """
        foreground = int(scan.index.foreground.sum())
        if not foreground:
            return self._of_ignored(name, annotation, scan)
        box = _fullest(scan.index, scan.shape, annotation)
        found = self._placement(annotation, annotation.codes(box), box, scan.shape)
        labelled = int(scan.index.labelled.sum())
        if too_many := _too_many(name, foreground, labelled, scan, found):
            return too_many
        return _misplaced(name, found)

    def _of_ignored(
        self, name: str, annotation: OpenAnnotation, scan: Scan
    ) -> str | None:
        """Doubt an annotation of background alone whose 255 is where neurites are."""
        count = scan.counts.get(IGNORE, 0)
        whole = Roi.whole(scan.shape)
        if not 0 < count < _RARE * whole.size or whole.size > _VOXELS:
            return None
        stored = annotation.stored(whole)
        target = np.asarray(stored == IGNORE, np.uint8)
        found = placement(
            local_contrast(annotation.image.read(whole)), target, None, ()
        )
        if found.verdict != "fits" or found.score < _PLAIN:
            return None
        return (
            f"{name}: 255 is not counted, but lies on what is bright, and there is no "
            "neurite (1); if 255 means neurite, give --label-map 255:1, else --allow-labels"
        )

    def _placement(
        self,
        annotation: OpenAnnotation,
        target: NDArray[np.uint8],
        box: Roi,
        shape: Zyx,
    ) -> Placement:
        image = annotation.image
        contrast = local_contrast(image.read(box))

        def turned(orientation: Orientation) -> NDArray[np.float32] | None:
            if orientation.shape(image.shape) != shape:
                return None
            source = orientation.source(box, shape)
            if source == box == Roi.whole(shape):
                return orientation.turned(contrast)
            return orientation.turned(local_contrast(image.read(source)))

        tried: Sequence[Orientation] = TURNED
        if self._found or self._searches >= _SEARCHES:
            tried = self._found
        found = placement(contrast, target, turned, tried)
        self._searches += found.verdict != "fits"
        if found.orientation is not None and found.orientation not in self._found:
            self._found.append(found.orientation)
        return found


def swapped(meanings: Mapping[float, int]) -> str:
    """Return the label map that swaps background and neurites.

    Parameters
    ----------
    meanings
        What each value that is stored means now.
    """
    other = {0: 1, 1: 0}
    return spelt({value: other.get(code, code) for value, code in meanings.items()})


def _fullest(index: AnnotationIndex, shape: Zyx, annotation: OpenAnnotation) -> Roi:
    """Return the box with most neurites among those that are examined."""
    holding = index.foreground > 0
    neurites = index.foreground[holding]
    among = replace(
        index, tiles=index.tiles[holding], labelled=neurites, foreground=neurites
    )
    rng = np.random.default_rng(0)
    return validation_box(among, Roi.whole(shape), _VOXELS, rng, annotation.codes)


def _too_many(
    name: str, foreground: int, labelled: int, scan: Scan, found: Placement
) -> str | None:
    share, of_whole = foreground / labelled, foreground / Roi.whole(scan.shape).size
    if share <= _MUCH:
        return None
    what = f"{share:.1%} of the annotated voxels of {name} are neurites (1)"
    advice = f"--label-map {swapped(scan.meanings)}"
    alone = foreground == labelled
    if not alone and (found.verdict == "dark" or of_whole > _MOST):
        how = ", and darker than the others" if found.verdict == "dark" else ""
        message = (
            f"{what}{how}: background and neurites look swapped; give {advice}, or "
            "--allow-labels if it is meant"
        )
        raise VolumeError(message)
    if of_whole <= _MUCH:
        return None
    if alone:
        message = (
            f"all {labelled} annotated voxels of {name} are neurites (1), which leaves "
            "nothing to tell them from; annotate background (0), or give --allow-labels "
            "if it is meant"
        )
        raise VolumeError(message)
    return (
        f"{what}; if background and neurites are swapped, give {advice}, else "
        "--allow-labels"
    )


def _misplaced(name: str, found: Placement) -> str | None:
    what = f"the labels of {name}"
    if found.verdict == "dark":
        return (
            f"{what} lie where the image is darker than around them; neurites are taken "
            f"for bright{_MEANT}"
        )
    if found.verdict == "turned":
        return (
            f"{what} fit the image better {found.orientation} ({found.best:.0f} SD of "
            f"chance instead of {found.score:.0f}); save them with axes z, y, x as the "
            f"image{_MEANT}"
        )
    if found.verdict == "moved":
        by = ", ".join(f"{n:+d}" for n in found.shift)
        return (
            f"{what} fit the image better moved by ({by}) voxels along (z, y, x) "
            f"({found.best:.0f} SD of chance instead of {found.score:.0f}); save them "
            f"without an offset{_MEANT}"
        )
    if found.verdict == "nowhere":
        return (
            f"{what} lie on nothing that is brighter than its surroundings: they may be "
            f"those of another volume or another resolution{_MEANT}"
        )
    return None
