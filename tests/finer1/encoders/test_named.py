from pathlib import Path

import pytest

from finer1.encoders.named import load_encoder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "'resnet' is unknown; use base_model, colour_texture, open_clip:<model>"),
        ("clip:x", "unknown; use base_model"),
        ("open_clip:", "use open_clip:<model>:<tag or checkpoint file>"),
        ("open_clip:ViT-Nothing:openai", "'ViT-Nothing' is neither a folder nor a model"),
        ("open_clip:hf-hub:a/b", "'hf-hub' is neither a folder nor a model"),
        ("open_clip:ViT-B-32", "'' is neither a file nor a tag of ViT-B-32; tags: openai"),
        ("open_clip:ViT-B-32:no-such-tag", "neither a file nor a tag of ViT-B-32; tags: openai"),
    ],
)
def test_other_names_are_refused(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_encoder(name, tmp_path, tmp_path, "cpu")


@pytest.mark.parametrize("kind", ["base_model", "colour_texture", "open_clip"])
def test_an_encoder_is_known_by_name_and_content(kind, tiny_model, tiny_clip):
    name = f"open_clip:{tiny_clip}" if kind == "open_clip" else kind
    one, again = (load_encoder(name, tiny_model, Path(), "cpu") for _ in range(2))
    assert one.name == name
    assert one.sha256 == again.sha256
    assert len(bytes.fromhex(one.sha256)) == 32


@pytest.mark.parametrize("kind", ["base_model", "colour_texture", "open_clip"])
def test_the_batch_changes_an_embedding_by_rounding_only(kind, tiny_model, tiny_clip, images):
    name = f"open_clip:{tiny_clip}" if kind == "open_clip" else kind
    encoder = load_encoder(name, tiny_model, Path(), "cpu")
    many = images(33)  # more than one batch
    together = encoder.encode(many)
    for index in (0, 31, 32):
        alone = encoder.encode([many[index]])[0]
        assert (together[index] - alone).norm() < 1e-5 * alone.norm()
