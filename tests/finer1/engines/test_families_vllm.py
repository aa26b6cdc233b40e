import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from finer1.engines.interface import EngineSettings, Sampling, load_engine
from tests.finer1.engines.families import FAMILIES, IN_VLLM, build_adapter, build_model, questions

GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=8)


@pytest.fixture
def ask_vllm(vllm_ready, repository, tmp_path):
    """Asks a model by vLLM in a process of its own; the error's last line where it fails."""

    def ask(model, *adapter):
        asked, output = tmp_path / "requests", tmp_path / "answers.json"
        asked.write_bytes(pickle.dumps(questions()))
        script = Path(__file__).with_name("ask_vllm.py")
        done = subprocess.run(
            [*map(str, (sys.executable, script, asked, output, model, *adapter))],
            env=os.environ | {"PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return {"error": done.stderr.strip().splitlines()[-1]}
        return json.loads(output.read_text())

    return ask


@pytest.fixture
def make_adapter(tmp_path):
    """Writes adapters for a base; their folder."""

    def make(base):
        build_adapter(base, tmp_path / "lora")
        return tmp_path / "lora"

    return make


def answers_of_transformers(settings):
    answers = load_engine("transformers", settings).generate(questions(), GREEDY)
    return [[asdict(sample) for sample in samples] for samples in answers]


@pytest.mark.slow
@pytest.mark.parametrize("family", IN_VLLM)
def test_vllm_answers_as_transformers_in_every_family(family, ask_vllm, tmp_path):
    build_model(family, tmp_path / "model")
    asked = ask_vllm(tmp_path / "model")["samples"]
    expected = answers_of_transformers(EngineSettings(tmp_path / "model", {}, "cpu"))
    # LLaVA-OneVision: vLLM 0.31 cuts each of several images into pieces, transformers one alone.
    places = [0, 1, 3] if family.startswith("LlavaOnevision") else [0, 1, 2, 3]
    assert [asked[place] for place in places] == [expected[place] for place in places]


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(IN_VLLM)))
def test_what_vllm_does_not_run_is_refused_with_the_engine_that_does(family, ask_vllm, tmp_path):
    build_model(family, tmp_path / "model")
    said = ask_vllm(tmp_path / "model")["error"]
    assert f"does not run {family}; take the engine `transformers`" in said


@pytest.mark.slow
def test_vllm_answers_with_adapters_as_transformers_does(
    ask_vllm, make_adapter, world_base, tmp_path
):
    adapter = make_adapter(world_base)
    asked = ask_vllm("-", adapter, tmp_path / "scratch")
    settings = EngineSettings(None, {}, "cpu", adapter=adapter)
    assert asked["samples"] == answers_of_transformers(settings)
    identity = load_engine("transformers", settings).identity
    assert asked["identity"] == identity.replace("transformers:", "vllm:")
