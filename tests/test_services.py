"""The services of compose.yaml without containers: their own entry points, PostgreSQL, S3."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "setup/container/start.sh"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PATIENCE_S = 400
PASSWORDS = ("postgres_password", "mlflow_password", "prefect_password", "prefect_login",
             "store_user", "store_password")  # fmt: skip
GRAPH = """
stages:
  draw:
    cmd: python draw.py
    deps: [draw.py]
    outs: [drawn]
"""
DRAW = "from pathlib import Path\nPath('drawn').mkdir()\n" + "".join(
    f"Path('drawn/{n}').write_text('{n}' * 1000)\n" for n in range(5)
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(is_ready, process, log):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if is_ready():
                return
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"never ready: {log.read_text()[-3000:]}")


@contextmanager
def running(command, environ, folder, name):
    """A server in a process group of its own, all of which is ended."""
    log = folder / f"{name}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process, log
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(20)


def listening(process):
    """Addresses on which the process and its children wait."""
    family = [process, *process.children(recursive=True)]
    return {
        item.laddr.ip
        for each in family
        for item in each.net_connections()
        if item.status == psutil.CONN_LISTEN
    }


def base_environment(folder):
    own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": own, "HOME": str(folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A PostgreSQL of this machine, set up by the script that its container runs."""
    pytest.importorskip("psycopg2", reason="psycopg2 is in setup/container/services.txt")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or os.getuid():
        pytest.skip("needs Debian's package postgresql, and root to become its user")
    home = tmp_path_factory.mktemp("services")
    for above in (home, *home.parents[:2]):
        above.chmod(0o755)
    secrets = home / "secrets"
    secrets.mkdir()
    for name in PASSWORDS:
        (secrets / name).write_text(f"canary_{name}_0123456789\n")
    folder = home / "postgres"
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    as_user = ["runuser", "-u", "postgres", "--"]
    subprocess.run(
        [*as_user, programs[-1] / "initdb", "-D", folder / "data", "-A", "scram-sha-256",
         "-U", "postgres", f"--pwfile={secrets / 'postgres_password'}"],
        cwd="/", check=True, capture_output=True, timeout=PATIENCE_S,
    )  # fmt: skip
    port = free_port()
    command = [
        *as_user, str(programs[-1] / "postgres"), "-D", str(folder / "data"), "-p", str(port),
        "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}",
        "-c", "fsync=off",
    ]  # fmt: skip
    environ = {
        **base_environment(home),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(port),
        "POSTGRES_USER": "postgres",
        "PGPASSWORD": (secrets / "postgres_password").read_text().strip(),
        "FINER1_SECRETS_DIR": str(secrets),
    }
    with running(command, environ, home, "postgres") as (process, log):
        answers = [programs[-1] / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        wait_for(lambda: not subprocess.run(answers, capture_output=True).returncode, process, log)
        subprocess.run(
            ["bash", ROOT / "setup/container/databases.sh"],
            env=environ, check=True, capture_output=True, timeout=PATIENCE_S,
        )  # fmt: skip
        made = SimpleNamespace(home=home, secrets=secrets, address=f"127.0.0.1:{port}", env=environ)
        assert is_healthy("postgres", made, port)
        yield made


def is_healthy(name, database, port):
    """Whether the health check of compose.yaml passes, its port replaced by the one here."""
    kind, *words = COMPOSE["services"][name]["healthcheck"]["test"]
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    command = [word.replace("5000", str(port)).replace("4200", str(port)) for word in command]
    done = subprocess.run(command, env=database.env, capture_output=True, timeout=PATIENCE_S)
    return done.returncode == 0


def ask_database(database, name, query):
    done = subprocess.run(
        ["psql", "-U", "postgres", "-d", name, "-Atc", query],
        env=database.env, capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@contextmanager
def service(database, name, port, **environ):
    own = {
        **base_environment(database.home),
        "FINER1_SECRETS_DIR": str(database.secrets),
        "FINER1_DATABASE": database.address,
        "FINER1_PORT": str(port),
        **environ,
    }
    with running(["bash", str(START), name], own, database.home, name) as (process, log):
        yield process, log


@pytest.fixture
def store(monkeypatch):
    """Address of an S3-compatible server."""
    moto = pytest.importorskip("moto.server", reason="moto[server] stands in for the store")
    pytest.importorskip("boto3", reason="boto3 is in setup/container/services.txt")
    server = moto.ThreadedMotoServer("127.0.0.1", free_port())
    server.start()
    for name, value in (("AWS_ACCESS_KEY_ID", "canary_user"), ("AWS_REGION", "us-east-1"),
                        ("AWS_SECRET_ACCESS_KEY", "canary_password")):  # fmt: skip
        monkeypatch.setenv(name, value)
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


TRACKED = """
import sys, time
from pathlib import Path
from tasks.tracking import start_run, sync
tracker = start_run("toy", {"a": 1}, {"stage_key": "k"}, Path("log.jsonl"), Path.cwd())
tracker.log({"loss": 0.5}, 1)
tracker.log_table("answers", [{"label": "elm wren", "answer": "canyon"}])
print(tracker.run_id())
tracker.finish({"accuracy": 0.75}, "FINISHED")
for _ in range(60):  # what a busy machine left over
    rows = list(sync(Path.cwd()))
    if all(row.state == "sent" and not row.num_left for row in rows):
        break
    print(rows, file=sys.stderr)
    time.sleep(2)
"""


def test_mlflow_keeps_runs_in_postgresql_and_artifacts_in_the_store(database, store):
    port = free_port()
    with service(database, "buckets", port, FINER1_S3=store, FINER1_IMAGE_DIR=str(ROOT)) as (
        process, log,
    ):  # fmt: skip
        assert process.wait(PATIENCE_S) == 0, log.read_text()
    own = {"FINER1_S3": store, "FINER1_HOSTS": "127.0.0.1:*"}
    with service(database, "mlflow-server", port, **own) as (process, log):
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_healthy("mlflow", database, port), process, log)
        environ = {**base_environment(database.home), "MLFLOW_TRACKING_URI": address}
        done = subprocess.run(
            [sys.executable, "-c", TRACKED], cwd=database.home, env=environ,
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert listening(psutil.Process(process.pid)) == {"127.0.0.1"}
        asked = f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0"
        assert httpx.get(asked).status_code == 200
        assert httpx.get(asked, headers={"Host": "evil.example"}).status_code == 403
        words = " ".join(psutil.Process(process.pid).cmdline())
        assert "canary" not in words + log.read_text()
    assert ask_database(database, "mlflow", "SELECT name, status FROM runs") == "toy|FINISHED"
    values = ask_database(
        database,
        "mlflow",
        "SELECT key, value FROM metrics WHERE key IN ('accuracy', 'loss') ORDER BY key",
    )
    assert values.split() == ["accuracy|0.75", "loss|0.5"]
    import boto3

    objects = boto3.client("s3", endpoint_url=store).list_objects_v2(Bucket="mlflow")["Contents"]
    (table,) = [item for item in objects if item["Key"].endswith("answers.json")]
    assert table["Size"] > 20


FLOW = """
from prefect import flow
@flow(name="toy")
def toy():
    return 1
toy()
"""


def test_prefect_keeps_flow_runs_in_postgresql_and_wants_its_login(database):
    port = free_port()
    home = database.home / "prefect"
    with service(database, "prefect-server", port, PREFECT_HOME=str(home)) as (process, log):
        address = f"http://127.0.0.1:{port}/api"
        wait_for(lambda: is_healthy("prefect", database, port), process, log)
        wait_for(lambda: httpx.get(f"{address}/health").status_code < 500, process, log)
        login = f"finer1:{(database.secrets / 'prefect_login').read_text().strip()}"
        asked = f"{address}/admin/version"
        assert httpx.get(asked).status_code == 401
        assert httpx.get(asked, auth=("finer1", "wrong")).status_code == 401
        assert httpx.get(asked, auth=tuple(login.split(":"))).status_code == 200
        # Nor is the login enough for another site's page, which has no token against forgery.
        posted = httpx.post(f"{address}/flows/count", json={}, auth=tuple(login.split(":")))
        assert posted.status_code == 403
        other = httpx.get(
            asked, auth=tuple(login.split(":")), headers={"Origin": "http://evil.example"}
        )
        assert "access-control-allow-origin" not in other.headers
        environ = {
            **base_environment(database.home),
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": address,
            "PREFECT_API_AUTH_STRING": login,
        }
        done = subprocess.run(
            [sys.executable, "-c", FLOW], cwd=database.home, env=environ,
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert listening(psutil.Process(process.pid)) == {"127.0.0.1"}
        words = " ".join(psutil.Process(process.pid).cmdline())
        assert "canary" not in words + log.read_text()
    assert ask_database(database, "prefect", "SELECT state_name FROM flow_run") == "Completed"


def test_outputs_go_through_the_store_to_another_clone(store, tmp_path):
    pytest.importorskip("dvc_s3", reason="dvc-s3 is in setup/container/services.txt")
    own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": own, "DVC_NO_ANALYTICS": "1", "HOME": str(tmp_path)}

    def call(folder, *command):
        done = subprocess.run(
            list(map(str, command)), cwd=folder, env=environ,
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    dvc = (sys.executable, "-m", "dvc")
    made = call(
        tmp_path, sys.executable, ROOT / "setup/container/buckets.py", store, "dvc", "mlflow"
    )
    assert made.strip() == "made: dvc, mlflow"
    again = call(
        tmp_path, sys.executable, ROOT / "setup/container/buckets.py", store, "dvc", "mlflow"
    )
    assert "nothing" in again
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    call(first, "git", "init", "-q")
    for key, value in (("user.name", "a"), ("user.email", "a@b")):
        call(first, "git", "config", key, value)
    call(first, *dvc, "init", "-q")
    call(first, *dvc, "remote", "add", "-d", "store", "s3://dvc/finer1")
    (first / "dvc.yaml").write_text(GRAPH)
    (first / "draw.py").write_text(DRAW)
    call(first, *dvc, "repro")
    call(first, "git", "add", "-A")
    call(first, "git", "commit", "-qm", "all")
    # The address is this machine's own matter, as the keys are.
    call(first, *dvc, "remote", "modify", "--local", "store", "endpointurl", store)
    assert "pushed" in call(first, *dvc, "push")
    call(tmp_path, "git", "clone", "-q", first, second)
    call(second, *dvc, "remote", "modify", "--local", "store", "endpointurl", store)
    call(second, *dvc, "pull")
    assert (second / "drawn/4").read_text() == "4" * 1000
    assert "didn't change, skipping" in call(second, *dvc, "repro")
    kept = [path for path in (*first.rglob("*"), *second.rglob("*")) if path.is_file()]
    assert not any(b"canary" in path.read_bytes() for path in kept)
