"""Parity of an engine with the reference, on sampled windows of the volume.

The reference is the network in torch float32. An engine that computes in half precision
or with kernels of its own is used in a run only after it agreed with it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import DeviceMemoryError
from blockseg.inference.backends.table import REFERENCE, make_backend, stands_in
from blockseg.inference.engine import Engine
from blockseg.inference.window_memory import halved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from blockseg.core.specs import Affine, AffineField, BackendSpec
    from blockseg.inference.backends.protocol import Backend
    from blockseg.inference.block_input import BlockInput
    from blockseg.inference.engine import Segmenter

_ALIGNMENT = 8  # a multiple of that of every network
_REFERENCE_EDGE = 96  # voxels of the reference's windows, which any card holds
_FEW_FLIPS = 3


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Difference from the reference that an engine may have."""

    difference: float
    """Difference of any voxel's probability, beyond what rounding to bytes explains."""

    flips: float = 1e-4
    """Share of the voxels whose foreground differs; must stay below. Up to three
    flips are never held against an engine: in a small sample each weighs too much."""

    of_foreground: float = 0.0
    """Share of the foreground that may differ, where that is more."""


TOLERANCES: Mapping[str, Tolerance] = {
    "float16": Tolerance(0.01),
    "float32": Tolerance(0.001),
    "float64": Tolerance(0.001),
    "bfloat16": Tolerance(0.25, 1e-4, 0.005),
}
"""By precision. Half precision has 11 bits, of logits up to about 16; bfloat16 has 8,
which move what was doubtful: there masks are judged, and probabilities only so far that
an engine that is wrong is told."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Difference of two results."""

    voxels: int = 0
    """Compared."""

    difference: float = 0.0
    """Largest of the probability, beyond what rounding to bytes explains."""

    flips: int = 0
    """Voxels that are foreground in one of the two only."""

    foreground: int = 0
    """Voxels that are foreground by the reference."""

    def __add__(self, other: Agreement) -> Agreement:
        """Return that of both parts together."""
        return Agreement(
            self.voxels + other.voxels,
            max(self.difference, other.difference),
            self.flips + other.flips,
            self.foreground + other.foreground,
        )

    def problem(self, allowed: Tolerance, reference: str = "torch float32") -> str:
        """Return why that is too much, in one line; empty if it is not.

        Parameters
        ----------
        allowed
            Difference that an engine of its precision may have.
        reference
            Name of what it was compared with.
        """
        if not self.difference <= allowed.difference:
            return (
                f"probabilities differ from {reference} by up to {self.difference:.2g} "
                f"on {self.voxels:,} sampled voxels, more than {allowed.difference:g}"
            )
        of_voxels = allowed.flips * self.voxels
        of_foreground = allowed.of_foreground * self.foreground
        if self.flips > _FEW_FLIPS and self.flips >= max(of_voxels, of_foreground):
            also = ""
            if allowed.of_foreground:
                also = (
                    f" and {allowed.of_foreground:.1%} or more of the {self.foreground:,} "
                    "in the foreground"
                )
            return (
                f"the foreground differs from {reference} in {self.flips:,} of "
                f"{self.voxels:,} sampled voxels, {allowed.flips:g} of them or more{also}"
            )
        return ""


def agreement(
    found: npt.NDArray[np.uint8], expected: npt.NDArray[np.float32], threshold: int
) -> Agreement:
    """Compare bytes with the probabilities of the reference.

    Parameters
    ----------
    found
        255 p of the engine, rounded.
    expected
        p of the reference, of the same shape.
    threshold
        Smallest byte that is foreground.
    """
    exact = expected * np.float32(255)
    off = float(np.abs(found - exact).max(initial=0)) - 0.5
    foreground = np.rint(exact) >= threshold
    flipped = int(np.count_nonzero((found >= threshold) != foreground))
    count = int(np.count_nonzero(foreground))
    return Agreement(found.size, max(off, 0.0) / 255, flipped, count)


def compared(
    engine: Segmenter,
    samples: Iterable[BlockInput],
    expected: Iterable[npt.NDArray[np.float32]],
    threshold: int,
) -> Agreement:
    """Run sampled windows through an engine and compare.

    Parameters
    ----------
    engine
        To be judged.
    samples
        Windows of the volume.
    expected
        Of each, what :func:`reference_probability` says.
    threshold
        Smallest byte that is foreground.

    Raises
    ------
    BackendError
        If the engine fails.
    """
    total = Agreement()
    for sample, p in zip(samples, expected, strict=True):
        total += agreement(engine.segment(sample).probability, p, threshold)
    return total


def reference_spec(spec: BackendSpec) -> BackendSpec:
    """Return the reference of an engine, on the same device.

    What stands in for a network has itself on the CPU.
    """
    name, precision = REFERENCE
    if stands_in(spec.name):
        return replace(spec, device="cpu", precision=precision, core=(32,) * 3)
    return replace(spec, name=name, precision=precision, core=(_REFERENCE_EDGE,) * 3)


def reference_probability(
    spec: BackendSpec,
    affine: Affine | AffineField,
    samples: Sequence[BlockInput],
    make: Callable[[BackendSpec], Backend] = make_backend,
) -> list[npt.NDArray[np.float32]]:
    """Return the foreground probability of each sampled window in torch float32.

    Parameters
    ----------
    spec
        Of :func:`reference_spec`; windows are halved until they fit the device.
    affine
        Normalisation of the run.
    samples
        Windows of the volume.
    make
        Builds the backend.

    Raises
    ------
    BackendError
        If the device fails, or the smallest window does not fit it.
    """
    while True:
        try:
            with closing(Engine(make(spec), affine)) as engine:
                return [engine.probability(sample) for sample in samples]
        except DeviceMemoryError:
            smaller = halved(spec.core, _ALIGNMENT)
            if smaller is None:
                raise
        spec = replace(spec, core=smaller)
