"""How the run was made and measured, in sentences, from its parameters and files."""

from collections import Counter

from finer1.data_params import SplitParams
from finer1.model_params import TapoParams
from finer1.params import Params
from finer1.report.inputs import Described
from finer1.report.measuring import describe_measuring
from finer1.separation import unseen_named

_TARGETS = {
    "rationale": "rationale and answer",
    "prose": "rationale in prose and answer",
    "free": "free rationale without sections and answer",
    "answer": "the answer alone",
}
"""sft.target -> what is learnt."""
_QUESTIONS = {
    "open": "open questions",
    "closed": "closed questions",
    "mixed": "mixed questions",
    "class_list": "questions with all seen sub-categories of the category as options",
}
"""tapo.question -> what is asked."""
_WORDS = {"trained": "", "think": ", to think first", "direct": ", for the name alone"}
"""tapo.strategy -> how it is asked."""


def describe_protocol(inputs: Described) -> list[tuple[str, str]]:
    """(heading, sentence) pairs."""
    return [
        ("Images", _images(inputs)),
        ("Teacher", _teacher(inputs)),
        ("Unseen sub-categories", _unseen(inputs)),
        ("Training and evaluation apart", _separation(inputs)),
        ("Stage 1, SFT", _sft(inputs)),
        ("Stage 2, TAPO", _tapo(inputs)),
        *describe_measuring(inputs),
    ]


def _images(inputs: Described) -> str:
    params = inputs.params
    seen = {(row.image.category, row.image.label) for row in inputs.splits if row.seen}
    unseen = {(row.image.category, row.image.label) for row in inputs.splits if not row.seen}
    names = [
        f"{name} (a part of the official one)" if params.download.is_subset(name) else name
        for name in params.download.datasets
    ]
    word = "Dataset" if len(names) == 1 else "Datasets"
    return (
        f"{word} {', '.join(names)}: {len(seen)} seen and {len(unseen)} unseen "
        f"sub-categories ({params.split.classes} selection). Accuracies are on the "
        f"{params.questions.part} images."
    )


def _unseen(inputs: Described) -> str:
    """What training did and did not learn of them, counted from its rows."""
    rows = [row.image for row in inputs.splits if not row.seen]
    unseen = {(image.category, image.label) for image in rows}
    triplets = inputs.triplets if inputs.params.tapo.steps else ()
    rationales = inputs.rationales if inputs.params.sft.steps != 0 else []
    trained = {row.image_id for row in rationales}
    for triplet in triplets:
        trained |= {triplet.anchor, *triplet.positives, *triplet.negatives}
    images = len(trained & {image.id for image in rows})
    answers = {(row.category, row.label) for row in rationales}
    answers |= {(row.category, row.label) for row in triplets}
    answered = len(answers & unseen)
    text = (
        f"{images or 'None'} of the images trained on {_show(images)} an unseen sub-category, and "
        f"{answered or 'none'} of the {len(unseen)} unseen ones is an answer in training"
    )
    if inputs.params.sft.target == "answer" or not rationales:
        return f"{text}."
    naming = unseen_named(inputs.rationales, inputs.splits)
    where = "among the options of"
    if naming.searched:
        where = "in the text of" if naming.searched == len(inputs.rationales) else "in"
    searched = (
        f" {naming.searched} rationales are kept word for word and searched as a whole for whole "
        "names: plurals and abbreviations do not count."
        if naming.searched
        else ""
    )
    return (
        f"{text}; but {len(naming.labels)} of the {len(unseen)} are named {where} "
        f"{naming.rationales} of the {len(inputs.rationales)} rationales, whose comparison may "
        f"describe them.{searched}"
    )


def _separation(inputs: Described) -> str:
    """What the stage `split` recorded of images that training and evaluation might share."""
    count = {
        name.removeprefix("split/"): int(value)
        for name, value in inputs.recorded.items()
        if name.startswith("split/")
    }
    least = "At least " if count["near_duplicates_truncated"] else ""
    sentences = [
        f"Checked in this run before it trained, over {count['checked_images']} images of "
        f"{count['checked_classes']} sub-categories: none of the {count['training_images']} images "
        f"trained on is among the {count['evaluation_images']} of validation and test or shows an "
        "unseen sub-category; a run where one does stops there",
        f"{count['duplicates'] or 'No'} pairs of files have equal bytes but other parts or labels"
        + (
            f"; in {count['duplicates_trained_and_evaluated']} of them one is trained on and the "
            "other evaluated"
            if count["duplicates"]
            else ""
        ),
        f"{least}{count['near_duplicates_test']} pairs of a training and a test image look alike, "
        f"and {least.lower()}{count['near_duplicates_validation']} of a training and a validation "
        f"image (perceptual hashes at most {count['near_duplicate_distance']} of 64 bits apart)",
        f"SFT and TAPO share {count['overlap_images']} images, of {count['overlap_classes']} "
        f"sub-categories{_why_shared(inputs.params.split)}"
        if count["overlap_images"]
        else "SFT and TAPO share no image",
    ]
    if count["unseen_seen_elsewhere"]:
        sentences.append(
            f"{count['unseen_seen_elsewhere']} unseen sub-categories have the name of a seen one "
            "of another dataset or category: training knows them under it"
        )
    return f"{'. '.join(sentences)}."


def _why_shared(split: SplitParams) -> str:
    return " (split.shared)" if split.shared else " with too few for both (split.overlap)"


def _show(number: int) -> str:
    return "shows" if number == 1 else "show"


def _teacher(inputs: Described) -> str:
    engines = Counter(row.engine for row in inputs.rationales)
    written = "; ".join(f"{name} ({count})" for name, count in sorted(engines.items()))
    settings = inputs.params.cot
    untold = "" if settings.show_concepts else " It was told of no visual concepts."
    unfiltered = "" if settings.filter else " No filter: the first sample of each image was kept."
    count = f"{len(inputs.rationales)} rationales, written by: {written or 'nobody'}."
    return f"{count}{untold}{unfiltered}"


def _sft(inputs: Described) -> str:
    settings = inputs.params.sft
    if settings.steps == 0:
        return "No step: the model is the base."
    target = _TARGETS[settings.target]
    split = inputs.params.split
    released = ""
    if split.sft_images == "released":
        released = f" ({int(inputs.recorded['split/sft_released'])} are those of the release)"
    return (
        f"{_shots(split.sft_shots, split)}{released}, {_sft_length(inputs)} at "
        f"batch size {settings.batch_size}, learning rate {settings.lr:g}; trained on {target}, "
        f"{_vision(settings.train_vision)}."
    )


def _sft_length(inputs: Described) -> str:
    settings = inputs.params.sft
    if settings.steps is not None:
        return f"{settings.steps} steps"
    if not settings.min_format_rate:
        return f"{settings.epochs:g} epochs"
    steps = max((step for series in inputs.logs["sft"].values() for step, _ in series), default=0)
    return (
        f"at least {settings.epochs:g} and at most {settings.max_epochs:g} epochs, until "
        f"{100 * settings.min_format_rate:g} % of the completions for {settings.format_prompts} "
        f"training prompts, or all if fewer, are in the format ({steps} steps),"
    )


def _shots(count: int, split: SplitParams) -> str:
    most = "at most " if split.overlap else ""
    return f"{most}{count} image(s) per seen sub-category"


def _tapo(inputs: Described) -> str:
    settings = inputs.params.tapo
    if not settings.steps:
        return "No step: the model is that of stage 1."
    told = f"{_tapo_data(inputs.params)} {_augmented_positives(inputs)}{_lacking_siblings(inputs)}"
    return f"{told}{_tapo_objective(settings)}"


def _augmented_positives(inputs: Described) -> str:
    augmented = int(inputs.recorded["triplets/positives_augmented"])
    if not augmented:
        return ""
    return (
        f"In {augmented} of {int(inputs.recorded['triplets/anchors'])} triplets the positive is a "
        "random augmentation of the anchor (flip, shift, brightness): its sub-category has no "
        "other TAPO image. "
    )


def _lacking_siblings(inputs: Described) -> str:
    lacking = int(inputs.recorded.get("triplets/classes_with_too_few_siblings", 0))
    if not lacking or inputs.params.tapo.negative_image == "blackened":
        return ""
    return (
        f"{lacking} of {int(inputs.recorded['triplets/classes'])} sub-categories have fewer than "
        f"{inputs.params.triplets.rank} seen ones in their group: the negative is chosen from all "
        "of their category. "
    )


def _tapo_data(params: Params) -> str:
    settings = params.tapo
    update = "the anchor" if settings.update_image == "anchor" else "the image sampled with"
    augmented = "augmented" if settings.augment else "as they are"
    return (
        f"{_shots(params.split.tapo_shots, params.split)}, {settings.steps} steps of "
        f"{settings.prompts_per_step} prompts with {settings.anchor_rollouts} rollouts under the "
        f"anchor and {settings.positive_rollouts} under a positive image (temperature "
        f"{settings.temperature:g}, top-p {settings.top_p:g}, at most "
        f"{settings.max_completion_tokens} tokens), {_refills(settings)}; "
        f"{_QUESTIONS[settings.question]}{_WORDS[settings.strategy]}. "
        f"Anchors and positives {augmented}; rollouts trained on under {update}; negative: "
        f"{describe_negative(params)}."
    )


def _refills(settings: TapoParams) -> str:
    if not settings.dynamic_sampling:
        return "every group trained on"
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
    settings = params.triplets
    if settings.negative == "random":
        return "another seen sub-category, drawn at random"
    place = "nearest" if settings.rank == 1 else f"{settings.rank}. nearest"
    if settings.negative == "siblings":
        return f"the {place} seen sub-category of the same group, or of all where there are too few"
    return f"the {place} other seen sub-category"


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
