"""Settings of ``blockseg label``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from blockseg.config.declare import option
from blockseg.config.values import (
    parse_choice,
    parse_float,
    parse_int,
    parse_switch,
)
from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 1e9  # µm
_LARGEST = 1000.0  # µm, radius of a soma


def _hysteresis(name: str, value: Any) -> tuple[float, float]:
    """Return two probabilities, the lower first: ``0.3,0.5`` or a pair.

    Raises
    ------
    ConfigError
        If they are no probabilities that rise.
    """
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    read: Callable[[str, Any], float] = parse_float(1 / 255, 1.0)
    if len(parts) != 2:
        message = f"--{name} {value!s}: expected LOW,HIGH, as in 0.3,0.5"
        raise ConfigError(message)
    low, high = (read(name, part) for part in parts)
    if low > high:
        message = f"--{name} {value!s}: LOW lies above HIGH"
        raise ConfigError(message)
    return low, high


def _radii(name: str, value: Any) -> tuple[float, float]:
    """Return two radii in µm, the lesser first: ``4,10`` or a pair.

    Raises
    ------
    ConfigError
        If they are no radii that rise.
    """
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    read: Callable[[str, Any], float] = parse_float(0.1, _LARGEST)
    if len(parts) != 2:
        message = f"--{name} {value!s}: expected LOW,HIGH in µm, as in 4,10"
        raise ConfigError(message)
    low, high = (read(name, part) for part in parts)
    if low > high:
        message = f"--{name} {value!s}: LOW lies above HIGH"
        raise ConfigError(message)
    return low, high


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """Everything that ``blockseg label`` takes besides OUT, and that decides its result."""

    min_size: int = option(
        32,
        parse_int(0),
        "Fewest voxels of a clean object. [32]",
        metavar="N",
        unit="voxels",
    )
    """Voxels that an object of the clean mask has at least."""

    min_length: float = option(
        0.0,
        parse_float(0.0, _LONGEST),
        "Shortest length of a clean object. [0]",
        metavar="UM",
        unit="µm",
    )
    """Estimated length that an object of the clean mask has at least."""

    min_probability: float = option(
        0.0,
        parse_float(0.0, 1.0),
        "Lowest mean probability of a clean object. [0]",
        metavar="P",
    )
    """Mean probability that an object of the clean mask has at least."""

    hysteresis: tuple[float, float] | None = option(
        None,
        _hysteresis,
        "Objects of probability LOW that reach HIGH somewhere.",
        metavar="LOW,HIGH",
    )
    """Objects are components of probability ``LOW`` or more that hold a voxel of ``HIGH``
    or more; those of the run's mask if not given."""

    connectivity: Literal[6, 18, 26] = option(
        26,
        parse_choice(6, 18, 26),
        "Neighbours of a voxel: 26 (default), 18 or 6.",
        metavar="N",
    )
    """Neighbours of a voxel that belong to the same object."""

    image: bool = option(
        True,
        parse_switch,
        "Measure contrast and SNR in the source image. [on]",
        flags=("--image/--no-image",),
    )
    """Read the image that was segmented, for contrast and SNR."""

    somata: bool = option(
        False, parse_switch, "Then list the cell bodies that the image shows."
    )
    """List cell bodies, ``OUT/tables/somata.csv``."""

    soma_radius: tuple[float, float] = option(
        (4.0, 10.0),
        _radii,
        "Smallest and largest radius of cell bodies. [4,10]",
        metavar="LOW,HIGH",
        unit="µm",
    )
    """Range of radii of cell bodies."""

    soma_snr: float = option(
        3.0,
        parse_float(0.1, 1e6),
        "Lowest contrast of cell bodies, in SDs of the noise. [3]",
        metavar="SNR",
    )
    """Contrast that a cell body has at least, in SDs of the background's noise."""

    allow_partial: bool = option(
        False, parse_switch, "Treat blocks that are not written as background."
    )
    """Whether blocks that the run has not written count as background."""
