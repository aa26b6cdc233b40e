import yaml
from huggingface_hub import parse_eval_result_entries

from finer1.export.results import hub_dataset, read_results, write_entries


def test_a_cell_is_read_and_one_that_was_not_asked_is_left_out(scores):
    seen, unseen = read_results(scores, "tapo")
    assert (seen.setting, seen.side, seen.questions, seen.classes) == ("open", "seen", 336, 42)
    assert seen.interval == "88.1 [84.2, 92.0]"
    assert unseen.dataset == ""
    assert read_results(scores, "sft") == []


def with_bird_of_the_hub(params):
    official = params.download.bird.model_copy(update={"source": "hub:a/cub@" + "0" * 40})
    download = params.download.model_copy(update={"bird": official})
    return params.model_copy(update={"download": download})


def test_entries_are_read_again_by_the_hubs_own_parser(scores, run_params, tmp_path):
    birds = {key.replace("/world/", "/bird/"): value for key, value in scores.items()}
    rows = [*read_results(birds, "tapo", "bird"), *read_results(scores, "tapo", "world")]
    write_entries(tmp_path, rows, with_bird_of_the_hub(run_params), 0.95)
    (path,) = (tmp_path / ".eval_results").iterdir()  # the drawn world is not on the hub
    seen, _ = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert (path.name, seen.dataset_id, seen.task_id) == ("bird.yaml", "a/cub", "open_seen")
    assert seen.value == 88.12
    assert "95 % interval 84.2 to 92.0 over 42 classes, 336 questions" in seen.notes


def test_a_dataset_of_the_hub_has_its_own_id_and_revision(run_params):
    assert hub_dataset(run_params, "bird") == ("local/bird", None)
    assert hub_dataset(with_bird_of_the_hub(run_params), "bird") == ("a/cub", "0" * 40)
