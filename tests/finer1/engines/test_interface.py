import pytest

from finer1.engines.interface import EngineSettings, load_engine

SETTINGS = EngineSettings(None, {}, "cpu", api_key="secret")


@pytest.mark.parametrize("name", ["gpt", "store", "local_models"])
def test_unknown_engine_is_named(name):
    match = rf"engine '{name}': there is no finer1/engines/{name}.py with a function `load`"
    with pytest.raises(ValueError, match=match):
        load_engine(name, SETTINGS)


def test_an_engine_without_a_model_refuses_one():
    with pytest.raises(ValueError, match="runs no model; write template instead of template:large"):
        load_engine("template:large", SETTINGS)


def test_the_oracle_refuses_an_unknown_taxonomy():
    with pytest.raises(ValueError, match="there is no taxonomy large"):
        load_engine("oracle:large", SETTINGS)


def test_the_key_is_not_printed():
    assert "secret" not in repr(SETTINGS)
