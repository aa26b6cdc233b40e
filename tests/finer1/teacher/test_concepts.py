import math

import numpy as np
import pytest

from finer1.params import load_params
from finer1.teacher.concepts import (
    caption_phrases,
    concept_information,
    count_mentions,
    listed_concepts,
    select_concepts,
)

SHARED, OWN, OTHER = np.eye(3)
"""Orthogonal embeddings: what all classes show, what this class shows, what others show."""


def unit(*vectors):
    total = np.sum(vectors, axis=0)
    return total / np.linalg.norm(total)


@pytest.fixture
def settings(repository):
    # tau 0.1, threshold_std 0.4, min_concepts 3
    return load_params(repository / "params.yaml").concepts


def test_estimate_equals_the_hand_worked_value():
    # a.b = 1, one negative with b.c = 0, tau 1: 1 - log(e^1 + e^0) = -0.3132617
    score = concept_information(OWN[None], OWN[None], OTHER[None], 1.0)
    assert score == pytest.approx([1 - math.log(math.e + 1)], abs=1e-12)


def test_distinguishing_concept_scores_above_a_shared_one():
    captions = np.array([unit(SHARED, OWN)])
    negatives = np.array([unit(SHARED, OTHER)] * 20)
    shared, own = concept_information(captions, np.array([SHARED, OWN]), negatives, 0.1)
    assert own > shared


def test_number_of_captions_does_not_matter():
    captions = np.array([unit(SHARED, OWN), unit(OWN, OTHER)])
    concepts, negatives = np.array([SHARED, OWN]), np.array([OTHER, SHARED])
    once = concept_information(captions, concepts, negatives, 0.1)
    tenfold = concept_information(np.tile(captions, (10, 1)), concepts, negatives, 0.1)
    assert tenfold == pytest.approx(once, abs=1e-12)


def test_more_captions_of_the_same_kind_change_scores_within_their_error():
    noise = np.random.default_rng(0)
    captions = np.array([unit(OWN, 0.3 * noise.normal(size=3)) for _ in range(60)])
    concepts, negatives = np.array([SHARED, OWN]), np.array([OTHER, SHARED])
    few, many = (concept_information(captions[:m], concepts, negatives, 0.1) for m in (30, 60))
    # A caption's score has a standard deviation of at most 3.2 (.32 of cosine over tau), the
    # difference of the two means one of 3.2 x sqrt(1/30 - 1/60) = .41; four of them.
    assert many == pytest.approx(few, abs=1.7)


def test_order_of_captions_concepts_and_negatives_does_not_matter():
    noise = np.random.default_rng(0)
    captions, concepts, negatives = (
        np.array([unit(row) for row in noise.normal(size=(count, 6))]) for count in (5, 4, 7)
    )
    scores = concept_information(captions, concepts, negatives, 0.1)
    turned = concept_information(captions[::-1], concepts[::-1], negatives[::-1], 0.1)
    assert turned[::-1] == pytest.approx(scores, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_what_all_classes_show_scores_below_what_one_shows(seed):
    # Captions of three classes mix the shared and the own feature in any proportion.
    weights = np.random.default_rng(seed).uniform(0.5, 2, size=(3, 20))
    features = np.eye(4)[1:]
    texts = [
        np.array([unit(w * np.eye(4)[0], own) for w in row])
        for row, own in zip(weights, features, strict=True)
    ]
    concepts = np.array([np.eye(4)[0], features[0]])
    shared, own = concept_information(texts[0], concepts, np.concatenate(texts[1:]), 0.1)
    assert own > shared


@pytest.mark.parametrize("tau", [1e-4, 1e-2, 1e2, 1e4])
def test_extreme_temperatures_stay_finite(tau):
    scores = concept_information(np.eye(3), np.eye(3), np.eye(3), tau)
    assert np.isfinite(scores).all()


def test_without_negatives_nothing_is_told_apart():
    scores = concept_information(OWN[None], np.eye(3), np.zeros((0, 3)), 0.1)
    assert scores.tolist() == [0, 0, 0]


def test_scores_are_never_positive():
    vectors = np.random.default_rng(0).normal(size=(3, 8, 5))
    captions, concepts, negatives = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    assert (concept_information(captions, concepts, negatives, 0.1) <= 0).all()


def test_concepts_above_the_threshold_are_kept_best_first(settings):
    scores = np.array([-9.0, -1.0, -9.0, -2.0, -1.5, -9.0, -1.2, -9.0])
    # mean -5.2125, std 3.79; above -5.2125 + 0.4 x 3.79 = -3.70 are four
    kept = select_concepts(list("abcdefgh"), scores, settings)
    assert [name for name, _ in kept] == ["b", "g", "e", "d"]


def test_at_least_the_least_number_is_kept(settings):
    scores = np.array([0.0, -5.0, -5.0, -5.0])
    assert [name for name, _ in select_concepts(list("abcd"), scores, settings)] == ["a", "b", "c"]


def test_fewer_candidates_than_the_least_number_are_all_kept(settings):
    assert len(select_concepts(["a", "b"], np.array([-1.0, -2.0]), settings)) == 2
    assert select_concepts([], np.zeros(0), settings) == []


def test_list_is_read_without_bullets_and_repeats():
    text = "- a red crown\n2. Long tail.\n\n* Red crown\n3) hooked beak"
    assert listed_concepts(text, "x") == ["red crown", "Long tail", "hooked beak"]


def test_list_in_markdown_loses_its_headings_and_emphasis():
    text = "Here are the features:\n\n1. **Red crown**\n\u2022 `long` tail"
    assert listed_concepts(text, "x") == ["Red crown", "long tail"]


def test_mentions_are_whole_words_in_any_case():
    captions = ["A Red crown, and", "redder red crowns", "red crown; red crown"]
    assert count_mentions(captions, "red crown") == 2


def test_concept_that_names_the_class_is_dropped():
    assert listed_concepts("typical eared grebe look\nred eye", "Eared Grebe") == ["red eye"]


def test_label_is_dropped_as_whole_words_only():
    text = "catlike gait\nlooks like a Cat\nlong tail"
    assert listed_concepts(text, "cat") == ["catlike gait", "long tail"]


def test_a_number_that_no_space_follows_is_no_bullet():
    text = "2.5 cm long bill\n1. -shaped mark\n-\n2."
    assert listed_concepts(text, "x") == ["2.5 cm long bill", "-shaped mark"]


def test_captions_are_split_into_distinct_phrases():
    captions = ["A small bird with a red eye, and a black neck.", "It has a red eye; long toes"]
    assert caption_phrases(captions, "x") == ["small bird", "red eye", "black neck", "long toes"]
