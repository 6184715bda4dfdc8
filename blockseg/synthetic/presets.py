"""The shipped kinds of synthetic brains."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError
from blockseg.synthetic.params import (
    Background,
    Clutter,
    Morphology,
    Noise,
    Optics,
    Stitching,
    SynthParams,
    Tissue,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PRESETS: Mapping[str, SynthParams] = MappingProxyType(
    {
        # Bright, sparse, no artefacts: for first steps and for tests.
        "clean": SynthParams(
            optics=Optics(2.2, 3.5),
            morphology=Morphology(
                neurons=0.1, axon_density=150.0, bundled=0.2, snr=((1.0, 8.0, 40.0),)
            ),
            clutter=Clutter(puncta=0.0, glow=0.0, soma_snr=(40.0, 80.0)),
            background=Background(level=200.0, uneven=0.02),
            noise=Noise(sd=4.0, offset=100.0),
        ),
        # Block-face imaging: background 150 to 200, noise SD 3 to 10, tiles, saturation.
        "fmost": SynthParams(
            optics=Optics(2.5, 4.2),
            morphology=Morphology(
                neurons=0.12,
                axon_density=150.0,
                bundled=0.25,
                snr=(
                    (0.1, 1.0, 2.0),
                    (0.25, 2.0, 4.0),
                    (0.4, 4.0, 12.0),
                    (0.25, 12.0, 40.0),
                ),
            ),
            clutter=Clutter(puncta=10.0, puncta_snr=(2.0, 12.0), vessels=0.2),
            background=Background(level=178.0, uneven=0.12, texture=2.5),
            noise=Noise(sd=6.0, offset=95.0, ceiling=4095, stripes=0.004),
            stitching=Stitching(spacing=220, gain=0.03, line=0.05),
            tissue=Tissue(kind="plane", outside_share=0.12, rim=700.0),
        ),
        # Cleared brain: background 1400 to 1800, correlated texture, puncta, dark vessels.
        "lightsheet": SynthParams(
            optics=Optics(2.6, 4.7),
            morphology=Morphology(
                neurons=0.02,
                axon_density=600.0,
                bundled=0.4,
                bundle_size=12,
                wiggle=0.5,
                bead_spacing=10.0,
                snr=(
                    (0.1, 1.0, 2.0),
                    (0.3, 2.0, 4.0),
                    (0.4, 4.0, 10.0),
                    (0.2, 10.0, 40.0),
                ),
            ),
            clutter=Clutter(
                puncta=60.0,
                puncta_snr=(1.5, 10.0),
                cells=6.0,
                cell_snr=(0.8, 3.0),
                holes=2.0,
                vessels=0.3,
            ),
            background=Background(
                level=1550.0,
                uneven=0.12,
                texture=120.0,
                texture_scales=((0.45, 1.3), (0.35, 3.0), (0.2, 8.0)),
                texture_skew=0.3,
                streaks=35.0,
            ),
            noise=Noise(sd=55.0, offset=300.0),
            stitching=Stitching(spacing=300, gain=0.03),
            tissue=Tissue(kind="plane", outside_share=0.1, rim=3000.0, outside="zero"),
        ),
    }
)
"""Preset by name."""


def preset(name: str) -> SynthParams:
    """Return a preset by name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in PRESETS:
        message = f"no synthetic preset {name!r}; choose one of {', '.join(PRESETS)}"
        raise ConfigError(message)
    return PRESETS[name]
