"""A run of stage 1 in a process of its own, alone or one of several, that may be killed."""

import json
import os
import signal

import torch
from PIL import Image
from sharded import shard_on_cpu, spread_on_cpu

from finer1 import sft
from finer1.params import load_params
from finer1.prompts import rationale_completion, sections_text

COLOURS = ("red", "green", "blue", "white", "black")


def examples():
    """Five rows whose completions differ in length, so that no two have equally many tokens."""
    return [
        sft.SftExample(
            image=Image.new("RGB", (32, 32), colour),
            question="What is it?",
            completion=rationale_completion(sections_text("x" * place, ("a", "b"), "y", "a"), "a"),
        )
        for place, colour in enumerate(COLOURS)
    ]


def train(run, rank):
    """Train as process `rank` of the run; leaves metrics and logs in its folder.

    run: repository, start, folder, size, port, changed settings and runtime; strategy: ddp, fsdp
    or zero3; kill: step after which process 0 dies, or None; broken: rank whose loss is NaN in
    step 1.
    """
    torch.set_num_threads(1)
    if run["size"] > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
        os.environ |= {"WORLD_SIZE": str(run["size"]), "MASTER_PORT": str(run["port"])}
    if run["strategy"] == "fsdp":
        shard_on_cpu(run["repository"], sft)
    if run["strategy"] == "zero3":
        spread_on_cpu(run["repository"], sft)
    logs = {}

    def log(metrics, step):
        if step == run["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        logs.setdefault(step, {}).update(metrics)

    if run["broken"] == rank:
        original = sft.OrderedSftTrainer.compute_loss

        def compute_loss(self, *args, **kwargs):
            loss = original(self, *args, **kwargs)
            return loss * torch.nan if self._progress.step == 0 else loss

        sft.OrderedSftTrainer.compute_loss = compute_loss
    params = load_params(run["repository"] / "params.yaml")
    metrics = sft.train_sft(
        base=run["start"],
        examples=examples(),
        settings=params.sft.model_copy(update=run["settings"]),
        runtime=params.runtime.model_copy(update=run["runtime"]),
        system_prompt="",
        seed=0,
        output=run["folder"] / "model",
        resume=run["folder"] / "resume",
        log=log,
    )
    (run["folder"] / f"result-{rank}.json").write_text(json.dumps([metrics, logs]))
