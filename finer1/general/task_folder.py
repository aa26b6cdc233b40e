"""The run's questions as a task folder for lmms-eval: what is asked, with images, and the rule.

A task per dataset, side and setting, `finer1_<dataset>_<seen|unseen>_<closed|open>`: a YAML file
and a parquet file, and for all of them finer1_rule.py and the group `finer1_all`. Its number is the
strict accuracy of `finer1 score`.
"""

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from finer1.evaluation.strategies import ask
from finer1.evaluation.verdicts import dataset_of
from finer1.files import new_file, write_atomic
from finer1.general.strict_rule import strict_rule_source
from finer1.images import ImageArchive, decode
from finer1.records import Question

_OURS = "finer1_"
"""What the name of each of our files begins with."""
RULE = "finer1_rule"
GROUP = "finer1_all"
"""Not finer1: lmms-eval takes a task's name for a folder where there is one of that name."""
_ROWS_AT_ONCE = 64
_MARK = re.compile(r"# The strict rule stands here.*?\n(?:from finer1.*\n)+")
_COLUMNS = ("question_id", "prompt", "system", "label", "options")
_FEATURES = {
    "info": {
        "features": {name: {"dtype": "string", "_type": "Value"} for name in _COLUMNS}
        | {"image": {"_type": "Image"}}
    }
}
"""What the package datasets reads a column of images by."""


def write_task_folder(
    questions: Sequence[Question],
    archive: ImageArchive,
    system: str,
    max_tokens: int,
    folder: Path,
) -> dict[str, int]:
    """Write the tasks; task -> number of questions.

    system: text of the system turn, empty for none. max_tokens: of a completion. Asked is as the
    strategy `trained` asks. What an earlier call left in the folder goes first, since lmms-eval
    would list a task that is no longer written. Raises ValueError when there is no question, or
    when two datasets would give tasks of one name.
    """
    if not questions:
        raise ValueError("there is no question to export; run finer1 run questions first")
    tasks: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        tasks[task_name(question)].append(question)
    for task, group in tasks.items():
        datasets = sorted({dataset_of(question) for question in group})
        if len(datasets) > 1:
            raise ValueError(
                f"the datasets {' and '.join(datasets)} would both be {task}; export runs of one "
                "of them each"
            )
    for suffix in ("yaml", "parquet", "py"):
        for path in folder.glob(f"{_OURS}*.{suffix}"):
            path.unlink()
    for task, group in sorted(tasks.items()):
        _write_rows(_rows(group, archive, system), folder / f"{task}.parquet")
        _write_text(folder / f"{task}.yaml", _task_yaml(task, max_tokens))
    members = "".join(f"  - {task}\n" for task in sorted(tasks))
    _write_text(folder / f"{GROUP}.yaml", f"group: {GROUP}\ntask:\n{members}")
    _write_text(folder / f"{RULE}.py", rule_module())
    return {task: len(group) for task, group in sorted(tasks.items())}


def task_name(question: Question) -> str:
    """`finer1_<dataset>_<seen|unseen>_<closed|open>`."""
    dataset = re.sub(r"\W", "_", dataset_of(question))
    side = "seen" if question.seen else "unseen"
    return f"{_OURS}{dataset}_{side}_{question.setting}"


def rule_module() -> str:
    """Source of the module that asks and scores: the template with the strict rule in it."""
    template = Path(__file__).with_name("task_template.py").read_text(encoding="utf-8")
    text, count = _MARK.subn(lambda _: strict_rule_source(), template)
    assert count == 1
    return text


def _task_yaml(task: str, max_tokens: int) -> str:
    # reasoning_tags: lmms-eval would cut out the reasoning, and the rule reads all of it.
    # until: a rationale may hold any text.
    return f"""\
task: {task}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {task}.parquet
test_split: test
output_type: generate_until
doc_to_text: !function {RULE}.doc_to_text
doc_to_visual: !function {RULE}.doc_to_visual
doc_to_messages: !function {RULE}.doc_to_messages
doc_to_target: label
process_results: !function {RULE}.process_results
reasoning_tags: none
generation_kwargs:
  until: []
  max_new_tokens: {max_tokens}
  temperature: 0
  do_sample: false
metric_list:
  - metric: accuracy
    aggregation: mean
    higher_is_better: true
  - metric: answered
    aggregation: mean
    higher_is_better: true
"""


def _rows(
    questions: Iterable[Question], archive: ImageArchive, system: str
) -> Iterable[dict[str, Any]]:
    for question in questions:
        asked = ask(question, "trained", system)
        values = (
            question.id,
            asked.user,
            asked.system,
            question.label,
            json.dumps(question.options),
        )
        image = {"bytes": _plain_bytes(archive, question.image_id), "path": None}
        yield dict(zip(_COLUMNS, values, strict=True)) | {"image": image}


def _plain_bytes(archive: ImageArchive, image_id: str) -> bytes:
    """The image file, where every decoder sees the same in it; else our picture of it as PNG."""
    content = archive.read_bytes(image_id)
    decoded = decode(content)
    if not decoded.oddities:
        return content
    buffer = io.BytesIO()
    decoded.image.save(buffer, "PNG")
    return buffer.getvalue()


def _write_rows(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write a parquet file, whole or not at all, a few rows in memory at a time."""
    import pyarrow
    import pyarrow.parquet

    text, binary = pyarrow.string(), pyarrow.binary()
    picture = pyarrow.struct([("bytes", binary), ("path", text)])
    columns = [*((name, text) for name in _COLUMNS), ("image", picture)]
    schema = pyarrow.schema(columns, metadata={"huggingface": json.dumps(_FEATURES)})
    with new_file(path) as part, pyarrow.parquet.ParquetWriter(part, schema) as writer:
        held: list[dict[str, Any]] = []
        for row in rows:
            held.append(row)
            if len(held) == _ROWS_AT_ONCE:
                writer.write_table(pyarrow.Table.from_pylist(held, schema))
                held = []
        writer.write_table(pyarrow.Table.from_pylist(held, schema))


def _write_text(path: Path, text: str) -> None:
    write_atomic(path, text.encode())
