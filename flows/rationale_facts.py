"""What a project says of the rationales that it accepted."""

from pathlib import Path
from typing import TYPE_CHECKING

from finer1.params import Params, load_params

if TYPE_CHECKING:
    from finer1.export.rationales import RationaleFacts

_SETTINGS = ("engine", "temperature", "max_attempts", "show_concepts", "filter", "max_options",
             "options", "min_words", "max_words")  # fmt: skip


def read_rationales(here: Path, name: str, licence: str | None) -> "tuple[Params, RationaleFacts]":
    """The parameters, and what rows and card are made from.

    Raises ValueError when there are no rationales, or the stage review would run again.
    """
    from finer1.export.audit import audit_rows
    from finer1.export.rationales import RationaleFacts
    from finer1.records import ImageRecord, Rationale, read_jsonl
    from finer1.teacher.yields import read_yields
    from flows.run_facts import run_identity, stale_stages

    path = here / "params.yaml"
    if not path.is_file():
        raise ValueError("change to a project's folder: rationales are those of a run")
    params = load_params(path)
    paths = params.paths
    if not paths.reviewed.is_file():
        raise ValueError(f"{paths.reviewed} is not there; make it: finer1 run sft")
    stale = stale_stages(here)
    if stale & {"review", "sft"}:
        raise ValueError("the rationales are of an earlier state of this project: finer1 run sft")
    rationales = read_jsonl(paths.reviewed, Rationale)
    if not rationales:
        raise ValueError(f"{paths.reviewed} holds no rationale; look at {paths.cot_yield}")
    about = {row.image_id for row in rationales}
    images = {row.id: row for row in read_jsonl(paths.index, ImageRecord) if row.id in about}
    values = params.cot.model_dump(mode="json")
    filters = [(f"cot.{key}", str(values[key])) for key in _SETTINGS]
    facts = RationaleFacts(
        name=name,
        licence=licence,
        rationales=rationales,
        images=images,
        yields=read_yields(paths.cot_yield),
        filters=[*filters, ("review.mode", params.review.mode)],
        audit=audit_rows(params, has_tapo=False),
        identity=run_identity(here, params, "review"),
    )
    return params, facts
