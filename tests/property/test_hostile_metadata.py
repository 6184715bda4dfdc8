"""Whatever stands in metadata, they are read or refused; nothing else comes out."""

import json
import math
import re
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.config.train_settings import TrainSettings
from blockseg.config.yaml_text import parse_yaml
from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi
from blockseg.core.untrusted.json_text import parse_json
from blockseg.core.untrusted.sizes import whole_numbers, why_no_pieces, why_no_shape
from blockseg.io.find import find
from blockseg.io.layout import inner_path
from blockseg.io.open import open_volume
from tests.hostile.corpus import volumes

ROUNDS = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

NUMBERS = st.one_of(
    st.integers(-3, 70),
    st.integers(-(2**70), 2**70),
    st.sampled_from([10**18, 10**400, -1, 0, 2**31, 2**63]),
    st.floats(),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8),
              st.sampled_from(["", "0", "../x", "/", ".", "a\0b", "blosc", "zstd"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def places(document, before=()):
    """Yield the place of every value in a document."""
    pairs = (
        document.items() if isinstance(document, dict)
        else enumerate(document) if isinstance(document, list) else ()
    )  # fmt: skip
    for key, value in pairs:
        yield (*before, key)
        yield from places(value, (*before, key))


def replaced(document, place, value):
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


KINDS: dict[str, tuple[Any, str]] = {
    "zarr2": (
        lambda at: volumes.v2(at, {"_ARRAY_DIMENSIONS": ["z", "y", "x"]}),
        ".zarray",
    ),
    "zarr3": (volumes.v3, "zarr.json"),
    "sharded": (
        lambda at: volumes.v3(at, codecs=volumes.sharded([8] * 3)),
        "zarr.json",
    ),
    "ome": (volumes.image, "zarr.json"),
    "n5": (
        lambda at: volumes.n5(
            at, pixelResolution={"unit": "um", "dimensions": [1, 1, 1]}
        ),
        "attributes.json",
    ),
}


def read_somehow(path):
    """Read a corner of a volume, if it is one."""
    try:
        volume = open_volume(find(path))
        edges = [min(length, 4) for length in volume.shape]
        voxels = volume.read(Roi((0, 0, 0), (edges[0], edges[1], edges[2])))
    except BlocksegError:
        return
    assert voxels.shape == tuple(edges)
    size = volume.space.voxel_size
    assert volume.space.problem or all(math.isfinite(s) and s > 0 for s in size)


@pytest.mark.parametrize("kind", KINDS)
@ROUNDS
@given(data=st.data())
def test_any_value_in_the_metadata_of_a_volume(kind, tmp_path_factory, data):
    write, name = KINDS[kind]
    folder = tmp_path_factory.mktemp(kind) / "volume"
    write(folder)
    file = folder / name
    document = json.loads(file.read_text())
    place = data.draw(st.sampled_from(sorted(places(document), key=str)))
    file.write_text(json.dumps(replaced(document, place, data.draw(VALUES))))
    read_somehow(folder)


@ROUNDS
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 3))
def test_any_bytes_in_a_tiff(tmp_path_factory, patch, at, pages):
    path = tmp_path_factory.mktemp("tiff") / "brain.tif"
    tifffile.imwrite(
        path,
        np.ones((pages + 1, 16, 16), np.uint8),
        metadata=None,
        photometric="minisblack",
    )
    content = bytearray(path.read_bytes())
    content[at : at + len(patch)] = patch
    path.write_bytes(bytes(content))
    read_somehow(path)


@ROUNDS
@given(VALUES)
def test_json_is_read_as_the_standard_library_reads_it(value):
    text = json.dumps(value)
    assert json.dumps(parse_json(text)) == text
    assert json.dumps(parse_json(text.encode())) == text


@ROUNDS
@given(st.text(alphabet='[]{}":,\\1a \n', max_size=300))
def test_text_that_is_no_json_is_told_so(text):
    try:
        ours = parse_json(text)
    except ValueError:
        return
    assert json.dumps(ours) == json.dumps(json.loads(text))


@pytest.mark.parametrize("deep", [100, 101, 5000, 200_000])
@pytest.mark.parametrize("ends", ["[]", ('{"a":', "}")])
def test_documents_may_be_a_hundred_deep(deep, ends):
    opening, closing = ends
    inside = "1" if len(opening) > 1 else ""
    text = opening * deep + inside + closing * deep
    if deep <= 100:
        assert parse_json(text) == json.loads(text)
    else:
        with pytest.raises(ValueError, match="nested"):
            parse_json(text)


def test_brackets_in_texts_do_not_count():
    text = json.dumps({"a": "[" * 10_000, "b": '\\"]' * 1000, "c": [1]})
    assert parse_json(text) == json.loads(text)


def test_a_key_stands_once():
    with pytest.raises(ValueError, match="'a' twice"):
        parse_json('{"a": 1, "a": 2}')


@ROUNDS
@given(st.lists(st.integers(-(10**12), 10**12), max_size=5))
def test_shapes_that_are_taken_can_be_computed_with(shape):
    lengths = whole_numbers(shape)
    if not why_no_shape(lengths) and not why_no_pieces(lengths, lengths, 2):
        assert np.prod(lengths, dtype=object) * 2 <= 2**40 or not lengths


@ROUNDS
@given(st.text(alphabet="./a\0", max_size=12))
def test_paths_stay_inside(text):
    try:
        inner = inner_path(text)
    except ValueError:
        assert ".." in text.split("/") or "\0" in text
        return
    assert not inner.startswith("/")
    assert ".." not in inner.split("/")


SCALARS = st.one_of(NUMBERS, st.booleans(), st.none(), st.text(max_size=12))
OPTIONS = sorted(RunSettings.__slots__)
TRAINING = sorted(TrainSettings.__slots__)


@settings(ROUNDS, max_examples=300)
@given(st.data())
def test_any_value_of_an_option_is_taken_or_refused(data):
    kind, names = data.draw(
        st.sampled_from([(RunSettings, OPTIONS), (TrainSettings, TRAINING)])
    )
    value = data.draw(st.one_of(SCALARS, st.lists(SCALARS, max_size=4), VALUES))
    try:
        read_settings(kind, {data.draw(st.sampled_from(names)): value})
    except BlocksegError:
        return


@ROUNDS
@given(st.text(alphabet="ab:-&*!{}[]\n 1.#'\"|>%?<", max_size=120))
def test_any_text_is_yaml_or_refused(text):
    try:
        ours = parse_yaml(text)
    except ValueError:
        return
    theirs = yaml.safe_load(text)
    # In base 60 and nowhere else they differ.
    assert str(ours) == str(theirs) or re.search(r"\d:\d", text)


def test_yaml_of_settings_says_what_is_written():
    assert parse_yaml("a: 1:30\nb: 1_000\nc: 0x10\nd: 1.5") == {
        "a": "1:30", "b": 1000, "c": 16, "d": 1.5,
    }  # fmt: skip
    assert parse_yaml("a: &x 5\nb: *x") == {"a": 5, "b": 5}


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "a: &x [1]\nb: *x", "a: " + "9" * 50, "a: 2020-13-01"]
)
def test_yaml_that_misleads_is_refused(text):
    with pytest.raises(ValueError, match="line"):
        parse_yaml(text)


def test_a_header_of_an_n5_block_may_be_anything(tmp_path):
    folder = volumes.n5(tmp_path / "volume.n5")
    for head in (
        b"",
        b"\0",
        struct.pack(">HH", 0, 65535),
        struct.pack(">HHIII", 0, 3, 2**31, 1, 1),
    ):
        (folder / "0/0/0").write_bytes(head)
        read_somehow(folder)
