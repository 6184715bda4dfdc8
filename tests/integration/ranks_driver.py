"""One of several processes that train together: FOLDER STEPS; says what it read."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from blockseg.networks.registry import build
from blockseg.networks.weights_info import WeightsInfo
from blockseg.training.config import TrainingConfig
from blockseg.training.data.data import SourceNote, TrainingData
from blockseg.training.folder import RunFolder
from blockseg.training.learning.distributed import open_process_group
from blockseg.training.learning.loop import train
from blockseg.training.learning.losses import LossConfig, make_loss


class Patches:
    def __init__(self):
        self.read = []

    def __getitem__(self, number):
        self.read.append(number)
        image = np.random.default_rng(number).normal(size=(1, 8, 8, 8))
        return image.astype(np.float32), (image > 1).astype(np.uint8)


def main(folder, steps, precision):
    patches = Patches()
    note = SourceNote("noise", "folder", (8, 8, 8), 512, 80, 0.0, 1.0)
    torch.manual_seed(1)
    network = build("sdasn", 2)
    with open_process_group("cpu") as ranks:
        result = train(
            network,
            TrainingData(patches, (), (note,)),
            make_loss(LossConfig()),
            TrainingConfig(
                steps=steps, batch=2, threads=1, log_every=2, precision=precision
            ),
            RunFolder(folder, WeightsInfo(name="two", gain=1.0, width=2)),
            ranks=ranks,
        )
        state = {
            name: t.double().sum().item() for name, t in network.state_dict().items()
        }
        said = {"read": patches.read, "state": state, "step": result.step}
        (folder / f"rank{ranks.rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
