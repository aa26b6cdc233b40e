"""The files that answers to a question set are written to."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from finer1.files import sha256_file, write_atomic, write_json
from finer1.question_sets.asking import Answered
from finer1.question_sets.interface import KINDS
from finer1.records import Prediction


def facts(source: Path, model: str, first: Prediction) -> dict[str, object]:
    """What was asked of which model, for the file of scores; of a folder there is no hash."""
    return {
        "set": source.name,
        "set_sha256": sha256_file(source) if source.is_file() else None,
        "model": model,
        "identity": first.identity,
        "strategy": first.strategy,
        "version": version("finer1"),
    }


def write_answers(
    output: Path, answered: Sequence[Answered], scores: Mapping[str, object]
) -> list[str]:
    """Write the rows of each kind, and the scores; what was written, a phrase each.

    The first kind of KINDS that is there has the name `output`, <stem>.jsonl; others have
    <stem>.<kind>.jsonl, the scores <stem>.scores.json.
    """
    written = []
    kinds = [kind for kind in KINDS if any(item.question.kind == kind for item in answered)]
    for kind in kinds:
        path = output if kind == kinds[0] else output.with_suffix(f".{kind}.jsonl")
        rows = [item.row() for item in answered if item.question.kind == kind]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        write_atomic(path, "".join(lines).encode())
        written.append(f"{path}: {len(rows)} {kind}")
    path = output.with_suffix(".scores.json")
    write_json(path, scores)
    return [*written, str(path)]
