"""What is on the disk when the power goes: seen in the system calls of a write."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from finer1.files import new_folder, write_atomic

root = Path(sys.argv[1])
write_atomic(root / "rows.jsonl", b"row")
for _ in range(2):
    with new_folder(root / "model") as part:
        (part / "sub").mkdir()
        (part / "weights").write_bytes(b"w" * 9000)
        (part / "sub/config").write_bytes(b"c")
        write_atomic(part / "SHA256SUMS", b"sums")
"""
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += 0?")
FD = re.compile(r"^\d+<([^>]*)>")


def events(trace, root):
    """(call, paths) of the calls that concern `root`, in order."""
    found = []
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        call, words = match[1], match[2]
        fd = FD.match(words)
        paths = [fd[1]] if fd else re.findall(r'"([^"]*)"', words)[-2:]
        if call == "sync" or any(path.startswith(root) for path in paths):
            found.append((call, paths))
    return found


def losses(trace, root):
    """What a loss of power could undo or tear, and the order of writes in each renamed folder."""
    unsynced, dirty, order, wrong = [], [], [], []
    for call, paths in events(trace, root):
        if call == "write":
            dirty.append(paths[0])
            order.append(paths[0])
        elif call == "fsync":
            dirty = [path for path in dirty if path != paths[0]]
            unsynced = [folder for folder in unsynced if folder != paths[0]]
        elif call == "sync":
            dirty, unsynced = [], []
        elif call.startswith("rename"):
            old, new = paths
            wrong += [
                f"{path} is not on disk when {old} becomes {new}"
                for path in dirty
                if path == old or path.startswith(f"{old}/")
            ]
            order = [
                new + path.removeprefix(old) if path.startswith(old) else path for path in order
            ]
            unsynced.append(str(Path(new).parent))
    return wrong + [f"{folder} was not flushed after a rename in it" for folder in unsynced], order


def test_a_rename_comes_after_the_content_is_on_disk_and_is_flushed_itself(tmp_path, repository):
    if shutil.which("strace") is None:
        pytest.skip("there is no strace on this machine (apt install strace)")
    calls = "trace=write,fsync,sync,rename,renameat,renameat2"
    command = ["strace", "-f", "-y", "-o", str(tmp_path / "trace"), "-e", calls]
    (tmp_path / "root").mkdir()
    done = subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, str(tmp_path / "root")],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    if "ptrace" in done.stderr:
        pytest.skip("this machine lets no process be traced")
    assert done.returncode == 0, done.stderr
    trace = (tmp_path / "trace").read_text()
    wrong, order = losses(trace, f"{tmp_path}/root")
    assert wrong == []
    assert Path(order[-1]).name == "SHA256SUMS"  # what says that the folder is whole
    # A file: one rename. A folder: its marker, and itself; the second time the old one goes aside.
    renames = [paths for call, paths in events(trace, f"{tmp_path}/root") if "rename" in call]
    assert len(renames) == 1 + 2 + 3


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ('write(3</r/.a.part>, "x", 1) = 1\nrename("/r/.a.part", "/r/a") = 0', "not on disk"),
        (
            'write(3</r/.a.part>, "x", 1) = 1\nfsync(3</r/.a.part>) = 0\n'
            'rename("/r/.a.part", "/r/a") = 0',
            "/r was not flushed",
        ),
    ],
)
def test_the_rule_knows_what_a_loss_of_power_undoes(trace, words):
    assert any(words in item for item in losses(trace, "/r")[0])
