"""Questions and completions from which verdicts are made."""

import pytest

from finer1.evaluation.verdicts import judge
from finer1.prompts import rationale_completion, sections_text
from finer1.records import Prediction, Question

LABELS = ("ash wren", "elm wren", "oak wren", "reed tern")


@pytest.fixture(scope="session")
def ask():
    """Make a question about an elm wren, or what is given instead."""

    def make(number=0, setting="open", label="elm wren", seen=True, options=LABELS, dataset="bird"):
        return Question(
            id=f"{setting}/{label}/{number}",
            image_id=f"{dataset}/{label}/{number}",
            category="bird",
            label=label,
            seen=seen,
            setting=setting,
            text="What is this?",
            options=options if setting == "closed" else (),
            source="random" if setting == "closed" else "open",
        )

    return make


@pytest.fixture(scope="session")
def predict():
    """Make a prediction with a completion for a question."""

    def make(question, completion, model="tapo", tokens=10, finish="stop", **more):
        return Prediction(
            question.id, model, "hash", question.text, completion, tokens, finish, **more
        )

    return make


@pytest.fixture(scope="session")
def verdict(ask, predict):
    """Judge a completion, or an answer in a whole rationale, for a question."""

    def make(completion=None, answer=None, model="tapo", votes=(), answer_from="tags", **question):
        asked = ask(**question)
        text = rationale(answer) if completion is None else completion
        prediction = predict(asked, text, model, votes=votes, answer_from=answer_from)
        return judge(asked, prediction, LABELS)

    return make


def rationale(answer, prediction=None, options=LABELS):
    """A completion in the full format."""
    sections = sections_text("small", options, "all alike", prediction or answer)
    return rationale_completion(sections, answer)
