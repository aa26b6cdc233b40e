"""A TAPO run in a process of its own, alone or one of several, that may be killed on its way."""

import json
import os
import signal

import torch
from PIL import Image
from sharded import shard_on_cpu, spread_on_cpu

from finer1.params import load_params
from finer1.tapo import trainer, training
from finer1.tapo.display import Outlets
from finer1.tapo.losses import tapo_loss

VARYING = ("time/", "speed/", "mem/")


def train(run, rank):
    """Train as process `rank` of the run; leaves metrics and logs in its folder.

    run: repository, start, folder, triplets, size, port, changed settings and runtime; strategy:
    ddp, fsdp or zero3; broken: rank whose loss is NaN, or None; kill: None, or a step, the number
    of steps done before, and how many images process 0 reads in that step at most: it dies when it
    reads one more, or else when it logs the step.
    """
    torch.set_num_threads(1)
    if run["size"] > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
        os.environ |= {"WORLD_SIZE": str(run["size"]), "MASTER_PORT": str(run["port"])}
    if run["strategy"] == "fsdp":
        shard_on_cpu(run["repository"], training)
    if run["strategy"] == "zero3":
        spread_on_cpu(run["repository"], training)
    if run["broken"] == rank:
        trainer.tapo_loss = lambda *args: (tapo_loss(*args)[0] * torch.nan, tapo_loss(*args)[1])
    kill = Kill(run["kill"] if rank == 0 else None, run["folder"] / "killed")
    logs = {}

    def read_image(name):
        kill.note_image()
        colour = tuple(37 * (i + 1) * (ord(name[0]) + len(name)) % 256 for i in range(3))
        return Image.new("RGB", (32, 32), colour)

    def log(metrics, step):
        kill.note_step(step)
        logs[step] = {k: v for k, v in metrics.items() if not k.startswith(VARYING)}

    params = load_params(run["repository"] / "params.yaml")
    metrics = training.train_tapo(
        start=run["start"],
        triplets=run["triplets"],
        read_image=read_image,
        labels={"bird": ("a", "b")},
        settings=params.tapo.model_copy(update=run["settings"]),
        runtime=params.runtime.model_copy(
            update={"sheet_steps": 0, "guards": False} | run["runtime"]
        ),
        system="",
        seed=3,
        output=run["folder"] / "model",
        resume=run["folder"] / "resume",
        outlets=Outlets(log, lambda title, rows: None, lambda title, image, step: None, False),
    )
    (run["folder"] / f"result-{rank}.json").write_text(json.dumps([metrics, logs]))


class Kill:
    """Ends this process as the kernel would for want of memory."""

    def __init__(self, order, report):
        self.report = report
        self.target, self.step, self.left = order or (None, None, 0)

    def note_image(self):
        if self.target == (self.step or 0) + 1:
            if self.left == 0:
                self.die("sampling")
            self.left -= 1

    def note_step(self, step):
        self.step = step
        if step == self.target:
            self.die("logging")

    def die(self, while_doing):
        with self.report.open("a") as file:
            file.write(f"{while_doing}\n")
        os.kill(os.getpid(), signal.SIGKILL)
