"""Layers of a volume without a run, and of its prediction."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from blockseg.blockwise.sources.inputs import gather, open_source
from blockseg.io.downsampled import Downsampled
from blockseg.segmentation.predict import decided
from blockseg.segmentation.predictor import Predictor
from blockseg.viewing import shaders
from blockseg.viewing.contrast import grey_shader
from blockseg.viewing.layers import PLAIN, Layer, View
from blockseg.viewing.place import bright_place
from blockseg.viewing.predicted import PredictedVolume
from blockseg.viewing.served_volume import (
    CHUNK,
    ServedLevel,
    ServedVolume,
    served_source,
)

if TYPE_CHECKING:
    from contextlib import ExitStack

    from blockseg.config.settings import RunSettings
    from blockseg.core.geometry import Zyx

_BLOCK: Zyx = (CHUNK, CHUNK, CHUNK)
_LARGE = 2**29  # voxels, from which on means are long in coming
_NO_LEVELS = (
    "No coarse levels are stored: far out, means over what you look at are made first, "
    "which takes long; blockseg convert stores them."
)
_PREDICTED = "What you look at is predicted block by block; nothing is written."


def view_of_source(source: str, settings: RunSettings, stack: ExitStack) -> View:
    """Return the view of a volume.

    With weights, also the probability, which the engine of a run predicts in this process
    where it is looked at, in blocks of 64³ voxels.

    Parameters
    ----------
    source
        Any volume that ``run`` takes.
    settings
        Options of ``run``: what is read of it, and how it is predicted.
    stack
        Closes the engine in the end.

    Raises
    ------
    BlocksegError
        With one line, if it cannot be opened or a setting does not fit.
    """
    opened = open_source(source, settings)
    served = served_source(opened.spec, opened.space)
    z, y, x = bright_place(opened.volume)
    image = Layer(
        "image",
        "image",
        served,
        look={**PLAIN, "shader": grey_shader(served, (z, y, x))},
    )
    layers = [image]
    if settings.weights is not None:
        # Small ones come soon; a window of that shape serves every block.
        settings = replace(
            settings, block=settings.block or _BLOCK, window=settings.window or _BLOCK
        )
        inputs = gather(source, f"{opened.spec.uri}.unused", settings)
        predictor = stack.enter_context(Predictor(inputs, decided(inputs)))
        probability = ServedVolume(
            (ServedLevel(PredictedVolume(predictor, opened.space), (1, 1, 1)),),
            opened.space,
        )
        look = {**PLAIN, "shader": shaders.PROBABILITY}
        layers.append(Layer("probability", "image", probability, look=look, slow=True))
    title = opened.spec.uri.rstrip("/").rpartition("/")[2]
    shape = opened.volume.shape
    made = any(isinstance(level.volume, Downsampled) for level in served.levels[1:])
    remarks = [_NO_LEVELS] if made and math.prod(shape) > _LARGE else []
    if settings.weights is not None:
        remarks.append(_PREDICTED)
    # Of a few blocks the probability comes soon; who zooms out asks for many.
    zoom = 0.5 if settings.weights is None else 0.25
    return View(
        title,
        tuple(layers),
        opened.space,
        (z, y, x),
        shape,
        flat=True,
        zoom=zoom,
        remarks=tuple(remarks),
    )
