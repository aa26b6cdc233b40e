from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finer1.draws import derive_seed
from finer1.engines.interface import EngineSettings, Request, Sampling, load_engine
from finer1.params import load_params
from finer1.records import Concepts, ImageRecord
from finer1.teacher.caption_prompts import NUM_INSTRUCTIONS, caption_prompt
from finer1.teacher.captions import Described, candidate_concepts, select_for_images
from finer1.teacher.concept_quality import measure_selection
from finer1.teacher.encoders import load_encoder
from finer1.teacher.prompts import concept_list_prompt
from finer1.world.taxonomies import load_taxonomy
from finer1.world.teacher import concept_phrases

TRUTH = ("red crown", "long tail")
CANDIDATES = ("two wings", "red crown", "blue crown", "long tail")
CAPTIONS = ("two wings, red crown", "two wings, long tail", "two wings, red crown")


def row(*concepts):
    return Concepts("id", "label", CAPTIONS, concepts, tuple(0.0 for _ in concepts))


def test_figures_equal_the_hand_worked_ones():
    figures = measure_selection([row("red crown", "blue crown")], [CANDIDATES], [TRUTH])
    assert figures == {
        "concepts/precision": 1 / 2,
        "concepts/recall": 1 / 2,
        # 2 of 4 candidates are true, so 1 of 2 picks on average
        "concepts/random_precision": 1 / 2,
        "concepts/random_recall": 1 / 2,
        # mentioned 3, 2, 0 and 1 times: two wings and red crown
        "concepts/frequency_precision": 1 / 2,
        "concepts/frequency_recall": 1 / 2,
    }


def test_what_the_selection_finds_the_count_of_mentions_misses():
    figures = measure_selection([row("red crown")], [CANDIDATES], [TRUTH])
    assert figures == {
        "concepts/precision": 1,
        "concepts/recall": 1 / 2,
        # 1 of 1 pick is true with a chance of 2/4
        "concepts/random_precision": 1 / 2,
        "concepts/random_recall": 1 / 4,
        # mentioned most: two wings
        "concepts/frequency_precision": 0,
        "concepts/frequency_recall": 0,
    }


def test_figures_are_means_over_the_images():
    rows = [row("red crown", "long tail"), row("blue crown")]
    figures = measure_selection(rows, [CANDIDATES] * 2, [TRUTH] * 2)
    # precision (1 + 0) / 2; random picks 2 and 1: recall (2 x 2/4 + 1 x 2/4) / 2 / 2 = .375
    assert figures["concepts/precision"] == 0.5
    assert figures["concepts/random_recall"] == 0.375


def test_image_without_concepts_counts_as_nothing_found():
    figures = measure_selection([row()], [()], [TRUTH])
    assert set(figures.values()) == {0}


@pytest.fixture(scope="module")
def described_birds():
    """Oracle captions and lists of twelve birds of the embedded world, with what is true."""
    engine = load_engine("oracle", EngineSettings(model=None, labels={}, device="cpu"))
    items, lists, truths = [], {}, []
    for species in load_taxonomy("embedded").by_category["bird"][::2]:
        picture = Image.new("RGB", (8, 8))
        picture.info = {"category": "bird", "attributes": " ".join(species.values)}
        record = ImageRecord(
            id=species.name,
            dataset="world",
            category="bird",
            label=species.name,
            group=None,
            phash="0" * 16,
            sha256=species.name,
            official="train",
        )
        requests = [
            Request(
                caption_prompt("bird", number),
                (picture,),
                seed=derive_seed(0, species.name, str(number)),
            )
            for number in range(NUM_INSTRUCTIONS)
        ]
        samples = engine.generate(requests, Sampling(10, 1.0, 1.0, 256))
        items.append(Described(record, tuple(item.text for group in samples for item in group)))
        asked = Request(concept_list_prompt("bird", species.name))
        lists["bird", species.name] = engine.generate([asked], Sampling(1, 1.0, 1.0, 256))[0][
            0
        ].text
        truths.append(concept_phrases("bird", species.values))
    return items, lists, truths


@pytest.fixture(scope="module", params=["class_list", "captions"])
def figures(request, described_birds, repository):
    """Quality by the default settings, for both sources of candidates."""
    items, lists, truths = described_birds
    settings = load_params(repository / "params.yaml").concepts
    settings = settings.model_copy(update={"candidates": request.param})
    candidates = candidate_concepts(items, lists, settings)
    encoder = load_encoder("char_ngrams", Path(), "cpu")
    return measure_selection(
        select_for_images(items, candidates, encoder, settings, 0), candidates, truths
    )


@pytest.mark.parametrize("baseline", ["random", "frequency"])
@pytest.mark.parametrize("figure", ["precision", "recall"])
def test_selection_beats_picking_blindly_in_the_embedded_world(figures, baseline, figure):
    # By .3 and more at full size; twelve images leave a standard error of .05 at most.
    assert figures[f"concepts/{figure}"] > figures[f"concepts/{baseline}_{figure}"] + 0.15


def test_most_of_what_is_selected_is_true(figures):
    assert figures["concepts/precision"] > 0.75
    assert np.isfinite(list(figures.values())).all()
