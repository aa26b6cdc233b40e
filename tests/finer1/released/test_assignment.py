from finer1.released.assignment import assign_released
from finer1.released.rationales import released_rationales


def test_yield_says_which_images_have_none_and_why(write_rationales, record):
    root = "bird_200/images_train/029.American_Crow"
    folder = write_rationales((f"{root}/a.jpg", "American Crow"), (f"{root}/b.jpg", "Fish Crow"))
    images = [record(f"bird/x/{name}.jpg", "American Crow") for name in "abc"]
    outcome = assign_released(images, released_rationales(folder, images))
    assert [row.image_id for row in outcome.rationales] == ["bird/x/a.jpg"]
    count = outcome.yields["bird", "bird", "American Crow"]
    assert (count.asked, count.kept, count.samples) == (3, 1, 2)
    assert count.rejected == {"other_answer": 1, "not_in_release": 1}
