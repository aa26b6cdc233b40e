from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from finer1.export.card import model_card
from finer1.export.golden import card_block
from finer1.prompts import question
from finer1.recognition.reading import asked_about


def test_the_front_matter_is_what_the_hub_reads(make_facts):
    data = ModelCard(model_card(make_facts())).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "image-text-to-text")
    assert (data.base_model, data.base_model_relation) == ("lab/base", "finetune")
    assert (data.license, data.license_name) == ("other", "qwen-research")
    (seen, unseen) = data.eval_results
    assert (seen.metric_value, unseen.metric_value) == (88.12, 69.2)
    assert seen.metric_args["low"] == 84.22
    assert (seen.dataset_type, seen.dataset_config) == ("local/world", "open_seen")


def test_a_base_that_is_not_on_the_hub_and_a_licence_that_is_not_known_are_not_made_up(make_facts):
    card = ModelCard(model_card(make_facts(hub_base=None, base="world", licence=None)))
    known = card.data.to_dict()
    assert not {"base_model", "base_model_relation", "license"} & known.keys()
    assert "states none. Find it out before you pass this model on" in card.text


def test_results_have_their_interval_and_the_protocol(make_facts):
    card = model_card(make_facts())
    assert (
        "| open-world, seen classes | 336 questions, 42 classes | 88.1 [84.2, 92.0] | 90.0 |"
        in card
    )
    assert "- **Decoding.** greedy" in card
    assert "exact, % [95 % interval]" in card


def test_results_that_are_missing_are_said_to_be(make_facts):
    card = model_card(make_facts(measured=None))
    assert "None: the scores are of an earlier state." in card
    assert "model-index" not in card


def test_the_example_asks_in_the_words_of_the_training_with_an_image(make_facts, asking):
    block = card_block(model_card(make_facts()))
    compile(block, "card", "exec")
    assert f'question = "{question("bird", 6)}"' in block
    assert 'Image.open("example.png")' in block
    assert '"system"' not in block


def test_a_system_text_is_told_as_code(make_facts, asking):
    asked = asked_about(asking, (), "bird")
    block = card_block(model_card(make_facts(asked=replace(asked, system='Say "so".\n<b>'))))
    compile(block, "card", "exec")
    assert '"Say \\"so\\".\\n<b>"' in block


def test_what_comes_from_data_makes_no_tag_in_the_card(make_facts):
    card = model_card(make_facts(limits=["a <script> & b"], audit=[("<img src=x>", "1")]))
    assert "a &lt;script&gt; &amp; b" in card
    assert "<img" not in card


def test_what_comes_from_data_brings_no_code_and_no_cell(make_facts, asking):
    evil = "bird\n```python\nimport os\n```\n"
    asked = asked_about(replace(asking, categories=(evil,)), (), None)
    facts = make_facts(categories=(evil,), asked=asked, limits=[evil], audit=[("A | B", evil)])
    card = model_card(facts)
    block = card_block(card)
    compile(block, "card", "exec")
    assert "\nimport os" not in card
    assert "| A &#124; B | bird &#96;&#96;&#96;python import os &#96;&#96;&#96; |" in card


def test_a_card_with_two_blocks_is_not_run(make_facts):
    card = model_card(make_facts())
    with pytest.raises(ValueError, match="more than one block of Python"):
        card_block(f"{card}\n```python\nimport os\n```\n")


def test_the_name_is_quoted_for_the_shell(make_facts):
    card = model_card(make_facts(name="b; rm -r x"))
    assert "--served-model-name 'b; rm -r x' --limit" in card


def test_the_block_computes_in_the_format_of_the_evaluation(make_facts):
    assert 'from_pretrained(folder, dtype="float32", device' in card_block(model_card(make_facts()))


def test_adapters_say_what_they_were_tried_on(make_facts):
    tried = {"relation": "adapter", "tried_on": ("sft", "5e" * 32)}
    card = model_card(make_facts(**tried))
    assert f"They were tried on sft, SHA-256 `{'5e' * 32}`; lab/base must be that model." in card
    assert "Measured with the adapters merged into the weights." in card
    card = model_card(make_facts(**tried, hub_base=None))
    assert "elsewhere, `folder` is" not in card
    assert f"SHA-256 `{'5e' * 32}`." in card


def test_what_the_model_says_stays_in_its_block(make_facts):
    facts = make_facts()
    golden = replace(facts.golden, raw="```\n# Title")
    assert "'''\n# Title\n```" in model_card(replace(facts, golden=golden))


def test_adapters_take_their_own_defaults(make_facts):
    card = model_card(make_facts(relation="adapter"))
    assert ModelCard(card).data.base_model_relation == "adapter"
    assert "model.generation_config = GenerationConfig.from_pretrained(folder)" in card_block(card)
    assert "vllm serve" not in card


def test_equal_facts_give_equal_bytes(make_facts):
    assert model_card(make_facts()) == model_card(make_facts())


def test_a_card_without_an_example_is_refused():
    with pytest.raises(ValueError, match="no block of Python"):
        card_block("# Title")
