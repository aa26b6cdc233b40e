import httpx
import pytest

from flows.artifacts import (
    Outcome,
    artifact_key,
    find_mlflow_run,
    mlflow_link,
    stage_rows,
    summary_markdown,
)

RUN = "0123456789abcdef0123456789abcdef"


def test_a_stages_table_says_what_happened_then_its_metrics():
    rows = stage_rows(Outcome("sft", "ran", 12.34, RUN), {"sft/images": 42, "train/loss": 1 / 3})
    assert rows == [
        {"what": "outcome", "value": "ran"},
        {"what": "seconds", "value": 12.3},
        {"what": "sft/images", "value": 42},
        {"what": "train/loss", "value": 0.333333},
    ]


def test_the_mlflow_run_is_found_in_a_stages_line():
    assert find_mlflow_run(f"sft: sft: MLflow run {RUN}") == RUN
    assert find_mlflow_run(f"predict@sft: MLflow run {RUN}") == RUN
    assert find_mlflow_run("sft: MLflow run None") is None
    assert find_mlflow_run("sft: 3/4 steps") is None


def test_a_stage_prints_the_line_that_is_looked_for(repository):
    text = (repository / "tasks/stage.py").read_text()
    assert 'print(f"{stage}: MLflow run {run}"' in text


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("", f"http://127.0.0.1:5000/#/runs/{RUN}"),
        ("sqlite:////x/mlflow.db", f"http://127.0.0.1:5000/#/runs/{RUN}"),
        ("http://10.0.0.5:5000/", f"http://10.0.0.5:5000/#/runs/{RUN}"),
        ("https://me:sec@ret@tracking.example", f"https://tracking.example/#/runs/{RUN}"),
    ],
)
def test_a_link_leads_to_the_run_and_holds_no_password(uri, address, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert mlflow_link(RUN, tmp_path) == address


def test_the_summary_has_results_stages_and_links():
    outcomes = [Outcome("sft", "ran", 3.0, RUN), Outcome("score", "up to date", 0.0, None)]
    text = summary_markdown("base  5.1", outcomes, {"MLflow": "http://127.0.0.1:5000"})
    assert text.startswith("```\nbase  5.1\n```\n\n| stage | outcome | time |\n|---|---|---|\n")
    assert "| sft | ran | 3.0 s |\n| score | up to date | 0.0 s |\n" in text
    assert text.endswith("\n\n- MLflow: http://127.0.0.1:5000\n")


def test_a_run_without_scores_has_no_result_table():
    assert summary_markdown(None, [], {}).startswith("| stage |")


def test_a_key_has_the_characters_that_prefect_allows():
    assert artifact_key("predict@base_direct") == "predict-base-direct"


def test_a_server_that_is_away_costs_a_line(monkeypatch, caplog):
    import logging

    from flows import artifacts

    monkeypatch.setattr(artifacts, "get_run_logger", lambda: logging.getLogger("x"))
    with artifacts.harmless():
        raise httpx.ConnectError("refused")
    assert "no artifact: refused" in caplog.text
    with pytest.raises(ValueError), artifacts.harmless():
        raise ValueError("ours")
