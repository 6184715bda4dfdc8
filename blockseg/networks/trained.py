"""Ranges of images that weights were trained on, and beyond which they are not to be trusted."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Trained:
    """Ranges of what a sample of a volume shows; ``docs/limits.md`` says how they were set."""

    half_width: float
    """Half-width that the widest quarter of structures has at most, in voxels."""

    contrast: float
    """Noise SDs above the background that the brightest tenth of what stands out has at
    least."""

    share: float
    """Share of a volume that stands out at most."""

    somata: float
    """Share of what stands out that lies in round pieces of 5 voxels and more in radius, at
    most."""

    saturated: float
    """Share of what stands out that is at the camera's limit, at most."""

    elongation: float
    """Length of a voxel along z over that of y and x, at most; and its inverse at least."""

    def to_text(self) -> str:
        """Return it for the header of a weights file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Trained:
        """Return a value from what :meth:`to_text` gave.

        Raises
        ------
        ValueError
            If it is anything else.
        """
        kept = json.loads(text)
        names = {field.name for field in fields(cls)}
        if not isinstance(kept, dict) or kept.keys() != names:
            message = f"trained ranges need {', '.join(sorted(names))}"
            raise ValueError(message)
        values = {name: float(value) for name, value in kept.items()}
        if not all(math.isfinite(value) and value >= 0 for value in values.values()):
            message = "trained ranges are not finite"
            raise ValueError(message)
        return cls(**values)
