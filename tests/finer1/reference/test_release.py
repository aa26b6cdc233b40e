from finer1.reference.release import COMMIT, RATIONALES, questions_file, released_files


def test_each_dataset_has_two_question_files_and_there_is_one_of_rationales():
    names = [file.name for file in released_files()]
    datasets = ("aircraft", "bird", "car", "dog", "flower", "pet")
    questions = [questions_file(name, seen) for name in datasets for seen in (True, False)]
    assert sorted(names) == sorted([*questions, RATIONALES])


def test_files_are_pinned():
    for file in released_files():
        assert f"/{COMMIT}/" in file.url
        assert len(file.sha256) == 64
