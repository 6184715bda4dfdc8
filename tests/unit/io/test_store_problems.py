"""What stores and their clients say, told in one line and by the right kind of error."""

import errno

import pytest

from blockseg.io.stores.address import Address
from blockseg.io.stores.problems import store_error, why_unread

ADDRESS = Address.parse("s3://brains/a/b.zarr")


class PermissionDeniedError(Exception):
    """A client's, by its name."""


class UnauthenticatedError(Exception):
    """Another one."""


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            FileNotFoundError("Object at location a not found"),
            FileNotFoundError,
            "exist",
        ),
        (FileNotFoundError("<Code>NoSuchBucket</Code>"), OSError, "no bucket brains"),
        (PermissionDeniedError("403 Forbidden"), PermissionError, "(403)"),
        (UnauthenticatedError("401"), PermissionError, "(401)"),
        (Exception("<Code>ExpiredToken</Code>"), PermissionError, "have expired"),
        (Exception("<Code>SignatureDoesNotMatch"), PermissionError, "not accepted"),
        (Exception("error trying to connect: dns error"), OSError, "cannot be reached"),
        (
            Exception("GET http://169.254.169.254/latest"),
            PermissionError,
            "no credentials",
        ),
        (Exception("status code: 301 Moved"), OSError, "--region"),
        (Exception("status code: 500 Internal"), OSError, "500 Internal"),
        (Exception("a\nb\nDebug source:\nsecrets"), OSError, "the store answered a b"),
    ],
)
def test_an_error_of_a_client_becomes_one_of_the_system(error, kind, said):
    found = store_error(error, ADDRESS)
    assert isinstance(found, kind)
    assert said in str(found.strerror)
    assert "\n" not in str(found.strerror)
    assert "secrets" not in str(found)
    assert found.filename == str(ADDRESS)


def test_a_bucket_that_is_gone_is_an_output_that_is_gone():
    assert store_error(Exception("NoSuchBucket"), ADDRESS).errno == errno.ENXIO


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PERMISSION_DENIED: Unknown [http_response_code='403']", "403"),
        ("UNAVAILABLE: Service Unavailable [HTTP code 503]", "did not answer"),
        ("DEADLINE_EXCEEDED: CURL error Timeout", "did not answer"),
        ("FAILED_PRECONDITION: byte range was ignored by server", "Range"),
        ("PERMISSION_DENIED: ExpiredToken", "expired"),
    ],
)
def test_bytes_that_did_not_come_are_told_from_bytes_that_are_damaged(text, said):
    assert said in why_unread(ValueError(text))


def test_what_came_and_cannot_be_decoded_is_no_failing_store():
    assert not why_unread(ValueError('DATA_LOSS: Error reading "c/0": bad checksum'))
    assert not why_unread(ValueError("INVALID_ARGUMENT: zstd"))
