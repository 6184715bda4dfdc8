from dataclasses import replace

import pytest
import torch

from blockseg.training.config import TrainingConfig
from blockseg.training.learning.optimiser import make_optimiser, rate_at, set_rate

CYCLE = TrainingConfig(rate=1.0, warm_share=0.2)


def test_one_cycle_rises_to_its_peak_and_falls_to_nearly_nothing():
    rates = [rate_at(CYCLE, n / 100) for n in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[20] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(1 / 25e4)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_one_cycle_is_that_of_torch():
    steps = 50
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([weight], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, steps, pct_start=0.2)
    config = replace(CYCLE, steps=steps)
    for step in range(steps):
        # Torch reaches the ends a step earlier than the shares of the training do.
        near = [rate_at(config, (step + d) / steps) for d in (0, 1)]
        assert min(near) - 1e-9 <= optimiser.param_groups[0]["lr"] <= max(near) + 0.005
        optimiser.step()
        schedule.step()


def test_halving_halves_as_often_as_it_says():
    config = TrainingConfig(rate=1.0, schedule="halving", halvings=3)
    assert [rate_at(config, n / 4) for n in range(5)] == [1, 0.5, 0.25, 0.125, 0.125]


def test_the_published_optimiser_is_sgd_with_momentum_and_decay():
    config = TrainingConfig(
        optimiser="sgd", schedule="constant", rate=0.1, weight_decay=3e-4
    )
    optimiser = make_optimiser([torch.nn.Parameter(torch.zeros(1))], config)
    (group,) = optimiser.param_groups
    assert isinstance(optimiser, torch.optim.SGD)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 3e-4)
    assert set_rate(optimiser, config, 0.7) == group["lr"] == 0.1


def test_adamw_is_calm_at_low_rates_and_quick_at_the_peak():
    optimiser = make_optimiser([torch.nn.Parameter(torch.zeros(1))], CYCLE)
    set_rate(optimiser, CYCLE, 0.2)
    assert optimiser.param_groups[0]["betas"][0] == pytest.approx(0.85)
    set_rate(optimiser, CYCLE, 1.0)
    assert optimiser.param_groups[0]["betas"][0] == pytest.approx(0.95)


def test_validations_fall_evenly_and_on_the_last_step():
    config = TrainingConfig(steps=1000)
    due = [n for n in range(1, 1001) if config.validates(n, (n - 1) / 1000, n / 1000)]
    assert due == list(range(50, 1001, 50))
    short = TrainingConfig(steps=20)
    assert [n for n in range(1, 21) if short.validates(n, (n - 1) / 20, n / 20)] == [
        10,
        20,
    ]
    own = TrainingConfig(steps=10, validate_every=4)
    assert [n for n in range(1, 11) if own.validates(n, (n - 1) / 10, n / 10)] == [
        4,
        8,
        10,
    ]
