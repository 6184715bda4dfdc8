"""Draw docs/synth.png: a slab of each preset, image above, truth below.

python docs/figures/synth.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from blockseg.core.geometry import Roi, Zyx
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import PRESETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

BRAIN: Zyx = (96, 384, 384)
SLAB = Roi((32, 32, 32), (64, 352, 352))
MARGIN, HEAD = 6, 18


def panels(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the maximum along z of image and truth, truth coloured by neuron."""
    block = SyntheticBrain(BRAIN, name, seed=3).block(SLAB)
    light = block.image.max(axis=0).astype(float)
    low, high = np.percentile(light, (2, 99.5))
    grey = np.clip((light - low) / (high - low), 0, 1) ** 0.7 * 255
    neuron = block.labels.max(axis=0)
    colour = np.random.default_rng(1).integers(70, 256, (int(neuron.max()) + 1, 3))
    colour[0] = 0
    return np.repeat(grey.astype(np.uint8)[..., None], 3, 2), colour[neuron].astype(
        np.uint8
    )


def main() -> None:
    """Draw all presets beside each other."""
    _, height, width = SLAB.shape
    size = (
        len(PRESETS) * (width + MARGIN) - MARGIN,
        HEAD + 2 * height + MARGIN,
    )
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(PRESETS):
        x = column * (width + MARGIN)
        pen.text((x + 2, 2), name, fill="black")
        for row, panel in enumerate(panels(name)):
            sheet.paste(Image.fromarray(panel), (x, HEAD + row * (height + MARGIN)))
    sheet.save(Path(__file__).parents[1] / "synth.png", optimize=True)


if __name__ == "__main__":
    main()
