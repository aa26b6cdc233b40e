import gc
import importlib.util
import random
from dataclasses import replace

import httpx
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from finer1.engines.interface import EngineSettings, Request, Sampling, in_order, load_engine
from finer1.engines.store import GenerationStore
from finer1.files import sha256_folder
from finer1.model_params import TeacherParams
from finer1.params import load_params
from finer1.world.drawing import draw
from finer1.world.taxonomies import load_taxonomy

TEACHER = TeacherParams(
    in_flight=4, timeout_s=60.0, memory_share=0.9, cpu_cache_mib=256, tensor_parallel=1
)
GREEDY = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=24)


@pytest.fixture
def requests():
    return [
        Request(
            "What kind of bird is this?",
            (draw("bird", species.values, number, 0.3),),
            system="",
            seed=3,
        )
        for species in load_taxonomy("embedded").by_category["bird"][:3]
        for number in range(2)
    ]


@pytest.fixture
def engine(repository, tmp_path):
    """An engine by name, for a model folder."""
    params = load_params(repository / "params.yaml")

    def load(name, folder, server=None, teacher=None):
        return load_engine(
            name,
            EngineSettings(
                folder,
                {},
                "cpu",
                vllm=params.runtime.vllm,
                teacher=teacher,
                server=server,
                vllm_server=server,
                scratch=tmp_path / "scratch",
            ),
        )

    yield load
    gc.collect()  # an abandoned vLLM would take the process groups of the next with it


@pytest.fixture
def other_model(world_base, tmp_path):
    """The world's base model with other weights."""
    folder = tmp_path / "other"
    folder.mkdir()
    for path in world_base.iterdir():
        if path.name != "model.safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in load_file(world_base / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.slow
def test_vllm_answers_as_transformers_does(engine, requests, world_base, vllm_ready):
    expected = engine("transformers", world_base).generate(requests, GREEDY)
    assert engine("vllm", world_base).generate(requests, GREEDY) == expected


@pytest.mark.slow
def test_a_server_answers_with_the_folders_weights(
    engine, requests, world_base, other_model, vllm_server
):
    answers = {}
    for folder in (other_model, world_base):
        expected = engine("transformers", folder).generate(requests, GREEDY)
        served = engine("vllm_server", folder, vllm_server)
        answers[folder] = served.generate(requests, GREEDY)
        assert answers[folder] == expected
    assert answers[other_model] != answers[world_base]


@pytest.mark.slow
def test_samples_depend_on_the_seed_alone(engine, requests, world_base, vllm_ready):
    free = Sampling(n=2, temperature=1.0, top_p=1.0, max_tokens=24)
    vllm = engine("vllm", world_base)
    together = vllm.generate(requests, free)
    assert vllm.generate(requests[3:4], free) == together[3:4]
    assert len({sample.text for samples in together for sample in samples}) > 2


@pytest.mark.slow
def test_a_teacher_in_this_process_answers_as_the_model_does(
    engine, requests, world_base, vllm_ready
):
    teacher = engine(f"vllm:{world_base}", None, teacher=TEACHER)
    assert teacher.identity == f"vllm:float32:{sha256_folder(world_base)}"
    assert teacher.generate(requests, GREEDY) == engine("transformers", world_base).generate(
        requests, GREEDY
    )


@pytest.mark.slow
def test_a_teacher_gives_short_answers_before_long_ones_and_can_be_left(
    engine, requests, world_base, vllm_ready
):
    free = Sampling(n=3, temperature=1.0, top_p=1.0, max_tokens=120)
    teacher = engine(f"vllm:{world_base}", None, teacher=TEACHER)
    arrived = list(teacher.stream(requests, free))
    longest = [max(sample.num_tokens for sample in samples) for _, samples in arrived]
    assert longest == sorted(longest)  # all begin at once and take a token per step
    assert in_order(arrived) == teacher.generate(requests, free)
    left = teacher.stream(requests, free)
    next(left)
    left.close()
    assert teacher.generate(requests, free) == in_order(arrived)


@pytest.mark.slow
def test_a_teacher_over_processes_answers_as_one_in_one(engine, requests, world_base, vllm_ready):
    shared = TEACHER.model_copy(update={"tensor_parallel": 2})
    teacher = engine(f"vllm:{world_base}", None, teacher=shared)
    assert teacher.generate(requests, GREEDY) == engine("transformers", world_base).generate(
        requests, GREEDY
    )


@pytest.mark.slow
def test_a_teacher_over_http_answers_through_the_store(
    engine, requests, world_base, vllm_server, tmp_path
):
    # The server keeps what was last pushed to it; whatever ran before pushed something else.
    engine("vllm_server", world_base, vllm_server)
    teacher = engine("openai", None, vllm_server, teacher=TEACHER)
    assert teacher.identity == f"openai:{world_base}"
    hashed = [replace(item, image_hashes=(str(i),)) for i, item in enumerate(requests)]
    for sampling in (GREEDY, Sampling(n=3, temperature=1.0, top_p=1.0, max_tokens=24)):
        store = GenerationStore(tmp_path, 96)
        groups = store.generate(teacher, hashed, sampling, progress="test")
        assert [len(group) for group in groups] == [sampling.n] * len(requests)
        assert all(1 <= s.num_tokens <= sampling.max_tokens for group in groups for s in group)
        assert all(s.text and "<|im" not in s.text for group in groups for s in group)
    expected = engine("transformers", world_base).generate(requests, GREEDY)
    assert store.generate(teacher, hashed, GREEDY, progress="test") == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://example.org"}, {"Host": "rebound.example.org:8000"}]
)
def test_another_sites_page_neither_asks_the_server_nor_replaces_its_weights(vllm_server, headers):
    own = httpx.get(f"{vllm_server}/models", timeout=60)
    assert own.status_code == 200
    assert own.headers["content-security-policy"] == "frame-ancestors 'none'"
    address = vllm_server.removesuffix("/v1")
    for path in ("/v1/models", "/collective_rpc"):
        assert httpx.post(f"{address}{path}", headers=headers, content="{}").status_code == 403


@pytest.mark.slow
def test_starting_vllm_moves_no_generator_of_the_process(engine, world_base, vllm_ready):
    def states():
        numpy = np.random.get_state()[1].tolist()
        return random.getstate(), numpy, torch.get_rng_state().tolist()

    before = states()
    assert engine("vllm", world_base)
    assert states() == before


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed")
def test_without_vllm_the_engine_says_how_to_get_it(engine, world_base):
    with pytest.raises(ValueError, match="setup/README.md says how to install it"):
        engine("vllm", world_base)


def test_without_an_address_the_server_engine_says_what_to_set(engine, world_base):
    with pytest.raises(ValueError, match="set FINER1_VLLM_SERVER"):
        engine("vllm_server", world_base)
