"""Train a network: one readable loop over steps, validations and checkpoints."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from blockseg.core.errors import BlocksegError, NoSpaceError, TrainingError
from blockseg.training.batches import batches
from blockseg.training.checkpoint import Checkpoint, load_checkpoint
from blockseg.training.events import (
    OnTrainingEvent,
    Progress,
    Saved,
    TrainingMessage,
    TrainingResult,
    Validated,
    ignore,
)
from blockseg.training.history import Row
from blockseg.training.interrupt import interrupts
from blockseg.training.learner import Learner, Loss
from blockseg.training.ranks import Ranks
from blockseg.training.validation import VolumeScore, together, validate
from blockseg.training.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blockseg.model.networks import Network
    from blockseg.training.config import TrainingConfig
    from blockseg.training.data import TrainingData
    from blockseg.training.folder import RunFolder

__all__ = ["train"]

_CHECKPOINT_SECONDS = 300.0
_PACE = 20  # log rows over which the remaining time is foretold


@dataclass(frozen=True, slots=True)
class _Clock:
    """Wall time of all sessions."""

    started: float
    before: float

    def __call__(self) -> float:
        return self.before + time.monotonic() - self.started


class _Training:
    """The state of :func:`train` between two steps."""

    def __init__(
        self,
        learner: Learner,
        data: TrainingData,
        loss: Loss,
        config: TrainingConfig,
        folder: RunFolder,
        ranks: Ranks,
        watcher: Watcher,
        on_event: OnTrainingEvent,
    ) -> None:
        self.learner, self.data, self.loss = learner, data, loss
        self.config, self.folder, self.ranks = config, folder, ranks
        self.watcher, self.tell = watcher, on_event
        self.state = Checkpoint(0, 0.0, {}, torch.get_rng_state())
        self.rows: list[Row] = []
        self.clock = _Clock(time.monotonic(), 0.0)
        self.saved_at = time.monotonic()
        self.pace: deque[tuple[float, float, int]] = deque(maxlen=_PACE)

    def resume(self) -> None:
        found = load_checkpoint(self.folder.checkpoint)
        if found is not None:
            self.learner.load(found.learner)
            torch.set_rng_state(found.random)
            self.rows = list(found.rows)
            self.clock = _Clock(time.monotonic(), found.seconds)
            self.state = found
        self.state = replace(self.state, learner={}, rows=())
        if self.ranks.first:
            self.folder.write_log(self.rows)

    def share(self) -> float:
        return self.config.share(self.state.step, self.clock())

    def save(self) -> None:
        """Write a checkpoint and the weights that belong to it."""
        if not self.ranks.first:
            return
        self.learner.check()
        checkpoint = replace(
            self.state,
            seconds=self.clock(),
            learner=self.learner.state(),
            random=torch.get_rng_state(),
            rows=tuple(self.rows),
        )
        self.folder.save(checkpoint, self.learner.mean)
        self.saved_at = time.monotonic()
        self.tell(Saved(self.state.step))

    def save_if_due(self) -> None:
        late = time.monotonic() - self.saved_at > _CHECKPOINT_SECONDS
        if late or self.state.step % self.config.checkpoint_every == 0:
            self.save()

    def log(self, *, scores: Sequence[VolumeScore] = ()) -> None:
        """Add a row; every process must call it, as they add up the loss."""
        loss = self.learner.take_loss()
        row = Row(
            step=self.state.step,
            loss=loss,
            rate=self.learner.rate,
            skipped=self.learner.skipped,
        )
        if scores:
            row = self._judged(row, scores)
        self.rows.append(row)
        if not self.ranks.first:
            return
        self.folder.append_log(row)
        self.watcher.row(row)
        if loss is not None:
            self._tell_progress(loss)
        if scores:
            self._tell_scores(row)

    def validate(self) -> None:
        scores: list[VolumeScore] = []
        if self.ranks.first and self.data.validation:
            scores = validate(
                self.learner.mean,
                self.data.validation,
                self.loss,
                on_volume=self.watcher.volume,
            )
        self.log(scores=scores)
        if self.ranks.first and scores:
            if self.rows[-1].improved:
                self.folder.save_best(self.learner.mean, self.state.step)
            self.watcher.validated(self.rows, scores)

    def _judged(self, row: Row, scores: Sequence[VolumeScore]) -> Row:
        total = together(scores)
        at_half, (threshold, best_f1) = total.default, total.best
        state = self.state
        # The loss decides while nothing is found, and where F1 is all that it can be.
        improved = (at_half.f1, -total.loss) > (state.best_f1, -state.best_loss)
        if improved:
            self.state = replace(
                state,
                best_step=state.step,
                best_f1=at_half.f1,
                best_loss=total.loss,
                waited=0,
            )
        else:
            self.state = replace(state, waited=state.waited + 1)
        return replace(
            row,
            validation_loss=total.loss,
            f1=at_half.f1,
            precision=at_half.precision,
            recall=at_half.recall,
            best_threshold=threshold,
            best_f1=best_f1,
            improved=improved,
        )

    def _tell_progress(self, loss: float) -> None:
        now, share, step = time.monotonic(), self.share(), self.state.step
        self.pace.append((now, share, step))
        then, before, first = self.pace[0]
        gone = max(now - then, 1e-9)
        patch = self.config.batch * self.ranks.size
        self.tell(
            Progress(
                step,
                share,
                loss,
                self.learner.rate,
                (step - first) * patch * self.voxels / gone,
                (1 - share) * gone / (share - before) if share > before else None,
            )
        )

    voxels = 0
    """Of a patch."""

    def _tell_scores(self, row: Row) -> None:
        self.tell(
            Validated(
                row.step,
                row.validation_loss or 0.0,
                row.f1 or 0.0,
                row.precision or 0.0,
                row.recall or 0.0,
                row.best_threshold or 0.0,
                row.best_f1 or 0.0,
                bool(row.improved),
            )
        )


def train(
    network: Network,
    data: TrainingData,
    loss: Loss,
    config: TrainingConfig,
    folder: RunFolder,
    *,
    ranks: Ranks | None = None,
    watcher: Watcher | None = None,
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
    watcher
        Told what is found, in the first process.
    on_event
        Told what happens, in the first process, in this thread.

    Returns
    -------
    TrainingResult
        ``complete`` is False where a full disk stopped it.

    Raises
    ------
    TrainingError
        If loss or gradients are no numbers any more.
    BlocksegError
        That of the data, where they cannot be read in the middle.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, and after a checkpoint; the same call goes on.
    """
    ranks = ranks or Ranks()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    training = _Training(
        Learner(network, loss, config, ranks),
        data,
        loss,
        config,
        folder,
        ranks,
        watcher or Watcher(),
        on_event if ranks.first else ignore,
    )
    try:
        training.resume()
        with interrupts() as interrupted:
            _run(training, interrupted)
        result = _result(training, complete=True, stopped=training.state.ended or "")
        training.watcher.ended(training.rows, result)
    except NoSpaceError as error:
        return _result(training, complete=False, stopped=str(error))
    except TrainingError as error:
        message = f"step {training.state.step}: {error}; the last checkpoint is intact"
        raise TrainingError(message) from error
    return result


def _run(training: _Training, interrupted: Callable[[], bool]) -> None:
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
            raise
        training.voxels = image[0].numel()
        training.learner.step(image, target, share, training.state.step)
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
                share, wanted = ranks.agree(share, float(stop))
                stop = wanted > 0
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


def _end_if_due(training: _Training, share: float) -> None:
    patience = training.config.patience
    (waited,) = training.ranks.agree(float(training.state.waited))
    if share >= 1:
        training.state = replace(training.state, ended="")
    elif patience is not None and waited >= patience:
        reason = f"no improvement in {patience} validations"
        training.state = replace(training.state, ended=reason)
        training.tell(TrainingMessage(f"Early stop: {reason}."))


def _result(training: _Training, *, complete: bool, stopped: str) -> TrainingResult:
    state = training.state
    return TrainingResult(
        out=training.folder.path,
        complete=complete,
        stopped=stopped,
        step=state.step,
        seconds=training.clock(),
        skipped=training.learner.skipped,
        best_step=state.best_step,
        best_f1=None if state.best_step is None else state.best_f1,
    )
