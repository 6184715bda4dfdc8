"""Which mounts count as shared with other machines."""

import pytest

from blockseg.runtime.filesystem import filesystem_type, is_network

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home {root} nfs4 rw 0 0
tmpfs {root}/local tmpfs rw 0 0
server:/b {root}/with\\040space lustre rw 0 0
old {root}/twice ext4 rw 0 0
new {root}/twice fuse.sshfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path):
    file = tmp_path / "mounts"
    file.write_text(MOUNTS.format(root=tmp_path / "m"), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("", "ext4"),
        ("m", "nfs4"),
        ("m/deep/down", "nfs4"),
        ("m/local/x", "tmpfs"),
        ("m/localhost", "nfs4"),
        ("m/with space", "lustre"),
        ("m/twice", "fuse.sshfs"),
    ],
)
def test_the_innermost_and_last_mount_decides(tmp_path, mounts, folder, kind):
    assert filesystem_type(tmp_path / folder, mounts) == kind


def test_a_system_without_a_list_of_mounts_has_no_known_types(tmp_path):
    assert filesystem_type(tmp_path, tmp_path / "none") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "lustre", "gpfs", "fuse.x"])
def test_shared_file_systems_are_known(kind):
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "overlay", "btrfs", ""])
def test_local_file_systems_are_not_shared(kind):
    assert not is_network(kind)
