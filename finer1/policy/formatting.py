"""How often a policy writes the expected format when it is most sure of itself."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from finer1.chat import stop_ids, suppressed_ids
from finer1.policy.encoding import encode_prompts, stack_prompts
from finer1.policy.generation import SamplingRule, sample_completions
from finer1.policy.processes import ALONE, World
from finer1.prompts import answer_completion, parse_completion


def measure_format_rate(
    model: Any,
    processor: Any,
    questions: Sequence[str],
    images: Sequence[Image.Image],
    targets: Sequence[str],
    system: str,
    batch_size: int,
    world: World = ALONE,
) -> float:
    """Share of greedy completions, in [0, 1], that have the form of their target.

    The form is the four sections and an answer where the target has them, a rationale in free
    prose and an answer where the target has that (the released ones), else the answer
    alone. A completion may be half as long again as the longest target. Each process of `world`
    writes a share of the completions; all must call it, and get the same.
    """
    longest = max(len(ids) for ids in processor.tokenizer(list(targets))["input_ids"])
    rule = SamplingRule(
        temperature=0,
        top_p=1,
        max_tokens=longest + longest // 2,
        stop_ids=stop_ids(model.generation_config),
        suppressed_ids=suppressed_ids(model.config, processor.tokenizer),
    )
    was_training = model.training
    model.eval()
    own = range(world.rank, len(questions), world.size)
    texts: list[str] = []
    for start in range(0, len(own), batch_size):
        part = own[start : start + batch_size]
        asked, seen = [questions[i] for i in part], [images[i] for i in part]
        encoded = encode_prompts(model, processor, asked, seen, system)
        batch = stack_prompts(encoded, processor.tokenizer.pad_token_id)
        owners = range(len(encoded))
        tokens = [c.token_ids for c in sample_completions(model, batch, owners, rule, None)]
        texts += processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)
    model.train(was_training)
    pairs = zip(own, texts, strict=True)
    kept = sum(has_form_of(text, targets[i]) for i, text in pairs)
    return world.add_up({"kept": kept})["kept"] / len(questions)


def has_form_of(text: str, target: str) -> bool:
    """True when `text` has the same parts as `target`: sections and answer, prose and answer, or
    answer alone."""
    completion, wanted = parse_completion(text), parse_completion(target)
    if wanted.is_tagged:
        return completion.is_sectioned if wanted.is_sectioned else completion.is_tagged
    return completion.answer is not None and text == answer_completion(completion.answer)
