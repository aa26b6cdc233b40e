"""A project of two toy stages with the real params.yaml, for what runs stages."""

import pytest

GRAPH = """
stages:
  first:
    cmd: python stage.py first
    deps: [stage.py]
    params: [seed]
    outs: [data/first.txt]
    meta: {retries: 1, seconds: 30}
  second:
    cmd: python stage.py second
    deps: [data/first.txt]
    params: [sft]
    outs: [data/second.txt]
    meta: {retries: 0, seconds: 120, gpu: true}
"""

# A file `fail` tells the stage `second` how to end: `code N` or `signal N`. As a real stage, it
# leaves a 1 first, which holds should it be killed.
STAGE = """
import os, sys
from pathlib import Path
name = sys.argv[1]
print("this is", name, os.environ.get("FINER1_DATA_ROOT"))
print(f"{name}: 1/2 steps,", "live" if "FINER1_LIVE" in os.environ else "now and then")
exit_file = Path(os.environ["FINER1_EXIT_FILE"])
exit_file.write_text("1")
how = Path("fail").read_text().split() if Path("fail").exists() else []
if how and name == "second":
    if how[0] == "signal":
        os.kill(os.getpid(), int(how[1]))
    exit_file.write_text(how[1])
    sys.exit(int(how[1]))
Path("data", f"{name}.txt").write_text(name)
exit_file.write_text("0")
"""


@pytest.fixture
def project(tmp_path, repository, monkeypatch):
    """Folder of the toy project; no tracked run around its stages."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (tmp_path / "dvc.yaml").write_text(GRAPH)
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    monkeypatch.setenv("FINER1_PARENT_RUN", "")
    monkeypatch.delenv("FINER1_DATA_ROOT", raising=False)
    return tmp_path
