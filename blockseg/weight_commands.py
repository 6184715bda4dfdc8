"""``blockseg weights``: import, list and show weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from blockseg.networks.shipped import DEFAULT, DEFAULT_NAME, SHIPPED, weights_path
from blockseg.networks.weights_info import load_info, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.networks.weights_info import WeightsInfo


_DEFAULT = f" (default, also called {DEFAULT_NAME})"


def import_weights(published: Path, out: Path) -> WeightsInfo:
    """Read a published checkpoint and write it as safetensors.

    Raises
    ------
    WeightsError
        If the checkpoint is damaged, unsafe or of another network.
    """
    from blockseg.networks.published import import_published

    return import_published(published, out)


def list_weights() -> list[tuple[str, str, str]]:
    """Return name, purpose and scores of the weights that ship, the default first."""
    return [
        (one.name + (_DEFAULT if one is DEFAULT else ""), one.purpose, one.scores)
        for one in SHIPPED
    ]


def show_weights(path: Path | None = None) -> dict[str, str]:
    """Return what a weights file, or the shipped one, says of itself.

    Raises
    ------
    WeightsError
        If it is none.
    """
    path = weights_path(path)
    said = {name: str(value) for name, value in asdict(load_info(path)).items()}
    return {"file": str(path), "sha256": sha256(path), **said}
