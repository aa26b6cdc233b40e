"""What answerers that recognise nothing score on the released questions: the table of the docs.

    python -m benchmarks.policies DIR [--write docs/evaluation.md]

DIR holds the twelve released question files (`finer1 data released`). Prints the table, and with
--write puts it between the two marks of the page. About a minute.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from finer1.evaluation.policies import PolicyScores, score_policies
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.similarity import load_similarity
from finer1.files import write_atomic
from finer1.records import read_jsonl
from finer1.reference.release import RATIONALES, released_files
from finer1.released.rows import ReleasedRow

SEED = 0
ENCODER = "char_ngrams"
MARKS = ("<!-- policies -->\n", "<!-- end of policies -->\n")
_COLUMNS = {
    "closed, paper": "closed_paper",
    "closed, exact, as stored": "closed_stored",
    "closed, shuffled": "closed_shuffled",
    "open, paper": "open_paper",
    "open, exact": "open_exact",
    "similarity, paper": "similarity_paper",
    "similarity": "similarity",
    "format": "format_rate",
    "hedge": "hedge_rate",
}


def released_rows(folder: Path, files: Sequence[str]) -> list[ScoredRow]:
    """The rows of released files, without a completion."""
    return [
        ScoredRow(row.image_path, row.question, row.ground_truth, "", row.options)
        for name in files
        for row in read_jsonl(folder / name, ReleasedRow)
    ]


def question_files() -> list[str]:
    """Names of the released question files."""
    return [file.name for file in released_files() if file.name != RATIONALES]


def markdown(scores: Sequence[PolicyScores], num_rows: int, encoder: str) -> str:
    """The table, in per cent, and under it what was scored with what."""
    lines = [
        f"| answers with | {' | '.join(_COLUMNS)} |",
        f"| --- |{' ---: |' * len(_COLUMNS)}",
        *(f"| {row.name} | {_cells(row)} |" for row in scores),
        "",
        f"{num_rows:,} released rows, in %; seed {SEED}; similarity by {encoder}.",
    ]
    return "\n".join(lines) + "\n"


def _cells(row: PolicyScores) -> str:
    return " | ".join(f"{100 * getattr(row, key):.1f}" for key in _COLUMNS.values())


def replaced(page: str, table: str) -> str:
    """The page with the table between its marks. Raises ValueError where they are not there."""
    before, opening, rest = page.partition(MARKS[0])
    _, closing, after = rest.partition(MARKS[1])
    if not opening or not closing:
        raise ValueError(f"the page has not both of the lines {' and '.join(MARKS)}".strip())
    return f"{before}{opening}{table}{closing}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="What the policies score on released questions.")
    parser.add_argument("folder", type=Path, help="of the released question files")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    given = parser.parse_args(arguments)
    files = question_files()
    if missing := [name for name in files if not (given.folder / name).is_file()]:
        parser.error(f"{given.folder} lacks {', '.join(missing)}; see finer1 data released")
    rows = released_rows(given.folder, files)
    similarity = load_similarity(ENCODER, Path.cwd(), "cpu")
    table = markdown(score_policies(rows, SEED, similarity), len(rows), similarity.name)
    print(table, end="")
    if given.write:
        page = replaced(given.write.read_text(encoding="utf-8"), table)
        write_atomic(given.write, page.encode())


if __name__ == "__main__":
    main()
