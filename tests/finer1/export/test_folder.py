import json

import pytest

from finer1.export.folder import (
    Source,
    check_source,
    check_target,
    count_parameters,
    fill_folder,
    mark_exported,
    write_defaults,
)
from finer1.manifest import write_manifest


@pytest.fixture
def exported(tmp_path):
    """A folder as an export leaves it."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "README.md").write_text("# Card")
    mark_exported(folder, "rationales", None)
    write_manifest(folder)
    return folder


def test_a_new_an_empty_and_an_exported_folder_may_be_written(exported, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "out"):
        check_target(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda out: (out / "README.md").write_text("# Mine"), "README.md is damaged"),
        (lambda out: (out / "notes.txt").write_text("mine"), "notes.txt was added"),
        (lambda out: (out / "README.md").unlink(), "README.md is missing"),
        (lambda out: (out / "finer1.json").unlink(), "was not written by finer1 export"),
    ],
)
def test_what_an_export_did_not_write_is_left_alone(exported, change, said):
    change(exported)
    with pytest.raises(ValueError, match=said):
        check_target(exported)


def test_a_trained_model_is_no_place_for_an_export(tmp_path):
    model = tmp_path / "models" / "tapo"
    model.mkdir(parents=True)
    for out in (model, model / "out", tmp_path / "models"):
        with pytest.raises(ValueError, match="lies in or around"):
            check_target(out, model)


def test_a_file_is_no_place_for_an_export(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        check_target(tmp_path / "out")


def test_there_are_no_adapters_to_separate(tiny_model):
    check_source(Source(tiny_model, "merged"))
    with pytest.raises(ValueError, match="has no adapters to separate; train with them"):
        check_source(Source(tiny_model, "separate"))


def test_neither_pickles_nor_code_are_copied(tiny_model, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    out.mkdir()
    model.mkdir()
    for path in tiny_model.iterdir():
        (model / path.name).symlink_to(path)
    for name in ("pytorch_model.bin", "modeling.py", "README.md", "training_args.pt"):
        (model / name).write_text("x")
    fill_folder(out, Source(model, "merged"))
    copied = {path.name for path in out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= copied
    assert not {path.suffix for path in out.iterdir()} & {".bin", ".py", ".md", ".pt"}


def test_the_defaults_are_those_of_the_evaluation(tiny_model, asking, tmp_path):
    write_defaults(tmp_path, Source(tiny_model, "merged"), asking)
    config = json.loads((tmp_path / "generation_config.json").read_text())
    tokens = json.loads((tiny_model / "tokenizer.json").read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    assert config["eos_token_id"] == [ids["<|im_end|>"]]
    assert config["pad_token_id"] == ids["<|endoftext|>"]
    assert (config["do_sample"], config["max_new_tokens"]) == (False, 4)
    assert ids["<|image_pad|>"] in config["suppress_tokens"]


def test_parameters_are_counted_from_the_files(tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(5)}, tmp_path / "model.safetensors")
    assert count_parameters(tmp_path) == 2 * 3 + 5
