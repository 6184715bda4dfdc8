"""``OUT/.blockseg/``: what a run was asked, what it decided, what came of it."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from blockseg.blockwise.record.facts import RecordedPhase, RecordedSource
from blockseg.blockwise.record.shape import what_is_missing, what_is_wrong
from blockseg.config.settings import EXECUTION
from blockseg.config.values import parse_roi
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.untrusted.files import RECORD_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json
from blockseg.core.version import __version__
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.codecs import DEFAULT_CODEC
from blockseg.io.stores.state import local_state
from blockseg.runtime.memory import machine

if TYPE_CHECKING:
    from blockseg.config.settings import RunSettings
    from blockseg.io.stores.location import Location

FOLDER = ".blockseg"
COPY = "record"
"""Under which the ledger keeps a copy of the record."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of a run's own files."""

    out: Location
    """The output group."""

    part: str = ""
    """Name of a derived job, which works on the result of a finished run and writes into
    the same output; empty for the run itself."""

    owns: tuple[str, ...] = ()
    """Files and folders of the output that belong to the derived job, '/'-separated:
    these, and nothing else outside of its folder, are removed where it starts over."""

    share: bool = False
    """Whether the part is no derived job but a share of the run's own blocks."""

    @property
    def on_disk(self) -> Path:
        """The output, for what works on a disk alone.

        Raises
        ------
        VolumeError
            If it lies in a store.
        """
        if isinstance(self.out, Path):
            return self.out
        message = (
            f"OUT {self.out} lies in a store, where this command does not work yet; copy "
            "it to a disk and name that"
        )
        raise VolumeError(message)

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"{self.part} of OUT {self.out}" if self.part else f"OUT {self.out}"

    @property
    def owner(self) -> str:
        """Name by which a ledger elsewhere knows the output."""
        return f"{self.out.resolve()}#{self.part}".removesuffix("#")

    @property
    def folder(self) -> Path:
        """Everything that depends on the run and not on the result.

        Of an output in a store it lies on this machine, as neither locks nor a ledger
        can live there; a copy is kept in the store.
        """
        if isinstance(self.out, Path):
            return self.out / FOLDER / self.part
        return local_state(self.out) / self.part

    @property
    def record(self) -> Path:
        """Record of what was asked and decided."""
        return self.folder / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the driver while it lives."""
        return self.folder / "lock"

    @property
    def ledger(self) -> Path:
        """State of every block, unless the user put it elsewhere."""
        return self.folder / "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of ``run.json``."""

    request: dict[str, Any]
    """Values that decide the result: settings, source, mask, weights, by content."""

    decisions: dict[str, Any]
    """Every automatic choice; reused on resume."""

    execution: dict[str, Any]
    """Settings that leave the result alone, as last used."""

    facts: dict[str, Any]
    """For the reader: effective threshold, grid, machine, network."""

    sessions: tuple[dict[str, Any], ...] = ()
    """One entry a start: command, times, outcome."""

    version: str = __version__
    """Version of blockseg when the run began."""

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the result."""
        text = json.dumps([self.request, self.decisions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def phases(self) -> tuple[RecordedPhase, ...]:
        """Every pass over the blocks, the main one first."""
        return tuple(map(RecordedPhase.of, self.facts["phases"]))

    @property
    def source(self) -> RecordedSource | None:
        """Volume that was read; None where the job read none."""
        return RecordedSource.of(self.request, self.execution)

    @property
    def block(self) -> Zyx:
        """Voxels of a block."""
        return to_zyx(self.decisions["block"])

    @property
    def gain(self) -> float:
        """Gain of the weights; 1 where there was no network."""
        return float((self.facts.get("network") or {}).get("gain", 1.0))

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """Zarr format of the output."""
        return 2 if self.request["settings"].get("zarr-format") == 2 else 3

    @property
    def codec(self) -> str:
        """Compression of the output."""
        return str(self.request["settings"].get("codec", DEFAULT_CODEC))

    @property
    def roi(self) -> Roi | None:
        """Region of the source that was worked on."""
        return parse_roi("roi", self.facts["roi"]) if "roi" in self.facts else None

    @property
    def volume_shape(self) -> Zyx | None:
        """Shape of the whole source."""
        shape = self.facts.get("volume_shape")
        return None if shape is None else to_zyx(shape)

    @property
    def checked(self) -> bool:
        """Whether chunks carry a checksum."""
        return bool(self.facts.get("checked", False))

    def with_execution(self, execution: dict[str, Any]) -> RunRecord:
        """Return the record of a start with other settings of execution."""
        return replace(self, execution=execution)

    def save(self, path: Path) -> None:
        """Write the record in one step: a reader sees the old one or the new one.

        Raises
        ------
        NoSpaceError, OutputGoneError, VolumeError
            As :func:`~blockseg.io.output.atomic_files.replace_file`.
        """
        replace_file(path, self.to_text().encode())

    def to_text(self) -> str:
        """Return the content of the file."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def of(cls, paths: Paths) -> RunRecord | None:
        """Read the record of a job with all that readers rely on; None if there is none.

        Whether its request and decisions are those of the job, the ledger knows by
        their fingerprint.

        Raises
        ------
        LedgerError
            If the file is damaged or of another version.
        """
        try:
            text = read_text(paths.record, RECORD_BYTES)
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            why = getattr(error, "strerror", None) or error
            message = _damaged(paths.record, f"it cannot be read: {why}")
            raise LedgerError(message) from error
        return cls.from_text(text, paths.record)

    @classmethod
    def from_text(cls, text: str, path: Path) -> RunRecord:
        """Return the record of a file's content.

        Parameters
        ----------
        text
            As of :meth:`to_text`.
        path
            File that it comes from, for messages.

        Raises
        ------
        LedgerError
            If it is damaged or of another version.
        """
        data = _read(text, path)
        missing = what_is_missing({**data, "sessions": list(data["sessions"])})
        if missing:
            raise LedgerError(_damaged(path, missing))
        return cls(**data)


def _read(text: str, path: Path) -> dict[str, Any]:
    try:
        data = parse_json(text)
    except ValueError as error:
        raise LedgerError(_damaged(path, f"it cannot be read: {error}")) from error
    if not isinstance(data, dict):
        raise LedgerError(_damaged(path, "it holds no JSON object"))
    if data.pop("format", None) != _FORMAT:
        message = (
            f"{path} was written by another version of blockseg; "
            "finish the run with that one, or start over with --overwrite"
        )
        raise LedgerError(message)
    if wrong := what_is_wrong(data):
        raise LedgerError(_damaged(path, wrong))
    data["sessions"] = tuple(data["sessions"])
    return data


def _damaged(path: Path, what: str) -> str:
    return (
        f"{path} is damaged ({what}); put it back from a copy, or restore it with "
        "blockseg verify OUT --repair; --overwrite starts over"
    )


def session(command: str) -> dict[str, Any]:
    """Return the entry of a start that happens now."""
    return {
        "command": command or shlex.join(sys.argv),
        "started": now(),
        "host": platform.node(),
    }


def now() -> str:
    """Return the time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine_facts() -> dict[str, Any]:
    """Return the facts about the machine that matter to a reader of a result."""
    here = machine()
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": processor_name(),
        "cores": here.cores,
        "memory_bytes": here.memory,
        "python": platform.python_version(),
    }


def processor_name() -> str:
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
    return next(names, platform.processor())


def execution_of(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that leave the result alone."""
    return {
        name.replace("_", "-"): getattr(settings, name) for name in sorted(EXECUTION)
    }
