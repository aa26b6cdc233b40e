import re

import pytest

from finer1.engines.interface import EngineSettings, Sampling
from finer1.report.published import published_names
from finer1.zoo.entry import read_entry
from finer1.zoo.loading import find_asked, load_asked
from tests.finer1.engines.families import FAMILIES, IN_VLLM, build_model, questions

ARCHITECTURE = re.compile(r"\w+ForConditionalGeneration")
NOT_IN_TABLES = {
    "CLIP-L, 80 templates",
    "DeepPerception-FGVR-7B",
    "InternVL2.5-2B-MPO",
    "InternVL2.5-8B-MPO",
    "Qwen3-VL-2B",
    "Qwen3-VL-4B",
    "Qwen3-VL-8B",
}


@pytest.fixture(scope="module")
def entries(repository):
    """All entries by name."""
    paths = sorted((repository / "finer1" / "zoo").glob("*.yaml"))
    return {path.stem: read_entry(path) for path in paths}


def test_every_title_is_a_row_of_the_published_tables_or_known_to_be_none(entries):
    # The report finds a model's published row by its title.
    titles = {entry.title for entry in entries.values()}
    assert titles - set(published_names()) == NOT_IN_TABLES


def test_every_published_model_has_an_entry(entries):
    titles = {entry.title for entry in entries.values()}
    # Table 7 has the stages of training of one model, of which the first is published.
    trained = {"openPangu-VL-7B, CoT SFT", "openPangu-VL-7B, CoT SFT + TAPO"}
    assert set(published_names()) - titles == trained


def test_what_an_entry_says_was_tried_the_tests_build(entries):
    for name, entry in entries.items():
        for engine, text in entry.tried.items():
            if entry.kind == "clip" or text.startswith("not tried"):
                continue
            (architecture,) = set(ARCHITECTURE.findall(text))
            assert architecture in FAMILIES, f"{name}: {engine}"
            assert "tiny random" in text, f"{name}: {engine}"


def test_an_entry_says_of_vllm_what_the_tests_of_vllm_show(entries):
    for name, entry in entries.items():
        if entry.kind == "chat":
            (architecture,) = set(ARCHITECTURE.findall(entry.tried["vllm"]))
            assert ("refused" in entry.tried["vllm"]) == (architecture not in IN_VLLM), name


def test_no_entry_claims_that_real_weights_were_run(entries):
    for name, entry in entries.items():
        if entry.kind != "clip":
            assert any(
                said in " ".join(entry.tried.values()) for said in ("weights were not", "not tried")
            ), name


def test_the_models_of_deepperception_are_asked_in_their_own_words(entries):
    # deepperception/eval/inference.py of thunlp/DeepPerception, CLASSIFICATION_TEMPLATE.
    end = (
        "  Output the thinking process in <think> </think> "
        "and final answer in <answer> </answer> tags."
    )
    for name in ("deepperception_7b", "deepperception_fgvr_7b"):
        prompts = entries[name].own_prompts
        assert prompts.open.format(question="What is it?") == f"What is it?{end}"
        asked = prompts.closed.format(question="What is it?", options="a; b")
        assert asked == f"What is it?\nOptions: a; b.{end}"


def test_the_docs_list_every_model_that_chats(entries, repository):
    docs = (repository / "docs" / "models.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)`", docs))
    assert {name for name, entry in entries.items() if entry.kind != "clip"} <= listed


@pytest.mark.slow
def test_every_model_that_chats_answers_once_it_is_on_this_disk(
    entries, repository, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name, entry in entries.items():
        if entry.kind != "chat":
            continue
        path = repository / "finer1" / "zoo" / f"{name}.yaml"
        with pytest.raises(ValueError, match=f"fetch it first: hf download {entry.model}"):
            find_asked(path, repository)
        stored = tmp_path / f"models--{entry.model.replace('/', '--')}"
        (stored / "refs").mkdir(parents=True)
        (stored / "refs" / "main").write_text(commit)
        (architecture,) = set(ARCHITECTURE.findall(entry.tried["transformers"]))
        build_model(architecture, stored / "snapshots" / commit)
        settings = EngineSettings(None, {}, "cpu", home=repository)
        engine = load_asked(find_asked(path, repository), "transformers", settings)
        assert engine.identity == f"transformers:float32:{entry.model}@{commit}"
        answers = engine.generate(questions(), Sampling(1, 0.0, 1.0, 4))
        assert [len(samples) for samples in answers] == [1, 1, 1, 1]
