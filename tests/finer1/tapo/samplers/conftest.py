"""Questions about drawn birds, and the world's base model to answer them."""

from dataclasses import replace

import pytest
import torch

from finer1.chat import stop_ids, suppressed_ids
from finer1.policy.encoding import Conditions, encode_prompts, stack_prompts
from finer1.policy.folder import load_policy
from finer1.policy.forward import score_completions
from finer1.policy.generation import SamplingRule
from finer1.records import Triplet
from finer1.tapo.samplers.interface import RolloutRequest
from finer1.world.drawing import draw
from finer1.world.taxonomies import load_taxonomy

SYSTEM = "Answer briefly. " * 60
"""Longer than a block of vLLM's prefix cache, so that a stale one would show."""
QUESTION = "What kind of bird is this?"


@pytest.fixture(scope="session")
def system():
    """The system prompt of all requests."""
    return SYSTEM


@pytest.fixture(scope="session")
def picture():
    """The image `<species>-<number>`."""

    def read(name):
        species, number = map(int, name.split("-"))
        return draw(
            "bird", load_taxonomy("embedded").by_category["bird"][species].values, number, 0.3
        )

    return read


@pytest.fixture(scope="session")
def triplets():
    """One anchor of each of four birds."""
    names = [species.name for species in load_taxonomy("embedded").by_category["bird"]]
    return [
        Triplet(
            anchor=f"{i}-0",
            label=names[i],
            category="bird",
            positives=(f"{i}-1",),
            negative_label=names[i ^ 1],
            negatives=(f"{i ^ 1}-0",),
            similarity=0.5,
            encoder="base_model",
            encoder_sha256="0" * 64,
        )
        for i in range(4)
    ]


@pytest.fixture
def policy(world_base):
    """Model and processor, the vision tower trained."""
    model, processor = load_policy(world_base, "cpu", train_vision=True)
    return model.eval(), processor


@pytest.fixture
def rule(policy):
    """Free sampling of 40 tokens at most."""
    model, processor = policy
    ended, never = (
        stop_ids(model.generation_config),
        suppressed_ids(model.config, processor.tokenizer),
    )
    return SamplingRule(1.0, 1.0, 40, ended, never)


@pytest.fixture
def ask(policy, picture):
    """Requests about images by name, each with its places; the second image is a wide one."""

    def requests(*asked):
        images = [picture(name) for name, _ in asked]
        images[1:2] = [image.resize((96, 64)) for image in images[1:2]]
        encoded = encode_prompts(*policy, [QUESTION] * len(asked), images, SYSTEM)
        return [
            RolloutRequest(prompt, QUESTION, image, seed=5, places=places)
            for prompt, image, (_, places) in zip(encoded, images, asked, strict=True)
        ]

    return requests


@pytest.fixture
def score_by(policy):
    """A model's own log-probabilities of a request's completions, a row each."""
    pad_id = policy[1].tokenizer.pad_token_id

    def logprobs(model, request, completions):
        ids = [torch.tensor(completion.token_ids) for completion in completions]
        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = torch.arange(padded.shape[1]) < lengths.unsqueeze(-1)
        owners = torch.zeros(len(ids), dtype=torch.long)
        # Its image features may be those of another tower; None has them computed.
        prompt = replace(request.prompt, features=None)
        conditions = Conditions(stack_prompts([prompt], pad_id), owners)
        with torch.no_grad():
            (scored,) = score_completions(model, [conditions], padded, mask, 1.0, "plain")
        return [row[: len(tokens)] for row, tokens in zip(scored, ids, strict=True)]

    return logprobs


@pytest.fixture
def score(policy, score_by):
    """The policy's own log-probabilities of a request's completions, a row each."""
    return lambda request, completions: score_by(policy[0], request, completions)
