"""Writing an exported model: all of the folder, then the check, then its name."""

from collections.abc import Mapping
from pathlib import Path

from finer1.asking import Asking
from finer1.export.card import ModelFacts, model_card
from finer1.export.example import FILE
from finer1.export.folder import Source, fill_folder, mark_exported, name_base, write_defaults
from finer1.export.golden import check_golden
from finer1.export.licence import copy_texts
from finer1.export.processors import complete_processor
from finer1.export.results import Result, write_entries
from finer1.files import check_space, new_folder, write_atomic
from finer1.manifest import write_manifest
from finer1.params import Params


def write_model(
    out: Path,
    source: Source,
    facts: ModelFacts,
    asking: Asking,
    by_dataset: tuple[list[Result], Params] | None,
    licence_texts: Path,
    environ: Mapping[str, str],
) -> str:
    """Write the folder, which is whole or absent; a sentence on its answer in a fresh process.

    by_dataset: results for .eval_results, and the run's parameters. licence_texts: folder of the
    model whose licence it is. environ: of the fresh process. Adapters are tried on the base of
    this disk, and name that of the hub afterwards where the facts have one.
    Raises RuntimeError when the answer is not the project's own: nothing is written then.
    """
    check_space(out, sum(path.stat().st_size for path in source.model.iterdir()))
    with new_folder(out) as part:
        fill_folder(part, source)
        complete_processor(part)
        write_defaults(part, source, asking)
        facts.example.image.save(part / FILE, "PNG")
        copy_texts(licence_texts, part)
        card = model_card(facts)
        write_atomic(part / "README.md", card.encode())
        if facts.measured is not None and by_dataset is not None:
            rows, params = by_dataset
            write_entries(part, rows, params, facts.measured.confidence)
        mark_exported(part, "model", asking)
        is_merged = source.lora == "merged"
        said = check_golden(card, part, facts.golden, is_merged, environ)
        if not is_merged and facts.hub_base is not None:
            name_base(part, facts.hub_base)
        write_manifest(part)
    return said
