"""What an entry of the zoo may say."""

import pytest
import yaml

from finer1.zoo.entry import ClipTemplates, read_entry

GOOD = {
    "title": "Qwen2.5-VL-3B",
    "kind": "chat",
    "model": "Qwen/Qwen2.5-VL-3B-Instruct",
    "commit": None,
    "adapter": None,
    "prompts": None,
    "answer_from": "tags",
    "tried": {"transformers": "a tiny model of its architecture"},
    "notes": "",
}
OWN = {"closed": "{question} {options}", "open": "{question}"}


@pytest.fixture
def entry(tmp_path):
    """Read GOOD with changes."""

    def read(**changes):
        path = tmp_path / "entry.yaml"
        path.write_text(yaml.safe_dump(GOOD | changes))
        return read_entry(path)

    return read


def test_an_entry_has_its_own_templates_or_none(entry):
    assert entry().own_prompts is None
    assert entry(prompts=OWN).own_prompts.closed == "{question} {options}"


def test_a_clip_entry_has_templates_for_names(entry):
    clip = {"kind": "clip", "model": "open_clip:ViT-B-32:openai"}
    one = entry(**clip, prompts={"templates": "imagenet80"})
    assert one.prompts == ClipTemplates(templates="imagenet80")
    assert one.own_prompts is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": "x"}, "weights is not a known key; an entry has title, kind, model"),
        ({"kind": "llm"}, "kind: Input should be 'chat', 'clip' or 'server'"),
        ({"commit": "main"}, "commit: String should match pattern"),
        ({"kind": "server", "commit": "a" * 40}, "kind server takes neither commit nor adapter"),
        ({"kind": "clip"}, "write open_clip:<model>:<tag>"),
        ({"prompts": {"templates": "one"}}, "write `templates: one` or"),
        ({"kind": "clip", "model": "open_clip:a:b", "prompts": OWN}, "write `templates: one` or"),
        ({"commit": "a" * 40, "model": "a/b/c"}, "belongs to a model of"),
        ({"prompts": OWN | {"open": "{options}"}}, "open must not"),
        ({"prompts": OWN | {"closed": "{question}"}}, "closed must name {options}"),
        ({"prompts": OWN | {"open": "What?"}}, "open must name {question} or {category}"),
        ({"prompts": OWN | {"open": "{image}"}}, "open names {image}; it may name {category}"),
        ({"prompts": OWN | {"open": "{question} }"}}, "write a brace of the text itself twice"),
        ({"tried": {}}, "tried: Dictionary should have at least 1 item"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_one_sentence_with_its_file(entry, changes, words):
    with pytest.raises(ValueError) as error:
        entry(**changes)
    assert "entry.yaml: " in str(error.value)
    assert words in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    path = tmp_path / "entry.yaml"
    path.write_text(yaml.safe_dump({key: GOOD[key] for key in GOOD if key != "notes"}))
    with pytest.raises(ValueError, match="notes is missing"):
        read_entry(path)
