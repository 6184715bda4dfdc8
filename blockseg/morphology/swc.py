"""Centrelines of traced neurons: SWC files, and the voxels that they pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.files import TABLE_BYTES, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx

_SOMA = 1
_STEP = 0.5  # voxels between points on a path: no voxel that it crosses far is missed
_POINTS = 2**21  # points on paths that are held at once


@dataclass(frozen=True, slots=True)
class Tree:
    """One SWC file."""

    name: str
    """Name of the file, without folder and ending."""

    position: NDArray[np.float64]
    """(n, 3), (z, y, x), in the unit of the file."""

    radius: NDArray[np.float64]
    """(n,), in the unit of the file."""

    kind: NDArray[np.int64]
    """(n,), 1 soma, 2 axon, 3 dendrite, ..."""

    parent: NDArray[np.int64]
    """(n,), row of the parent; -1 at a root."""

    snr: NDArray[np.float32]
    """(n,), where the file says it, else NaN; see :func:`read_swc`."""


def read_swc(path: Path) -> Tree:
    """Read an SWC file: lines of id, type, x, y, z, radius, parent.

    A comment ``# branch ID FIRST LAST SNR LENGTH``, as ``blockseg synth`` writes
    them, gives the SNR of the nodes FIRST to LAST.

    Raises
    ------
    VolumeError
        If it cannot be read; names the line.
    """
    try:
        text = read_text(path, TABLE_BYTES, errors="replace")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error
    rows, lines, branches = [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        said, _, comment = line.partition("#")
        words = said.replace(",", " ").split()
        if not words:
            branches += _branch(comment)
            continue
        try:
            row = [float(word) for word in words[:7]]
        except ValueError:
            row = []
        if len(row) < 7 or not all(math.isfinite(value) for value in row):
            message = (
                f"{path}, line {number} is not of the form id type x y z radius parent: "
                f"{line.strip()[:60]!r}"
            )
            raise VolumeError(message)
        rows.append(row)
        lines.append(number)
    if not rows:
        message = f"{path} holds no SWC node; leave it out"
        raise VolumeError(message)
    table = np.array(rows)
    snr = np.full(len(table), np.nan, np.float32)
    for first, last, value in branches:
        snr[(table[:, 0] >= first) & (table[:, 0] <= last)] = value
    return Tree(
        path.stem,
        table[:, [4, 3, 2]],
        table[:, 5],
        table[:, 1].astype(np.int64),
        _parents(path, table[:, 0], table[:, 6], lines),
        snr,
    )


def _branch(comment: str) -> list[tuple[float, float, float]]:
    """Return first node, last node and SNR, if a comment tells them."""
    words = comment.split()
    if len(words) < 5 or words[0] != "branch":
        return []
    try:
        first, last, snr = (float(word) for word in words[2:5])
    except ValueError:
        return []
    return [(first, last, snr)]


def _parents(
    path: Path, ids: NDArray[np.float64], parents: NDArray[np.float64], lines: list[int]
) -> NDArray[np.int64]:
    row_of = {int(number): row for row, number in enumerate(ids)}
    if len(row_of) < len(ids):
        message = f"{path} gives several nodes the same id; every id must be unique"
        raise VolumeError(message)
    out = np.full(len(ids), -1, np.int64)
    for row, parent in enumerate(parents):
        if parent < 0:
            continue
        if int(parent) not in row_of:
            message = (
                f"{path}, line {lines[row]} names the parent {int(parent)}, "
                "which the file does not hold"
            )
            raise VolumeError(message)
        out[row] = row_of[int(parent)]
    return out


def swc_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the SWC files that paths name: files, and folders of such.

    Raises
    ------
    VolumeError
        If one names none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() == ".swc")
            if not inside:
                message = f"{path} is a folder without SWC files"
                raise VolumeError(message)
            found += inside
        elif path.exists():  # what is no file is told where it is read
            found.append(path)
        else:
            message = f"{path} does not exist"
            raise VolumeError(message)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TracedVoxels:
    """The voxels of a volume that centrelines pass."""

    shape: Zyx
    """Voxels of the volume."""

    voxel: NDArray[np.int64]
    """C-order numbers, rising, each once; 8 bytes a voxel."""

    snr: NDArray[np.float32]
    """SNR of each voxel; NaN where it is not known."""

    points: int = 0
    """Points of the paths that lie inside the volume: their length."""

    outside: int = 0
    """Those that lie outside."""

    def within(self, roi: Roi) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return places (n, 3) of the voxels in a region, from its corner; and SNRs."""
        _, height, width = self.shape
        z, y, _ = (np.arange(a, b) for a, b in zip(roi.start, roi.stop, strict=True))
        row = (z[:, None] * height + y[None, :]).ravel() * width
        first = np.searchsorted(self.voxel, row + roi.start[2])
        last = np.searchsorted(self.voxel, row + roi.stop[2])
        length = last - first
        begin = np.repeat(first - np.cumsum(length) + length, length)
        which = begin + np.arange(length.sum())
        places = np.stack(np.unravel_index(self.voxel[which], self.shape), axis=1)
        return places - np.array(roi.start), self.snr[which]


def trace(
    trees: Sequence[Tree],
    shape: Zyx,
    voxel_size: Sequence[float],
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> TracedVoxels:
    """Return the voxels that the paths of trees pass, sampled every half voxel.

    What lies inside a soma (a node of type 1) is no neurite and left out.

    Parameters
    ----------
    trees
        Neurons.
    shape
        Voxels of the volume.
    voxel_size, translation
        Of the volume, in the unit of the trees.

    Returns
    -------
    Voxels with the SNR of their paths; where several pass, that of the brightest.

    Raises
    ------
    VolumeError
        If nodes lie so far apart that the unit must be wrong.
    """
    size, corner = np.array(voxel_size), np.array(translation)
    voxels, numbers, outside = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)], 0
    total = 0
    for tree in trees:
        # A root stands for itself: a tree of one node is a point.
        start = np.where(tree.parent < 0, np.arange(len(tree.parent)), tree.parent)
        steps = _steps(tree, tree.position - tree.position[start], size)
        cuts = np.flatnonzero(np.diff(np.cumsum(steps) // _POINTS)) + 1
        for part in np.split(np.arange(len(steps)), cuts):
            node, points = _points(tree, part, start, steps)
            voxel = np.floor((points - corner) / size + 0.5).astype(np.int64)
            inside = ((voxel >= 0) & (voxel < np.array(shape))).all(axis=1)
            total += len(inside)
            outside += int(np.count_nonzero(~inside))
            number = np.ravel_multi_index(tuple(voxel[inside].T), shape)
            unique, best = _greatest(number, tree.snr[node][inside])
            voxels.append(unique)
            numbers.append(best)
    unique, best = _greatest(np.concatenate(voxels), np.concatenate(numbers))
    return TracedVoxels(shape, unique, best, total - outside, outside)


def _steps(
    tree: Tree, edge: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return how many points each path from a parent to a node takes."""
    steps = np.ceil(np.abs(edge / size).max(axis=1) / _STEP)
    if steps.max() > _POINTS:
        message = (
            f"{tree.name} has two joined nodes {steps.max() * _STEP:.3g} voxels apart; "
            "check the unit of its coordinates (--swc-unit) and the voxel size"
        )
        raise VolumeError(message)
    least_one: NDArray[np.int64] = np.maximum(steps.astype(np.int64), 1)
    return least_one


def _points(
    tree: Tree,
    part: NDArray[np.int64],
    start: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return points on the paths to some nodes, somata left out, and their nodes."""
    n = steps[part]
    node = np.repeat(part, n)
    at = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    share = ((at + 1) / np.repeat(n, n))[:, None]
    a, b = tree.position[start[node]], tree.position[node]
    points = a * (1 - share) + b * share
    kept = np.ones(len(points), dtype=bool)
    for end, place in ((start[node], a), (node, b)):
        soma = tree.kind[end] == _SOMA
        kept &= ~soma | (np.linalg.norm(points - place, axis=1) > tree.radius[end])
    return node[kept], points[kept]


def _greatest(
    voxel: NDArray[np.int64], value: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each voxel once, with its greatest value; NaN only if it has no other."""
    order = np.lexsort((np.where(np.isnan(value), np.inf, -value), voxel))
    unique, first = np.unique(voxel[order], return_index=True)
    return np.asarray(unique, np.int64), value[order][first].astype(np.float32)
