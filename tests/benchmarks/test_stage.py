"""The benchmark of the stage on a toy stage: equality and counts, never how long it took."""

import io
from dataclasses import replace

import pytest
import torch
import yaml
from PIL import Image

from benchmarks import stage
from benchmarks.embedded import read_stage
from benchmarks.sides import build_part
from finer1.images import write_archive
from finer1.records import ImageRecord, SplitRecord, Triplet, write_jsonl

LABELS = ("a", "b")


@pytest.fixture
def root(tmp_path, repository, tiny_model):
    """A project folder with what the stages before `tapo` write; two images per sub-category."""
    values = yaml.safe_load((repository / "params.yaml").read_text(encoding="utf-8"))
    values["tapo"] |= {
        "prompts_per_step": 4,
        "anchor_rollouts": 2,
        "positive_rollouts": 1,
        "max_completion_tokens": 8,
    }
    values["paths"] |= {"sft": str(tiny_model)}
    write_params(tmp_path, values)
    names = [f"{label}{number}" for label in LABELS for number in range(2)]
    (tmp_path / "data").mkdir()
    write_archive(tmp_path / values["paths"]["images"], [(name, picture(name)) for name in names])
    write_jsonl(tmp_path / values["paths"]["splits"], [split_record(name) for name in names])
    write_jsonl(tmp_path / values["paths"]["triplets"], [triplet(name) for name in names])
    return tmp_path


def write_params(root, values):
    (root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def picture(name):
    """A PNG file; images of `a` are square, those of `b` are wide."""
    file = io.BytesIO()
    size = (64, 64) if name[0] == "a" else (64, 32)
    Image.effect_noise(size, 40 + 20 * int(name[1])).convert("RGB").save(file, format="PNG")
    return file.getvalue()


def split_record(name):
    image = ImageRecord(
        id=name,
        dataset="world",
        category="bird",
        label=name[0],
        group=None,
        phash="0" * 16,
        sha256=name,
        official="train",
    )
    return SplitRecord(image=image, seen=True, part="tapo")


def triplet(name):
    label, number = name
    (other,) = set(LABELS) - {label}
    return Triplet(
        anchor=name,
        label=label,
        category="bird",
        positives=(f"{label}{1 - int(number)}",),
        negative_label=other,
        negatives=(f"{other}0", f"{other}1"),
        similarity=0.5,
        encoder="base_model",
        encoder_sha256="0" * 64,
    )


@pytest.mark.slow
def test_the_stages_updates_are_equal_and_counted_right(root):
    toy = read_stage(root)
    groups = toy.sampler.sample(range(4))
    generator = torch.Generator().manual_seed(0)
    # An untrained model earns no reward; advantages of 0 would leave out the surrogate.
    replays = [
        [replace(r, advantages=torch.randn(r.advantages.shape, generator=generator)) for r in parts]
        for parts in toy.lay_out(groups)
    ]
    updates = [[build_part(toy.model, replay, False) for replay in parts] for parts in replays]
    accounts = stage.examine_step(toy.model, updates, torch.float64)
    assert all(account.is_exact for account in accounts)
    assert [account.num_off for account in accounts] == [0, 0]
    for account, (replay,) in zip(accounts, replays, strict=True):
        anchor, negative = replay.branches
        prompts = [*anchor.prompts.images, *negative.prompts.images]
        prefixes = sum(len(prompt.token_ids) - 1 for prompt in prompts)
        assert account.counts.tokens == prefixes + 2 * replay.num_tokens
        # Two prompts of an update; a negative may be the other's anchor.
        assert account.counts.images == len({id(p.pixel_values) for p in prompts}) <= 4


@pytest.mark.slow
def test_a_run_tells_equality_and_every_phase(root, capsys):
    assert stage.main(["--root", str(root), "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    for number_format in ("float64", "float32"):
        assert f"Difference from B0, weights in {number_format}: log-probabilities" in text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    parts = [f"of which {phase}" for phase in stage.UPDATE_PHASES]
    assert rows[2:] == ["generate", "prepare", "update", *parts, "whole step"]


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [("tapo", "inter_class_coef", 0.0), ("tapo", "lora_rank", 4), ("runtime", "forward", "plain")],
)
def test_settings_of_another_update_are_refused(root, section, name, value, capsys):
    values = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    values[section][name] = value
    write_params(root, values)
    assert stage.main(["--root", str(root)]) == 2
    assert f"{section}.{name} is {value}; benchmarks.stage measures" in capsys.readouterr().err
