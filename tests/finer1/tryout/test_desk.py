import pytest

from finer1.images import ImageArchive
from finer1.own.corrections import Correction
from finer1.records import read_jsonl
from finer1.tryout.client import Asked, Client
from finer1.tryout.desk import Shown, tell
from finer1.tryout.setting import Project
from tests.finer1.tryout.conftest import Written, drawing


@pytest.fixture
def around(project):
    return Project(project.home, project.params)


def asked(votes=5, content=None):
    return Asked(content or drawing(1), (), "bird", votes, 0.7)


def test_an_answer_is_told_from_waiting_to_what_a_correction_needs(around, client):
    engine = Written(step_s=0.01)
    asking = client(engine)
    told = list(tell(around.model("trained", lambda: asking), asked()))
    statuses = [item.status for item, _ in told]
    assert (statuses[0], statuses[-2:]) == ("waiting for the model", ["drawing 5 votes", ""])
    assert "writing" in statuses
    last, shown = told[-1]
    assert last.found.answer == "oak wren"
    assert last.facts[0].endswith(" s for 5 votes at temperature 0.7")
    assert "prompt (trained): What kind of bird is this?" in last.facts
    assert "model tapo: table:float32:abc" in last.facts
    assert "was not measured" in last.calibration
    assert shown == Shown(drawing(1), "bird", "oak wren", "table:float32:abc")
    assert all(found is None for _, found in told[:-1])
    assert [how.n for _, how in engine.seen] == [1, 5]  # the greedy one is generated once


def test_what_fails_is_told_and_never_raised(around, client):
    gone = Client("http://127.0.0.1:9/v1", None)
    (*_, (told, shown)) = tell(around.model("trained", lambda: gone), asked())
    assert "does not answer" in told.error
    assert shown is None
    (*_, (told, _)) = tell(around.model("trained", lambda: client()), asked(content=b"text"))
    assert "not a readable image" in told.error


def test_a_correction_is_on_disk_when_the_page_says_so(around, project):
    desk = around.desk("me")
    shown = Shown(drawing(100), "bird", "oak wren", "table:float32:abc")
    place = desk.choices.index(("birds", "bird", "elm wren"))
    assert "Kept as elm wren" in desk.correct(shown, place)
    (row,) = read_jsonl(project.home / "data/corrections/corrections.jsonl", Correction)
    assert (row.class_key, row.answer, row.reviewer) == (desk.choices[place], "oak wren", "me")
    kept = project.home / "data/corrections/images" / row.file
    assert kept.read_bytes() == drawing(100)
    assert desk.take_back(shown) == "Taken back: elm wren."
    assert desk.take_back(shown) == "Nothing was kept of this image."


def test_a_test_image_is_not_taken(around, project):
    (image,) = [item for item in project.images if item.id == "birds/elm wren/3.png"]
    content = ImageArchive(project.home / "data/images").read_bytes(image.id)
    shown = Shown(content, "bird", None, "table:float32:abc")
    with pytest.raises(ValueError, match="this is birds/elm wren/3.png, an image that models"):
        around.desk("me").correct(shown, 0)
    assert not (project.home / "data/corrections").exists()


def test_a_training_image_is_not_taken_and_the_page_says_how_it_is_moved(around, project):
    (image,) = [item for item in project.images if item.id == "birds/elm wren/0.png"]
    content = ImageArchive(project.home / "data/images").read_bytes(image.id)
    shown = Shown(content, "bird", None, "table:float32:abc")
    with pytest.raises(ValueError, match="0.png, already a training image of elm wren; to change"):
        around.desk("me").correct(shown, 0)
    assert not (project.home / "data/corrections").exists()


def test_of_a_drawn_or_published_dataset_the_page_says_that_no_run_learns(project):
    world = project.params.download.model_copy(update={"datasets": ("world",)})
    params = project.params.model_copy(update={"download": world})
    desk = Project(project.home, params).desk("me")
    text = desk.correct(Shown(drawing(100), "bird", None, "table:float32:abc"), 0)
    assert "no run learns from it, since birds is no dataset of your own" in text


def test_outside_of_a_project_there_is_nothing_to_pick(tmp_path):
    around = Project(tmp_path, None)
    assert around.desk("me").choices == ()
    assert around.classes.examples == ()


def test_a_page_begins_with_what_the_project_knows(around, project, client, tmp_path):
    asking = client()
    setting = around.setting(around.model("m", lambda: asking), None, tmp_path / "scratch")
    assert setting.categories == ("bird",)
    assert setting.names == {"bird": ("ash wren", "elm wren", "oak wren")}
    assert (setting.votes, setting.temperature) == (4, 0.7)  # predict.votes
    assert {path.name for path in setting.examples} == {"image.png"}
    assert len({path.read_bytes() for path in setting.examples}) == 3
    tested = {
        ImageArchive(project.home / "data/images").read_bytes(item.id)
        for item in project.images
        if item.official == "test"
    }
    assert not tested & {path.read_bytes() for path in setting.examples}
