"""Real volumes that weights and filters are compared on, and their table.

They lie in a folder of TIFF stacks, none of which is part of this repository; what is absent
is left out. Their truths are of three kinds: single annotated planes, a mask in 3-D, and
none at all, where nothing is a neurite. Of ``dlmb_B`` only some neurites are known and no
background: its recall counts, beside how much of the volume is painted.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from benchmarks.accuracy.accuracy_scenes import Scene, annotated, negative
from blockseg.morphology.measures import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.accuracy.accuracy_methods import Method

ANNOTATED_PLANES = (17, 48, 77)
NEGATIVES = (
    "neurotorch_cells",
    "cellfinder_cells",
    "cellfinder_edge",
    "dlmb_meninges",
    "dlmb_puncta",
)
GAINS = (0.5, 1.0, 2.0, 4.0, 8.0)
THRESHOLDS = (0.3, 0.5, 0.7)


def _planes(folder: Path) -> Scene:
    of = folder / "trailmap_train"
    label = str(of / "label_sparse_slices.tif")
    return annotated(str(of / "image.tif"), label, ANNOTATED_PLANES)


def _some_neurites(folder: Path) -> Scene:
    labels = tifffile.imread(folder / "dlmb_B" / "label.tif")
    image = tifffile.imread(folder / "dlmb_B" / "image.tif")
    return Scene(image, labels == 1, labels != 255, None)


def _mask(folder: Path) -> Scene:
    of = folder / "confocal_dendrite"
    true = tifffile.imread(of / "mask_otsu.tif") > 0
    return Scene(tifffile.imread(of / "image.tif"), true, np.ones_like(true), None)


def _half(folder: Path) -> Scene:
    scene = _mask(folder)
    image = np.rint(halved(scene.image)).astype(scene.image.dtype)
    true = halved(scene.true) >= 0.5
    return Scene(image, true, np.ones_like(true), None)


def halved(volume: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return means of 2×2×2 voxels; an odd last plane, row or column is left out."""
    z, y, x = (n // 2 for n in volume.shape)
    whole = volume[: 2 * z, : 2 * y, : 2 * x].astype(np.float32)
    mean: NDArray[np.float32] = whole.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))
    return mean


def _nothing(name: str) -> Callable[[Path], Scene]:
    def opened(folder: Path) -> Scene:
        alone = folder / f"{name}.tif"
        return negative(str(alone if alone.is_file() else folder / name / "image.tif"))

    return opened


_SETS: dict[str, Callable[[Path], Scene]] = {
    "trailmap_train": _planes,
    "dlmb_B": _some_neurites,
    "confocal_dendrite": _mask,
    "confocal_dendrite, half": _half,
    **{name: _nothing(name) for name in NEGATIVES},
}


def real_sets(folder: Path) -> tuple[dict[str, Scene], list[str]]:
    """Return the volumes that a folder has, and a line for each that it lacks."""
    found, lines = {}, []
    for name, opened in _SETS.items():
        try:
            found[name] = opened(folder)
        except FileNotFoundError as error:
            lines.append(f"{name}: left out, {Path(error.filename).name} is absent")
    return found, lines


def knows_background(scene: Scene) -> bool:
    """Return whether a truth has neurites and background, so that F1 says something."""
    return bool(scene.true.any() and (scene.counts & ~scene.true).any())


def judged_by(scene: Scene) -> str:
    """Return the name of the measure that says how good a prediction is."""
    return "f1_in_plane" if scene.planes else "centreline_f1"


def by_hand(method: Method, scene: Scene, default: float) -> dict[str, float]:
    """Return the best setting that a person could find, and what it gains in F1.

    Parameters
    ----------
    method
        A network.
    scene
        A volume whose truth knows neurites and background.
    default
        F1 at the default gain and threshold.
    """
    if method.at_gain is None:
        return {}
    of_default = {(1.0, method.threshold or 0.5): default}
    settings = of_default | f1_by_setting(method, scene)
    gain, threshold = max(settings, key=lambda setting: settings[setting])
    best = settings[gain, threshold]
    return {
        "best_by_hand": best,
        "adapting_would_bring": best - default,
        "best_gain": gain,
        "best_threshold": threshold,
    }


def f1_by_setting(method: Method, scene: Scene) -> dict[tuple[float, float], float]:
    """Return F1 at each gain and threshold that a person might try.

    Parameters
    ----------
    method
        A network that has gains.
    scene
        A volume whose truth knows neurites and background.
    """
    found: dict[tuple[float, float], float] = {}
    if method.at_gain is not None:
        for gain in GAINS:
            response = method.at_gain(gain)(scene.image)
            for threshold in THRESHOLDS:
                found[gain, threshold] = _f1(scene, response >= threshold)
    return found


def _f1(scene: Scene, predicted: NDArray[np.bool_]) -> float:
    rows = np.array(scene.rows(predicted))
    return next(m.value for m in measure(rows, draws=1) if m.name == judged_by(scene))


def table(
    results: dict[str, dict[str, dict[str, Any]]], sets: dict[str, Scene]
) -> Iterator[str]:
    """Yield a table for each kind of truth, a line for each volume and method."""
    kinds = {
        "planes": [name for name, scene in sets.items() if scene.planes],
        "masks": [n for n, s in sets.items() if knows_background(s) and not s.planes],
        "neurites": [
            n for n, s in sets.items() if s.true.any() and not knows_background(s)
        ],
        "nothing": [name for name, scene in sets.items() if not scene.true.any()],
    }
    for kind, names in kinds.items():
        if names:
            yield ""
            yield _TITLES[kind]
        for name, (title, scores) in product(names, results.items()):
            if name in scores:
                yield f"{name:24}{title:36.36}{_cells(kind, scores[name])}"


_HAND = f"{'by hand':>28}"
_TITLES = {
    "planes": f"{'Annotated planes':60}{'F1 in plane':19}{'recall':>7}{'in 3-D':>8}"
    f"{'beside':>8}{'painted':>9}{_HAND}",
    "masks": f"{'Masks':60}{'F1':19}{'recall':>7}{'surface':>8}{'95 %':>8}"
    f"{'painted':>9}{_HAND}",
    "neurites": f"{'Some neurites, no background':60}{'recall':>7}{'of all':>9} painted",
    "nothing": f"{'Negatives':60}{'painted':>7}   false components in 100³ voxels",
}


def _cells(kind: str, of_set: dict[str, Any]) -> str:
    if kind == "nothing":
        false = of_set["false_per_100_cubed"]
        return f"{of_set['painted_background']:7.2%}{false:8.1f}"
    if kind == "neurites":
        return f"{of_set['centreline_recall']:7.3f}{of_set['painted_of_volume']:9.2%}"
    if kind == "planes":
        f1 = _interval(of_set["f1_in_plane"], *of_set["interval_in_plane"])
        said = f"{of_set['recall_in_plane']:7.3f}{of_set['recall_3d']:8.3f}"
        beside = of_set["misses_painted_beside"]
        said += f"{'–':>8}" if np.isnan(beside) else f"{beside:8.0%}"
    else:
        f1 = _interval(of_set["centreline_f1"], *of_set["interval"])
        said = f"{of_set['centreline_recall']:7.3f}{of_set['surface_mean']:8.2f}"
        said += f"{of_set['surface_95']:8.2f}"
    return f"{f1:19}{said}{of_set['painted_background']:9.2%}{_by_hand(of_set):>28}"


def _interval(value: float, low: float, high: float) -> str:
    if np.isnan(low):
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.2f}-{high:.2f})"


def _by_hand(of_set: dict[str, Any]) -> str:
    if "adapting_would_bring" not in of_set:
        return ""
    gain, threshold = of_set["best_gain"], of_set["best_threshold"]
    more = of_set["adapting_would_bring"]
    return f"{more:+.3f} (gain × {gain:g}, {threshold:g})"
