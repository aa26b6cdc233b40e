"""Dockerfile, compose.yaml and their entry point, as far as they can be held without an engine."""

import json
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
START = ROOT / "setup/container/start.sh"
PASSWORDS = ("postgres_password", "mlflow_password", "prefect_password", "prefect_login",
             "store_user", "store_password")  # fmt: skip
every_service = pytest.mark.parametrize("name", COMPOSE["services"])


def tool(*names):
    """The path of the first of these programs that is there; skips without one."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no {names[0]} on this machine; a package of the index ships it")
    return found


@pytest.fixture
def secrets(tmp_path):
    """A folder with a password each."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in PASSWORDS:
        (folder / name).write_text(f"canary-{name}-0123456789\n")
    return folder


def start(folder, *arguments, **environ):
    own = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        ["bash", str(START), *arguments],
        cwd=folder, env={**own, **environ}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@every_service
def test_a_service_has_no_rights_beyond_its_work(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc"} & set(service)
    if name != "postgres":  # which starts as root and becomes a user itself
        assert "cap_add" not in service
    if service["image"].startswith("finer1"):
        assert service["user"] == "1000"


@every_service
def test_a_service_is_pinned_and_is_watched(name):
    service = COMPOSE["services"][name]
    image, _, tag = service["image"].partition("@")[0].partition(":")
    assert tag not in ("", "latest")
    assert image == "finer1" or re.search(r"\d+\.\d+|\d{4}-\d{2}-\d{2}", tag)
    # The image of the project has a health check of its own.
    assert "healthcheck" in service or image == "finer1"


@every_service
def test_ports_are_published_on_this_machine_alone(name):
    ports = COMPOSE["services"][name].get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    # A network with a way out is for what is published, and nothing else.
    assert ("outside" in COMPOSE["services"][name]["networks"]) == bool(ports)


def test_no_password_stands_in_the_file():
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"${{FINER1_SECRETS:?a folder with the passwords}}/{name}"}
    assert set(COMPOSE["secrets"]) == set(PASSWORDS)
    for service in COMPOSE["services"].values():
        for key, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|KEY|TOKEN|AUTH", key) or key.endswith(("_FILE", "_ARGS"))
            assert "@" not in str(value)


def test_images_run_as_no_root_and_keep_no_secret():
    lines = DOCKERFILE.splitlines()
    stages = [line.split()[1:4:2] for line in lines if line.startswith("FROM")]
    assert [name for _, name in stages] == ["base", "packages", "code", "cpu", "cuda"]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", stages[0][0])
    assert dict(map(reversed, stages))["cuda"] == "cpu"
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000"]
    assert "HEALTHCHECK" in DOCKERFILE
    assert "--mount=type=secret" in DOCKERFILE
    assert not re.search(r"^(ARG|ENV).*(PASSWORD|TOKEN|SECRET|KEY)", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    private = {".git", ".secrets", ".venv", "mlflow.db*", ".dvc/tmp", ".dvc/config.local"}
    assert private <= set(ignored)
    assert "/.secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.fixture
def pin(tmp_path):
    """Runs pin.sh on copies, with a registry that answers so; returns (code, both files)."""
    folder = tmp_path / "setup/container"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "setup/container/pin.sh", folder)
    for name in ("Dockerfile", "compose.yaml"):
        shutil.copy(ROOT / name, tmp_path)

    def run(answer):
        docker = tmp_path / "docker"
        docker.write_text(f'#!/bin/sh\necho "$4" >>"$0.log"\necho "{answer}"\n')
        docker.chmod(0o755)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(["bash", folder / "pin.sh"], env={"PATH": path}, timeout=60)
        texts = [(tmp_path / name).read_text() for name in ("Dockerfile", "compose.yaml")]
        return done.returncode, *texts, (tmp_path / "docker.log").read_text().split()

    return run


def test_every_image_of_a_registry_gets_its_digest_once(pin):
    digest = f"sha256:{'0a' * 32}"
    code, dockerfile, compose, asked = pin(digest)
    assert code == 0
    assert sorted(asked) == ["minio/minio:RELEASE.2025-04-22T22-12-26Z", "postgres:15.14-bookworm",
                             "python:3.11.17-slim-bookworm"]  # fmt: skip
    assert f"FROM python:3.11.17-slim-bookworm@{digest} AS base\n" in dockerfile
    images = {s["image"] for s in yaml.safe_load(compose)["services"].values()}
    assert {image.endswith(f"@{digest}") or image.startswith("finer1:") for image in images} == {
        True
    }
    assert pin(f"sha256:{'0b' * 32}")[1:3] == (dockerfile, compose)


def test_what_is_no_digest_is_not_written(pin):
    code, dockerfile, compose, _ = pin("no such image")
    assert (code, dockerfile) == (3, DOCKERFILE)
    assert yaml.safe_load(compose) == COMPOSE


def is_ignored(path):
    """As Docker does: the last pattern that matches the path or a folder above it holds."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        parts = line.removeprefix("!").split("/")
        above = (Path(*Path(path).parts[: n + 1]) for n in range(len(Path(path).parts)))
        if any(len(x.parts) == len(parts) and x.match("/".join(parts)) for x in above):
            ignored = not line.startswith("!")
    return ignored


def test_what_git_holds_of_data_and_models_is_in_the_image_and_nothing_else():
    command = ["git", "ls-files", "data", "models"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "data/taxonomy.csv" in tracked.split()
    assert [path for path in tracked.split() if is_ignored(path)] == []
    made = ("data/raw/x", "models/sft/x", "models/base/qwen/x", "models/.generations/x")
    assert all(is_ignored(path) for path in made)


def test_python_of_the_image_has_no_advisory():
    from finer1.preflight.versions import DATE, list_advisories

    version = re.search(r"FROM python:([\d.]+)", DOCKERFILE)[1]
    rows = list_advisories({"python": version}, date.fromisoformat(DATE))
    assert [row.state for row in rows] == ["OK"]


def test_packages_of_the_services_have_exact_versions_and_hashes():
    text = (ROOT / "setup/container/services.txt").read_text(encoding="ascii")
    entries = [entry for entry in re.split(r"(?m)^(?=[a-z])", text) if not entry.startswith("#")]
    names = {entry.partition("==")[0] for entry in entries}
    assert {"psycopg2-binary", "boto3", "dvc-s3"} <= names
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[^ ]+ \\\n    --hash=sha256:[0-9a-f]{64}\n$", entry)


def test_a_linter_finds_nothing_in_the_dockerfile():
    done = subprocess.run(
        [tool("hadolint"), "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_understands_the_file(secrets):
    command = [tool("docker-compose"), "--project-directory", str(ROOT), "config",
               "--format", "json"]  # fmt: skip
    own = {"PATH": os.environ["PATH"], "HOME": str(secrets)}
    run = {"capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run(command, env={**own, "FINER1_SECRETS": str(secrets)}, **run)
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout
    ports = [
        port["host_ip"]
        for service in json.loads(done.stdout)["services"].values()
        for port in service.get("ports", [])
    ]
    assert ports == ["127.0.0.1"] * 2
    without = subprocess.run(command, env=own, **run)
    assert without.returncode != 0
    assert "a folder with the passwords" in without.stderr


@pytest.fixture
def image(tmp_path):
    """What the image holds, as far as the entry point looks at it."""
    folder = tmp_path / "image"
    for name in ("finer1", "tasks", "flows", "setup/accelerate", ".dvc", "data", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "setup/accelerate/ddp.yaml").write_text("new")
    (folder / "data/taxonomy.csv").write_text("new")
    (folder / "models/base").write_text("new")
    (folder / "finer1/code.py").write_text("new")
    for name in ("dvc.yaml", "prefect.yaml", "automations.yaml", "pyproject.toml", ".dvcignore",
                 "requirements.lock", "params.yaml"):  # fmt: skip
        (folder / name).write_text("new")
    (folder / ".image").write_text("2")
    return folder


def test_an_empty_workspace_gets_the_images_files(image, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = start(home, "cat", "params.yaml", FINER1_IMAGE_DIR=str(image))
    assert (done.returncode, done.stdout) == (0, "new")
    assert (home / "finer1/code.py").read_text() == "new"
    assert (home / "setup/accelerate/ddp.yaml").read_text() == "new"
    assert (home / "data/taxonomy.csv").read_text() == "new"


def test_a_kill_while_the_workspace_is_filled_leaves_no_half_folder(image, tmp_path):
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    copy = shutil.which("cp")
    # Of models, the folder alone is there when the kill comes.
    begun = 'case "$*" in *models*) mkdir -p "${*: -1}"; kill -9 $PPID ;; esac'
    (programs / "cp").write_text(f'#!/usr/bin/env bash\n{begun}\nexec {copy} "$@"\n')
    (programs / "cp").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    assert start(home, "true", FINER1_IMAGE_DIR=str(image), PATH=path).returncode == -9
    assert not (home / "models").exists()
    assert start(home, "true", FINER1_IMAGE_DIR=str(image)).returncode == 0
    assert [path.name for path in (home / "models").iterdir()] == ["base"]
    assert [path.name for path in home.iterdir() if path.name.endswith(".part")] == []


def test_a_newer_image_brings_its_code_and_leaves_what_the_user_has(image, tmp_path):
    home = tmp_path / "home"
    (home / "finer1").mkdir(parents=True)
    (home / "finer1/gone.py").write_text("old")
    (home / "data").mkdir()
    (home / "data/mine").write_text("mine")
    (home / "params.yaml").write_text("mine")
    (home / ".image").write_text("1")
    start(home, "true", FINER1_IMAGE_DIR=str(image))
    assert [path.name for path in (home / "finer1").iterdir()] == ["code.py"]
    assert (home / "params.yaml").read_text() == "mine"
    assert (home / "data/mine").read_text() == "mine"
    assert (home / "data/taxonomy.csv").read_text() == "new"
    (home / "finer1/code.py").write_text("edited")
    start(home, "true", FINER1_IMAGE_DIR=str(image))
    assert (home / "finer1/code.py").read_text() == "edited"  # the same image: nothing to bring


@pytest.mark.parametrize("command", ["mlflow-server", "prefect-server", "buckets", "worker"])
@pytest.mark.parametrize("content", [None, "", "short", "with@an:address/in-it-0123456789"])
def test_a_service_without_a_usable_password_does_not_start(secrets, tmp_path, command, content):
    for path in secrets.iterdir():
        path.unlink() if content is None else path.write_text(content)
    done = start(tmp_path, command, FINER1_SECRETS_DIR=str(secrets), FINER1_IMAGE_DIR="/nowhere")
    assert done.returncode == 2
    assert "the secret" in done.stderr
    assert not content or content not in done.stdout + done.stderr


def test_no_command_is_a_sentence(tmp_path):
    done = start(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("start: nothing to start")
