"""Which part of slices' names counts planes, and what is refused."""

import glob
import itertools
import re
import shlex
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.errors import VolumeError
from blockseg.io.slice_names.order import arrange, other_axis

R = range


def planes(names, **how):
    """The names in the order of their planes."""
    arranged = arrange(names, "/brain", **how)
    return [None if i is None else names[i] for i in arranged.order]


def refused(names, root="/brain", **how):
    with pytest.raises(VolumeError) as caught:
        arrange(names, str(root), **how)
    message = str(caught.value)
    assert "\n" not in message
    return message


def advice(message):
    """The glob of a message, as a shell would pass it on."""
    return shlex.split(message.partition("glob: ")[2])[0].rstrip(",")


def chosen_by(message, names):
    """What the suggested glob finds where the names are files."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        pattern = advice(message).replace("/brain", folder, 1)
        found = glob.glob(pattern)  # noqa: PTH207 - of any root
        return sorted(str(Path(path).relative_to(folder)) for path in found)


ORDINARY = {
    "padded": [f"img_{z:04d}.tif" for z in R(3, 15)],
    "not padded": [f"img{z}.tif" for z in R(15)],
    "steps of 10": [f"Z{z:06d}.tif" for z in R(0, 150, 10)],
    "steps of 25, not padded": [f"{z}.tiff" for z in R(25, 500, 25)],
    "other numbers that do not vary": [f"b2_488_{z:03d}_C00.ome.tif" for z in R(9)],
    "positions and an index": [f"img_{z:04d}_z{2.5 * z:06.1f}um.tif" for z in R(15)],
    "times of day and an index": [
        f"{z:03d}_{10 + 7 * z // 3600:02d}-{7 * z // 60 % 60:02d}-{7 * z % 60:02d}.tif"
        for z in R(60)
    ],
    "dates, times and an index": [
        f"img_{z:03d}_20261128T{100000 + 100 * (z // 7) + 8 * (z % 7)}.tif"
        for z in R(30)
    ],
    "seconds since 1970 and an index": [
        f"img_{z:03d}_{1764365000123 + 1013 * z + z % 7}.tif" for z in R(30)
    ],
    "a size and an index": [
        f"{size}_{z}.tif" for z, size in enumerate((66641300, 72960348, 39945810))
    ],
    "sums and an index": [
        f"img_{z:03d}_{h}.tif"
        for z, h in enumerate(("a3", "b9", "3f", "fa", "12", "ee"))
    ],
    "folders of 10": [f"part{z // 10}/img_{z:04d}.tif" for z in R(40)],
    "sessions": [f"{'am' if z < 20 else 'pm'}_{z:04d}.tif" for z in R(40)],
    "decimals": [f"z{z / 2:.1f}.tif" for z in R(15)],
    "decimals that jitter": [f"z{4 * z + z * 7 % 3 / 10:.1f}.tif" for z in R(20)],
    "decimals behind a date": [f"20210304_{1000 + 2.5 * z:.1f}.tif" for z in R(15)],
    "two below zero": ["_-300.0.tif", "_-299.7.tif"],
    "thirds": [f"z{z / 3:.3f}.tif" for z in R(20)],
    "below zero": [f"430160_-354210_{z}.tif" for z in R(-400, -200, 20)],
    "below zero alone": [f"{z}.tif" for z in R(-40, -20)],
    "decimals below zero": [f"Bregma {z / 20 - 3:.2f} mm.tif" for z in R(30)],
    "decimals where needed": [f"z{z / 2:g}.tif" for z in R(15)],
    "below and above zero": [f"z{z}.tif" for z in R(-10, 11)],
    "dashes without zeros": [f"brain-{z}.tif" for z in R(10, 30)],
    "dashes between numbers": [f"2026-{z}.tif" for z in R(10, 30)],
    "dashes": [f"brain-{z:03d}.tif" for z in R(15)],
    "both suffixes": [f"img_{z}.tif{'f' * (z % 2)}" for z in R(15)],
    "one taken again": [f"img_{z}{'b' * (z == 3)}.tif" for z in R(15)],
    "a stage that jitters": [f"z{25 * z + z * z % 5:05d}.tif" for z in R(20)],
    "positions rounded down much": [f"z{round(2.2 * z):04d}.tif" for z in R(20)],
    "positions rounded up": [f"z{round(2.6 * z):04d}.tif" for z in R(20)],
    "no counters": ["a.tif", "b.tif", "c.tif"],
    "no suffixes": [f"img{z}" for z in R(15)],
    "a single one": ["a.tif"],
    "two": ["img_3.tif", "img_8.tif"],
    "tiles of a corner": [f"000100_000200_{25 * z:06d}.tif" for z in R(16)],
    "times of day alone": [
        f"2026-11-28_{10 + 7 * z // 3600:02d}-{7 * z // 60 % 60:02d}-{7 * z % 60:02d}.tif"
        for z in R(60)
    ],
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_slices_are_put_in_order_without_a_word(kind):
    names = ORDINARY[kind]
    shuffled = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    assert planes(shuffled) == names
    assert arrange(shuffled, "/brain").doubt == ""


SEVERAL = {
    "channels": ([f"img_Z{z:04d}_CH{c}.tif" for z in R(9) for c in (1, 2)], "CH 1, 2"),
    "channels first": (
        [f"C{c:02d}_{z:03d}.tif" for z in R(9) for c in R(3)],
        "C 00, 01, 02",
    ),
    "ch00": ([f"b_z{z:03d}_ch{c:02d}.tif" for z in R(9) for c in R(2)], "CH 00, 01"),
    "wavelengths": ([f"{z:04d}_{c}.tif" for z in R(9) for c in (488, 561)], "488, 561"),
    "wavelengths in nm": (
        [f"img_{z}_{c}nm.tif" for z in R(9) for c in (488, 561)],
        "488, 561",
    ),
    "colours": (
        [f"{c}_{z:04d}.tif" for z in R(9) for c in ("red", "green")],
        "green, red",
    ),
    "arms": ([f"{z}_{c}.tif" for z in R(9) for c in ("left", "right")], "left, right"),
    "folders": (
        [f"{c}/{z:04d}.tif" for z in R(9) for c in ("left", "right")],
        "left, right",
    ),
    "a letter": ([f"z{z:03d}{c}.tif" for z in R(9) for c in "ab"], "a, b"),
    "masks": ([f"img_{z:02d}{c}.tif" for z in R(9) for c in ("", "_mask")], "mask"),
    "masks, not padded": (
        [f"img_{z}{c}.tif" for z in R(15) for c in ("", "_mask")],
        "mask",
    ),
    "times": (
        [f"T{t:03d}_Z{z:03d}.tif" for z in R(9) for t in R(3)],
        "T 000, 001, 002",
    ),
    "more times than planes": (
        [f"T{t:03d}_Z{z:03d}.tif" for z in R(5) for t in R(30)],
        "T 000…029",
    ),
    "tiles": (
        [f"x{x}_y{y}_z{z:02d}.tif" for z in R(9) for x in (0, 50) for y in (0, 70)],
        "X 0, 50",
    ),
    "rows and columns": (
        [f"{r:02d}_{c:02d}_{z:02d}.tif" for z in R(60) for r in R(2) for c in R(3)],
        "00, 01",
    ),
    "times, planes and channels": (
        [f"t{t}_z{z:02d}_c{c}.tif" for z in R(9) for t in R(3) for c in R(2)],
        "C 0, 1",
    ),
    "a point between": ([f"{z:03d}.{c}.tif" for z in R(9) for c in R(3)], "0, 1, 2"),
    "brackets": (
        [f"12-30-01_b[0{t} x 00]_C00_Z{z:04d}.ome.tif" for z in R(9) for t in R(2)],
        "00, 01",
    ),
    "a running number": ([f"img_{i:04d}_CH{i % 2}.tif" for i in R(40)], "CH 0, 1"),
    "channels one after the other": (
        [f"img_{i:04d}_CH{i // 20}.tif" for i in R(40)],
        "CH 0, 1",
    ),
    "a running number of times and planes": (
        [f"{i:04d}_t{i // 5}_z{i % 5}.tif" for i in R(40)],
        "T 0…7",
    ),
    "a running number of times and planes without labels": (
        [f"{i:04d}_{i // 10:02d}_{i % 10:02d}.tif" for i in R(120)],
        "00…09 and 00…11",
    ),
    "channels in short one after the other": (
        [f"c{i // 20}_{i:04d}.tif" for i in R(40)],
        "C 0, 1",
    ),
    "channels behind a point, counted through": (
        [f"{i:04d}.{1 + i % 2}.tif" for i in R(40)],
        "1, 2",
    ),
    "arms that end alike": (
        [f"{c}_{z:04d}.tif" for z in R(9) for c in ("left", "right")],
        ": 0000…0008 and left, right",
    ),
    "times of day beside": (
        [
            f"{i // 2:03d}_CH{i % 2}_10-{3 * i // 60:02d}-{3 * i % 60:02d}.tif"
            for i in R(80)
        ],
        "CH 0, 1",
    ),
    "channels and times alone": (
        [f"CH{i % 2}_{1764365000123 + 1013 * i + i % 7}.tif" for i in R(30)],
        "CH 0, 1",
    ),
    "channels with other words": (
        [f"img_{z:09d}_{c}_000.tif" for z in R(9) for c in ("Cy5", "DAPI")],
        "Cy5, DAPI",
    ),
    "channels by two names": (
        [f"z{z:03d}_ch{c}_{w}.tif" for z in R(9) for c, w in ((0, 488), (1, 561))],
        "CH 0, 1",
    ),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_two_counters_are_named_with_a_glob_that_chooses_one(kind):
    names, values = SEVERAL[kind]
    message = refused(names)
    assert values in message
    assert refused(names, allow_gaps=True) == message
    chosen = chosen_by(message, names)
    assert 1 < len(chosen) < len(names)
    assert set(chosen) < set(names)
    assert None not in planes(chosen)


def test_a_running_number_of_times_and_planes_is_cut_into_planes_of_one_time():
    names, _ = SEVERAL["a running number of times and planes without labels"]
    assert chosen_by(refused(names), names) == names[:10]


NO_PLANES = {
    "channels": ([f"img_CH{c}.tif" for c in (1, 2)], "CH 1, 2"),
    "channels in short": ([f"C{c}-brain.tif" for c in (1, 2, 3)], "C 1, 2, 3"),
    "channels of one plane": ([f"b_ch{c}_z000.tif" for c in R(4)], "CH 0, 1, 2, 3"),
    "wavelengths": (["488nm.tif", "561nm.tif"], "488, 561"),
    "colours": (["b_red.tif", "b_green.tif"], "green, red"),
    "dyes": (["b_Cy3.tif", "b_Cy5.tif"], "CY 3, 5"),
    "dyes by name": (["b_DAPI_000.tif", "b_Cy5_000.tif"], "Cy5, DAPI"),
    "times": ([f"b_t{t:03d}.tif" for t in R(3)], "T 000, 001, 002"),
    "tiles": ([f"tile{t}.tif" for t in R(2)], "TILE 0, 1"),
    "tiles by place": (["b_x0_y0.tif", "b_x1_y1.tif"], "X 0, 1 and Y 0, 1"),
    "arms": (["left.tif", "right.tif"], "left, right"),
}


@pytest.mark.parametrize("kind", NO_PLANES)
def test_few_names_that_tell_no_planes_apart_are_told(kind):
    names, values = NO_PLANES[kind]
    assert other_axis(names) == values


@pytest.mark.parametrize(
    "names",
    [
        ["a.tif", "b.tif"],
        ["b_1.tif", "b_2.tif"],
        ["b_z1.tif", "b_z2.tif"],
        ["z488.tif", "z491.tif"],
        ["b_0_CH1.tif", "b_1_CH2.tif"],
        ["slice1.tif", "slice2.tif", "slice3.tif"],
        ["img_CH1.tif"],
        [f"ch{z}.tif" for z in R(5)],
        [f"t{z:04d}.tif" for z in R(100)],
    ],
)
def test_names_that_may_well_tell_planes_apart_are_not(names):
    assert other_axis(names) == ""


TWICE = {
    "another padding": ("img_01.tif", "img_1.tif and img_01.tif"),
    "a copy": ("img_1 copy.tif", "img_1 copy.tif"),
    "a numbered copy": ("img_1 (2).tif", "img_1 (2).tif"),
    "a copy of": ("Copy of img_1.tif", "Copy of img_1.tif"),
    "another suffix": ("img_1.tiff", "img_1.tif and img_1.tiff"),
    "another case": ("IMG_1.TIF", "IMG_1.TIF"),
    "another folder": ("old/img_1.tif", "old/img_1.tif"),
}


@pytest.mark.parametrize("kind", TWICE)
def test_a_number_that_stands_twice_is_named(kind):
    again, said = TWICE[kind]
    names = [*(f"img_{z}.tif" for z in R(15)), again]
    message = refused(names)
    assert said in message
    assert "img_1.tif" in message
    assert refused(names, allow_gaps=True) == message


def test_files_that_are_named_otherwise_are_no_slices():
    names = [*(f"img_{z}.tif" for z in R(15)), "MIP.tif"]
    message = refused(names)
    assert "MIP.tif is not named like img_0.tif" in message
    assert chosen_by(message, names) == sorted(names[:-1])


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([0, 1, 2, 4, 5], "missing: 0003;"),
        ([0, 1, 2, 5, 6], "missing: 0003 to 0004;"),
        ([10, 20, 40, 50], "in steps of 10, 1 is missing: 0030;"),
        ([1, 2, 4, 6, 8, 9, 10, 12, 13], "0003, 0005, 0007 and 1 more;"),
        ([0, 1, 3], "missing: 0002;"),
        ([0, 2, 4, 6, 7, 8], "3 are missing: 0001, 0003, 0005;"),
    ],
)
def test_a_gap_is_named_in_the_numbers_of_the_files(numbers, said):
    message = refused([f"img_{z:04d}.tif" for z in numbers])
    assert said in message
    assert "; restore " in message
    assert ", or --allow-gaps" in message


def test_a_gap_that_no_option_allows_names_none():
    message = refused(["img_0.tif", "img_1.tif", "img_3.tif"], allow_gaps=None)
    assert "or give a copy by blockseg convert --allow-gaps" in message


def test_a_gap_between_decimals_is_named_as_one():
    assert "missing: 3.5;" in refused([f"z{z / 2:.1f}.tif" for z in R(15) if z != 7])


def test_positions_show_a_gap_that_an_index_hides():
    names = [f"{i:03d}_z{z:04d}.tif" for i, z in enumerate([0, 20, 40, 80, 100])]
    assert "missing: 0060;" in refused(names)
    assert planes(names, allow_gaps=True) == [*names[:3], None, *names[3:]]


def test_a_number_of_another_kind_is_no_gap_to_be_filled():
    names = [*(f"{z}.tif" for z in R(10)), "20261128.tif"]
    assert "with a glob" in refused(names, allow_gaps=True)


@pytest.mark.parametrize(
    "numbers", [[5, 17, 23], [3, 4, 9, 20], [1, 2, 4, 8, 16, 32, 64]]
)
def test_numbers_without_a_step_are_doubted_until_gaps_are_allowed(numbers):
    names = [f"s{z}.tif" for z in numbers]
    arranged = arrange(names, "/brain")
    assert arranged.order == tuple(R(len(names)))
    assert "--allow-gaps" in arranged.doubt
    assert "5, 17" in arranged.doubt or numbers[0] != 5
    assert arrange(names, "/brain", allow_gaps=True).doubt == ""


@pytest.mark.parametrize("step", [2.2, 2.5, 2.6, 12.5])
def test_a_gap_between_rounded_positions_is_seen(step):
    names = [f"z{round(step * z):04d}.tif" for z in R(20)]
    stored = [*names[:7], *names[9:]]
    assert planes(stored, allow_gaps=True) == [*names[:7], None, None, *names[9:]]
    assert "2 are missing" in refused(stored)


def test_an_order_against_the_index_keeps_its_gaps():
    names = [f"{i:03d}_z{100 - z:04d}.tif" for i, z in enumerate([0, 1, 2, 4])]
    assert planes(names, allow_gaps=True) == [*names[:3], None, names[3]]


TEXT = st.sampled_from(
    ["", "img_", "Z", "brain 1_", "b[2]*_", "µ-", "a/b_", "x.", "CH3_z"]
)


@given(
    before=TEXT,
    after=st.sampled_from(["", "_C1", ".ome", "_488nm", "um", " (1)"]),
    start=st.integers(0, 2000),
    step=st.integers(1, 1000),
    count=st.integers(2, 60),
    width=st.integers(1, 6),
    seed=st.randoms(use_true_random=False),
)
def test_one_counter_counts_planes_however_it_is_written(
    before, after, start, step, count, width, seed
):
    names = [f"{before}{start + step * i:0{width}d}{after}.tif" for i in R(count)]
    shuffled = list(names)
    seed.shuffle(shuffled)
    assert planes(shuffled) == names


@given(
    start=st.integers(0, 50),
    step=st.integers(1, 50),
    present=st.lists(st.booleans(), min_size=8, max_size=60),
    width=st.integers(1, 5),
)
def test_missing_planes_are_empty_in_their_places(start, step, present, width):
    present = [True, True, True, *present, True]
    names = [
        f"s{start + step * i:0{width}d}.tif" if there else None
        for i, there in enumerate(present)
    ]
    # Where most are missing, numbers show no step.
    gaps = np.diff(np.flatnonzero(present))
    if 2 * np.count_nonzero(gaps == 1) < len(gaps):
        return
    stored = [name for name in names if name is not None]
    assert planes(stored, allow_gaps=True) == names
    missing = present.count(False)
    if missing:
        assert f" {missing} {'is' if missing == 1 else 'are'} missing" in refused(
            stored
        )
    else:
        assert planes(stored) == names


@settings(max_examples=40)
@given(
    order=st.permutations(["z", "c", "t"]),
    depth=st.integers(4, 12),
    channels=st.integers(2, 3),
    times=st.integers(1, 3),
    texts=st.tuples(TEXT, st.sampled_from(["_", "-", " ", "_x"]), st.just("_")),
    width=st.integers(1, 4),
)
def test_any_grid_of_counters_is_refused_with_a_glob_that_works(
    order, depth, channels, times, texts, width
):
    sizes = {"z": depth, "c": channels, "t": times}
    names = []
    for numbers in itertools.product(*(R(sizes[axis]) for axis in order)):
        parts = (
            f"{t}{a}{n:0{width}d}"
            for t, a, n in zip(texts, order, numbers, strict=True)
        )
        names.append("".join(parts) + ".tif")
    message = refused(names)
    chosen = chosen_by(message, names)
    assert len(chosen) == depth
    found = [int(re.findall(r"z(\d+)", name)[-1]) for name in planes(chosen)]
    assert found == list(R(depth))
