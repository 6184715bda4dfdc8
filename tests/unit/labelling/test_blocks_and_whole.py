"""Pieces of blocks, merged, are the components of the whole volume."""

import itertools

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.output.provenance import Provenance
from blockseg.labelling.assigned import Assigned, open_objects
from blockseg.labelling.components import Merging, is_merged, write_clean
from blockseg.labelling.pieces import label_block, measure
from blockseg.labelling.scratch import Scratch, seam_from_bytes, seam_to_bytes
from blockseg.labelling.seams import Faces, seam
from blockseg.labelling.tables import ObjectColumns
from blockseg.labelling.task import blocks_before
from blockseg.morphology.tube_length import (
    length_unit,
    length_weights,
    neighbourhood_codes,
)


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


MADE = Provenance("run", "content", 128)
SIZE = (1.0, 0.5, 0.3)


class FakeLedger:
    """Payloads of a job, as its ledger would give them."""

    def __init__(self):
        self.kept: dict[str, list[tuple[int, bytes]]] = {"pieces": [], "seams": []}

    def payloads(self, phase):
        return iter(self.kept[phase])


def labelled(mask, block, folder, connectivity=26, probability=None, strong=0, least=0):
    """Label a mask block by block, as the tasks do; return labels, mask and rows."""
    grid = BlockGrid(mask.shape, block)
    weights = length_weights(SIZE)
    scratch, ledger = Scratch(str(folder / "pieces")), FakeLedger()
    (folder / "pieces").mkdir()
    if probability is None:
        probability = np.where(mask, 200, 0).astype(np.uint8)
    pieces = {}
    for one in grid:
        inside = mask[one.write_roi.slices()]
        found = label_block(inside, connectivity)
        pieces[one.number] = found
        if not found.count:
            continue
        bright = probability[one.write_roi.slices()][inside]
        levels = (bright / 3.0, bright / 7.0)
        rows = measure(found, one.write_roi, mask.shape, weights, bright, levels)
        scratch.write(one.number, rows, Faces.of(found.labels), found.runs)
        ledger.kept["pieces"].append((one.number, found.count.to_bytes(8, "little")))
    for one in grid:
        faces = {}
        for place, number in enumerate(blocks_before(grid, one.index)):
            known = None if number is None else scratch.faces(number)
            if known is not None:
                faces[place] = known
        last = tuple(
            b == n for b, n in zip(one.write_roi.stop, mask.shape, strict=True)
        )
        kept = seam_to_bytes(
            seam(faces, one.write_roi.shape, last, connectivity, weights)
        )
        if kept:
            assert seam_to_bytes(seam_from_bytes(kept)) == kept
            ledger.kept["seams"].append((one.number, kept))
    merged = folder / "merged"
    Merging(grid, scratch, merged, strong).run(ledger, MADE)
    assert is_merged(merged, MADE)
    write_clean(merged, lambda rows: rows["voxels"] >= least, MADE)
    assigned = Assigned.open(str(merged))
    components = np.zeros(mask.shape, np.uint64)
    clean = np.zeros(mask.shape, np.uint8)
    for one in grid:
        ids, passes = assigned.of(one.number)
        runs = scratch.runs(one.number)
        if runs is None:  # of no pieces, or of too many
            runs = pieces[one.number].runs
        assert same_runs(runs, pieces[one.number].runs)
        for values, image in ((ids, components), (passes, clean)):
            part = np.zeros(runs.shape, image.dtype)
            part.ravel()[runs.places()] = runs.of_voxels(values)
            image[one.write_roi.slices()] = part
    return components, clean, open_objects(merged)


def same_runs(one, other):
    return (one.shape, one.count) == (other.shape, other.count) and all(
        getattr(one, name).tolist() == getattr(other, name).tolist()
        for name in ("start", "length", "label")
    )


def whole(mask, connectivity=26):
    """Label a whole mask with cc3d, ids by the first voxel in C order."""
    padded = np.zeros([n + 1 for n in mask.shape], bool)
    padded[:-1, :-1, :-1] = mask
    labels = cc3d.connected_components(padded, connectivity=connectivity)
    labels = np.ascontiguousarray(labels)[:-1, :-1, :-1]
    values, first = np.unique(labels, return_index=True)
    first, values = first[values > 0], values[values > 0]
    lut = np.zeros(int(labels.max()) + 1, np.uint64)
    lut[values[np.argsort(first)]] = np.arange(1, len(values) + 1)
    return lut[labels]


def volumes(most=12):
    sides = st.tuples(*[st.integers(1, most)] * 3)
    return st.tuples(
        sides,
        st.tuples(*[st.integers(1, 6)] * 3),
        st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.6, 0.95, 1.0]),
        st.integers(0, 2**32 - 1),
    )


@settings(max_examples=60)
@given(volumes(), st.sampled_from([26, 18, 6]))
def test_labels_of_blocks_are_those_of_the_whole(
    tmp_path_factory, volume, connectivity
):
    shape, block, density, seed = volume
    mask = np.random.default_rng(seed).random(shape) < density
    folder = tmp_path_factory.mktemp("labels")
    found, _, _ = labelled(mask, block, folder, connectivity)
    assert (found == whole(mask, connectivity)).all()


@settings(max_examples=20)
@given(volumes(), st.integers(0, 9))
def test_the_table_is_that_of_the_whole(tmp_path_factory, volume, least):
    shape, block, density, seed = volume
    rng = np.random.default_rng(seed)
    probability = rng.integers(1, 256, shape, dtype=np.uint8)
    mask = rng.random(shape) < density
    folder = tmp_path_factory.mktemp("table")
    found, clean, rows = labelled(
        mask, block, folder, probability=probability, least=least
    )
    one = labelled(
        mask,
        shape,
        tmp_path_factory.mktemp("one"),
        probability=probability,
        least=least,
    )
    assert rows.tobytes() == one[2].tobytes()
    labels = whole(mask)
    ids = np.arange(1, int(labels.max(initial=0)) + 1)
    assert len(rows) == len(ids)
    for number in ids.tolist():
        inside, row = labels == number, rows[number - 1]
        place = np.argwhere(inside)
        assert row["voxels"] == len(place)
        assert row["start"].tolist() == place.min(axis=0).tolist()
        assert row["stop"].tolist() == (place.max(axis=0) + 1).tolist()
        assert row["places"].tolist() == place.sum(axis=0).tolist()
        assert row["probability"] == probability[inside].sum(dtype=np.int64)
        assert row["greatest"] == probability[inside].max()
        assert row["first"] == np.ravel_multi_index(place[0], shape)
        codes = neighbourhood_codes(np.pad(inside, 1))
        assert row["length"] == length_weights(SIZE)[codes].sum()
        assert (clean[inside] == (len(place) >= least)).all()
    assert not clean[~mask].any()
    assert (found == labels).all()


@settings(max_examples=20)
@given(volumes(), st.integers(120, 256))
def test_hysteresis_keeps_components_that_hold_a_strong_voxel(
    tmp_path_factory, volume, strong
):
    shape, block, density, seed = volume
    rng = np.random.default_rng(seed)
    probability = (rng.random(shape) * 255).astype(np.uint8)
    mask = probability >= 255 * (1 - density)
    folder = tmp_path_factory.mktemp("hysteresis")
    found, _, rows = labelled(
        mask, block, folder, probability=probability, strong=strong
    )
    labels = whole(mask)
    kept = [
        number
        for number in range(1, int(labels.max(initial=0)) + 1)
        if probability[labels == number].max() >= strong
    ]
    lut = np.zeros(int(labels.max(initial=0)) + 1, np.uint64)
    lut[kept] = np.arange(1, len(kept) + 1)
    assert (found == lut[labels]).all()
    assert len(rows) == len(kept)


def spiral(shape):
    """One curve through all of a volume: rows to and fro in every other plane."""
    mask = np.zeros(shape, bool)
    rows = [(z, y) for z in range(0, shape[0], 2) for y in range(0, shape[1], 2)]
    for number, (z, y) in enumerate(rows):
        if (z // 2) % 2:  # back again
            y = rows[-1][1] - y
        mask[z, y] = True
        if number + 1 < len(rows):
            end = -1 if number % 2 else 0
            further = rows[number + 1][0] > z
            step = (1, 0) if further else (0, -1 if (z // 2) % 2 else 1)
            mask[z + step[0], y + step[1], end] = True
    return mask


@pytest.mark.parametrize("block", [(4, 4, 4), (3, 5, 7), (1, 16, 2), (16, 16, 16)])
def test_whatever_the_shape_of_components(block, tmp_path):
    diagonal = np.zeros((16, 16, 16), bool)
    step = np.arange(16)
    diagonal[step, step, step] = True
    other = np.zeros((16, 16, 16), bool)
    other[step, step[::-1], step] = True
    cases = {
        "full": np.ones((16, 16, 16), bool),
        "empty": np.zeros((16, 16, 16), bool),
        "spiral": spiral((16, 16, 16)),
        "diagonal": diagonal,
        "other diagonal": other,
        "checkers": np.indices((16, 16, 16)).sum(axis=0) % 2 == 0,
        "walls": np.indices((16, 16, 16))[0] % 2 == 0,
    }
    for name, connectivity in itertools.product(cases, (26, 18, 6)):
        folder = tmp_path / f"{name}-{connectivity}"
        folder.mkdir()
        found, _, _ = labelled(cases[name], block, folder, connectivity)
        assert (found == whole(cases[name], connectivity)).all(), (name, connectivity)
    assert whole(cases["spiral"]).max() == 1
    assert whole(cases["diagonal"]).max() == 1


@pytest.mark.parametrize("connectivity", [26, 18, 6])
def test_lengths_do_not_depend_on_blocks_whatever_is_connected(connectivity, tmp_path):
    mask = np.random.default_rng(5).random((11, 13, 12)) < 0.25
    tables = []
    for number, block in enumerate([(11, 13, 12), (4, 4, 4), (3, 13, 5)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        tables.append(labelled(mask, block, folder, connectivity)[2])
    assert tables[0].tobytes() == tables[1].tobytes() == tables[2].tobytes()


def test_columns_are_in_micrometres_from_the_origin_of_the_source(tmp_path):
    mask = np.zeros((8, 8, 8), bool)
    mask[2, 3, 0:5] = True
    mask[6, 6, 6] = True
    probability = np.where(mask, 204, 0).astype(np.uint8)
    rows = labelled(mask, (4, 4, 4), tmp_path, probability=probability, least=2)[2]
    columns = ObjectColumns((8, 8, 8), Space(SIZE, "micrometer", (10.0, 20.0, 30.0)), 9)
    table = columns.of(rows, np.array([1, 0], np.uint8), 1)
    assert table["id"].tolist() == [1, 2]
    assert table["voxels"].tolist() == [5, 1]
    assert table["volume_um3"] == pytest.approx([0.75, 0.15])
    assert table["z_um"] == pytest.approx([12, 16])
    assert table["y_um"] == pytest.approx([21.5, 23])
    assert table["x_um"] == pytest.approx([30.6, 31.8])
    assert table["length_um"] == pytest.approx([1.2, 0])
    assert table["probability"] == pytest.approx([0.8, 0.8])
    assert table["contrast"] == pytest.approx([204 / 3 * 9] * 2)
    assert table["snr"] == pytest.approx([204 / 7] * 2, rel=1e-4)
    assert table["touches_border"].tolist() == [1, 0]
    assert table["clean"].tolist() == [1, 0]
    assert length_unit(SIZE) == 0.3 * 2**-20
    none = np.zeros(2, np.uint8)
    unknown = ObjectColumns((8, 8, 8), Space(), None).of(rows, none, 1)
    assert np.isnan(unknown["length_um"]).all()
    assert np.isnan(unknown["snr"]).all()
