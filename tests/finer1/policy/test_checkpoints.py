import os
import shutil

import pytest
import torch

from finer1.policy.checkpoints import newest_checkpoint, save_checkpoint
from finer1.policy.optimizer import build_optimizer


class Model(torch.nn.Linear):
    device = "cpu"


@pytest.fixture
def pair():
    def build(steps=0):
        torch.manual_seed(0)
        model = Model(3, 2)
        optimizer = build_optimizer(model, 0.1, 0.01, (0.9, 0.98))
        train(model, optimizer, steps)
        return model, optimizer

    return build


def load_checkpoint(root, model, optimizer):
    found = newest_checkpoint(root)
    if found is None:
        return None
    found.load_weights(model)
    found.load_moments(model, optimizer)
    return found.state


def train(model, optimizer, steps, first=0):
    for step in range(first, first + steps):
        optimizer.zero_grad()
        model(torch.full((1, 3), float(step))).square().sum().backward()
        optimizer.step()


def test_training_continues_to_the_same_bits(pair, tmp_path):
    whole, _ = pair(steps=6)
    model, optimizer = pair(steps=4)
    save_checkpoint(tmp_path, 4, model, optimizer, {"step": 4})
    model, optimizer = pair()
    assert load_checkpoint(tmp_path, model, optimizer) == {"step": 4}
    train(model, optimizer, 2, first=4)
    assert model.weight.equal(whole.weight)
    assert model.bias.equal(whole.bias)


def test_without_a_checkpoint_nothing_is_loaded(pair, tmp_path):
    assert load_checkpoint(tmp_path, *pair()) is None


def test_the_newest_two_are_kept(pair, tmp_path):
    for step in (9, 10, 100):
        save_checkpoint(tmp_path, step, *pair(steps=1), {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000010", "step-000100"]
    assert load_checkpoint(tmp_path, *pair()) == {"step": 100}


def test_a_half_written_checkpoint_is_ignored(pair, tmp_path):
    save_checkpoint(tmp_path, 1, *pair(steps=1), {"step": 1})
    shutil.copytree(tmp_path / "step-000001", tmp_path / ".step.part")
    (tmp_path / ".step.part" / "state.json").unlink()
    assert load_checkpoint(tmp_path, *pair()) == {"step": 1}
    save_checkpoint(tmp_path, 2, *pair(steps=2), {"step": 2})
    assert load_checkpoint(tmp_path, *pair()) == {"step": 2}


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    # In the JSON the number of the step, which comes last; else somewhere within a tensor.
    place = content.rindex(b": 2") + 2 if path.suffix == ".json" else len(content) - 2
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: os.truncate(path, path.stat().st_size // 2), "damaged"),
        (flip_a_bit, "damaged"),
    ],
    ids=["missing", "short", "flipped"],
)
def test_a_damaged_checkpoint_is_passed_over(pair, tmp_path, caplog, name, harm, word):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, *pair(steps=step), {"step": step})
    harm(tmp_path / "step-000002" / name)
    model, optimizer = pair()
    assert load_checkpoint(tmp_path, model, optimizer) == {"step": 1}
    assert model.weight.equal(pair(steps=1)[0].weight)
    assert f"step-000002 is passed over: {name} is {word}" in caplog.text


def test_when_all_are_damaged_nothing_is_loaded(pair, tmp_path):
    save_checkpoint(tmp_path, 1, *pair(steps=1), {"step": 1})
    (tmp_path / "step-000001" / "model.safetensors").write_bytes(b"")
    assert newest_checkpoint(tmp_path) is None


def test_one_process_writes(pair, tmp_path):
    save_checkpoint(tmp_path, 1, *pair(steps=1), {"step": 1}, is_writer=False)
    assert list(tmp_path.iterdir()) == []
