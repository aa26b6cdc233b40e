import subprocess
import sys
from pathlib import Path

import pytest

from tasks.identity import dvc_md5, locked_key, stage_entry, stage_key

GRAPH = """
stages:
  make:
    foreach:
      one: {word: "${words.first}"}
      two: {word: b}
    do:
      cmd: echo ${item.word} ${key} > ${folder}/${key}.txt
      deps: [source, single.txt]
      params: [seed, words]
      outs: ["${folder}/${key}.txt"]
  ask:
    foreach: ${words.models}
    do:
      cmd: echo ${item.model} > ${folder}/${key}.txt
      params: ["words.models.${key}"]
      outs: ["${folder}/${key}.txt"]
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.yaml").write_text(GRAPH)
    (tmp_path / "params.yaml").write_text(
        "seed: 3\nfolder: out\nwords: {first: a, second: c, eps: 1.0e-6, models: {}}\n"
    )
    (tmp_path / "single.txt").write_text("single")
    (tmp_path / "out").mkdir()
    (tmp_path / "source/sub").mkdir(parents=True)
    (tmp_path / "source/b.txt").write_text("b")
    (tmp_path / "source/sub/a.txt").write_text("a")
    return tmp_path


def test_references_are_filled_in(project):
    entry = stage_entry("make@one", project)
    assert entry["cmd"] == "echo a one > out/one.txt"
    assert entry["outs"] == ["out/one.txt"]


def test_a_stage_may_be_made_for_the_entries_of_a_setting(project):
    with pytest.raises(ValueError, match="no stage ask@x"):
        stage_entry("ask@x", project)
    (project / "params.yaml").write_text("folder: out\nwords: {models: {x: {model: m}}}\n")
    entry = stage_entry("ask@x", project)
    assert (entry["cmd"], entry["params"]) == ("echo m > out/x.txt", ["words.models.x"])


@pytest.mark.parametrize("stage", ["other", "make@three"])
def test_an_unknown_stage_is_named(project, stage):
    with pytest.raises(ValueError, match=f"no stage {stage}"):
        stage_entry(stage, project)


def test_the_key_at_the_start_is_the_key_from_dvcs_lock(project):
    dvc = Path(sys.executable).with_name("dvc")
    before = stage_key("make@one", project)
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=project, check=True)
    subprocess.run([dvc, "repro", "-q", "make@one"], cwd=project, check=True)
    assert locked_key("make@one", project) == before


@pytest.mark.parametrize("change", ["source/sub/a.txt", "single.txt", "params.yaml"])
def test_whatever_changes_the_result_changes_the_key(project, change):
    before = stage_key("make@one", project)
    path = project / change
    path.write_text(path.read_text() + "more")
    if change == "params.yaml":
        path.write_text("seed: 4\nfolder: out\nwords: {first: a, second: c, models: {}}\n")
    assert stage_key("make@one", project) != before


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent is missing"):
        dvc_md5(tmp_path / "absent")
