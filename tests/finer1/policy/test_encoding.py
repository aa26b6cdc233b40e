"""Where tensors lie: image features are computed on the model's device, pixels wait on the CPU."""

from types import SimpleNamespace

import torch
from PIL import Image

from finer1.policy.encoding import (
    _process_images,
    condition_on,
    encode_prompts,
    image_features,
    stack_completions,
)
from finer1.policy.folder import load_policy

CPU, META = torch.device("cpu"), torch.device("meta")  # "meta" stands for a GPU


def test_pixels_stay_on_the_cpu(tiny_model):
    model, processor = load_policy(tiny_model, "cpu", train_vision=True)
    image = Image.new("RGB", (32, 32))
    ((pixels, grid, features),) = _process_images(model.to(META), processor, [image])
    assert (pixels.device, grid.device, features) == (CPU, META, None)


def test_pixels_are_moved_to_the_vision_tower():
    def get_image_features(pixel_values, image_grid_thw):
        assert pixel_values.device == image_grid_thw.device == META
        return SimpleNamespace(pooler_output=[pixel_values])

    config = SimpleNamespace(model_type="qwen2_vl")
    model = SimpleNamespace(config=config, get_image_features=get_image_features)
    pixels = [torch.zeros(4, 3), torch.zeros(8, 3)]
    (features,) = image_features(model, pixels, torch.zeros(2, 3, device=META))
    assert features.shape == (12, 3)


def test_completions_are_padded_on_the_right():
    ids, mask = stack_completions([[5, 6, 7], [8]], 0, CPU)
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


def test_each_prompt_owns_its_rollouts_in_order(tiny_model):
    model, processor = load_policy(tiny_model, "cpu", train_vision=False)
    images = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    prompts = encode_prompts(model, processor, ["?", "What?"], images, "")
    conditions = condition_on([(prompts[0], 1), (prompts[1], 2)], 0)
    assert conditions.owners.tolist() == [0, 1, 1]
    assert conditions.prompts.images == tuple(prompts)
