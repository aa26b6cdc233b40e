"""The stage analysis on own images and the tiny random model."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from finer1.analysis.results import read_analyses
from finer1.images import decode_image
from tasks.analysis import analysis
from tasks.download import download

SMALL = {
    "analysis.probe.epochs": 3,
    "analysis.similarity.images_per_class": 1,
    "analysis.similarity.others": 2,
    "analysis.separability.images_per_class": 1,
    "analysis.separability.folds": 4,
    "analysis.permutations": 19,
    "score.bootstrap_samples": 20,
}
GENERA = (
    "dataset,genus,label\nbeetles,tiger,golden tiger\nbeetles,tiger,green tiger\n"
    "beetles,dor,black dor\nbeetles,dor,violet dor\n"
)


@pytest.fixture
def run(make_context, own_images, tiny_model):
    """Analyse the tiny model, with the given rows of a taxonomy; (metrics, analysis, context)."""

    def run(genera):
        models = {"analysis.models": {"tiny": {"model": str(tiny_model)}}}
        context = make_context("analysis@tiny", own_images[1] | SMALL | models)
        if not context.params.paths.index.exists():
            download(context)
        context.params.paths.taxonomy.write_text(genera, encoding="utf-8")
        metrics = analysis(context, "tiny")
        found = read_analyses(context.params.paths.predictions, ["tiny"])["tiny"]
        return metrics, found, context

    return run


def test_an_unknown_model_is_named_with_the_known_ones(make_context):
    with pytest.raises(ValueError, match=r"analysis\.models has no x; it has none"):
        analysis(make_context("analysis@x", {"analysis.models": {}}), "x")


def test_a_model_is_measured_by_probe_genus_and_names(run, logged):
    metrics, found, context = run(GENERA)
    # 4 sub-categories with 8 training images, 0.2 of which are kept for validation, and 2 for test.
    probe = found.probe
    assert (probe.num_classes, probe.num_train, probe.num_validation) == (4, 24, 8)
    assert len(found.test_ids) == len(probe.last.is_right) == metrics["analysis/probe_images"] == 8
    assert metrics["analysis/probe_last"] == np.mean(probe.last.is_right)
    assert metrics["analysis/probe_best_on_test"] >= metrics["analysis/probe_last"]
    # Each has one congener and two others, in the state before and behind each of two layers.
    assert found.similarity.level == "genus"
    assert (len(found.similarity.targets), len(found.similarity.layers)) == (4, 3)
    assert metrics["analysis/similarity_delta"] == pytest.approx(np.mean(found.similarity.deltas))
    assert [values for _, values in logged.metrics] == [
        {"analysis/similarity_by_layer": layer.delta} for layer in found.similarity.layers
    ]
    # A true and a false statement about one image of each.
    assert len(found.separability.is_right) == 2 * len(found.separability.ids) == 8
    assert metrics["analysis/separability_left_out"] == metrics["analysis/probe_left_out"] == 0
    folder = context.params.paths.predictions / "analysis@tiny"
    arrays = load_file(folder / "arrays.safetensors")
    assert arrays["class_image_means"].shape == (4, 3, 48)
    assert arrays["statement_states"].shape == (2, 4, 48)
    for name in ("layers", "names"):
        picture = decode_image((folder / f"{name}.png").read_bytes(), name)
        assert picture.size == logged.images[name].size
    assert json.dumps(metrics)


@pytest.mark.slow
def test_without_genera_there_is_no_similarity_and_equal_seeds_give_equal_figures(run):
    metrics, found, context = run("dataset,group,label\n")
    assert found.similarity is None
    assert metrics["analysis/similarity_targets"] == 0
    path = context.params.paths.predictions / "analysis@tiny.json"
    first = path.read_bytes()
    assert run("dataset,group,label\n")[0] == metrics
    assert path.read_bytes() == first


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "analysis@tiny.json").write_text('{"model": 1}')
    with pytest.raises(ValueError, match="analysis@tiny.json: model: .*run analysis@tiny again"):
        read_analyses(tmp_path, ["tiny"])
