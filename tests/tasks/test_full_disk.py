"""A file system that is really full: a save, the rows of a stage, a download.

A small disk in memory is filled by another file; what then fails goes on when that file is gone.
"""

import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from finer1.downloads.fetching import RemoteFile, fetch_file
from finer1.policy import checkpoints
from finer1.policy.checkpoints import newest_checkpoint, save_checkpoint
from finer1.policy.optimizer import build_optimizer
from tests.crashes import litter, tree
from tests.tasks.stage_folder import ended

pytestmark = pytest.mark.slow
KIB = 1024
CONTENT = os.urandom(1 << 12) * 128


class SmallDisk:
    """A disk of its own at a folder."""

    def __init__(self, folder):
        self.folder = folder
        self._other = folder / "of another program"

    def fill(self, free):
        """Let another file take all but `free` bytes."""
        taken = shutil.disk_usage(self.folder).free - free
        if taken > 0:
            with self._other.open("ab") as file:
                file.write(bytes(taken))

    def free(self):
        self._other.unlink(missing_ok=True)


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of so many bytes at a folder, which is emptied by that."""
    mounted = []

    def mount(folder, size):
        folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode:
            pytest.skip(f"may not mount a file system in memory ({done.stderr.strip()}); be root")
        mounted.append(folder)
        return SmallDisk(folder)

    if shutil.which("mount") is None:
        pytest.skip("there is no mount on this machine")
    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=60)


class Model(torch.nn.Linear):
    device = "cpu"


def train(folder, steps, before_save=lambda: None):
    """So many steps, a checkpoint of about 480 KiB after each; continues from the newest."""
    torch.manual_seed(0)
    model = Model(200, 200)
    optimizer = build_optimizer(model, 0.1, 0.01, (0.9, 0.98))
    done = 0
    if found := newest_checkpoint(folder):
        found.load_weights(model)
        found.load_moments(model, optimizer)
        done = found.state["step"]
    for step in range(done, steps):
        optimizer.zero_grad()
        model(torch.full((1, 200), float(step))).square().sum().backward()
        optimizer.step()
        before_save()
        save_checkpoint(folder, step + 1, model, optimizer, {"step": step + 1})


# Free when it is full: nothing, a part of the weights, of the moments, all but the marker.
@pytest.mark.parametrize("free", [0, 4, 100, 160, 400, 472, 476])
def test_a_save_on_a_full_disk_keeps_the_last_one_and_goes_on(
    tmp_path, small_disk, monkeypatch, free
):
    train(tmp_path / "whole", 4)
    disk = small_disk(tmp_path / "disk", 4096 * KIB)
    train(disk.folder, 3)
    before = tree(disk.folder)
    look = checkpoints.check_space

    def look_and_lose(path, needed):
        look(path, needed)
        disk.fill(free * KIB)  # another program is quicker than the save that has looked

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "check_space", look_and_lose)
        with pytest.raises(OSError, match=r"the disk is full: .* needs \d+ MB, \d+ MB are free"):
            train(disk.folder, 4)
    assert tree(disk.folder, without=("of another program",)) == before
    assert litter(disk.folder) == []
    with pytest.raises(OSError, match="the disk is full"):  # it is looked at before, too
        train(disk.folder, 4)
    disk.free()
    train(disk.folder, 4)
    assert tree(disk.folder) == tree(tmp_path / "whole")


@contextmanager
def sending(when_begun):
    """The address of CONTENT, from where one asks; calls `when_begun` behind its beginning."""

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
            self.wfile.write(CONTENT[start : start + 64 * KIB])
            self.wfile.flush()
            when_begun()
            self.wfile.write(CONTENT[start + 64 * KIB :])

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # the client has gone

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/a.bin"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("free", [0, 40, 300])
def test_a_download_onto_a_disk_that_fills_up_goes_on_from_its_part(tmp_path, small_disk, free):
    disk = small_disk(tmp_path / "disk", 2048 * KIB)
    part = disk.folder / "a.bin.part"
    takes = [disk.fill]

    def take_the_room():
        until = time.monotonic() + 60
        while takes and not (part.exists() and part.stat().st_size):  # the look is over
            assert time.monotonic() < until
            time.sleep(0.01)
        while takes:
            takes.pop()(free * KIB)

    with sending(take_the_room) as address:
        file = RemoteFile("a.bin", (address,), len(CONTENT))
        with pytest.raises(OSError, match=r"the disk is full: .*needs 1 MB, .* are free"):
            fetch_file(file, disk.folder)
        assert not (disk.folder / "a.bin").exists()
        come = part.read_bytes()
        assert len(come) >= 32 * KIB
        assert CONTENT.startswith(come)
        with pytest.raises(OSError, match="the disk is full"):
            fetch_file(file, disk.folder)
        disk.free()
        assert fetch_file(file, disk.folder).read_bytes() == CONTENT


FREE = {"download": 20 * KIB, "split": 4 * KIB, "concepts": 4 * KIB, "cot": 0}
"""What is left of the disk: room for a part of what the stage writes."""


@pytest.mark.parametrize("stage", FREE)
def test_rows_of_a_stage_on_a_full_disk_are_written_by_the_same_command(
    tmp_path, small_disk, own_images, make_folder, stage
):
    kept = shutil.copytree(tmp_path / "data", tmp_path / "kept")
    disk = small_disk(tmp_path / "data", 2048 * KIB)
    shutil.copytree(kept, disk.folder, dirs_exist_ok=True)
    project = make_folder()
    expected = tree(disk.folder)
    store = {"FINER1_STORE": str(disk.folder / "store")}  # empty, so that all is asked for again
    with project.started(stage, **store) as process:
        others = tree(disk.folder)
        assert len(others) < len(expected)
        disk.fill(FREE[stage])
        code, said = ended(process)
    assert code == 3, said
    assert (tmp_path / "exit").read_text() == "3"
    assert "the disk is full" in said
    assert "Traceback" not in said
    left = tree(disk.folder, without=("of another program", "store"))
    assert others.items() <= left.items() <= expected.items()
    assert litter(disk.folder) == []
    disk.free()
    project.run(stage, **store)
    assert tree(disk.folder, without=("store", "metrics", "logs")) == expected


def test_training_on_a_disk_that_fills_up_goes_on_to_the_same_weights(
    tmp_path, small_disk, make_folder
):
    changes = {"runtime.save_steps": 1, "sft.epochs": 10, "sft.batch_size": 1}
    project = make_folder(changes)
    expected = project.run("sft")
    disk = small_disk(tmp_path / "scratch", 16 * KIB * KIB)
    scratch = {"FINER1_RESUME": str(disk.folder)}
    with project.started("sft", **scratch) as process:
        while process.poll() is None and not list(disk.folder.rglob("step-*")):
            time.sleep(0.01)
        disk.fill(100 * KIB)
        code, said = ended(process)
    assert code == 3, said
    assert "the disk is full" in said
    assert "Traceback" not in said
    assert not project.paths.sft.exists()
    (folder,) = disk.folder.glob("sft-*/checkpoints")
    assert newest_checkpoint(folder) is not None
    assert litter(disk.folder) == []
    disk.free()
    assert project.run("sft", **scratch) == expected
