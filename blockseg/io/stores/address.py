"""Addresses of objects, and the one place that reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args
from urllib.parse import quote, unquote, urlsplit

from blockseg.core.errors import ConfigError, VolumeError

if TYPE_CHECKING:
    from blockseg.core.choices import StoreChoices

Scheme: TypeAlias = Literal["s3", "gs", "az", "http", "https"]

SCHEMES: tuple[str, ...] = get_args(Scheme)
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9.+-]*)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_NOT_STORES = ("constant", "file", "precomputed", "memory")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,253}", re.ASCII | re.IGNORECASE)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Place of an object, or of the prefix that objects share.

    As text it holds all that any process needs to find it, and no secret:
    ``s3+https://region=R;anonymous@HOST/BUCKET/KEY`` is the long form of ``s3://BUCKET/KEY``,
    the spelling that Neuroglancer has for servers other than Amazon's.
    """

    scheme: Scheme
    """Protocol."""

    bucket: str
    """Bucket or container; of a web server its host and port."""

    key: str = ""
    """Name in the bucket, '/'-separated, without a slash at either end."""

    endpoint: str = ""
    """Server, where it is not that of the scheme's owner."""

    region: str = ""
    """Region that requests are signed for; empty to find it out."""

    anonymous: bool = False
    """Whether no credentials are sent."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises
        ------
        VolumeError
            If it is of another scheme, names no bucket, or carries credentials; no
            message repeats what might be a secret.
        """
        match = _URL.fullmatch(text)
        scheme, _, through = (match["scheme"].lower() if match else "").partition("+")
        if (
            match is None
            or scheme not in SCHEMES
            or through not in ("", "http", "https")
        ):
            known = ", ".join(f"{name}://" for name in SCHEMES)
            message = (
                f"{redacted(text)} is of no scheme that can be read; {known} and plain "
                "paths are; copy it to one of these, or mount it"
            )
            raise VolumeError(message)
        if through and scheme != "s3":
            message = f"{redacted(text)}: only s3:// takes a server of your own"
            raise VolumeError(message)
        rest = match["rest"]
        host, _, path = rest.partition("/")
        user, at, host = host.rpartition("@")
        region, anonymous = _settings(user, text) if at else ("", False)
        web = scheme in ("http", "https")
        if web and (at or "?" in path or "#" in path):
            message = (
                f"{redacted(text)} carries credentials or a query, which would be "
                "written to records; give an address without"
            )
            raise VolumeError(message)
        endpoint = ""
        if through:
            endpoint, (host, _, path) = f"{through}://{host}", path.partition("/")
            _check_endpoint(endpoint)
        if not (web and host) and not _BUCKET.fullmatch(host):
            message = f"{redacted(text)} names no bucket; write {match['scheme']}://BUCKET/NAME"
            raise VolumeError(message)
        key = "/".join(part for part in path.split("/") if part)
        if ".." in key.split("/"):
            message = f"{redacted(text)} leads out of its bucket; leave out the dots"
            raise VolumeError(message)
        return cls(
            scheme,  # type: ignore[arg-type]
            host,
            unquote(key) if web else key,
            endpoint,
            region,
            anonymous,
        )

    def __str__(self) -> str:
        scheme, host = self.scheme, self.bucket
        key = self.key
        if scheme in ("http", "https"):
            key = quote(key)
        elif self.endpoint:
            through, _, server = self.endpoint.partition("://")
            return f"{scheme}+{through}://{self._user}{server}/{host}" + (
                key and f"/{key}"
            )
        return f"{scheme}://{self._user}{host}" + (key and f"/{key}")

    @property
    def root(self) -> Address:
        """Address of the bucket itself."""
        return replace(self, key="")

    @property
    def writable(self) -> bool:
        """Whether objects can be written there at all."""
        return self.scheme not in ("http", "https")

    @property
    def listable(self) -> bool:
        """Whether the protocol has listings."""
        return self.writable

    @property
    def _user(self) -> str:
        said = [f"region={self.region}"] * bool(self.region)
        said += ["anonymous"] * self.anonymous
        return f"{';'.join(said)}@" if said else ""


def addressed(text: str, choices: StoreChoices, *, written: bool = False) -> str:
    """Return a path or an address with what a user chose for stores in it.

    Parameters
    ----------
    text
        As a user gave it; a path stays as it is.
    choices
        For all stores of a command; of an address that says otherwise its own count.
    written
        Whether it will be written to, which nobody may without credentials.

    Raises
    ------
    ConfigError
        If a choice is none.
    VolumeError
        If the text is no address.
    """
    if choices.endpoint:
        _check_endpoint(choices.endpoint)
    if choices.region and not _REGION.fullmatch(choices.region):
        message = (
            f"--region {choices.region} is no region's name; write one as eu-west-1"
        )
        raise ConfigError(message)
    if not is_remote(text):
        return text
    address = Address.parse(text)
    if address.scheme in ("http", "https"):
        return str(address)
    anonymous = address.anonymous or (choices.anonymous and not written)
    if address.scheme != "s3":
        return str(replace(address, anonymous=anonymous))
    return str(
        replace(
            address,
            endpoint=address.endpoint or (choices.endpoint or "").rstrip("/"),
            region=address.region or choices.region or "",
            anonymous=anonymous,
        )
    )


def is_remote(text: str) -> bool:
    """Say whether a text is meant as an address, and not as a path."""
    match = _URL.match(text)
    return match is not None and match["scheme"].lower() not in _NOT_STORES


def redacted(text: str) -> str:
    """Return a URL as it may be shown: without user, password and query."""
    match = _URL.fullmatch(text)
    if match is None:
        return text
    rest = re.split(r"[?#]", match["rest"], maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    return f"{match['scheme']}://{host.rpartition('@')[2]}{slash}{path}"


def _settings(user: str, text: str) -> tuple[str, bool]:
    """Read what stands before the @, which may be no credentials."""
    region, anonymous = "", False
    for part in user.split(";"):
        name, _, value = part.partition("=")
        if part == "anonymous":
            anonymous = True
        elif name == "region" and _REGION.fullmatch(value):
            region = value
        else:
            message = (
                f"{redacted(text)} carries credentials, which would be written to "
                "records; leave them to the environment or to the files of the platform"
            )
            raise VolumeError(message)
    return region, anonymous


def _check_endpoint(text: str) -> None:
    """Refuse what is no server, or would send credentials in the clear unasked.

    Raises
    ------
    ConfigError
        With the value, less what may be a secret.
    """
    shown = redacted(text)
    try:
        parts = urlsplit(text.rstrip("/"))
        bare = not (parts.username or parts.password or parts.query or parts.path)
        known = parts.scheme in ("http", "https")
        whole = known and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = bare = False
    if not (whole and bare):
        message = (
            f"endpoint {shown} is no address of a server; write it as https://HOST:PORT, "
            "http:// too where it is meant, without a path or credentials"
        )
        raise ConfigError(message)
