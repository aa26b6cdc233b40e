"""A kill, and a full disk, at every point of what writes: a save, rows, an archive, a download."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from finer1 import faults
from finer1.downloads.fetching import RemoteFile, fetch_file
from finer1.engines.generation_file import GenerationFile
from finer1.engines.interface import Sample
from finer1.images import write_archive
from finer1.policy.checkpoints import newest_checkpoint, save_checkpoint
from finer1.policy.folder import save_policy
from finer1.policy.optimizer import build_optimizer
from finer1.records import write_jsonl
from tests.crashes import survives_everywhere
from tests.finer1.test_faults import points

ACTIONS = pytest.mark.parametrize("action", ["kill", "enospc"])
CONTENT = bytes(range(256)) * 1024


class Model(torch.nn.Linear):
    device = "cpu"


def train(folder):
    """Six steps, a checkpoint after each second one; continues from the newest."""
    torch.manual_seed(0)
    model = Model(3, 2)
    optimizer = build_optimizer(model, 0.1, 0.01, (0.9, 0.98))
    done = 0
    if found := newest_checkpoint(folder):
        found.load_weights(model)
        found.load_moments(model, optimizer)
        done = found.state["step"]
    for step in range(done, 6):
        optimizer.zero_grad()
        model(torch.full((1, 3), float(step))).square().sum().backward()
        optimizer.step()
        if step % 2:
            save_checkpoint(folder, step + 1, model, optimizer, {"step": step + 1})


# Three saves of 12 points: two files, after them, state.json (4), the folder (sync, rename, sync);
# the last of them removes the first one's folder.
@pytest.mark.slow
@ACTIONS
def test_training_ends_with_the_same_bits_whatever_a_save_meets(tmp_path, action):
    def check(folder):
        for path in folder.glob("step-*"):  # what has its name is whole
            assert newest_checkpoint(path.parent) is not None

    # A kill before the removal leaves the oldest one, which goes with the scratch folder.
    found = survives_everywhere(train, tmp_path, action, check, without=("step-000002",))
    assert found == 3 * (2 + 1 + 4 + 3) + 1


def make_rows(folder):
    """Answers to ten questions, two at a time, and the rows made of them."""
    file = GenerationFile(folder / "store/engine.jsonl")
    for start in range(0, 10, 2):
        keys = [f"{number}" for number in range(start, start + 2)]
        file.add(
            {key: [Sample(f"answer {key}", 2, "stop")] for key in keys if key not in file.known}
        )
    rows = [Sample(samples[0].text, 2, "stop") for samples in file.known.values()]
    write_jsonl(folder / "rows.jsonl", rows)


# Five additions of 2 points, and a file of 4.
@ACTIONS
def test_rows_are_neither_lost_nor_doubled_whatever_a_write_meets(tmp_path, action):
    assert survives_everywhere(make_rows, tmp_path, action) == 5 * 2 + 4


@ACTIONS
def test_an_archive_is_whole_whatever_its_writing_meets(tmp_path, action):
    members = [(f"{number}.png", CONTENT[:1000]) for number in range(4)]
    # Four members, then sync, rename, sync.
    act = survives_everywhere
    assert act(lambda f: write_archive(f / "a.zip", members), tmp_path, action) == 4 + 3


@pytest.fixture
def server():
    """Sends CONTENT, from where it is asked to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(CONTENT) - start))
            if start:
                last = len(CONTENT) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(CONTENT)}")
            self.end_headers()
            self.wfile.write(CONTENT[start:])

        def log_message(self, *args):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/a.bin"
    running.shutdown()
    running.server_close()


@pytest.mark.slow
@ACTIONS
def test_a_download_goes_on_whatever_it_meets(tmp_path, action, server):
    def fetch(folder):
        fetch_file(RemoteFile("a.bin", (server,), len(CONTENT)), folder)

    def check(folder):
        done = folder / "a.bin"
        assert not done.exists() or done.read_bytes() == CONTENT

    # What says where the part is from (4), chunks, the record of the hash (4), sync, rename, sync.
    assert survives_everywhere(fetch, tmp_path, action, check) >= 4 + 4 + 4 + 3


def test_a_model_that_cannot_be_saved_leaves_the_old_one(tmp_path, tiny_model):
    from finer1.policy.folder import load_policy

    model, _ = load_policy(tiny_model, "cpu", train_vision=True)
    save_policy(model, tiny_model, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    faults.arm("model:after_weights:1:enospc")
    try:
        with pytest.raises(OSError, match=r"model needs \d+ MB, .* are free"):
            save_policy(model, tiny_model, tmp_path / "model")
    finally:
        faults.arm(None)
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


PASSED_ELSEWHERE = {
    "stage:after_body": "tests/tasks/test_stage.py",
    "stage:after_metrics": "tests/tasks/test_stage.py",
    "sft:loss": "tests/finer1/test_sft.py",
    "tapo:loss": "tests/finer1/tapo/test_training.py",
}
"""Points of what takes long: the tests in these files fail at them."""


def test_every_point_is_passed_by_a_test(tmp_path, tiny_model, server, repository):
    from finer1.policy.folder import load_policy

    model, _ = load_policy(tiny_model, "cpu", train_vision=True)
    with faults.recorded() as names:
        train(tmp_path / "train")
        make_rows(tmp_path / "rows")
        write_archive(tmp_path / "a.zip", [("a.png", b"a")])
        fetch_file(RemoteFile("a.bin", (server,), len(CONTENT)), tmp_path / "fetched")
        for _ in range(2):
            save_policy(model, tiny_model, tmp_path / "model")
    assert points() - set(names) == set(PASSED_ELSEWHERE)
    for name, path in PASSED_ELSEWHERE.items():
        assert name in (repository / path).read_text(encoding="utf-8"), name
