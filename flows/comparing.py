"""`finer1 compare`: the tables of experiments from the runs that are there; runs nothing.

Every table is kept in paths.experiments, from which the page is made: tables of earlier calls
stay on it until they are written again.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from finer1.evaluation.experiments import Column, ExperimentRun, Protocol, compare, summarise
from finer1.evaluation.statistics import Bootstrap
from finer1.evaluation.verdicts import Verdict
from finer1.files import write_atomic, write_json
from finer1.params import Params, check_params, with_differences
from finer1.records import read_jsonl
from finer1.report.comparison import has_paper_encoder
from finer1.report.experiment_files import tables_csv, tables_json
from finer1.report.experiment_table import (
    ExperimentTable,
    table_markdown,
    table_text,
)
from finer1.report.experiments_page import render_experiments
from finer1.report.places import EXPERIMENTS_PAGE
from finer1.report.published_ablations import PUBLISHED_BASES
from finer1.report.table import SPELLING
from flows.dag import experiment_texts
from flows.differences import differences_on
from flows.listing import NEEDS
from flows.plan import Plan, PlannedGroup, Trial
from flows.single_runs import with_own_figures, write_reports
from flows.trials import Found, Project, find_trials

_UNLIKE = (
    "The published figures are about photographs and large models, ours about a drawn world and a "
    "tiny one: not comparable, shown for the shape of the table alone."
)
_OTHER_RULES = (
    "The published figures follow the released evaluator's rules; --protocol paper gives ours by "
    "these, too."
)
_STORED_ORDER = (
    "The options of closed questions still come in the order of these runs; the released evaluator "
    "asks with the truth first: questions.order=stored (experiment truth_first)."
)
_BY_SPELLING = "Similarity is by spelling alone (score.encoder char_ngrams)."


def build_tables(plan: Plan, project: Project, protocol: Protocol) -> list[ExperimentTable]:
    """A table per group of the plan that has any run, from the DVC experiments that are there.

    Raises ValueError when rows of a pair were asked different questions.
    """
    params = check_params(dict(project.values), "params.yaml")
    found = find_trials(plan.trials, project, is_elsewhere=True)
    verdicts = _read_verdicts(plan.trials, found, params, project.root)
    tables = []
    for planned in plan.groups:
        table = _table(planned, plan, (params, protocol), found, verdicts)
        if planned.is_single:
            own = [trial for trial in plan.trials if trial.experiment == planned.name]
            table = with_own_figures(table, own, found, params.paths, project.root)
        tables.append(table)
    return tables


def print_tables(
    tables: Sequence[ExperimentTable], json: Path | None = None, csv: Path | None = None
) -> None:
    """Print them, and write the files that were asked for."""
    for table in tables:
        print(f"\n{table_text(table)}")
    if json:
        write_json(json, tables_json(tables))
        print(f"numbers   {json}")
    if csv:
        write_atomic(csv, tables_csv(tables).encode())
        print(f"numbers   {csv}")


def keep_tables(tables: Sequence[ExperimentTable], params: Params, root: Path) -> list[Path]:
    """write_tables into paths.experiments, the reports of single runs beside them and first."""
    folder = root / params.paths.experiments
    reports = write_reports(tables, params.paths, root, folder)
    return [*reports, *write_tables(tables, params.score.confidence, folder)]


def write_tables(tables: Sequence[ExperimentTable], confidence: float, folder: Path) -> list[Path]:
    """Keep the tables with their Markdown in `folder`, and make the page of all kept ones.

    Returns the paths of the Markdown files, and of the page last.
    """
    adapter = TypeAdapter(ExperimentTable)
    paths = []
    for table in tables:
        write_atomic(folder / f"{table.stem}.json", adapter.dump_json(table, indent=2))
        write_atomic(folder / f"{table.stem}.md", table_markdown(table).encode())
        paths.append(folder / f"{table.stem}.md")
    kept = []
    for path in sorted(folder.glob("*.json")):
        try:
            kept.append(adapter.validate_json(path.read_bytes()))
        except ValidationError:
            print(f"{path} is of another version of finer1 and not on the page; delete it")
    kept.sort(key=lambda table: (table.setting or "", table.paper or "~", table.name))
    write_atomic(folder / EXPERIMENTS_PAGE, render_experiments(kept, confidence).encode())
    return [*paths, folder / EXPERIMENTS_PAGE]


def _read_verdicts(
    trials: Sequence[Trial], found: Mapping[str, Found], params: Params, root: Path
) -> dict[tuple[str, int], list[Verdict]]:
    """(experiment, seed) -> verdicts of the runs that are there, stale ones too."""
    there = [trial for trial in trials if found[trial.name].revision is not None]
    revisions = [str(found[trial.name].revision) for trial in there]
    texts = experiment_texts(root, revisions, params.paths.verdicts)
    return {
        (trial.experiment, trial.seed): _told_apart(trial, _verdicts(trial.name, text))
        for trial, text in zip(there, texts, strict=True)
    }


def _told_apart(trial: Trial, verdicts: list[Verdict]) -> list[Verdict]:
    """The verdicts with the drawn world's taxonomy in the dataset's name, where the trial sets it.

    Worlds of different seeds use the same words: their classes of one name are not the same.
    """
    taxonomy = trial.differences.get("download.world.taxonomy")
    if taxonomy is None:
        return verdicts
    return [replace(row, dataset=f"{row.dataset} {taxonomy}") for row in verdicts]


def _verdicts(name: str, text: str) -> list[Verdict]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{name}.jsonl"
        copy.write_text(text, encoding="utf-8")
        return read_jsonl(copy, Verdict)


def _table(
    planned: PlannedGroup,
    plan: Plan,
    chosen: tuple[Params, Protocol],
    found: Mapping[str, Found],
    verdicts: Mapping[tuple[str, int], Sequence[Verdict]],
) -> ExperimentTable:
    params, protocol = chosen
    group, own = planned.group, _params_on(params, plan)
    columns = tuple(Column.parse(text, protocol) for text in group.columns)
    runs = [
        ExperimentRun(title, seed, tuple(row for row in rows if row.model == model))
        for title, (wanted, model) in planned.rows.items()
        for (experiment, seed), rows in verdicts.items()
        if experiment == wanted and seed in group.seeds
    ]
    bootstrap = Bootstrap(params.score.bootstrap_samples, params.score.confidence, params.seed)
    seeds = {title: {run.seed for run in runs if run.name == title} for title in group.rows}
    pairs = [pair for pair in group.pairs if seeds[pair[0]] & seeds[pair[1]]]
    table = ExperimentTable(
        name=planned.name,
        paper=group.paper,
        about=group.about,
        setting=plan.setting,
        columns=columns,
        titles=(*group.rows, *planned.left_out),
        summaries=tuple(summarise(runs, columns, bootstrap)),
        differences=tuple(compare(runs, pairs, columns, bootstrap, params.comparison.margin)),
        published=group.published if _is_published_base(group.paper, own) else {},
        missing={**_missing(planned, plan, found), **planned.left_out},
        notes=(),
    )
    notes = _notes(table, own, group.published, protocol)
    return ExperimentTable(**{**vars(table), "notes": notes})


def _missing(planned: PlannedGroup, plan: Plan, found: Mapping[str, Found]) -> dict[str, str]:
    """Title -> the seeds that have no run, or one of other inputs, and what makes them."""
    names = {(trial.experiment, trial.seed): trial.name for trial in plan.trials}
    on = f" --on {plan.setting}" if plan.setting else ""
    missing = {}
    for title, (experiment, _) in planned.rows.items():
        parts = []
        for state, words in (
            ("missing", "no run"),
            ("stale", "made with other settings, code or inputs than there are now"),
        ):
            seeds = [
                str(seed)
                for seed in planned.group.seeds
                if found[names[experiment, seed]].state == state
            ]
            if seeds:
                parts.append(f"{words} (seeds {', '.join(seeds)})")
        if parts:
            command = f"finer1 experiments {planned.name}{on}"
            need = planned.group.needs.get(title)
            needs = f" (it needs {NEEDS[need]})" if need else ""
            missing[title] = f"{'; '.join(parts)}; {command}{needs}"
    return missing


def _notes(
    table: ExperimentTable, own: Params, published: Mapping[str, str], protocol: Protocol
) -> tuple[str, ...]:
    """own: the parameters of the setting. published: rows that the paper has, for some base."""
    notes = []
    if table.published_columns:
        if _is_drawn(own):
            notes.append(_UNLIKE)
        elif protocol != "paper":
            notes.append(_OTHER_RULES)
    elif published and not table.published and table.paper:
        notes.append(
            f"The figures of {table.paper} are of {PUBLISHED_BASES[table.paper]}, not of this base "
            "(report.published), and left out."
        )
    is_closed = any(column.setting == "closed" for column in table.columns)
    if protocol == "paper" and is_closed and own.questions.order == "shuffled":
        notes.append(_STORED_ORDER)
    if any(column.measure == "similarity" for column in table.columns):
        if own.score.encoder == SPELLING:
            notes.append(_BY_SPELLING)
        elif not has_paper_encoder(own):
            notes.append(f"Similarity is by {own.score.encoder}, not by the paper's encoder.")
    return tuple(notes)


def _is_drawn(own: Params) -> bool:
    return "world" in own.download.datasets


def _is_published_base(paper: str | None, own: Params) -> bool:
    """Whether published figures belong beside ours; beside drawn images for the shape alone."""
    base = PUBLISHED_BASES.get(paper or "")
    return _is_drawn(own) or own.report.published.get("base") == base


def _params_on(params: Params, plan: Plan) -> Params:
    if plan.setting is None:
        return params
    values = params.model_dump(mode="json")
    differences = differences_on(values, params.experiments, plan.setting, None)
    return check_params(with_differences(values, differences), f"experiment {plan.setting}")
