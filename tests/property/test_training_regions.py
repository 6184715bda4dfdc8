"""What is held out is never read in training; what is indexed is what is there."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.labels import IGNORE
from blockseg.io.protocol import MemoryVolume
from blockseg.training.annotations.labels import LabelCodes
from blockseg.training.data.sampling import Sampler
from blockseg.training.data.scan import Codes, Scan, restricted, scan
from blockseg.training.data.split import Cut, cut_volume, held_out

LENGTH = st.integers(3, 40)


@st.composite
def annotations(draw: st.DrawFn) -> NDArray[np.uint8]:
    """An annotation of any shape: dense, some slices, or some boxes."""
    shape = (draw(LENGTH), draw(LENGTH), draw(LENGTH))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dense = (rng.uniform(size=shape) < draw(st.sampled_from([0.0, 0.01, 0.2]))).astype(
        np.uint8
    )
    kind = draw(st.sampled_from(["dense", "slices", "boxes"]))
    if kind == "dense":
        return dense
    target = np.full(shape, IGNORE, np.uint8)
    for _ in range(draw(st.integers(0, 4))):
        if kind == "slices":
            place: tuple[slice, ...] = (
                slice((z := int(rng.integers(shape[0]))), z + 1),
            )
        else:
            low = [int(rng.integers(n)) for n in shape]
            place = tuple(slice(a, a + int(rng.integers(1, 12))) for a in low)
        target[place] = dense[place]
    return target


def scanned(target: NDArray[np.uint8]) -> Scan:
    volume = MemoryVolume(target)
    image = MemoryVolume(target.astype(np.uint16))
    return scan(image, volume, LabelCodes(), "it", block=16, most_tiles=8)


def reader(target: NDArray[np.uint8]) -> Codes:
    return lambda roi: target[roi.slices()]


@given(annotations())
def test_a_scan_counts_what_is_annotated(target: NDArray[np.uint8]) -> None:
    found = scanned(target)
    for mask, planes, counts in (
        (target != IGNORE, found.labelled, found.index.labelled),
        (target == 1, found.foreground, found.index.foreground),
    ):
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            np.testing.assert_array_equal(planes[axis], mask.sum(axis=others))
        assert counts.sum() == mask.sum()
        for number in range(len(counts)):
            assert mask[found.index.roi(number).slices()].sum() == counts[number]


@given(annotations(), st.data())
def test_an_index_of_a_region_counts_that_region(
    target: NDArray[np.uint8], data: st.DataObject
) -> None:
    ends = [
        sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in target.shape
    ]
    domain = Roi(to_zyx(a for a, _ in ends), to_zyx(b for _, b in ends))
    part = target[domain.slices()]
    index = restricted(scanned(target).index, domain, reader(target))
    assert index.labelled.sum() == (part != IGNORE).sum()
    assert index.foreground.sum() == (part == 1).sum()
    assert (index.labelled > 0).all()


@given(
    annotations(),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.integers(0, 32),
    st.integers(8, 16),
)
@settings(max_examples=60)
def test_no_voxel_that_is_read_for_a_patch_lies_in_what_is_held_out(
    target: NDArray[np.uint8], share: float, guard: int, patch: int
) -> None:
    found = scanned(target)
    cut = cut_volume(found, share, guard)
    assume(cut is not None)
    assert cut is not None
    shape = to_zyx(target.shape)
    training, validation = cut.training(shape), cut.validation(shape)
    assert 0 <= cut.guard <= guard or _in_a_gap(found, cut)
    assert (target[training.slices()] == 1).any()
    assert (target[validation.slices()] == 1).any()
    read = np.zeros(target.shape, bool)

    def codes(roi: Roi) -> NDArray[np.uint8]:
        read[roi.slices()] = True
        return target[roi.slices()]

    index = restricted(found.index, training, codes)
    sampler = Sampler(index, training, patch=patch)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        roi = sampler.draw(codes, rng, empty=seed % 3 == 0)
        read[roi.intersection(training).slices()] = True
        assert roi.shape == (patch,) * 3
    assert not read[validation.slices()].any()


def _in_a_gap(found: Scan, cut: Cut) -> bool:
    """Say whether nothing but planes without annotation were left out beyond the guard."""
    return not found.labelled[cut.axis][cut.stop : cut.start].any()


@given(
    st.lists(st.integers(0, 3), max_size=30),
    st.sampled_from([0.05, 0.2, 0.9]),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_volumes_are_held_out_with_neurites_on_both_sides(
    foreground: list[int], share: float, seed: int, most: int
) -> None:
    chosen = held_out(foreground, share, seed, most)
    if sum(n > 0 for n in foreground) < 2:
        assert not chosen
        return
    rest = set(range(len(foreground))) - chosen
    assert 1 <= len(chosen) <= most
    assert any(foreground[n] for n in chosen)
    assert any(foreground[n] for n in rest)
    assert chosen == held_out(foreground, share, seed, most)


@given(annotations(), st.integers(8, 20), st.integers(0, 5))
@settings(max_examples=60)
def test_patches_lie_inside_and_hold_what_they_are_drawn_for(
    target: NDArray[np.uint8], patch: int, seed: int
) -> None:
    index = scanned(target).index
    assume(len(index.tiles))
    whole = Roi.whole(target.shape)
    rng = np.random.default_rng(seed)
    roi = Sampler(index, whole, patch=patch).draw(reader(target), rng)
    seen = target[roi.intersection(whole).slices()]
    assert (seen == 1).any() or not (target == 1).any()
    assert (seen != IGNORE).any()
    for start, stop, length in zip(roi.start, roi.stop, target.shape, strict=True):
        assert start == 0 if length < patch else 0 <= start <= stop <= length
