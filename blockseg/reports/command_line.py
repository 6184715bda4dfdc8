"""Command that repeats a run, from its record."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from blockseg.config.declare import option_words
from blockseg.config.settings import RunSettings
from blockseg.core.errors import BlocksegError
from blockseg.io.find import find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.record.record import RunRecord
    from blockseg.core.specs import VolumeSpec

_ELSEWHERE = frozenset({"ledger", "verify", "report", "weights", "mask", "halo"})


def command_of(record: RunRecord) -> str:
    """Return the command that repeats a run, with absolute paths and every option.

    Parameters
    ----------
    record
        Record of a ``blockseg run``.

    Returns
    -------
    str
        Only what is not the default is named; OUT stands for another place. Empty for a
        job without a source of its own.
    """
    if record.source is None:
        return ""
    dataset = record.request["settings"].get("dataset")
    words = ["blockseg", "run", _place(record.source.spec, dataset), "OUT"]
    return shlex.join([*words, *_options(record)])


def _place(spec: VolumeSpec, dataset: str | None) -> str:
    """Return the container where that is enough to find the volume, else its path."""
    if spec.format == "tiff" or dataset or not spec.path:
        return spec.uri
    try:
        found = find(
            spec.uri, level=spec.level, channel=spec.channel, timepoint=spec.timepoint
        )
    except BlocksegError:
        return f"{spec.uri}/{spec.path}"
    return spec.uri if found.path == spec.path else f"{spec.uri}/{spec.path}"


def _options(record: RunRecord) -> Iterator[str]:
    asked: dict[str, Any] = record.request["settings"]
    known = {
        name.replace("-", "_"): value
        for name, value in {**record.execution, **asked}.items()
    }
    yield from option_words(RunSettings, known, _ELSEWHERE)
    if asked.get("inexact") and "halo" in asked:
        yield from ("--halo", str(asked["halo"]))
    if record.request["mask"] is not None:
        yield from ("--mask", str(record.request["mask"]["spec"]["uri"]))
    if record.facts.get("weights"):
        yield from ("--weights", str(record.facts["weights"]))
