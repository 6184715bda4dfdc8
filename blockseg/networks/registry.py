"""The networks by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError
from blockseg.networks.receptive_field import ARCHITECTURES, FIELDS
from blockseg.networks.sdasn import SDASN
from blockseg.networks.unet3d import UNet3D
from blockseg.networks.voxresnet import VoxResNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.networks.base import Network

_CLASSES: Mapping[str, type[SDASN | VoxResNet | UNet3D]] = {
    network.architecture: network for network in (SDASN, VoxResNet, UNet3D)
}


def build(architecture: str, width: int | None = None) -> Network:
    """Return a fresh network; its weights come from torch's generator.

    Parameters
    ----------
    architecture
        One of ``ARCHITECTURES``.
    width
        Channels at full resolution, 2 to 256; the published number if not given.

    Raises
    ------
    ConfigError
        If there is no such network, or none of this width.
    """
    if architecture not in _CLASSES:
        near = difflib.get_close_matches(architecture.lower(), ARCHITECTURES, 1, 0.0)
        message = (
            f"no network {architecture!r}; did you mean {near[0]!r}? "
            f"There are {', '.join(ARCHITECTURES)}"
        )
        raise ConfigError(message)
    width = FIELDS[architecture].width if width is None else width
    if not 2 <= width <= 256:
        message = f"no {architecture} has width {width}; choose 2 to 256"
        raise ConfigError(message)
    return _CLASSES[architecture](width)
