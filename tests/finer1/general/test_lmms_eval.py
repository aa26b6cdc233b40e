"""lmms-eval itself: our model class in it, our tasks in it, and what it reads answers from."""

import json
import subprocess
import sys
from collections import defaultdict

import pytest

from finer1.evaluation.verdicts import judge_model
from finer1.general.harness import REASONING_TAGS, find_package
from finer1.general.task_folder import task_name, write_task_folder
from finer1.images import ImageArchive, write_archive
from finer1.records import Prediction, Question
from finer1.world.drawing import draw, png_bytes
from finer1.world.taxonomies import load_taxonomy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _lmms_ready():
    try:
        find_package()
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def questions():
    """Closed and open questions about six birds; the base model answers some of each rightly."""
    birds = load_taxonomy("embedded").by_category["bird"][:6]
    names = tuple(bird.name for bird in birds)
    return [
        Question(
            f"{setting}/world/{place}.png",
            f"world/{place}.png",
            "bird",
            bird.name,
            place < 3,
            setting,
            "What is the bird?",
            names[:4] if setting == "closed" else (),
            "test",
        )
        for place, bird in enumerate(birds[:4])
        for setting in ("closed", "open")
    ]


@pytest.fixture(scope="module")
def evaluated(questions, repository, tmp_path_factory):
    """lmms-eval's output folder for the exported questions and the base model of the world."""
    root = tmp_path_factory.mktemp("exported")
    birds = load_taxonomy("embedded").by_category["bird"]
    images = [
        (f"{place}.png", png_bytes(draw("bird", birds[place].values, place, 0.1), {}))
        for place in range(4)
    ]
    write_archive(root / "images/world.zip", images)
    write_task_folder(questions, ImageArchive(root / "images"), "", 32, root / "tasks")
    command = [
        *(sys.executable, "-m", "lmms_eval", "--model", "finer1", "--tasks", "finer1_all"),
        *("--include_path", str(root / "tasks"), "--output_path", str(root / "out")),
        *("--log_samples", "--model_args"),
        f"model=models/base/world,store={root / 'store'},scratch={root / 'scratch'}",
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert list((root / "out").rglob("*_results.json")), done.stdout + done.stderr
    return root / "out"


def test_its_number_is_ours_on_the_same_completions(evaluated, questions):
    tasks = defaultdict(list)
    for question in questions:
        tasks[task_name(question)].append(question)
    (results,) = evaluated.rglob("*_results.json")
    scores = json.loads(results.read_text())["results"]
    right = 0
    for task, group in tasks.items():
        (samples,) = evaluated.rglob(f"*_samples_{task}.jsonl")
        rows = sorted(map(json.loads, samples.read_text().splitlines()), key=_place)
        assert [row["target"] for row in rows] == [question.label for question in group]
        predictions = [
            Prediction(question.id, "base", "x", "", _text(row), 1, "stop")
            for question, row in zip(group, rows, strict=True)
        ]
        verdicts = judge_model(group, predictions, task)
        accuracy = sum(verdict.is_correct for verdict in verdicts) / len(verdicts)
        assert scores[task]["accuracy,none"] == pytest.approx(accuracy)
        right += sum(verdict.is_correct for verdict in verdicts)
    assert 0 < right < len(questions)


@pytest.mark.parametrize(
    ("completion", "read"),
    [
        ("<think>Blue or red?</think><answer>B</answer>", "B"),
        ("<answer>yes</answer>", "yes"),
        ("<think>Blue or red?</think> B", "B"),
        ("opened by the template</think>\n<answer>No</answer>", "No"),
        ("B", "B"),
    ],
)
def test_it_reads_the_answer_after_the_reasoning(completion, read):
    from lmms_eval.api.reasoning import strip_reasoning_tags

    assert strip_reasoning_tags(completion, [list(pair) for pair in REASONING_TAGS]) == read


def test_its_task_files_name_the_data_sets_that_we_look_for():
    import yaml

    from finer1.general.benchmarks import BENCHMARKS

    folder = find_package() / "tasks"
    for benchmark in BENCHMARKS.values():
        text = (folder / benchmark.file).read_text().replace("!function", "")
        task = yaml.safe_load(text)
        if "include" in task:
            included = (folder / benchmark.file).with_name(task["include"])
            task = yaml.safe_load(included.read_text().replace("!function", "")) | task
        assert task["dataset_path"] == benchmark.dataset


def _place(row):
    return row["doc_id"]


def _text(row):
    texts = row["filtered_resps"]
    return texts if isinstance(texts, str) else texts[0]
