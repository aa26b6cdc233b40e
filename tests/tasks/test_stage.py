import fcntl
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from finer1.params import load_params
from tasks.stage import _logged_params, settle_libraries
from tasks.tracking import EXPERIMENT

ROOT = Path(__file__).parents[2]

BODY = """
    from pathlib import Path
    from tasks.stage import main

    def body(context):
        {action}
        return {{"toy/value": 2.0}}

    main("{stage}", body)
"""


@pytest.fixture
def project(tmp_path, tracking_store):
    """A folder with one toy stage that depends on one file."""
    return make_project(tmp_path, tracking_store)


def make_project(folder, tracking_store):
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copy(tracking_store / "mlflow.db", folder)
    toy = {
        "cmd": "x",
        "deps": ["input.txt"],
        "params": ["seed", "split"],
        "outs": ["${paths.logs}/toy.jsonl"],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"toy": toy, "tapo": toy}}))
    (folder / "input.txt").write_text("input")
    return folder


def write_body(project, action, stage):
    (project / "toy.py").write_text(textwrap.dedent(BODY.format(action=action, stage=stage)))


def run(project, action, stage="toy", **environ):
    write_body(project, action, stage)
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FINER1_EXIT_FILE": str(project / "exit"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
        **environ,
    }
    return subprocess.run(
        [sys.executable, "toy.py"], cwd=project, env=environ, capture_output=True, text=True
    )


def test_a_parameter_inside_a_section_is_logged_alone(project):
    graph = yaml.safe_load((project / "dvc.yaml").read_text())
    graph["stages"]["toy"]["params"] = ["seed", "review.mode"]
    (project / "dvc.yaml").write_text(yaml.safe_dump(graph))
    params = load_params(project / "params.yaml")
    assert _logged_params(params, "toy", project) == {"seed": params.seed, "review.mode": "pass"}


def test_a_stage_writes_its_metrics_and_leaves_no_scratch(project):
    done = run(project, "(context.resume / 'x').write_text('x')")
    assert done.returncode == 0, done.stderr
    assert json.loads((project / "data/metrics/toy.json").read_text()) == {"toy/value": 2.0}
    assert list((project / "models/.resume").iterdir()) == []


FAULTS = [
    ("from finer1.files import sha256_folder as f; f(Path('x'))", 2, "toy: x is not a folder"),
    ("import math; math.sqrt(-1)", 1, "Traceback"),
    ("raise RuntimeError('no group survived')", 1, "toy: no group survived"),
    ("raise ConnectionError('no server')", 3, "toy: no server"),
    ("import os; raise OSError(28, os.strerror(28))", 3, "No space left"),
    (
        "from safetensors import SafetensorError as E; "
        "raise E('Error while serializing: I/O error: File too large (os error 27)')",
        3,
        "os error 27",
    ),
    ("raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')", 3, "out of memory"),
    ("raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')", 3, "allocate"),
    ("raise KeyError('x')", 1, "KeyError"),
]
"""What a body does, the exit code, and what is said."""

DRIVER = """
    import os
    import sys

    import mlflow
    import tasks.stage

    for place in range({count}):
        child = os.fork()
        if not child:
            os.chdir(str(place))
            os.environ["FINER1_EXIT_FILE"] = os.path.abspath("exit")
            os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{{os.getcwd()}}/mlflow.db"
            os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT), 2)
            exec(compile(open("toy.py").read(), "toy.py", "exec"), {{"__name__": "__main__"}})
        _, status = os.waitpid(child, 0)
        with open(f"{{place}}/code", "w") as file:
            file.write(str(os.waitstatus_to_exitcode(status)))
"""
"""Runs the bodies in children of one process, since each import of mlflow takes seconds."""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, tracking_store):
    """A folder per fault, after its stage has ended."""
    root = tmp_path_factory.mktemp("faults")
    for place, (action, _, _) in enumerate(FAULTS):
        make_project(root / str(place), tracking_store)
        write_body(root / str(place), action, "toy")
    driver = textwrap.dedent(DRIVER.format(count=len(FAULTS)))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", driver], cwd=root, env=environ, check=True)
    return root


@pytest.mark.parametrize("place", range(len(FAULTS)), ids=[fault[0] for fault in FAULTS])
def test_the_exit_code_tells_whose_fault_it_was(faulty, place):
    _, code, sentence = FAULTS[place]
    folder = faulty / str(place)
    assert (folder / "code").read_text() == (folder / "exit").read_text() == str(code)
    assert sentence in (folder / "said").read_text()
    assert not (folder / "data/metrics/toy.json").exists()


def test_a_disk_that_is_full_from_the_start_is_the_machines_fault(project):
    write_body(project, "", "toy")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "FINER1_EXIT_FILE": str(project / "exit")}
    done = subprocess.run(
        [sys.executable, "toy.py"],
        cwd=project, env=environ, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert not (project / "exit").exists()


@pytest.mark.parametrize(("node", "is_kept"), [("0", True), ("1", False)])
def test_of_several_nodes_the_first_keeps_the_attempt(project, node, is_kept):
    (project / "params.yaml").write_text("x: 1")
    assert run(project, "pass", NODE_RANK=node).returncode == 2
    assert (project / "logs/toy.json").exists() == is_kept


def test_an_unknown_key_stops_a_stage_before_its_body(project):
    params = (project / "params.yaml").read_text().replace("sft_shots", "sft_shot")
    (project / "params.yaml").write_text(params)
    done = run(project, "Path('ran').touch()")
    assert done.returncode == 2
    assert "nearest one is split.sft_shots" in done.stderr
    assert not (project / "ran").exists()


def test_a_killed_stage_finds_its_scratch_again(project):
    done = run(project, "(context.resume / 'half').touch(); import os; os.kill(os.getpid(), 9)")
    assert done.returncode == -9
    done = run(project, "assert (context.resume / 'half').exists()")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("point", ["stage:after_body", "stage:after_metrics"])
def test_a_stage_that_is_killed_at_its_end_is_done_again(project, point):
    assert run(project, "pass", FINER1_FAULT=f"{point}:1:kill").returncode == -9
    done = run(project, "pass")
    assert done.returncode == 0, done.stderr
    assert json.loads((project / "data/metrics/toy.json").read_text()) == {"toy/value": 2.0}
    assert list((project / "models/.resume").iterdir()) == []


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_with_what_is_free(project):
    done = run(project, "pass", FINER1_FAULT="file:write:1:enospc")
    assert done.returncode == 3
    assert "the disk is full" in done.stderr
    assert "are free; free some space and run the same again" in done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "exit").read_text() == "3"


@pytest.mark.slow
def test_other_inputs_get_another_scratch_folder(project):
    run(project, "(context.resume / 'half').touch(); import os; os.kill(os.getpid(), 9)")
    (project / "input.txt").write_text("other")
    done = run(project, "assert not (context.resume / 'half').exists()")
    assert done.returncode == 0, done.stderr


def test_a_second_writer_of_the_same_stage_is_refused(project):
    run(project, "import os; os.kill(os.getpid(), 9)")
    (scratch,) = (project / "models/.resume").iterdir()
    with (scratch / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(project, "pass")
    assert done.returncode == 2
    assert "already running" in done.stderr


@pytest.mark.slow
def test_a_failure_after_the_body_ends_the_tracked_run(project):
    done = run(project, "return {'toy/value': float('nan')}")
    assert done.returncode == 1
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = client.search_runs([experiment], "attributes.run_name = 'toy'")
    assert runs[0].info.status == "FAILED"


@pytest.mark.slow
def test_the_thread_count_holds_in_a_stage(project):
    action = (
        "import torch; assert torch.get_num_threads() == context.params.runtime.threads == 1; "
        "import os; assert os.environ['HF_HUB_OFFLINE'] == '1'"
    )
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"\n  threads: \d+\n", "\n  threads: 1\n", params))
    done = run(project, action, OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


def test_no_stage_imports_torch_before_its_body():
    modules = sorted(path.stem for path in (ROOT / "tasks").glob("*.py"))
    script = f"import sys, {', '.join(f'tasks.{name}' for name in modules)}; " + (
        "print([name for name in ('torch', 'transformers', 'trl') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_a_step_logged_again_after_a_kill_stands_once_in_the_log(project):
    values = "{'a/b': float(s), 'time/s': 1.0, 'speed/t': 2.0, 'check/c': 3.0}"
    log = f"[context.log({values}, s) for s in %s]"
    run(project, (log % "(1, 2)") + "; import os; os.kill(os.getpid(), 9)")
    run(project, log % "(2, 3)")
    lines = (project / "data/logs/toy.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": step, "metrics": {"a/b": float(step)}} for step in (1, 2, 3)
    ]


def test_a_process_of_another_rank_runs_the_body_and_leaves_no_trace(project):
    action = "context.log({'a': 1.0}, 1); Path('ran').touch()"
    done = run(project, action, RANK="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (project / "ran").exists()
    assert not (project / "exit").exists()
    assert not (project / "data").exists()
    assert not (project / "models").exists()


def test_several_processes_are_refused_where_one_does_all_the_work(project):
    done = run(project, "Path('ran').touch()", WORLD_SIZE="2", RANK="0")
    assert (done.returncode, (project / "exit").read_text()) == (2, "2")
    assert "toy: this stage runs in one process, not in 2" in done.stderr
    assert not (project / "ran").exists()


def test_several_processes_share_the_stage_tapo(project):
    done = run(project, "Path('ran').touch()", stage="tapo", WORLD_SIZE="2", RANK="1")
    assert done.returncode == 0, done.stderr
    assert (project / "ran").exists()


def test_libraries_are_settled_the_same_whatever_the_user_has_set(monkeypatch):
    monkeypatch.setattr("os.environ", {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"})
    settle_libraries(3, is_online=False)
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert os.environ["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("3", "PASSIVE")
    assert (os.environ["HF_HUB_OFFLINE"], os.environ["HF_HUB_DISABLE_PROGRESS_BARS"]) == ("1", "1")


@pytest.mark.parametrize(("is_online", "said"), [(True, {}), (False, {"HF_HUB_OFFLINE": "0"})])
def test_downloads_that_are_allowed_keep_their_bars(monkeypatch, is_online, said):
    monkeypatch.setattr("os.environ", dict(said))
    settle_libraries(0, is_online)
    assert "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ
