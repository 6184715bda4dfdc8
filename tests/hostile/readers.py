"""Commands that read a volume, each with a hostile one in the place of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.case import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Right, Stock, Words

SERIAL = ("--scheduler", "serial")
FAKE = (*SERIAL, "--backend", "fake")

READERS: dict[str, Callable[[Stock, Path], Words]] = {
    "run": lambda s, at: ["run", at, s.folder / "out.zarr", *FAKE],
    "info": lambda _, at: ["info", at],
    "plan": lambda s, at: ["plan", at, s.folder / "out.zarr", "--backend", "fake"],
    "convert": lambda s, at: ["convert", at, s.folder / "out.zarr", *SERIAL],
    "metrics": lambda s, at: ["metrics", at, s.folder / "out.zarr", *SERIAL],
    "predict": lambda s, at: [
        "predict", at, "-o", s.folder / "predicted", "--backend", "fake",
    ],
    "--mask": lambda s, at: [
        "run", s.sound / "brain.zarr", s.folder / "out.zarr", "--mask", at, *FAKE,
    ],
    "evaluate": lambda s, at: ["evaluate", at, s.sound / "mask.zarr"],
    "truth": lambda s, at: ["evaluate", s.sound / "mask.zarr", at],
    "export": lambda s, at: [
        "export", at, "--voxel-size", "25", "-o", s.folder / "one.tif", *SERIAL,
    ],
    "propose": lambda s, at: [
        "propose-annotations", at, "-o", s.folder / "picks", "--count", "2", *SERIAL,
    ],
    "--atlas": lambda s, at: [
        "regions", s.sound / "out.zarr", "--atlas", at, "--atlas-voxel-size", "8", *SERIAL,
    ],
}  # fmt: skip
"""By their names; the first is tried on every hostile volume, of the others one in turn."""


def read_by_commands(
    area: str,
    makers: dict[str, Callable[[Path, Stock], Path]],
    right: Right = "told",
    but: tuple[str, ...] = (),
) -> Iterator[Case]:
    """Yield two cases for each volume: ``run`` and, in turn, another command."""
    others = [name for name in READERS if name not in ("run", *but)]
    for number, (title, make) in enumerate(makers.items()):
        for reader in ("run", others[number % len(others)]):

            def build(
                stock: Stock,
                make: Callable[[Path, Stock], Path] = make,
                reader: str = reader,
            ) -> Words:
                return READERS[reader](stock, make(stock.folder / "hostile", stock))

            yield Case(area, f"{title} ({reader})", build, right)
