import threading

import pytest

from tasks.tracking import system
from tasks.tracking.system import SystemSampler, machine_metrics, parse_gpus


def test_the_machine_is_measured_under_mlflows_names():
    found = machine_metrics()
    assert found["system/stage_memory_usage_megabytes"] > 1
    assert 0 < found["system/system_memory_usage_percentage"] < 100
    assert set(found) > {"system/cpu_utilization_percentage"}


def test_each_gpu_has_its_own_metrics_and_what_it_lacks_is_left_out():
    # 1024 MiB are 1073.741824 MB.
    found = parse_gpus("0, 37, 1024, 71.5\n1, 0, 0, [N/A]\n")
    assert found == {
        "system/gpu_0_utilization_percentage": 37.0,
        "system/gpu_0_memory_usage_megabytes": pytest.approx(1073.741824),
        "system/gpu_0_power_usage_watts": 71.5,
        "system/gpu_1_utilization_percentage": 0.0,
        "system/gpu_1_memory_usage_megabytes": 0.0,
    }


def test_samples_are_numbered_and_taken_until_it_is_stopped(monkeypatch):
    monkeypatch.setattr(system, "SAMPLE_S", 0.01)
    taken, enough = [], threading.Event()

    def record(metrics, number):
        taken.append(number)
        if number == 2:
            enough.set()

    sampler = SystemSampler(record)
    assert enough.wait(10)
    sampler.stop()
    sampler._thread.join(10)
    assert not sampler._thread.is_alive()
    assert taken == list(range(len(taken)))
