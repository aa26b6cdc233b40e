"""What the machine does while a stage runs, under the names of MLflow's own system metrics.

MLflow's sampler sends to the store itself, and would wait for it; this one only measures.
"""

import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping

import psutil

SAMPLE_S = 5.0
_MEGABYTE = 1e6
_GPU_FIELDS = "index,utilization.gpu,memory.used,power.draw"


class SystemSampler:
    """A thread that measures every `SAMPLE_S` seconds until it is stopped."""

    def __init__(self, record: Callable[[Mapping[str, float], int], None]) -> None:
        """record: takes the metrics and the number of the sample, from 0."""
        self._record = record
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a measurement under way is left to itself."""
        self._is_stopped.set()

    def _run(self) -> None:
        psutil.cpu_percent()  # The first call gives nothing; later ones the time between.
        gpus = shutil.which("nvidia-smi")
        number = 0
        while not self._is_stopped.wait(SAMPLE_S):
            found = {**machine_metrics(), **(gpu_metrics(gpus) if gpus else {})}
            self._record(found, number)
            number += 1


def machine_metrics() -> dict[str, float]:
    """CPU and memory of the machine, and memory of this process with its children."""
    memory = psutil.virtual_memory()
    own = psutil.Process()
    used = 0
    for process in (own, *own.children(recursive=True)):
        try:
            used += process.memory_info().rss
        except psutil.Error:  # It has ended.
            continue
    return {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": (memory.total - memory.available) / _MEGABYTE,
        "system/system_memory_usage_percentage": memory.percent,
        "system/stage_memory_usage_megabytes": used / _MEGABYTE,
    }


def gpu_metrics(program: str) -> dict[str, float]:
    """Use, memory and power of each GPU as nvidia-smi tells them; empty when it does not."""
    command = [program, f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SAMPLE_S)
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_gpus(done.stdout)


def parse_gpus(text: str) -> dict[str, float]:
    """Metrics from lines of index, %, MiB, W; what a GPU does not measure ([N/A]) is left out."""
    metrics = {}
    for line in text.splitlines():
        index, *values = (part.strip() for part in line.split(","))
        for name, value in zip(
            ("utilization_percentage", "memory_usage_megabytes", "power_usage_watts"),
            values,
            strict=False,
        ):
            scale = 2**20 / _MEGABYTE if name.startswith("memory") else 1.0
            try:
                metrics[f"system/gpu_{index}_{name}"] = float(value) * scale
            except ValueError:
                continue
    return metrics
