"""Components: counted in one piece, and joined from pieces."""

import numpy as np

from blockseg.core.geometry import Roi
from blockseg.morphology.topology import (
    ComponentCounter,
    component_count,
    component_piece,
)


def test_voxels_that_touch_at_a_corner_are_one_component() -> None:
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert component_count(mask) == 1
    mask[1, 1, 1] = False
    mask[2, 2, 2] = True
    assert component_count(mask) == 2


def test_an_empty_mask_has_no_component() -> None:
    assert component_count(np.zeros((2, 2, 2), dtype=bool)) == 0


def test_masks_one_voxel_thin_are_counted() -> None:
    assert component_count(np.array([True, False, True]).reshape(3, 1, 1)) == 2


def _piece(mask: np.ndarray, own: Roi):  # type: ignore[no-untyped-def]
    shape = mask.shape
    assert len(shape) == 3
    grown = own.grown((1, 1, 1)).intersection(Roi.whole(shape))
    return component_piece(mask[grown.slices()], grown, own, shape)


def test_a_component_inside_a_block_is_closed_at_once() -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[1:3, 1:3, 1:3] = True
    piece = _piece(mask, Roi((0, 0, 0), (8, 8, 4)))
    assert (piece.closed, piece.opened) == (1, 0)


def test_the_border_of_the_volume_is_no_face_of_a_block() -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[0, 0, 0] = True
    assert _piece(mask, Roi((0, 0, 0), (4, 4, 4))).closed == 1


def test_parts_joined_only_through_a_later_layer_are_one_component() -> None:
    mask = np.zeros((8, 3, 7), dtype=bool)
    mask[:6, 1, 1] = mask[:6, 1, 5] = mask[5, 1, 1:6] = True
    counter = ComponentCounter()
    for z in range(0, 8, 2):
        counter.join((z - 1) * 21)
        counter.add(_piece(mask, Roi((z, 0, 0), (z + 2, 3, 7))))
    assert counter.join() == 1


def test_what_nothing_to_come_can_continue_is_forgotten() -> None:
    mask = np.zeros((6, 1, 1), dtype=bool)
    mask[1:3] = True
    counter = ComponentCounter()
    counter.add(_piece(mask, Roi((0, 0, 0), (2, 1, 1))))
    counter.add(_piece(mask, Roi((2, 0, 0), (4, 1, 1))))
    assert counter.closed == 0
    counter.join(3)
    assert counter.closed == 1
