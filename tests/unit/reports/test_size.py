"""Pages stay small, however many blocks, cubes and picks there are."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.core.geometry import Roi, to_zyx
from blockseg.dhpr.block_metrics import SHOWN
from blockseg.proposals.crops import thumbnails
from blockseg.proposals.manifest import ManifestRow
from blockseg.proposals.map import BrainMap
from blockseg.proposals.report import ReportFacts, report
from blockseg.reports import run_page
from blockseg.reports.block_map import FAILED, LARGEST, block_map
from blockseg.reports.metric_maps import metric_maps
from blockseg.reports.page import address
from blockseg.runtime.ledger.ledger import STATE_CODES

MOST = 3_000_000
DONE, BROKEN = STATE_CODES[BlockState.DONE], STATE_CODES[BlockState.FAILED]


def test_a_page_of_300_picks_of_noise_is_below_3_mb():
    rng = np.random.default_rng(0)
    measures = dict.fromkeys(("hardness", "low_snr", "entropy", "snr_50"), 0.123)
    rows, pictures = [], {}
    for number in range(300):
        name = f"brain_z00000_y00000_x{128 * number:05d}"
        box = Roi((0, 0, 128 * number), (128, 128, 128 * number + 128))
        rows.append(
            ManifestRow(
                name, number + 1, 1, "dhpr", "hard " * 20, box, "brain", measures
            )
        )
        image = rng.normal(1000, 100, (4, 128, 128))
        pictures[name] = thumbnails(image, image > 1200, 300)
    blocks = {"low_snr": rng.random(100_000), "entropy": rng.random(100_000)}
    brain = BrainMap(rng.bytes(60_000), (0, 0), (128, 300 * 128))
    facts = ReportFacts("brain", "300 picks", (), blocks, brain, "brain", "again")
    page = report(rows, pictures, facts)
    assert page.count("<tr id=") == page.count("<div class='place'>") == 300
    assert len(page.encode()) < MOST


def run_of_noise(grid: tuple[int, int, int]) -> Any:
    """Stand in for the facts of a run whose blocks hold this and that."""
    rng = np.random.default_rng(0)
    count = int(np.prod(grid))
    block = (64, 64, 64)
    roi = Roi((0, 0, 0), to_zyx(n * 64 for n in grid))
    return SimpleNamespace(
        states=np.full(count, DONE, np.uint8),
        foreground=rng.integers(0, 5000, count),
        main=SimpleNamespace(grid=grid, left=0, blocks=count),
        record=SimpleNamespace(roi=roi, block=block),
    )


def test_maps_and_projections_of_a_large_run_leave_room_within_3_mb():
    rng = np.random.default_rng(0)
    metrics = {name: rng.random((2, 480, 640), np.float32) for name in SHOWN}
    side = run_page._SIDE
    grey = rng.integers(0, 256, (side, side), np.uint8)
    colours = rng.integers(0, 256, (side, side, 3), np.uint8)
    parts = [
        metric_maps(metrics),
        run_page._blocks(run_of_noise((4, 500, 1000))),
        *(address(grey) for _ in range(3)),
        address(colours),
    ]
    assert sum(map(len, parts)) < 0.9 * MOST


def test_a_failed_block_shows_on_the_map_of_a_large_grid():
    run = run_of_noise((2, 500, 1000))
    run.states[-1] = BROKEN
    drawn = block_map(run)
    assert max(drawn.shape) <= LARGEST
    assert np.argwhere((drawn == FAILED).all(axis=2)).tolist() == [
        [n - 1 for n in drawn.shape[:2]]
    ]
    small = run_of_noise((1, 2, 3))
    small.states[4] = BROKEN
    assert block_map(small).shape == (2, 3, 3)
    assert (block_map(small)[1, 1] == FAILED).all()
