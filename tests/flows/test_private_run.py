"""A whole run with secrets in the environment: what it writes, whom it calls, what it asks."""

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from finer1.params import load_params
from finer1.records import (
    Concepts,
    Prediction,
    Question,
    Rationale,
    SplitRecord,
    Triplet,
    read_jsonl,
)
from finer1.telemetry import TELEMETRY_OFF
from flows.smoke import prepare
from flows.values import set_values

pytestmark = pytest.mark.slow

SECRETS = {
    "FINER1_API_KEY": "canary-teacher-key-7f3a",
    "FINER1_EVAL_KEY": "canary-eval-key-7f3a",
    "HF_TOKEN": "hf_canarytoken7f3a",
    "MLFLOW_TRACKING_PASSWORD": "canary-mlflow-7f3a",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-7f3a",
    "PREFECT_API_KEY": "canary-prefect-7f3a",
}
_USER, _PASSWORD = "canary-user-7f3a", "canary-password-7f3a"
SERVER = f"http://{_USER}:{_PASSWORD}@127.0.0.1:9/v1"
NEEDLES = tuple(
    text.encode()
    for text in (
        *SECRETS.values(),
        _PASSWORD,
        base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode(),
        base64.b64encode(SECRETS["FINER1_API_KEY"].encode()).decode(),
    )
)
QUICK = {
    "sft.steps": 3,
    "tapo.steps": 1,
    "tapo.prompts_per_step": 2,
    "predict.max_tokens": 48,
    "predict.votes.samples": 0,
    "predict.models": {},
    "score.bootstrap_samples": 50,
}
"""Less of each stage than the experiment `smoke`; none is left out."""
_CALLS = "connect,bind,listen,sendto,sendmsg,sendmmsg"
_CALL = re.compile(rf"^\d+ +({_CALLS.replace(',', '|')})\((.*)", re.MULTILINE)
_ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_UNBOUND = re.compile(r"\d+<(?:TCP|TCPv6):\[\d+\]>")
_LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")


def environment():
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("FINER1_", "MLFLOW_", "PREFECT_"))
            and name not in TELEMETRY_OFF}  # fmt: skip
    return {**kept, **SECRETS, "FINER1_SERVER": SERVER, "OMP_NUM_THREADS": "1"}


def strace(trace):
    """Command that writes the calls of what follows it to the file."""
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "0", "--decode-fds=socket",
            "-e", f"trace={_CALLS}", "-o", str(trace)]  # fmt: skip


@pytest.fixture(scope="module")
def finished(repository, tmp_path_factory):
    """A finished run of the tiny pipeline, with every network call that it made."""
    copy = tmp_path_factory.mktemp("private") / "copy"
    copy.mkdir()
    prepare(repository, copy, "smoke")
    set_values(copy / "params.yaml", QUICK)
    trace = copy.parent / "trace.txt"
    command = [*strace(trace), sys.executable, "-m", "flows.cli", "run", "--verbose"]
    done = subprocess.run(
        command, cwd=copy, env=environment(), capture_output=True, text=True, timeout=10_000
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return SimpleNamespace(copy=copy, printed=done.stdout + done.stderr, trace=trace)


@pytest.fixture(scope="module")
def failed(finished):
    """The same folder after a stage whose teacher does not answer."""
    command = [sys.executable, "-m", "flows.cli", "run", "concepts", "--only", "--verbose"]
    done = subprocess.run(
        [*command, "-S", "concepts.engine=openai:m"],
        cwd=finished.copy, env=environment(), capture_output=True, text=True, timeout=10_000,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout[-3000:]
    return SimpleNamespace(copy=finished.copy, printed=done.stdout + done.stderr)


def with_secrets(folder):
    """Files below the folder that hold a secret, links not followed."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in NEEDLES)
    ]


def foreign(trace):
    """The network calls that leave this machine, or wait for others to come.

    A socket that listens without an address of its own listens on every one.
    """
    found = []
    for kind, rest in _CALL.findall(Path(trace).read_text(errors="replace")):
        if kind == "listen" and _UNBOUND.match(rest):
            found.append("listen everywhere")
        hosts = [four or six for four, six in _ADDRESS.findall(rest)]
        found += [f"{kind} {host}" for host in hosts if not _LOOPBACK.match(host)]
    return found


def test_no_secret_is_in_anything_that_a_run_writes_or_prints(finished):
    assert (finished.copy / "mlflow.db").stat().st_size
    assert with_secrets(finished.copy) == []
    assert not any(needle.decode() in finished.printed for needle in NEEDLES)


def test_no_call_of_a_run_leaves_this_machine(finished):
    assert foreign(finished.trace) == []


CALLS = """\
import socket
with socket.socket() as waiting, socket.socket() as near, socket.socket() as quiet:
    waiting.listen()
    quiet.bind(("127.0.0.1", 0))
    quiet.listen()
    near.connect(quiet.getsockname())
with socket.socket(socket.AF_INET6) as all_addresses:
    all_addresses.bind(("::", 0))
with socket.socket(type=socket.SOCK_DGRAM) as away:
    for send in (lambda: away.sendto(b"x", ("192.0.2.1", 9)),
                 lambda: away.sendmsg([b"x"], [], 0, ("192.0.2.2", 9)),
                 lambda: away.connect(("192.0.2.3", 9))):
        try:
            send()
        except OSError:
            pass
"""


def test_the_search_for_calls_finds_every_kind(tmp_path):
    trace = tmp_path / "trace.txt"
    subprocess.run([*strace(trace), sys.executable, "-c", CALLS], check=True, timeout=300)
    assert foreign(trace) == [
        "listen everywhere", "bind ::", "sendto 192.0.2.1", "sendmsg 192.0.2.2",
        "connect 192.0.2.3",
    ]  # fmt: skip


def test_no_held_out_image_or_label_is_trained_on(finished):
    folder, paths = finished.copy, load_params(finished.copy / "params.yaml").paths
    splits = read_jsonl(folder / paths.splits, SplitRecord)
    open_to = {row.image.id: row.image for row in splits if row.part in ("sft", "tapo")}
    held_out = [row.image for row in splits if row.image.id not in open_to]
    seen = {row.image.label for row in splits if row.seen}
    assert held_out
    assert {image.label for image in held_out} - seen  # sub-categories that are never trained on
    assert not {image.sha256 for image in held_out} & {i.sha256 for i in open_to.values()}
    named = [(row.image_id, row.label) for row in read_jsonl(folder / paths.concepts, Concepts)]
    for row in read_jsonl(folder / paths.reviewed, Rationale):
        named += [(row.image_id, row.label), (row.image_id, row.prediction)]
        assert row.label not in row.question
    for row in read_jsonl(folder / paths.triplets, Triplet):
        named += [(image, row.label) for image in (row.anchor, *row.positives)]
        named += [(image, row.negative_label) for image in row.negatives]
    assert len({image for image, _ in named}) > 100
    for image, label in named:
        assert open_to[image].label == label
        assert label in seen


def test_an_open_question_does_not_give_its_answer_away(finished):
    params = load_params(finished.copy / "params.yaml")
    folder = finished.copy
    questions = {q.id: q for q in read_jsonl(folder / params.paths.questions, Question)}
    checked = 0
    for path in sorted((folder / params.paths.predictions).glob("*.jsonl")):
        for row in read_jsonl(path, Prediction):
            question = questions.get(row.question_id)
            if question is None:
                continue
            prompt = row.prompt.casefold()
            if question.setting == "closed":  # the label is an option, and stands nowhere else
                for option in sorted(question.options, key=len, reverse=True):
                    prompt = prompt.replace(option.casefold(), "")
            assert question.label.casefold() not in prompt
            checked += 1
    assert checked > 20


def test_no_secret_is_in_what_a_failing_stage_leaves_behind(failed):
    assert "127.0.0.1:9" in failed.printed
    assert with_secrets(failed.copy) == []
    assert not any(needle.decode() in failed.printed for needle in NEEDLES)
