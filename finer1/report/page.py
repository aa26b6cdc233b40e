"""The report: one HTML page with everything inlined, no script, equal bytes for equal inputs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template
from markupsafe import Markup

from finer1.params import Params
from finer1.records import Question, Rationale
from finer1.report.analysis import collect_analysis
from finer1.report.calibration import collect_calibration
from finer1.report.comparison_view import clip_note, view_comparison
from finer1.report.concept_pairs import show_pairs
from finer1.report.data import collect_data
from finer1.report.figures import curve_chart
from finer1.report.inputs import Inputs, Series
from finer1.report.measures import collect_tables
from finer1.report.names import names_in
from finer1.report.pictures import Pictures, encode_uri
from finer1.report.places import EXPERIMENTS_PAGE
from finer1.report.positions import position_charts
from finer1.report.protocol import describe_mined_negative, describe_negative, describe_protocol
from finer1.report.rationales import summarise_yields
from finer1.report.results import collect_results
from finer1.report.review import summarise_review
from finer1.report.robustness import collect_robustness
from finer1.report.samples import choose_concepts, choose_samples, worst_confusions
from finer1.report.table import ORDERS, describe_encoder
from finer1.templates import templates

_FOLDER = Path(__file__).parent
CURVES_PER_STAGE = 9
FIRST_CURVES = (
    "loss/total",
    "train/loss",
    "reward/accuracy",
    "reward/format",
    "rollout/truth_in_options",
    "rollout/answer_equals_prediction",
    "rollout/hedged",
    "rollout/completion_tokens",
    "rollout/keep_rate",
    "loss/inter_class_kl",
    "loss/entropy",
    "reward/",
    "rollout/",
    "loss/",
)
"""Metrics, or prefixes of them, whose curves come first when a stage logs many."""
TEMPLATE_TEACHER = "template"
TEMPLATE_WARNING = (
    "The rationales were filled into templates from the label and the list of sub-categories; "
    "no teacher saw the images. The accuracies on this page mean nothing: they show only that "
    "every stage runs on these images."
)


@dataclass(frozen=True)
class Curves:
    """The learning curves of one training stage."""

    name: str
    charts: tuple[tuple[str, str, Markup], ...]
    """(metric, last value, SVG)."""
    others: tuple[str, ...]
    """Metrics that were logged but not drawn."""


def render_page(inputs: Inputs) -> str:
    """The whole page as HTML text; values from data are escaped."""
    pictures = Pictures(inputs.archive, inputs.images)
    final = inputs.verdicts["tapo"]
    options = inputs.params.questions.num_options
    return _template().render(
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        title=inputs.params.report.title,
        warnings=teacher_warnings(inputs.rationales),
        caveats=inputs.params.caveats(),
        results=collect_results(
            inputs.metrics, inputs.names, options, ORDERS[inputs.params.questions.order]
        ),
        compared=view_comparison(inputs),
        experiments=inputs.params.paths.experiments / EXPERIMENTS_PAGE,
        tables=collect_tables(inputs),
        positions=position_charts(inputs.metrics, inputs.names, options),
        calibration=collect_calibration(inputs.metrics, inputs.names),
        robustness=collect_robustness(inputs.metrics, names_in(inputs.params.robustness.models)),
        analysis=collect_analysis(inputs.params, inputs.analyses),
        clip_note=clip_note(inputs.params, inputs.wordless),
        encoder=describe_encoder(inputs.params.score.encoder),
        confidence=f"{100 * inputs.metrics['confidence']:.0f}",
        samples=choose_samples(inputs, pictures),
        confusions=worst_confusions(
            inputs, [row for row in final if row.setting == "open"], pictures
        ),
        curves=[
            collect_curves(stage, inputs.names[stage], series)
            for stage, series in inputs.logs.items()
        ],
        datasets=collect_data(inputs.audit),
        cot_yield=summarise_yields(inputs.yields, inputs.params.cot),
        review=summarise_review(
            inputs.params.review.mode, inputs.params.review.confidence, inputs.recorded
        ),
        concepts=choose_concepts(inputs, pictures),
        concept_pairs=show_pairs(inputs),
        triplet_sheet=encode_uri(inputs.triplet_sheet, "jpeg"),
        triplet_encoder=inputs.triplets[0].encoder,
        mined_negative=describe_mined_negative(inputs.params),
        tapo_negative=describe_negative(inputs.params),
        protocol=describe_protocol(inputs),
        identities=model_identities(inputs),
        params_hash=hash_params(inputs.params),
        questions_hash=hash_questions(inputs.questions),
    )


def _template() -> Template:
    environment = templates(_FOLDER)
    return environment.get_template("page.html")


def teacher_warnings(rationales: Sequence[Rationale]) -> list[str]:
    """What must be said at the top about who wrote the rationales."""
    if any(row.engine.startswith(TEMPLATE_TEACHER) for row in rationales):
        return [TEMPLATE_WARNING]
    return []


def collect_curves(stage: str, name: str, series: Mapping[str, Series]) -> Curves:
    """Charts of a stage's metrics, the telling ones first."""
    ranked = sorted(series, key=lambda metric: (_rank(metric), metric))
    drawn = [metric for metric in ranked if len(series[metric]) > 1][:CURVES_PER_STAGE]
    charts = []
    for metric in drawn:
        steps, values = zip(*series[metric], strict=True)
        # The chart holds numbers only.
        charts.append(
            (metric, f"{values[-1]:.4g}", Markup(curve_chart(metric, steps, values, stage)))
        )
    return Curves(name, tuple(charts), tuple(m for m in ranked if m not in drawn))


def _rank(metric: str) -> int:
    for rank, start in enumerate(FIRST_CURVES):
        if metric == start or (start.endswith("/") and metric.startswith(start)):
            return rank
    return len(FIRST_CURVES)


def model_identities(inputs: Inputs) -> list[tuple[str, str]]:
    """(model, identity) as its predictions carry it."""
    return [
        (inputs.names[model], ", ".join(asked.identities)) for model, asked in inputs.asked.items()
    ]


def hash_params(params: Params) -> str:
    """SHA-256 of the values that results follow from, in canonical JSON.

    The machine's are left out: `runtime` changes rounding, and what is sampled in predict where
    its temperature is above 0.
    """
    left_out = {"runtime", "comparison", "experiments", "paths"}
    values = params.model_dump(mode="json", exclude=left_out)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def hash_questions(questions: Sequence[Question]) -> str:
    """SHA-256 over the ids, texts and options of the questions, in order."""
    rows = [[row.id, row.text, list(row.options), row.label] for row in questions]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
