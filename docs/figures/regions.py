"""Draw docs/regions.png: a synthetic brain, its density map, and its regions.

python docs/figures/regions.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

from blockseg.config.export_settings import ExportSettings
from blockseg.config.regions_settings import DensitySettings, RegionsSettings
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi
from blockseg.export.run import export
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.labelling.run import label
from blockseg.regions.density import density
from blockseg.regions.run import regions
from blockseg.segmentation.run import run
from blockseg.skeletonization.run import skeletonize
from blockseg.synthesis.run import synth
from blockseg.synthesis.task import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (128, 384, 384)
ATLAS_UM, MAP_UM = 4.0, 4.0
HEAD, MARGIN = 18, 12
HERE = RunSettings(scheduler="serial")


def made_up_atlas(folder: Path, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """Write regions around random places, with names and parents."""
    rng = np.random.default_rng(4)
    seeds = rng.uniform(0, 1, (18, 3)) * shape
    places = np.indices(shape).reshape(3, -1).T
    ids = (1 + cKDTree(seeds).query(places)[1]).astype(np.uint32).reshape(shape)
    tifffile.imwrite(folder / "atlas.tif", ids, photometric="minisblack")
    lines = ["id,acronym,name,parent", "100,CTX,Cortex,", "200,STR,Striatum,"]
    for number in range(1, 19):
        half, name = (100, "CTX") if number < 10 else (200, "STR")
        lines.append(f"{number},{name}{number},{name.title()} {number},{half}")
    (folder / "names.csv").write_text("\n".join(lines) + "\n")
    return ids


def grey(plane: NDArray[np.floating], top: float) -> Image.Image:
    """Return a plane as a picture, dark where it is great."""
    scaled = np.clip(plane / max(float(np.percentile(plane, top)), 1e-9), 0, 1)
    return Image.fromarray((255 * (1 - scaled**0.6)).astype(np.uint8)).convert("RGB")


def main() -> None:
    """Run all commands on a small brain and draw what they made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        brain, out = str(folder / "brain.zarr"), str(folder / "brain.blockseg.zarr")
        synth(brain, Recipe(SHAPE, "fmost", 5), HERE)
        run(brain, out, RunSettings(workers=1))
        label(out, execution=HERE)
        skeletonize(out, settings=HERE)
        density(out, DensitySettings(voxel_size=(MAP_UM,) * 3), HERE)
        image = ExportSettings(
            output=str(folder / "brain.tif"), voxel_size=(MAP_UM, 0.7, 0.7)
        )
        export(out, image, HERE)
        extent = np.array(SHAPE) * (1.0, 0.35, 0.35)
        shape = tuple(np.ceil(extent / ATLAS_UM - 1e-6).astype(int).tolist())
        ids = made_up_atlas(folder, shape)
        asked = RegionsSettings(
            atlas=str(folder / "atlas.tif"),
            atlas_voxel_size=(ATLAS_UM,) * 3,
            names=str(folder / "names.csv"),
        )
        regions(out, asked, HERE)
        volume = open_volume(find(f"{out}/density"))
        mapped = volume.read(Roi.whole(volume.shape))
        stack = tifffile.imread(folder / "brain.tif").astype(float)
        chart = Image.open(Path(out, "regions/regions.png")).convert("RGB")
    light = stack.max(axis=0)
    light -= np.percentile(light, 30)
    edge = (chart.width - 3 * MARGIN) // 2
    left = grey(np.maximum(light, 0), 99.7).resize((edge, edge))
    right = grey(mapped.mean(axis=0), 99.7).resize(
        (edge, edge), Image.Resampling.NEAREST
    )
    middle = ids[len(ids) // 2].repeat(8, 0).repeat(8, 1)
    border = np.zeros(middle.shape, bool)
    border[1:] |= middle[1:] != middle[:-1]
    border[:, 1:] |= middle[:, 1:] != middle[:, :-1]
    lines = Image.fromarray(255 * border.astype(np.uint8)).resize((edge, edge))
    right.paste(Image.new("RGB", (edge, edge), (204, 102, 119)), mask=lines)
    sheet = Image.new(
        "RGB", (chart.width, HEAD + edge + MARGIN + chart.height), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for x, text, panel in (
        (MARGIN, "blockseg export: the image, maximum along z", left),
        (2 * MARGIN + edge, "blockseg density, mean along z, and regions", right),
    ):
        pen.text((x, 3), text, fill="black")
        sheet.paste(panel, (x, HEAD))
    sheet.paste(chart, (0, HEAD + edge + MARGIN))
    sheet = sheet.quantize(64)
    sheet.save(Path(__file__).parents[1] / "regions.png", optimize=True)


if __name__ == "__main__":
    main()
