"""Facts of a training for its first lines, its record and its report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.outputs import absolute
from blockseg.blockwise.record.record import machine_facts
from blockseg.config.declare import option_words
from blockseg.config.train_settings import TrainSettings
from blockseg.core.text import times
from blockseg.core.version import __version__
from blockseg.training.events import TrainingStarted
from blockseg.training.learning.arithmetic import arithmetic
from blockseg.training.record import DECIDING, TrainFacts
from blockseg.training.reports.html import ReportFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.networks.base import Network
    from blockseg.training.data.data import SourceNote
    from blockseg.training.learning.distributed import ProcessGroup
    from blockseg.training.plan import TrainPlan

_MADE = "synth:"
_HERE = frozenset({"device", "threads", "workers", "checkpoint_every", "tensorboard"})


def started(
    plan: TrainPlan, ranks: ProcessGroup, step: int, notes: tuple[str, ...]
) -> TrainingStarted:
    """Return the event of a start at ``step``."""
    return TrainingStarted(
        network=_network_line(plan.network),
        parameters=_parameters(plan.network),
        device=_device_line(plan, ranks),
        ranks=ranks.size,
        steps=None if plan.config.seconds is not None else plan.config.steps,
        step=step,
        sources=tuple(_source_line(note) for note in plan.request.data),
        notes=notes,
    )


def _device_line(plan: TrainPlan, ranks: ProcessGroup) -> str:
    return f"{ranks.device}, {arithmetic(plan.config.precision, ranks.device)}"


def _network_line(network: Network) -> str:
    return f"{network.architecture} of width {network.width}"


def _parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _source_line(note: SourceNote) -> str:
    shape = times(note.shape)
    use = "training and validation" if note.use == "both" else note.use
    if note.level is None:
        return f"{note.name}: brains of {shape} voxels, made on the way; for {use}"
    return (
        f"{note.name}: {shape} voxels, {note.labelled:,} annotated, "
        f"{note.foreground:,} on neurites; background {note.level:.4g} ± "
        f"{note.sd:.3g}; for {use}"
    )


def report_facts(
    plan: TrainPlan,
    ranks: ProcessGroup,
    sources: Sequence[str] = (),
    typed: tuple[str, ...] = (),
) -> ReportFacts:
    """Return the facts of the report that are known before the training.

    Parameters
    ----------
    plan
        Of the training.
    ranks
        Its processes.
    sources
        DATA, as the user names them.
    typed
        Commands as they were typed, one a start.
    """
    return ReportFacts(
        title=plan.info.name,
        network=f"{_network_line(plan.network)}, {_parameters(plan.network):,} parameters",
        sources=tuple(
            {
                field.name.replace("_", " "): _said(getattr(note, field.name), "–")
                for field in fields(note)
            }
            for note in plan.request.data
        ),
        settings={
            name.replace("_", "-"): _said(getattr(plan.decided, name))
            for name in DECIDING
        },
        machine={
            "device": _device_line(plan, ranks),
            "processes": str(ranks.size),
            "blockseg": __version__,
            **{name: _said(value) for name, value in _machine().items()},
        },
        again=_again(plan, sources) if sources else "",
        typed=typed,
    )


def _machine() -> dict[str, str | int]:
    known = dict(machine_facts())
    if "memory_bytes" in known:
        known["memory"] = f"{int(known.pop('memory_bytes')) / 1e9:.3g} GB"
    return known


def _again(plan: TrainPlan, sources: Sequence[str]) -> str:
    """Return the command of a training, with absolute paths and every option."""
    named = [s if s.startswith(_MADE) else str(absolute(s)) for s in sources]
    values = {
        field.name: getattr(plan.settings, field.name)
        for field in fields(TrainSettings)
    }
    if plan.settings.init and absolute(plan.settings.init).exists():
        values["init"] = str(absolute(plan.settings.init))
    options = option_words(TrainSettings, values, _HERE)
    return shlex.join(["blockseg", "train", *named, "-o", "RUN", *options])


def record_facts(plan: TrainPlan) -> TrainFacts:
    """Return the facts in ``train.json`` that are meant for readers."""
    return TrainFacts(
        plan.info, _parameters(plan.network), plan.decided, machine_facts()
    )


def _said(value: Any, nothing: str = "auto") -> str:
    if value is None:
        return nothing
    if isinstance(value, tuple):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}:{item}" for name, item in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if type(value) is int else str(value)
