"""ImageWikiQA: knowledge about what an image shows, four choices (arXiv:2405.18415).

The authors' file, data/imagewikiqa.jsonl of yuhui-zh15/VLMClassifier, has 2,000 rows:

    {"image": "images/ILSVRC2012_val_00039210.JPEG",
     "text": "QUESTION\\nA. ...\\nB. ...\\nC. ...\\nD. ...\\nChoose A, B, C, or D.",
     "label": "C", "wiki": "...", "classname": "stretcher"}

`text` is asked as it is. The images are of the validation set of ImageNet 2012 and lie, as the
rows say, beside the file. Nothing of it is part of this project.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from finer1.engines.interface import Engine, Request, Sample, Sampling
from finer1.engines.pictures import Pictures
from finer1.engines.store import GenerationStore
from finer1.evaluation.statistics import Bootstrap, mean_interval
from finer1.files import sha256_file
from finer1.general.letters import LETTERS, read_letter
from finer1.images import decode_image

_LONGEST = 5_000
"""Characters of a text, ten times the authors' longest: the search for choices is quadratic."""
_CHOICES = re.compile(r"\s*\n".join((r".*?\S", *(rf"{letter}\. ?(.+?)" for letter in LETTERS))))


@dataclass(frozen=True)
class WikiQuestion:
    """One row of the file."""

    image: Path
    text: str
    """The question with its choices, as it is asked."""
    choices: tuple[str, ...]
    """Texts of A to D."""
    label: str
    """The right letter."""
    classname: str
    """What the image shows; rows of one class are no independent samples."""


def find_file(folder: Path) -> Path:
    """The one JSON-lines file in `folder`. Raises ValueError that says what belongs there."""
    found = sorted(folder.glob("*.jsonl"))
    if len(found) != 1:
        raise ValueError(
            f"{folder} holds {len(found)} JSON-lines files and needs one: imagewikiqa.jsonl of "
            "yuhui-zh15/VLMClassifier, and its images beside it (docs/general.md); or take "
            "imagewikiqa out of general.tasks"
        )
    return found[0]


def read_questions(file: Path, limit: int | None) -> list[WikiQuestion]:
    """The first `limit` questions, or all. Raises ValueError naming every row that is wrong."""
    with file.open(encoding="utf-8") as text:  # splitlines() would part one at U+2028, too
        lines = list(islice(text, limit))
    questions, wrong = [], []
    for number, line in enumerate(lines, 1):
        try:
            questions.append(_question(json.loads(line), file.parent))
        except RecursionError:
            wrong.append(f"{file}:{number}: no JSON that can be read: it is nested too deeply")
        except (ValueError, KeyError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            wrong.append(f"{file}:{number}: {reason}")
    if wrong or not questions:
        more = f"\nand {len(wrong) - 10} more rows" if len(wrong) > 10 else ""
        raise ValueError("\n".join(wrong[:10] or [f"{file}: no rows"]) + more)
    return questions


def ask_wiki(
    engine: Engine,
    questions: Sequence[WikiQuestion],
    system: str,
    max_tokens: int,
    store: GenerationStore,
) -> list[Sample]:
    """The greedy completion of each question, in order."""
    requests = [
        Request(
            user=question.text,
            images=Pictures([str(question.image)], _read),
            image_hashes=(sha256_file(question.image),),
            system=system,
        )
        for question in questions
    ]
    sampling = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=max_tokens)
    made = store.generate(engine, requests, sampling, progress="imagewikiqa")
    return [sample for (sample,) in made]


def score_wiki(
    questions: Sequence[WikiQuestion], samples: Sequence[Sample], bootstrap: Bootstrap
) -> dict[str, float]:
    """Accuracy with its interval over classes, and how many answers could not be read.

    An answer without one clear letter is wrong. All are shares in 0..1, `n` is a count.
    """
    letters = [
        read_letter(sample.text, question.choices)
        for question, sample in zip(questions, samples, strict=True)
    ]
    right = [
        float(letter == question.label) for letter, question in zip(letters, questions, strict=True)
    ]
    interval = mean_interval(right, [question.classname for question in questions], bootstrap)
    return {
        "n": len(questions),
        "accuracy": interval.value,
        "low": interval.low,
        "high": interval.high,
        "unparsed": sum(letter is None for letter in letters) / len(letters),
        "cut_off": sum(sample.finish_reason == "length" for sample in samples) / len(samples),
    }


def _question(row: Mapping[str, Any], folder: Path) -> WikiQuestion:
    if not isinstance(row, dict):
        raise ValueError("write one JSON object a line")
    image, text, label = str(row["image"]), str(row["text"]), str(row["label"])
    if len(text) > _LONGEST:
        raise ValueError(f"text has {len(text)} characters, more than {_LONGEST}")
    path = (folder / image).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"image {image} lies outside {folder}")
    if not path.is_file():
        raise ValueError(f"image {image} is not in {folder}")
    body, _, _ = text.rpartition("\n")  # the last line asks for a letter
    match = _CHOICES.fullmatch(body.strip())
    if match is None:
        raise ValueError("text is not a question with choices A. to D. on lines of their own")
    if label not in LETTERS or len(label) != 1:
        raise ValueError(f"label {label!r} is none of A, B, C and D")
    return WikiQuestion(path, text, match.groups(), label, str(row["classname"]))


def _read(path: str) -> Any:
    return decode_image(Path(path).read_bytes(), path)
