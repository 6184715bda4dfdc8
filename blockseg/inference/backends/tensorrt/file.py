"""An engine as a file: what it was built from and for, and the engine.

One line that says what the file is, one of JSON, and the bytes. A file is written beside its
place and renamed: it is whole, or it is not there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from blockseg.core.atomic_files import replaced
from blockseg.core.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from blockseg.core.geometry import Zyx

MAGIC = b"blockseg engine 1\n"

HEADER_LIMIT = 65536
"""Longest second line, in bytes: a damaged file is not read to its end for one."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine depends on; another key is another engine."""

    weights: str
    """SHA-256 of the weights file."""

    architecture: str
    """Network."""

    width: int
    """Its channels at full resolution."""

    core: Zyx
    """Voxels (z, y, x) that one call writes."""

    edge: bool
    """Whether it takes the bounds of what is known of its window, and of the volume."""

    precision: str
    """``float16`` or ``float32``."""

    graph: int
    """Version of the graph that blockseg writes."""

    library: str
    """``tensorrt`` or ``tensorrt_rtx``."""

    version: str
    """Version of the library."""

    target: str
    """Architecture of the card, ``sm90`` for instance."""

    card: str
    """Model of the card where it was tuned for one, else empty."""

    @property
    def filename(self) -> str:
        """Name of its file: readable first, then what makes it unique."""
        shape = "x".join(str(n) for n in self.core)
        kind = "edge" if self.edge else "interior"
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return (
            f"{self.architecture}{self.width}-{shape}-{kind}-{self.precision}-"
            f"{self.target}-{digest}.engine"
        )


@dataclass(frozen=True, slots=True)
class Header:
    """Header of an engine's file."""

    key: EngineKey
    """Key: what it was built from and for."""

    sha256: str
    """SHA-256 of the engine's bytes."""

    size: int
    """Bytes of the engine."""

    built: float
    """Time in seconds since 1970."""

    seconds: float
    """Time that it took."""


def write_engine(path: Path, header: Header, engine: bytes) -> None:
    """Write an engine, all or nothing; raises OSError."""
    text = json.dumps(asdict(header), sort_keys=True)
    write_atomically(path, MAGIC + text.encode() + b"\n" + engine)


def read_engine(path: Path) -> tuple[Header, bytes]:
    """Return an engine, checked byte for byte.

    Raises
    ------
    BackendError
        If the file is none, is damaged, or cannot be read.
    """
    header, engine = _opened(path)
    if len(engine) != header.size:
        message = f"{path} holds {len(engine)} bytes of an engine of {header.size}"
        raise BackendError(message)
    if hashlib.sha256(engine).hexdigest() != header.sha256:
        message = f"{path} is damaged: its checksum does not fit"
        raise BackendError(message)
    return header, engine


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it; raises OSError."""
    with replaced(path, shared=True) as part:
        part.write_bytes(content)


def _opened(path: Path) -> tuple[Header, bytes]:
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            line = file.readline(HEADER_LIMIT)
            engine = file.read()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise BackendError(message) from error
    if magic != MAGIC:
        message = f"{path} is no engine of this blockseg"
        raise BackendError(message)
    try:
        return _header(json.loads(line)), engine
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} is damaged: its header cannot be read"
        raise BackendError(message) from error


def _header(content: Mapping[str, Any]) -> Header:
    key = {field.name: content["key"][field.name] for field in fields(EngineKey)}
    z, y, x = key["core"]
    return Header(
        EngineKey(**{**key, "core": (int(z), int(y), int(x))}),
        str(content["sha256"]),
        int(content["size"]),
        float(content["built"]),
        float(content["seconds"]),
    )
