"""Files of a training, written all or nothing, and on the disk when it says so."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from blockseg.core.errors import WeightsError
from blockseg.io.output.atomic_files import replace_file, sync_folder
from blockseg.io.output.write_errors import write_error
from blockseg.networks.weights import save_weights

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.networks.registry import Network
    from blockseg.networks.weights_info import WeightsInfo

__all__ = ["replace_file", "replace_weights"]


def replace_weights(path: Path, network: Network, info: WeightsInfo) -> None:
    """Write a network as :func:`~blockseg.io.output.atomic_files.replace_file` writes.

    Raises
    ------
    NoSpaceError, VolumeError
        As there.
    """
    part = path.with_name(path.name + ".part")
    try:
        save_weights(part, network, info)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except (OSError, WeightsError) as error:
        with suppress(OSError):  # the first error tells more
            part.unlink(missing_ok=True)
        cause = error.__cause__ if isinstance(error, WeightsError) else error
        if not isinstance(cause, OSError):
            raise
        raise write_error(cause, str(path)) from error
