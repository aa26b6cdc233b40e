"""Settings with which the pipeline runs on a dataset of one's own, and what they mean in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import ceil
from pathlib import Path

from finer1.datasets.interface import ListedImage
from finer1.inspection.audit import Shots
from finer1.params import Params
from finer1.splits import choose_seen, needed_shots

MIN_CLASSES = 3
"""Two seen ones, each the other's negative, and an unseen one."""

_SHOTS = (1, 4)
"""For SFT and TAPO, where there are enough images."""
_SEEN_FRACTION, _NUM_OPTIONS = 0.6, 4
"""Those of the paper; an earlier, smaller dataset may have left others in params.yaml."""
_MOST_NAMES = 8
_TEMPLATE = (
    "the teacher is the template, which knows nothing about the images: the run shows that all "
    "works, its accuracies mean nothing. A real one: start a server of an OpenAI-compatible model, "
    "then FINER1_SERVER=http://HOST:PORT/v1 finer1 run -S concepts.engine=openai:MODEL "
    "-S cot.engine=openai:MODEL"
)
_OVERLAP = (
    "a class with fewer images than both stages want trains both on the same ones "
    "(split.overlap); where TAPO has a single image, its positive is a shifted, lighter or darker "
    "copy of that image, so TAPO learns less there than with other images of the class"
)


@dataclass(frozen=True)
class Plan:
    """What `finer1 data add` sets."""

    wanted: dict[str, object]
    """Dotted key -> value, of all that must be so, whatever params.yaml holds now."""
    sentences: tuple[str, ...]
    shots: Shots
    """Training images that seen classes must have."""


def plan_settings(
    name: str, images: Sequence[ListedImage], params: Params, shots: tuple[int | None, int | None]
) -> Plan:
    """Settings that fit the classes of a dataset, `MIN_CLASSES` at least.

    shots: for SFT and TAPO as the user wants them; None for what fits the smallest seen class.
    """
    labels = sorted({image.label for image in images})
    fraction, seen = _seen(name, images, params)
    train = Counter(image.label for image in images if image.official == "train")
    fewest = min(train[label] for label in seen)
    sft, tapo, overlap = fitting_shots(fewest, *shots)
    wanted: dict[str, object] = {
        "download.datasets": [name],
        "split.classes": "random",
        "split.seen_fraction": fraction,
        "split.sft_shots": sft,
        "split.tapo_shots": tapo,
        "split.overlap": overlap,
        "split.shared": False,
        "split.sft_images": "drawn",
        "cot.source": "teacher",
        "questions.source": "built",
        "questions.num_options": min(max(params.questions.num_options, _NUM_OPTIONS), len(labels)),
        "concepts.engine": _teacher(params.concepts.engine),
        "cot.engine": _teacher(params.cot.engine),
    }
    if params.triplets.negative == "siblings" and not any(image.group for image in images):
        wanted["triplets.negative"] = "nearest"
    unseen = [label for label in labels if label not in seen]
    sentences = [
        f"{len(seen)} classes are seen in training, {len(unseen)} unseen until the evaluation: "
        f"{_listed(unseen)}",
        f"training images of the smallest seen class: {fewest}; per seen class {sft} for SFT and "
        f"{tapo} for TAPO{', as far as there are' if overlap else ''}",
    ]
    sentences += _explained(wanted, len(labels))
    needed = Shots(
        needed_shots(sft, tapo, overlap, shared=False),
        "lower --sft-shots and --tapo-shots",
        {(image.category, image.label) for image in images if image.label in seen},
    )
    return Plan(wanted, tuple(sentences), needed)


def differing(params: Params, wanted: Mapping[str, object]) -> dict[str, object]:
    """Those of the wanted values, by dotted key, that the parameters do not have."""
    return {key: value for key, value in wanted.items() if not _is(params, key, value)}


def fitting_shots(fewest: int, sft: int | None, tapo: int | None) -> tuple[int, int, bool]:
    """Shots for SFT and TAPO, and whether images may serve both.

    fewest: training images of the smallest class. What the user gave stays, with overlap where
    there are not enough for both.
    """
    chosen_sft = _SHOTS[0] if sft is None else sft
    if tapo is None and fewest - chosen_sft >= 2:
        tapo = min(_SHOTS[1], fewest - chosen_sft)
    if tapo is not None:
        # A single TAPO image is its own positive, which the pipeline takes with overlap alone.
        return chosen_sft, tapo, tapo == 1 or fewest < chosen_sft + tapo
    return chosen_sft, max(1, min(fewest, 2)), True


def _seen(name: str, images: Sequence[ListedImage], params: Params) -> tuple[float, set[str]]:
    """The share of seen classes, raised where that of the paper leaves one alone; their names."""
    keys = {(name, image.category, image.label) for image in images}
    fraction = _SEEN_FRACTION
    if Fraction(str(fraction)) * len(keys) < 2:
        fraction = ceil(200 / len(keys)) / 100
    split = params.split.model_copy(update={"classes": "random", "seen_fraction": fraction})
    return fraction, {label for _, _, label in choose_seen(keys, split, params.seed)}


def _explained(wanted: Mapping[str, object], num_classes: int) -> Iterator[str]:
    """What the less usual values mean."""
    if wanted["split.seen_fraction"] != _SEEN_FRACTION:
        yield (
            f"split.seen_fraction {wanted['split.seen_fraction']}: TAPO's negative is another "
            "seen class, so two must be"
        )
    if num_classes < _NUM_OPTIONS:
        yield f"closed questions have {num_classes} options, as there are classes"
    if wanted["split.overlap"]:
        yield _OVERLAP
    if "template" in (wanted["concepts.engine"], wanted["cot.engine"]):
        yield _TEMPLATE


def _teacher(engine: str) -> str:
    return "template" if engine == "oracle" else engine  # the oracle knows the drawn world only


def _value(params: Params, key: str) -> object:
    return reduce(getattr, key.split("."), params)


def _is(params: Params, key: str, value: object) -> bool:
    now = _value(params, key)
    if isinstance(now, Path):
        return str(now) == value
    return (list(now) if isinstance(now, tuple) else now) == value


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
