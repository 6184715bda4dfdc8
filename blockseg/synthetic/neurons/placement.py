"""Real neurons in their places, and what of them may come near a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.synthetic.neurons.tracing import Somata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.synthetic.neurons.reconstruction import Reconstruction


@dataclass(frozen=True, slots=True)
class SiteOfNeurons:
    """Where the neurons of a site lie."""

    first: int
    """Label of the first neuron; the others follow."""

    form: NDArray[np.int64]
    """(n,), numbers of their reconstructions."""

    turn: NDArray[np.float64]
    """(n, 3, 3), from µm around the middle to voxels around the place."""

    place: NDArray[np.float64]
    """(n, 3), (z, y, x) in voxels."""


@dataclass(frozen=True, slots=True)
class PlacedNeuron:
    """One neuron in its place, and its looks."""

    number: int
    """Its label."""

    form: Reconstruction
    """Form of the neuron."""

    turn: NDArray[np.float64]
    """(3, 3), from µm around its middle to voxels around its place."""

    place: NDArray[np.float64]
    """(z, y, x) in voxels."""

    snr: float
    """SNR of its axon."""

    dendrite_snr: float
    """SNR of its dendrites."""

    axon_radius: float
    """Where the file tells none, in voxels."""

    dendrite_radius: float
    """The same."""

    soma_radius: float
    """In voxels."""

    soma_light: float
    """In grey levels."""

    def voxels(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points (n, 3) in µm come to lie."""
        return np.asarray(position @ self.turn.T + self.place)

    def soma(self) -> Somata:
        """Return its soma, if its file has one."""
        if self.form.soma is None:
            return Somata.none()
        return Somata(
            self.voxels(self.form.soma[None]).astype(np.float32),
            np.array([self.soma_radius], np.float32),
            np.array([self.soma_light], np.float32),
            np.array([self.number], np.uint32),
            np.array([self.number]),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A neuron that comes near a region."""

    neuron: PlacedNeuron
    """Which."""

    stretches: NDArray[np.int64]
    """Numbers of those that may come near, ascending."""

    centre: NDArray[np.float64]
    """(n, 3), of a ball around each, in voxels."""

    radius: NDArray[np.float64]
    """(n,), of the balls, in voxels."""


def touch(
    centre: NDArray[Any], radius: Any, low: NDArray[Any], high: NDArray[Any]
) -> NDArray[np.bool_]:
    """Say which balls (n, 3) touch a box."""
    away = np.maximum(np.maximum(low - centre, centre - high), 0)
    return np.asarray(np.square(away).sum(axis=1) < np.square(radius))


def balls(
    form: Reconstruction, finest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a ball around each stretch: centres (n, 3) in µm, radii (n,) in voxels.

    A smooth path strays from the straight one by less than its longest step.
    """
    centre, radius = [], []
    for stretch in form.stretches:
        place = form.position[stretch.node]
        course = [
            row for row in (stretch.before, *stretch.node, stretch.after) if row >= 0
        ]
        steps = np.linalg.norm(np.diff(form.position[course], axis=0), axis=1)
        middle = (place.min(axis=0) + place.max(axis=0)) / 2
        centre.append(middle)
        radius.append(np.linalg.norm(place - middle, axis=1).max() + steps.max())
    return np.array(centre), np.array(radius) / finest + 2
