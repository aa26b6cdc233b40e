import pytest

from finer1.teacher.caption_prompts import KINDS, NUM_INSTRUCTIONS, STRESSED, caption_prompt


@pytest.mark.parametrize("category", [*STRESSED, "beetle"])
def test_instructions_of_a_category_stress_different_attributes(category):
    prompts = {caption_prompt(category, number) for number in range(NUM_INSTRUCTIONS)}
    assert len(prompts) == 3


@pytest.mark.parametrize("category", [*STRESSED, "beetle"])
def test_every_instruction_names_the_category_and_excludes_the_background(category):
    for number in range(NUM_INSTRUCTIONS):
        text = caption_prompt(category, number)
        assert text.startswith(f"Describe the {category} in this image")
        assert "do not describe the background" in text


def test_own_category_gets_the_general_wording():
    assert "Stress its colours, markings and texture." in caption_prompt("beetle", 1)
    assert "do not guess the kind." in caption_prompt("beetle", 1)


def test_bird_is_asked_for_what_tells_birds_apart():
    assert "wing bars" in caption_prompt("bird", 2)


def test_every_category_with_a_wording_says_what_its_classes_are():
    assert set(KINDS) == set(STRESSED)
