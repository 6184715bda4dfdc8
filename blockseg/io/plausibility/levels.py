"""Resolution levels that an image declares and that are not on disk."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from blockseg.io.locate import locate
from blockseg.io.n5.layout import n5_image
from blockseg.io.stores.location import location
from blockseg.io.zarr.layout import zarr_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.choices import SourceChoices
    from blockseg.core.specs import VolumeSpec


def lacks_levels(uri: str, spec: VolumeSpec, choices: SourceChoices) -> Iterator[str]:
    """Yield a line for each level that is missing beside the one that is read.

    Parameters
    ----------
    uri
        What the user gave: who points at an array itself means no other level.
    spec
        What was found there.
    choices
        What the user says of it.
    """
    if spec.format not in ("zarr2", "zarr3", "n5"):
        return
    base, dataset = locate(uri).inner, (choices.dataset or "").strip("/")
    if spec.path in ("", "/".join(filter(None, [base, dataset]))):
        return
    alone = PurePosixPath(spec.path).relative_to(base)
    image_at = n5_image if spec.format == "n5" else zarr_image
    for group in PurePosixPath(spec.path).parents:
        inner = "" if str(group) == "." else str(group)
        image = image_at(location(spec.uri), inner)
        if image is None:
            continue
        for absent in image.absent:
            yield (
                f"{absent.reason}; level {spec.level} is read, --dataset {alone} "
                "names it alone"
            )
        return
