import pytest

from blockseg.core.geometry import ceil_to
from blockseg.model import FIELDS, WeightsInfo, window_memory, window_shapes


@pytest.mark.parametrize(
    "block", [(256, 256, 256), (64, 128, 192), (100, 64, 64), (4, 52, 500), (1, 30, 63)]
)
def test_windows_tile_their_block_and_the_cheapest_comes_first(block):
    aligned = [ceil_to(n, 4) for n in block]
    shapes = window_shapes(block)
    assert len(set(shapes)) == len(shapes) > 0
    for shape in shapes:
        for n, length in zip(shape, aligned, strict=True):
            assert length % n == 0
            assert n % 4 == 0
            assert n <= 256
    sizes = [z * y * x for z, y, x in shapes]
    assert sizes[0] == max(sizes)


def test_a_block_up_to_256_is_one_window_where_memory_allows():
    assert window_shapes((256, 128, 192))[0] == (256, 128, 192)


def test_a_block_without_good_divisors_still_has_a_window():
    assert window_shapes((4 * 67, 64, 64))[0] == (4, 64, 64)


def test_memory_grows_with_the_window_and_the_precision():
    small, large = (window_memory((n, n, n), "torch") for n in (64, 128))
    assert small < large < window_memory((128, 128, 128), "torch", itemsize=8)
    assert window_memory((64, 64, 64), "fake") < small


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_windows_keep_to_the_alignment_of_their_network(field):
    for block in ((64, 128, 192), (8, 40, 72), (24, 56, 104)):
        shapes = window_shapes(block, field)
        assert shapes
        for shape in shapes:
            for n, length in zip(shape, block, strict=True):
                assert n % field.alignment == 0
                assert length % n == 0


def test_memory_is_that_of_the_network():
    core = (64, 64, 64)
    for backend in ("torch", "openvino"):
        plain = window_memory(core, backend)
        assert window_memory(core, backend, info=WeightsInfo("w", 1.0)) == plain
        needs = [
            window_memory(core, backend, info=WeightsInfo("w", 1.0, **more))
            for more in (
                {"width": 16},
                {"width": 8, "architecture": "unet3d"},
                {"width": 32, "architecture": "unet3d"},
            )
        ]
        assert plain < needs[0]
        assert needs[1] < needs[2]
