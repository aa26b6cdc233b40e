"""Task files for lmms-eval, its data sets on this disk, and its results."""

import json

import pytest

from finer1.general.benchmarks import (
    BENCHMARKS,
    asked_at_most,
    find_dataset,
    read_figures,
    write_task,
)

COMMIT = "c" * 40


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Makes files of a data set appear in the hub's cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def make(benchmark, names):
        root = tmp_path / f"datasets--{benchmark.dataset.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs/main").write_text(COMMIT)
        for name in names:
            path = root / "snapshots" / COMMIT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


@pytest.fixture
def write_results(tmp_path):
    """Writes what lmms-eval leaves; its folder."""

    def write(name, scores, answers):
        folder = tmp_path / "output/model"
        folder.mkdir(parents=True)
        task = f"finer1_{name}"
        results = {"results": {task: scores}, "n-samples": {task: {"effective": len(answers)}}}
        (folder / "20260101_000000_results.json").write_text(json.dumps(results))
        lines = [json.dumps({"filtered_resps": answer}) + "\n" for answer in answers]
        (folder / f"20260101_000000_samples_{task}.jsonl").write_text("".join(lines))
        return tmp_path / "output"

    return write


def test_an_absent_data_set_names_its_command(cached):
    with pytest.raises(
        ValueError, match="not on this disk; fetch it first: hf download lmms-lab-encoder/MME --re"
    ):
        find_dataset(BENCHMARKS["mme"])


def test_a_data_set_in_part_is_refused(cached):
    cached(BENCHMARKS["mme"], ["data/test-00001-of-00003.parquet"])
    with pytest.raises(ValueError, match="lacks 2 files .* data/test-00000-of-00003.parquet"):
        find_dataset(BENCHMARKS["mme"])


def test_a_whole_data_set_is_its_snapshot(cached):
    cached(BENCHMARKS["seed"], ["data/test-00000-of-00001.parquet"])
    assert find_dataset(BENCHMARKS["seed"]).name == COMMIT


def test_the_task_file_includes_theirs_and_reads_the_snapshot(tmp_path):
    task = write_task("seed", tmp_path / "lmms_eval", tmp_path / "snapshot", tmp_path)
    lines = (tmp_path / f"{task}.yaml").read_text().splitlines()
    assert f'include: "{tmp_path}/lmms_eval/tasks/seedbench/seedbench.yaml"' in lines
    assert f'dataset_path: "{tmp_path}/snapshot"' in lines
    assert "process_docs: !function finer1.general.benchmarks.about_images" in lines


@pytest.mark.parametrize(
    ("name", "limit", "asked"), [("mme", 5, 6), ("mme", 6, 6), ("seed", 5, 5), ("mme", None, None)]
)
def test_pairs_of_mme_stay_whole(name, limit, asked):
    assert asked_at_most(BENCHMARKS[name], limit) == asked


def test_mme_has_both_parts_and_their_sum(write_results):
    scores = {"mme_perception_score,none": 1591.0, "mme_cognition_score,none": 600.5}
    figures = read_figures("mme", write_results("mme", scores, ["yes", "no"]))
    assert figures == {
        "n": 2,
        "perception": 1591.0,
        "cognition": 600.5,
        "total": 2191.5,
        "unfinished": 0.0,
    }


def test_mmbench_is_a_share(write_results):
    output = write_results("mmbench", {"gpt_eval_score,none": 79.5}, ["A"])
    assert read_figures("mmbench", output)["accuracy"] == pytest.approx(0.795)


def test_reasoning_without_an_end_is_counted(write_results):
    answers = ["A", ["<think>It is\u2028a"], "<think>x</think> B", [["<think>cut"]]]
    figures = read_figures("seed", write_results("seed", {"seed_image,none": 0.25}, answers))
    assert figures["unfinished"] == 0.5


def test_no_results_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="no results of lmms-eval"):
        read_figures("mme", tmp_path)
