"""Places as tensorstore opens them, and how it asks a store: how often, how many at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from blockseg.core.errors import VolumeError
from blockseg.io.stores.address import Address, is_remote
from blockseg.io.stores.clients import environment_endpoint, region_of
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from blockseg.io.stores.location import Location

KvStoreSpec: TypeAlias = dict[str, Any]
"""Specification of a key-value store, as tensorstore takes it."""

AT_ONCE = 32
"""Requests that a process has under way at most."""

_RETRIES = {"max_retries": 6, "initial_delay": "250ms", "max_delay": "15s"}
# Without these tensorstore waits for ever where a server accepts and never answers.
_PATIENCE = {
    "TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS": "10",
    "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "30",
    "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES": "1",
}
for _name, _value in _PATIENCE.items():
    os.environ.setdefault(_name, _value)

REMOTE_CONTEXT = {
    f"{kind}_request_{what}": value
    for kind in ("s3", "gcs", "http")
    for what, value in (("retries", _RETRIES), ("concurrency", {"limit": AT_ONCE}))
}
"""Part of tensorstore's context: seven requests at most for one, within four minutes."""


def has_driver(uri: str) -> bool:
    """Say whether tensorstore can open a place by itself."""
    return not is_remote(uri) or Address.parse(uri).scheme != "az"


def kvstore(folder: Location) -> KvStoreSpec:
    """Return a folder as tensorstore opens it.

    Raises
    ------
    VolumeError
        If tensorstore has no driver for its scheme.
    """
    if not isinstance(folder, RemotePath):
        return {"driver": "file", "path": f"{folder}/"}
    address = folder.address
    if address.scheme == "s3":
        return _s3(address)
    if address.scheme == "gs":
        return {"driver": "gcs", "bucket": address.bucket, "path": f"{address.key}/"}
    if address.scheme in ("http", "https"):
        base = f"{address.scheme}://{address.bucket}/"
        return {"driver": "http", "base_url": base, "path": f"{quote(address.key)}/"}
    message = f"{folder}: tensorstore has no driver for {address.scheme}://"
    raise VolumeError(message)


def _s3(address: Address) -> KvStoreSpec:
    found: KvStoreSpec = {
        "driver": "s3",
        "bucket": address.bucket,
        "path": f"{address.key}/",
    }
    endpoint = address.endpoint or environment_endpoint()
    if endpoint:
        found |= {"endpoint": endpoint, "aws_region": region_of(address)}
    elif address.region:
        found["aws_region"] = address.region
    if address.anonymous:
        found["aws_credentials"] = {"type": "anonymous"}
    elif os.environ.get("AWS_ACCESS_KEY_ID"):
        # Its whole chain would complain of files that are not there.
        found["aws_credentials"] = {"type": "environment"}
    return found
