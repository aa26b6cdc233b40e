"""The rule that goes with an exported task is the one of this project."""

import ast
import random
import sys

import pytest

from finer1.evaluation.verdicts import judge_model
from finer1.general.strict_rule import strict_rule_source
from finer1.general.task_folder import rule_module
from finer1.records import Prediction, Question

LABEL = "Black-footed Albatross"
PIECES = (
    *("<answer>", "</answer>", "<think>", "</think>", "<analysis>", "</analysis>", "<prediction>"),
    *(LABEL, "black footed_albatross", "The Black-footed Albatross.", "a ", "Laysan Albatross"),
    *("\n", " ", "\u00a0", "\u2014", "!", "BLACK\u2011FOOTED albatross", "\ufb01n"),
)


@pytest.fixture(scope="module")
def written():
    names = {}
    exec(compile(rule_module(), "finer1_rule.py", "exec"), names)
    return names


def strict(completion):
    question = Question("open/1", "bird/1", "bird", LABEL, True, "open", "What?", (), "open")
    prediction = Prediction("open/1", "base", "x", "", completion, 1, "stop")
    (verdict,) = judge_model([question], [prediction], "test")
    return float(verdict.is_correct)


@pytest.mark.parametrize(
    "completion",
    [
        f"<answer>{LABEL}</answer>",
        f"<think>x</think><answer>the {LABEL.lower()}.</answer>",
        f"<answer>{LABEL}</answer><answer>{LABEL}</answer>",
        f"<answer>{LABEL} or Laysan Albatross</answer>",
        f"<answer><answer>{LABEL}</answer>",
        LABEL,
        "",
    ],
)
def test_the_written_rule_agrees_with_the_judge(written, completion):
    assert written["process_results"]({"label": LABEL}, [completion])["accuracy"] == strict(
        completion
    )


def test_the_written_rule_agrees_on_many_texts(written):
    generator = random.Random(0)
    right = 0
    for _ in range(3000):
        inner = "".join(generator.choices(PIECES, k=generator.randint(0, 4)))
        text = generator.choice((inner, f"<answer>{inner}</answer>", f"<think>x</think>{inner}"))
        verdict = strict(text)
        right += verdict
        assert written["process_results"]({"label": LABEL}, [text])["accuracy"] == verdict, text
    assert right > 50  # both verdicts were met


def test_the_rule_needs_nothing_but_python():
    modules = {
        node.module.split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(rule_module()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert modules <= sys.stdlib_module_names


def test_the_rule_holds_both_entrances():
    names = {
        node.name
        for node in ast.parse(strict_rule_source()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert {"is_exact", "parse_completion", "normalise"} <= names
