"""Parameters of a synthetic brain, as plain numbers.

Contrasts are given as SNR: the median contrast of a neurite on its centreline,
after the point spread, over the local background SD (voxel noise and texture
together). Grey levels are those of the raw 16-bit image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from blockseg.core.errors import ConfigError

SnrBin: TypeAlias = tuple[float, float, float]
"""Weight, lowest and highest SNR; log-uniform between them."""


@dataclass(frozen=True, slots=True)
class Optics:
    """A Gaussian point spread function."""

    lateral_fwhm: float = 2.6
    """Full width at half maximum along y and x, in voxels."""

    axial_fwhm: float = 4.7
    """Full width at half maximum along z, in voxels."""

    haze: float = 0.0
    """Light out of focus around whatever shines, over the light in the point spread."""

    haze_width: float = 4.0
    """SD of that light, over the SD of the point spread."""

    @property
    def sigma(self) -> tuple[float, float, float]:
        """Standard deviations along (z, y, x), in voxels."""
        return (
            self.axial_fwhm / 2.3548,
            self.lateral_fwhm / 2.3548,
            self.lateral_fwhm / 2.3548,
        )


@dataclass(frozen=True, slots=True)
class Morphology:
    """Number of neurites, and their shapes."""

    neurons: float = 0.2
    """Neurons with soma, dendrites and axon, per million voxels."""

    axon_density: float = 200.0
    """Path length of axons whose soma lies elsewhere, without their branches, in voxels
    per million voxels."""

    bundled: float = 0.3
    """Share of those axons that run in bundles, 0 to 1."""

    bundle_size: int = 8
    """Axons in one bundle."""

    bundle_spread: float = 4.0
    """Distance of a bundle's axons from its axis, SD in voxels."""

    axon_radius: tuple[float, float] = (0.4, 1.0)
    """Range of the radius of axons, in voxels; log-uniform."""

    dendrite_radius: tuple[float, float] = (0.9, 2.2)
    """Range of the radius of dendrites at the soma, in voxels."""

    dendrites: int = 5
    """Mean number of dendrites of a neuron."""

    dendrite_length: float = 90.0
    """Mean path length of a dendrite, in voxels."""

    branch_every: float = 120.0
    """Mean path length between two branch points, in voxels."""

    collateral_length: float = 80.0
    """Mean path length of a collateral, in voxels."""

    wiggle: float = 0.45
    """SD of the heading at a persistence of 7 voxels, unitless; sharp turns."""

    meander: float = 0.6
    """SD of the heading at a persistence of 70 voxels, unitless; slow turns."""

    flatness: float = 1.0
    """Steps along z are scaled by this: below 1 for coarse z sampling."""

    bead_spacing: float = 12.0
    """Mean distance between two boutons of an axon, in voxels."""

    bead_gain: float = 1.5
    """Mean brightness of a bouton over its axon."""

    fading: float = 0.25
    """SD of the slow log-brightness along a neurite."""

    snr: tuple[SnrBin, ...] = ((0.3, 1.0, 4.0), (0.5, 4.0, 12.0), (0.2, 12.0, 40.0))
    """Distribution of the SNR of neurons."""


@dataclass(frozen=True, slots=True)
class Clutter:
    """Bright and dark things that are not neurites."""

    puncta: float = 20.0
    """Point-like spots per million voxels."""

    puncta_snr: tuple[float, float] = (2.0, 20.0)
    """Range of their SNR; log-uniform."""

    cells: float = 0.0
    """Round cells without neurites per million voxels."""

    cell_radius: tuple[float, float] = (2.0, 6.0)
    """Range of their radius, in voxels."""

    cell_snr: tuple[float, float] = (1.0, 8.0)
    """Range of their SNR; log-uniform."""

    holes: float = 0.0
    """Dark round holes per million voxels, of the cells' radii."""

    vessels: float = 0.0
    """Dark vessels per million voxels."""

    soma_radius: tuple[float, float] = (4.0, 9.0)
    """Range of the radius of somata, in voxels."""

    soma_snr: tuple[float, float] = (30.0, 300.0)
    """Range of the SNR of somata; log-uniform."""

    glow: float = 0.08
    """Brightness of the glow around a soma, as a share of the soma's."""

    glow_width: float = 2.5
    """SD of the glow, in soma radii (laterally; along z two thirds of it)."""

    membranes: float = 0.0
    """SNR of bright curved sheets, as meninges are; 0 for none."""

    membrane_spacing: float = 120.0
    """Distance from one sheet to the next, in voxels."""

    membrane_width: float = 1.5
    """SD of a sheet's brightness across it, in voxels."""

    membrane_grain: float = 0.5
    """SD of the logarithm of the brightness within a sheet, from grain to grain."""

    @property
    def glow_reach(self) -> float:
        """Distance at which a soma can be seen, in voxels."""
        return 24 + 4 * self.glow_width * self.soma_radius[1]


@dataclass(frozen=True, slots=True)
class Background:
    """Light that does not come from neurites."""

    level: float = 180.0
    """Median grey level of tissue."""

    uneven: float = 0.1
    """Strength of the slow variation, as a share of the level above the offset; its SD
    is 0.64 of this."""

    uneven_scale: int = 96
    """Distance of the nodes of the slow variation, in voxels."""

    texture: float = 0.0
    """SD of the fine correlated texture, in grey levels."""

    texture_scales: tuple[tuple[float, float], ...] = ((0.6, 1.0), (0.4, 3.0))
    """Share of the texture's variance and its lateral SD, in voxels."""

    texture_skew: float = 0.0
    """Skewness by exponentiation: 0 Gaussian, 1 strongly lognormal."""

    streaks: float = 0.0
    """SD of long faint streaks (fibre tracts, shadows), in grey levels."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Poisson-Gaussian noise of variance ``a·(I − offset) + read²``."""

    sd: float = 6.0
    """SD of the voxel noise at the background level, in grey levels; fixes ``a``."""

    offset: float = 95.0
    """Grey level of the camera in the dark."""

    read: float = 0.0
    """SD of the read noise, in grey levels; part of ``sd``."""

    ceiling: int = 65535
    """Grey level at which the image saturates."""

    stripes: float = 0.0
    """SD of the relative brightness of planes and of camera lines."""


@dataclass(frozen=True, slots=True)
class Stitching:
    """A brain imaged tile by tile."""

    spacing: int = 0
    """Edge length of a tile along y and x, in voxels; 0 for no seams."""

    gain: float = 0.05
    """SD of a tile's relative brightness."""

    line: float = 0.0
    """Relative brightness of the seam itself, one to two voxels wide."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """Where the brain ends."""

    kind: Literal["full", "plane", "ellipsoid"] = "full"
    """``full``: tissue everywhere; ``plane``: one face; ``ellipsoid``: a whole brain."""

    outside_share: float = 0.15
    """For ``plane``: how much of the diagonal lies outside, 0 to 1."""

    rim: float = 0.0
    """Brightness of the edge over the level of tissue, in grey levels."""

    rim_width: float = 3.0
    """SD of the edge's brightness across the surface, in voxels."""

    roughness: float = 6.0
    """SD of the surface around its ideal shape, in voxels."""

    outside: Literal["zero", "dark"] = "zero"
    """``zero``: exactly 0, as stitching writes; ``dark``: the camera's offset with noise."""


@dataclass(frozen=True, slots=True)
class SynthParams:
    """Everything about a synthetic brain but its shape and its seed."""

    optics: Optics = field(default_factory=Optics)
    """Point spread."""

    morphology: Morphology = field(default_factory=Morphology)
    """Neurites."""

    clutter: Clutter = field(default_factory=Clutter)
    """Somata, cells, puncta, vessels."""

    background: Background = field(default_factory=Background)
    """Level, unevenness, texture."""

    noise: Noise = field(default_factory=Noise)
    """Camera."""

    stitching: Stitching = field(default_factory=Stitching)
    """Tile seams."""

    tissue: Tissue = field(default_factory=Tissue)
    """Edges."""

    def __post_init__(self) -> None:
        if self.background.level <= self.noise.offset:
            message = (
                f"background level {self.background.level:g} is not above the camera "
                f"offset {self.noise.offset:g}; raise it"
            )
            raise ConfigError(message)
        if self.noise.sd < self.noise.read or self.noise.sd < 0:
            message = (
                f"noise SD {self.noise.sd:g} is below the read noise "
                f"{self.noise.read:g} that it contains; raise it"
            )
            raise ConfigError(message)

    @property
    def contrast_unit(self) -> float:
        """Grey levels of SNR 1: SD of voxel noise and texture, at least 1."""
        back = self.background
        return max(1.0, math.hypot(self.noise.sd, back.texture, back.streaks))
