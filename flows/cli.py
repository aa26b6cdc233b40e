"""`finer1`: one thin command per thing that a user does; prints the command underneath."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from finer1.inspection.findings import shown_lines
from flows import data
from flows.improving import improve
from flows.predicting import predict
from flows.preflight import check
from flows.promoting import promote
from flows.publishing import export
from flows.serving import serve
from flows.status import status
from flows.syncing import sync
from flows.trying import try_out
from flows.verify import verify
from tasks.exit_codes import BAD_INPUT, MACHINE

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn a multimodal language model into a fine-grained recognition expert.\n\n"
    "Exit codes: 0 done, 1 failed, 2 bad input, 3 the machine (disk, memory, service).",
)
app.add_typer(data.app, name="data")
app.command()(check)
app.command()(status)
app.command()(verify)
app.command()(sync)
app.command()(promote)
app.command()(predict)
app.command()(serve)
app.command()(export)
app.command("app")(try_out)
app.command()(improve)


@app.command()
def run(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages; all when none.")] = None,
    only: Annotated[bool, typer.Option("--only", help="Not the stages that these need.")] = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("-S", "--set", metavar="KEY=VALUE", help="Write a value to params.yaml."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(envvar="FINER1_DATA_ROOT", help="Folder of the dataset."),
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print all output.")] = False,
) -> None:
    """Bring stages up to date, repairing first what a killed run left behind.

    Example: finer1 run tapo -S tapo.steps=80
    """
    from flows.runner import Request, run
    from flows.summary import print_summary

    here = Path.cwd()
    print("= dvc repro --single-item STAGE, one stage after the other")
    request = Request(
        stages=tuple(stages or ()),
        only=only,
        assignments=tuple(assignments or ()),
        data_root=root,
        verbose=verbose,
        is_held="FINER1_HELD" in os.environ,
    )
    code = run(request, here)
    if code == 0 and not only:
        print_summary(here)
    raise typer.Exit(code)


@app.command()
def experiments(
    names: Annotated[list[str] | None, typer.Argument(help="Names; none lists them.")] = None,
    on: Annotated[
        str | None, typer.Option(metavar="SETTING", help="A full-scale setting, which comes first.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="For instance 0,1,2.")] = None,
    root: Annotated[
        Path | None,
        typer.Option(envvar="FINER1_DATA_ROOT", help="Folder of the dataset."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Experiments at once.")] = 1,
    ray: Annotated[bool, typer.Option("--ray", help="On a Ray cluster.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that are done with the same inputs.")
    ] = False,
) -> None:
    """Run entries of params.yaml's experiments side by side and compare them.

    Example: finer1 experiments figure_3c
    """
    from flows.experiments import Chosen, parse_seeds, print_experiments, run_experiments
    from flows.many_trials import How

    here = Path.cwd()
    if not names:
        print_experiments(here)
        return
    print("= dvc exp run --temp, for every experiment and seed")
    chosen = Chosen(tuple(names), on, parse_seeds(seeds))
    raise typer.Exit(run_experiments(chosen, How(root, jobs, again, ray), here))


@app.command()
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names; all groups with a run when none.")
    ] = None,
    on: Annotated[
        str | None, typer.Option(metavar="SETTING", help="The full-scale setting of the runs.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="For instance 0,1,2.")] = None,
    protocol: Annotated[
        Literal["paper", "shuffled"],
        typer.Option(help="The released evaluator's rules, or ours, the headline."),
    ] = "shuffled",
    json: Annotated[Path | None, typer.Option(help="Write the numbers to this file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the numbers to this file.")] = None,
) -> None:
    """Print the tables of finished experiments; runs nothing.

    Example: finer1 compare figure_3c --csv figure_3c.csv
    """
    from flows.experiments import Chosen, compare_experiments, parse_seeds

    print("= the DVC experiments of this clone (dvc exp show)")
    chosen = Chosen(tuple(names or ()), on, parse_seeds(seeds))
    compare_experiments(chosen, protocol, json, csv, Path.cwd())


@app.command()
def plan(
    name: Annotated[
        str | None, typer.Argument(help="An experiment; params.yaml as it stands.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs at hand.")] = 1,
    gpu: Annotated[Literal["h200", "h100", "a100"], typer.Option(help="Their kind.")] = "h200",
    gpu_memory: Annotated[
        float | None, typer.Option(min=1, metavar="GIB", help="Of one GPU; the kind's.")
    ] = None,
    strategy: Annotated[
        Literal["ddp", "fsdp2", "zero3"], typer.Option(help="How several GPUs train stage 2.")
    ] = "fsdp2",
    host_memory: Annotated[
        float | None, typer.Option(min=1, metavar="GIB", help="Of the machine; not checked.")
    ] = None,
    disk: Annotated[
        float | None, typer.Option(min=1, metavar="GIB", help="Free; not checked.")
    ] = None,
) -> None:
    """Compute memory, disk, tokens and GPU-hours of a run, and refuse what cannot fit.

    Example: finer1 plan fine_r1_3b --gpus 1 --host-memory 256
    """
    from finer1.planning.plan import Resources
    from flows.planning import print_plan

    resources = Resources(gpu, gpus, gpu_memory, strategy, host_memory, disk)
    raise typer.Exit(print_plan(name, resources, Path.cwd()))


@app.command()
def report() -> None:
    """Print the result table and the path of the HTML report.

    Example: finer1 report
    """
    from flows.summary import print_summary

    print_summary(Path.cwd())


@app.command()
def review(
    port: Annotated[int | None, typer.Option(help="The first free one from 7860 on.")] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Name in the decisions; that of your account.")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(min=1, help="Show so many of each sub-category; all.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Judge the teacher's rationales on a page of this machine, before SFT trains on them.

    Example: finer1 review --per-class 2
    """
    from flows.review import open_review

    print("= lines added to the decisions file, which the stage review applies")
    open_review(Path.cwd(), port, reviewer or getpass.getuser(), per_class, browser)


@app.command()
def score(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Rows of the released files with a completion each."),
    ],
    mode: Annotated[Literal["closed", "open"], typer.Option(help="What was asked.")],
    protocol: Annotated[
        Literal["paper", "shuffled"],
        typer.Option(help="The released evaluator's rules, or ours, the headline."),
    ] = "shuffled",
    json: Annotated[Path | None, typer.Option(help="Write the numbers to this file.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Of the similarity of open answers; char_ngrams.")
    ] = None,
    taxonomy: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Levels above the sub-categories.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
) -> None:
    """Score the completions of any harness, in which options stand as they were shown.

    Example: finer1 score outputs.jsonl --mode closed --json score.json
    """
    from finer1.evaluation.statistics import Bootstrap
    from flows.scoring import ScoreRequest, score_rows

    bootstrap = Bootstrap(samples, 0.95, seed)
    request = ScoreRequest(file, mode, protocol, json, encoder, taxonomy, bootstrap)
    score_rows(request, Path.cwd())


@app.command()
def ask(
    source: Annotated[
        Path,
        typer.Argument(metavar="SET", help="A table of questions, or a folder of images by class."),
    ],
    model: Annotated[
        Path, typer.Option(help="Folder of weights or adapters, or an entry of finer1/zoo.")
    ],
    strategy: Annotated[
        Literal["trained", "released", "direct", "cot", "think"] | None,
        typer.Option(help="How the model is asked; predict.strategy."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write the answers there.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions, drawn by seed.")] = None,
    category: Annotated[str, typer.Option(help="What the images show, as in: bird.")] = "",
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="USE=COLUMN", help="Column for image, question, reference, ..."),
    ] = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Images may lie outside the set's folder.")
    ] = False,
    encoder: Annotated[str | None, typer.Option(help="Of the similarity; score.encoder.")] = None,
) -> None:
    """Put a question set of your own to any model, and score its answers.

    Example: finer1 ask shells/ --category shell --model models/tapo --limit 50
    """
    from flows.asking import AskRequest, ask_set

    request = AskRequest(
        source, model, strategy, out, limit, category, tuple(field or ()), outside, encoder
    )
    ask_set(request, Path.cwd())


def main() -> None:
    """Entry point: errors of the user and of the machine as one sentence and an exit code."""
    try:
        app()
    except ValueError as error:
        print(f"finer1: {shown_lines(error)}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (OSError, MemoryError) as error:
        print(f"finer1: {shown_lines(error) or 'out of memory'}", file=sys.stderr)
        sys.exit(MACHINE)


if __name__ == "__main__":
    main()
