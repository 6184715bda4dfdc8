"""Facts of a training, said at its start, in its record and in its report."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import machine_facts
from blockseg.core.text import times
from blockseg.core.version import __version__
from blockseg.training.events import TrainingStarted
from blockseg.training.learning.trainer import arithmetic
from blockseg.training.plan import plain_settings
from blockseg.training.reports.html import ReportFacts

if TYPE_CHECKING:
    from blockseg.networks.registry import Network
    from blockseg.training.learning.distributed import ProcessGroup
    from blockseg.training.plan import TrainPlan

__all__ = ["record_facts", "report_facts", "started"]


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
        sources=tuple(_source_line(note) for note in plan.request["data"]),
        notes=notes,
    )


def _device_line(plan: TrainPlan, ranks: ProcessGroup) -> str:
    return f"{ranks.device}, {arithmetic(plan.config.precision, ranks.device)}"


def _network_line(network: Network) -> str:
    return f"{network.architecture} of width {network.width}"


def _parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _source_line(note: dict[str, Any]) -> str:
    shape = times(note["shape"])
    use = "training and validation" if note["use"] == "both" else note["use"]
    if note["kind"] == "synth":
        return f"{note['name']}: brains of {shape} voxels, made on the way; for {use}"
    return (
        f"{note['name']}: {shape} voxels, {note['labelled']:,} annotated, "
        f"{note['foreground']:,} on neurites; background {note['level']:.4g} ± "
        f"{note['sd']:.3g}; for {use}"
    )


def report_facts(plan: TrainPlan, ranks: ProcessGroup) -> ReportFacts:
    """Return what the report says besides what the training finds."""
    return ReportFacts(
        title=plan.info.name,
        network=f"{_network_line(plan.network)}, {_parameters(plan.network):,} parameters",
        sources=tuple(
            {
                name.replace("_", " "): "–" if value is None else _said(value)
                for name, value in note.items()
            }
            for note in plan.request["data"]
        ),
        settings={
            name: _said(value)
            for name, value in {
                **plain_settings(plan.settings),
                **_decided(plan),
            }.items()
        },
        machine={
            "device": _device_line(plan, ranks),
            "processes": str(ranks.size),
            "blockseg": __version__,
            **{name: _said(value) for name, value in machine_facts().items()},
        },
    )


def record_facts(plan: TrainPlan) -> dict[str, Any]:
    """Return what ``train.json`` says for a reader."""
    return {
        "network": asdict(plan.info),
        "parameters": _parameters(plan.network),
        "decided": _decided(plan),
        "machine": machine_facts(),
    }


def _decided(plan: TrainPlan) -> dict[str, Any]:
    config = plan.config
    return {
        "network": plan.info.architecture,
        "width": plan.info.width,
        "rate": config.rate,
        "frozen-share": config.frozen_share,
        "steps": config.steps if config.seconds is None else None,
        "gain": plan.info.gain,
        "clip": list(plan.info.clip),
    }


def _said(value: Any) -> str:
    if value is None:
        return "auto"
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}:{item}" for name, item in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if type(value) is int else str(value)
