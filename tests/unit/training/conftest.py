"""A training small enough for a test: bright lines in noise."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blockseg.networks.registry import build
from blockseg.networks.weights_info import WeightsInfo
from blockseg.training.config import TrainingConfig
from blockseg.training.data.data import SourceNote, TrainingData, ValidationVolume
from blockseg.training.events import ignore
from blockseg.training.folder import RunFolder
from blockseg.training.learning.loop import train
from blockseg.training.learning.losses import LossConfig, make_loss

EDGE = 16


def lines(number, shape=(EDGE, EDGE, EDGE)):
    rng = np.random.default_rng(number)
    image = rng.normal(0, 1, shape).astype(np.float32)
    target = np.zeros(shape, np.uint8)
    z, y = (int(rng.integers(3, n - 3)) for n in shape[:2])
    image[z, y], target[z, y] = 12, 1
    return image, target


@dataclass
class Lines:
    """Patch n is a function of n; those of ``broken`` hold NaN."""

    broken: frozenset[int] = frozenset()
    error: Exception | None = None

    def __getitem__(self, number):
        if self.error is not None and number >= 12:
            raise self.error
        image, target = lines(number)
        if number in self.broken:
            image[0, 0, 0] = np.nan
        return image[None], target[None]


def line_data(patches=None, volumes=2):
    held_out = tuple(
        ValidationVolume(f"volume {n}", *lines(10_000 + n)) for n in range(volumes)
    )
    note = SourceNote("lines", "folder", (EDGE,) * 3, EDGE**3, EDGE, 0.0, 1.0)
    return TrainingData(patches or Lines(), held_out, (note,))


@dataclass
class Tiny:
    """A training of the smallest network."""

    path: Path
    architecture: str = "sdasn"

    def __call__(self, patches=None, *, volumes=2, watchers=(), on_event=None, **how):
        self.path.mkdir(exist_ok=True)
        torch.manual_seed(3)
        usual = {"steps": 12, "batch": 1, "rate": 0.02, "threads": 1, "log_every": 3}
        return train(
            build(self.architecture, 2),
            line_data(patches, volumes),
            make_loss(LossConfig()),
            TrainingConfig(**{**usual, "validate_every": 4, **how}),
            self.folder,
            watchers=watchers,
            on_event=on_event or ignore,
        )

    @property
    def folder(self):
        made = WeightsInfo("tiny", 1.0, width=2, architecture=self.architecture)
        return RunFolder(self.path, made)

    def state(self):
        """All of a checkpoint but the time that it took."""
        content = torch.load(self.folder.checkpoint, weights_only=True)
        content.pop("seconds")
        return content


@pytest.fixture
def tiny(tmp_path):
    return lambda name="run", *network: Tiny(tmp_path / name, *network)


@pytest.fixture
def toys():
    return SimpleNamespace(Lines=Lines, lines=lines, line_data=line_data)
