"""Settings of ``blockseg verify``, ``audit-seams`` and ``debug``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.config.declare import option
from blockseg.config.values import parse_int, parse_switch, parse_text
from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx


def parse_index(name: str, value: Any) -> Zyx:
    """Return the position of a block in its grid: ``0,3,1``.

    Raises
    ------
    ConfigError
        If it is not three whole numbers from 0 on.
    """
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    try:
        z, y, x = (int(str(part).strip()) for part in parts)
    except ValueError:
        z = y = x = -1
    if min(z, y, x) < 0:
        message = (
            f"--{name} {value!s}: expected Z,Y,X, the place of a block in the grid, as in "
            "0,3,1"
        )
        raise ConfigError(message)
    return z, y, x


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """Everything that ``blockseg verify`` takes besides OUT and how a repair is run."""

    deep: bool = option(
        False,
        parse_switch,
        "Decode everything: compare levels and masks voxel by voxel.",
    )
    """Decode every block and compare its voxels with the ledger, its mask with its
    probability and each level with the one below; a sample of blocks if not given."""

    source: bool = option(
        False, parse_switch, "Read SOURCE again and compare what blocks read."
    )
    """Read again what every block of the run read, and compare its checksum with that in
    the ledger."""

    repair: bool = option(
        False, parse_switch, "Restore what is wrong, as resuming the run would."
    )
    """Repair what is wrong, and nothing else."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Everything that ``blockseg audit-seams`` takes besides OUT."""

    sample: int = option(20, parse_int(1), "Windows to infer again. [20]", metavar="N")
    """Windows that are inferred again, each across a face between two blocks."""

    seed: int = option(0, parse_int(0), "Random seed of the choice. [0]", metavar="N")
    """Seed of the choice: the same seed chooses the same windows."""


@dataclass(frozen=True, slots=True)
class DebugSettings:
    """Everything that ``blockseg debug`` takes besides OUT."""

    block: Zyx | None = option(
        None,
        parse_index,
        "Position of the block in the grid. [the first that failed]",
        metavar="Z,Y,X",
    )
    """Position of the block in the run's grid; the first one in quarantine if not given."""

    bundle: str | None = option(
        None,
        parse_text,
        "Zip file to write. [OUT.block-Z-Y-X.zip]",
        metavar="FILE",
        flags=("-o", "--bundle", "bundle"),
    )
    """Zip file to write; beside OUT, named by it and the block, if not given."""

    rerun: bool = option(
        True,
        parse_switch,
        "Run the block alone, in the foreground. [on]",
        flags=("--rerun/--no-rerun",),
    )
    """Run the block once more in this process, writing nothing to OUT."""
