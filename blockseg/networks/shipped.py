"""Weights that ship with blockseg, by the names that a user may call them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from blockseg.core.errors import WeightsError
from blockseg.networks.trained import Trained


@dataclass(frozen=True, slots=True)
class ShippedWeights:
    """Set of weights of this installation."""

    name: str
    """Name that ``--weights`` takes."""

    file: str
    """Name of the safetensors file beside the model card."""

    sha256: str
    """SHA-256 of the file, so that its content is known without torch."""

    purpose: str
    """Images that it is for, in one line."""

    trained: Trained
    """Ranges of images that it was trained on."""

    scores: str = "none"
    """Scores of the model card, in one line."""

    @property
    def path(self) -> Path:
        """Path of the file.

        Raises
        ------
        WeightsError
            If this installation lacks it.
        """
        resource = files("blockseg.networks") / "weights" / self.file
        if not resource.is_file():
            message = (
                f"this installation has no weights {self.name!r} ({self.file}); name a "
                "file with --weights"
            )
            raise WeightsError(message)
        with as_file(resource) as path:
            return path


SHIPPED = (
    ShippedWeights(
        "axons",
        "sdasn.safetensors",
        "d9918747ef155df876aa522aa9d7ec77790f9f6d932064804c9b48041a64fd3f",
        "axons and dendrites of 1 to 3 voxels' half-width, dim to bright",
        Trained(4.0, 6.7, 0.25, 0.5, 0.1, 4.0),
        "F1 .985 clean, .873 fmost, .907 lightsheet (synthetic); .933 TRAILMAP's planes",
    ),
    ShippedWeights(
        "dendrites",
        "dendrites.safetensors",
        "7908c29f2f7708c6565d36bc1bbe98a65bb9ec1cb4c4c5735e04c5f375922218",
        "bright dendrites of 2 to 5 voxels' half-width, beside somata that glow",
        Trained(5.5, 15.0, 0.25, 0.9, 0.5, 8.0),
        "F1 .794 dendrites (synthetic); .975 a confocal dendrite at half resolution",
    ),
)
"""All of them, the default first."""

DEFAULT = SHIPPED[0]
"""Weights that are taken where the user names none."""

DEFAULT_NAME = "shipped"
"""Another name of the default, whichever that is."""


def default_weights() -> Path:
    """Return the path of the default weights.

    Raises
    ------
    WeightsError
        If this installation has none.
    """
    return DEFAULT.path


def weights_path(given: str | Path | None) -> Path:
    """Return the file that a user means: the default, one that ships, or a path.

    A file of that name wins over weights that ship.

    Parameters
    ----------
    given
        As given with ``--weights`` or ``--init``; None for the default.

    Raises
    ------
    WeightsError
        If this installation lacks weights that should ship with it.
    """
    if given is None:
        return DEFAULT.path
    path = Path(given).expanduser()
    named = {DEFAULT_NAME: DEFAULT, **{weights.name: weights for weights in SHIPPED}}
    if str(given) in named and not path.exists():
        return named[str(given)].path
    return path


def weights_named(sha256: str | None, path: str | Path | None) -> str:
    """Return the value of ``--weights`` that gives these weights again.

    Parameters
    ----------
    sha256
        Of their file; None where there was no network.
    path
        Where it lies, or lay.
    """
    for weights in SHIPPED:
        if weights.sha256 == sha256:
            return weights.name
    return DEFAULT_NAME if path is None else str(path)
