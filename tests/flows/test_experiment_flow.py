from pathlib import Path

import pytest

from flows.experiment_flow import Listener, _environment, command_words


def test_the_form_becomes_the_commands_arguments():
    words = command_words(["figure_3c", "shots"], "twin_worlds", [0, 1], 2, True, "/data")
    assert " ".join(words) == (
        "figure_3c shots --jobs 2 --on twin_worlds --seeds 0,1 --root /data --again"
    )
    assert command_words(["shots"], None, [], 1, False, "") == ["shots", "--jobs", "1"]


def test_the_command_knows_its_flow_run_and_that_the_folder_is_held_for_it(monkeypatch):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "flow-1")
    environ = _environment()
    assert (environ["FINER1_FLOW_RUN"], environ["FINER1_HELD"]) == ("flow-1", "1")


def test_no_experiment_at_all_is_refused():
    with pytest.raises(ValueError, match="choose at least one"):
        command_words([], None, [], 1, False, "")


def test_ended_runs_are_counted_of_those_that_are_made_now():
    listener = Listener()
    assert listener.take("3 runs, 1 of them done with the same inputs before, about 4 min") is None
    step = listener.take(f"  {'dapo-s0':<28}{123:>7.0f} s  done")
    assert (step.percent, step.words, step.is_last) == (50, "1/2 runs", False)
    assert listener.take(f"  {'dapo-s1':<28}{99:>7.0f} s  failed (exit code 1)").is_last
    assert listener.rows[0] == {"run": "dapo-s0", "seconds": 123, "outcome": "done"}
    assert listener.rows[1]["outcome"] == "failed (exit code 1)"


def test_the_tables_that_were_written_are_noted():
    listener = Listener()
    listener.take("table     /x/data/experiments/figure_3c.md")
    listener.take("table     /x/data/experiments/figure_3c.json")
    assert listener.tables == [Path("/x/data/experiments/figure_3c.md")]
