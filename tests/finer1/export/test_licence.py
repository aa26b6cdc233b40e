from finer1.export.licence import Licence, copy_texts, read_licence


def test_the_licence_is_read_from_the_front_matter(tmp_path, repository):
    (tmp_path / "README.md").write_text(
        "---\nlicense: other\nlicense_name: qwen-research\n"
        "license_link: https://x.org/L\n---\n# A\n"
    )
    found = read_licence(tmp_path)
    assert found == Licence("other", "qwen-research", "https://x.org/L")
    assert found.words == "qwen-research (https://x.org/L)"
    assert read_licence(repository / "models/base/world").license == "apache-2.0"


def test_without_one_nothing_is_assumed(tmp_path):
    assert read_licence(tmp_path) is None
    (tmp_path / "README.md").write_text("# No front matter\n")
    assert read_licence(tmp_path) is None


def test_texts_go_with_the_model(tmp_path):
    (tmp_path / "base").mkdir()
    for name in ("LICENSE", "NOTICE.txt", "USAGE"):
        (tmp_path / "base" / name).write_text(name)
    (tmp_path / "out").mkdir()
    copy_texts(tmp_path / "base", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["LICENSE", "NOTICE.txt"]
