"""Files of a training, written all or nothing, and on the disk when it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import WeightsError
from blockseg.io.output.atomic_files import replace_file
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
    try:
        save_weights(path, network, info)
    except WeightsError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise write_error(error.__cause__, str(path)) from error
