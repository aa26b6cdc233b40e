"""How the run was made and measured, in sentences, from its parameters and files."""

from collections import Counter

from finer1.evaluation.answers import normalise
from finer1.model_params import TapoParams
from finer1.params import Params
from finer1.report.inputs import Inputs


def describe_protocol(inputs: Inputs) -> list[tuple[str, str]]:
    """(heading, sentence) pairs."""
    params = inputs.params
    return [
        ("Images", _images(inputs)),
        ("Teacher", _teacher(inputs)),
        ("Unseen sub-categories", _unseen(inputs)),
        ("Stage 1, SFT", _sft(inputs)),
        ("Stage 2, TAPO", _tapo(params)),
        ("Questions", _questions(inputs)),
        ("Decoding", _decoding(inputs)),
        (
            "Strict rule (headline)",
            "Right means: exactly one closed answer element that equals the label after "
            "normalisation of case, separators, leading article and final punctuation.",
        ),
        (
            "Released rule (paper)",
            "Right means: the label is contained in the answer; open-world without a closed "
            "answer, in the whole output. An answer that lists names can pass this rule.",
        ),
        (
            "Intervals",
            f"Percentile bootstrap with {params.score.bootstrap_samples} resamples of whole "
            "classes, since questions about one class stand or fall together. Differences are "
            "paired: both models answer the same questions. One training seed: the intervals do "
            "not cover what another seed would give.",
        ),
    ]


def _images(inputs: Inputs) -> str:
    params = inputs.params
    seen = {(row.image.category, row.image.label) for row in inputs.splits if row.seen}
    unseen = {(row.image.category, row.image.label) for row in inputs.splits if not row.seen}
    subset = ", a part of the official one" if params.download.subset else ""
    return (
        f"Dataset {params.download.dataset}{subset}: {len(seen)} seen and {len(unseen)} unseen "
        f"sub-categories ({params.split.classes} selection). Accuracies are on the "
        f"{params.questions.part} images."
    )


def _unseen(inputs: Inputs) -> str:
    """What training did and did not learn of them, counted from its rows."""
    rows = [row.image for row in inputs.splits if not row.seen]
    unseen = {(image.category, image.label) for image in rows}
    triplets = inputs.triplets if inputs.params.tapo.steps else ()
    trained = {row.image_id for row in inputs.rationales}
    for triplet in triplets:
        trained |= {triplet.anchor, *triplet.positives, *triplet.negatives}
    images = len(trained & {image.id for image in rows})
    answers = {(row.category, row.label) for row in inputs.rationales}
    answers |= {(row.category, row.label) for row in triplets}
    answered = len(answers & unseen)
    text = (
        f"{images or 'None'} of the images trained on {_show(images)} an unseen sub-category, and "
        f"{answered or 'none'} of the {len(unseen)} unseen ones is an answer in training"
    )
    if inputs.params.sft.target == "answer":
        return f"{text}."
    options = {(row.category, normalise(name)) for row in inputs.rationales for name in row.options}
    named = sum((category, normalise(label)) in options for category, label in unseen)
    return (
        f"{text}; but {named} of the {len(unseen)} are named among the options of the rationales, "
        "whose comparison may describe them."
    )


def _show(number: int) -> str:
    return "shows" if number == 1 else "show"


def _teacher(inputs: Inputs) -> str:
    engines = Counter(row.engine for row in inputs.rationales)
    written = "; ".join(f"{name} ({count})" for name, count in sorted(engines.items()))
    return f"{len(inputs.rationales)} rationales, written by: {written or 'nobody'}."


def _sft(inputs: Inputs) -> str:
    settings = inputs.params.sft
    target = "rationale and answer" if settings.target == "rationale" else "the answer alone"
    return (
        f"{inputs.params.split.sft_shots} image(s) per seen sub-category, {_sft_length(inputs)} at "
        f"batch size {settings.batch_size}, learning rate {settings.lr:g}; trained on {target}, "
        f"{_vision(settings.train_vision)}."
    )


def _sft_length(inputs: Inputs) -> str:
    settings = inputs.params.sft
    if not settings.min_format_rate:
        return f"{settings.epochs:g} epochs"
    steps = max((step for series in inputs.logs["sft"].values() for step, _ in series), default=0)
    return (
        f"at least {settings.epochs:g} and at most {settings.max_epochs:g} epochs, until "
        f"{100 * settings.min_format_rate:g} % of the completions for {settings.format_prompts} "
        f"training prompts, or all if fewer, are in the format ({steps} steps),"
    )


def _tapo(params: Params) -> str:
    settings = params.tapo
    if not settings.steps:
        return "No step: the model is that of stage 1."
    return f"{_tapo_data(params)} {_tapo_objective(settings)}"


def _tapo_data(params: Params) -> str:
    settings = params.tapo
    update = "the anchor" if settings.update_image == "anchor" else "the image sampled with"
    augmented = "augmented" if settings.augment else "as they are"
    return (
        f"{params.split.tapo_shots} image(s) per seen sub-category, {settings.steps} steps of "
        f"{settings.prompts_per_step} prompts with {settings.anchor_rollouts} rollouts under the "
        f"anchor and {settings.positive_rollouts} under a positive image (temperature "
        f"{settings.temperature:g}, top-p {settings.top_p:g}, at most "
        f"{settings.max_completion_tokens} tokens), {_refills(settings)}; "
        f"{settings.question} questions. "
        f"Anchors and positives {augmented}; rollouts trained on under {update}; negative: "
        f"{describe_negative(params)}."
    )


def _refills(settings: TapoParams) -> str:
    if settings.max_resamples is None:
        return "refills without limit"
    return f"at most {settings.max_resamples} refills"


def describe_negative(params: Params) -> str:
    """What TAPO takes as an anchor's negative image."""
    if params.tapo.negative_image == "blackened":
        return f"the anchor with {100 * params.tapo.blackened_fraction:g} % of its patches black"
    return describe_mined_negative(params)


def describe_mined_negative(params: Params) -> str:
    """What the negative images of the triplets show."""
    if params.triplets.negative == "nearest":
        return "the nearest other seen sub-category"
    return "another seen sub-category, drawn at random"


def _tapo_objective(settings: TapoParams) -> str:
    gradient = "with gradient" if settings.negative_gradient else "without gradient"
    dual = "" if settings.clip_dual is None else f", dual clip {settings.clip_dual:g}"
    return (
        f"Learning rate {settings.lr:g}, {_vision(settings.train_vision)}; ratio clipped to 1 - "
        f"{settings.clip_low:g} and 1 + {settings.clip_high:g}{dual}. Inter-class weight "
        f"{settings.inter_class_coef:g} (ratio {settings.kl_ratio}, log-ratio clamped at "
        f"{settings.log_ratio_clamp:g}, negative {gradient}), entropy weights "
        f"{settings.entropy_coef:g} and {settings.negative_entropy_coef:g}. Reward: "
        f"{settings.accuracy_weight:g} accuracy ({settings.answer_match}), the rest format "
        f"({settings.format_rule})."
    )


def _vision(is_trained: bool) -> str:
    return "vision tower trained" if is_trained else "vision tower frozen"


def _questions(inputs: Inputs) -> str:
    closed = [item for item in inputs.questions if item.setting == "closed"]
    sources = Counter(item.source for item in closed)
    origin = ", ".join(f"{name} {count}" for name, count in sorted(sources.items()))
    return (
        f"{len(closed)} closed-world and {len(inputs.questions) - len(closed)} open-world "
        f"questions in ten wordings. Closed-world: {inputs.params.questions.num_options} options "
        f"from all sub-categories of the category, seen and unseen (source: {origin}), in an "
        f"order drawn per question by seed {inputs.params.seed}; the released evaluation always "
        "puts the right option first."
    )


def _decoding(inputs: Inputs) -> str:
    settings = inputs.params.predict
    way = (
        f"temperature {settings.temperature:g}, top-p {settings.top_p:g}"
        if settings.temperature
        else "greedy"
    )
    return (
        f"{way}, at most {settings.max_tokens} tokens, system prompt "
        f"{inputs.params.prompt.system}; one completion per question and model."
    )
