import dataclasses

import pytest
import torch

from finer1.world.optimisation import Phase, run_phase, schedule

PHASE = Phase("toy", 8, 0.1, 0.01, save_steps=3, report_steps=4)


class Killed(Exception):
    pass


def train(path, phase, dies_at=None):
    weight = torch.ones(3, requires_grad=True)

    def loss_at(step: int) -> torch.Tensor:
        if step == dies_at:
            raise Killed
        batch = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return (batch @ weight).square().mean()

    run_phase(phase, {"weight": weight}, loss_at, path)
    return weight.detach()


def test_a_killed_phase_ends_as_an_unbroken_one(tmp_path):
    unbroken = train(tmp_path / "a.safetensors", PHASE)
    with pytest.raises(Killed):
        train(tmp_path / "b.safetensors", PHASE, dies_at=5)
    assert torch.equal(train(tmp_path / "b.safetensors", PHASE), unbroken)


def test_a_finished_phase_is_not_run_again(tmp_path):
    finished = train(tmp_path / "a.safetensors", PHASE)
    assert torch.equal(train(tmp_path / "a.safetensors", PHASE, dies_at=0), finished)


def test_progress_tells_the_time_left(tmp_path, capsys):
    train(tmp_path / "a.safetensors", dataclasses.replace(PHASE, steps=4))
    assert capsys.readouterr().out.startswith("toy 4/4 loss ")


def test_the_learning_rate_rises_then_falls():
    factors = [schedule(step, 100) for step in range(100)]
    assert factors.index(max(factors)) == 4  # 5 % of 100 steps
    assert max(factors) == 1.0
    assert factors[-1] < 0.03
