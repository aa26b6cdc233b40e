import json
from dataclasses import replace

import pytest

from finer1.asking import Asking, asking_of, find_asking, write_asking
from finer1.params import load_params

ASKING = Asking("trained", "Think.", ("bird", "car"), max_tokens=6, temperature=1.0, top_p=0.99)


def test_an_exported_model_says_how_it_is_asked(tmp_path):
    write_asking(tmp_path, ASKING)
    assert find_asking(tmp_path) == ASKING


def test_a_model_in_a_project_is_asked_as_the_project_trains(tmp_path, repository):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((repository / name).read_bytes())
    params = load_params(tmp_path / "params.yaml")
    found = find_asking(tmp_path / "models/tapo")
    assert found == asking_of(params, ())
    assert (found.strategy, found.max_tokens) == (
        params.tapo.strategy, params.tapo.max_completion_tokens,
    )  # fmt: skip


def test_what_does_not_say_it_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ValueError, match=r"has no finer1\.json and lies in no project"):
        find_asking(tmp_path)
    (tmp_path / "finer1.json").write_text(json.dumps({"asking": {"strategy": "other"}}))
    with pytest.raises(ValueError, match=r"finer1\.json is broken; write it anew"):
        find_asking(tmp_path)


def test_a_word_is_asked_for_where_several_could_be_meant():
    assert ASKING.category("beetle") == "beetle"
    assert replace(ASKING, categories=("bird",)).category(None) == "bird"
    with pytest.raises(ValueError, match="the model was trained on bird, car"):
        ASKING.category(None)
    with pytest.raises(ValueError, match="as in bird"):
        replace(ASKING, categories=()).category(None)
