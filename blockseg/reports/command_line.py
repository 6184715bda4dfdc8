"""Command that makes a run again, from its record."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from blockseg.config.declare import declared
from blockseg.config.settings import RunSettings
from blockseg.core.errors import BlocksegError
from blockseg.io.find import find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.record.record import RunRecord
    from blockseg.core.specs import VolumeSpec

_ELSEWHERE = frozenset({"ledger", "verify", "report", "weights", "mask", "halo"})


def command_of(record: RunRecord) -> str:
    """Return the command that makes a run again, with absolute paths and every option.

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
    by_name = {field.name: field for field in fields(RunSettings)}
    for name, said in declared(RunSettings).items():
        key = name.replace("_", "-")
        value = asked.get(key, record.execution.get(key))
        default = by_name[name].default
        plain = list(default) if isinstance(default, tuple) else default
        if name in _ELSEWHERE or value is None or value in (plain, str(plain)):
            continue
        flag = said.flags[0] if said.flags else f"--{key}"
        if said.metavar is None:
            yes, _, no = flag.partition("/")
            yield yes if value else no
            continue
        yield flag
        yield ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if asked.get("inexact") and "halo" in asked:
        yield from ("--halo", str(asked["halo"]))
    if record.request["mask"] is not None:
        yield from ("--mask", str(record.request["mask"]["spec"]["uri"]))
    if record.facts.get("weights"):
        yield from ("--weights", str(record.facts["weights"]))
