import os

import pytest

from finer1.export.golden import Golden, check_golden, quiet_environment, run_block

ENVIRON = quiet_environment(os.environ, "cpu")
GOLDEN = Golden("a <answer>ash wren</answer>", "ash wren", "float32", "tags")


def card(said):
    return f"# A\n\n```python\nprint({said!r})\n```\n"


def test_a_block_runs_in_a_process_that_knows_nothing_of_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "trap.py").write_text("")
    block = "import sys, os\nprint('finer1' in sys.modules, os.getcwd(), sys.path[0])"
    said = run_block(block, tmp_path, quiet_environment(os.environ, "cpu"))
    assert said.startswith(f"False {tmp_path}")
    with pytest.raises(RuntimeError, match="No module named 'trap'"):
        run_block("import trap", tmp_path, ENVIRON)


def test_the_same_words_are_golden(tmp_path):
    said = check_golden(card(GOLDEN.raw), tmp_path, GOLDEN, True, ENVIRON)
    assert said == "ash wren, word for word as the project's own decoder (float32)"


def test_other_words_are_refused_and_shown(tmp_path):
    for other in ("b <answer>ash wren</answer>", "a <answer>elm wren</answer>"):
        with pytest.raises(RuntimeError, match="answers otherwise.*nothing was written"):
            check_golden(card(other), tmp_path, GOLDEN, True, ENVIRON)


def test_of_adapters_the_answer_counts(tmp_path):
    said = check_golden(card("b <answer>Ash wren</answer>"), tmp_path, GOLDEN, False, ENVIRON)
    assert said == "Ash wren, as the project's own decoder; the words before it differ"
    with pytest.raises(RuntimeError, match="answers otherwise"):
        check_golden(card("b <answer>elm wren</answer>"), tmp_path, GOLDEN, False, ENVIRON)


def test_a_block_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="does not answer in a fresh process: ValueError: no"):
        run_block("raise ValueError('no')", tmp_path, ENVIRON)


def test_a_block_that_does_not_end_is_ended(tmp_path):
    with pytest.raises(RuntimeError, match="has not answered in a fresh process after 0.1 s"):
        run_block("import time; time.sleep(600)", tmp_path, ENVIRON, timeout_s=0.1)


def test_a_block_knows_no_token_and_speaks_utf8(tmp_path):
    environ = {**ENVIRON, "HF_TOKEN": "hf_canary", "LC_ALL": "C"}
    block = "import os; print('HF_TOKEN' in os.environ, chr(233))"
    assert run_block(block, tmp_path, environ) == "False \xe9"
