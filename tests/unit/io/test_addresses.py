"""Addresses of objects: what they name, what is refused, and what is never shown."""

import pickle

import pytest

from blockseg.core.choices import StoreChoices
from blockseg.core.errors import BlocksegError, ConfigError, VolumeError
from blockseg.io.stores.address import Address, addressed, is_remote, redacted
from blockseg.io.stores.location import RemotePath, inner_of, location

LONG = "s3+https://region=eu-west-1;anonymous@minio.lab:9000/brains/a/b.zarr"


@pytest.mark.parametrize(
    "text",
    [
        "s3://brains/a/b.zarr",
        "s3://anonymous@brains/a",
        LONG,
        "s3+http://127.0.0.1:5000/brains/a",
        "gs://brains/a/b",
        "az://brains/a/b",
        "https://example.org/a/b.zarr",
        "http://example.org:8080/a%20b",
    ],
)
def test_an_address_is_the_same_after_it_was_read(text):
    address = Address.parse(text)
    assert str(address) == text
    assert Address.parse(str(address)) == address


def test_slashes_that_say_nothing_are_left_out():
    assert str(Address.parse("s3://brains//a/b/")) == "s3://brains/a/b"


def test_what_a_user_chose_stands_in_the_address_and_only_there():
    chosen = StoreChoices("https://minio.lab:9000", "eu-west-1", anonymous=True)
    assert addressed("s3://brains/a/b.zarr", chosen) == LONG
    assert addressed("/a/b.zarr", chosen) == "/a/b.zarr"
    assert addressed("https://example.org/a", chosen) == "https://example.org/a"
    assert addressed("gs://brains/a", chosen) == "gs://anonymous@brains/a"
    assert addressed(LONG, StoreChoices("https://other")) == LONG


def test_nobody_writes_without_credentials():
    chosen = StoreChoices(anonymous=True)
    assert addressed("s3://brains/out", chosen, written=True) == "s3://brains/out"


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAKEY:hunter2@brains/a",
        "s3+https://AKIAKEY:hunter2@minio.lab/brains/a",
        "https://me:hunter2@example.org/a",
        "https://example.org/a?X-Amz-Signature=hunter2",
        "az://brains/a?sig=hunter2".replace("az", "https"),
        "https://example.org/a#hunter2",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(text):
    with pytest.raises(VolumeError, match="credentials") as refused:
        Address.parse(text)
    assert "hunter2" not in str(refused.value)
    assert "AKIAKEY" not in str(refused.value)
    assert "hunter2" not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://example.org/a",
        "s4://brains/a",
        "gs+https://minio.lab/brains/a",
        "s3://",
        "s3:///a",
        "s3://b!/a",
        "s3+https://minio.lab",
        "s3://brains/a/../../other",
        "https://",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(text):
    with pytest.raises(BlocksegError) as refused:
        Address.parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "minio.lab:9000",
        "https://me:hunter2@minio.lab",
        "https://minio.lab/path",
        "ftp://x",
    ],
)
def test_an_endpoint_states_its_scheme_and_no_secret(endpoint):
    with pytest.raises(ConfigError, match="endpoint") as refused:
        addressed("/a/path/even", StoreChoices(endpoint))
    assert "hunter2" not in str(refused.value)


def test_paths_and_other_uris_are_no_addresses():
    for text in ("/a/b", "a:b", "file:///a", "constant://1,1,1/uint8/0", "C:\\a"):
        assert not is_remote(text)


def test_a_place_in_a_store_goes_as_a_path_does():
    place = location("s3://brains/a/b.zarr")
    assert isinstance(place, RemotePath)
    assert str(place / "c" / "0/1") == "s3://brains/a/b.zarr/c/0/1"
    assert (place.name, place.suffix) == ("b.zarr", ".zarr")
    assert str(place.parent) == "s3://brains/a"
    assert [str(one) for one in place.parents] == ["s3://brains/a", "s3://brains"]
    assert inner_of(place / "c/0", place) == "c/0"
    assert str(place.with_name("d")) == "s3://brains/a/d"
    assert pickle.loads(pickle.dumps(place)) == place
    with pytest.raises(ValueError, match="subpath"):
        inner_of(place, location("s3://brains/other"))
    with pytest.raises(ValueError, match="below"):
        inner_of(place, location("s3://others/a"))
