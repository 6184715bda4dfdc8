"""``blockseg train``: train or fine-tune a network, resumably."""

from __future__ import annotations

import math
import platform
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg import __version__
from blockseg.config import TRAIN_EXECUTION, TrainSettings
from blockseg.core.errors import ConfigError, MissingExtraError
from blockseg.jobs.record import machine_facts
from blockseg.jobs.train_folder import TrainFolder
from blockseg.model import WeightsInfo, sha256
from blockseg.runtime import machine
from blockseg.training.config import TrainingConfig
from blockseg.training.data import CLIP, GAIN, DataConfig, open_data
from blockseg.training.events import TrainingStarted, ignore
from blockseg.training.folder import RunFolder
from blockseg.training.learner import arithmetic
from blockseg.training.loop import train as loop
from blockseg.training.losses import LossConfig, make_loss
from blockseg.training.ranks import Ranks, open_ranks
from blockseg.training.report import Report, ReportFacts
from blockseg.training.start import first_network
from blockseg.training.tensorboard import TensorBoard
from blockseg.training.watcher import Watcher, Watchers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.model.networks import Network
    from blockseg.training.data import TrainingData
    from blockseg.training.events import OnTrainingEvent, TrainingResult
    from blockseg.training.learner import Loss

__all__ = ["train"]

_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that is decided before anything is written."""

    settings: TrainSettings
    network: Network
    info: WeightsInfo
    config: TrainingConfig
    loss: Loss
    data: TrainingData
    request: dict[str, Any]


def train(
    sources: Sequence[str],
    out: str,
    settings: TrainSettings | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    on_event: OnTrainingEvent = ignore,
    command: str = "",
) -> TrainingResult:
    """Train a network into the folder ``out``, or go on with a training there.

    Under torchrun several processes train one network, a GPU each; the first writes.

    Parameters
    ----------
    sources
        Folders with ``image/`` and ``label/``, OME-Zarr images with labels, or
        ``synth:NAME``; at least one.
    out
        Folder; made if it is not there.
    settings
        What to do; the defaults if not given.
    overwrite
        Start anew where ``out`` holds an earlier training.
    resume
        Refuse to start a new one.
    on_event
        Told what happens, in this thread.
    command
        What the user typed, for the record.

    Returns
    -------
    TrainingResult
        ``complete`` is False where a full disk stopped it.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if data or settings are bad, or
        ``out`` holds another training; TrainingError if the loss is no number any
        more.
    KeyboardInterrupt
        After Ctrl-C and a checkpoint; the same call goes on.
    """
    folder = TrainFolder(Path(out).expanduser())
    settings = settings or TrainSettings()
    with open_ranks(settings.device) as ranks, ExitStack() as stack:
        if ranks.first:
            folder.refuse_foreign()
            if resume:
                folder.refuse_nothing()
        plan = _plan(sources, folder.path, settings, ranks)
        files = RunFolder(folder.path, plan.info)
        watcher = Watcher()
        if ranks.first:
            fresh = folder.is_fresh(plan.request, overwrite=overwrite)
            stack.enter_context(folder.claimed(fresh=fresh))
            folder.start(plan.request, _facts(plan), _execution(settings), command)
            step = folder.step_of(files.checkpoint)
            watcher, notes = _watchers(plan, files, step, ranks)
            on_event(_started(plan, ranks, step, notes))
        ranks.barrier()
        try:
            result = loop(
                plan.network,
                plan.data,
                plan.loss,
                plan.config,
                files,
                ranks=ranks,
                watcher=watcher,
                on_event=on_event,
            )
        except BaseException as error:
            if ranks.first:
                stopped = isinstance(error, KeyboardInterrupt)
                folder.end("interrupted" if stopped else str(error))
            raise
        if ranks.first:
            folder.end("complete" if result.complete else result.stopped)
        return result


def _plan(
    sources: Sequence[str], out: Path, settings: TrainSettings, ranks: Ranks
) -> _Plan:
    network, init = first_network(
        settings.network, settings.width, settings.init, settings.seed
    )
    if settings.patch % network.alignment:
        message = (
            f"--patch {settings.patch}: {network.architecture} takes multiples of "
            f"{network.alignment}; use {_multiple(settings.patch, network.alignment)}"
        )
        raise ConfigError(message)
    gain, clip = _input(settings, init)
    config = _config(settings, fine=init is not None, ranks=ranks)
    arithmetic(config.precision, ranks.device)
    loss = make_loss(
        LossConfig(
            name=settings.loss,
            cldice=settings.cldice,
            skeleton_recall=settings.skeleton_recall,
            deep_supervision=settings.deep_supervision,
        )
    )
    data = open_data(sources, _data_config(settings, gain, clip, network.reach))
    info = WeightsInfo(
        name=settings.name or out.name,
        gain=gain,
        clip=clip,
        training_data=_summary(data, init),
        licence=settings.licence,
        width=network.width,
        architecture=network.architecture,
    )
    request = {
        "settings": _settings(settings),
        "init": None if settings.init is None else sha256(settings.init),
        "data": [_plain(asdict(note)) for note in data.sources],
    }
    return _Plan(settings, network, info, config, loss, data, request)


def _input(
    settings: TrainSettings, init: WeightsInfo | None
) -> tuple[float, tuple[float, float]]:
    """Return gain and clip; fine-tuned weights see what they were trained on."""
    gain = settings.gain or (GAIN if init is None else init.gain)
    clip = settings.clip or (CLIP if init is None else init.clip)
    return gain, clip


def _data_config(
    settings: TrainSettings, gain: float, clip: tuple[float, float], reach: int
) -> DataConfig:
    return DataConfig(
        patch=settings.patch,
        seed=settings.seed,
        batch=settings.batch,
        validation_share=settings.validation_share,
        label_map=settings.label_map,
        label_name=settings.label_name,
        augmentation=settings.augmentation,
        background_share=settings.background_share,
        min_foreground=settings.min_foreground,
        shares=settings.shares,
        clutter=settings.clutter,
        normalization=settings.normalization,
        gain=gain,
        clip=clip,
        guard=reach,
    )


def _config(settings: TrainSettings, *, fine: bool, ranks: Ranks) -> TrainingConfig:
    usual = 1e-3 if fine or settings.optimiser == "sgd" else 6e-3
    frozen = 1.0 if fine else 0.3
    workers = min(_MOST_WORKERS, max(machine().cores // ranks.size - 1, 0))
    return TrainingConfig(
        steps=settings.steps or (1000 if fine else 3000),
        seconds=settings.time,
        batch=settings.batch,
        seed=settings.seed,
        optimiser=settings.optimiser,
        schedule=settings.schedule,
        rate=settings.rate or usual,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        halvings=settings.halvings,
        warm_share=settings.warm_share,
        frozen_share=frozen if settings.frozen_share is None else settings.frozen_share,
        averaging=settings.averaging,
        gradient_clip=settings.gradient_clip,
        validate_every=settings.validate_every,
        patience=settings.patience,
        checkpoint_every=settings.checkpoint_every,
        precision=settings.precision,
        threads=settings.threads,
        workers=workers if settings.workers is None else settings.workers,
    )


def _watchers(
    plan: _Plan, files: RunFolder, step: int, ranks: Ranks
) -> tuple[Watcher, tuple[str, ...]]:
    watchers: list[Watcher] = [Report(files.report, _report_facts(plan, ranks))]
    notes = list(plan.data.remarks)
    if plan.settings.tensorboard:
        try:
            watchers.append(TensorBoard(files.tensorboard, step))
        except MissingExtraError as error:
            notes.append(f"No TensorBoard files: {error}.")
    if plan.settings.time is not None:
        notes.append("The clock ends it: a second training will differ from this one.")
    if not plan.data.validation:
        notes.append("Nothing is held out: best.safetensors will be the last weights.")
    return Watchers(watchers), tuple(notes)


def _started(
    plan: _Plan, ranks: Ranks, step: int, notes: tuple[str, ...]
) -> TrainingStarted:
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


def _device_line(plan: _Plan, ranks: Ranks) -> str:
    return f"{ranks.device}, {arithmetic(plan.config.precision, ranks.device)}"


def _network_line(network: Network) -> str:
    return f"{network.architecture} of width {network.width}"


def _parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _source_line(note: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_said(value)}" for name, value in note.items() if value)


def _summary(data: TrainingData, init: WeightsInfo | None) -> str:
    made_of = "; ".join(f"{note.name} ({note.kind})" for note in data.sources)
    if init is None:
        return made_of
    return f"{made_of}; fine-tuned from {init.name} ({init.training_data})"


def _report_facts(plan: _Plan, ranks: Ranks) -> ReportFacts:
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
            for name, value in {**_settings(plan.settings), **_decided(plan)}.items()
        },
        machine={
            "device": _device_line(plan, ranks),
            "processes": str(ranks.size),
            "blockseg": __version__,
            **{name: _said(value) for name, value in machine_facts().items()},
        },
    )


def _facts(plan: _Plan) -> dict[str, Any]:
    return {
        "network": asdict(plan.info),
        "parameters": _parameters(plan.network),
        "decided": _decided(plan),
        "machine": machine_facts(),
        "host": platform.node(),
    }


def _decided(plan: _Plan) -> dict[str, Any]:
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


def _settings(settings: TrainSettings) -> dict[str, Any]:
    return {
        field.name.replace("_", "-"): _plain(getattr(settings, field.name))
        for field in fields(TrainSettings)
        if field.name not in TRAIN_EXECUTION
    }


def _execution(settings: TrainSettings) -> dict[str, Any]:
    return {
        name.replace("_", "-"): getattr(settings, name)
        for name in sorted(TRAIN_EXECUTION)
    }


def _multiple(number: int, of: int) -> int:
    return max(-(-number // of) * of, of)


def _plain(value: Any) -> Any:
    """Return what JSON gives back as it was."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None  # NaN differs from itself
    return value


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
