"""Clients of object stores: the one module that knows obstore and boto3."""

from __future__ import annotations

import importlib.util
import os
import time
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from blockseg.core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from blockseg.io.stores.address import Address

_T = TypeVar("_T")

_NO_REST = ("Range request not supported", "Content-Range header not present")
_RETRIES = 8
_BOUND = timedelta(seconds=120)
"""Time from the first request after which none is tried again."""

_PART = 16 * 2**20
"""Bytes of a part of a large upload: 10,000 parts of it hold more than any shard."""


@lru_cache(maxsize=64)
def client(root: Address) -> Any:
    """Return the client of a bucket or a web server, one a process.

    Parameters
    ----------
    root
        Address without a key.

    Raises
    ------
    MissingExtraError
        If obstore is not installed.
    """
    try:
        from obstore import store
    except ImportError as error:
        what = f"what reads {root.scheme}:// (obstore)"
        raise MissingExtraError(what, "cloud") from error
    common: dict[str, Any] = {
        "client_options": {
            "allow_http": root.scheme == "http" or root.endpoint.startswith("http:"),
            "connect_timeout": timedelta(seconds=10),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(seconds=300),
        },
        "retry_config": {
            "max_retries": _RETRIES,
            "retry_timeout": _BOUND,
            "backoff": {
                "init_backoff": timedelta(seconds=0.2),
                "max_backoff": timedelta(seconds=15),
                "base": 2,
            },
        },
    }
    if root.scheme in ("http", "https"):
        return store.HTTPStore(str(root), **common)
    if root.scheme == "gs":
        return store.GCSStore(root.bucket, skip_signature=root.anonymous, **common)
    if root.scheme == "az":
        return store.AzureStore(root.bucket, skip_signature=root.anonymous, **common)
    settings: dict[str, Any] = {"skip_signature": root.anonymous}
    endpoint = root.endpoint or environment_endpoint()
    if endpoint:
        settings["endpoint"] = endpoint
        settings["virtual_hosted_style_request"] = False
        plain = endpoint.startswith("http:")
        common["client_options"]["allow_http"] = plain
    settings["region"] = region_of(root)
    provider = None if root.anonymous else _boto3_credentials()
    if provider is not None:
        settings["credential_provider"] = provider
    return store.S3Store(root.bucket, **settings, **common)


def environment_endpoint() -> str:
    """Return the server of S3 that the platform's own variables name, if any."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/")
    return ""


def region_of(root: Address) -> str:
    """Return the region to sign requests for: the user's, the platform's, or the default."""
    named = root.region or os.environ.get("AWS_REGION")
    return named or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _boto3_credentials() -> Any:
    """Return Amazon's own chain: variables, profiles, sign-in, roles; None to do without.

    obstore alone reads variables and roles, and no profiles.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID") or not importlib.util.find_spec("boto3"):
        return None
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.session.Session()
    if session.get_credentials() is None:
        return None
    return Boto3CredentialProvider(session)


def get(address: Address, start: int = 0, stop: int | None = None) -> bytes:
    """Return an object, or a range of its bytes."""
    store = client(address.root)
    if stop is None and not start:
        return _once_more(lambda: bytes(store.get(address.key).bytes()))
    end = head(address)[0] if stop is None else stop
    return bytes(store.get_range(address.key, start=start, end=end))


def get_within(address: Address, most: int) -> bytes | int:
    """Return an object in one request; of a larger one its size, and none of its bytes."""

    def fetch() -> bytes | int:
        found = client(address.root).get(address.key)
        size = int(found.meta["size"])
        return bytes(found.bytes()) if size <= most else size

    return _once_more(fetch)


def _once_more(fetch: Callable[[], _T]) -> _T:
    """Repeat a request whose body broke off, where the server cannot send the rest of it.

    obstore asks for the rest alone, and gives up where a server knows no Range.
    """
    for pause in (0.2, 1.0, 3.0):
        try:
            return fetch()
        except Exception as error:
            if not any(mark in str(error) for mark in _NO_REST):
                raise
        time.sleep(pause)
    return fetch()


def head(address: Address) -> tuple[int, int, str]:
    """Return an object's size, time of change in ns and ETag."""
    found = client(address.root).head(address.key)
    changed = int(found["last_modified"].timestamp() * 1e9)
    return int(found["size"]), changed, str(found["e_tag"] or "")


def put(address: Address, content: bytes, *, create: bool = False) -> None:
    """Write an object, whole or not at all.

    Parameters
    ----------
    address, content
        Place and bytes.
    create
        Whether it may not exist yet.
    """
    store = client(address.root)
    if create:
        store.put(address.key, content, mode="create", use_multipart=False)
        return
    store.put(address.key, content, chunk_size=_PART, max_concurrency=4)


def delete(root: Address, keys: Sequence[str]) -> None:
    """Delete objects of a bucket; one that does not exist is no error."""
    store = client(root)
    with suppress(FileNotFoundError):
        store.delete(list(keys))


def children(address: Address) -> tuple[list[str], list[str]]:
    """Return the names of prefixes and of objects directly below a prefix."""
    prefix = address.key and f"{address.key}/"
    found = client(address.root).list_with_delimiter(prefix or None)
    folders = [one.rstrip("/").rpartition("/")[2] for one in found["common_prefixes"]]
    files = [one["path"].rpartition("/")[2] for one in found["objects"]]
    return folders, files


def below(address: Address) -> Iterator[list[tuple[str, int]]]:
    """Yield keys and sizes of all objects below a prefix, a page at a time."""
    prefix = address.key and f"{address.key}/"
    for page in client(address.root).list(prefix or None, chunk_size=1000):
        yield [(one["path"], int(one["size"])) for one in page]


def is_taken(error: Exception) -> bool:
    """Say whether an object was not created because it exists."""
    return type(error).__name__ in ("AlreadyExistsError", "PreconditionError")


def errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that the clients raise."""
    from obstore.exceptions import BaseError

    return (BaseError, OSError, ValueError)
