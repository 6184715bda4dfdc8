"""Labels that need no annotator."""

import numpy as np

from blockseg.core.labels import IGNORE
from blockseg.training.annotations.pseudo import PseudoRules, pseudo_labels


def volume(**things: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    image = rng.normal(200, 5, (32, 48, 48))
    image[15:17, 20:22, 4:44] += things.get("line", 0)
    image[8:10, 36:38, 10:12] += things.get("spot", 0)
    image[22:32, 4:14, 4:14] += things.get("soma", 0)
    return image.astype(np.uint16)


def test_a_long_bright_line_is_a_neurite_and_its_flanks_do_not_count() -> None:
    labels = pseudo_labels(volume(line=100))
    assert (labels[15:17, 20:22, 8:40] == 1).mean() > 0.9
    assert (labels == 1).sum() < 3 * 4 * 40
    assert (labels[13, 18:24, 8:40] != 1).all()
    assert (labels[14, 20:22, 8:40] == IGNORE).mean() > 0.9
    assert (labels == 0).mean() > 0.7


def test_a_bright_spot_is_background() -> None:
    labels = pseudo_labels(volume(spot=100))
    assert (labels[8:10, 36:38, 10:12] == 0).all()
    assert not (labels == 1).any()


def test_a_faint_line_does_not_count() -> None:
    labels = pseudo_labels(volume(line=9))
    assert not (labels == 1).any()
    assert (labels[15:17, 20:22, 8:40] == IGNORE).mean() > 0.5


def test_a_soma_does_not_count() -> None:
    image = volume(line=100, soma=400)
    labels = pseudo_labels(image, PseudoRules(soma=3))
    assert (labels[24:30, 6:12, 6:12] == IGNORE).all()
    assert (labels[15:17, 20:22, 16:40] == 1).mean() > 0.9
