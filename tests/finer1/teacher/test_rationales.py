import pytest
from PIL import Image

from finer1.engines.interface import Sample
from finer1.params import load_params
from finer1.prompts import sections_text
from finer1.records import ImageRecord
from finer1.teacher.rationales import Case, collect_rationales

LABELS = {"bird": ("Crow", "Grebe", "Wren")}


@pytest.fixture
def settings(repository):
    return load_params(repository / "params.yaml").cot  # max_attempts 4


def case(label):
    image = ImageRecord(
        id=f"bird/{label}",
        dataset="bird",
        category="bird",
        label=label,
        group=None,
        phash="0" * 16,
        sha256=f"hash of {label}",
        official="train",
    )
    return Case(image, Image.new("RGB", (8, 8)), ("red eye",))


def answer(label, prediction=None):
    other = "Crow" if label != "Crow" else "Wren"
    comparison = f"{label} fits by its long red bill and by its eye. {other} does not."
    return sections_text("a red eye", (label, other), comparison, prediction or label)


class Teacher:
    """Gives each image its prepared answers, one per attempt, and notes what it was asked."""

    def __init__(self, answers):
        self.answers = {label: list(texts) for label, texts in answers.items()}
        self.calls = []

    def __call__(self, requests):
        self.calls.append(requests)
        labels = [r.image_hashes[0].removeprefix("hash of ") for r in requests]
        return [Sample(self.answers[label].pop(0), 9, "stop") for label in labels]


def collect(teacher, settings, labels, seed=0):
    cases = [case(label) for label in labels]
    return collect_rationales(cases, LABELS, teacher, "test teacher", settings, seed)


def test_first_sample_that_passes_is_kept(settings):
    teacher = Teacher({"Grebe": ["nonsense", answer("Grebe", "Crow"), answer("Grebe")]})
    (rationale,) = collect(teacher, settings, ["Grebe"]).rationales
    assert rationale.attempts == 3
    assert (rationale.prediction, rationale.options) == ("Grebe", ("Grebe", "Crow"))
    assert rationale.engine == "test teacher"


def test_only_what_is_missing_is_asked_again(settings):
    teacher = Teacher({"Grebe": ["", answer("Grebe")], "Crow": [answer("Crow")]})
    collect(teacher, settings, ["Grebe", "Crow"])
    assert [len(call) for call in teacher.calls] == [2, 1]


def test_each_attempt_has_a_seed_of_its_own(settings):
    teacher = Teacher({"Grebe": ["", "", "", ""], "Crow": ["", "", "", ""]})
    collect(teacher, settings, ["Grebe", "Crow"])
    seeds = [request.seed for call in teacher.calls for request in call]
    assert len(set(seeds)) == 8


def test_request_does_not_depend_on_the_other_images(settings):
    together, alone = Teacher({"Grebe": [""] * 4, "Crow": [""] * 4}), Teacher({"Crow": [""] * 4})
    collect(together, settings, ["Grebe", "Crow"])
    collect(alone, settings, ["Crow"])
    key = lambda r: (r.user, r.image_hashes, r.seed)  # noqa: E731
    assert [key(c[-1]) for c in together.calls] == [key(c[0]) for c in alone.calls]


def test_image_without_a_good_sample_is_left_out_after_the_last_attempt(settings):
    teacher = Teacher({"Grebe": [""] * 9, "Crow": [answer("Crow")]})
    outcome = collect(teacher, settings, ["Grebe", "Crow"])
    assert [row.label for row in outcome.rationales] == ["Crow"]
    assert len(teacher.calls) == 4


def test_yield_counts_every_sample_and_reason(settings):
    teacher = Teacher({"Grebe": ["", answer("Grebe", "Crow"), "", answer("Grebe")]})
    count = collect(teacher, settings, ["Grebe"]).yields["bird", "Grebe"]
    assert (count.asked, count.kept, count.samples) == (1, 1, 4)
    assert count.rejected == {"format": 2, "prediction": 1}


def test_rationale_carries_the_question_that_was_asked(settings):
    teacher = Teacher({"Grebe": [answer("Grebe")]})
    (rationale,) = collect(teacher, settings, ["Grebe"]).rationales
    assert teacher.calls[0][0].user.endswith(f"Question: {rationale.question}")
