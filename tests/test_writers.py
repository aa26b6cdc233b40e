"""Every file that must be whole is written by finer1/files.py: seen by reading the code."""

import ast
from pathlib import Path

import pytest

from flows.imports import ROOMS

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
BLOCKS = {"new_file", "new_folder", "TemporaryDirectory", "scratch_folder"}
"""What is written inside of their blocks gets its final name by them, or goes with them."""
WRITES = {
    *("write_text", "write_bytes", "save_pretrained", "save_file", "savefig", "tofile", "dump"),
    *("copyfile", "copy", "copy2", "copytree", "move", "rename", "renames", "symlink_to", "link"),
    *("save", "savez", "to_csv", "to_json", "to_parquet", "write_table", "ParquetWriter"),
    *("FileHandler", "hardlink_to", "truncate", "ftruncate", "mkstemp", "NamedTemporaryFile"),
}
NO_FILES = {"copy.copy", "image.copy", "model_copy"}
REVIEWED = {
    "finer1/files.py": "the helper itself",
    "finer1/downloads/transfer.py:_append": "a part that grows; published when its hash is right",
    "finer1/downloads/fetching.py:sole_writer": "a lock",
    "finer1/downloads/extraction.py:_write": "below the folder that `extract` publishes",
    "finer1/downloads/official.py:_assemble": "below the folder that `obtain` publishes",
    "finer1/hub/copies.py:_write_new": "compared before it is kept; the list comes last",
    "finer1/embeddings.py:_owned": "a lock",
    "finer1/inspection/cache.py:save": "a lock",
    "finer1/engines/generation_file.py:_locked": "lines added under a lock; a torn one is cut off",
    "finer1/engines/generation_file.py:_append": "lines added under a lock; a torn one is cut off",
    "finer1/export/folder.py:fill_folder": "below the folder that `write_model` publishes",
    "finer1/export/folder.py:write_defaults": "below the folder that `write_model` publishes",
    "finer1/export/licence.py:copy_texts": "below the folder that `write_model` publishes",
    "finer1/journal.py:_held": "lines added under a lock; a torn one is cut off",
    "finer1/general/harness.py:run_harness": "a log",
    "finer1/datasets/mat_parser.py:_parse_apart": "a pipe",
    "finer1/serving/server.py:load": "a message to the server, written anew for each update",
    "finer1/preflight/behaviour.py:main": "the standard output",
    "finer1/world/pretrain.py:save_base": "below the folder that `pretrain` publishes",
    "tasks/stage.py:_owned": "a lock",
    "tasks/stage.py:_report_exit": "on a full disk, a byte in the place of another",
    "finer1/downloads/official.py:_move_entries": "below the folder that `obtain` publishes",
    "tasks/tracking/journal.py": "lines added under a lock; a folder gets its name when it is made",
    "tasks/tracking/pictures.py": "pictures of a journal, before the line that names them",
    "tasks/tracking/run.py:log": "lines added to a log; a torn one is cut off",
    "tasks/tracking/store.py:prepare_store": "a lock",
    "tasks/tracking/store.py:_make_store": "a database made beside its place and renamed",
    "flows/deploy.py:start": "a log",
    "flows/endpoints.py:_start": "a log",
    "flows/predicting.py:_write": "lines added; a torn one is cut off",
    "flows/workspace.py:hold": "a lock",
    "flows/runner.py:_run_stage": "a log",
    "flows/trials.py:_run_dvc": "a log",
    "flows/scratch.py": "locks",
    "flows/smoke.py:prepare": "a copy of the project that goes with the test",
}
"""`module` or `module:function` -> why its writes need no helper."""


def writes_of(tree):
    """(function, line, what) of every call that writes a file outside of a block that publishes."""
    found = []

    def visit(node, function, is_held):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function, is_held = node.name, False
        if isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func).split(".")[-1] in BLOCKS
            for item in node.items
        ):
            for item in node.items:
                visit(item.context_expr, function, True)
            for child in node.body:
                visit(child, function, True)
            return
        if isinstance(node, ast.Call) and not is_held and (what := written(node)):
            found.append((function, node.lineno, what))
        for child in ast.iter_child_nodes(node):
            visit(child, function, is_held)

    visit(tree, "", False)
    return found


def written(call):
    """The way in which a call writes a file, None when it does not."""
    name = ast.unparse(call.func)
    last = name.split(".")[-1]
    if name in ("open", "os.fdopen", "io.open", "os.open", "gzip.open") or last == "open":
        words = [*call.args, *(word.value for word in call.keywords)]
        modes = [w.value for w in words if isinstance(w, ast.Constant) and isinstance(w.value, str)]
        flags = [ast.unparse(word) for word in words if "os.O_" in ast.unparse(word)]
        is_writing = any(set(mode) <= set("rwxab+t") and set(mode) & set("wxa+") for mode in modes)
        return name if is_writing or any("WR" in flag for flag in flags) else None
    if last == "replace":  # of a path: that of a text has two, that of a dataclass names fields
        is_path = isinstance(call.func, ast.Attribute) and len(call.args) == 1
        return name if is_path and not call.keywords else None
    if name == "zipfile.ZipFile" and len(call.args) > 1:
        return name
    is_buffer = any(ast.unparse(word) in ("buffer", "file", "text") for word in call.args)
    is_plain = name in ("save", "to_json")  # safetensors.torch.save gives bytes
    if last not in WRITES or name in NO_FILES or is_buffer or is_plain or not call.args:
        return None
    return name


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_final_paths_are_written_by_one_helper(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = [
        f"{path}:{line} {what} in {function}"
        for function, line, what in writes_of(tree)
        if str(path) not in REVIEWED and f"{path}:{function}" not in REVIEWED
    ]
    assert found == []


def test_every_exception_is_one():
    modules = {key.partition(":")[0] for key in REVIEWED}
    found = set()
    for path in modules:
        writes = writes_of(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        found |= {path, *(f"{path}:{function}" for function, _, _ in writes)} if writes else set()
    assert set(REVIEWED) <= found


@pytest.mark.parametrize(
    ("line", "is_write"),
    [
        ("path.open('w')", True),
        ("open(path, mode='ab')", True),
        ("path.open('rb')", False),
        ("os.open(path, os.O_RDWR | os.O_CREAT)", True),
        ("part.replace(path)", True),
        ("text.replace('a', 'b')", False),
        ("model.save_pretrained(folder)", True),
        ("with new_folder(path) as part: model.save_pretrained(part)", False),
        ("with new_folder(path):\n    def late(): path.write_text('x')", True),
        ("image.save(buffer, 'PNG')", False),
    ],
)
def test_the_rule_knows_a_write(line, is_write):
    assert bool(writes_of(ast.parse(line))) is is_write
