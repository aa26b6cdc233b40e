"""The card of an exported model: front matter for the hub, and a page for people."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from markupsafe import Markup

from finer1.export.example import FILE, Example
from finer1.export.golden import Golden
from finer1.export.licence import Licence
from finer1.export.results import TASK, Result
from finer1.recognition.reading import Asked
from finer1.report.table import percent
from finer1.templates import templates

_FOLDER = Path(__file__).parent
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;"})


@dataclass(frozen=True)
class Measured:
    """What the run has measured of the model."""

    rows: Sequence[Result]
    """All datasets together."""
    index: Sequence[EvalResult]
    """By dataset, for model-index."""
    protocol: Sequence[tuple[str, str]]
    """(heading, sentences)."""
    confidence: float
    num_options: int
    """Of a closed question."""


@dataclass(frozen=True)
class ModelFacts:
    """All that the card says."""

    name: str
    relation: Literal["finetune", "adapter"]
    base: str
    """What it was made from, in words."""
    hub_base: str | None
    """The same by its id of the hub, where it has one."""
    tried_on: tuple[str, str] | None
    """(name, SHA-256) of the model that adapters were tried on; None for a whole model."""
    writes: str
    """What it does when it is asked, in words."""
    training: str
    """How it was trained, in sentences."""
    licence: Licence | None
    datasets: Sequence[str]
    """Ids of the hub, of those that were copied from there."""
    tags: Sequence[str]
    num_parameters: int
    asked: Asked
    """How the example is asked."""
    max_tokens: int
    categories: Sequence[str]
    example: Example
    golden: Golden
    measured: Measured | None
    unmeasured: str
    """Why there are no results, where there are none."""
    untold: str
    """Why nothing is told of the training data, where that is so."""
    audit: Sequence[tuple[str, str]]
    """What it was trained on; empty where no run says so."""
    limits: Sequence[str]
    identity: Sequence[tuple[str, str]]
    """What tells this model from every other one."""


def model_card(facts: ModelFacts) -> str:
    """The README.md, equal for equal facts; values from data are escaped."""
    licence = facts.licence
    index = list(facts.measured.index) if facts.measured else []
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=TASK,
        base_model=facts.hub_base,
        license=licence.license if licence else None,
        license_name=licence.license_name if licence else None,
        license_link=licence.license_link if licence else None,
        datasets=list(facts.datasets) or None,
        language="en",
        tags=list(facts.tags),
        model_name=facts.name if index else None,
        eval_results=index or None,
    )
    if facts.hub_base:  # the hub knows a relation only to a base that it has
        data["base_model_relation"] = facts.relation
    page = render_page(
        "model_card.md",
        {
            "facts": facts,
            "image": FILE,
            "num_parameters": f"{facts.num_parameters:,}",
            "cells": _cells(facts.measured),
            "confidence": percent(facts.measured.confidence).removesuffix(".0")
            if facts.measured
            else "",
            "user": _literal(facts.asked.user),
            "system": _literal(facts.asked.system) if facts.asked.system else None,
            "served": Markup(shlex.quote(" ".join(facts.name.split()))),
            "expected": Markup(facts.golden.raw.replace("```", "'''")),  # in a block of text
        },
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{page}").content


def render_page(template: str, values: Mapping[str, object]) -> str:
    """A page from a template beside this module; what is not Markup is escaped."""
    environment = templates(_FOLDER).overlay(finalize=_plain, keep_trailing_newline=True)
    environment.filters["code"] = _code
    return environment.get_template(template).render(values)


def _cells(measured: Measured | None) -> list[tuple[str, str, str, str]]:
    """(what was asked, how much, accuracy with interval, by the released rule) per cell."""
    return [
        (
            f"{row.setting}-world, {row.side} classes",
            f"{row.questions} questions, {row.classes} classes",
            row.interval,
            percent(row.released),
        )
        for row in (measured.rows if measured else ())
    ]


def _plain(value: object) -> object:
    """One line of text of which Markdown makes no tag, cell or code; quotes stay as they are."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(" ".join(value.split()).translate(_ENTITIES))


def _code(value: object) -> Markup:
    """A span of code on one line, in a cell of a table too; entities would be shown as they are."""
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return Markup(f"`{text}`")


def _literal(text: str) -> Markup:
    """A string literal of Python and of JSON, which cannot end the block that it is put into."""
    return Markup(json.dumps(text).replace("`", "\\u0060"))
