import pytest

from finer1.engines.interface import EngineSettings, load_engine


def test_unknown_engine_is_named():
    with pytest.raises(ValueError, match=r"engine 'gpt': there is no finer1/engines/gpt.py"):
        load_engine("gpt", EngineSettings(None, {}, "cpu"))
