"""Which pieces of text are single tokens of the base."""

import re

from finer1 import prompts
from finer1.world.language import caption_instruction
from finer1.world.taxonomy import ATTRIBUTES, Taxonomy


def vocabulary(world: Taxonomy) -> list[str]:
    """Pieces that are to be single tokens: the world's words, and those of its prompts."""
    bare = {item.name.split()[0] for item in world.species}
    bare |= {value for table in ATTRIBUTES.values() for row in table.values() for value in row}
    spaced = bare | set(ATTRIBUTES) | {item.genus for item in world.species}
    spaced |= {name for table in ATTRIBUTES.values() for name in table}
    prompt_texts = [
        *(prompts.question(category, k) for category in ATTRIBUTES for k in range(10)),
        *(caption_instruction(category) for category in ATTRIBUTES),
        "Options Think about with and name Which Go on What does have look has a kind photo of",
    ]
    for text in prompt_texts:
        first, *rest = re.findall(r"[A-Za-z]+", text)
        bare.add(first)
        spaced.update(rest)
    return sorted(bare | {"user", "assistant"}) + sorted(f" {word}" for word in spaced)
