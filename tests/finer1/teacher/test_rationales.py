import pytest
from PIL import Image

from finer1.engines.interface import Sample
from finer1.params import load_params
from finer1.progress import Progress
from finer1.prompts import sections_text
from finer1.records import ImageRecord
from finer1.teacher.rationales import Case, Teacher, collect_rationales, num_wanted

LABELS = {"bird": ("Crow", "Grebe", "Wren")}
FOREIGN = "\u7ea2\u8272\u7684\u5934\u548c\u957f\u957f\u7684\u5c3e"


@pytest.fixture
def settings(repository):
    """max_attempts 4 at temperature 1, no further rung."""
    cot = load_params(repository / "params.yaml").cot
    return cot.model_copy(update={"max_attempts": 4, "ladder": (), "temperature": 1.0})


@pytest.fixture
def ladder(repository):
    """Builds settings of two samples and then the given rungs."""
    cot = load_params(repository / "params.yaml").cot.model_dump()

    def ladder(*rungs, **more):
        named = [
            dict(zip(("attempts", "temperature", "image"), rung, strict=True)) for rung in rungs
        ]
        return type(load_params(repository / "params.yaml").cot).model_validate(
            cot | {"max_attempts": 2, "temperature": 1.0, "ladder": named} | more
        )

    return ladder


def image(name):
    """The image bird/<name> of the sub-category <name>, or of <label> for `<label>/<number>`."""
    return ImageRecord(
        id=f"bird/{name}",
        dataset="birds",
        category="bird",
        label=name.partition("/")[0],
        group=None,
        phash="0" * 16,
        sha256=f"hash of {name}",
        official="train",
    )


def answer(label, prediction=None, analysis="a red eye"):
    other = "Crow" if label != "Crow" else "Wren"
    comparison = f"{label} fits by its long red bill and by its eye. {other} does not."
    return sections_text(analysis, (label, other), comparison, prediction or label)


class Scripted:
    """Gives each image its prepared answers, one per attempt, and notes what it was asked."""

    def __init__(self, answers):
        self.answers = {name: list(texts) for name, texts in answers.items()}
        self.calls = []
        self.temperatures = []
        self.opened = []
        self.stored = 0

    def num_made(self):
        return sum(map(len, self.calls)) - self.stored

    def open(self, image):
        self.opened.append((len(self.calls), image.label))
        return Case(image, Image.new("RGB", (8, 8)), ("red eye",))

    def ask(self, requests, temperature):
        self.calls.append(requests)
        self.temperatures.append(temperature)
        names = [r.image_hashes[0].removeprefix("hash of ") for r in requests]
        return [Sample(self.answers[name].pop(0), 9, "stop") for name in names]


def collect(scripted, settings, names, seed=0, others=()):
    images = [image(name) for name in names]

    def find_other(own, used):
        found = (image(name) for name in others if name.partition("/")[0] == own.label)
        return next((item for item in found if item.id not in used), None)

    return collect_rationales(
        images,
        scripted.open,
        find_other,
        Teacher(scripted.ask, scripted.num_made, "test teacher", LABELS),
        settings,
        seed,
        Progress("test", num_wanted(len(images), settings), "images"),
    )


def test_first_sample_that_passes_is_kept(settings):
    teacher = Scripted({"Grebe": ["nonsense", answer("Grebe", "Crow"), answer("Grebe")]})
    (rationale,) = collect(teacher, settings, ["Grebe"]).rationales
    assert rationale.attempts == 3
    assert (rationale.prediction, rationale.options) == ("Grebe", ("Grebe", "Crow"))
    assert rationale.engine == "test teacher"


def test_only_what_is_missing_is_asked_again(settings):
    teacher = Scripted({"Grebe": ["", answer("Grebe")], "Crow": [answer("Crow")]})
    collect(teacher, settings, ["Grebe", "Crow"])
    assert [len(call) for call in teacher.calls] == [2, 1]


def test_each_attempt_has_a_seed_of_its_own(settings):
    teacher = Scripted({"Grebe": ["", "", "", ""], "Crow": ["", "", "", ""]})
    collect(teacher, settings, ["Grebe", "Crow"])
    seeds = [request.seed for call in teacher.calls for request in call]
    assert len(set(seeds)) == 8


def test_request_does_not_depend_on_the_other_images(settings):
    together, alone = Scripted({"Grebe": [""] * 4, "Crow": [""] * 4}), Scripted({"Crow": [""] * 4})
    collect(together, settings, ["Grebe", "Crow"])
    collect(alone, settings, ["Crow"])
    key = lambda r: (r.user, r.image_hashes, r.seed)  # noqa: E731
    assert [key(c[-1]) for c in together.calls] == [key(c[0]) for c in alone.calls]


def test_image_without_a_good_sample_is_left_out_after_the_last_attempt(settings):
    teacher = Scripted({"Grebe": [""] * 9, "Crow": [answer("Crow")]})
    outcome = collect(teacher, settings, ["Grebe", "Crow"])
    assert [row.label for row in outcome.rationales] == ["Crow"]
    assert len(teacher.calls) == 4


def test_yield_counts_every_sample_token_and_reason(settings):
    teacher = Scripted({"Grebe": ["", answer("Grebe", "Crow"), "", answer("Grebe")]})
    count = collect(teacher, settings, ["Grebe"]).yields["birds", "bird", "Grebe"]
    assert (count.asked, count.kept, count.samples) == (1, 1, 4)
    assert count.tokens == 36  # 4 x 9
    assert count.rejected == {"format": 2, "prediction": 1}


def test_rationale_carries_the_question_that_was_asked(settings):
    teacher = Scripted({"Grebe": [answer("Grebe")]})
    (rationale,) = collect(teacher, settings, ["Grebe"]).rationales
    assert teacher.calls[0][0].user.endswith(f"Question: {rationale.question}")


def test_second_rung_asks_at_its_temperature_and_is_recorded(ladder):
    teacher = Scripted({"Grebe": ["", "", "", answer("Grebe")], "Crow": [answer("Crow")]})
    outcome = collect(teacher, ladder((3, 0.5, "same")), ["Grebe", "Crow"])
    assert teacher.temperatures == [1.0, 1.0, 0.5, 0.5]
    assert outcome.yields["birds", "bird", "Grebe"].rungs == {2: 1}
    assert outcome.yields["birds", "bird", "Crow"].rungs == {1: 1}
    assert outcome.rationales[0].attempts == 4


def test_rung_of_another_image_takes_one_of_the_class(ladder):
    teacher = Scripted({"Grebe": ["", ""], "Grebe/1": [answer("Grebe")]})
    outcome = collect(teacher, ladder((2, 1.0, "other")), ["Grebe"], others=["Crow/1", "Grebe/1"])
    (rationale,) = outcome.rationales
    assert (rationale.image_id, rationale.id) == ("bird/Grebe/1", "cot/bird/Grebe/1")
    count = outcome.yields["birds", "bird", "Grebe"]
    assert (count.asked, count.kept, count.samples, count.rungs) == (1, 1, 3, {2: 1})


def test_two_images_of_a_class_take_different_others(ladder):
    teacher = Scripted({name: [""] * 9 for name in ("Grebe/1", "Grebe/2", "Grebe/3", "Grebe/4")})
    settings = ladder((1, 1.0, "other"), (1, 1.0, "other"))
    others = ["Grebe/1", "Grebe/2", "Grebe/3", "Grebe/4"]
    outcome = collect(teacher, settings, ["Grebe/1", "Grebe/2"], others=others)
    # The second rung takes images 3 and 4; for the third none is left.
    assert [len(call) for call in teacher.calls] == [2, 2, 2]
    assert outcome.asked == {f"bird/{name}" for name in others}


def test_total_stops_when_it_is_reached(ladder):
    teacher = Scripted(
        {"Grebe": [answer("Grebe")], "Crow": ["", ""], "Wren": [answer("Wren")], "Wren/1": ["x"]}
    )
    outcome = collect(teacher, ladder(total=2), ["Grebe", "Crow", "Wren", "Wren/1"])
    # Two are asked; Crow fails, so one more is.
    assert [row.label for row in outcome.rationales] == ["Grebe", "Wren"]
    assert outcome.yields["birds", "bird", "Wren"].asked == 1


def test_pictures_are_opened_when_it_is_their_turn(ladder):
    teacher = Scripted({"Grebe": ["", ""], "Crow": [answer("Crow")], "Wren": [answer("Wren")]})
    collect(teacher, ladder(total=1), ["Grebe", "Crow", "Wren"])
    # Grebe takes two calls; Wren is never needed.
    assert teacher.opened == [(0, "Grebe"), (2, "Crow")]


def test_total_that_cannot_be_reached_asks_everything_once(ladder):
    teacher = Scripted({"Grebe": ["", ""], "Grebe/1": [answer("Grebe")]})
    settings = ladder((1, 1.0, "other"), total=2)
    outcome = collect(teacher, settings, ["Grebe", "Grebe/1"], others=["Grebe/1"])
    # Grebe/1 waits in the first batch already, so it cannot stand in for Grebe.
    assert len(outcome.rationales) == 1
    assert sum(map(len, teacher.calls)) == 3


def test_image_that_stood_in_for_another_is_not_asked_again(ladder):
    teacher = Scripted({"Grebe": ["", ""], "Grebe/1": [answer("Grebe")], "Crow": [answer("Crow")]})
    settings = ladder((1, 1.0, "other"), total=2)
    outcome = collect(teacher, settings, ["Grebe", "Crow", "Grebe/1"], others=["Grebe/1"])
    assert [row.image_id for row in outcome.rationales] == ["bird/Grebe/1", "bird/Crow"]


def test_first_sample_that_fails_on_language_alone_is_queued(ladder):
    both = answer("Grebe", "Crow", f"red {FOREIGN}")
    texts = [both, answer("Grebe", analysis=f"red {FOREIGN}"), answer("Grebe", analysis=FOREIGN)]
    outcome = collect(Scripted({"Grebe": texts}), ladder(max_attempts=3), ["Grebe"])
    (queued,) = outcome.queue
    assert queued.failed == ("language",)
    assert (queued.rationale.analysis, queued.rationale.attempts) == (f"red {FOREIGN}", 2)
    count = outcome.yields["birds", "bird", "Grebe"]
    assert (count.kept, count.queued, count.rejected["language"]) == (0, 1, 2)


def test_image_with_a_rationale_queues_nothing(ladder):
    texts = [answer("Grebe", analysis=FOREIGN), answer("Grebe")]
    outcome = collect(Scripted({"Grebe": texts}), ladder(), ["Grebe"])
    assert outcome.queue == []
    assert outcome.yields["birds", "bird", "Grebe"].queued == 0


def test_progress_says_rate_yield_and_time_left(ladder, capsys):
    collect(Scripted({"Grebe": ["", answer("Grebe")]}), ladder(), ["Grebe"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("test: 1/1 images, 0 s left, ")
    assert line.endswith("samples/s, 50 % of them kept")


def test_rate_is_of_what_is_generated_not_of_what_was_stored(ladder, capsys):
    teacher = Scripted({"Grebe": ["", answer("Grebe")]})
    teacher.stored = 2
    collect(teacher, ladder(), ["Grebe"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(", 0.0 samples/s, 50 % of them kept")


@pytest.fixture
def unfiltered(settings):
    """The same, but the first sample is kept."""
    return settings.model_copy(update={"filter": False})


def test_without_filters_the_first_sample_is_kept_and_its_fault_counted(unfiltered):
    teacher = Scripted({"Grebe": [answer("Grebe", "Crow")], "Crow": [answer("Crow")]})
    outcome = collect(teacher, unfiltered, ["Grebe", "Crow"])
    assert [row.prediction for row in outcome.rationales] == ["Crow", "Crow"]
    assert [row.attempts for row in outcome.rationales] == [1, 1]
    assert outcome.faults == {"prediction": 1}
    assert [(row.image_id, row.reason) for row in outcome.rejects] == [("bird/Grebe", "prediction")]
    tally = outcome.yields["birds", "bird", "Grebe"]
    assert (tally.kept, tally.samples, tally.rejected.total()) == (1, 1, 0)


def test_without_filters_what_has_no_sections_is_kept_word_for_word(unfiltered):
    teacher = Scripted({"Grebe": [" <analysis>a red eye "]})
    outcome = collect(teacher, unfiltered, ["Grebe"])
    (row,) = outcome.rationales
    assert row.completion == "<think><analysis>a red eye</think><answer>Grebe</answer>"
    assert (row.analysis, row.options, row.prediction) == ("", (), "")
    assert (outcome.faults, outcome.queue) == ({"format": 1}, [])


def test_a_foreign_sample_is_not_queued_without_filters(unfiltered):
    outcome = collect(
        Scripted({"Grebe": [answer("Grebe", analysis=FOREIGN)]}), unfiltered, ["Grebe"]
    )
    assert (outcome.faults, outcome.queue) == ({"language": 1}, [])
    assert outcome.rationales[0].analysis == FOREIGN


def test_with_filters_no_fault_is_kept(settings):
    outcome = collect(Scripted({"Grebe": ["", answer("Grebe")]}), settings, ["Grebe"])
    assert outcome.faults == {}
    assert outcome.rationales[0].completion is None
