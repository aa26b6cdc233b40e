"""The stages sft, triplets and tapo on own images and the tiny random model."""

import json
from dataclasses import replace

import pytest

from finer1.policy.folder import load_processor
from finer1.recognition import Asking
from finer1.records import Rationale, SplitRecord, Triplet, read_jsonl, write_jsonl
from tasks.concepts import concepts
from tasks.cot import cot
from tasks.download import download
from tasks.review import review
from tasks.sft import completion
from tasks.sft import train as sft
from tasks.split import split
from tasks.tapo import train as tapo
from tasks.triplets import mine as triplets

BODIES = {
    "download": download,
    "split": split,
    "concepts": concepts,
    "cot": cot,
    "review": review,
    "sft": sft,
    "triplets": triplets,
    "tapo": tapo,
}
TEACHER = ("download", "split", "concepts", "cot", "review")


@pytest.fixture
def run(make_context, own_images, tiny_model):
    """Run stages by name with further changes; returns the last metrics and the paths."""
    changes = own_images[1]

    def run(*stages, **more):
        named = {key.replace("__", "."): value for key, value in more.items()}
        named |= {"paths.base": str(tiny_model)}
        for stage in stages:
            context = make_context(stage, changes | named)
            metrics = BODIES[stage](context)
        return metrics, context.params.paths

    return run


def test_triplets_use_seen_tapo_images_only(run, logged):
    metrics, paths = run("download", "split", "triplets")
    rows = read_jsonl(paths.splits, SplitRecord)
    allowed = {row.image.id for row in rows if row.seen and row.part == "tapo"}
    mined = read_jsonl(paths.triplets, Triplet)
    assert {triplet.anchor for triplet in mined} == allowed
    for triplet in mined:
        assert {*triplet.positives, *triplet.negatives} < allowed
    assert metrics["triplets/anchors"] == 8  # two seen sub-categories of four images each


@pytest.mark.slow
def test_sft_and_tapo_give_folders_that_load(run, logged):
    metrics, paths = run(*TEACHER, "sft", "triplets", "tapo", tapo__steps=0)
    assert metrics["train/steps"] == 0
    for folder in (paths.sft, paths.tapo):
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
            path.name for path in folder.iterdir()
        }
    ((folder, asking),) = logged.models  # of tapo alone
    assert folder == paths.tapo
    assert Asking(**asking).category(None) == "beetle"
    assert {"image", "question", "completion"} == set(logged.tables["examples"][0])
    steps = [step for step, metrics in logged.metrics if "train/loss" in metrics]
    assert steps == [1]  # two rationales for two epochs fit into one batch of eight


@pytest.mark.slow
def test_a_run_without_surviving_groups_fails_and_says_so(run):
    with pytest.raises(RuntimeError, match="no group survived"):
        run(
            *(*TEACHER, "sft", "triplets", "tapo"),
            tapo__steps=1,
            tapo__prompts_per_step=2,
            tapo__max_resamples=0,
            tapo__max_completion_tokens=5,
        )


@pytest.mark.slow
def test_a_step_of_tapo_logs_its_phases_its_speeds_and_a_sheet(run, logged):
    # Whatever the random model writes, all of it is trained on, in two updates.
    run(
        *(*TEACHER, "sft", "triplets", "tapo"),
        tapo__steps=1,
        tapo__prompts_per_step=2,
        tapo__keep_when_all_degenerate=True,
        tapo__max_resamples=0,
        tapo__max_completion_tokens=5,
    )
    step, metrics = logged.metrics[-1]
    phases = ("generate", "reward", "old", "anchor_negative", "backward", "optimizer", "sync")
    assert {name for name in metrics if name.startswith("time/")} == {
        f"time/{name}_s" for name in (*phases, "other", "step")
    }
    assert {name for name in metrics if name.startswith("speed/")} == {
        *("speed/generate_tokens_per_s", "speed/update_tokens_per_s", "speed/tokens_per_s"),
    }
    assert metrics["time/step_s"] == pytest.approx(
        sum(metrics[f"time/{name}_s"] for name in (*phases, "other"))
    )
    assert step == 1
    assert logged.images["sheet"].width == 1200


def test_sft_without_rationales_is_refused(run):
    _, paths = run("download", "split")
    write_jsonl(paths.reviewed, [])
    with pytest.raises(ValueError, match="holds no rationale"):
        run("sft")


def test_triplets_of_another_split_are_refused(run):
    _, paths = run(*TEACHER, "triplets")
    text = paths.triplets.read_text().splitlines()
    row = json.loads(text[0])
    row["positives"] = ["folder/elsewhere.png"]
    paths.triplets.write_text("\n".join([json.dumps(row), *text[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"folder/elsewhere\.png is no seen training image"):
        run("tapo")


def test_a_seen_class_without_a_rationale_is_refused_before_a_model_is_read(run):
    _, paths = run(*TEACHER, "triplets")
    kept, *others = read_jsonl(paths.reviewed, Rationale)
    write_jsonl(paths.reviewed, [kept, *(row for row in others if row.label == kept.label)])
    (lost,) = {row.label for row in others} - {kept.label}
    with pytest.raises(ValueError, match=rf"1 of 2 seen.* no rationale: {lost} \(beetle\);"):
        run("tapo")  # without the model of stage 1


def test_released_rationales_are_not_asked_for_more_attempts(run):
    _, paths = run(*TEACHER, "triplets")
    (kept, *_) = read_jsonl(paths.reviewed, Rationale)
    write_jsonl(paths.reviewed, [replace(kept, completion="<think>x</think><answer>y</answer>")])
    with pytest.raises(ValueError, match=r"no rationale: .*; set cot\.source to teacher") as error:
        run("tapo")
    assert "max_attempts" not in str(error.value)


@pytest.mark.slow
def test_lost_classes_can_be_tolerated(run):
    _, paths = run(*TEACHER, "sft", "triplets")
    write_jsonl(paths.reviewed, read_jsonl(paths.reviewed, Rationale)[:1])
    metrics, _ = run("tapo", tapo__steps=0, tapo__require_rationales=False)
    assert metrics["train/steps"] == 0


def test_the_target_is_rationale_prose_free_text_or_answer(run):
    _, paths = run(*TEACHER)
    rationale = read_jsonl(paths.reviewed, Rationale)[0]
    prose = completion(rationale, "prose")
    assert prose.startswith(f"<think>{rationale.analysis}\n\nThe analysis of candidate")
    assert prose.endswith(f"\n</think>\n\n<answer>{rationale.label}</answer>")
    free = f"<think>{rationale.analysis}\n{rationale.comparison}\n{rationale.prediction}</think>"
    assert completion(rationale, "free") == f"{free}<answer>{rationale.label}</answer>"
    assert completion(rationale, "answer") == f"<answer>{rationale.label}</answer>"
    whole = completion(rationale, "rationale")
    assert whole.startswith(f"<think><analysis>{rationale.analysis}</analysis>")
    assert whole.endswith(f"</think><answer>{rationale.label}</answer>")


def test_without_a_step_of_sft_the_base_is_kept_and_no_rationale_is_needed(run, tiny_model):
    _, paths = run("download", "split")
    write_jsonl(paths.reviewed, [])
    metrics, _ = run("sft", sft__steps=0)
    assert metrics == {"train/steps": 0}
    weights = [folder / "model.safetensors" for folder in (paths.sft, tiny_model)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_bounds_on_pixels_hold_without_a_step_of_sft(run):
    _, paths = run("download", "split")
    write_jsonl(paths.reviewed, [])
    run("sft", sft__steps=0, sft__min_pixels=1024, sft__max_pixels=2048)
    size = load_processor(paths.sft).image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (1024, 2048)


@pytest.mark.parametrize(("strategy", "starts"), [("trained", "A conversation"), ("direct", "")])
def test_the_policy_is_trained_under_the_system_prompt_it_is_asked_under(
    run, monkeypatch, strategy, starts
):
    given = []
    monkeypatch.setattr(
        "finer1.tapo.training.train_tapo", lambda system, **_: given.append(system) or {}
    )
    run(*TEACHER, "triplets", "tapo", prompt__system="r1", tapo__strategy=strategy)
    assert given[0].startswith(starts)
    assert bool(given[0]) == bool(starts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "changes"),
    [
        ("think", {"accuracy_weight": 0.5, "format_rule": "tags"}),
        ("direct", {"accuracy_weight": 1.0}),
    ],
)
def test_rl_from_the_base_trains_on_every_group(run, strategy, changes):
    # The random base is right in none: every group is trained on all the same, and no refill asked.
    metrics, _ = run(
        *(*TEACHER, "sft", "triplets", "tapo"),
        sft__steps=0,
        tapo__steps=1,
        tapo__strategy=strategy,
        tapo__question="class_list",
        tapo__dynamic_sampling=False,
        tapo__prompts_per_step=2,
        tapo__max_completion_tokens=5,
        tapo__anchor_rollouts=2,
        tapo__positive_rollouts=0,
        **{f"tapo__{name}": value for name, value in changes.items()},
    )
    assert (metrics["reward/accuracy"], metrics["rollout/refills"]) == (0, 0)
    assert metrics["rollout/groups"] == metrics["train/groups"] == 2
