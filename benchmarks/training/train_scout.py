"""Train the scout of `blockseg run --sparse`: which tiles hold what the shipped weights find.

    python -m benchmarks.training.train_scout FOLDER [--steps 6000] [--out WEIGHTS]

1. Paints small synthetic brains from seeds and infers each whole with the shipped weights;
   FOLDER keeps them, so that a second start goes on. Nothing else is learnt from.
2. Learns from patches of them, the same ones in the same order for the same seed: the
   largest probability that the weights answer in each cell of 4×4×4 voxels, and in each
   tile. Where pieces of 8 voxels or more lie, that weighs more.
3. Says for brains that it did not learn from which share of the tiles is left at which
   loss, and with the score of which tiles the logit of 0 begins.

Prints JSON lines; writes WEIGHTS, a safetensors file with licence and data in its header.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from blockseg.blockwise.sources.inputs import Inputs, memory_source, read_weights
from blockseg.config.settings import RunSettings
from blockseg.core.cubes import TILE, cube_box
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.specs import Affine
from blockseg.inference.components import long_components
from blockseg.inference.tile_scores.averaged_image import SEEN, STEPS, averaged_image
from blockseg.inference.tile_scores.path_opening import path_opening_score
from blockseg.networks.scout import CELL, SCOUT_STRIDE, save_scout
from blockseg.networks.shipped import DEFAULT
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.predict import predict
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import preset
from blockseg.training.data.randomised import cluttered, random_params

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.synthetic.params import SynthParams

SHAPE: Zyx = (96, 192, 192)
FIRST_SEED = 2**33  # of brains that no other training and no benchmark paints
DIM = ((0.2, 1.2, 2.2), (0.45, 2.0, 4.5), (0.25, 4.0, 12.0), (0.1, 12.0, 40.0))
PATCH: Zyx = (48, 96, 96)
BATCH = 4
RATE = 3e-3
WARM = 0.05  # of the steps
STILL = 0.75  # of the steps, from which on norms use their running statistics
CHANNELS = 16


def params_of(rng: np.random.Generator) -> SynthParams:
    """Draw a brain: near a preset, or random; with few neurites, most of them dim."""
    kind = rng.uniform()
    density = math.exp(rng.uniform(math.log(30), math.log(700)))
    if kind < 0.7:
        names = ("fmost", "lightsheet", "clean")
        params = preset(names[int(rng.choice(3, p=(0.55, 0.35, 0.10)))])
        none = rng.uniform() < 0.08
        with_neurons = rng.uniform(0, 0.3) if rng.uniform() < 0.5 else 0.0
        as_it_is = rng.uniform() < 0.4
        shape = replace(
            params.morphology,
            axon_density=0.0 if none else density,
            neurons=with_neurons,
            snr=params.morphology.snr if as_it_is else DIM,
        )
        return replace(params, morphology=shape)
    params = random_params(rng)
    if rng.uniform() < 0.15:
        params = cluttered(params, rng)
    fewer = min(params.morphology.axon_density, density * 2)
    return replace(params, morphology=replace(params.morphology, axon_density=fewer))


@dataclass(frozen=True)
class Example:
    """A brain as the scout sees it, and what the weights find in it."""

    image: NDArray[np.int16]
    """At half resolution, with what the scout sees around it."""

    cells: NDArray[np.uint8]
    """Voxels of long pieces in each cell."""

    likely: NDArray[np.uint8]
    """Largest probability in each cell, as a byte."""

    path: NDArray[np.float32]
    """Score of each tile by the path opening."""


def example(folder: Path, number: int) -> Example:
    """Return a brain, made now if the folder lacks it."""
    file = folder / f"{number:03d}.npz"
    if not file.exists():
        rng = np.random.default_rng([7, number])
        painted = SyntheticBrain(SHAPE, params_of(rng), FIRST_SEED + number)
        raw = np.ascontiguousarray(painted.image(Roi.whole(SHAPE)))
        probability, affine, threshold = inferred(raw)
        stated = [affine.offset, affine.scale, affine.low, affine.high]
        np.savez(
            file, img=raw, prob=probability, affine=np.array(stated), thr=threshold
        )
    with np.load(file) as kept:
        affine = Affine(*map(float, kept["affine"]))
        return as_seen(kept["img"], kept["prob"], int(kept["thr"]), affine)


def inferred(raw: NDArray[Any]) -> tuple[NDArray[np.uint8], Affine, int]:
    """Return what the shipped weights say, the normalisation, and the threshold."""
    settings = RunSettings(threads=1)
    roi = Roi.whole(raw.shape)
    weights = read_weights(settings)
    if weights is None or weights.sha256 != DEFAULT.sha256:
        message = "the scout learns from the shipped weights alone"
        raise AssertionError(message)
    inputs = Inputs(memory_source(raw), Path(), roi, weights, None, settings)
    decisions = decide(inputs)
    return predict(raw, settings), decisions.whole, decisions.threshold


def as_seen(
    raw: NDArray[Any], probability: NDArray[np.uint8], threshold: int, affine: Affine
) -> Example:
    """Return a volume as the scout sees it; what is left beside whole tiles goes."""
    z, y, x = (n // TILE * TILE for n in raw.shape)
    raw, probability = raw[:z, :y, :x], probability[:z, :y, :x]
    roi = Roi.whole((z, y, x))
    pieces, _ = long_components(probability >= threshold, roi, raw.shape)
    split, inner = (z // CELL, CELL, y // CELL, CELL, x // CELL, CELL), (1, 3, 5)
    return Example(
        averaged_image(raw, roi, cube_box(roi, TILE), affine, raw.shape, TILE),
        (pieces > 0).reshape(split).sum(inner).astype(np.uint8),
        probability.reshape(split).max(inner),
        path_opening_score(raw, roi, roi, affine, raw.shape, TILE),
    )


def network() -> nn.Sequential:
    """Return the scout with norms, which make it learn faster and are folded afterwards."""
    layers: list[nn.Module] = []
    for channels, kernel, stride in ((1, 6, SCOUT_STRIDE), *((CHANNELS, 3, 1),) * 3):
        layers += [
            nn.Conv3d(channels, CHANNELS, kernel, stride, bias=False),
            nn.BatchNorm3d(CHANNELS, momentum=0.02),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Conv3d(CHANNELS, 1, 1))


def folded(scout: nn.Sequential) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return weights and biases of convolutions that need no norms, in float64."""
    found = []
    layers = [layer for layer in scout if not isinstance(layer, nn.ReLU)]
    for conv, norm in zip(layers[0:-1:2], layers[1:-1:2], strict=True):
        assert isinstance(conv, nn.Conv3d)
        assert isinstance(norm, nn.BatchNorm3d)
        scale, shift, mean, variance = (
            getattr(norm, name).detach().double().numpy()
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + norm.eps)
        weight = conv.weight.detach().double().numpy()
        found.append((weight * gain.reshape(-1, 1, 1, 1, 1), shift - mean * gain))
    head = layers[-1]
    assert isinstance(head, nn.Conv3d)
    assert head.bias is not None
    return [*found, (head.weight.detach().numpy(), head.bias.detach().numpy())]


def patch(brain: Example, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Draw image, cells and probabilities, rather where there are neurites.

    Mirrored, turned about z, and with another contrast, as the background may be misjudged.
    """
    for _ in range(3):
        start = [
            int(rng.integers(0, n - m // CELL + 1))
            for n, m in zip(brain.cells.shape, PATCH, strict=True)
        ]
        here = tuple(slice(a, a + m // CELL) for a, m in zip(start, PATCH, strict=True))
        if brain.cells[here].any() or rng.uniform() < 0.25:
            break
    seen = tuple(
        slice(a * 2, a * 2 + m // 2 + SEEN) for a, m in zip(start, PATCH, strict=True)
    )
    mirrored = [axis for axis in range(3) if rng.uniform() < 0.5]
    turned = rng.uniform() < 0.5
    gain, shift = math.exp(rng.normal(0, 0.12)), rng.normal(0, 0.1)
    found: list[NDArray[np.float32]] = []
    for values, scale, added in (
        (brain.image[seen], gain / STEPS, shift),
        (brain.cells[here], 1.0, 0.0),
        (brain.likely[here], 1 / 255, 0.0),
    ):
        part: NDArray[Any] = np.flip(values, tuple(mirrored))
        part = part.swapaxes(1, 2) if turned else part
        found.append(part.astype(np.float32) * np.float32(scale) + np.float32(added))
    return found


def loss(
    logits: torch.Tensor, cells: torch.Tensor, likely: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy of tiles and of cells; what holds neurites weighs more."""
    edge = TILE // CELL
    tiles = functional.max_pool3d(logits, edge)
    held = functional.avg_pool3d(cells, edge) * edge**3
    weight = 1 + (held > 0) * (3 + held.clamp(max=60) / 15)
    entropy = functional.binary_cross_entropy_with_logits
    of_tiles = entropy(tiles, functional.max_pool3d(likely, edge), reduction="none")
    of_cells = entropy(logits, likely, reduction="none")
    return (of_tiles * weight).sum() / weight.sum() + (
        of_cells * (1 + (cells > 0) * cells / 4)
    ).mean()


def trained(brains: list[Example], steps: int, seed: int) -> nn.Sequential:
    """Learn for so many steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    scout = network()
    head = scout[-1]
    assert isinstance(head, nn.Conv3d)
    assert head.bias is not None
    nn.init.constant_(head.bias, -4.0)
    optimiser = torch.optim.AdamW(scout.parameters(), lr=RATE, weight_decay=1e-3)
    total, begun = 0.0, time.process_time()
    for step in range(steps):
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / (WARM * steps))
            cooled = 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-3
            group["lr"] = RATE * warm * cooled
        if step == round(STILL * steps):
            for layer in scout:
                if isinstance(layer, nn.BatchNorm3d):
                    layer.eval()  # as it will be used
        drawn = [patch(brains[rng.integers(len(brains))], rng) for _ in range(BATCH)]
        image, cells, likely = (
            torch.from_numpy(np.stack(part))[:, None]
            for part in zip(*drawn, strict=True)
        )
        value = loss(scout(image), cells, likely)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(scout.parameters(), 1.0)
        optimiser.step()
        total += value.item()
        if (step + 1) % 250 == 0:
            seconds = round(time.process_time() - begun)
            say(step=step + 1, cpu_seconds=seconds, loss=round(total / 250, 4))
            total = 0.0
    return scout.eval()


@torch.inference_mode()
def tile_logits(scout: nn.Sequential, brain: Example) -> NDArray[np.float32]:
    """Return the logit of each tile."""
    image = torch.from_numpy(brain.image.astype(np.float32) / STEPS)[None, None]
    tiles = functional.max_pool3d(scout(image), TILE // CELL)
    return np.asarray(tiles[0, 0].numpy())


def held_in_tiles(brain: Example) -> NDArray[np.int64]:
    """Return the voxels of long pieces in each tile."""
    z, y, x = (n // 4 for n in brain.cells.shape)
    cells = brain.cells.astype(np.int64).reshape(z, 4, y, 4, x, 4)
    return np.asarray(cells.sum((1, 3, 5)))


def kept_at_loss(
    score: NDArray[np.float32], held: NDArray[np.int64]
) -> dict[str, float]:
    """Return the share of tiles above the largest bound at each loss."""
    order = np.argsort(score, kind="stable")
    lost = np.cumsum(held[order]) / held.sum()
    return {
        f"{most:.2%}": round(float(1 - (lost <= most).mean()), 4)
        for most in (0.0, 0.0005, 0.001, 0.01)
    }


def say(**row: Any) -> None:
    print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--brains", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=6, help="the last ones")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--zero", type=float, default=-6.0)
    parser.add_argument("--out", type=Path, default=Path("scout.safetensors"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    brains = [example(given.folder, number) for number in range(given.brains)]
    learnt = brains[: given.brains - given.held_out]
    scout = trained(learnt, given.steps, given.seed)
    for number, brain in enumerate(brains[len(learnt) :], len(learnt)):
        held, logits = held_in_tiles(brain).ravel(), tile_logits(scout, brain).ravel()
        if not held.any():
            say(
                brain=number, empty=True, above_zero=float((logits > given.zero).mean())
            )
            continue
        say(
            brain=number,
            holding=round(float((held > 0).mean()), 4),
            scout=kept_at_loss(logits, held),
            path_opening=kept_at_loss(brain.path.ravel(), held),
            lost_below_zero=float(held[logits <= given.zero].sum() / held.sum()),
            above_zero=round(float((logits > given.zero).mean()), 4),
        )
    header = {
        "name": "scout",
        "licence": "MIT",
        "training_data": (
            "synthetic brains made by blockseg (benchmarks/training/train_scout.py), "
            f"inferred with the shipped weights of SHA-256 {DEFAULT.sha256}"
        ),
    }
    save_scout(given.out, folded(scout), given.zero, header)


if __name__ == "__main__":
    main()
