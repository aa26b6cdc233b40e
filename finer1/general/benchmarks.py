"""The benchmarks of Table 8 that lmms-eval scores: its task, the data set, the figures.

What lmms-eval has is used as it is, its prompts and its scoring included; a task file of ours
includes its own and differs in where the data set is read from, a snapshot of the hub on this disk,
and for SEED-Bench in the questions, which are those about images.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finer1.files import write_atomic

RESULTS = "[0-9]*_results.json"
"""Its file of results begins with the date; MMBench leaves another one of its own."""
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.parquet")
_OPENED, _CLOSED = "<think>", "</think>"


@dataclass(frozen=True)
class Benchmark:
    """One task of lmms-eval 0.7.3."""

    file: str
    """Its task file, below lmms_eval/tasks."""
    dataset: str
    """Id on the hub, as that file names it."""
    figures: Mapping[str, tuple[str, float]]
    """Our name -> its metric, and what to multiply it by."""
    overrides: tuple[str, ...] = ()
    """More lines of our task file."""
    is_paired: bool = False
    """Scored by pairs of neighbouring questions."""
    sums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our name -> figures to add up."""


BENCHMARKS = {
    "mme": Benchmark(
        file="mme/mme.yaml",
        dataset="lmms-lab-encoder/MME",
        # 0 to 2000 and 0 to 800 points. The paper does not say which its 1591 is; perception is
        # what it is compared with, since both parts together would be far more for such a model.
        figures={
            "perception": ("mme_perception_score", 1.0),
            "cognition": ("mme_cognition_score", 1.0),
        },
        is_paired=True,
        sums={"total": ("perception", "cognition")},
    ),
    "mmbench": Benchmark(
        file="mmbench/mmbench_en_dev_static.yaml",  # the one that asks no GPT for the letter
        dataset="lmms-lab-encoder/MMBench",
        figures={"accuracy": ("gpt_eval_score", 0.01)},  # named so, counted by its static rules
    ),
    "seed": Benchmark(
        file="seedbench/seedbench.yaml",
        dataset="lmms-lab-encoder/SEED-Bench",
        figures={"accuracy": ("seed_image", 1.0)},
        overrides=(
            "process_docs: !function finer1.general.benchmarks.about_images",
            "metric_list:",
            "  - metric: seed_image",
            "    aggregation: !function lmms_eval.tasks.seedbench.utils.seed_aggregation_result",
            "    higher_is_better: true",
        ),
    ),
}
"""By their names in params.general.tasks."""


def about_images(rows: Any) -> Any:
    """The questions of SEED-Bench that are about an image, not a video; rows: a datasets.Dataset.

    lmms-eval calls it by the name that the task file gives.
    """
    return rows.filter(lambda kind: kind == "image", input_columns=["data_type"])


def find_dataset(benchmark: Benchmark) -> Path:
    """The data set's snapshot on this disk.

    Raises ValueError with the command that fetches it when it is absent or in part.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    fetch = f"fetch it first: hf download {benchmark.dataset} --repo-type dataset"
    try:
        folder = snapshot_download(benchmark.dataset, repo_type="dataset", local_files_only=True)
    except LocalEntryNotFoundError as error:
        raise ValueError(
            f"the data set {benchmark.dataset} is not on this disk; {fetch}"
        ) from error
    if missing := _missing_shards(Path(folder)):
        raise ValueError(
            f"the data set {benchmark.dataset} lacks {len(missing)} files on this disk, the first "
            f"is {missing[0]}; {fetch}"
        )
    return Path(folder)


def write_task(name: str, package: Path, dataset: Path, folder: Path) -> str:
    """Write lmms-eval's task file for benchmark `name` to `folder`; the task's name.

    package: folder of lmms_eval. dataset: the snapshot.
    """
    benchmark = BENCHMARKS[name]
    task = f"finer1_{name}"
    lines = (
        f"task: {task}",
        f"include: {json.dumps(str(package / 'tasks' / benchmark.file))}",
        f"dataset_path: {json.dumps(str(dataset))}",
        "dataset_kwargs: {}",  # the original wants an account on the hub
        *benchmark.overrides,
    )
    write_atomic(folder / f"{task}.yaml", "".join(f"{line}\n" for line in lines).encode())
    return task


def asked_at_most(benchmark: Benchmark, limit: int | None) -> int | None:
    """`limit`, or one more where a pair would lose its second question."""
    return limit + limit % 2 if limit and benchmark.is_paired else limit


def read_figures(name: str, output: Path) -> dict[str, float]:
    """The figures of benchmark `name` in lmms-eval's output folder.

    Shares in 0..1, MME in points; `n` questions; `unfinished`, the share of completions whose
    reasoning does not end, which no answer can be read from. Raises ValueError when there are none.
    """
    benchmark, task = BENCHMARKS[name], f"finer1_{name}"
    found = sorted(output.rglob(RESULTS))
    if not found:
        raise ValueError(f"{output} holds no results of lmms-eval")
    results = json.loads(found[-1].read_text(encoding="utf-8"))
    scores = results["results"][task]
    figures = {
        ours: scores[f"{theirs},none"] * factor
        for ours, (theirs, factor) in benchmark.figures.items()
        if f"{theirs},none" in scores  # a limit may leave no question of a kind
    }
    for total, parts in benchmark.sums.items():
        if all(part in figures for part in parts):
            figures[total] = sum(figures[part] for part in parts)
    texts = [text for path in output.rglob(f"*_samples_{task}.jsonl") for text in _answers(path)]
    unfinished = sum(_OPENED in text and _CLOSED not in text for text in texts)
    asked = results["n-samples"][task]["effective"]
    return {"n": asked, **figures, "unfinished": unfinished / max(len(texts), 1)}


def _answers(path: Path) -> list[str]:
    """What was scored for each question; unfinished reasoning is left in it."""
    with path.open(encoding="utf-8") as lines:  # splitlines() would part a text at U+2028, too
        rows = [json.loads(line) for line in lines]
    return [text for row in rows for text in _texts(row["filtered_resps"])]


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def _missing_shards(folder: Path) -> list[str]:
    """Parquet files that the names of the others speak of, as in test-00001-of-00004.parquet."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.parquet"))]
    wanted = {
        f"{match[1]}-{number:05d}-of-{match[3]}.parquet"
        for name in names
        if (match := _SHARD.fullmatch(name))
        for number in range(int(match[3]))
    }
    return sorted(wanted - set(names)) if names else ["a parquet file"]
