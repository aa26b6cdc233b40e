import fcntl
import json
import random
import shutil
import threading
import time

import pytest
import yaml
from typer.testing import CliRunner

from finer1.embeddings import _write_chunk
from finer1.engines.generation_file import GenerationFile
from finer1.engines.interface import Sample
from finer1.manifest import write_manifest
from flows.cli import app
from flows.runner import Request, run
from flows.verify import check_project, remove
from flows.workspace import hold
from tasks.identity import dvc_md5

CACHE = ".dvc/cache/files/md5"

GRAPH = """
stages:
  rows:
    cmd: mkdir -p data && printf '{"a":1}\\n{"a":2}\\n' > data/rows.jsonl
    outs: [data/rows.jsonl]
  model:
    cmd: mkdir -p models/sft/sub && printf weights > models/sft/w.bin && printf x > models/sft/sub/x
    deps: [data/rows.jsonl]
    outs: [models/sft]
"""
"""A file and a folder."""


@pytest.fixture
def made(tmp_path, repository, monkeypatch):
    """What a run of the graph leaves, and a base and a store."""
    monkeypatch.delenv("FINER1_STORE", raising=False)
    shutil.copy(repository / "params.yaml", tmp_path)
    outs = {"rows": ("data/rows.jsonl",), "model": ("models/sft/w.bin", "models/sft/sub/x")}
    for path in ("data/rows.jsonl", "models/sft/w.bin", "models/sft/sub/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"content of {path}")
    listed = [
        {"md5": dvc_md5(tmp_path / path), "relpath": path.removeprefix("models/sft/")}
        for path in sorted(outs["model"])
    ]
    kept = {
        dvc_md5(tmp_path / path): (tmp_path / path).read_bytes() for path in sum(outs.values(), ())
    }
    kept[dvc_md5(tmp_path / "models/sft")] = json.dumps(listed, sort_keys=True).encode()
    for name, content in kept.items():
        (tmp_path / CACHE / name[:2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / CACHE / name[:2] / name[2:]).write_bytes(content)
    stages = {
        name: {"cmd": "x", "outs": [{"path": path, "md5": dvc_md5(tmp_path / path)}]}
        for name, path in (("rows", "data/rows.jsonl"), ("model", "models/sft"))
    }
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    (tmp_path / "dvc.yaml").write_text(GRAPH)
    base = tmp_path / "models/base/world"
    base.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(bytes(100))
    write_manifest(base)
    store = GenerationFile(tmp_path / "models/.generations/a.jsonl")
    store.add({"k": [Sample("a bird", 3, "stop")], "l": [Sample("a car", 3, "stop")]})
    return tmp_path


def damages(folder):
    return check_project(folder, folder / ".dvc/cache").damages


def artifacts(folder):
    """Every file that must not change, DVC's copies among them."""
    roots = [folder / name for name in ("data/rows.jsonl", "models", CACHE)]
    below = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return sorted([roots[0], *below])


def flipped(path, place):
    """The file with one bit changed; what it was."""
    content = path.read_bytes()
    wrong = bytearray(content)
    wrong[place // 8] ^= 1 << place % 8
    path.chmod(0o644)
    path.write_bytes(bytes(wrong))
    return content


def test_what_is_as_it_was_written_passes(made):
    checked = check_project(made, made / ".dvc/cache")
    assert checked.damages == []
    # rows.jsonl, two files of the model; in the cache these and the list of the model's; the base
    # with its manifest; the store.
    assert checked.files == 3 + 4 + 2 + 1


def test_every_flipped_bit_is_found_in_the_file_that_has_it(made):
    draw = random.Random(0)
    for path in artifacts(made):
        size = 8 * path.stat().st_size
        for place in draw.sample(range(size), 4):
            content = flipped(path, place)
            found = [damage.path for damage in damages(made)]
            path.write_bytes(content)
            # A flip in a manifest may make another name of one that is listed.
            assert path in found or (path.name == "SHA256SUMS" and found), (path, place)
    assert damages(made) == []


def test_a_lost_and_an_added_file_are_found(made):
    (made / "models/sft/w.bin").rename(made / "kept")
    assert [damage.what for damage in damages(made)] == ["is missing"]
    (made / "kept").rename(made / "models/sft/w.bin")
    (made / "models/sft/more").write_text("x")
    (damage,) = damages(made)
    (made / "models/sft/more").unlink()
    assert damage.path == made / "models/sft"


@pytest.mark.slow
def test_what_is_damaged_comes_back_by_the_command_that_is_named(project, monkeypatch):
    (project / "dvc.yaml").write_text(GRAPH)
    monkeypatch.chdir(project)
    assert run(Request(), project) == 0
    path = project / "models/sft/w.bin"
    content = flipped(path, 9)
    done = CliRunner().invoke(app, ["verify"])
    assert done.exit_code == 1
    assert "models/sft/w.bin is damaged" in done.output
    assert "next: finer1 verify --repair, which removes them, then finer1 run model" in done.output
    assert CliRunner().invoke(app, ["verify", "--repair"]).exit_code == 1
    assert run(Request(("model",)), project) == 0
    assert path.read_bytes() == content
    assert CliRunner().invoke(app, ["verify"]).exit_code == 0


@pytest.mark.slow
def test_a_damaged_copy_of_dvc_is_not_what_a_file_comes_back_from(project):
    (project / "dvc.yaml").write_text(GRAPH)
    assert run(Request(), project) == 0
    path = project / "data/rows.jsonl"
    (copy,) = (p for p in artifacts(project) if p != path and p.read_bytes() == path.read_bytes())
    content = flipped(path, 9)
    flipped(copy, 17)
    wrong = damages(project)
    assert {damage.path for damage in wrong} == {path, copy}
    remove(wrong)
    assert run(Request(), project) == 0
    assert path.read_bytes() == content
    assert damages(project) == []


def test_a_damaged_line_of_the_store_goes_alone(made):
    path = made / "models/.generations/a.jsonl"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"a bird", b"a bard"))
    wrong = damages(made)
    assert [(damage.path, damage.line) for damage in wrong] == [(path, 1)]
    remove(wrong)
    assert list(GenerationFile(path).known) == ["l"]
    path.write_bytes(before)


def test_a_line_that_is_added_while_a_damaged_one_goes_is_kept(made):
    path = made / "models/.generations/a.jsonl"
    running = GenerationFile(path)
    path.write_bytes(path.read_bytes().replace(b"a bird", b"a bard"))
    adding = threading.Thread(target=running.add, args=({"m": [Sample("a cup", 3, "stop")]},))
    removing = threading.Thread(target=remove, args=(damages(made),))
    with path.open("rb") as file:  # as another stage does that adds to it
        fcntl.flock(file, fcntl.LOCK_EX)
        for thread in (removing, adding):
            thread.start()
            time.sleep(0.2)  # until it waits for the file
        assert b"bard" in path.read_bytes()
    for thread in (removing, adding):
        thread.join(timeout=30)
    assert sorted(GenerationFile(path).known) == ["l", "m"]
    assert damages(made) == []


def test_nothing_is_removed_while_a_run_has_the_folder(made, monkeypatch):
    monkeypatch.chdir(made)
    flipped(made / "models/sft/w.bin", 9)
    with hold(made):
        done = CliRunner().invoke(app, ["verify", "--repair"])
    assert isinstance(done.exception, ValueError)
    assert "is in use by process" in str(done.exception)
    assert (made / "models/sft/w.bin").exists()


def test_the_store_is_looked_for_where_stages_keep_it(made, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("store") / "a.jsonl"
    (made / "models/.generations/a.jsonl").rename(elsewhere)
    elsewhere.write_bytes(elsewhere.read_bytes().replace(b"a bird", b"a bard"))
    assert damages(made) == []
    monkeypatch.setenv("FINER1_STORE", str(elsewhere.parent))
    assert [damage.path for damage in damages(made)] == [elsewhere]


def test_bases_are_looked_for_where_the_settings_say(made):
    (made / "models/base").rename(made / "models/starts")
    params = (made / "params.yaml").read_text()
    (made / "params.yaml").write_text(params.replace("bases: models/base", "bases: models/starts"))
    flipped(made / "models/starts/world/model.safetensors", 9)
    assert [damage.path.name for damage in damages(made)] == ["model.safetensors"]


def test_a_damaged_chunk_of_embeddings_is_found(made):
    import torch

    folder = made / "models/.generations/embeddings/x"
    _write_chunk(folder, {"00" * 32: torch.zeros(4)})
    (path,) = folder.iterdir()
    content = flipped(path, 800)
    assert [damage.path for damage in damages(made)] == [path]
    path.write_bytes(content)
    assert damages(made) == []
