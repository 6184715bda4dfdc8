"""Runs from and to stores, through the command line: the bytes, resume, and refusals."""

import hashlib
import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from blockseg.io.stores.location import RemotePath, location
from tests.e2e.stores.servers import BUCKET, stored, uploaded, web_server

PART = ("--roi", "0:128,0:128,0:128")
HOW = ("--block", "64,64,64", "--scheduler", "serial", "-q")
WHOLE = ("--backend", "fake", *HOW, *PART)
RUN = ("--no-metrics", *WHOLE)
DERIVED = (".blockseg/", "report.html")


def _content(out):
    """Return the hash of every file of an output but its notes."""
    place = location(str(out))
    if isinstance(place, RemotePath):
        files = {name: (place / name).read_bytes() for name, _ in place.below()}
    else:
        files = {
            path.relative_to(place).as_posix(): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file()
        }
    return {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if not name.startswith(DERIVED)
    }


@pytest.fixture(scope="session")
def all_on_disk(brain, tmp_path_factory, blockseg_command):
    """What the run of a disk writes to a disk."""
    from tests.e2e.conftest import Blockseg

    folder = tmp_path_factory.mktemp("disk")
    Blockseg(folder, blockseg_command)("run", brain, "out.zarr", *WHOLE)
    return _content(folder / "out.zarr")


@pytest.fixture(scope="session")
def on_disk(all_on_disk):
    """The same without the metrics, which take most of the requests of a small run."""
    kept = all_on_disk.items()
    return {name: found for name, found in kept if not name.startswith("blocks/")}


def _out(s3, name):
    return f"s3+{s3.endpoint}/{BUCKET}/{name}/out.zarr"


def test_a_run_in_a_store_writes_the_bytes_that_it_writes_to_a_disk(
    blockseg, s3, brain, all_on_disk
):
    source = uploaded(brain, f"s3+{s3.endpoint}/{BUCKET}/whole/brain.zarr")
    out = _out(s3, "whole")
    blockseg("run", source, out, *WHOLE)
    assert _content(out) == all_on_disk
    status = json.loads(blockseg("status", out, "--json").output)
    assert status["state"] == "complete"
    assert f"Sound: {out}" in blockseg("verify", out).output
    assert "done 8, failed 0" in blockseg("logs", out).output
    picture = Path(blockseg("preview", out).output.strip())
    assert picture.read_bytes()[:4] == b"\x89PNG"
    names = [name for name, _ in stored(out).below() if name.startswith(".blockseg/")]
    assert {".blockseg/run.json", ".blockseg/ledger.sqlite"} <= set(names)
    assert ".blockseg/claim.json" not in names


def test_a_run_of_a_web_server_writes_the_same(blockseg, brain, on_disk):
    with web_server(brain.parent) as url:
        blockseg("run", f"{url}/{brain.name}", "out.zarr", *RUN)
    assert _content(blockseg.folder / "out.zarr") == on_disk


def test_endpoint_and_region_come_from_options_too(blockseg, s3, brain):
    uploaded(brain / "1", f"s3+{s3.endpoint}/{BUCKET}/options/level.zarr")
    options = ("--endpoint", s3.endpoint, "--region", "eu-west-1")
    short = f"s3://{BUCKET}/options/level.zarr"
    text = blockseg("info", short, *options).output
    assert "run would take" in text
    long = f"s3+http://region=eu-west-1@{s3.endpoint[7:]}/{BUCKET}/options/level.zarr"
    assert text.startswith(f"{long}\n")
    refused = blockseg("info", short, *options, "--anonymous", code=1).output
    assert "the store refuses it without credentials (403)" in refused


def test_a_store_that_fails_is_gone_on_with_from_another_machine(
    blockseg, s3, brain, on_disk, monkeypatch
):
    out = _out(s3, "stopped")
    written = []

    def full_after_a_few(method, path, _):
        if method == "PUT" and "/out.zarr/0/c/" in path:
            written.append(path)
            return "403" if len(written) > 5 else ""
        return ""

    s3.fault = full_after_a_few
    stopped = blockseg("run", brain, out, *RUN, code=3)
    assert "make it writable again and run the same command again" in stopped.output
    first = written[:5]
    s3.fault = lambda *_: ""
    s3.forget()
    monkeypatch.setenv("BLOCKSEG_STATE", str(blockseg.folder / "elsewhere"))
    blockseg("run", brain, out, *RUN)
    assert _content(out) == on_disk
    again = [path for path in first if s3.asked("PUT", path)]
    assert len(again) <= 1  # its foreground was not written when the run stopped


def test_a_driver_that_is_killed_is_gone_on_with(blockseg, s3, brain, on_disk):
    out = _out(s3, "killed")
    s3.fault = lambda method, *_: "slow" if method == "PUT" else ""
    driver = blockseg.start("run", brain, out, *RUN)
    place, deadline = stored(out) / "0" / "c", time.monotonic() + 300
    while len(list(place.below())) < 3:
        assert time.monotonic() < deadline
        assert driver.poll() is None, driver.stdout.read()
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    s3.fault = lambda *_: ""
    blockseg("run", brain, out, *RUN)
    assert _content(out) == on_disk


def test_objects_that_are_gone_or_damaged_are_made_again(blockseg, s3, brain, on_disk):
    out = _out(s3, "damaged")
    blockseg("run", brain, out, *RUN)
    voxels = sorted(name for name, _ in (stored(out) / "0/c").below())
    (stored(out) / "0/c" / voxels[0]).unlink()
    (stored(out) / "0/c" / voxels[1]).write_bytes(b"?")
    state = json.loads(blockseg("status", out, "--json").output)
    assert state["state"] == "damaged"
    assert len(state["damaged"]) == 2
    s3.forget()
    blockseg("run", brain, out, *RUN)
    assert s3.asked("PUT", "/out.zarr/0/c/") == 2
    assert _content(out) == on_disk


def test_a_source_that_changed_in_its_store_is_noticed(blockseg, s3, brain):
    source = uploaded(brain, f"s3+{s3.endpoint}/{BUCKET}/changing/brain.zarr")
    blockseg("run", source, "out.zarr", *RUN)
    name = next(name for name, _ in (stored(source) / "0/c").below())
    chunk = stored(source) / "0/c" / name
    content = bytearray(chunk.read_bytes())
    content[0] ^= 1
    chunk.write_bytes(bytes(content))
    text = blockseg("run", source, "out.zarr", *RUN, code=1).output
    assert f"the source changed: 0/c/{name}" in text


def test_another_machine_at_work_is_left_alone(blockseg, s3, brain):
    out = _out(s3, "claimed")
    claim = stored(out) / ".blockseg" / "claim.json"
    claim.write_bytes(b'{"host": "another.example.org", "pid": 7}')
    (stored(out) / ".blockseg" / "copied.json").write_bytes(b'{"copy": "x"}')
    text = blockseg("run", brain, out, *RUN, code=1).output
    assert "process 7 on another.example.org is writing" in text
    assert claim.is_file()


def test_an_output_that_was_deleted_is_begun_anew(blockseg, s3, brain, on_disk):
    out = _out(s3, "deleted")
    blockseg("run", brain, out, *RUN)
    stored(out).delete_below()
    assert "no output" in blockseg("status", out, code=1).output
    blockseg("run", brain, out, *RUN)
    assert _content(out) == on_disk


def test_overwrite_leaves_nothing_of_the_earlier_run(blockseg, s3, brain, on_disk):
    out = _out(s3, "anew")
    blockseg("run", brain, out, *RUN[:-1], "0:64,0:64,0:64")
    (stored(out) / "notes.txt").write_bytes(b"of an earlier run")
    blockseg("run", brain, out, *RUN, "--overwrite")
    assert _content(out) == on_disk


def test_a_ledger_elsewhere_is_copied_too(blockseg, s3, brain, on_disk, monkeypatch):
    out = _out(s3, "ledger")
    blockseg("run", brain, out, *RUN, "--ledger", "mine.sqlite")
    assert (blockseg.folder / "mine.sqlite").is_file()
    monkeypatch.setenv("BLOCKSEG_STATE", str(blockseg.folder / "elsewhere"))
    (blockseg.folder / "mine.sqlite").unlink()
    s3.forget()
    blockseg("run", brain, out, *RUN)
    assert s3.asked("PUT", "/out.zarr/0/c/") == 0
    assert _content(out) == on_disk


def test_a_copy_goes_from_store_to_store(blockseg, s3, brain):
    source = uploaded(brain, f"s3+{s3.endpoint}/{BUCKET}/copied/brain.zarr")
    out = _out(s3, "copied")
    blockseg("convert", source, out, *HOW, *PART)
    blockseg("convert", brain, "here.zarr", *HOW, *PART)
    assert _content(out) == _content(blockseg.folder / "here.zarr")


def test_a_volume_in_a_store_is_exported_to_a_file(blockseg, s3, brain):
    source = uploaded(brain, f"s3+{s3.endpoint}/{BUCKET}/exported/brain.zarr")
    how = ("--voxel-size", "5", "--scheduler", "serial", "-q")
    blockseg("export", source, "-o", "store.tif", *how)
    blockseg("export", brain, "-o", "disk.tif", *how)
    store, disk = (blockseg.folder / name for name in ("store.tif", "disk.tif"))
    assert np.array_equal(tifffile.imread(store), tifffile.imread(disk))


ANSWERS = {
    "expired": ("400", "ExpiredToken", "the credentials have expired"),
    "wrong key": ("403", "InvalidAccessKeyId", "the credentials were not accepted"),
    "refused": ("403", "AccessDenied", "the store refuses it"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_a_store_refuses_is_said_in_one_line(blockseg, s3, kind):
    status, code, said = ANSWERS[kind]
    s3.fault = lambda *_: f"{status} {code}"
    done = blockseg("run", f"s3+{s3.endpoint}/{BUCKET}/x", "out.zarr", *RUN, code=1)
    assert said in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (blockseg.folder / "out.zarr").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("run", "s3+{0}/no-such-bucket/x", "out"),
            "there is no bucket no-such-bucket",
        ),
        (("run", "s3+{0}/brains/no-such-key", "out"), "does not exist"),
        (("run", "s3+http://127.0.0.1:9/brains/x", "out"), "cannot be reached"),
        (("run", "http://127.0.0.1:9/x.zarr", "out"), "cannot be reached"),
        (("run", "ftp://example.org/x", "out"), "s3://, gs://, az://"),
        (("run", "s3://KEY:hunter2@brains/x", "out"), "carries credentials"),
        (("run", "{1}", "http://127.0.0.1:9/out.zarr"), "cannot be written to"),
        (("run", "{1}", "s3+{0}/brains"), "is a whole bucket"),
        (("run", "{1}", "s3+{0}/no-such-bucket/out"), "there is no bucket"),
        (("label", "s3+{0}/brains/out"), "does not work yet"),
        (("skeletonize", "s3+{0}/brains/out"), "does not work yet"),
        (("view", "s3+{0}/brains/out"), "does not work yet"),
        (("status", "s3+{0}/brains/none"), "is no output of blockseg"),
        (("info", "{1}", "--endpoint", "minio.lab:9000"), "is no address of a server"),
    ],
)
def test_bad_addresses_are_refused_in_one_line(blockseg, s3, brain, arguments, said):
    words = [word.format(s3.endpoint, brain) for word in arguments]
    more = RUN if words[0] == "run" else ()
    done = blockseg(*words, *more, code=1)
    assert said in done.output
    assert "hunter2" not in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not any(blockseg.folder.glob("out*"))


def test_nothing_of_what_was_typed_for_a_store_is_made_on_the_disk(blockseg, s3, brain):
    shutil.rmtree(blockseg.folder / "state", ignore_errors=True)
    blockseg("plan", brain, _out(s3, "planned"), "--backend", "fake")
    assert not list(stored(_out(s3, "planned")).below())
    assert {path.name for path in blockseg.folder.iterdir()} <= {"state"}


def test_blocks_fetch_little_more_than_their_voxels(blockseg, s3, brain):
    source = uploaded(brain, f"s3+{s3.endpoint}/{BUCKET}/fetched/brain.zarr")
    needed = sum(size for _, size in (stored(source) / "0/c").below())
    words = (source, "out.zarr", "--backend", "fake", "--block", "64,64,64")
    s3.forget()
    blockseg("plan", *words)
    planning, questions = s3.received, s3.asked("GET", "/0/c/")
    s3.forget()
    blockseg("run", *words, "--scheduler", "serial", "--no-metrics", "-q")
    blocks = 2 * 3 * 4
    assert s3.received - planning <= 1.5 * needed
    assert s3.asked("GET", "/0/c/") - questions <= 8 * blocks
    assert s3.asked("GET", "list-type") <= 2
