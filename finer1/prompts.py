"""Every text that a model reads or writes: questions, prompt templates, completion format.

A policy's completion is

    <think><analysis>...</analysis><options>...</options><comparison>...</comparison>
    <prediction>...</prediction></think><answer>NAME</answer>

the four sections of Table 5 of Fine-R1 inside the think tags. In the prose form, that of the
released rationales, the same four stand under headings in place of the inner tags. For ablations:
the free form has neither inner tags nor headings nor the list of options, the answer-only form is
the last element alone.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SECTIONS = ("analysis", "options", "comparison", "prediction")

QUESTIONS = (
    "Can you help me recognize the {category} in this photo?",
    "Can you identify the {category} in this image?",
    "Do you know what {category} this is?",
    "What is the {category} featured in this picture?",
    "What is the {category} shown in the photo?",
    "What is the name of the {category} in the photo?",
    "What kind of {category} is this?",
    "What type of {category} is shown in the image?",
    "Could you tell me the {kind} of this {category}?",
    "What {kind} is the {category} in this picture?",
)
"""The ten templates of the released evaluation files; `kind` is model for cars and aircraft,
species otherwise."""

RELEASED_CLOSED = (
    "Given the question: {question}, based on the options provided in {options}, "
    "output the thinking process in <think> </think> and final choice in <answer> </answer> tags. "
    "The response format should be: <think>...</think> <answer>choice</answer>."
)
RELEASED_OPEN = (
    "Given the question: {question}. This is a fine-grained question. "
    "Output reasoning in <think></think> and the final answer in <answer></answer>."
)
"""The user's turn of the release's evaluator, verbatim, as the published numbers were asked."""

OPTIONS_HEADING = "The analysis of candidate subcategories:"
COMPARISON_HEADING = "Comparison Process:"
PREDICTION_HEADING = "The prediction is:"
"""As the released rationales have them: the first and the last literally (400 and 404 of 404), the
second in one of several wordings."""

MADE_CATEGORIES = ("aircraft", "car")

SYSTEM_PROMPTS = {
    "plain": "",
    "r1": (
        "A conversation between User and Assistant. The user asks a question, and the Assistant "
        "solves it. The assistant first thinks about the reasoning process in the mind and then "
        "provides the user with the answer. The reasoning process and answer are enclosed within "
        "<think> </think> and <answer> </answer> tags, respectively."
    ),
}
"""Named system prompts; `plain` sends none."""


@dataclass(frozen=True)
class Completion:
    """What the parser found in a completion."""

    sections: dict[str, str]
    """The sections present once and in order, by name; empty when any is missing."""
    answer: str | None
    """Text of the one closed answer element, stripped; None without exactly one."""
    is_tagged: bool
    """The whole completion is `<think>...</think><answer>...</answer>`."""

    @property
    def is_sectioned(self) -> bool:
        """True when the completion is tagged and holds the four sections, in order, no more."""
        return self.is_tagged and bool(self.sections)


_TAGGED = re.compile(r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", re.DOTALL)
_SPACE = re.compile(r"\s*")
_TAG = re.compile(rf"</?(?:think|answer|{'|'.join(SECTIONS)})>")


def question(category: str, template: int) -> str:
    """The open question number `template` of ten about an image of `category`."""
    kind = "model" if category in MADE_CATEGORIES else "species"
    return QUESTIONS[template].format(category=category, kind=kind)


def closed_question(text: str, options: Sequence[str]) -> str:
    """A question with its options, in the order given."""
    return f"{text}\nOptions: {'; '.join(options)}."


def released_question(text: str, options: Sequence[str]) -> str:
    """A question in the words of the release's evaluator; open without options.

    It writes the options as Python writes a list.
    """
    if not options:
        return RELEASED_OPEN.format(question=text)
    return RELEASED_CLOSED.format(question=text, options=list(options))


def cot_question(text: str) -> str:
    """A question, with options where it has them, to be thought about first."""
    return f"{text}\nLet's think step by step, and write the name at last as <answer>name</answer>."


def think_question(text: str) -> str:
    """A question, with options where it has them, to be thought about in think tags.

    In the words of CLS-RL (arXiv:2503.16188).
    """
    return (
        f"{text}\nPlease output the thinking process in <think> </think> and final answer in "
        "<answer> </answer> tags."
    )


def direct_question(text: str) -> str:
    """A question, with options where it has them, for the name and nothing else."""
    return f"{text}\nAnswer with the name alone."


AnswerFrom = Literal["tags", "text"]
"""text: without an answer element the whole completion is the answer."""


@dataclass(frozen=True)
class Wording:
    """How a strategy asks, in training as in evaluation."""

    turn: Callable[[str], str]
    """Makes a question, with options where it has them, the user's turn."""
    answer_from: AnswerFrom = "tags"
    has_system: bool = False
    """prompt.system goes with it."""


WORDINGS: Mapping[str, Wording] = {
    "trained": Wording(str, has_system=True),
    "cot": Wording(cot_question),
    "think": Wording(think_question),
    "direct": Wording(direct_question, answer_from="text"),
}
"""By strategy of asking."""


def sections_text(analysis: str, options: Sequence[str], comparison: str, prediction: str) -> str:
    """The four sections as tagged text."""
    bodies = (analysis, ", ".join(options), comparison, prediction)
    return "".join(f"<{name}>{body}</{name}>" for name, body in zip(SECTIONS, bodies, strict=True))


def rationale_completion(sections: str, answer: str) -> str:
    """Training target with a rationale: the four sections, then the answer."""
    return f"<think>{sections}</think>{answer_completion(answer)}"


def prose_completion(
    analysis: str, options: Sequence[str], comparison: str, prediction: str, answer: str
) -> str:
    """Training target with the four sections as prose, laid out as the released ones are.

    finer1/released/prose.py reads it back.
    """
    names = "\n".join(f"{number}. {name}" for number, name in enumerate(options, 1))
    parts = (
        analysis,
        f"{OPTIONS_HEADING}\n{names}",
        f"{COMPARISON_HEADING}\n{comparison}",
        f"{PREDICTION_HEADING} {prediction}",
    )
    body = "\n\n".join(parts)
    return f"<think>{body}\n</think>\n\n{answer_completion(answer)}"


def free_completion(analysis: str, comparison: str, prediction: str, answer: str) -> str:
    """Training target with the text of a rationale, a paragraph each, without its structure."""
    return f"<think>{analysis}\n{comparison}\n{prediction}</think>{answer_completion(answer)}"


def answer_completion(answer: str) -> str:
    """Training target of the answer-only ablation."""
    return f"<answer>{answer}</answer>"


def parse_sections(text: str) -> dict[str, str]:
    """The four sections of a teacher's or policy's rationale, stripped, by name.

    Empty unless all are there once, in order, with nothing around them and no tag inside.
    """
    # No pattern for the whole: over a text of repeated sections it would try all their pairs.
    found, end = {}, 0
    for name in SECTIONS:
        opening, closing = f"<{name}>", f"</{name}>"
        start = _after_space(text, end)
        close = text.find(closing, start)
        if close < 0 or not text.startswith(opening, start):
            return {}
        body = text[start + len(opening) : close]
        if _TAG.search(body):
            return {}
        found[name] = body.strip()
        end = close + len(closing)
    return found if _after_space(text, end) == len(text) else {}


def _after_space(text: str, start: int) -> int:
    """The place of the first character from `start` on that is no white space."""
    match = _SPACE.match(text, start)
    return match.end() if match else start


def parse_completion(text: str) -> Completion:
    """Read a completion; never raises, whatever a model wrote."""
    answers = _closed_answers(text)
    answer = answers[0].strip() if len(answers) == 1 and not _TAG.search(answers[0]) else None
    may_be_tagged = answer is not None and text.rstrip().endswith("</answer>")
    match = _TAGGED.fullmatch(text) if may_be_tagged else None
    is_tagged = match is not None and answer is not None
    sections = parse_sections(match.group(1)) if match is not None and is_tagged else {}
    return Completion(sections=sections, answer=answer, is_tagged=is_tagged)


def _closed_answers(text: str) -> list[str]:
    """The texts of the closed answer elements, in time linear in the text's length."""
    found, end = [], 0
    while (start := text.find("<answer>", end)) >= 0:
        close = text.find("</answer>", start)
        if close < 0:
            break
        found.append(text[start + len("<answer>") : close])
        end = close + len("</answer>")
    return found


def split_options(body: str) -> tuple[str, ...]:
    """Names in the options section, which separates them by commas, semicolons or lines."""
    return tuple(name.strip() for name in re.split(r"[,;\n]", body) if name.strip())
