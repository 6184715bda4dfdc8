"""Training loop over steps, validations and checkpoints."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from blockseg.core.errors import (
    BlocksegError,
    NoSpaceError,
    OutputGoneError,
    TrainingError,
    VolumeError,
)
from blockseg.io.output.write_errors import closed_by
from blockseg.training.data.batches import batches, worker_death
from blockseg.training.events import TrainingMessage, ignore
from blockseg.training.learning.distributed import ProcessGroup
from blockseg.training.learning.kept_memory import kept_memory
from blockseg.training.learning.session import Session
from blockseg.training.learning.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from blockseg.networks.base import Network
    from blockseg.training.config import TrainingConfig
    from blockseg.training.data.data import TrainingData
    from blockseg.training.events import OnTrainingEvent, TrainingResult
    from blockseg.training.folder import RunFolder
    from blockseg.training.learning.losses import Loss
    from blockseg.training.reports.watcher import Watcher


def train(
    network: Network,
    data: TrainingData,
    loss: Loss,
    config: TrainingConfig,
    folder: RunFolder,
    *,
    ranks: ProcessGroup | None = None,
    watchers: Sequence[Watcher] = (),
    on_event: OnTrainingEvent = ignore,
) -> TrainingResult:
    """Train a network, or go on from the checkpoint in ``folder``.

    On a CPU, with one process, the same number of threads and ``config.steps``, the
    result is a function of the arguments, bit for bit, however often it was stopped.

    Parameters
    ----------
    network
        To start from; moved to the device of ``ranks`` and changed.
    data
        Patches to learn from, volumes to be judged by.
    loss
        What is minimised.
    config
        How.
    folder
        Takes checkpoint, weights and log.
    ranks
        Processes that train together; this one alone if not given.
    watchers
        Told what is found, in the first process.
    on_event
        Told what happens, in the first process, in this thread.

    Returns
    -------
    TrainingResult
        ``complete`` is False where the disk is full, or cannot be written to any more.

    Raises
    ------
    TrainingError
        If loss or gradients are no numbers any more.
    BlocksegError
        That of the data, where they cannot be read in the middle.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, and after a checkpoint; the same call goes on.
    """
    ranks = ranks or ProcessGroup()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    training = Session(
        Trainer(network, loss, config, ranks),
        data,
        loss,
        config,
        folder,
        ranks,
        watchers,
        on_event if ranks.first else ignore,
    )
    try:
        training.resume()
        with kept_memory(), _interrupts() as interrupted:
            _run(training, interrupted)
        result = training.result(complete=True, stopped=training.state.ended or "")
        for watcher in watchers:
            watcher.ended(training.rows, result)
    except (NoSpaceError, OutputGoneError) as error:
        return training.result(complete=False, stopped=str(error))
    except VolumeError as error:
        if not _is_closed(folder.path, error):
            raise
        return training.result(complete=False, stopped=str(error))
    except TrainingError as error:
        raise _at_step(training, error) from error
    except RuntimeError as error:
        if (died := worker_death(error)) is None:
            raise
        raise _at_step(training, died) from error
    return result


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C or SIGTERM has asked to stop.

    A second signal ends at once, with KeyboardInterrupt. In a thread, where Python
    delivers no signals, nobody can ask.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in signals}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_step(training: Session, error: TrainingError) -> TrainingError:
    message = f"step {training.state.step}: {error}; the last checkpoint is intact"
    return type(error)(message)


def _is_closed(folder: Path, error: VolumeError) -> bool:
    """Say whether a folder that could be written to cannot be any more."""
    cause = closed_by(error)
    return cause is not None and Path(str(cause.filename)).is_relative_to(folder)


def _run(training: Session, interrupted: Callable[[], bool]) -> None:
    config, ranks = training.config, training.ranks
    if training.state.ended is not None:
        return
    feed = batches(
        training.data.train,
        config.batch,
        first=training.state.step,
        rank=ranks.rank,
        size=ranks.size,
        workers=config.workers,
        pin=ranks.device.type == "cuda",
    )
    (share,), stop = ranks.agree(training.share()), False
    while training.state.ended is None:
        try:
            image, target = next(feed)
        except BlocksegError:
            training.save()
            if interrupted():  # what ended this job ended a process that makes patches
                raise KeyboardInterrupt from None
            raise
        training.voxels = image[0].numel()
        training.trainer.step(image, target, share, training.state.step)
        training.state = replace(training.state, step=training.state.step + 1)
        before, share = share, training.share()
        step = training.state.step
        logs = step % config.log_every == 0
        stop = interrupted()
        if ranks.size > 1:
            # Clocks and signals differ between processes; decisions must not.
            if not logs:
                stop = False
                share = before if config.seconds is not None else share
            else:
                share, asked = ranks.agree(share, float(stop))
                stop = asked > 0
        if config.validates(step, before, share):
            training.validate()
            _end_if_due(training, share)
            training.save()
        else:
            if logs:
                training.log()
            training.save_if_due()
        if stop and training.state.ended is None:
            training.save()
            raise KeyboardInterrupt


def _end_if_due(training: Session, share: float) -> None:
    patience = training.config.patience
    (waited,) = training.ranks.agree(float(training.state.waited))
    if share >= 1:
        training.state = replace(training.state, ended="")
    elif patience is not None and waited >= patience:
        reason = f"no improvement in {patience} validations"
        training.state = replace(training.state, ended=reason)
        training.tell(TrainingMessage(f"Early stop: {reason}."))
