import pytest

from finer1.evaluation_params import ModelEntry
from finer1.report.names import model_names


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
            entries[key] = ModelEntry(model=model, strategy=strategy)
        predict = params.predict.model_copy(update={"models": entries})
        names = model_names(params.model_copy(update={"predict": predict}))
        assert list(names)[:3] == ["base", "sft", "tapo"]
        return [names[key] for key in models]

    return make


def test_a_folder_keeps_its_name_and_an_entry_has_its_title(name):
    assert name({"mine": (None, "direct"), "q": ("Qwen2-VL-2B", "direct")}) == [
        "mine", "Qwen2-VL-2B",
    ]  # fmt: skip


def test_equal_titles_are_told_apart_by_the_strategy(name):
    assert name({"a": ("Q", "direct"), "b": ("Q", "cot")}) == ["Q, direct", "Q, cot"]


def test_equal_titles_and_strategies_are_told_apart_by_name(name):
    assert name({"a": ("Q", "direct"), "b": ("Q", "direct")}) == ["Q (a)", "Q (b)"]


def test_a_title_of_the_runs_own_is_told_apart(name):
    assert name({"a": ("TAPO", "direct")}) == ["TAPO, direct"]
