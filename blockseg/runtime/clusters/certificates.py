"""Certificates of a cluster of several machines: files that its nodes see."""

from __future__ import annotations

import os
import shutil
import ssl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from distributed import Security

from blockseg.core.errors import DISK_FULL, ConfigError, NoSpaceError
from blockseg.runtime.dask.security import made_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

CERTIFICATE, KEY = "cluster.pem", "cluster-key.pem"
"""Names of the files. One certificate is that of all: of who has its key."""

_OURS = Path(".cache") / "blockseg" / "certificates"


def write_certificates(folder: Path) -> tuple[Path, Path]:
    """Make a key and its certificate, which only this account reads.

    Parameters
    ----------
    folder
        Where; made if it is not there.

    Returns
    -------
    tuple of Path
        Certificate and key.

    Raises
    ------
    ConfigError
        If there are some already, or they cannot be written.
    NoSpaceError
        If the disk is full.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    made = made_certificate()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, text in zip((key, certificate), reversed(made), strict=True):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, 0o600), "w") as file:
                file.write(text)
    except FileExistsError as error:
        message = (
            f"{folder} holds certificates already; name another folder, or remove them"
        )
        raise ConfigError(message) from error
    except OSError as error:
        kind = NoSpaceError if error.errno in DISK_FULL else ConfigError
        message = f"{folder}: certificates cannot be written: {error.strerror}"
        raise kind(message) from error
    return certificate, key


def security_of(folder: Path) -> Security:
    """Return the files of :func:`write_certificates`, for all members of the cluster.

    Raises
    ------
    ConfigError
        If it is not there, or others may read the key.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    try:
        open_to_others = key.stat().st_mode & 0o077
        certificate.stat()
    except OSError as error:
        message = (
            f"certificates: there are none in {folder} ({error.strerror}); make them "
            f"with blockseg cluster certs {folder}"
        )
        raise ConfigError(message) from error
    if open_to_others:
        message = f"certificates: others may read {key}; chmod 600 {key}"
        raise ConfigError(message)
    known, secret = str(certificate.absolute()), str(key.absolute())
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=True,
        tls_min_version=ssl.TLSVersion.TLSv1_3,
        tls_ca_file=known,
        **{
            f"tls_{role}_{what}": path
            for role in ("client", "scheduler", "worker")
            for what, path in (("cert", known), ("key", secret))
        },
    )


@contextmanager
def certificates_for_a_run() -> Iterator[Security]:
    """Make certificates in the home, which nodes share, and remove them at the end."""
    folder = Path.home() / _OURS / uuid4().hex
    write_certificates(folder)
    try:
        yield security_of(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
