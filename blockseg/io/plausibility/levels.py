"""Resolution levels that an image declares and that are not on disk."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from blockseg.io.formats.table import image_of, kind_of
from blockseg.io.locate import locate

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
    if kind_of(spec.format) is None:
        return
    base, dataset = locate(uri).inner, (choices.dataset or "").strip("/")
    if spec.path in ("", "/".join(filter(None, [base, dataset]))):
        return
    alone = PurePosixPath(spec.path).relative_to(base)
    for group in PurePosixPath(spec.path).parents:
        inner = "" if str(group) == "." else str(group)
        image = image_of(spec, inner)
        if image is None:
            continue
        for absent in image.absent:
            yield (
                f"{absent.reason}; level {spec.level} is read, --dataset {alone} "
                "names it alone"
            )
        return
