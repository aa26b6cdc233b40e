import os
import subprocess
import sys

import pytest

from finer1.telemetry import TELEMETRY_OFF
from flows.processes import stage_environment

TOOLS = {
    "dvc": "import dvc.analytics as a; print(a.is_enabled())",
    "mlflow": "from mlflow.telemetry.utils import is_telemetry_disabled as d; print(not d())",
    "huggingface_hub": (
        "from huggingface_hub import constants as c; print(not c.HF_HUB_DISABLE_TELEMETRY)"
    ),
    "prefect": (
        "from prefect.settings import get_current_settings as s;"
        "print(s().server.analytics_enabled)"
    ),
    "gradio": "from gradio.analytics import analytics_enabled as a; print(a())",
    "ray": (
        "from ray._private.usage import usage_lib as u; print(u.usage_stats_enabled())"
    ),
    "vllm": "from vllm.usage.usage_lib import is_usage_stats_enabled as u; print(u())",
}  # fmt: skip
"""Package -> a program that prints whether it would report."""
_MEAN_CI = ("CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")


def would_report(tool, folder, environ):
    bare = {name: value for name, value in os.environ.items()
            if name not in (*TELEMETRY_OFF, *_MEAN_CI)}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", TOOLS[tool]],
        cwd=folder,
        env={**bare, **environ},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_itself_says_that_it_does_not_report(tmp_path, tool):
    pytest.importorskip(tool)
    assert would_report(tool, tmp_path, TELEMETRY_OFF) == "False"


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["dvc", "mlflow", "huggingface_hub", "prefect", "gradio"])
def test_each_tool_would_report_by_itself(tmp_path, tool):
    assert would_report(tool, tmp_path, {}) == "True"


def test_stages_start_without_telemetry_whatever_the_caller_has(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    environ = stage_environment()
    assert {name: environ[name] for name in TELEMETRY_OFF} == TELEMETRY_OFF


def test_a_clone_is_set_to_report_nothing_where_tools_are_started_by_hand(repository):
    assert "analytics = false" in (repository / ".dvc/config").read_text()
    assert "analytics_enabled = false" in (repository / "pyproject.toml").read_text()
