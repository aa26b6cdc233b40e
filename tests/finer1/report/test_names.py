import pytest

from finer1.evaluation_params import ModelEntry
from finer1.report.names import model_names, names_in


@pytest.fixture
def name(params, tmp_path):
    """Names of a run with further models, name -> (title of its entry or None, strategy)."""

    def make(models):
        entries = {}
        for key, (title, strategy) in models.items():
            path = tmp_path / f"{key}.yaml"
            path.write_text(
                f"title: {title}\nkind: chat\nmodel: a/b\ncommit: null\nadapter: null\n"
                "prompts: null\nanswer_from: tags\ntried: {transformers: nothing}\nnotes: ''\n"
            )
            model = f"models/{key}" if title is None else str(path)
            entries[key] = ModelEntry(model=model, strategy=strategy, max_tokens=None)
        predict = params.predict.model_copy(update={"models": entries})
        names = model_names(params.model_copy(update={"predict": predict}))
        assert list(names)[:3] == ["base", "sft", "tapo"]
        return [names[key] for key in models]

    return make


def test_a_folder_keeps_its_name_and_an_entry_has_its_title(name):
    assert name({"mine": (None, "trained"), "q": ("Qwen2-VL-2B", "trained")}) == [
        "mine", "Qwen2-VL-2B",
    ]  # fmt: skip


def test_another_strategy_than_trained_belongs_to_the_name(name):
    assert name({"mine": (None, "direct"), "q": ("Q", "cot")}) == [
        "mine, strategy direct", "Q, strategy cot",
    ]  # fmt: skip


def test_a_model_that_writes_nothing_has_no_strategy(with_titles, params):
    assert model_names(with_titles(params, {"c": "CLIP-L"}))["c"] == "CLIP-L"


def test_neither_has_a_folder_of_a_clip_model(tmp_path):
    (tmp_path / "open_clip_config.json").write_text("{}")
    folder = ModelEntry(model=str(tmp_path), strategy="direct", max_tokens=None)
    assert names_in({"c": folder}) == {"c": "c"}


def test_a_model_of_the_run_keeps_its_name_in_another_section(params):
    models = {
        "tapo": ModelEntry(model="models/tapo", strategy="trained", max_tokens=None),
        "sft": ModelEntry(model="models/sft", strategy="direct", max_tokens=None),
    }
    assert names_in(models) == {"tapo": "TAPO", "sft": "SFT, strategy direct"}


def test_equal_titles_are_told_apart_by_the_strategy(name):
    assert name({"a": ("Q", "direct"), "b": ("Q", "cot")}) == [
        "Q, strategy direct", "Q, strategy cot",
    ]  # fmt: skip


def test_equal_titles_and_strategies_are_told_apart_by_name(name):
    assert name({"a": ("Q", "direct"), "b": ("Q", "direct")}) == [
        "Q, strategy direct (a)", "Q, strategy direct (b)",
    ]  # fmt: skip


def test_a_title_of_the_runs_own_is_told_apart(name):
    assert name({"a": ("TAPO", "trained")}) == ["TAPO (a)"]
