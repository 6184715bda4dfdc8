"""Session of a training: its state between two steps, and how it is saved."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from blockseg.training.checkpoint import Checkpoint, Standing, load_checkpoint
from blockseg.training.events import Progress, Saved, TrainingResult, Validated
from blockseg.training.history import Row
from blockseg.training.learning.validation import VolumeScore, together, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.training.config import TrainingConfig
    from blockseg.training.data.data import TrainingData, ValidationVolume
    from blockseg.training.events import OnTrainingEvent
    from blockseg.training.folder import RunFolder
    from blockseg.training.learning.distributed import ProcessGroup
    from blockseg.training.learning.losses import Loss
    from blockseg.training.learning.trainer import Trainer
    from blockseg.training.reports.watcher import Watcher

_CHECKPOINT_SECONDS = 300.0
_PACE = 20  # log rows over which the remaining time is foretold


class Session:
    """State of a training between two steps, with its events and files.

    Parameters
    ----------
    trainer
        Network and optimiser.
    data, loss, config, folder, ranks, watchers, on_event
        Those of :func:`blockseg.training.learning.loop.train`.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: TrainingData,
        loss: Loss,
        config: TrainingConfig,
        folder: RunFolder,
        ranks: ProcessGroup,
        watchers: Sequence[Watcher],
        on_event: OnTrainingEvent,
    ) -> None:
        self.trainer, self.data, self.loss = trainer, data, loss
        self.config, self.folder, self.ranks = config, folder, ranks
        self.watchers, self.tell = watchers, on_event
        self.voxels = 0  # of a patch
        self.state = Standing()
        self.rows: list[Row] = []
        self.began = self.saved_at = time.monotonic()  # as if in one session
        self.pace: deque[tuple[float, float, int]] = deque(maxlen=_PACE)

    def resume(self) -> None:
        """Resume from the checkpoint, if there is one."""
        found = load_checkpoint(self.folder.checkpoint)
        if found is not None:
            self.trainer.load(found.learner)
            torch.set_rng_state(found.random)
            self.rows = list(found.rows)
            self.began = time.monotonic() - found.seconds
            self.state = found.standing
        if self.ranks.first:
            self.folder.write_log(self.rows)

    def share(self) -> float:
        """Return how much of the training is done, 0 to 1."""
        return self.config.share(self.state.step, self.seconds())

    def seconds(self) -> float:
        """Return the wall time of all sessions."""
        return time.monotonic() - self.began

    def save(self) -> None:
        """Write a checkpoint and the weights that belong to it."""
        if not self.ranks.first:
            return
        self.trainer.check()
        checkpoint = Checkpoint(
            self.state,
            seconds=self.seconds(),
            learner=self.trainer.state(),
            random=torch.get_rng_state(),
            rows=tuple(self.rows),
        )
        self.folder.save(checkpoint, self.trainer.mean)
        self.saved_at = time.monotonic()
        self.tell(Saved(self.state.step))

    def save_if_due(self) -> None:
        """Write a checkpoint after so many steps or minutes."""
        late = time.monotonic() - self.saved_at > _CHECKPOINT_SECONDS
        if late or self.state.step % self.config.checkpoint_every == 0:
            self.save()

    def log(self, *, scores: Sequence[VolumeScore] = ()) -> None:
        """Add a row; every process must call it, as they add up the loss."""
        loss = self.trainer.take_loss()
        row = Row(
            step=self.state.step,
            loss=loss,
            rate=self.trainer.rate,
            skipped=self.trainer.skipped,
        )
        if scores:
            row = self._judged(row, scores)
        self.rows.append(row)
        if not self.ranks.first:
            return
        self.folder.append_log(row)
        for watcher in self.watchers:
            watcher.row(row)
        if loss is not None:
            self._tell_progress(loss)
        if scores:
            self._tell_scores(row)

    def validate(self) -> None:
        """Score the running mean and keep it if it is the best."""
        scores: list[VolumeScore] = []
        if self.ranks.first and self.data.validation:
            scores = validate(
                self.trainer.mean,
                self.data.validation,
                self.loss,
                on_volume=self._show,
            )
        self.log(scores=scores)
        if self.ranks.first and scores:
            if self.rows[-1].improved:
                self.folder.save_best(self.trainer.mean, self.state.step)
            for watcher in self.watchers:
                watcher.validated(self.rows, scores)

    def result(self, *, complete: bool, stopped: str) -> TrainingResult:
        """Return how the training ended."""
        state = self.state
        return TrainingResult(
            out=self.folder.path,
            complete=complete,
            stopped=stopped,
            step=state.step,
            seconds=self.seconds(),
            skipped=self.trainer.skipped,
            best_step=state.best_step,
            best_f1=None if state.best_step is None else state.best_f1,
        )

    def _show(self, volume: ValidationVolume, probability: NDArray[np.float32]) -> None:
        for watcher in self.watchers:
            watcher.volume(volume, probability)

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
        elif state.step >= self.config.patience_from:
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
                self.trainer.rate,
                (step - first) * patch * self.voxels / gone,
                (1 - share) * gone / (share - before) if share > before else None,
            )
        )

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
