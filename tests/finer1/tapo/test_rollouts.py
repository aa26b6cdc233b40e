"""Groups that another process sampled: what is made anew of their inputs."""

from dataclasses import replace

import pytest

from finer1.policy import encoding
from finer1.policy.folder import load_policy
from finer1.tapo.samplers.local import LocalEngine
from finer1.tapo.stream import PromptStream
from finer1.tapo.training import build_sampler
from finer1.tapo.updates import lay_out

SIZES = {"anchor_rollouts": 1, "positive_rollouts": 1, "max_completion_tokens": 4, "augment": True}


@pytest.fixture
def lay_out_heard(tiny_model, triplets, picture, params, monkeypatch):
    """Lay out a group heard of; the names of images read, and how many were processed."""

    def run(update_image):
        settings = params.tapo.model_copy(update=SIZES | {"update_image": update_image})
        model, processor = load_policy(tiny_model, "cpu", train_vision=False)
        stream = PromptStream(triplets, picture, {"bird": ("a", "b")}, settings, 8, seed=0)
        engine = LocalEngine(model, processor.tokenizer.pad_token_id, 8)
        sampler = build_sampler(model, processor, stream, "", 8, engine)
        (own,) = sampler.sample([0])
        read, processed, process = [], [], encoding._process_images
        watched = replace(stream, read_image=lambda name: read.append(name) or picture(name))
        monkeypatch.setattr(
            encoding, "_process_images", lambda *args: processed.extend(args[2]) or process(*args)
        )
        heard = replace(sampler, stream=watched).hear(own.outcome)
        got = lay_out(model, processor, [heard], settings, "", has_negatives=True)
        want = lay_out(model, processor, [own], settings, "", has_negatives=True)
        prompts = zip(got.conditions.prompts.images, want.conditions.prompts.images, strict=True)
        assert all(a.pixel_values.equal(b.pixel_values) for a, b in prompts)
        return read, len(processed) - 1  # one for the negative of the group at hand

    return run


# Each of anchor, positive and negative is read once, for the prompt.
def test_trained_under_the_anchor_a_group_needs_no_positive(lay_out_heard):
    read, num_processed = lay_out_heard("anchor")
    assert (len(read), num_processed) == (3, 2)


def test_trained_under_its_own_images_a_group_needs_all_three(lay_out_heard):
    read, num_processed = lay_out_heard("own")
    assert (len(read), num_processed) == (3, 3)
