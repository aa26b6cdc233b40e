"""Trainings in processes of their own, started together and waited for."""

import json
import signal
import socket

from safetensors.torch import load_file

PATIENCE_S, GRACE_S = 240, 60


def train_together(processes, target, request):
    """Metrics, logs and weights of a training, or None when process 0 was killed.

    target: called with the request and a rank. request: its folder, size and kill among others.
    """
    folder, size, kill = request["folder"], request["size"], request["kill"]
    folder.mkdir(exist_ok=True)
    request = request | {"port": free_port()}
    members = [processes.Process(target=target, args=(request, rank)) for rank in range(size)]
    for member in members:
        member.start()
    members[0].join(PATIENCE_S)
    for member in members[1:]:
        member.join(0 if kill else GRACE_S)
    for member in members:  # the others wait for one that was killed
        member.kill()
        member.join()
    if kill:
        assert members[0].exitcode == -signal.SIGKILL
        return None
    assert [member.exitcode for member in members] == [0] * size
    results = [json.loads((folder / f"result-{rank}.json").read_text()) for rank in range(size)]
    assert all(result[0] == results[0][0] for result in results)
    assert all(result[1] == {} for result in results[1:])  # one process logs
    return *results[0], load_file(folder / "model" / "model.safetensors")


def free_port():
    """One that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
