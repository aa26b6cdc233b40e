"""What the models of params.general have in the benchmarks of Table 8, read from their files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Benchmark:
    """A column of Table 8."""

    column: str
    title: str
    """What ours is called."""
    figure: str
    """Of the task in general@<name>.json, which stands there."""
    scale: float


BENCHMARKS = {
    "imagewikiqa": Benchmark("ImageWikiQA", "ImageWikiQA", "accuracy", 100),
    "mme": Benchmark("MME", "MME (perception)", "perception", 1),
    "mmbench": Benchmark("MMBench", "MMBench", "accuracy", 100),
    "seed": Benchmark("SEED-Bench", "SEED-Bench", "accuracy", 100),
}
"""By their names in params.general.tasks."""


@dataclass(frozen=True)
class Score:
    """What a model has in one benchmark, in the units of Table 8; shares are per cent."""

    benchmark: Benchmark
    value: float
    n: int
    low: float | None = None
    high: float | None = None
    limit: int | None = None
    """Of general.limit: the first questions alone were asked, so that it is no such benchmark."""
    unfinished: float | None = None
    """Completions whose reasoning does not end."""
    unparsed: float | None = None
    """Answers without one clear letter."""


def read_scores(folder: Path, names: Iterable[str]) -> dict[str, list[Score]]:
    """Model of params.general -> the benchmarks that it took, in the order of Table 8."""
    scores: dict[str, list[Score]] = {}
    for name in names:
        content = json.loads((folder / f"general@{name}.json").read_text(encoding="utf-8"))
        scores[name] = []
        for task, benchmark in BENCHMARKS.items():
            figures = content["tasks"].get(task, {"figures": {}})["figures"]
            if benchmark.figure not in figures:
                continue
            shares = ("low", "high", "unfinished", "unparsed")
            scores[name].append(
                Score(
                    benchmark,
                    benchmark.scale * figures[benchmark.figure],
                    int(figures["n"]),
                    limit=content["limit"],
                    **{share: 100 * figures[share] for share in shares if share in figures},
                )
            )
    return scores
