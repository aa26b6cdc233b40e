"""A model, and what is said of it, as an export has them."""

import pytest
from PIL import Image

from finer1.asking import Asking
from finer1.export.card import Measured, ModelFacts
from finer1.export.example import Example
from finer1.export.golden import Golden
from finer1.export.licence import Licence
from finer1.export.results import model_index, read_results
from finer1.params import load_params
from finer1.recognition.reading import asked_about


@pytest.fixture(scope="session")
def asking():
    return Asking("trained", "", ("bird",), max_tokens=4, temperature=1.0, top_p=0.99)


@pytest.fixture(scope="session")
def run_params(repository):
    return load_params(repository / "params.yaml")


@pytest.fixture
def scores():
    """Metrics as the stage `score` has them, of one model in two cells."""
    cell = {"paper_accuracy": 0.9, "n": 336, "classes": 42}
    seen = {"accuracy": 0.8812, "low": 0.8422, "high": 0.9196, **cell}
    unseen = {"accuracy": 0.692, "low": 0.6, "high": 0.783, **cell}
    return {
        f"tapo/{place}open/{side}/{name}": value
        for place in ("", "world/")
        for side, cells in (("seen", seen), ("unseen", unseen))
        for name, value in cells.items()
    }


@pytest.fixture
def make_facts(asking, run_params, scores):
    """Facts of a card; keywords replace them."""

    def make(**changes):
        rows = read_results(scores, "tapo", "world")
        facts = {
            "name": "birds",
            "relation": "finetune",
            "base": "lab/base",
            "hub_base": "lab/base",
            "tried_on": None,
            "writes": "writes a rationale in four parts and then a name",
            "training": "It was trained in two stages.",
            "licence": Licence("other", "qwen-research", "https://example.org/licence"),
            "datasets": [],
            "tags": ("finer1",),
            "num_parameters": 1_234_567,
            "asked": asked_about(asking, (), "bird"),
            "max_tokens": 4,
            "categories": asking.categories,
            "example": Example(Image.new("RGB", (48, 48), "red"), "bird", "a red square"),
            "golden": Golden("<answer>ash wren</answer>", "ash wren", "float32", "tags"),
            "measured": Measured(
                rows=read_results(scores, "tapo"),
                index=model_index(rows, run_params, 0.95),
                protocol=[("Decoding", "greedy")],
                confidence=0.95,
                num_options=4,
            ),
            "unmeasured": "the scores are of an earlier state",
            "untold": "it was exported elsewhere",
            "audit": [("teacher", "oracle (42)")],
            "limits": ["It may be wrong."],
            "identity": [("commit", "0123abc")],
        }
        return ModelFacts(**(facts | changes))

    return make
