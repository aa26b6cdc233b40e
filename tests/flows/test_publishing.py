"""`finer1 export`: what is refused before a model is loaded, and an export outside of a project."""

import json
import os
import shutil
import sys

import pytest
from typer.testing import CliRunner

from finer1.asking import Asking, write_asking
from finer1.export.golden import card_block, quiet_environment, run_block
from finer1.manifest import check_folder
from flows.cli import app


@pytest.fixture(scope="module")
def model(world_base, tmp_path_factory):
    """The base of the drawn world as a model that says how it is asked."""
    folder = tmp_path_factory.mktemp("models") / "model"
    shutil.copytree(world_base, folder)
    (folder / "SHA256SUMS").unlink()
    write_asking(folder, Asking("trained", "", ("bird", "car"), 16, 1.0, 0.99))
    return folder


@pytest.fixture(scope="module")
def world_base(repository):
    return repository / "models/base/world"


def export(*words):
    device = [] if "--rationales" in words else ["--device", "cpu"]
    result = CliRunner().invoke(app, ["export", *map(str, words), *device])
    if isinstance(result.exception, ValueError):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the model with --model FOLDER"),
        (["--lora", "separate", "--model", "MODEL"], "has no adapters to separate"),
        (["--model", "MODEL", "--out", "MODEL"], "lies in or around"),
        (["--model", "MODEL", "--out", "mine"], "was not written by finer1 export"),
        (["--model", "."], "is no folder of a model"),
        (["--images", "--model", "MODEL"], "--images goes with --rationales"),
        (["--push", "birds", "--model", "MODEL"], "write OWNER/NAME"),
        (["--push", "lab/birds", "--model", "MODEL"], "in HF_TOKEN; nothing was written"),
        (["--rationales"], "change to a project's folder"),
        (["--rationales", "--model", "MODEL"], "--model is of a model; leave it out"),
        (["--rationales", "--lora", "separate"], "--lora is of a model; leave it out"),
        (["--images-are-mine", "--model", "MODEL"], "--images-are-mine goes with --rationales"),
        (["--base", "birds", "--model", "MODEL"], "--base birds: write OWNER/NAME"),
        (["--model", "MODEL", "--out", "."], "is around this folder"),
        (["--model", "MODEL", "--out", "link"], "lies in or around"),
    ],
)
def test_what_cannot_be_exported_is_refused_first(model, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("mine")
    (tmp_path / "link").symlink_to(model)
    with pytest.raises(ValueError, match=said):
        export(*[model if word == "MODEL" else word for word in words])
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["link", "mine", "thesis.txt"]


@pytest.fixture
def project(repository, tmp_path, monkeypatch):
    """A project by its settings alone, whose base has the name of one on the hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    text = (repository / "params.yaml").read_text()
    base = "  base: models/base/world\n"
    assert base in text
    text = text.replace(base, "  base: models/base/Qwen2.5-VL-3B-Instruct\n")
    (tmp_path / "params.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lora", "separate", "--push", "lab/birds"], "--push of adapters needs --base"),
        (
            ["--lora", "separate", "--base", "Qwen/Qwen2.5-VL-3B-Instruct"],
            "the adapters belong to the model of stage 1",
        ),
        (["--out", "data"], "lies in or around"),
        (["--out", "models/base/out"], "lies in or around"),
    ],
)
def test_what_belongs_to_the_project_is_kept_and_named_right(project, model, words, said):
    with pytest.raises(ValueError, match=said):
        export("--model", model, *words)
    assert [path.name for path in project.iterdir()] == ["params.yaml"]


@pytest.mark.slow
def test_a_model_is_exported_runs_apart_and_is_exported_again(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = export("--model", model, "--out", "out", "--category", "bird")
    assert result.exit_code == 0, result.output
    assert "in a fresh process: " in result.output
    assert "word for word as the project's own decoder (float32)" in result.output
    assert "none in the card: it was exported outside" in result.output
    out = tmp_path / "out"
    check_folder(out)
    block = card_block((out / "README.md").read_text())
    seen = f"{block}\nimport sys; print('finer1' in sys.modules)"
    said = run_block(seen, out, quiet_environment(os.environ, "cpu"))
    assert said.endswith("\nFalse")
    assert f"```text\n{said.removesuffix('False')}```" in (out / "README.md").read_text()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert export("--model", model, "--out", "out", "--category", "bird").exit_code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert json.loads((out / "finer1.json").read_text())["asking"]["categories"] == ["bird", "car"]


@pytest.mark.slow
def test_vllm_gives_the_answer_of_the_card(model, tmp_path, monkeypatch):
    pytest.importorskip("vllm", reason="vllm is not installed; setup/README.md, extras, says how")
    monkeypatch.chdir(tmp_path)
    assert export("--model", model, "--out", "out", "--category", "bird").exit_code == 0
    card = (tmp_path / "out/README.md").read_text()
    ask = (
        "import base64, vllm\n"
        "url = 'data:image/png;base64,' + base64.b64encode(open('example.png', 'rb').read())"
        ".decode()\n"
        "model = vllm.LLM('.', dtype='float32', enforce_eager=True, max_model_len=1024)\n"
        "content = [{'type': 'image_url', 'image_url': {'url': url}},\n"
        "           {'type': 'text', 'text': 'What kind of bird is this?'}]\n"
        "rule = vllm.SamplingParams(temperature=0, max_tokens=16)\n"
        "(found,) = model.chat([{'role': 'user', 'content': content}], rule, use_tqdm=False)\n"
        "print('SAID', found.outputs[0].text)\n"
    )
    environ = quiet_environment(os.environ, "cpu") | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "TORCHDYNAMO_DISABLE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
    }
    said = run_block(ask, tmp_path / "out", environ).rpartition("SAID ")[2]
    assert f"```text\n{said}\n```" in card
