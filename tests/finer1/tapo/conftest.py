"""Settings, a drawn image source, and a tiny policy that answers at random in the format."""

import pytest
from PIL import Image

from finer1.params import load_params
from finer1.prompts import rationale_completion, sections_text
from finer1.records import Triplet
from finer1.sft import SftExample, train_sft

LABELS = ("a", "b")


@pytest.fixture(scope="session")
def params(repository):
    """The default parameters."""
    return load_params(repository / "params.yaml")


@pytest.fixture
def settings(params):
    """The tapo section; tests change single values."""
    return params.tapo


@pytest.fixture(scope="session")
def picture():
    """An image that depends on its name alone, by name."""

    def draw(name):
        colour = tuple(37 * (i + 1) * (ord(name[0]) + len(name)) % 256 for i in range(3))
        return Image.new("RGB", (32, 32), colour)

    return draw


@pytest.fixture(scope="session")
def triplets():
    """Two anchors of each of two sub-categories."""
    return [
        Triplet(
            anchor=f"{label}{i}",
            label=label,
            category="bird",
            positives=(f"{label}{1 - i}",),
            negative_label=other,
            negatives=(f"{other}0", f"{other}1"),
            similarity=0.5,
            encoder="base_model",
            encoder_sha256="0" * 64,
        )
        for label, other in (LABELS, LABELS[::-1])
        for i in range(2)
    ]


@pytest.fixture(scope="session")
def talking_model(tiny_model, params, picture, tmp_path_factory):
    """The tiny model after so much SFT that it writes the format, and a or b at random."""
    folder = tmp_path_factory.mktemp("talking_model")
    examples = [
        SftExample(
            image=picture("c"),  # one image for both labels: nothing to tell them by
            question="What kind of bird is this?",
            completion=rationale_completion(sections_text("x", LABELS, "y", label), label),
        )
        for label in LABELS * 4
    ]
    train_sft(
        base=tiny_model,
        examples=examples,
        settings=params.sft.model_copy(update={"epochs": 60, "lr": 1e-2}),
        runtime=params.runtime,
        system_prompt="",
        seed=0,
        output=folder / "model",
        resume=folder / "resume",
        log=lambda metrics, step: None,
    )
    return folder / "model"
