from collections import Counter

import pytest

from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.params import load_params
from finer1.teacher.caption_prompts import caption_prompt
from finer1.teacher.concepts import listed_concepts
from finer1.teacher.filters import judge
from finer1.teacher.prompts import concept_list_prompt, rationale_prompt

LABELS = ("Bewick Wren", "Eared Grebe", "Horned Grebe", "House Wren")
SAMPLING = Sampling(n=1, temperature=1.0, top_p=0.95, max_tokens=1024)


def load(labels=LABELS):
    return load_engine("template", EngineSettings(None, {"bird": labels}, "cpu"))


def ask(label, seed, concepts=("dark back", "pale front"), question="What is it?"):
    return Request(
        rationale_prompt("bird", label, concepts, question, 4), image_hashes=("h",), seed=seed
    )


@pytest.fixture(scope="module")
def reasons(repository):
    """How 2000 rationales fare."""
    settings = load_params(repository / "params.yaml").cot
    requests = [ask(LABELS[i % 4], i) for i in range(2000)]
    samples = load().generate(requests, SAMPLING)
    known = frozenset(LABELS)
    return Counter(
        judge(group[0].text, LABELS[i % 4], known, settings).reason
        for i, group in enumerate(samples)
    )


@pytest.mark.parametrize(
    ("reason", "rate"),
    # wrong pick .1; format .05 x .9, since format is checked first it stays .05; mixed .03 of
    # what is well formed and predicts the label: .03 x .95 x .9; passing .95 x .9 x .97
    [("format", 0.05), ("prediction", 0.095), ("language", 0.0257), (None, 0.829)],
)
def test_slips_have_the_oracles_rates(reasons, reason, rate):
    # four standard errors of a share of 2000
    assert abs(reasons[reason] / 2000 - rate) < 4 * (rate * (1 - rate) / 2000) ** 0.5


def test_there_are_no_other_slips(reasons):
    assert set(reasons) == {None, "format", "prediction", "language"}


def test_equal_requests_get_equal_answers():
    assert load().generate([ask("House Wren", 3)], SAMPLING) == load().generate(
        [ask("House Wren", 3)], SAMPLING
    )


def test_seed_and_place_among_samples_vary_the_answer():
    many = Sampling(n=20, temperature=1.0, top_p=1.0, max_tokens=99)
    first, second = load().generate([ask("House Wren", 0), ask("House Wren", 1)], many)
    assert len({sample.text for sample in first}) > 1
    assert first != second


def test_greedy_samples_are_all_the_same():
    greedy = Sampling(n=5, temperature=0.0, top_p=1.0, max_tokens=99)
    first, second = load().generate([ask("House Wren", 0), ask("House Wren", 1)], greedy)
    assert len({sample.text for sample in first + second}) == 1


def test_other_option_shares_the_last_word():
    (group,) = load().generate([ask("Eared Grebe", 0)], Sampling(30, 1.0, 1.0, 999))
    assert all("Wren" not in sample.text for sample in group)


def test_rationale_names_the_concepts_it_was_given():
    (group,) = load().generate([ask("Eared Grebe", 0)], Sampling(50, 1.0, 1.0, 999))
    # each is wrong in 5 %
    assert sum("dark back, pale front" in sample.text for sample in group) > 35


def test_captions_of_an_image_are_drawn_from_its_features():
    request = Request(caption_prompt("bird", 1), image_hashes=("one",), seed=5)
    (group,) = load().generate([request], Sampling(40, 1.0, 1.0, 99))
    features = {p for s in group for p in s.text[len("A bird with a ") : -1].split(" and a ")}
    assert len(features) == 6


def test_list_of_a_class_can_be_read():
    (group,) = load().generate([Request(concept_list_prompt("bird", "Eared Grebe"))], SAMPLING)
    assert len(listed_concepts(group[0].text, "Eared Grebe")) == 8


def test_long_answer_is_cut():
    short = Sampling(1, 1.0, 1.0, 3)
    (group,) = load().generate([ask("Eared Grebe", 0)], short)
    assert (group[0].num_tokens, group[0].finish_reason) == (3, "length")


def test_identity_names_the_engine_and_its_labels():
    assert load().identity.startswith("template")
    assert load().identity != load(LABELS[:3]).identity


def test_other_prompt_is_refused():
    with pytest.raises(ValueError, match="answers the teacher's prompts only"):
        load().generate([Request("What is the capital of France?")], SAMPLING)


def test_a_prompt_without_concepts_is_answered_from_phrases_of_its_own():
    told, untold = ask("House Wren", 1, ("blue cap", "red bill")), ask("House Wren", 1, None)
    assert "Concepts" not in untold.user
    assert "concepts" not in untold.user
    (first,), (second,) = load().generate([told, untold], SAMPLING)
    assert "blue cap" in first.text
    assert "blue cap" not in second.text
    assert "<prediction>" in second.text
