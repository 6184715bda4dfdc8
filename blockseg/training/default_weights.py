"""Retrain the shipped weights: ``python -m blockseg.training.default_weights OUT``.

Trains SDASN from scratch on synthetic brains only and writes a safetensors file after
every checkpoint. Called again with the same OUT, it continues.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.model.weights import WeightsInfo, load_weights, save_weights
from blockseg.training.dataset import CLIP, GAIN
from blockseg.training.loop import TrainingConfig, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.model.sdasn import SDASN

__all__ = ["main"]

TRAINING_DATA = "synthetic brains only (blockseg.training.synth, randomised parameters)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write OUT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="safetensors file to write")
    parser.add_argument("--init", type=Path, help="safetensors file to go on from")
    for field in fields(TrainingConfig):
        kind = type(field.default)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default
        )
    given = vars(parser.parse_args(arguments))
    out: Path = given.pop("out")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    init: Path | None = given.pop("init")
    config = TrainingConfig(**given)
    folder = out.with_suffix(".training")
    folder.mkdir(parents=True, exist_ok=True)

    def write(network: SDASN, step: int) -> None:
        info = WeightsInfo(
            name=f"sdasn-synthetic-{step}",
            gain=GAIN,
            clip=CLIP,
            training_data=TRAINING_DATA,
            licence="MIT",
            width=config.width,
        )
        save_weights(out, network, info)

    start = None if init is None else load_weights(init)[0]
    train(config, folder, init=start, on_checkpoint=write)


if __name__ == "__main__":
    main()
