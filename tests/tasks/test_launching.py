"""Stages that start processes of their own: real ones, of a toy stage under a stage's name."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml

from finer1.model_params import LauncherParams
from tasks.launching import Node, is_shared_out, this_node

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300
BODY = """
    import os, signal, time
    from pathlib import Path
    from tasks.stage import main

    def body(context):
        rank = int(os.environ["RANK"])
        {action}
        return {{"toy/value": 2.0}}

    if __name__ == "__main__":
        main("tapo", body)
"""


def launcher(strategy="ddp", processes=2, nodes=1):
    return LauncherParams(strategy=strategy, processes=processes, nodes=nodes)


@pytest.fixture
def project(tmp_path, tracking_store):
    """A folder with one toy stage, to be run in two processes without a GPU."""
    shutil.copy(tracking_store / "mlflow.db", tmp_path)
    shutil.copytree(ROOT / "setup/accelerate", tmp_path / "setup/accelerate")
    entry = {"cmd": "x", "outs": ["${paths.logs}/tapo.jsonl"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"tapo": entry}}))
    write_params(tmp_path, launcher())
    return tmp_path


def write_params(project, chosen, threads=1):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["runtime"] |= {"launcher": chosen.model_dump(), "device": "cpu", "threads": threads}
    (project / "params.yaml").write_text(yaml.safe_dump(values))


def start(project, action, **environ):
    (project / "toy.py").write_text(textwrap.dedent(BODY.format(action=action)))
    own = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FINER1_EXIT_FILE": str(project / "exit"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
        **environ,
    }
    command, said = [sys.executable, "toy.py"], subprocess.PIPE
    return subprocess.Popen(command, cwd=project, env=own, stdout=said, stderr=said, text=True)


def run(project, action, **environ):
    process = start(project, action, **environ)
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out, err


@pytest.mark.slow
def test_two_processes_run_the_body_and_one_writes(project):
    action = (
        "from finer1.policy.processes import join_world; world = join_world('cpu'); "
        "seen = world.gather([(world.rank, os.environ['OMP_NUM_THREADS'])]); "
        "Path(f'rank{rank}').write_text(repr(seen)); context.log({'a/b': rank + 1.0}, 1)"
    )
    code, _, err = run(project, action)
    assert (code, (project / "exit").read_text()) == (0, "0"), err
    assert {(project / f"rank{rank}").read_text() for rank in (0, 1)} == {"[(0, '1'), (1, '1')]"}
    assert json.loads((project / "data/metrics/tapo.json").read_text()) == {"toy/value": 2.0}
    assert (project / "data/logs/tapo.jsonl").read_text().count("\n") == 1
    assert list((project / "models/.resume").iterdir()) == []  # no lock, no checkpoints


FAULTS = [
    ("from finer1.files import sha256_folder as f; f(Path('x'))", 2, "tapo: x is not a folder\n"),
    # Process 0 does not sleep to its end.
    (
        "time.sleep(0 if rank else 600); raise RuntimeError('CUDA out of memory')",
        3,
        "tapo: CUDA out of memory\n",
    ),
    (
        "time.sleep(0 if rank else 600); os.kill(os.getpid(), signal.SIGKILL)",
        3,
        "tapo: process 1 of 2 was killed (SIGKILL)\n",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("action", "code", "sentence"), FAULTS, ids=["both", "one", "killed"])
def test_the_exit_code_and_the_sentence_survive_the_launcher(project, action, code, sentence):
    found, _, err = run(project, action)
    assert (found, (project / "exit").read_text()) == (code, str(code)), err
    assert err.count(sentence) == 1
    assert "ChildFailedError" not in err
    assert not (project / "data/metrics").exists()


WAITING = "Path(f'pid{rank}').write_text(str(os.getpid())); time.sleep(600)"


def wait_for_two(project):
    deadline, files = time.monotonic() + TIMEOUT_S, [project / "pid0", project / "pid1"]
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return [int(file.read_text()) for file in files]


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a zombie whose new parent has not looked yet


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_processes_end_with_the_one_that_started_them(project, number):
    process = start(project, WAITING)
    pids = wait_for_two(project)
    second = start(project, "pass")  # the first holds the folder
    _, err = second.communicate(timeout=TIMEOUT_S)
    assert second.returncode == 2
    assert f"the same tapo is already running (process {process.pid})" in err
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_two_nodes_meet(project):
    write_params(project, launcher(processes=1, nodes=2))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    action = (
        "from finer1.policy.processes import join_world; "
        "Path(f'rank{rank}').write_text(repr(join_world('cpu')))"
    )
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    other = start(project, action, NODE_RANK="1", **places)
    code, _, err = run(project, action, NODE_RANK="0", **places)
    assert code == 0, err
    assert other.communicate(timeout=TIMEOUT_S) is not None
    assert other.returncode == 0
    assert {(project / f"rank{rank}").read_text() for rank in (0, 1)} == {
        "World(rank=0, size=2)",
        "World(rank=1, size=2)",
    }


@pytest.mark.slow
def test_a_model_is_spread_over_gpus_only(project):
    write_params(project, launcher("fsdp2"))
    code, _, err = run(project, "pass")
    assert code == 2
    assert "fsdp2, which spreads the model over GPUs, and there is none; set it to ddp" in err


def test_several_nodes_need_a_place_to_meet(monkeypatch):
    for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert this_node(launcher()) == Node()
    with pytest.raises(ValueError, match=r"nodes is 2: set NODE_RANK, MASTER_ADDR, MASTER_PORT"):
        this_node(launcher(nodes=2))
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.setenv("NODE_RANK", "2")
    with pytest.raises(ValueError, match="NODE_RANK is 2 .* from 0 to 1,"):
        this_node(launcher(nodes=2))
    monkeypatch.setenv("NODE_RANK", "1")
    assert this_node(launcher(nodes=2)) == Node(1, "10.0.0.1", 29500)


def test_training_stages_are_shared_out_and_no_others(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert is_shared_out("sft", launcher())
    assert is_shared_out("tapo", launcher())
    assert not is_shared_out("predict", launcher())
    assert not is_shared_out("sft", launcher("none", 1))
    monkeypatch.setenv("RANK", "0")  # torchrun or accelerate have started it already
    assert not is_shared_out("sft", launcher())
