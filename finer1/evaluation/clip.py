"""Zero-shot answers of a CLIP model: the option whose text is nearest the image.

Closed questions alone: in the open world there is nothing to choose from. A class is one text or
the mean of several (finer1/evaluation/clip_templates.py).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from finer1.encoders.interface import TextImageEncoder
from finer1.evaluation.clip_templates import clip_templates
from finer1.prompts import answer_completion
from finer1.records import ImageRecord, Prediction, Question
from finer1.zoo.entry import ClipTemplates
from finer1.zoo.loading import AskedModel

if TYPE_CHECKING:
    from torch import Tensor

STRATEGY = "zero_shot"
"""What Prediction.strategy calls it."""

EmbedImages = Callable[[TextImageEncoder, Sequence[ImageRecord]], "Tensor"]
"""An encoder and images -> embeddings [N, D], float32, on the CPU."""


def clip_rows(
    name: str,
    model: AskedModel,
    questions: Sequence[Question],
    images: Mapping[str, ImageRecord],
    encoder: TextImageEncoder,
    embed: EmbedImages,
) -> list[Prediction]:
    """A row per question, in order, with the chosen option as the answer.

    name: Prediction.model. model: its entry may name the templates. The others as choose_options.
    """
    own = model.entry.prompts if model.entry else None
    kind = own.templates if isinstance(own, ClipTemplates) else "one"
    templates = clip_templates(kind)
    # In short: the same 80 in every row would be most of the file.
    more = f" and {len(templates) - 1} more ({kind})" if len(templates) > 1 else ""
    chosen = choose_options(questions, images, encoder, embed, templates)
    return [
        Prediction(
            question_id=question.id,
            model=name,
            identity=f"{encoder.name}@{encoder.sha256}",
            prompt=f"{templates[0]}{more}",
            completion=answer_completion(option),
            num_tokens=0,
            finish_reason="stop",
            strategy=STRATEGY,
        )
        for question, option in zip(questions, chosen, strict=True)
    ]


def choose_options(
    questions: Sequence[Question],
    images: Mapping[str, ImageRecord],
    encoder: TextImageEncoder,
    embed: EmbedImages,
    templates: Sequence[str],
) -> list[str]:
    """The chosen option of each question, in order.

    images: by id. templates: with one {} each, where the class name goes. Each image is embedded
    once, whatever is asked about it, and each class name once. Options equally near, to six
    digits, are chosen from by name, never by place. Raises ValueError for a question without
    options.
    """
    from torch.nn.functional import normalize

    opened = next((question.id for question in questions if not question.options), None)
    if opened is not None:
        raise ValueError(
            f"{opened} has no options; a CLIP model answers closed questions only, choose them"
        )
    asked = list(dict.fromkeys(question.image_id for question in questions))
    names = list(dict.fromkeys(name for question in questions for name in question.options))
    if not asked:
        return []
    looks = normalize(embed(encoder, [images[key] for key in asked]).double(), dim=-1)
    texts = embed_names(names, encoder, templates)
    place = {key: number for number, key in enumerate(asked)}
    column = {name: number for number, name in enumerate(names)}
    chosen = []
    for question in questions:
        columns = [column[name] for name in question.options]
        cosines = (texts[columns] @ looks[place[question.image_id]]).tolist()
        # Rounded: the last bits vary with the machine.
        ranked = sorted(
            (-round(cosine, 6), name)
            for cosine, name in zip(cosines, question.options, strict=True)
        )
        chosen.append(ranked[0][1])
    return chosen


def embed_names(
    names: Sequence[str], encoder: TextImageEncoder, templates: Sequence[str]
) -> "Tensor":
    """[N, D] float64 of length 1: the mean over the templates of texts of length 1, one per name.

    Source: the zero-shot classifier of CLIP (Sec. 3.1.4 of arXiv:2103.00020).
    """
    from torch.nn.functional import normalize

    texts = [template.format(name) for name in names for template in templates]
    rows = normalize(encoder.encode_texts(texts).double(), dim=-1)
    return normalize(rows.view(len(names), len(templates), -1).mean(dim=1), dim=-1)
