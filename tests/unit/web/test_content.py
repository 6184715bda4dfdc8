"""Files that are handed out, and those that are not."""

import pytest

from blockseg.web.content import Folder


def wanted():
    return True


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "out.zarr"
    (root / "0" / "c").mkdir(parents=True)
    (root / "0" / "c" / "7").write_bytes(b"chunk")
    (root / "0" / ".zarray").write_bytes(b"{}")
    (root / "0" / ".secret").write_bytes(b"no")
    (root / ".blockseg").mkdir()
    (root / ".blockseg" / "run.json").write_bytes(b"no")
    (root / "tables").mkdir()
    (root / "tables" / "objects.csv").write_bytes(b"no")
    (tmp_path / "beside").write_bytes(b"no")
    (root / "0" / "out").symlink_to(tmp_path / "beside")
    (root / "0" / "up").symlink_to(tmp_path)
    (root / "0" / "in").symlink_to(root / "0" / "c" / "7")
    (root / "0" / "loop").symlink_to(root / "0" / "loop")
    return Folder(root, frozenset({"0", ".zattrs"}))


@pytest.mark.parametrize("key", ["0/c/7", "0/.zarray", "0/in"])
def test_what_was_asked_for_is_handed_out(folder, key):
    content = folder.open(key, wanted)
    assert content.read(0, content.size) == folder.root.joinpath(key).read_bytes()


@pytest.mark.parametrize(
    "key",
    [
        "", "0", "0/", "0/c", "/0/c/7", "0//c/7", "0/./c/7", "0/c/../c/7",
        "../beside", "0/../../beside", "0/out", "0/up/beside", "0/loop", "0/.secret",
        ".blockseg/run.json", "tables/objects.csv", "0/..\\..\\beside", "0/c/7\0",
        "0/c/8", "C:/x", "0/" + "x" * 5000,
    ],
)  # fmt: skip
def test_nothing_else_is(folder, key):
    assert folder.open(key, wanted) is None


def test_a_store_that_is_itself_a_link_is_served(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder.root)
    content = Folder(link, frozenset({"0"})).open("0/c/7", wanted)
    assert content is not None
    assert content.size == 5
