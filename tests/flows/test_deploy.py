import http.server
import json
import os
import sys
import threading

import pytest
import yaml
from prefect.cli.deploy._config import _load_deploy_configs_and_actions
from prefect.events.schemas.automations import AutomationCore
from prefect.utilities.importtools import import_object
from rich.console import Console

from flows.deploy import (
    Children,
    is_prefect,
    main,
    pool_name,
    read_deployments,
    server_command,
    worker_command,
)
from flows.zombies import FLOWS


def test_prefects_own_loader_finds_the_four_deployments(repository):
    found, actions = _load_deploy_configs_and_actions(
        repository / "prefect.yaml", console=Console()
    )
    assert [item["name"] for item in found] == ["pipeline", "stage", "experiments", "evaluate"]
    (step,) = actions["pull"]
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": "."}}


def test_every_deployment_leads_to_the_flow_of_its_name(repository):
    for item in read_deployments(repository):
        assert import_object(item["entrypoint"]).name == item["name"]
    # Runs of killed processes are looked for among these.
    assert {item["name"] for item in read_deployments(repository)} == set(FLOWS)


def test_all_deployments_share_a_pool_and_no_schedule_is_on(repository):
    items = read_deployments(repository)
    assert {item["work_pool"]["name"] for item in items} == {pool_name(repository)}
    schedules = [entry for item in items for entry in item.get("schedules", [])]
    assert schedules
    assert not any(entry["active"] for entry in schedules)


def test_automations_are_valid_and_off(repository):
    text = (repository / "automations.yaml").read_text()
    items = [AutomationCore.model_validate(item) for item in yaml.safe_load(text)["automations"]]
    assert items
    assert not any(item.enabled for item in items)


def test_an_automation_that_waits_for_heartbeats_misses_at_least_three(repository):
    from prefect.settings import get_current_settings

    text = (repository / "automations.yaml").read_text()
    (silent,) = [i for i in yaml.safe_load(text)["automations"] if i["name"] == "finer1-silent-run"]
    period = get_current_settings().flows.heartbeat_frequency or 180
    assert silent["trigger"]["within"] > 3 * period


def test_server_and_worker_are_the_projects_own(repository):
    assert server_command(4200)[1:] == ["-m", "flows.prefect_server", "4200"]
    assert worker_command("finer1")[3:5] == ["worker", "start"]


def test_a_folder_without_deployments_is_bad_input(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "has no prefect.yaml" in capsys.readouterr().err


def test_a_server_that_is_named_must_answer(repository, tmp_path, monkeypatch, capsys):
    (tmp_path / "prefect.yaml").write_bytes((repository / "prefect.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"})
        code = main([])
    assert code == 3
    assert "no Prefect server answers at http://127.0.0.1:9/api" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "expected"), [(True, True), ({"status": "ok"}, False)])
def test_another_program_on_the_port_is_no_prefect_server(answer, expected):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert is_prefect(f"http://127.0.0.1:{server.server_port}/api") is expected
        server.shutdown()


def test_a_child_that_died_is_started_again_and_all_end(tmp_path, capsys):
    children = Children(tmp_path)
    children.start("worker", [sys.executable, "-c", "import time; time.sleep(60)"])
    first = children._running["worker"]
    first.kill()
    first.wait(10)
    children.revive()
    second = children._running["worker"]
    assert second.pid != first.pid
    assert second.poll() is None
    children.end()
    assert second.poll() is not None
    assert "the worker ended (-9)" in capsys.readouterr().out


def test_a_child_that_cannot_start_is_named_with_its_log(tmp_path):
    children = Children(tmp_path)
    children.start("server", [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(OSError, match="the server did not start; see logs/prefect-server.log"):
        children.wait_until(lambda: False, 30)
