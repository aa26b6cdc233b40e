"""A random policy with feelings about positions and images, and completions to score."""

from dataclasses import dataclass, replace

import pytest
import torch
from PIL import Image

from finer1.policy.encoding import Conditions, encode_prompts, stack_prompts
from finer1.policy.folder import load_policy
from finer1.policy.forward import score_completions

QUESTIONS = ("What is it?", "What kind of bird is this, seen in flight?")
SIZES = ((64, 64), (40, 64))  # 16 and 8 image tokens
LENGTHS = (7, 1, 12, 4, 9)


@dataclass
class Scene:
    """A policy, two conditions (anchor and negative images) and ragged completions."""

    model: object
    processor: object
    branches: list
    ids: torch.Tensor
    mask: torch.Tensor
    temperature: float = 1.3

    def score(self, forward, branches=None, model=None):
        """Log-probabilities of the completions under each branch."""
        branches = self.branches if branches is None else branches
        model = self.model if model is None else model
        return score_completions(model, branches, self.ids, self.mask, self.temperature, forward)

    def gradients(self, forward, model=None):
        """Log-probabilities, and the gradients of a loss that weighs every token differently."""
        model = self.model if model is None else model
        model.zero_grad()
        scored = self.score(forward, model=model)
        weights = torch.linspace(-1, 1, len(scored) * self.ids.numel()).split(self.ids.numel())
        losses = (
            (weight.view_as(logprobs) * logprobs).sum()
            for weight, logprobs in zip(weights, scored, strict=True)
        )
        sum(losses).backward()
        gradients = {
            name.removeprefix("module."): parameter.grad.clone()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        return [logprobs.detach() for logprobs in scored], gradients

    def change_prompts(self, **changes):
        """The branches with fields of each prompt replaced by a function of the prompt."""
        pad_id = self.processor.tokenizer.pad_token_id
        return [
            Conditions(
                stack_prompts(
                    [
                        replace(prompt, **{k: f(prompt) for k, f in changes.items()})
                        for prompt in branch.prompts.images
                    ],
                    pad_id,
                ),
                branch.owners,
            )
            for branch in self.branches
        ]


def noise(size, seed):
    """An image without structure."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (size[1], size[0], 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


@pytest.fixture
def make_scene(tiny_model):
    """Build a scene; `owners` says which of the two prompts each completion continues.

    folder: of another model than the tiny one.
    """

    def make(
        train_vision=False, owners=(0, 0, 1, 1, 1), lengths=LENGTHS, adapt=None, folder=tiny_model
    ):
        model, processor = load_policy(folder, "cpu", train_vision=train_vision)
        with torch.no_grad():  # fresh weights give about equal probabilities whatever is shown
            for parameter in model.model.language_model.layers.parameters():
                parameter.mul_(5 if parameter.ndim == 2 else 1)
            model.model.visual.merger.mlp[2].weight.mul_(5)
        model = model if adapt is None else adapt(model)
        branches = []
        for sizes, seed in ((SIZES, 0), (SIZES[::-1], 2)):
            images = [noise(size, seed + i) for i, size in enumerate(sizes)]
            prompts = encode_prompts(model, processor, QUESTIONS, images, "")
            batch = stack_prompts(prompts, processor.tokenizer.pad_token_id)
            branches.append(Conditions(batch, torch.tensor(owners)))
        generator = torch.Generator().manual_seed(0)
        width = max(1, *lengths)
        ids = torch.randint(0, 250, (len(owners), width), generator=generator)
        mask = torch.arange(width) < torch.tensor(lengths).unsqueeze(-1)
        return Scene(model.train(), processor, branches, ids.masked_fill(~mask, 0), mask)

    return make


def relative_errors(got, want):
    """|got - want| / |want| of each gradient, in the Euclidean norm."""
    assert got.keys() == want.keys()
    return {
        name: ((got[name] - value).norm() / value.norm()).item()
        for name, value in want.items()
        if value.norm() > 0
    }


@pytest.fixture
def assert_same():
    """Log-probabilities within 1e-5, each gradient within 1e-5 of its norm."""

    def check(got, want):
        for ours, theirs in zip(got[0], want[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
        errors = relative_errors(got[1], want[1])
        assert len(errors) > 3
        assert max(errors.values()) < 1e-5, max(errors, key=errors.get)

    return check
