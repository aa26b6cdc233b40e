import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Paused, Pending, Running, Suspended

from flows.zombies import end_dead_flow_runs, is_dead
from tasks.origin import process_birth, process_tags

NOW = datetime.now(UTC)


def run_in(state, seconds=600.0, attempt=1):
    """A flow run that has been in a state for so long."""
    state.timestamp = NOW - timedelta(seconds=seconds)
    return FlowRun(id=uuid4(), flow_id=uuid4(), state=state, run_count=attempt)


def labels_of(pid, attempt=1):
    return {
        **process_tags(),
        "pid": str(pid),
        "born": process_birth(pid) or "0",
        "attempt": str(attempt),
    }


@pytest.fixture(scope="module")
def dead_pid():
    """Process id that was just given and is free again."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("state", [Running, Cancelling, Pending, Paused])
def test_a_run_with_a_living_process_is_alive(state):
    assert not is_dead(run_in(state()), labels_of(os.getpid()), NOW)


def test_a_run_whose_process_is_gone_is_dead_at_once(dead_pid):
    assert is_dead(run_in(Running(), seconds=0), labels_of(dead_pid), NOW)
    assert is_dead(run_in(Cancelling(), seconds=0), labels_of(dead_pid), NOW)


def test_a_process_that_got_the_same_number_is_another_one():
    run = run_in(Running(), seconds=0)
    run.infrastructure_pid = str(os.getpid())
    assert is_dead(run, {**labels_of(os.getpid()), "born": "1"}, NOW)


def test_a_resumed_run_whose_new_process_has_not_labelled_it_is_alive(dead_pid):
    # Prefect counts no further attempt; the labels are those of the process before the pause.
    run = run_in(Running(), seconds=9000)
    run.infrastructure_pid = str(os.getpid())
    assert not is_dead(run, labels_of(dead_pid), NOW)


def test_a_run_whose_process_has_not_come_to_labelling_it_is_alive(dead_pid):
    run = run_in(Pending(), seconds=9000)
    run.infrastructure_pid = str(os.getpid())
    assert not is_dead(run, {}, NOW)
    run.infrastructure_pid = f"here:{dead_pid}"
    assert is_dead(run, {}, NOW)


def test_a_worker_has_five_minutes_to_start_a_process(dead_pid):
    # A retried run still has the labels of its first process when the second starts.
    second = labels_of(dead_pid, attempt=1)
    assert not is_dead(run_in(Running(), 299, attempt=2), second, NOW)
    assert is_dead(run_in(Running(), 301, attempt=2), second, NOW)
    assert not is_dead(run_in(Pending(), 299), {}, NOW)
    assert is_dead(run_in(Pending(), 301), {}, NOW)
    assert not is_dead(run_in(Pending(), 0), labels_of(dead_pid), NOW)


def test_a_suspended_run_needs_no_process(dead_pid):
    assert not is_dead(run_in(Suspended()), labels_of(dead_pid), NOW)


def test_processes_of_another_machine_are_not_judged(dead_pid):
    elsewhere = {**labels_of(dead_pid), "host": "elsewhere"}
    assert not is_dead(run_in(Running()), elsewhere, NOW)


def test_a_run_that_was_deleted_since_it_was_read_ends_no_look_out(dead_pid):
    deleted, other = run_in(Running()), run_in(Running())
    for run in (deleted, other):
        run.labels = labels_of(dead_pid)
    told = []

    class Client:
        """What Prefect's does where a run is deleted between the two calls."""

        def read_flow_runs(self, **_):
            return [deleted, other]

        def set_flow_run_state(self, run, state, force):
            if run == deleted.id:
                raise ObjectNotFound(ValueError("404"))
            told.append((run, state.type, force))

    assert end_dead_flow_runs(Client()) == [f"marked as crashed: {other.name}"]
    assert told == [(other.id, StateType.CRASHED, True)]


def test_the_states_looked_at_are_those_of_work():
    from flows import zombies

    assert set(zombies._MOVING).isdisjoint(
        {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.SCHEDULED}
    )
