"""How long runs will take, from dvc.yaml's meta.seconds and what the runs share.

Stages with equal command, parameters and stages before them run once and come from DVC's cache
for the others. Figures are for two cores and the embedded default.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from finer1.planning.counts import num_seen, num_taught
from tasks.identity import all_entries, look_up

_START_S = 8.0
"""Of a stage's seconds: imports, reading, tracking; the rest goes with the work."""
_PER_RUN_S = 10.0
"""DVC's own time for a run: the copy, the checks, the commit."""


class Forecast:
    """Keys and durations of the stages of runs."""

    def __init__(self, graph: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """graph: `stages` of dvc.yaml. values: params.yaml, to which its seconds belong."""
        self._graph = dict(graph)
        self._values = values

    def stages(self, values: dict[str, Any]) -> dict[str, float]:
        """Key of each stage of a run with these values -> its seconds."""
        entries = all_entries(self._graph, values)
        keys = _keys(entries, values)
        return {keys[name]: self._seconds(name, entry, values) for name, entry in entries.items()}

    def seconds(self, runs: Iterable[dict[str, Any]], done: Iterable[dict[str, Any]] = ()) -> float:
        """Expected seconds of runs, one after the other; what `done` ones made is there."""
        known = {key for values in done for key in self.stages(values)}
        needed: dict[str, float] = {}
        number = 0
        for values in runs:
            needed |= self.stages(values)
            number += 1
        return sum(s for key, s in needed.items() if key not in known) + number * _PER_RUN_S

    def _seconds(self, name: str, entry: Mapping[str, Any], values: Mapping[str, Any]) -> float:
        expected = float(entry.get("meta", {}).get("seconds", 0))
        usual = _work(name, self._values)
        if usual == 0 or expected <= _START_S:
            return expected
        return _START_S + (expected - _START_S) * _work(name, values) / usual


def _work(stage: str, values: Mapping[str, Any]) -> float:
    """What a training stage's duration goes with."""
    if stage == "tapo":
        tapo = values["tapo"]
        rollouts = tapo["anchor_rollouts"] + tapo["positive_rollouts"]
        return float(tapo["steps"] * tapo["prompts_per_step"] * rollouts)
    if stage == "sft":
        sft, split, cot = values["sft"], values["split"], values["cot"]
        if sft["steps"] is not None:
            return float(sft["steps"] * sft["batch_size"])
        seen = num_seen(values["download"]["world"]["taxonomy"], split["seen_fraction"])
        rows = num_taught(seen, split["sft_shots"], cot["per_class"], cot["total"])
        return float(sft["epochs"] * rows)
    return 1.0


def _keys(entries: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, str]:
    """Stage -> hash of its command, its parameters and the keys of the stages that it reads."""
    makers = _makers(entries)
    keys: dict[str, str] = {}

    def key_of(name: str) -> str:
        if name not in keys:
            entry = entries[name]
            sources = {
                path: sorted(key_of(maker) for maker in makers.get(path, ()))
                for path in _paths(entry.get("deps", []))
            }
            params = {param: look_up(values, param) for param in entry.get("params", [])}
            text = json.dumps([entry.get("cmd"), params, sources], sort_keys=True)
            keys[name] = hashlib.sha256(text.encode()).hexdigest()
        return keys[name]

    for name in entries:
        key_of(name)
    return keys


def _makers(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Path that a stage makes, or a folder above it -> the stages that make something there."""
    makers: dict[str, list[str]] = {}
    for name, entry in entries.items():
        for path in _paths([*entry.get("outs", []), *entry.get("metrics", [])]):
            for place in (PurePosixPath(path), *PurePosixPath(path).parents):
                makers.setdefault(str(place), []).append(name)
    return makers


def _paths(items: Iterable[Any]) -> list[str]:
    """DVC writes an output as a path, or as a mapping with it as the key."""
    return [next(iter(item)) if isinstance(item, dict) else item for item in items]
