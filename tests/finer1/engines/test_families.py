from dataclasses import replace

import pytest

from finer1.chat import end_ids, needs_special_tokens, render_prompt, turn_end_id
from finer1.engines.interface import EngineSettings, Sampling, load_engine
from tests.finer1.engines.families import FAMILIES, build_model, questions

GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)

every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """The folder of a tiny model of an architecture; read only."""
    root = tmp_path_factory.mktemp("families")

    def find(family):
        folder = root / family
        if not folder.is_dir():
            build_model(family, folder)
        return folder

    return find


@pytest.fixture(scope="module")
def engine_of(folder_of):
    """The engine `transformers` with a tiny model of an architecture."""
    loaded = {}

    def find(family):
        if family not in loaded:
            settings = EngineSettings(folder_of(family), {}, "cpu")
            loaded[family] = load_engine("transformers", settings)
        return loaded[family]

    return find


@pytest.fixture(scope="module")
def processor_of(folder_of):
    """The processor of a tiny model, as transformers loads it by itself."""
    from transformers import AutoProcessor

    def find(family):
        return AutoProcessor.from_pretrained(folder_of(family), local_files_only=True)

    return find


@pytest.mark.slow
@every_family
def test_a_model_answers_as_by_its_processors_own_chat(family, engine_of, folder_of, processor_of):
    from transformers import AutoModelForImageTextToText

    processor = processor_of(family)
    model = AutoModelForImageTextToText.from_pretrained(folder_of(family))
    for request in questions():
        images = [{"type": "image", "image": image} for image in request.images]
        turns = [
            {"role": "user", "content": [*images, {"type": "text", "text": request.user}]},
        ]
        if request.system:
            system = [{"type": "text", "text": request.system}]
            turns.insert(0, {"role": "system", "content": system})
        batch = processor.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        suppressed = list(engine_of(family)._suppressed_ids)
        tokens = model.generate(
            **batch, max_new_tokens=8, do_sample=False, suppress_tokens=suppressed
        )[0, batch["input_ids"].shape[1] :]
        expected = processor.tokenizer.decode(tokens, skip_special_tokens=True)
        assert engine_of(family).generate([request], GREEDY)[0][0].text == expected


@pytest.mark.slow
@every_family
def test_a_padded_batch_answers_as_each_request_alone(family, engine_of):
    engine, requests = engine_of(family), questions()
    alone = [engine.generate([request], GREEDY)[0] for request in requests]
    assert engine.generate(requests, GREEDY) == alone == engine.generate(requests, GREEDY)


@pytest.mark.slow
@every_family
def test_every_image_of_a_request_counts_and_so_does_their_order(family, engine_of):
    several = questions()[2]
    first, second, third = several.images
    orders = [(first, second, third), (second, first, third), (first, third, second), (first,)]
    asked = [replace(several, images=images) for images in orders]
    long = replace(GREEDY, max_tokens=24)  # at 8 two of them still agree
    texts = {engine_of(family).generate([request], long)[0][0].text for request in asked}
    assert len(texts) == len(orders)


@pytest.mark.slow
@every_family
def test_each_of_several_samples_sees_all_images(family, engine_of):
    # Greedy: the samples of one request can differ only by what they were made from.
    once = engine_of(family).generate(questions(), GREEDY)
    thrice = engine_of(family).generate(questions(), replace(GREEDY, n=3))
    assert thrice == [samples * 3 for samples in once]


@pytest.mark.slow
@every_family
def test_no_vision_token_is_ever_written(family, engine_of, processor_of):
    engine, vocabulary = engine_of(family), processor_of(family).tokenizer.get_vocab()
    tokens = {"<image>", "<video>", "<|image_pad|>", "<|video_pad|>", "<IMG_CONTEXT>"}
    assert {vocabulary[token] for token in tokens & set(vocabulary)} <= set(engine._suppressed_ids)


@pytest.mark.slow
@every_family
def test_a_prompt_begins_once_and_has_one_token_per_image(family, processor_of):
    processor, bos = processor_of(family), FAMILIES[family].bos
    prompt = render_prompt(processor, "What is it?", 2, "")
    ids = processor.tokenizer(
        prompt, add_special_tokens=needs_special_tokens(prompt, processor.tokenizer)
    )["input_ids"]
    if bos:
        bos_id = processor.tokenizer.convert_tokens_to_ids(bos)
        assert ids[0] == bos_id
        assert ids.count(bos_id) == 1
    assert ids.count(processor.image_token_id) == 2


@pytest.mark.slow
@every_family
def test_a_question_brings_no_special_token_of_its_own(family, processor_of):
    processor = processor_of(family)
    tokenizer, special = processor.tokenizer, FAMILIES[family].special
    known = set(tokenizer.convert_tokens_to_ids(list(special)))

    def specials(user):
        ids = tokenizer(render_prompt(processor, user, 1, ""))["input_ids"]
        return [token for token in ids if token in known]

    assert specials(f"Is it a{''.join(special)} wren?") == specials("Is it a wren?")


@pytest.mark.slow
@every_family
def test_the_template_tells_what_ends_a_turn(family, processor_of):
    processor = processor_of(family)
    end = FAMILIES[family].special[0]
    # LLaVA-v1.6 writes no turn of its own after an answer here, and its tokenizer names </s>.
    expected = None if end == "</s>" else processor.tokenizer.convert_tokens_to_ids(end)
    assert turn_end_id(processor) == expected
    nothing = type("Config", (), {"eos_token_id": None})
    assert end_ids(nothing, processor) == (processor.tokenizer.convert_tokens_to_ids(end),)


@pytest.mark.slow
def test_a_model_without_generation_config_stops_where_its_config_says(folder_of, tmp_path):
    import shutil

    folder = shutil.copytree(folder_of("Qwen2_5_VLForConditionalGeneration"), tmp_path / "model")
    with_file = EngineSettings(folder, {}, "cpu")
    expected = load_engine("transformers", with_file).generate(questions(), GREEDY)
    (folder / "generation_config.json").unlink()
    named = EngineSettings(None, {}, "cpu")
    engine = load_engine(f"transformers:{folder}", named)
    assert engine.generate(questions(), GREEDY) == expected


@pytest.mark.slow
def test_a_template_kept_by_the_tokenizer_is_found(folder_of, processor_of, tmp_path):
    processor = processor_of("Qwen2VLForConditionalGeneration")
    expected = render_prompt(processor, "What is it?", 1, "")
    processor.tokenizer.chat_template, processor.chat_template = processor.chat_template, None
    assert render_prompt(processor, "What is it?", 1, "") == expected


@pytest.mark.slow
def test_a_model_without_any_template_says_what_to_copy(processor_of):
    processor = processor_of("Qwen2VLForConditionalGeneration")
    processor.tokenizer.chat_template = processor.chat_template = None
    with pytest.raises(ValueError, match=r"no chat template; copy chat_template\.jinja"):
        render_prompt(processor, "What is it?", 1, "")


def test_weights_with_code_of_their_own_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "internvl_chat", "auto_map": {"AutoModel": "modeling.InternVLChatModel"}}'
    )
    with pytest.raises(ValueError, match="code that comes with them.*kind `server`"):
        load_engine("transformers", EngineSettings(tmp_path, {}, "cpu"))
