"""The command of lmms-eval, and its process."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from finer1.general.harness import (
    REASONING_TAGS,
    Runner,
    choose_runner,
    evaluation_command,
    find_package,
    run_harness,
)
from finer1.zoo.loading import AskedModel

HERE = (Path("/home"), Path("/store"), Path("/scratch"))
FOLDER = AskedModel("chat", Path("models/tapo"), "/run/models/tapo", None, None)
ADAPTERS = AskedModel("chat", Path("lora"), None, Path("lora"), None)
HUB = AskedModel("chat", Path("x.yaml"), f"Qwen/Q@{'a' * 40}", None, None)


@pytest.fixture
def has_vllm(monkeypatch):
    """vLLM seems to be installed, or not."""

    def make(is_there):
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name: ModuleSpec(name, None) if is_there else None
        )

    return make


def test_an_absent_package_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match="not installed; install it: .*--no-deps -r setup/lmms.txt"
    ):
        find_package()


def test_the_list_for_lmms_eval_is_a_part_of_the_extras_without_vllm(repository):
    lists = {name: repository / "setup" / f"{name}.txt" for name in ("lmms", "extras")}
    found = {
        name: {line for line in path.read_text().splitlines() if "==" in line}
        for name, path in lists.items()
    }
    assert found["lmms"] < found["extras"]
    assert "lmms-eval==0.7.3" in found["lmms"]
    # Beside a CUDA build they would be overwritten by those of the CPU.
    assert not [line for line in found["lmms"] if line.startswith(("vllm", "torch", "triton"))]


def test_a_version_without_task_files_is_refused(monkeypatch):
    spec = ModuleSpec("lmms_eval", None, is_package=True)
    spec.submodule_search_locations = ["/site/lmms_eval"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.7")
    with pytest.raises(ValueError, match="lmms-eval 0.7 is installed and 0.7.3 is needed"):
        find_package()


def test_a_gpu_with_vllm_takes_the_vllm_of_lmms_eval(has_vllm):
    has_vllm(True)
    runner = choose_runner(HUB, "transformers", "cuda", "", *HERE)
    assert runner.model == "vllm"
    assert runner.arguments == ("model=Qwen/Q", f"revision={'a' * 40}", "trust_remote_code=False")


@pytest.mark.parametrize(
    ("model", "device", "system", "is_there"),
    [
        (FOLDER, "cpu", "", True),
        (FOLDER, "cuda", "", False),
        (FOLDER, "cuda", "Think.", True),
        (ADAPTERS, "cuda", "", True),
    ],
)
def test_elsewhere_our_engines_run_the_model(has_vllm, model, device, system, is_there):
    has_vllm(is_there)
    runner = choose_runner(model, "transformers", device, system, *HERE)
    assert runner.model == "finer1"
    assert runner.arguments[0] == f"model={model.path}"


def test_a_server_is_told_how_to_go_on():
    server = AskedModel("server", Path("s.yaml"), "qwen", None, None)
    with pytest.raises(ValueError, match="async_openai --model_args model_version=qwen"):
        choose_runner(server, "transformers", "cpu", "", *HERE)


def test_a_path_that_lmms_eval_would_read_otherwise_is_refused(has_vllm):
    has_vllm(False)
    comma = AskedModel("chat", Path("a,b"), "/a,b", None, None)
    with pytest.raises(ValueError, match="no path with a comma"):
        choose_runner(comma, "transformers", "cpu", "", *HERE)


def test_the_command_raises_the_limit_and_reads_answers_after_the_reasoning():
    command = evaluation_command(
        Runner("vllm", ("model=M",)), "finer1_mme", Path("tasks"), Path("out"), 4096, 8
    )
    assert command[:3] == [sys.executable, "-m", "lmms_eval"]
    options = dict(zip(command[3::2], command[4::2], strict=False))
    assert options["--model_args"] == "model=M,max_new_tokens=4096"
    assert options["--gen_kwargs"] == "max_new_tokens=4096,temperature=0,top_p=1"
    assert json.loads(options["--reasoning_tags"]) == [list(pair) for pair in REASONING_TAGS]
    assert options["--limit"] == "8"
    assert command[-1] == "--log_samples"


def _python(code, output):
    return [sys.executable, "-c", code, "--output_path", str(output)]


def test_output_is_kept_and_handed_on_without_colours(tmp_path):
    shown = []
    code = (
        "import sys; from pathlib import Path; print('\\x1b[31mred\\x1b[0m');"
        "print(' 10%|# ', end='\\r'); print(' 20%|## ', end='\\r'); print('done');"
        "path = Path(sys.argv[2]) / 'm'; path.mkdir(parents=True);"
        "(path / '2026_results.json').write_text('{}')"
    )
    run_harness(_python(code, tmp_path / "out"), tmp_path / "log", shown.append)
    assert shown == ["red", "10%|#", "done"]
    assert "20%|##" in (tmp_path / "log").read_text()


def test_an_end_without_results_says_why(tmp_path):
    code = "print('Error during evaluation: the disk is on fire. '); print('bye')"
    with pytest.raises(RuntimeError, match=r"lmms-eval: the disk is on fire\.; all that it said"):
        run_harness(_python(code, tmp_path / "out"), tmp_path / "log", print)


def test_an_end_after_retries_names_the_cause(tmp_path):
    code = (
        "print('ValueError: no such column\\n\\ntenacity.RetryError: RetryError[x]');"
        "print('Error during evaluation: RetryError[x]. Please set `--verbosity=DEBUG` to see.')"
    )
    with pytest.raises(RuntimeError, match="lmms-eval: ValueError: no such column; all"):
        run_harness(_python(code, tmp_path / "out"), tmp_path / "log", print)
