"""Reads that storage fails for a moment."""

import errno

import numpy as np
import pytest
import tensorstore as ts

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.chunks.read_again import PAUSES, read_again, system_error
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.testing.trouble import Trouble


class Store:
    """Fails so many reads, then gives 42."""

    def __init__(self, times, error):
        self.left, self.error = times, error
        self.asked = 0

    def __call__(self):
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.error
        return 42


LOCAL = OSError(errno.EIO, "Input/output error")
OF_TENSORSTORE = ValueError("Error reading local file [os_error_code='5']")


@pytest.mark.parametrize(
    "error", [LOCAL, OF_TENSORSTORE], ids=["python", "tensorstore"]
)
def test_what_passes_by_itself_is_waited_for_longer_each_time(error):
    waited: list[float] = []
    store = Store(3, error)
    assert read_again(store, waited.append) == 42
    assert waited == list(PAUSES[:3])
    assert waited == sorted(waited)


def test_storage_that_fails_for_good_is_asked_a_bounded_number_of_times():
    waited: list[float] = []
    store = Store(99, LOCAL)
    with pytest.raises(OSError, match="Input/output"):
        read_again(store, waited.append)
    assert store.asked == len(PAUSES) + 1
    assert sum(waited) < 5


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Error decoding chunk"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied"),
    ],
    ids=repr,
)
def test_what_is_the_same_on_every_try_is_raised_at_once(error):
    store, waited = Store(1, error), list[float]()
    with pytest.raises(type(error)):
        read_again(store, waited.append)
    assert (store.asked, waited) == (1, [])


def test_the_number_of_the_systems_error_is_read_from_what_tensorstore_says(tmp_path):
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{tmp_path}/a/"},
    }
    (tmp_path / "a").write_text("a file where a folder should be")
    with pytest.raises(ValueError, match="os_error_code") as told:
        ts.open(spec, create=True, dtype="uint8", shape=[8]).result()
    assert system_error(told.value) == errno.ENOTDIR


@pytest.fixture
def stored(tmp_path):
    """A volume of sevens on disk."""
    path = tmp_path / "brain.zarr"
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}}
    ts.open(spec, create=True, dtype="uint16", shape=[8, 8, 8]).result()[:] = 7
    return path


def test_a_failing_disk_is_not_taken_for_damage_of_what_it_holds(stored, monkeypatch):
    def failing():
        raise OF_TENSORSTORE

    volume = open_volume(find(str(stored)))
    whole = Roi((0, 0, 0), (8, 8, 8))
    assert np.all(volume.read(whole) == 7)
    volume = open_volume(find(str(stored)))
    monkeypatch.setattr(volume, "_begin_read", lambda _: failing)
    with pytest.raises(VolumeError, match="cannot be read") as told:
        volume.read(whole)
    assert not isinstance(told.value, CorruptDataError)


def test_trouble_of_the_fake_comes_once_where_it_is_told_so(tmp_path):
    trouble = Trouble(marked="raise", once=str(tmp_path / "once"))
    dark, bright = np.zeros((2, 2, 2)), np.full((2, 2, 2), 1e6)
    trouble.meet(dark)
    with pytest.raises(RuntimeError, match="told to fail"):
        trouble.meet(bright)
    trouble.meet(bright)
