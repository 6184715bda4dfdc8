"""Errors of a store, reported as the system reports those of a disk: a kind and one line."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockseg.io.stores.address import Address

_EXPIRED = ("ExpiredToken", "TokenRefreshRequired", "RequestExpired", "expired")
_NO_BUCKET = (
    "NoSuchBucket",
    "ContainerNotFound",
    "The specified bucket does not exist",
)
_NO_NETWORK = (
    "dns error", "failed to lookup", "connection refused", "error trying to connect",
    "error sending request", "connection reset", "connection closed", "timed out",
    "operation timed out", "network is unreachable", "incomplete message",
    "connection error", "tcp connect error",
)  # fmt: skip
_NO_CREDENTIALS = (
    "no such credentials", "missing credentials", "169.254.169.254", "169.254.170.2",
    "token request", "unable to locate credentials", "metadata.google.internal",
    "nocredential", "account must be specified",
)  # fmt: skip
_BAD_KEY = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationHeaderMalformed",
)


class StoreError(OSError):
    """A store that refused, or that could not be asked."""


def store_error(error: Exception, address: Address) -> OSError:
    """Return the error to raise for one that the store's client raised.

    Parameters
    ----------
    error
        Of the client.
    address
        Place that was asked for; the error's ``filename``.
    """
    number, reason = _told(error, address)
    kinds = {errno.ENOENT: FileNotFoundError, errno.EACCES: PermissionError}
    return kinds.get(number, StoreError)(number, reason, str(address))


def _told(error: Exception, address: Address) -> tuple[int, str]:
    text = " ".join(str(error).split("Debug source:")[0].split())
    plain = text.lower()
    name = type(error).__name__
    if any(mark in text for mark in _NO_BUCKET):
        return errno.ENXIO, (
            f"there is no bucket {address.bucket}; check its name, the region and the "
            "endpoint"
        )
    if any(mark in text for mark in _EXPIRED):
        return errno.EACCES, "the credentials have expired; sign in again, then go on"
    if any(mark in text for mark in _BAD_KEY):
        code = next(mark for mark in _BAD_KEY if mark in text)
        return errno.EACCES, (
            f"the credentials were not accepted ({code}); check them, --region and "
            "--endpoint"
        )
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT, "it does not exist"
    if (
        name in ("PermissionDeniedError", "UnauthenticatedError")
        or "403 Forbidden" in text
    ):
        code = "401" if name == "UnauthenticatedError" else "403"
        who = "without credentials" if address.anonymous else "with these credentials"
        return errno.EACCES, f"the store refuses it {who} ({code})"
    if any(mark in plain for mark in _NO_CREDENTIALS):
        return errno.EACCES, (
            "no credentials were found; set them as the platform's own tools have them, or "
            "read a public bucket with --anonymous"
        )
    if any(mark in plain for mark in _NO_NETWORK):
        return errno.EHOSTUNREACH, (
            f"{_server(address)} cannot be reached; check the network, the address and "
            "--endpoint"
        )
    code = next(iter(re.findall(r"status code: (\d{3}[^:]{0,40})", text)), "")
    if "301" in code or "307" in code:
        return errno.EIO, (
            f"the bucket {address.bucket} lies in another region; name it with --region"
        )
    why = code.strip() or text[:160] or name
    return errno.EIO, f"the store answered {why}"


def _server(address: Address) -> str:
    if address.endpoint:
        return address.endpoint
    if address.scheme in ("http", "https"):
        return f"{address.scheme}://{address.bucket}"
    names = {
        "s3": "Amazon S3",
        "gs": "Google Cloud Storage",
        "az": "Azure Blob Storage",
    }
    return names.get(address.scheme, address.scheme)


_REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED")
_BUSY = (
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "RESOURCE_EXHAUSTED",
    "CURL",
    "HTTP",
)


def why_unread(error: Exception) -> str:
    """Say why tensorstore got no bytes from a store; empty where it got them.

    Bytes that came and could not be decoded are another matter: a second try gives the
    same.

    Parameters
    ----------
    error
        Of tensorstore, which tells the kind of error only in its text.
    """
    text = str(error)
    code = text.partition(":")[0]
    if "was ignored by server" in text:
        return (
            "shards are read in parts, and the server sends whole files only (it knows no "
            "Range); serve it with one that does, or copy it to a disk"
        )
    if any(mark in text for mark in ("ExpiredToken", "TokenRefreshRequired")):
        return "the credentials have expired; sign in again, then go on"
    if code in _REFUSED:
        return (
            "the store refuses it (403 or 401): either it may not be read, or it is "
            "missing and the store does not say so to those who may not list; let them "
            "list the bucket, or read it where that is allowed"
        )
    if code in _BUSY or "http_response_code" in text or "[CURL" in text:
        return f"the store did not answer, however often it was asked ({code.lower()})"
    return ""
