"""Under what terms the images of a dataset may be passed on, as its makers say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """Of one dataset's images."""

    words: str
    may_be_passed_on: bool
    """Only where that is beyond doubt."""


_RESEARCH = "for non-commercial research and education; the photographs belong to their owners"
_TERMS = {
    "world": Terms("drawn by finer1, under its licence (Apache-2.0)", True),
    "aircraft": Terms("FGVC-Aircraft: for non-commercial research alone", False),
    "bird": Terms(f"CUB-200-2011: {_RESEARCH}", False),
    "car": Terms(f"Stanford Cars: {_RESEARCH}", False),
    "dog": Terms(f"Stanford Dogs, images of ImageNet: {_RESEARCH}", False),
    "flower": Terms("Oxford 102 Flowers: no licence is stated", False),
    "pet": Terms(
        "Oxford-IIIT Pet: CC BY-SA 4.0 for the data set; the photographs belong to their owners",
        False,
    ),
}


def terms_of(dataset: str) -> Terms:
    """The terms of a dataset of a run; those of one's own images are for their owner to say."""
    return _TERMS.get(dataset, Terms("images of one's own; their owner decides", False))


def is_own(dataset: str) -> bool:
    """Whether it is none of the published datasets, so that its owner decides."""
    return dataset not in _TERMS
