import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.jobs.decisions import block_shape

EXTENTS = st.tuples(*[st.integers(1, 5000)] * 3)


@settings(deadline=None)
@given(EXTENTS)
def test_automatic_blocks_are_multiples_of_64_up_to_256(region):
    assert all(b % 64 == 0 and 64 <= b <= 256 for b in block_shape(region))


@settings(deadline=None)
@given(EXTENTS)
def test_automatic_blocks_never_overhang_by_a_whole_block(region):
    block = block_shape(region)
    for n, b in zip(region, block, strict=True):
        assert math.ceil(n / b) * b - n < b


@pytest.mark.parametrize(
    ("region", "block"),
    [
        ((512, 1024, 1024), (256, 256, 256)),
        ((384, 512, 512), (192, 256, 256)),
        ((1, 20, 30), (64, 64, 64)),
    ],
)
def test_blocks_divide_the_volume_evenly_where_they_can(region, block):
    assert block_shape(region) == block
