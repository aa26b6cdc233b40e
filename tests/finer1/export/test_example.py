from finer1.export.example import drawn_example, run_example


def test_a_drawing_is_the_same_each_time():
    one, two = (drawn_example("bird") for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    assert (one.image.mode, one.category) == ("RGB", "bird")


def test_photographs_of_others_are_no_example(run_params):
    download = run_params.download.model_copy(update={"datasets": ("bird",)})
    assert run_example(run_params.model_copy(update={"download": download})) is None


def test_of_the_drawn_world_an_unseen_test_image_is_taken(run_params, tmp_path, monkeypatch):
    import io

    from PIL import Image

    from finer1.images import write_archive
    from finer1.records import Question, write_jsonl

    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "blue").save(buffer, "PNG")
    write_archive(run_params.paths.images / "world.zip", [("2.png", buffer.getvalue())])
    rows = [
        Question(f"open/world/{n}.png", f"world/{n}.png", "bird", "tern", seen, "open", "?", (), "")
        for n, seen in ((1, True), (2, False))
    ]
    write_jsonl(run_params.paths.questions, rows)
    found = run_example(run_params)
    assert found.image.getpixel((0, 0)) == (0, 0, 255)
    assert found.origin == "a drawn test image of tern (unseen)"
