"""What the rows say: curves over budgets, paired tests, a table and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import wilcoxon

from benchmarks.dhpr import dhpr_brains as brains

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MEASURES = {
    "snr_f1_0": "F1, SNR below 2",
    "snr_f1_1": "F1, SNR 2 to 4",
    "snr_f1_2": "F1, SNR 4 to 8",
    "snr_f1_3": "F1, SNR above 8",
    "centreline_f1": "F1, all",
    "snr_recall_0": "recall, SNR below 2",
    "snr_recall_1": "recall, SNR 2 to 4",
    "snr_recall_2": "recall, SNR 4 to 8",
    "snr_recall_3": "recall, SNR above 8",
    "centreline_precision": "precision, all",
}
DRAWN = ("snr_f1_0", "snr_f1_1", "snr_f1_2", "snr_f1_3", "centreline_f1")
RIVALS = ("foreground-random", "random", "published", "entropy")
COLOURS = {
    "dhpr": (0, 114, 178),
    "foreground-random": (230, 159, 0),
    "published": (204, 121, 167),
    "entropy": (0, 158, 115),
    "random": (120, 120, 120),
}
_DRAWS = 10_000


class Grid:
    """Values by measure, rule and budget, one a seed."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.seeds = sorted({row["seed"] for row in rows})
        self.budgets = sorted({row["budget"] for row in rows})
        self.rules = list(dict.fromkeys(row["rule"] for row in rows))
        self._rows = {(r["rule"], r["budget"], r["seed"]): r for r in rows}

    def values(self, measure: str, rule: str, budget: int) -> NDArray[np.float64]:
        """Return one value a seed."""
        return np.array(
            [self._rows[rule, budget, seed][measure] for seed in self.seeds]
        )

    def mean(self, measure: str, rule: str) -> NDArray[np.float64]:
        """Return the mean over budgets, one a seed: the area under the curve."""
        each = [self.values(measure, rule, budget) for budget in self.budgets]
        return np.asarray(np.mean(each, axis=0))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians, intervals over seeds and paired tests."""
    grid = Grid(rows)
    found: dict[str, Any] = {
        "seeds": grid.seeds,
        "budgets": grid.budgets,
        "curves": {
            rule: {
                measure: {
                    str(budget): interval(grid.values(measure, rule, budget))
                    for budget in grid.budgets
                }
                for measure in MEASURES
            }
            for rule in grid.rules
        },
    }
    found["paired"] = [
        {
            "rule": "dhpr",
            "against": rival,
            "measure": measure,
            "budget": budget,
            **paired(
                *(
                    grid.mean(measure, rule)
                    if budget == "all"
                    else grid.values(measure, rule, int(budget))
                    for rule in ("dhpr", rival)
                )
            ),
        }
        for rival in grid.rules
        if rival != "dhpr" and "dhpr" in grid.rules
        for measure in MEASURES
        for budget in ("all", *grid.budgets)
    ]
    both = {"dhpr", "foreground-random"} <= set(grid.rules)
    found["goal"] = [
        {
            "measure": measure,
            "budget": budget,
            **paired(
                grid.values(measure, "dhpr", budget),
                grid.values(measure, "foreground-random", 2 * budget),
            ),
        }
        for measure in MEASURES
        for budget in grid.budgets
        if both and 2 * budget in grid.budgets
    ]
    return found


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """Return the median and the 95 % percentile bootstrap of it."""
    return {"median": _round(np.median(values)), **_ends(values)}


def paired(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> dict[str, float | None]:
    """Return the median difference seed by seed, its interval, and Wilcoxon's test.

    ``p_worse`` is the one-sided p of the first being worse, ``p_better`` of it being
    better (signed ranks, exact); None with fewer than five seeds, which cannot tell.
    """
    difference = one - other
    found: dict[str, float | None] = {
        "median": _round(np.median(difference)),
        **_ends(difference),
        "better": int((difference > 0).sum()),
        "p_worse": None,
        "p_better": None,
    }
    if len(difference) >= 5 and difference.any():
        for name, side in (("p_worse", "less"), ("p_better", "greater")):
            found[name] = _round(wilcoxon(difference, alternative=side).pvalue)
    return found


def _ends(values: NDArray[np.float64]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(values, (_DRAWS, len(values))), axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return {"low": _round(low), "high": _round(high)}


def _round(value: float) -> float:
    return round(float(value), 4)


def table(found: dict[str, Any]) -> str:
    """Return medians over seeds as text, and how dhpr compares."""
    lines = []
    for measure, title in MEASURES.items():
        lines.append(f"\n{title}")
        lines.append(" " * 24 + "".join(f"{b:>8}" for b in found["budgets"]))
        for rule, by_measure in found["curves"].items():
            cells = [by_measure[measure][str(b)]["median"] for b in found["budgets"]]
            lines.append(f"  {rule:22}" + "".join(f"{v:8.3f}" for v in cells))
        lines += [
            f"  dhpr less {row['against']}: {row['median']:+.3f} "
            f"[{row['low']:+.3f}, {row['high']:+.3f}], better in {row['better']} of "
            f"{len(found['seeds'])}, p worse {row['p_worse']}, p better {row['p_better']}"
            for row in found["paired"]
            if row["measure"] == measure and row["budget"] == "all"
        ]
        lines += [
            f"  dhpr at {row['budget']} less foreground-random at twice as many: "
            f"{row['median']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            for row in found["goal"]
            if row["measure"] == measure
        ]
    return "\n".join(lines)


WIDTH, HEIGHT, LEFT, TOP, BELOW = 330, 260, 46, 30, 40
SCALE = 2  # drawn larger, then reduced: smooth lines


def gains(
    rows: list[dict[str, Any]], starts: list[dict[str, float]]
) -> list[dict[str, Any]]:
    """Return rows of what was gained over the start: brains differ more than rules."""
    before = {start["seed"]: start for start in starts}
    return [
        {**row, **{name: row[name] - before[row["seed"]][name] for name in MEASURES}}
        for row in rows
    ]


def draw(
    path: Path, rows: list[dict[str, Any]], starts: list[dict[str, float]]
) -> None:
    """Write a picture: gains in F1, a panel a bin; bars are 95 % of the median."""
    grid = Grid(gains(rows, starts))
    rules = [rule for rule in grid.rules if rule in COLOURS]
    size = (len(DRAWN) * WIDTH, HEIGHT + 30)
    sheet = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), "white")
    pen = ImageDraw.Draw(sheet)
    for number, measure in enumerate(DRAWN):
        _panel(pen, grid, rules, measure, number * WIDTH)
    x = LEFT
    for rule in (*rules, "start"):
        colour = COLOURS.get(rule, (0, 0, 0))
        text = "before annotation" if rule == "start" else rule
        _line(pen, [(x, HEIGHT + 14), (x + 24, HEIGHT + 14)], colour)
        _text(pen, (x + 30, HEIGHT + 6), text)
        x += 60 + 8 * len(text)
    sheet.resize(size, Image.Resampling.LANCZOS).save(path, optimize=True)


def _panel(
    pen: ImageDraw.ImageDraw,
    grid: Grid,
    rules: list[str],
    measure: str,
    left: int,
) -> None:
    found = {
        (rule, budget): interval(grid.values(measure, rule, budget))
        for rule in rules
        for budget in grid.budgets
    }
    low = min(0.0, *(one["low"] for one in found.values()))
    high = max(0.0, *(one["high"] for one in found.values()))
    low, high = np.floor(low * 20) / 20, np.ceil(high * 20 + 1e-9) / 20
    inner = WIDTH - LEFT - 24

    def x(budget: int) -> float:
        ends = np.log2([grid.budgets[0], max(grid.budgets[-1], 2 * grid.budgets[0])])
        share = (np.log2(budget) - ends[0]) / (ends[1] - ends[0])
        return float(left + LEFT + 8 + share * (inner - 16))

    def y(value: float) -> float:
        return float(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BELOW))

    _axes(pen, grid, f"gain in {MEASURES[measure]}", left, (low, high), x, y)
    ends = [(left + LEFT, y(0.0)), (left + LEFT + inner, y(0.0))]
    for a in np.arange(0, inner, 8.0):
        _line(pen, [(ends[0][0] + a, ends[0][1]), (ends[0][0] + a + 4, ends[0][1])])
    for place, rule in enumerate(rules):
        shift = 2.5 * (place - (len(rules) - 1) / 2)  # bars beside each other
        points = []
        for budget in grid.budgets:
            one = found[rule, budget]
            at = x(budget) + shift
            points.append((at, y(one["median"])))
            _line(pen, [(at, y(one["low"])), (at, y(one["high"]))], COLOURS[rule], 1)
        _line(pen, points, COLOURS[rule], 3 if rule == "dhpr" else 2)


def _axes(
    pen: ImageDraw.ImageDraw,
    grid: Grid,
    title: str,
    left: int,
    ends: tuple[float, float],
    x: Callable[[int], float],
    y: Callable[[float], float],
) -> None:
    _text(pen, (left + LEFT, 8), title)
    step = 0.05 if ends[1] - ends[0] <= 0.4 else 0.1
    for value in np.arange(ends[0], ends[1] + 1e-9, step):
        line = [(left + LEFT, y(value)), (left + WIDTH - 24, y(value))]
        _line(pen, line, (225, 225, 225), 1)
        _text(pen, (left + 12, y(value) - 7), f"{value:+.2f}")
    for budget in grid.budgets:
        _text(pen, (x(budget) - 8, HEIGHT - BELOW + 6), str(budget))
    _text(
        pen, (left + LEFT, HEIGHT - 18), f"annotated blocks, {brains.EDGE} voxels wide"
    )


def _line(
    pen: ImageDraw.ImageDraw,
    points: Sequence[tuple[float, float]],
    colour: tuple[int, int, int] = (0, 0, 0),
    width: int = 2,
) -> None:
    scaled = [(SCALE * a, SCALE * b) for a, b in points]
    pen.line(scaled, fill=colour, width=SCALE * width // 2 + 1, joint="curve")


def _text(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str) -> None:
    font = ImageFont.load_default(12 * SCALE)
    pen.text((SCALE * at[0], SCALE * at[1]), text, fill=(0, 0, 0), font=font)
