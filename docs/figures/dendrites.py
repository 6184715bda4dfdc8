"""Draw docs/dendrites.png: dendrites of a real volume, by the weights for axons and for them.

    python docs/figures/dendrites.py IMAGE.tif

IMAGE is the example volume of NeuroTorch (jgornet/NeuroTorch, BSD-3), 100×256×256 voxels.
Greatest values along z: the image, by a square root; the probability by the default weights at
full resolution; the probability by the weights and the resolution that ``blockseg info``
recommends.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

import blockseg
from blockseg.core.choices import SourceChoices
from blockseg.inspection import inspect

_WIDTH = 384  # pixels of a panel


def main() -> None:
    """Write the picture, and say what was recommended."""
    image = tifffile.imread(sys.argv[1])
    advice = inspect(sys.argv[1], SourceChoices(axes="zyx"))
    sys.stdout.write("\n".join(advice.lines()) + "\n")
    low, high = np.quantile(image, (0.05, 0.997))
    seen = np.sqrt(np.clip((image.max(0) - low) / (high - low), 0, 1)) * 255
    before = blockseg.predict(image).max(0)
    after = blockseg.predict(
        image, weights=advice.weights, downsample=advice.downsample
    ).max(0)
    panels = [
        Image.fromarray(panel.astype(np.uint8)).resize((_WIDTH, _WIDTH))
        for panel in (seen, before, after)
    ]
    sheet = Image.new("L", (3 * _WIDTH + 2 * 8, _WIDTH), 255)
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number * (_WIDTH + 8), 0))
    sheet.save(Path(__file__).parents[1] / "dendrites.png", optimize=True)


if __name__ == "__main__":
    main()
