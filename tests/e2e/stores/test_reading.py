"""Volumes read from stores: the same voxels, whatever happens on the way."""

import zlib

import numpy as np
import pytest

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.stores.kvstores import REMOTE_CONTEXT as CONTEXT
from blockseg.io.stores.location import location
from tests.e2e.stores.servers import (
    BUCKET,
    Forwarding,
    Way,
    serving,
    uploaded,
    web_server,
)

KINDS = ("v2", "v3", "n5")
ROI = Roi((3, 4, 5), (60, 90, 101))


def _read(uri, roi=ROI):
    return open_volume(find(uri)).read(roi)


@pytest.mark.parametrize("kind", KINDS)
def test_a_volume_in_s3_has_the_voxels_that_it_has_on_a_disk(s3, stores, voxels, kind):
    uri = uploaded(stores / kind, f"s3+{s3.endpoint}/{BUCKET}/same/{kind}")
    assert np.array_equal(_read(uri), voxels[ROI.slices()])


@pytest.mark.parametrize("fault", ["503", "truncate", "drop", "slow"])
def test_what_fails_once_on_the_way_is_asked_for_again(s3, stores, voxels, fault):
    uri = uploaded(stores / "v3", f"s3+{s3.endpoint}/{BUCKET}/faults/{fault}")
    disturbed = []

    def first_of_some(method, path, n):
        hit = method == "GET" and n == 1 and zlib.crc32(path.encode()) % 3 == 0
        disturbed.extend([path] * hit)
        return fault if hit else ""

    s3.fault = first_of_some
    assert np.array_equal(_read(uri), voxels[ROI.slices()])
    assert disturbed


@pytest.mark.parametrize(
    ("kind", "ranges"), [("v2", True), ("v2", False), ("v3", True), ("n5", False)]
)
def test_a_volume_on_a_web_server_is_read(stores, voxels, kind, ranges):
    with web_server(stores, ranges=ranges) as url:
        assert np.array_equal(_read(f"{url}/{kind}"), voxels[ROI.slices()])


def test_what_breaks_off_on_a_server_without_parts_is_asked_for_anew(stores, voxels):
    with web_server(stores, ranges=False) as url:
        way = Way("", url, lambda _, __, n: "truncate" if n == 1 else "")
        with serving(type("Handler", (Forwarding,), {"way": way})) as way.endpoint:
            assert np.array_equal(_read(f"{way.endpoint}/v2"), voxels[ROI.slices()])


def test_shards_need_a_web_server_that_sends_parts_of_files(stores):
    with (
        web_server(stores, ranges=False) as url,
        pytest.raises(VolumeError, match="Range") as refused,
    ):
        _read(f"{url}/v3")
    assert not isinstance(refused.value, CorruptDataError)


def test_a_store_that_never_answers_is_given_up(s3, stores, monkeypatch):
    uri = uploaded(stores / "v2", f"s3+{s3.endpoint}/{BUCKET}/down")
    few = {"max_retries": 1, "initial_delay": "10ms", "max_delay": "20ms"}
    quick = {name: few if "retries" in name else at for name, at in CONTEXT.items()}
    monkeypatch.setattr("blockseg.io.chunks.tensorstores.REMOTE_CONTEXT", quick)
    spec = find(uri)
    s3.fault = lambda _, path, __: "503" if path.endswith("/1.1.1") else ""
    with pytest.raises(VolumeError, match="did not answer") as given_up:
        open_volume(spec).read(ROI)
    assert not isinstance(given_up.value, CorruptDataError)


def test_a_missing_chunk_reads_as_the_fill_value(s3, stores, voxels):
    uri = uploaded(stores / "v2", f"s3+{s3.endpoint}/{BUCKET}/missing")
    (location(uri) / "1.1.1").unlink()
    expected = voxels.copy()
    expected[16:32, 32:64, 32:64] = 0
    assert np.array_equal(_read(uri, Roi.whole(voxels.shape)), expected)


def test_a_refused_chunk_is_no_missing_one(s3, stores):
    uri = uploaded(stores / "v2", f"s3+{s3.endpoint}/{BUCKET}/refused")
    s3.fault = lambda _, path, __: "403" if path.endswith("/1.1.1") else ""
    with pytest.raises(VolumeError, match="403") as refused:
        _read(uri)
    assert "1.1.1" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_where_nothing_may_be_listed_metadata_that_are_missing_look_refused(
    s3, stores, voxels
):
    uri = uploaded(stores / "v2", f"s3+{s3.endpoint}/{BUCKET}/closed")
    there = {f"/{BUCKET}/closed/{path.name}" for path in (stores / "v2").iterdir()}
    s3.fault = lambda _, path, __: "" if path in there else "403"
    assert np.array_equal(_read(uri), voxels[ROI.slices()])


def test_each_chunk_of_a_region_is_asked_for_once_and_many_at_a_time(s3, stores):
    uri = uploaded(stores / "v2", f"s3+{s3.endpoint}/{BUCKET}/counted")
    volume = open_volume(find(uri))
    s3.forget()
    s3.fault = lambda *_: "slow"
    volume.read(Roi.whole(volume.shape))
    chunks = 4 * 3 * 4
    assert s3.asked("GET") == chunks
    assert s3.asked("HEAD") == s3.asked("PUT") == 0
    assert s3.most_at_once > 8
    assert s3.received <= 1.05 * 2 * volume.shape[0] * volume.shape[1] * volume.shape[2]


def test_of_a_shard_only_what_a_region_needs_is_read(s3, stores):
    uri = uploaded(stores / "v3", f"s3+{s3.endpoint}/{BUCKET}/parts")
    volume = open_volume(find(uri))
    s3.forget()
    volume.read(Roi((0, 0, 0), (16, 32, 32)))
    index = 16 * 8 + 4
    assert s3.asked("GET") == 2
    assert s3.received == 2 * 16 * 32 * 32 + index
