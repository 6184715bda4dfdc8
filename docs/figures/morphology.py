"""Draw docs/morphology.png: procedural neurites beside real ones, five statistics.

    python docs/figures/morphology.py FOLDER_WITH_SWC

Real neurons are scaled to voxels of 0.35 µm and sampled every 0.6 voxels like the
procedural ones, at lags of at least two nodes. Their radii count only where they were
measured.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from blockseg.core.geometry import Roi, Zyx
from blockseg.morphology.swc import swc_files
from blockseg.synthetic.fields import stream
from blockseg.synthetic.neurons.populate import populate
from blockseg.synthetic.neurons.reconstruction import read_reconstruction, smooth_path
from blockseg.synthetic.neurons.walks import STEP, Domain
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VOXEL = 0.35  # µm
SHAPE: Zyx = (400, 400, 400)
LAGS = np.array([2, 4, 8, 16, 32, 64, 128])  # voxels
REAL, MADE = (40, 90, 170), (210, 80, 30)


@dataclass
class Statistics:
    """What is measured on many unbranched stretches, in voxels and degrees."""

    tortuosity: dict[int, list[float]] = field(default_factory=dict)
    cosine: dict[int, list[float]] = field(default_factory=dict)
    spacing: list[float] = field(default_factory=list)
    angle: list[float] = field(default_factory=list)
    taper: list[float] = field(default_factory=list)

    def path(self, points: NDArray[np.float32], finest: float = 0.0) -> None:
        """Take tortuosity and turning along a path, at lags of ``finest`` and more."""
        heading = np.diff(points, axis=0)
        heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-9)
        for lag in LAGS:
            n = round(lag / STEP)
            if lag < finest:
                continue
            if len(points) <= n + 1:
                break
            straight = np.linalg.norm(points[n:] - points[:-n], axis=1)[::n]
            ratio = n * STEP / np.maximum(straight, 0.1)
            self.tortuosity.setdefault(int(lag), []).extend(ratio)
            dot = (heading[n:] * heading[:-n]).sum(axis=1)[::n]
            self.cosine.setdefault(int(lag), []).extend(dot)

    def fork(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> None:
        """Take the angle by which a branch turns off its parent."""
        size = np.linalg.norm(before) * np.linalg.norm(after)
        if size > 0:
            self.angle.append(float(np.degrees(np.arccos(before @ after / size))))


def real(files: Sequence[Path]) -> Statistics:
    """Measure reconstructions."""
    found = Statistics()
    for file in files:
        form = read_reconstruction(file)
        run: dict[int, float] = {}
        apart = [
            np.linalg.norm(np.diff(form.position[s.node], axis=0), axis=1)
            for s in form.stretches
        ]
        # What lies between two nodes was never seen.
        finest = 2 * float(np.median(np.concatenate(apart))) / VOXEL
        for number, stretch in enumerate(form.stretches):
            nodes = form.position[stretch.node] / VOXEL
            before, after = (
                None if row < 0 else form.position[row] / VOXEL
                for row in (stretch.before, stretch.after)
            )
            points, radius = smooth_path(
                nodes, form.radius[stretch.node], before, after
            )
            found.path(points, finest)
            n = round(8 / STEP)
            if stretch.parent >= 0 and stretch.before < 0 and len(points) > n:
                parent = form.stretches[stretch.parent].node
                back = form.position[parent[-1]] - form.position[parent[-2]]
                found.fork(back, (points[n] - points[0]).astype(float))
            if form.has_radii and len(points) > n:
                third = len(radius) // 3
                found.taper.append(
                    float(radius[-third:].mean() / radius[:third].mean())
                )
            # Pieces of one course belong together.
            length = len(points) * STEP
            forks = sum(s.parent == number for s in form.stretches) > 1
            joined = stretch.parent >= 0 and run.get(stretch.parent) is not None
            length += run[stretch.parent] if joined else 0.0
            if forks:
                found.spacing.append(length)
            elif stretch.after >= 0:
                run[number] = length
    return found


def made(name: str, seeds: range) -> Statistics:
    """Measure procedural neurites."""
    found = Statistics()
    for seed in seeds:
        domain = Domain(SHAPE, Roi.whole(SHAPE))
        tracing = populate(domain, preset(name), stream(seed, 11))
        points, kind = tracing.points, tracing.branches.kind
        starts = np.flatnonzero(np.diff(points.branch, prepend=-1))
        n = round(8 / STEP)
        forks: dict[int, list[int]] = {}
        for start, stop in zip(starts, [*starts[1:], len(points.branch)], strict=True):
            branch = int(points.branch[start])
            if kind[branch] > 3:
                continue
            path = points.position[start:stop]
            found.path(path)
            if len(path) > n:
                third = len(path) // 3
                thick = points.radius[start:stop]
                found.taper.append(float(thick[-third:].mean() / thick[:third].mean()))
            parent = int(points.parent[start])
            if parent > 0 and points.branch[parent] == points.branch[parent - 1]:
                forks.setdefault(int(points.branch[parent]), []).append(parent)
                if len(path) > n:
                    back = points.position[parent] - points.position[parent - 1]
                    found.fork(back.astype(float), (path[n] - path[0]).astype(float))
        for branch, at in forks.items():
            begin = int(starts[branch])
            child = points.parent[begin] >= 0
            along = [begin, *sorted(at)] if child else sorted(at)
            found.spacing += (np.diff(along) * STEP).tolist()
    return found


def curve(values: dict[int, list[float]]) -> list[tuple[float, float]]:
    """Return the median at each lag."""
    return [(float(np.log2(k)), float(np.median(v))) for k, v in sorted(values.items())]


def density(
    values: Sequence[float], edges: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Return a histogram as a curve, its sum 1."""
    count, _ = np.histogram(values, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    return list(
        zip(middle.tolist(), (count / max(1, count.sum())).tolist(), strict=True)
    )


def plot(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    title: str,
    curves: Sequence[Sequence[tuple[float, float]]],
    ticks: Sequence[tuple[float, str]],
    low: float = 0.0,
) -> None:
    """Draw two curves in a frame."""
    x0, y0, width, height = *corner, 250, 150
    pen.text((x0, y0 - 16), title, fill="black")
    pen.rectangle((x0, y0, x0 + width, y0 + height), outline=(150, 150, 150))
    every = [point for one in curves for point in one]
    left, right = min(p[0] for p in every), max(p[0] for p in every)
    top = max(p[1] for p in every) * 1.05
    for colour, one in zip((REAL, MADE), curves, strict=True):
        place = [
            (
                x0 + (x - left) / (right - left) * width,
                y0 + height - (y - low) / (top - low) * height,
            )
            for x, y in one
        ]
        pen.line(place, fill=colour, width=2)
    for x, text in ticks:
        at = x0 + (x - left) / (right - left) * width
        pen.line((at, y0 + height, at, y0 + height + 3), fill=(150, 150, 150))
        pen.text((at - 6, y0 + height + 4), text, fill="black")
    pen.text((x0 + 3, y0 + 2), f"{top:.2g}", fill=(110, 110, 110))
    pen.text((x0 + 3, y0 + height - 13), f"{low:g}", fill=(110, 110, 110))


def main(folder: str) -> None:
    """Measure, print the medians, draw."""
    pair = (real(swc_files([Path(folder)])), made("fmost", range(3)))
    for name, one in zip(("real", "procedural"), pair, strict=True):
        medians = {k: round(float(np.median(v)), 2) for k, v in one.tortuosity.items()}
        sys.stdout.write(
            f"{name}: tortuosity {medians}; "
            f"cosine { {k: round(float(np.median(v)), 2) for k, v in one.cosine.items()} }; "
            f"branch points every {np.mean(one.spacing):.0f} voxels "
            f"(median {np.median(one.spacing):.0f}); "
            f"angle {np.median(one.angle):.0f} degrees; taper {np.median(one.taper):.2f}\n"
        )
    sheet = Image.new("RGB", (860, 440), "white")
    pen = ImageDraw.Draw(sheet)
    lags = [(float(np.log2(k)), str(k)) for k in LAGS]
    plot(
        pen,
        (20, 30),
        "tortuosity (median) over path length, voxels",
        [curve(s.tortuosity) for s in pair],
        lags,
        low=1.0,
    )
    plot(
        pen,
        (300, 30),
        "cosine between headings (median) over lag",
        [curve(s.cosine) for s in pair],
        lags,
    )
    wide = np.linspace(0, 400, 21)
    plot(
        pen,
        (580, 30),
        "distance of branch points, voxels",
        [density(s.spacing, wide) for s in pair],
        [(v, f"{v:.0f}") for v in (50, 150, 250, 350)],
    )
    turn = np.linspace(0, 180, 19)
    plot(
        pen,
        (20, 240),
        "angle of a branch off its parent, degrees",
        [density(s.angle, turn) for s in pair],
        [(v, f"{v:.0f}") for v in (30, 60, 90, 120, 150)],
    )
    thin = np.linspace(0, 2, 21)
    plot(
        pen,
        (300, 240),
        "radius of the last over the first third",
        [density(s.taper, thin) for s in pair],
        [(v, f"{v:g}") for v in (0.5, 1, 1.5)],
    )
    pen.text((600, 260), "real morphologies, 0.35 um voxels", fill=REAL)
    pen.text((600, 280), "procedural, preset fmost", fill=MADE)
    sheet.save(Path(__file__).parents[1] / "morphology.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
