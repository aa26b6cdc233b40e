"""A project of two toy stages with the real params.yaml, for what runs stages."""

import pytest

from flows import cli

GRAPH = """
stages:
  first:
    cmd: exec python stage.py first
    deps: [stage.py]
    params: [seed]
    outs: [data/first.txt]
    meta: {retries: 1, seconds: 30}
  second:
    cmd: exec python stage.py second
    deps: [data/first.txt]
    params: [sft]
    outs: [data/second.txt]
    meta: {retries: 0, seconds: 120, gpu: true}
"""

# A file `fail` tells the stage `second` how to end: `code N` or `signal N`; it goes on when a file
# `wait` goes, and writes meanwhile. A file `more` adds to what a stage makes. As a real stage, it
# dies with its parent and leaves a 1 first, which holds should it be killed.
STAGE = """
import os, sys, time
from pathlib import Path
from finer1.lifetime import dying_with_parent
dying_with_parent()()
name = sys.argv[1]
print("this is", name, os.environ.get("FINER1_DATA_ROOT"))
print(f"{name}: 1/2 steps,", "live" if "FINER1_LIVE" in os.environ else "now and then")
exit_file = Path(os.environ["FINER1_EXIT_FILE"])
exit_file.write_text("1")
while name == "second" and Path("wait").exists():
    with open("beats", "a") as file:
        file.write(".")
    time.sleep(0.1)
how = Path("fail").read_text().split() if Path("fail").exists() else []
if how and name == "second":
    if how[0] == "signal":
        os.kill(os.getpid(), int(how[1]))
    exit_file.write_text(how[1])
    sys.exit(int(how[1]))
more = Path("more").read_text() if Path("more").exists() else ""
Path("data", f"{name}.txt").write_text(name + more)
exit_file.write_text("0")
"""


@pytest.fixture(scope="session")
def make_project(repository):
    """Makes the toy project in a folder."""

    def make(folder):
        (folder / ".dvc").mkdir()
        (folder / "data").mkdir()
        (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
        (folder / "dvc.yaml").write_text(GRAPH)
        (folder / "stage.py").write_text(STAGE)
        (folder / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())

    return make


@pytest.fixture
def project(tmp_path, make_project, monkeypatch):
    """Folder of the toy project; no tracked run around its stages."""
    make_project(tmp_path)
    monkeypatch.setenv("FINER1_PARENT_RUN", "")
    monkeypatch.delenv("FINER1_DATA_ROOT", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """What was seen in images, by content: the tests share it, as their images are the same."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def finer1(monkeypatch, project, store, capsys):
    """Types a command in the project; exit code and all that was printed."""

    def type_in(*words):
        monkeypatch.chdir(project)
        monkeypatch.setenv("FINER1_STORE", str(store))
        monkeypatch.delenv("FINER1_DATA_ROOT", raising=False)
        monkeypatch.setattr("sys.argv", ["finer1", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code, captured.out + captured.err

    return type_in
