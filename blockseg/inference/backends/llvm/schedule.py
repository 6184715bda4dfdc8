"""Order in which the planes of all maps are computed, and the slots that hold them.

A window streams through the network plane by plane along z: each map holds only the planes
that a layer still needs, so that a window of 256³ voxels takes a hundredth of the memory of
its whole maps, and what a layer reads was written a moment ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.inference.backends.llvm.layers import BY_NAME, LAYERS, needed, users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.inference.backends.llvm.layers import Layer, Span

ZERO = -1
"""Slot of the plane of zeros, which stands for those beyond the volume."""


@dataclass(frozen=True, slots=True)
class Step:
    """One plane to compute."""

    layer: Layer
    """Layer that computes it."""

    z: int
    """Its place along z, in voxels of its level."""

    slot: int
    """Slot of the map to write it to; of the input and the output it is ``z``."""

    planes: tuple[tuple[int, ...], ...]
    """For each source the slots of the planes that it is computed from: a convolution's
    three, two to pool, of a transposed convolution the one below or the two around."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All steps of a window."""

    steps: tuple[Step, ...]

    slots: Mapping[str, int]
    """Number of planes that each map holds at a time."""

    def segments(self, height: int) -> tuple[Segment, ...]:
        """Cut the steps where they ask for planes of the input beyond the next ``height``.

        Parameters
        ----------
        height
            Planes of the input that are there at a time.
        """
        found: list[Segment] = []
        steps = [n for n, step in enumerate(self.steps) if step.layer.kind == "input"]
        first = [n for n in steps[::height] if n]
        starts, stops = [0, *first], [*first, len(self.steps)]
        planes = [self.steps[n].z for n in steps]
        made = next(step.z for step in self.steps if step.layer.kind == "head")
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            z = planes[number * height : (number + 1) * height]
            count = sum(s.layer.kind == "head" for s in self.steps[start:stop])
            found.append(
                Segment((start, stop), (z[0], z[-1] + 1), (made, made + count))
            )
            made += count
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps that need no more of the input than a few planes."""

    steps: Span
    """Their numbers."""

    planes: Span
    """Planes of the input that they begin with."""

    results: Span
    """Planes of the output that they complete; there may be none."""


def schedule(spans: Mapping[str, Span], volume: Span) -> Schedule:
    """Return the steps to compute a window with as few planes at a time as possible.

    Parameters
    ----------
    spans
        What is computed of each map along z.
    volume
        Voxels along z inside the volume.
    """
    return _Planner(spans, volume).planned()


class _Planner:
    """Asks for the output's planes one by one, each for those that it needs."""

    def __init__(self, spans: Mapping[str, Span], volume: Span) -> None:
        self._spans = spans
        self._volume = volume
        self._steps: list[Step] = []
        self._held: dict[str, dict[int, int]] = {x.name: {} for x in LAYERS}
        self._free: dict[str, list[int]] = {x.name: [] for x in LAYERS}
        self._count: dict[str, int] = {x.name: 0 for x in LAYERS}
        self._made = {name: first for name, (first, _) in spans.items()}
        self._next = {
            (layer.name, source): needed(layer.kind, (spans[layer.name][0],) * 2)[0]
            for layer in LAYERS
            for source in layer.sources
        }

    def planned(self) -> Schedule:
        for z in range(*self._spans["head"]):
            self._compute(BY_NAME["head"], z)
        return Schedule(tuple(self._steps), dict(self._count))

    def _slot(self, name: str, z: int) -> int:
        layer = BY_NAME[name]
        if not self._volume[0] >> layer.level <= z < self._volume[1] >> layer.level:
            return ZERO
        while self._made[name] <= z:  # in order: each layer goes through z once
            self._compute(layer, self._made[name])
        return self._held[name][z]

    def _compute(self, layer: Layer, z: int) -> None:
        self._made[layer.name] = z + 1
        planes = tuple(
            tuple(self._slot(name, one) for one in _planes(layer, z))
            for name in layer.sources
        )
        slot = z
        if layer.kind != "head":
            free = self._free[layer.name]
            if not free:
                free.append(self._count[layer.name])
                self._count[layer.name] += 1
            slot = free.pop()
            self._held[layer.name][z] = slot
        self._steps.append(Step(layer, z, slot, planes))
        for name in layer.sources:
            self._next[layer.name, name] = _planes(layer, z + 1)[0]
            self._drop(name)

    def _drop(self, name: str) -> None:
        """Free the planes that no layer needs any more."""
        first = min(self._next[user.name, name] for user in users(name))
        held = self._held[name]
        for z in [z for z in held if z < first]:
            self._free[name].append(held.pop(z))


def _planes(layer: Layer, z: int) -> tuple[int, ...]:
    if layer.kind == "conv":
        return z - 1, z, z + 1
    if layer.kind == "pool":
        return 2 * z, 2 * z + 1
    if layer.kind == "up":
        return (z // 2,) if z % 2 == 0 else (z // 2, z // 2 + 1)
    return (z,)
