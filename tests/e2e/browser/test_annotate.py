"""The page of ``blockseg annotate``, by mouse and keys, and what it leaves on the disk."""

import http.client
import json
import re
import shutil
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from scipy import ndimage

pytestmark = pytest.mark.slow

SHAPE = (64, 64, 128)
WAIT = 300


@pytest.fixture(scope="module")
def made(tmp_path_factory, blockseg_command):
    """Two picks of a run that saw bright lines, and traces of it."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    image = rng.normal(200, 10, SHAPE)
    for z, y in ((20, 20), (32, 32), (45, 50)):
        image[z : z + 3, y : y + 3, 4:60] += 300
        image[z : z + 3, y : y + 3, 70:124] += 300
    tifffile.imwrite(folder / "brain.tif", image.astype(np.uint16))
    commands = (
        ("run", "brain.tif", "out.zarr", "--voxel-size", "1,1,1", "--backend", "fake",
         "--normalization", "200,40", "--block", "64,64,64"),
        ("label", "out.zarr"),
        ("skeletonize", "out.zarr"),
    )  # fmt: skip
    for command in commands:
        words = [
            str(folder / w) if w in ("brain.tif", "out.zarr") else w for w in command
        ]
        call(blockseg_command, *words, "--scheduler", "serial", "-q")
    call(
        blockseg_command, "propose-annotations", folder / "out.zarr", "-o",
        folder / "picks", "--count", "2", "--pick-shape", "64", "-q",
    )  # fmt: skip
    return folder


def call(command, *words):
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.output


@pytest.fixture
def picks(made, tmp_path):
    shutil.copytree(made / "picks", tmp_path / "picks")
    return tmp_path / "picks"


def serve(blockseg, *words):
    """Start the page and return the process and its address."""
    process = blockseg.start("annotate", *words, "--no-browser")
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise AssertionError(process.wait())


class Page:
    """The page as a user has it."""

    def __init__(self, chrome, address):
        from selenium.webdriver import ActionChains, Keys

        self.chrome, self.Chains, self.Keys = chrome, ActionChains, Keys
        chrome.get(address)
        self.until("return document.body.dataset.open")
        z, y, x = self("return blockseg.state.cursor")
        assert self(
            "return blockseg.volume.label[blockseg.volume.index(...arguments)]", z, y, x
        )
        # Of lines along x all places are as good; the tests count on the middle.
        self("blockseg.state.cursor = [32, 32, 32]")
        self.keys(Keys.ARROW_DOWN, Keys.ARROW_UP)

    def __call__(self, script, *values):
        return self.chrome.execute_script(script, *values)

    def until(self, script, *values):
        end = time.monotonic() + WAIT
        while not (found := self(script, *values)):
            assert time.monotonic() < end, self("return document.body.innerText")
            time.sleep(0.02)
        return found

    def keys(self, *keys):
        chain = self.Chains(self.chrome, duration=20)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def undo(self, *, redo=False):
        chain = self.Chains(self.chrome, duration=20).key_down(self.Keys.CONTROL)
        chain = chain.key_down(self.Keys.SHIFT) if redo else chain
        chain = chain.send_keys("z").key_up(self.Keys.CONTROL)
        (chain.key_up(self.Keys.SHIFT) if redo else chain).perform()

    def offset(self, view, voxel):
        """Return where a voxel is, from the middle of its view."""
        return self(
            "const v = blockseg.views.find(v => v.kind === arguments[0]);"
            "const r = v.canvas.width / v.canvas.getBoundingClientRect().width;"
            "return v.screen(arguments[1]).map((n, k) =>"
            " Math.round((n - (k ? v.canvas.height : v.canvas.width) / 2) / r))",
            view,
            voxel,
        )

    def drag(self, view, *voxels):
        """Press at the first voxel, move over the others, let go."""
        canvas = self.chrome.find_element("id", f"view-{view}")
        chain = self.Chains(self.chrome, duration=20)
        chain.move_to_element_with_offset(canvas, *self.offset(view, voxels[0]))
        chain.click_and_hold()
        for voxel in voxels[1:]:
            chain.move_to_element_with_offset(canvas, *self.offset(view, voxel))
        chain.release().perform()
        self.saved()

    def saved(self):
        self.until("return !blockseg.saver.pending")
        assert self("return document.getElementById('saved').dataset.state") == "saved"


def label_of(picks, name):
    return tifffile.imread(picks / "label" / f"{name}.tif")


def manifest(picks):
    rows = json.loads((picks / "manifest.json").read_text())["picks"]
    return {row["name"]: row for row in rows}


def test_every_stroke_is_on_the_disk_and_can_be_taken_back(chrome, blockseg, picks):
    process, address = serve(blockseg, picks)
    page = Page(chrome, address)
    name = page("return document.body.dataset.open")
    draft = label_of(picks, name)
    page.keys("1", "[", "[")  # one voxel wide
    page.drag("z", (32, 10, 5), (32, 10, 55))
    painted = draft.copy()
    painted[32, 10, 5:56] = 1
    np.testing.assert_array_equal(label_of(picks, name), painted)
    kept = picks / ".blockseg" / "drafts" / f"{name}.tif"
    np.testing.assert_array_equal(tifffile.imread(kept), draft)
    page.keys("2", "]")
    page.drag("y", (32, 10, 30), (32, 10, 31))  # a disk in the plane of x and z
    erased = painted.copy()
    erased[31:34, 10, 29:33] = 0
    changed = label_of(picks, name)
    assert (changed <= painted).all()
    assert (changed >= erased).all()
    assert changed[32, 10, 30] == changed[32, 10, 31] == 0
    page.keys("3")
    page.drag("x", (20, 60, 32), (22, 60, 32))
    assert (label_of(picks, name)[20:23, 60] == 255).any()
    for _ in range(3):
        page.undo()
    page.saved()
    np.testing.assert_array_equal(label_of(picks, name), draft)
    page.undo(redo=True)
    page.saved()
    np.testing.assert_array_equal(label_of(picks, name), painted)
    assert page("return blockseg.frames.draw.length") > 0
    assert not [line for line in chrome.get_log("browser") if line["level"] == "SEVERE"]
    process.terminate()
    assert process.wait(300) == 0
    assert not list((picks / "label").glob("*.part"))


def test_a_flood_takes_what_is_linked_above_the_threshold_and_a_brush_within_it(
    chrome, blockseg, picks
):
    _, address = serve(blockseg, picks)
    page = Page(chrome, address)
    name = page("return document.body.dataset.open")
    seen = tifffile.imread(picks / "probability" / f"{name}.tif")
    draft = label_of(picks, name)
    parts, _ = ndimage.label(seen >= 128, np.ones((3, 3, 3)))
    z, y, x = (int(n) for n in np.argwhere(parts == parts[parts > 0][0])[20])
    # First everything is erased, by the same tool on the label.
    page("blockseg.state.cursor = arguments[0]", [z, y, x])
    page.keys(page.Keys.ARROW_DOWN, page.Keys.ARROW_UP, "5")
    chain = page.Chains(chrome, duration=20).key_down(page.Keys.SHIFT)
    canvas = chrome.find_element("id", "view-z")
    at = page.offset("z", [z, y, x])
    chain.move_to_element_with_offset(canvas, *at).click().key_up(page.Keys.SHIFT)
    chain.perform()
    page.saved()
    labelled, _ = ndimage.label(draft == 1, np.ones((3, 3, 3)))
    without = np.where(labelled == labelled[z, y, x], 0, draft)
    np.testing.assert_array_equal(label_of(picks, name), without)
    page.drag("z", (z, y, x))
    flooded = np.where(parts == parts[z, y, x], 1, without)
    np.testing.assert_array_equal(label_of(picks, name), flooded)
    page.undo()
    page.saved()
    page.keys("4", "]", "]", "v")
    page.drag("z", (z, y, x), (z, y, x + 4))
    brushed = label_of(picks, name)
    new = (brushed == 1) & (without != 1)
    assert new.any()
    assert (seen[new] >= 128).all()
    assert np.ptp(np.argwhere(new)[:, 0]) > 0, "a ball reaches other planes"


def test_done_and_skipped_picks_and_the_time_spent_stand_in_the_manifest(
    chrome, blockseg, picks
):
    process, address = serve(blockseg, picks)
    page = Page(chrome, address)
    first = page("return document.body.dataset.open")
    page.drag("z", (32, 10, 5), (32, 10, 25))
    page.keys("d")
    second = page.until(
        "const o = document.body.dataset.open; return o !== arguments[0] && o", first
    )
    page.keys("s")
    page.until("return blockseg.state.picks.every(p => p.state)")
    assert "1 of 2 done, 1 skipped" in page("return document.body.innerText")
    # Work of a tenth of a second or more is told when the page goes on to another pick.
    page.until(
        "return blockseg.state.picks.find(p => p.name === arguments[0]).minutes > 0",
        first,
    )
    rows = manifest(picks)
    assert rows[first]["state"] == "done"
    assert rows[second]["state"] == "skipped"
    assert rows[first]["minutes"] > 0
    refused = blockseg(
        "propose-annotations", picks.parent / "nothing", "-o", picks, "--update", code=1
    )
    assert refused.exit_code == 1
    process.terminate()
    rest = process.stdout.read()
    assert process.wait(300) == 0
    assert "1 of 2 picks done, 1 skipped" in rest
    trained = blockseg(
        "train", picks, "-o", "RUN", "--steps", "1", "--batch", "1", "--patch", "16",
        "--width", "2", "--validation-share", "0", "--workers", "0", "--threads", "1",
    )  # fmt: skip
    assert "1 of 2 picks were skipped and are left out" in trained.output


def test_traces_are_split_joined_deleted_and_accepted_on_the_page(
    chrome, blockseg, made, picks
):
    _, address = serve(blockseg, picks, "--traces", made / "out.zarr")
    page = Page(chrome, address)
    folder = picks / "traces"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before
    trace, at = page(
        "const t = blockseg.traces.traces.toSorted("
        "(a, b) => b.nodes.length - a.nodes.length)[0];"
        "const n = [...t.byId.values()].filter(n => t.byId.has(n.parent))[8];"
        "return [t.name, n.at]"
    )
    page("blockseg.state.cursor = arguments[0].map(Math.round)", at)
    page.keys(page.Keys.ARROW_DOWN, page.Keys.ARROW_UP, "6")
    canvas = chrome.find_element("id", "view-z")
    page.Chains(chrome, duration=20).move_to_element_with_offset(
        canvas, *page.offset("z", at)
    ).click().perform()
    page.until("return blockseg.traces.chosen")
    assert page("return blockseg.traces.chosen.trace") == trace
    page.keys("a")
    page.until("return blockseg.traces.traces.some(t => t.accepted)")
    assert "# accepted: yes" in (folder / f"{trace}.swc").read_text()
    page.keys("x")
    page.until("return blockseg.traces.traces.some(t => t.name.endsWith('-2'))")
    assert (folder / f"{trace}-2.swc").exists()
    page.keys("u")
    page.until("return !blockseg.traces.traces.some(t => t.name.endsWith('-2'))")
    page.keys("u")
    page.until("return !blockseg.traces.traces.some(t => t.accepted)")
    assert {path.name for path in folder.iterdir()} == before.keys()
    kept = picks / ".blockseg" / "traces" / f"{trace}.swc"
    assert kept.read_bytes() == before[f"{trace}.swc"]


def request(address, path="", headers=None, method="GET"):
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=300)
    connection.request(method, path or place.path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_others_are_refused_and_nothing_else_is_served(blockseg, picks):
    _, address = serve(blockseg, picks)
    place = urlsplit(address)
    inside = place.path
    assert request(address)[0] == 200
    for path in ("/", "/api/picks", "/wrong/api/picks", "/wrong/"):
        assert request(address, path)[0] in (403, 404), path
    assert request(address, "/wrong/api/picks")[0] == 403
    for headers in (
        {"Host": f"evil.example:{place.port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
    ):
        assert request(address, f"{inside}api/picks", headers)[0] == 403, headers
    own = {"Origin": f"http://127.0.0.1:{place.port}"}
    assert request(address, f"{inside}api/picks", own)[0] == 200
    for path in (
        "../manifest.json",
        "%2e%2e/manifest.json",
        "api/pick/%2e%2e%2fmanifest/image",
        "api/pick/..%2f..%2fetc%2fpasswd/label",
        "session.py",
        "__init__.py",
    ):
        status, body = request(address, inside + path)
        assert status in (403, 404, 409), path
        assert b"picks" not in body or status == 409


def test_two_windows_cannot_overwrite_each_other(blockseg, picks):
    _, address = serve(blockseg, picks)
    path = urlsplit(address).path
    name = next(iter(manifest(picks)))
    draft = label_of(picks, name)
    stroke = np.array([5, 3, 255], "<u4").tobytes()

    def post(revision, body=stroke):
        place = urlsplit(address)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=300)
        connection.request("POST", f"{path}api/pick/{name}/stroke/{revision}", body)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    assert post(0) == (200, {"revision": 1})
    drawn = draft.copy()
    drawn.reshape(-1)[5:8] = 255
    np.testing.assert_array_equal(label_of(picks, name), drawn)
    status, said = post(0)
    assert status == 409
    assert "reload the page" in said["error"]
    for body in (stroke[:5], np.array([2**30, 3, 1], "<u4").tobytes(),
                 np.array([0, 3, 7], "<u4").tobytes()):  # fmt: skip
        assert post(1, body)[0] == 409
    np.testing.assert_array_equal(label_of(picks, name), drawn)


def test_the_button_trains_with_live_curves(
    chrome, blockseg, picks, save_bright_network
):
    save_bright_network(blockseg.folder / "tiny.safetensors", 5.0)
    (blockseg.folder / "quick.yaml").write_text(
        "steps: 4\nbatch: 1\npatch: 16\nvalidation-share: 0\nworkers: 0\nthreads: 1\n"
        "accept-drafts: true\n"
    )
    _, address = serve(
        blockseg,
        picks,
        "--train",
        "RUN",
        "--train-config",
        "quick.yaml",
        "--init",
        "tiny.safetensors",
    )
    page = Page(chrome, address)
    assert "blockseg train" in page("return document.body.textContent")
    page("document.getElementById('training-start').click()")
    page.until("return blockseg.training.last.state === 'done'")
    assert page("return blockseg.training.last.loss.length") > 0
    assert (blockseg.folder / "RUN" / "best.safetensors").is_file()


def test_a_folder_that_is_none_is_refused_in_one_line(blockseg, picks):
    for words, said in (
        (("nowhere",), "holds no manifest.json"),
        ((picks, "--init", "axons"), "--train RUN"),
        ((picks, "--port", "99999"), "below 65536"),
        ((picks, "--traces", "nowhere"), "does not exist"),
    ):
        done = blockseg("annotate", *words, "--no-browser", code=1)
        assert said in done.output
        assert done.output.count("\n") == 1
