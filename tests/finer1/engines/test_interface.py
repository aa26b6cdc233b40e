import pytest

from finer1.engines.interface import EngineSettings, load_engine

SETTINGS = EngineSettings(None, {}, "cpu", api_key="secret")


@pytest.mark.parametrize("name", ["gpt", "store", "local_models"])
def test_unknown_engine_is_named(name):
    match = rf"engine '{name}': there is no finer1/engines/{name}.py with a function `load`"
    with pytest.raises(ValueError, match=match):
        load_engine(name, SETTINGS)


@pytest.mark.parametrize("name", ["oracle", "template"])
def test_an_engine_without_a_model_refuses_one(name):
    with pytest.raises(ValueError, match=f"runs no model; write {name} instead of {name}:large"):
        load_engine(f"{name}:large", SETTINGS)


def test_the_key_is_not_printed():
    assert "secret" not in repr(SETTINGS)
