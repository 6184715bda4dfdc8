"""Random parameters of training brains, near the presets and far from them.

A network that shall work on a brain that it has never seen must not be able to rely
on any level, noise, texture, sharpness or density: all of them vary widely here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

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
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    import numpy as np

_PRESET_SHARE = 0.4
"""Share of the brains; the rest varies in everything."""

_BRIGHT_SHARE = 0.2
"""Share of the rest in which all neurites are bright: filled or well stained cells."""

_MIXED = ((0.55, 1.4, 4.5), (0.22, 4.0, 12.0), (0.13, 12.0, 60.0), (0.1, 60.0, 200.0))
"""SNR of neurites of brains drawn at random: 1 to 200, dim ones most often."""

_BRIGHT = ((0.4, 12.0, 40.0), (0.6, 40.0, 200.0))
"""SNR of neurites where all are bright."""

_WELL_STAINED = ((0.2, 8.0, 20.0), (0.5, 20.0, 80.0), (0.3, 80.0, 300.0))
"""SNR of neurites where neurons are stained for their dendrites."""

_MOSTLY_DIM = ((0.25, 1.4, 2.5), (0.45, 2.0, 4.5), (0.3, 4.0, 30.0))
"""SNR of neurites: mostly dim, as bright ones are soon learnt."""


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _maybe(rng: np.random.Generator, chance: float, low: float, high: float) -> float:
    """Return 0, or with a chance a log-uniform number."""
    value = _log(rng, low, high)
    return value if rng.uniform() < chance else 0.0


def _optics(rng: np.random.Generator) -> Optics:
    lateral = rng.uniform(1.7, 3.2)
    return Optics(lateral, lateral * rng.uniform(1.0, 2.4))


def _morphology(rng: np.random.Generator, negative: bool, bright: bool) -> Morphology:
    thin = _log(rng, 0.35, 0.8)
    # Dendrites at a fine pixel are ten voxels wide, and dim in each of them.
    thick = rng.uniform() < 0.35
    widest = rng.uniform(2.0, 7.0) if thick else rng.uniform(1.2, 3.0)
    # Skeleton density 0.02 % to 2 %: sparse axons, meshes, bundles.
    axons = _log(rng, 400.0, 4000.0) / (1 + widest) if thick else _log(rng, 120.0, 5e3)
    return Morphology(
        neurons=0.0 if negative else _maybe(rng, 0.4, 0.5, 3.0),
        axon_density=0.0 if negative else axons,
        bundled=rng.uniform(0, 0.8) if rng.uniform() < 0.5 else 0.0,
        bundle_size=int(rng.integers(3, 20)),
        bundle_spread=_log(rng, 2.5, 10.0),
        axon_radius=(1.5, widest) if thick else (thin, thin * rng.uniform(1.2, 3.0)),
        dendrite_radius=(0.7, widest),
        dendrites=int(rng.integers(3, 8)),
        dendrite_length=rng.uniform(30, 100),
        branch_every=_log(rng, 25, 250),
        collateral_length=rng.uniform(15, 80),
        wiggle=rng.uniform(0.15, 0.4 if thick else 0.8),
        meander=rng.uniform(0.2, 0.9),
        flatness=rng.uniform(0.5, 1.0),
        bead_spacing=_log(rng, 6, 40),
        bead_gain=rng.uniform(1.0, 2.5),
        fading=rng.uniform(0.05, 0.5),
        snr=_BRIGHT if bright else _MIXED,
    )


def _clutter(rng: np.random.Generator, negative: bool) -> Clutter:
    more = 2.0 if negative else 1.0
    return Clutter(
        puncta=_maybe(rng, 0.7, 5, 400),
        puncta_snr=(rng.uniform(1, 4), rng.uniform(5, 40)),
        cells=_maybe(rng, 0.35 * more, 5, 150),
        cell_radius=(rng.uniform(1.5, 4), rng.uniform(4, 9)),
        cell_snr=(rng.uniform(0.7, 3), _log(rng, 3, 60)),
        holes=_maybe(rng, 0.3, 2, 30),
        vessels=_maybe(rng, 0.25, 1, 6),
        soma_radius=(rng.uniform(3, 6), rng.uniform(6, 18)),
        soma_snr=(15.0, 500.0),
        glow=_maybe(rng, 0.8, 0.01, 0.3),
        glow_width=rng.uniform(1.2, 4.0),
    )


def _with_sheets(clutter: Clutter, rng: np.random.Generator, chance: float) -> Clutter:
    """Return clutter with bright curved sheets, which look like axons in any single plane."""
    return replace(
        clutter,
        membranes=_maybe(rng, chance, 3, 60),
        membrane_spacing=rng.uniform(35, 120),
        membrane_width=_log(rng, 0.8, 3.5),
        membrane_grain=rng.uniform(0.1, 0.9),
    )


def random_params(rng: np.random.Generator) -> SynthParams:
    """Draw the parameters of one training brain.

    Parameters
    ----------
    rng
        Its randomness.
    """
    if rng.uniform() < _PRESET_SHARE:
        return _like_a_preset(rng)
    negative = bool(rng.uniform() < 0.12)
    offset = _log(rng, 20, 400)
    level = offset + _log(rng, 40, 3000)
    noise = _log(rng, 0.02, 0.3) * (level - offset) + 1.0
    textured = bool(rng.uniform() < 0.65)
    texture = noise * _log(rng, 0.3, 3.5) if textured else 0.0
    fine = rng.uniform(0.9, 2.0)
    total = math.hypot(noise, texture)
    uneven_grey = total * _log(rng, 0.2, 6.0)
    bright = bool(rng.uniform() < _BRIGHT_SHARE)
    # Wide saturated edges look like nothing else, and are painted unless often seen.
    rim = _maybe(rng, 0.8, 3, 400) * total
    edged = rng.uniform() < (0.5 if negative else 0.35)
    return SynthParams(
        optics=_optics(rng),
        morphology=_morphology(rng, negative, bright),
        clutter=_with_sheets(_clutter(rng, negative), rng, 0.3 if negative else 0.15),
        background=Background(
            level=level,
            uneven=min(0.6, uneven_grey / (level - offset)),
            uneven_scale=int(rng.integers(24, 120)),
            texture=texture,
            texture_scales=(
                (rng.uniform(0.2, 1.0), fine),
                (rng.uniform(0.2, 1.0), fine * rng.uniform(2, 3)),
                (rng.uniform(0.0, 0.6), fine * rng.uniform(4, 8)),
            )
            if textured
            else (),
            texture_skew=_maybe(rng, 0.5, 0.1, 0.7),
            streaks=_maybe(rng, 0.25, 0.2, 1.5) * total,
        ),
        noise=Noise(
            sd=noise,
            offset=offset,
            read=noise * rng.uniform(0, 0.9),
            ceiling=4095 if level < 2500 and rng.uniform() < 0.4 else 65535,
            stripes=_maybe(rng, 0.3, 0.1, 0.8) * total / (level - offset),
        ),
        stitching=Stitching(
            spacing=int(rng.integers(40, 160)) if rng.uniform() < 0.2 else 0,
            gain=_log(rng, 0.3, 4.0) * total / (level - offset),
            line=rng.uniform(-3.0, 8.0) * total / (level - offset),
        ),
        tissue=Tissue(
            kind="plane" if edged else "full",
            outside_share=rng.uniform(0.05, 0.6),
            rim=rim,
            rim_width=rng.uniform(1.0, 8.0),
            roughness=rng.uniform(0, 8),
            outside="zero" if rng.uniform() < 0.6 else "dark",
        ),
    )


def dendrite_params(rng: np.random.Generator) -> SynthParams:
    """Draw the parameters of a brain of few well stained neurons, seen from near.

    Somata glow far around them, dendrites leave them several voxels wide, what lies out of
    focus is a haze around it all, and neurites stand far above the noise.

    Parameters
    ----------
    rng
        Its randomness.
    """
    # Of block faces only one plane shines, so that all of it is flat; lenses blur along z.
    flat = rng.uniform() < 0.5
    lateral = rng.uniform(2.5, 9.0) if flat else rng.uniform(1.8, 4.5)
    axial = _log(rng, 1.2, 3.5) if flat else lateral * rng.uniform(1.0, 2.5)
    offset = _log(rng, 20, 400)
    level = offset + _log(rng, 40, 1500)
    noise = _log(rng, 0.03, 0.3) * (level - offset) + 1.0
    texture = noise * _maybe(rng, 0.4, 0.2, 1.0)
    widest = rng.uniform(1.2, 3.0) if flat else rng.uniform(2.0, 6.0)
    return SynthParams(
        optics=Optics(
            lateral,
            axial,
            haze=_maybe(rng, 0.7, 0.1, 3.0),
            haze_width=min(rng.uniform(2.0, 4.5), 24 / lateral),
        ),
        morphology=Morphology(
            neurons=_log(rng, 0.4, 4.0),
            axon_density=_maybe(rng, 0.7, 50.0, 800.0),
            bundled=0.0,
            axon_radius=(0.5, rng.uniform(1.0, 2.5)),
            dendrite_radius=(rng.uniform(0.6, 1.2) if flat else 1.2, widest),
            dendrites=int(rng.integers(3, 9)),
            dendrite_length=rng.uniform(60, 160),
            branch_every=_log(rng, 40, 250),
            collateral_length=rng.uniform(15, 80),
            wiggle=rng.uniform(0.1, 0.5),
            meander=rng.uniform(0.2, 0.8),
            flatness=rng.uniform(0.15, 0.6) if flat else rng.uniform(0.4, 1.0),
            bead_spacing=_log(rng, 6, 30),
            bead_gain=rng.uniform(1.0, 2.0),
            fading=rng.uniform(0.1, 0.7),
            snr=_WELL_STAINED,
        ),
        clutter=Clutter(
            puncta=_maybe(rng, 0.5, 5, 200),
            puncta_snr=(2.0, rng.uniform(10, 60)),
            cells=_maybe(rng, 0.25, 5, 60),
            cell_radius=(rng.uniform(2, 4), rng.uniform(5, 10)),
            cell_snr=(3.0, _log(rng, 10, 150)),
            vessels=_maybe(rng, 0.2, 1, 4),
            soma_radius=(rng.uniform(5, 9), rng.uniform(10, 20)),
            soma_snr=(60.0, 1500.0),
            glow=_maybe(rng, 0.9, 0.01, 0.25),
            glow_width=rng.uniform(1.2, 5.0),
        ),
        background=Background(
            level=level,
            uneven=rng.uniform(0.0, 0.4),
            uneven_scale=int(rng.integers(24, 120)),
            texture=texture,
            streaks=_maybe(rng, 0.2, 0.2, 1.0) * noise,
        ),
        noise=Noise(
            sd=noise,
            offset=offset,
            read=noise * rng.uniform(0, 0.9),
            ceiling=4095 if level < 1500 and rng.uniform() < 0.5 else 65535,
        ),
    )


def _like_a_preset(rng: np.random.Generator) -> SynthParams:
    """Return a preset with another density of neurites, most of them dim."""
    name = ("fmost", "lightsheet", "clean")[int(rng.choice(3, p=(0.42, 0.5, 0.08)))]
    params = preset(name)
    shape = replace(
        params.morphology,
        neurons=rng.uniform(0, 0.6),
        axon_density=_maybe(rng, 0.85, 300.0, 2500.0),
        snr=params.morphology.snr if name == "clean" else _MOSTLY_DIM,
    )
    clutter = _with_sheets(params.clutter, rng, 0.1)
    return replace(params, morphology=shape, clutter=clutter)


def cluttered(params: SynthParams, rng: np.random.Generator) -> SynthParams:
    """Return the same brain full of spots and round cells, half of the time without axons.

    What a young network confuses with neurites: anything small and bright.

    Parameters
    ----------
    params
        Of the brain.
    rng
        Its randomness.
    """
    cells = rng.uniform() < 0.5
    clutter = replace(
        params.clutter,
        puncta=_log(rng, 200, 4000),
        puncta_snr=(rng.uniform(1, 4), rng.uniform(5, 60)),
        cells=_log(rng, 20, 400) if cells else 0.0,
        cell_radius=(rng.uniform(1.2, 3), rng.uniform(3, 8)),
        cell_snr=(rng.uniform(0.7, 3), _log(rng, 3, 60)),
    )
    shape = params.morphology
    if rng.uniform() < 0.5:
        nothing = replace(shape, neurons=0.0, axon_density=0.0)
        if cells and rng.uniform() < 0.6:
            # Out of focus, or stained through: soft blobs with patches inside.
            lateral = rng.uniform(2.0, 7.0)
            soft = Optics(lateral, lateral * rng.uniform(1.0, 2.0))
            radius = (clutter.cell_radius[0], rng.uniform(4, 10))
            clutter = replace(clutter, cell_radius=radius)
            params = replace(params, optics=soft)
        return replace(params, clutter=clutter, morphology=nothing)
    shape = replace(shape, axon_density=min(shape.axon_density, 1500.0))
    return replace(params, clutter=clutter, morphology=shape)
