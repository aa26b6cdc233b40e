"""Scoring the 35,566 released questions: time and memory of `finer1 score` and of the stage.

    python -m benchmarks.score DIR [--scratch DIR]

DIR holds the twelve released question files. The completions are made up: a rationale of 120 words
in the released format, the truth in three of five. Every row of the table is a process of its own,
from its start to its end. Prints markdown; about two minutes, 600 MB in the scratch folder.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.policies import question_files
from finer1.evaluation_params import OWN_MODELS
from finer1.records import Prediction, Question, Row, read_jsonl, write_jsonl
from finer1.reference.classes import released_classes
from finer1.released.rows import ReleasedRow

SAMPLES = 1000
"""Bootstrap rounds."""
NUM_WORDS = 120
BAR_S = 20.0
"""CPU seconds for one model's answers in one setting; one process, one core."""
WORDS = ("image", "shows", "dark", "bill", "pale", "legs", "white", "spots", "along", "its", "wing")
ROWS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "stage, closed": (("tapo",), ("closed",)),
    "stage, open, char_ngrams": (("tapo",), ("open",)),
    "stage, three models, both, char_ngrams": (OWN_MODELS, ("closed", "open")),
}
"""Rows of the stage's own path: models and settings."""


def write_inputs(rows: Sequence[tuple[str, ReleasedRow]], folder: Path, seed: int) -> None:
    """Files with completions for `finer1 score` and for the stage, equal ones for equal seeds.

    rows: each with its dataset.
    """
    lines: list[str] = []
    questions: list[Question] = []
    predictions: dict[str, list[Prediction]] = {model: [] for model in OWN_MODELS}
    generator = random.Random(seed)
    for number, (dataset, row) in enumerate(rows):
        fields = {"image_path": row.image_path, "question": row.question, "options": row.options}
        completion = make_completion(row, generator)
        lines.append(
            json.dumps({**fields, "ground_truth": row.ground_truth, "completion": completion})
        )
        for setting in ("closed", "open"):
            key = f"{setting}/{dataset}/{number}"
            questions.append(_question(key, dataset, row, setting))
            for model in OWN_MODELS:
                text = make_completion(row, generator)
                predictions[model].append(Prediction(key, model, "none", "", text, 150, "stop"))
    (folder / "outputs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for setting in ("closed", "open"):
        kept = [item for item in questions if item.setting == setting]
        write_jsonl(folder / f"questions_{setting}.jsonl", kept)
        for model in OWN_MODELS:
            mine = [row for row in predictions[model] if row.question_id.startswith(setting)]
            write_jsonl(folder / f"{model}_{setting}.jsonl", mine)


def make_completion(row: ReleasedRow, generator: random.Random) -> str:
    """A rationale of drawn words, and the truth in three of five answers, else any option."""
    words = " ".join(generator.choices(WORDS, k=NUM_WORDS))
    is_right = generator.random() < 0.6
    answer = row.ground_truth if is_right else generator.choice(row.options)
    return f"<think>{words}</think><answer>{answer}</answer>"


def score_stage(name: str, folder: Path, samples: int) -> int:
    """What the stage `score` does, but for the levels and its log; the number of verdicts."""
    from finer1.evaluation.metrics import score_models
    from finer1.evaluation.similarity import answer_similarities, load_similarity
    from finer1.evaluation.statistics import Bootstrap
    from finer1.evaluation.verdicts import judge_model

    models, settings = ROWS[name]
    similarity = load_similarity("char_ngrams", folder, "cpu")
    questions = _read(folder, "questions", settings, Question)
    verdicts = {}
    for model in models:
        rows = _read(folder, model, settings, Prediction)
        scores = answer_similarities(questions, rows, similarity)
        verdicts[model] = judge_model(questions, rows, model, scores)
    judged = [row for rows in verdicts.values() for row in rows]
    write_jsonl(folder / "verdicts.jsonl", judged)
    score_models(verdicts, Bootstrap(samples, 0.95, 0))
    return len(judged)


def measure(command: Sequence[str]) -> tuple[float, float, int]:
    """Seconds on the clock and of CPU time, and peak MiB, of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # ru_maxrss would be this process's peak where that is larger: it passes on at the fork.
    peak = 0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, _peak_memory(process.pid))
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, peak


def _peak_memory(process: int) -> int:
    """MiB; 0 of a process that just ended."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) // 1024 if found else 0


def scoring_rows(folder: Path, samples: int) -> Iterator[list[str]]:
    """The first table, row by row; `folder` holds what write_inputs wrote."""
    file = [sys.executable, "-m", "flows.cli", "score", str(folder / "outputs.jsonl")]
    file += ["--samples", str(samples), "--json", str(folder / "scores.json"), "--mode"]
    stage = [sys.executable, "-m", "benchmarks.score", str(folder), "--samples", str(samples)]
    num_rows = sum(1 for _ in (folder / "outputs.jsonl").open("rb"))
    commands = {
        "finer1 score, closed": ([*file, "closed"], num_rows),
        "finer1 score, open, char_ngrams": ([*file, "open"], num_rows),
        **{
            name: ([*stage, "--row", name], num_rows * len(models) * len(settings))
            for name, (models, settings) in ROWS.items()
        },
    }
    for name, (command, count) in commands.items():
        seconds, cpu, memory = measure(command)
        bar = "" if count > num_rows else "holds" if cpu <= BAR_S else "FAILS"
        yield [name, f"{count:,}", f"{seconds:.1f}", f"{cpu:.1f}", f"{memory}", bar]


def _question(key: str, dataset: str, row: ReleasedRow, setting: str) -> Question:
    is_closed = setting == "closed"
    return Question(
        id=key,
        image_id=key.partition("/")[2],
        category=dataset,
        label=row.ground_truth,
        seen=released_classes(dataset)[row.ground_truth],
        setting="closed" if is_closed else "open",
        text=row.question,
        options=row.options if is_closed else (),
        source="released" if is_closed else "open",
    )


def _read(folder: Path, name: str, settings: Sequence[str], kind: type[Row]) -> list[Row]:
    return [
        row for setting in settings for row in read_jsonl(folder / f"{name}_{setting}.jsonl", kind)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Speed of scoring.")
    parser.add_argument("folder", type=Path, help="of the released question files")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="bootstrap rounds")
    parser.add_argument("--scratch", type=Path, help="where a temporary folder is made")
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.row:
        print(score_stage(given.row, given.folder, given.samples))
        return
    # Brings torch, transformers and trl, which no row may pay for.
    from benchmarks.tables import describe_machine, markdown_table

    files = question_files()
    if missing := [name for name in files if not (given.folder / name).is_file()]:
        parser.error(f"{given.folder} lacks {', '.join(missing)}; see finer1 data released")
    rows = [
        (name.partition("_")[0], row)
        for name in files
        for row in read_jsonl(given.folder / name, ReleasedRow)
    ]
    columns = ("what", "predictions", "s", "CPU s", "peak MiB", f"bar, {BAR_S:.0f} CPU s")
    print(f"{describe_machine()}\n\n{markdown_table(columns, [], 1)}")
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        write_inputs(rows, Path(scratch), seed=0)
        for cells in scoring_rows(Path(scratch), given.samples):
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
