from finer1.params import load_params
from flows.smoke import prepare
from flows.values import set_values


def test_the_copy_does_not_follow_the_users_settings(repository, tmp_path):
    root, copy = tmp_path / "root", tmp_path / "copy"
    (root / ".dvc").mkdir(parents=True)
    for name in ("finer1", "tasks", "flows", "models", "data", "dvc.yaml", ".dvcignore"):
        (root / name).symlink_to(repository / name)
    (root / ".dvc/config").write_text("")
    (root / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    edits = {
        "paths.base": "models/base/mine",
        "download.datasets": ["bird"],
        "download.content": "abc",
        "concepts.engine": "openai:large",
    }
    set_values(root / "params.yaml", edits)
    prepare(root, copy, "smoke")
    params = load_params(copy / "params.yaml")
    assert (params.download.datasets, params.download.content) == (("world",), None)
    assert params.concepts.engine == "oracle"
    assert (copy / "models/base/world/config.json").exists()
