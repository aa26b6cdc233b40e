import pytest
import torch
from PIL import Image

from finer1.encoders import load_encoder
from finer1.policy.folder import load_policy


def images(count=3):
    return [Image.new("RGB", (40 + 8 * i, 64), (80 * i, 255 - 80 * i, 40)) for i in range(count)]


def test_the_base_model_gives_mean_image_tokens(tiny_model):
    model, processor = load_policy(tiny_model, "cpu", train_vision=False)
    pictures = images()
    got = load_encoder("base_model", tiny_model, "cpu")(pictures)
    for picture, embedding in zip(pictures, got, strict=True):
        batch = processor.image_processor(images=[picture], return_tensors="pt")
        output = model.model.visual(batch["pixel_values"], grid_thw=batch["image_grid_thw"])
        torch.testing.assert_close(
            embedding, output.pooler_output.mean(dim=0), rtol=1e-4, atol=1e-5
        )


def test_batches_do_not_change_embeddings(tiny_model):
    encode = load_encoder("base_model", tiny_model, "cpu")
    many = images() * 12  # more than one batch
    torch.testing.assert_close(encode(many)[-3:], encode(images()), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_an_encoder_runs_on_the_device_and_gives_its_embeddings_on_the_cpu(tiny_model):
    got = load_encoder("base_model", tiny_model, "cuda")(images())
    expected = load_encoder("base_model", tiny_model, "cpu")(images())
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)  # sums in another order


def test_open_clip_reads_a_local_checkpoint(tmp_path):
    import open_clip

    name = "ViT-S-32-alt"
    torch.manual_seed(0)
    model = open_clip.create_model(name)
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    got = load_encoder(f"open_clip:{name}/{path}", tmp_path, "cpu")(images(2))
    assert got.shape == (2, model.visual.output_dim)
    assert not got[0].equal(got[1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "unknown; use base_model"),
        ("open_clip:", "unknown; use base_model"),
        ("open_clip:ViT-Nothing", "has no model 'ViT-Nothing'"),
        ("open_clip:ViT-B-32/no-such-tag", "neither a file nor a tag of ViT-B-32; tags: openai"),
    ],
)
def test_other_names_are_refused(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_encoder(name, tmp_path, "cpu")
