"""Who is answered, and who is not: the real server of the viewer, asked by hand."""

import http.client
import json

import numpy as np
import pytest

from blockseg.core.space import Space
from blockseg.io.protocol import MemoryVolume
from blockseg.viewing.layers import Layer, View
from blockseg.viewing.served_volume import ServedLevel, ServedVolume
from blockseg.viewing.window import Window
from blockseg.web.content import Folder

DATA = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores") / "out.zarr"
    (root / "0" / "c").mkdir(parents=True)
    (root / "0" / "c" / "7").write_bytes(DATA)
    (root / ".blockseg").mkdir()
    (root / ".blockseg" / "run.json").write_text("secret")
    (root.parent / "other.txt").write_text("secret")
    voxels = ServedLevel(MemoryVolume(np.ones((8, 8, 8), np.uint8)), (1, 1, 1))
    layers = (
        Layer("mask", "image", Folder(root, frozenset({"0"})), live=True),
        Layer("image", "image", ServedVolume((voxels,), Space())),
    )
    view = View("a test", layers, Space(), (4, 4, 4), (8, 8, 8))
    with Window(view) as opened:
        yield opened


def ask(window, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", window.guard.port, timeout=300)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in named)
    for name, value in named.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


@pytest.fixture
def chunk(window):
    return f"/data/{window.guard.token}/g0/mask/0/c/7"


@pytest.fixture
def own(window):
    return f"http://127.0.0.1:{window.guard.port}"


def test_a_page_of_its_own_is_answered(window, chunk, own):
    answer, body = ask(window, chunk, Origin=own)
    assert (answer.status, body) == (200, DATA)
    assert answer.headers["Access-Control-Allow-Origin"] == own
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}",
     "127.0.0.1.evil.example:{port}", ""],
)  # fmt: skip
def test_another_host_is_refused_everywhere(window, chunk, host):
    named = host.format(port=window.guard.port)
    page = f"/v/{window.guard.token}/"
    for path in (chunk, page, "/"):
        answer, body = ask(window, path, Host=named)
        assert answer.status in (400, 403), path
        assert DATA not in body


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1",
     "https://127.0.0.1:{port}", "http://127.0.0.1:{port}.evil.example"],
)  # fmt: skip
def test_another_origin_is_refused_everywhere(window, chunk, origin):
    named = origin.format(port=window.guard.port)
    state = f"/state/{window.guard.token}"
    for path, method in ((chunk, "GET"), (chunk, "OPTIONS"), (state, "POST")):
        answer, body = ask(window, path, method, Origin=named)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert DATA not in body


@pytest.mark.parametrize("token", ["", "x", "0" * 48, "%C3%A9"])
def test_without_the_token_nothing_is_told(window, token, own):
    known = ask(window, f"/data/{window.guard.token}/g0/none/zarr.json")[0].status
    assert known == 404
    for name in ("mask/0/c/7", "none/zarr.json"):
        path = f"/data/{token}/g0/{name}"
        assert ask(window, path, Origin=own)[0].status in (403, 404)
    assert ask(window, f"/v/{'0' * 48}/")[0].status == 404


@pytest.mark.parametrize(
    "key",
    [
        "mask/../.blockseg/run.json", "mask/.blockseg/run.json", "mask/0/../../other.txt",
        "mask/%2e%2e/other.txt", "mask/0/%2e%2e/%2e%2e/other.txt", "mask/..%2fother.txt",
        "mask//etc/passwd", "mask/0/c/7%00", "other/0/c/7", "../other.txt",
    ],
)  # fmt: skip
def test_no_file_beside_the_stores_is_served(window, key):
    answer, body = ask(window, f"/data/{window.guard.token}/g0/{key}")
    assert answer.status == 404
    assert b"secret" not in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    ("span", "status", "start", "stop"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, None),
        ("bytes=-20", 206, -20, None),
        ("bytes=-999999", 200, 0, None),
        ("bytes=0-999999", 200, 0, None),
        ("bytes=0-1,4-5", 200, 0, None),
        ("items=0-1", 200, 0, None),
    ],
)
def test_ranges_are_parts_of_the_whole(window, chunk, own, span, status, start, stop):
    answer, body = ask(window, chunk, Range=span, Origin=own)
    assert (answer.status, body) == (status, DATA[start:stop])
    if status == 206:
        first = start % len(DATA)
        said = f"bytes {first}-{first + len(body) - 1}/{len(DATA)}"
        assert answer.headers["Content-Range"] == said
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]


def test_a_range_beyond_the_end_is_told(window, chunk):
    answer, _ = ask(window, chunk, Range=f"bytes={len(DATA)}-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


def test_a_head_has_the_length_and_no_body(window, chunk):
    answer, body = ask(window, chunk, "HEAD")
    assert (answer.status, body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(DATA))


def test_a_browser_may_ask_for_the_end_of_a_shard(window, chunk, own):
    answer, _ = ask(
        window, chunk, "OPTIONS", Origin=own, Access_Control_Request_Headers="range"
    )
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Headers"] == "Range"


def test_what_changed_has_another_address_and_what_did_not_keeps_it(window):
    before = window.addresses()
    window.renew()
    after = window.addresses()
    assert before["image"] == after["image"]
    assert before["mask"] != after["mask"]
    said = json.dumps(window.state_plain())
    assert window.guard.token not in said
    assert "blockseg:mask" in said
    path = after["mask"].partition(str(window.guard.port))[2]
    assert ask(window, f"{path}0/c/7")[1] == DATA
