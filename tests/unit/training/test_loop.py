"""The loop: what survives a stop, what ends it, and what it keeps."""

import errno
import os
import signal

import numpy as np
import pytest
import torch

from blockseg.core.errors import (
    CorruptDataError,
    ProcessLostError,
    TrainingError,
    VolumeError,
)
from blockseg.networks.receptive_field import ARCHITECTURES
from blockseg.networks.weights import load_weights
from blockseg.training.data.batches import batches, numbers
from blockseg.training.events import Progress, Saved, Validated


def same(one, other):
    """Compare nested values bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize(
    ("step", "precision"), [(3, "float32"), (6, "float32"), (6, "bfloat16")]
)
def test_a_training_that_was_stopped_ends_bit_for_bit_like_one_that_was_not(
    tiny, step, precision
):
    whole, stopped = tiny("whole"), tiny("stopped")
    whole(patience=2, precision=precision)

    def stop(event):
        if isinstance(event, Progress) and event.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        stopped(patience=2, precision=precision, on_event=stop)
    assert stopped.state()["step"] < 12
    stopped(patience=2, precision=precision)
    assert same(whole.state(), stopped.state())
    for name in ("best.safetensors", "last.safetensors", "log.csv"):
        assert (whole.path / name).read_bytes() == (stopped.path / name).read_bytes()


def test_a_kill_loses_what_came_after_the_checkpoint_and_nothing_else(tiny):
    whole, killed = tiny("whole"), tiny("killed")
    whole(checkpoint_every=2)

    class Killed(BaseException):
        pass

    def kill(event):
        if isinstance(event, Progress) and event.step == 9:
            raise Killed  # the log holds step 9 by now, the checkpoint step 8

    with pytest.raises(Killed):
        killed(checkpoint_every=2, on_event=kill)
    assert killed.state()["step"] == 8
    assert "\n9," in (killed.path / "log.csv").read_text()
    killed(checkpoint_every=2)
    assert same(whole.state(), killed.state())
    assert (whole.path / "log.csv").read_text() == (killed.path / "log.csv").read_text()


def test_a_finished_training_has_nothing_left_to_do(tiny):
    run = tiny()
    run()
    before = run.folder.checkpoint.read_bytes()
    seen: list[object] = []
    result = run(on_event=seen.append)
    assert (result.complete, result.step, seen) == (True, 12, [])
    assert run.folder.checkpoint.read_bytes() == before


def test_training_learns_and_keeps_the_best_weights(tiny):
    run = tiny()
    seen: list[Validated] = []

    def note(event):
        if isinstance(event, Validated):
            seen.append(event)

    result = run(steps=60, validate_every=20, averaging=0.9, on_event=note)
    assert [event.step for event in seen] == [20, 40, 60]
    assert seen[-1].loss < seen[0].loss
    best = max(seen, key=lambda event: (event.f1, -event.loss))
    assert (result.best_step, result.best_f1) == (best.step, best.f1)
    assert result.best_f1 > 0.5
    network, info = load_weights(run.folder.best)
    assert info.name == f"tiny-{best.step}"
    assert not network.training


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_learns_in_bfloat16_and_begins_as_in_float32(tiny, architecture):
    losses = {}
    for precision in ("float32", "bfloat16"):
        rows: list[float] = []

        def note(event, rows=rows):
            if isinstance(event, Progress):
                rows.append(event.loss)

        how = {"precision": precision, "volumes": 0, "on_event": note}
        tiny(precision, architecture)(steps=20, log_every=4, batch=2, **how)
        losses[precision] = rows
    for rows in losses.values():
        assert rows[-1] < 0.8 * rows[0]
    assert losses["bfloat16"] != losses["float32"]
    # Rounding goes its own way after a while, but the first steps are nearly the same.
    assert losses["bfloat16"][0] == pytest.approx(losses["float32"][0], rel=0.1)


def test_the_default_is_float32_to_the_last_bit(tiny):
    default, asked = tiny("default"), tiny("asked")
    default()
    asked(precision="float32")
    assert same(default.state(), asked.state())


def test_early_stopping_counts_validations_without_improvement(tiny):
    run = tiny()
    result = run(rate=1e-12, steps=1000, validate_every=2, patience=3, averaging=0.0,
                 frozen_share=1.0)  # fmt: skip
    # Nothing moves: the first validation is the best, and three follow.
    assert (result.step, result.best_step) == (8, 2)
    assert result.stopped == "no improvement in 3 validations"
    assert run(rate=1e-12, steps=1000, validate_every=2, patience=3).step == 8


def test_patience_counts_from_a_least_number_of_steps(tiny):
    result = tiny()(rate=1e-12, steps=1000, validate_every=2, patience=3,
                    patience_from=11, averaging=0.0, frozen_share=1.0)  # fmt: skip
    assert result.step == 16  # validations at 12, 14 and 16


def test_the_clock_ends_a_training_that_has_a_limit(tiny):
    result = tiny()(seconds=0.05, steps=10**9)
    assert result.complete
    assert 0 < result.step < 10**6


def test_a_loss_that_is_no_number_stops_it_before_anything_is_written(tiny, toys):
    run = tiny()
    with pytest.raises(TrainingError, match=r"step 8: the .* is no finite number"):
        run(toys.Lines(broken=frozenset({7})), checkpoint_every=6)
    state = run.state()
    assert state["step"] == 6
    assert all(t.isfinite().all() for t in state["learner"]["network"].values())


def test_data_that_fail_in_the_middle_end_it_with_their_own_error(tiny, toys):
    run = tiny()
    said = "chunk 3 is damaged; delete it"
    with pytest.raises(CorruptDataError, match=said):
        run(toys.Lines(error=CorruptDataError(said)), steps=30)
    assert run.state()["step"] == 12


def test_a_full_disk_stops_it_and_leaves_the_last_checkpoint(tiny, monkeypatch):
    run = tiny()
    sync = os.fsync
    full: list[Saved] = []

    def fill(handle):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    def note(event):
        if isinstance(event, Saved):
            full.append(event)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fill)
        result = run(on_event=note)
    assert not result.complete
    assert "no space left" in result.stopped
    assert "\n" not in result.stopped
    assert run.state()["step"] == 4
    assert not list(run.path.glob("*.part"))
    whole = tiny("whole")
    whole()
    run()
    assert same(whole.state(), run.state())


def test_a_folder_that_may_not_be_written_any_more_stops_it(tiny, monkeypatch):
    run = tiny()
    sync = os.fsync
    closed: list[Saved] = []

    def refuse(handle):
        if closed:
            part = str(run.path / "checkpoint.pt.part")
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), part)
        sync(handle)

    def note(event):
        if isinstance(event, Saved):
            closed.append(event)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        result = run(on_event=note)
    assert not result.complete
    assert "Permission denied" in result.stopped
    assert run.state()["step"] == 4
    whole = tiny("whole")
    whole()
    run()
    assert same(whole.state(), run.state())


def test_data_that_may_not_be_read_are_no_folder_that_is_closed(tiny, toys):
    error = VolumeError("a.tif cannot be read")
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied", "a.tif")
    with pytest.raises(VolumeError, match="cannot be read"):
        tiny()(toys.Lines(error=error), steps=30)


def test_without_validation_the_last_weights_are_the_best(tiny):
    run = tiny()
    result = run(volumes=0)
    assert (result.best_step, result.best_f1) == (None, None)
    assert run.folder.best.read_bytes() == run.folder.last.read_bytes()


def test_a_damaged_checkpoint_is_one_line(tiny):
    run = tiny()
    run()
    run.folder.checkpoint.write_bytes(run.folder.checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"is damaged .* --overwrite") as caught:
        run()
    assert "\n" not in str(caught.value)


def test_frozen_norms_keep_their_statistics(tiny):
    run = tiny()
    run(frozen_share=1.0)
    state = run.state()["learner"]["network"]
    means = [value for name, value in state.items() if name.endswith("running_mean")]
    assert means
    assert all((mean == 0).all() for mean in means)


def test_no_two_steps_and_no_two_processes_share_a_patch():
    drawn = [
        number
        for step in range(5)
        for rank in range(3)
        for number in numbers(step, 4, rank, 3)
    ]
    assert sorted(drawn) == list(range(60))


def test_batches_are_the_same_from_processes_and_after_a_resume(toys):
    made = [toys.Lines()[n] for n in range(40)]  # a list is such a source too

    def first(n, **how):
        feed = batches(made, 2, **how)
        return [next(feed) for _ in range(n)]

    here, there = first(4), first(4, workers=1)
    later = first(2, first=2)
    for (image, target), (other, truth) in zip(here, there, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(target, truth)
    assert torch.equal(here[2][0], later[0][0])
    assert here[0][0].shape == (2, 1, 16, 16, 16)
    np.testing.assert_array_equal(here[3][0][1], toys.Lines()[7][0])


class EndedByAScheduler:
    """Patches of which the sixth never comes, as the whole job is ended."""

    def __init__(self, lines):
        self.lines = lines

    def __getitem__(self, number):
        if number < 5:
            return self.lines[number]
        os.kill(os.getpid(), signal.SIGTERM)
        message = "a process that makes patches died"
        raise TrainingError(message)


def test_a_signal_that_also_ends_the_processes_of_patches_is_an_interruption(
    tiny, toys
):
    ended, whole = tiny("ended"), tiny("whole")
    with pytest.raises(KeyboardInterrupt):
        ended(EndedByAScheduler(toys.Lines()))
    assert ended.state()["step"] == 5
    ended()
    whole()
    assert same(ended.state(), whole.state())


def test_a_dead_process_of_patches_is_one_line_wherever_the_loader_says_so(tiny):
    def die(event):
        if isinstance(event, Progress) and event.step == 9:
            message = "DataLoader worker (pid 7) is killed by signal: Killed. "
            raise RuntimeError(message)

    training = tiny()
    with pytest.raises(
        ProcessLostError, match=r"step 9: .* is killed .* is intact"
    ) as found:
        training(on_event=die)
    assert "\n" not in str(found.value)
    assert training.state()["step"] == 8
