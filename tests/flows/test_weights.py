import pytest

from finer1.params import check_params, load_values, with_differences
from flows.weights import lacks, local_base, missing_weights


@pytest.fixture(scope="module")
def values(repository):
    return load_values(repository / "params.yaml")


def changed(values, **differences):
    dotted = {key.replace("__", "."): value for key, value in differences.items()}
    return check_params(with_differences(values, dotted), "test")


def in_git(path):
    return str(path) == "models/base/world"


def test_the_default_lacks_nothing(values, repository):
    assert missing_weights(changed(values), repository, in_git) == []


def test_a_base_that_is_not_there_is_named_with_what_fetches_it(values, repository):
    params = changed(values, paths__base="models/base/Qwen2.5-VL-3B-Instruct")
    assert missing_weights(params, repository, lambda path: False) == [
        "paths.base: models/base/Qwen2.5-VL-3B-Instruct is not there; fetch it: hf download "
        "Qwen/Qwen2.5-VL-3B-Instruct --local-dir models/base/Qwen2.5-VL-3B-Instruct"
    ]


def test_a_base_that_dvc_restores_is_there(values, tmp_path):
    params = changed(values, paths__base="models/base/other")
    tracked = lambda path: str(path) == "models/base/other.dvc"  # noqa: E731
    assert missing_weights(params, tmp_path, tracked) == []
    assert local_base(params, tmp_path, tracked) == {}


def test_an_untracked_base_is_named_by_its_place_and_so_are_questions_to_it(values, tmp_path):
    (tmp_path / "models/base/big").mkdir(parents=True)
    models = {
        "cot": {"model": "models/base/big", "strategy": "cot", "max_tokens": None},
        "own": {"model": "models/tapo", "strategy": "cot", "max_tokens": None},
    }
    params = changed(
        values,
        paths__base="models/base/big",
        predict__models=models,
        analysis__models={"base": {"model": "models/base/big"}},
    )
    found = local_base(params, tmp_path, in_git)
    place = str(tmp_path / "models/base/big")
    assert found["paths.base"] == place
    assert [entry["model"] for entry in found["predict.models"].values()] == [place, "models/tapo"]
    assert found["analysis.models"]["base"]["model"] == place
    assert "general.models" not in found


def test_a_tracked_base_needs_no_place(values, repository):
    assert local_base(changed(values), repository, in_git) == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cot__engine", "openai:teacher", "cot.engine: openai:teacher needs the address"),
        ("cot__engine", f"vllm:some/model@{'0' * 40}", "cot.engine: some/model is not on"),
        ("concepts__encoder", f"hf:some/text@{'0' * 40}", "concepts.encoder: some/text is not on"),
        ("score__encoder", f"siglip:some/text@{'0' * 40}", "hf download some/text --revision 000"),
        (
            "score__encoder", "siglip:models/encoders/siglip",
            "models/encoders/siglip is not there; fetch it: hf download OWNER/siglip --local-dir",
        ),
        pytest.param(
            "triplets__encoder", "open_clip:ViT-L-16-SigLIP2-384:webli",
            "triplets.encoder: the weights open_clip:ViT-L-16-SigLIP2-384:webli are not on this "
            "disk; fetch them: hf download timm/ViT-L-16-SigLIP2-384",
            marks=pytest.mark.slow,  # importing open_clip takes seconds
        ),
    ],
)  # fmt: skip
def test_weights_that_are_not_there_are_named(
    values, repository, monkeypatch, tmp_path, key, value, message
):
    monkeypatch.delenv("FINER1_SERVER", raising=False)
    (sentence,) = missing_weights(changed(values, **{key: value}), repository, in_git)
    assert message in sentence


def test_an_encoder_in_a_folder_is_there(values, tmp_path):
    (tmp_path / "encoder").mkdir()
    params = changed(values, triplets__encoder="open_clip:encoder", score__encoder="siglip:encoder")
    assert missing_weights(params, tmp_path, in_git) == []


@pytest.mark.slow
def test_a_row_about_clip_needs_the_weights_of_its_entry(values, repository):
    clip = values["experiments"]["clip"]["predict.models"]
    sentence = lacks("clip", changed(values, predict__models=clip), repository)
    assert sentence.startswith("predict.models.clip_one: the weights open_clip:ViT-L-14-336:openai")
    assert lacks("clip", changed(values), repository) is None


def test_decisions_are_lines_of_their_file_or_of_the_worlds_reviewer(values, tmp_path):
    params = changed(values, review__mode="apply")
    assert lacks("decisions", params, tmp_path) == (
        "data/decisions.jsonl holds no decisions; make some: finer1 review"
    )
    in_place = {"review__mode": "apply", "review__stand_in": "world"}
    stand_in = changed(values, **in_place)
    assert lacks("decisions", stand_in, tmp_path) is None
    photos = changed(values, **in_place, download__datasets=["world", "bird"])
    assert "holds no decisions" in lacks("decisions", photos, tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/decisions.jsonl").write_text("{}\n")
    assert lacks("decisions", params, tmp_path) is None
