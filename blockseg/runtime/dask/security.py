"""Access to a cluster of our own, for those who hold the key that this process made.

A scheduler runs what it is sent, so that whoever reaches it is its user. A port of the
loopback interface is reached by every account of the machine; therefore scheduler, workers
and client show each other a certificate (mutual TLS). Its key lies in the memory of these
processes alone and ends with them.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
import socket
import ssl
from dataclasses import dataclass, field

import dask
from distributed import Security

from blockseg.core.errors import ConfigError

LOOPBACK = "127.0.0.1"
_NAME = "blockseg"
_EARLIER = dt.timedelta(days=3650)  # a clock that is set back loses no worker
_LATER = dt.timedelta(days=36500)
_CONFIGURED = "distributed.comm.tls"


@dataclass(frozen=True, slots=True)
class Access:
    """Protection of a cluster of our own."""

    host: str = LOOPBACK
    """Address that it listens at."""

    insecure: bool = False
    """Whether anybody who reaches it may use it."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    """Beginning of every page of the dashboard, which has no passwords."""

    def __post_init__(self) -> None:
        if self.local or self.insecure or _is_configured():
            return
        message = (
            f"--listen {self.host} lets other machines reach the scheduler, which runs what "
            f"it is sent: give Dask certificates ({_CONFIGURED} of its configuration), or "
            "--insecure if everybody who reaches that address may run code as you"
        )
        raise ConfigError(message)

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return _is_loopback(self.host)

    @property
    def protocol(self) -> str:
        """Scheme of its addresses."""
        return "tcp://" if self.insecure else "tls://"

    @property
    def prefix(self) -> str:
        """Beginning of the paths of the dashboard."""
        return f"/{self.token}/"

    def security(self) -> Security:
        """Return keys and certificates for all who belong to the cluster.

        On this machine they are made for this one cluster. Elsewhere they are those of
        Dask's configuration, which workers of other machines can have too.
        """
        if self.insecure:
            return Security(require_encryption=False)  # type: ignore[no-untyped-call]
        if self.local:
            return _private()
        return Security(require_encryption=True)  # type: ignore[no-untyped-call]


def _is_configured() -> bool:
    needed = ("ca-file", "scheduler.cert", "worker.cert", "client.cert")
    return all(dask.config.get(f"{_CONFIGURED}.{name}", None) for name in needed)


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        message = f"--listen {host!r} is no address of this machine: {error.strerror}"
        raise ConfigError(message) from error
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def made_certificate() -> tuple[str, str]:
    """Return a certificate that vouches for itself, and its key, as PEM."""
    # Not Security.temporary(): its keys take a tenth of a second to find, and its
    # certificate is not valid yet once the clock is set back.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LATER)
        .sign(key, hashes.SHA256())
    )
    cert = certificate.public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return cert, secret


def _private() -> Security:
    cert, secret = made_certificate()
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=True,
        tls_min_version=ssl.TLSVersion.TLSv1_3,
        tls_ca_file=cert,
        tls_client_key=secret,
        tls_client_cert=cert,
        tls_scheduler_key=secret,
        tls_scheduler_cert=cert,
        tls_worker_key=secret,
        tls_worker_cert=cert,
    )
