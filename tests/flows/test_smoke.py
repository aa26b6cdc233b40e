import pytest
import yaml

from finer1.params import load_params
from flows.smoke import prepare
from flows.values import set_values


@pytest.fixture
def root(repository, tmp_path):
    """A project beside which nothing lies."""
    root = tmp_path / "root"
    (root / ".dvc").mkdir(parents=True)
    for name in ("finer1", "tasks", "flows", "models", "data", "dvc.yaml", ".dvcignore"):
        (root / name).symlink_to(repository / name)
    (root / ".dvc/config").write_text("")
    (root / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    return root


def test_the_copy_does_not_follow_the_users_settings(root, tmp_path):
    copy = tmp_path / "copy"
    mine = {"mine": {"model": "../mine", "strategy": "direct", "max_tokens": None}}
    edits = {
        "paths.base": "models/base/mine",
        "download.datasets": ["bird"],
        "download.content": "abc",
        "concepts.engine": "openai:large",
        "predict.models": mine,
        "robustness.models": mine,
        "general.models": {"mine": {"model": "../mine"}},
        "analysis.models": {"mine": {"model": "../mine"}},
    }
    set_values(root / "params.yaml", edits)
    prepare(root, copy, "smoke")
    params = load_params(copy / "params.yaml")
    assert (params.download.datasets, params.download.content) == (("world",), None)
    assert params.concepts.engine == "oracle"
    assert list(params.predict.models) == ["base_direct"]
    assert (params.robustness.models, params.general.models) == ({}, {})
    assert params.analysis.models == {}
    assert (copy / "models/base/world/config.json").exists()


def test_a_model_that_the_copy_does_not_have_is_refused(root, tmp_path):
    values = yaml.safe_load((root / "params.yaml").read_text())
    values["experiments"]["smoke"]["general.models"] = {"mine": {"model": "models/mine"}}
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ValueError, match="smoke: general.models.mine names models/mine, which the"):
        prepare(root, tmp_path / "copy", "smoke")


def test_a_base_that_the_run_makes_is_not_copied(root, tmp_path):
    prepare(root, tmp_path / "copy", "qwen2_vl_world")
    params = load_params(tmp_path / "copy/params.yaml")
    assert params.paths.base == params.paths.bases / "world_qwen2_vl"
    assert (tmp_path / "copy" / params.pretrain.models["world_qwen2_vl"].config).exists()
    assert not (tmp_path / "copy/models").exists()
