"""``blockseg regions`` end to end."""

import csv
import json
import shutil

import numpy as np
import pytest
import zarr

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import read_swc

pytestmark = pytest.mark.usefixtures("out")

SERIAL = ("--scheduler", "serial", "-q")


def table_of(out):
    with (out / "regions/regions.csv").open() as file:
        return {int(row["region"]): row for row in csv.DictReader(file)}


def common(atlas, box):
    """Return volumes of regions, whole and inside a box, in mm³."""
    _, labels, size, place = atlas
    shares = []
    for axis in range(3):
        low = place[axis] + size[axis] * np.arange(labels.shape[axis])
        inside = np.minimum(low + size[axis], box[1][axis]) - np.maximum(
            low, box[0][axis]
        )
        shares.append(np.clip(inside / size[axis], 0, 1))
    weight = np.einsum("i,j,k->ijk", *shares) * np.prod(size) / 1e9
    return {
        int(one): (
            np.count_nonzero(labels == one) * np.prod(size) / 1e9,
            weight[labels == one].sum(),
        )
        for one in np.unique(labels)
    }


def sampled_lengths(folder, atlas, steps=400):
    """Return the length of traces in each region by fine sampling, in µm."""
    _, labels, size, place = atlas
    found: dict[int, float] = {}
    for path in sorted(folder.iterdir()):
        tree = read_swc(path)
        node = np.flatnonzero(tree.parent >= 0)
        a, b = tree.position[tree.parent[node]], tree.position[node]
        at = (np.arange(steps)[:, None, None] + 0.5) / steps
        voxel = np.floor((a + (b - a) * at - place) / size).astype(int)
        inside = ((voxel >= 0) & (voxel < labels.shape)).all(-1)
        voxel[~inside] = 0
        region = np.where(inside, labels[tuple(np.moveaxis(voxel, -1, 0))], 0)
        length = np.broadcast_to(np.linalg.norm(b - a, axis=1) / steps, region.shape)
        for one in np.unique(region):
            found[int(one)] = found.get(int(one), 0) + float(
                length[region == one].sum()
            )
    return found


@pytest.fixture
def command(walks, atlas):
    names = atlas[0].parent / "structures.csv"
    return ("regions", "out.zarr", "--atlas", atlas[0], "--names", names,
            "--traces", walks[0], "--lengths-only")  # fmt: skip


def test_lengths_densities_and_volumes_are_those_of_the_atlas(
    blockseg, out, walks, atlas, box, command
):
    blockseg(*command, *SERIAL)
    table, wanted = table_of(out), sampled_lengths(walks[0], atlas)
    volumes = common(atlas, box)
    for region, (whole, imaged) in volumes.items():
        row = table[region]
        length = float(row["length_um"])
        assert length == pytest.approx(wanted.get(region, 0), abs=2, rel=0.01)
        assert float(row["atlas_volume_mm3"]) == pytest.approx(whole, rel=1e-6)
        assert float(row["volume_mm3"]) == pytest.approx(imaged, rel=1e-6)
        if imaged:
            density = float(row["density_um_per_mm3"])
            assert density == pytest.approx(length / imaged, rel=1e-5)
    total = sum(float(row["length_um"]) for row in table.values())
    assert total == pytest.approx(walks[1], rel=1e-6)
    about = json.loads((out / "regions/regions.json").read_text())
    assert about["length_um"] == pytest.approx(walks[1], rel=1e-6)
    assert about["traces"] == 70


def test_what_is_part_of_a_region_adds_up_to_it(blockseg, out, command):
    blockseg(*command, *SERIAL)
    table = table_of(out)
    for column in ("length_um", "volume_mm3"):
        parts = sum(float(table[one][column]) for one in (3, 614454277))
        assert float(table[5][f"total_{column}"]) == pytest.approx(parts, rel=1e-6)
    assert table[2**33 + 5]["name"] == "Area C"
    assert table[14]["name"] == "region 14"
    assert list(table)[-1] == 0


def test_what_it_prints_and_the_chart(blockseg, out, command):
    said = blockseg(*command, "--scheduler", "serial").stdout
    assert "1 region of the atlas without a name: 14" in said
    assert "Result:" in said
    assert (out / "regions/regions.png").read_bytes()[:4] == b"\x89PNG"
    assert "regions of" in blockseg("status", "out.zarr").stdout


def test_an_atlas_whose_ids_were_rounded_is_reported(
    blockseg, atlas, command, tmp_path
):
    rounded = tmp_path / "rounded.zarr"
    shutil.copytree(atlas[0], rounded)
    ids = zarr.open_array(rounded / "0", mode="r+")
    ids[:] = np.where(ids[:] == 614454277, 614454272, ids[:])
    other = [rounded if word == atlas[0] else word for word in command]
    said = " ".join(blockseg(*other, "--scheduler", "serial").stdout.split())
    assert "rounded to float32, which made 614454272 of 614454277; warp" in said


def test_again_it_does_nothing_and_other_parameters_are_refused(
    blockseg, out, command, walks
):
    blockseg(*command, *SERIAL)
    before = (out / "regions/regions.csv").read_bytes()
    blockseg(*command, *SERIAL)
    few = blockseg.folder / "few"
    few.mkdir()
    for path in sorted(walks[0].iterdir())[:3]:
        (few / path.name).write_bytes(path.read_bytes())
    other = [few if word == walks[0] else word for word in command]
    assert "--overwrite" in blockseg(*other, *SERIAL, code=1).stderr
    assert (out / "regions/regions.csv").read_bytes() == before
    blockseg(*other, *SERIAL, "--overwrite")
    assert (out / "regions/regions.csv").read_bytes() != before


@pytest.mark.parametrize("phase", ["atlas", "lengths"])
def test_killed_in_any_phase_it_goes_on_to_the_same_bytes(
    blockseg, out, command, content_of, killed, phase
):
    killed("blockseg.regions.run", "regions", phase, *command, *SERIAL)
    assert not (out / "regions/regions.csv").exists()
    blockseg(*command, *SERIAL)
    after = content_of(out)
    blockseg(*command, *SERIAL, "--overwrite")
    assert content_of(out) == after


def test_killed_on_the_way_to_the_atlas_it_goes_on_to_the_same_bytes(
    blockseg, out, command, content_of, killed, brainreg
):
    mapped = [*command, "--transform", brainreg]
    killed("blockseg.regions.run", "regions", "imaged", *mapped, *SERIAL)
    blockseg(*mapped, *SERIAL)
    after = content_of(out)
    blockseg(*mapped, *SERIAL, "--overwrite")
    assert content_of(out) == after


@pytest.mark.dask
def test_workers_count_what_one_process_does(blockseg, out, command):
    blockseg(*command, *SERIAL)
    alone = (out / "regions/regions.csv").read_bytes()
    blockseg(*command, "-q", "--workers", "2", "--overwrite")
    assert (out / "regions/regions.csv").read_bytes() == alone


def test_a_registration_takes_traces_and_regions_to_the_atlas(
    blockseg, out, walks, atlas, box, command, brainreg
):
    nodes = read_swc(walks[0] / "walk_000.swc").position[:5].tolist()
    lines = [f"{k},{z},{y},{x},4" for k, (z, y, x) in enumerate(nodes, 1)]
    table_of_somata = blockseg.folder / "somata.csv"
    table_of_somata.write_text("\n".join(["soma,z_um,y_um,x_um,radius_um", *lines]))
    blockseg(*command, *SERIAL, "--transform", brainreg, "--somata", table_of_somata)
    # The known warp, undone by hand: atlas µm from sample µm, exactly affine.
    low = box[0]
    for name in ("walk_000", "walk_069"):
        sample, there = (
            read_swc(folder / f"{name}.swc").position
            for folder in (walks[0], out / "regions/traces")
        )
        a, b, c = ((sample - low) / 5 - 0.5).T
        wanted = 5 * np.stack([1.1 * a + 0.3 + 0.05 * b, 0.9 * b + 1,
                               1.05 * c - 0.1 * a + 2], 1)  # fmt: skip
        # Of the corner of the atlas: its first voxel's centre is 0 mm.
        wanted += 2.5 + atlas[3]
        assert there == pytest.approx(wanted, abs=2e-3)
    table = table_of(out)
    sampled = sampled_lengths(out / "regions/traces", atlas)
    for region, row in table.items():
        length = float(row["length_um"])
        assert length == pytest.approx(sampled.get(region, 0), abs=3, rel=0.01)
    before = sum(float(row["sample_length_um"]) for row in table.values())
    assert before == pytest.approx(walks[1], rel=1e-6)
    # Somata are taken along like nodes.
    with (out / "regions/somata.csv").open() as file:
        bodies = list(csv.DictReader(file))
    first = read_swc(walks[0] / "walk_000.swc").position[:5]
    there = read_swc(out / "regions/traces/walk_000.swc").position[:5]
    for body, place, wanted_place in zip(bodies, first, there, strict=True):
        assert float(body["z_um"]) == pytest.approx(place[0])
        at = [float(body[f"atlas_{axis}_um"]) for axis in "zyx"]
        assert at == pytest.approx(wanted_place.tolist(), abs=2e-3)
        voxel = np.floor((np.array(at) - atlas[3]) / atlas[2]).astype(int)
        inside = ((voxel >= 0) & (voxel < atlas[1].shape)).all()
        assert int(body["region"]) == (atlas[1][tuple(voxel)] if inside else 0)
    assert sum(int(row["somata"]) for row in table.values()) == 5
    # What was imaged, as large as the warp makes it.
    jacobian = abs(np.linalg.det([[1.1, 0.05, 0], [0, 0.9, 0], [-0.1, 0, 1.05]]))
    total = sum(float(row["volume_mm3"]) for row in table.values())
    assert total == pytest.approx(jacobian * np.prod(box[1] - box[0]) / 1e9, rel=1e-4)


def test_voxels_and_objects_are_those_of_the_labels(
    blockseg, out, atlas, command, killed, content_of
):
    blockseg("label", "out.zarr", *SERIAL)
    words = [word for word in command if word != "--lengths-only"]
    killed("blockseg.regions.run", "regions", "voxels", *words, *SERIAL)
    blockseg(*words, *SERIAL)
    table = table_of(out)
    clean, items = (
        open_volume(find(str(out / "labels" / name), mask=True))
        for name in ("foreground_clean", "components")
    )
    whole = Roi.whole(clean.shape)
    voxel = np.argwhere(clean.read(whole))
    place = clean.space.translation + voxel * np.array(clean.space.voxel_size)
    at = np.floor((place - atlas[3]) / atlas[2]).astype(int)
    inside = ((at >= 0) & (at < atlas[1].shape)).all(1)
    at[~inside] = 0
    region = np.where(inside, atlas[1][tuple(at.T)], 0)
    item = items.read(whole)[tuple(voxel.T)]
    for one, row in table.items():
        assert int(row["voxels"]) == np.count_nonzero(region == one)
        assert int(row["objects"]) == len(np.unique(item[region == one]))
    cortex = np.isin(region, (3, 614454277))
    assert int(table[5]["total_objects"]) == len(np.unique(item[cortex]))
    after = content_of(out)
    blockseg(*words, *SERIAL, "--overwrite")
    assert content_of(out) == after
    # By a matrix that changes nothing, voxel by voxel.
    matrix = blockseg.folder / "identity.txt"
    matrix.write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n")
    blockseg(*words, *SERIAL, "--overwrite", "--transform", matrix)
    mapped = table_of(out)
    for column in ("voxels", "objects"):
        assert [row[column] for row in mapped.values()] == [
            row[column] for row in table.values()
        ]


def test_an_identity_as_a_matrix_changes_nothing(blockseg, out, command):
    blockseg(*command, *SERIAL)
    plain = table_of(out)
    matrix = blockseg.folder / "identity.txt"
    matrix.write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    blockseg(*command, *SERIAL, "--overwrite", "--transform", matrix)
    for region, row in table_of(out).items():
        assert row["length_um"] == plain[region]["length_um"]
        assert float(row["volume_mm3"]) == pytest.approx(
            float(plain[region]["volume_mm3"]), rel=0.2, abs=2e-6
        )
