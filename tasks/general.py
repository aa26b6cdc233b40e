"""Stage `general@<name>`: the general benchmarks, for a model of params.general.

    python -m tasks.general NAME

MME, MMBench and SEED-Bench by lmms-eval, a process for each, with their data sets as the hub's
cache on this disk has them; ImageWikiQA by a task of our own, from `<paths.raw>/imagewikiqa`.
Nothing is fetched. Writes `<paths.predictions>/general@<name>.json`. What is missing is said before
any model is loaded, and a benchmark that is done is not done again after a kill.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from finer1.evaluation.statistics import Bootstrap
from finer1.files import sha256_file, write_json
from finer1.general.benchmarks import (
    BENCHMARKS,
    asked_at_most,
    find_dataset,
    read_figures,
    write_task,
)
from finer1.general.harness import (
    VERSION,
    Runner,
    choose_runner,
    evaluation_command,
    find_package,
    run_harness,
)
from finer1.general.imagewikiqa import (
    WikiQuestion,
    ask_wiki,
    find_file,
    read_questions,
    score_wiki,
)
from finer1.prompts import SYSTEM_PROMPTS
from finer1.zoo.loading import AskedModel, find_for_stage
from tasks.asking import start_engine
from tasks.exit_codes import BAD_INPUT
from tasks.stage import Context, main

WIKI = "imagewikiqa"


def general(context: Context, name: str) -> dict[str, float]:
    """Score the model `name`; raises ValueError when general.models has no such entry."""
    settings, paths = context.params.general, context.params.paths
    if name not in settings.models:
        raise ValueError(
            f"general.models has no {name}; it has {', '.join(settings.models) or 'none'}"
        )
    model = find_for_stage(Path(settings.models[name].model), context.home, context.stage)
    _check(context, model)
    scored = {task: _kept(context, task, model) for task in settings.tasks}
    content = {
        "model": settings.models[name].model,
        "max_tokens": settings.max_tokens,
        "limit": settings.limit,
        "tasks": scored,
    }
    write_json(paths.predictions / f"{context.stage}.json", content)
    context.log_table("general", [{"task": task, **item} for task, item in scored.items()])
    return {
        f"general/{task}/{figure}": value
        for task, item in scored.items()
        for figure, value in item["figures"].items()
    }


def _check(context: Context, model: AskedModel) -> None:
    """Raise one ValueError with everything that is missing for what is not done yet."""
    troubles = []
    tasks = [task for task in context.params.general.tasks if not _file(context, task).is_file()]
    if set(tasks) & BENCHMARKS.keys():
        troubles += _trouble(find_package) or _trouble(partial(_runner, context, model))
    for task in tasks:
        if task == WIKI:
            troubles += _trouble(partial(_wiki_questions, context))
        else:
            troubles += _trouble(partial(find_dataset, BENCHMARKS[task]))
    if troubles:
        raise ValueError("\n".join(dict.fromkeys(troubles)))


def _file(context: Context, task: str) -> Path:
    """Where the figures of a benchmark are kept until all are there."""
    return context.resume / f"{task}.json"


def _trouble(step: Callable[[], object]) -> list[str]:
    try:
        step()
    except ValueError as error:
        return [str(error)]
    return []


def _kept(context: Context, task: str, model: AskedModel) -> dict[str, Any]:
    """The figures of one benchmark, and what they come from; from an earlier process if it has."""
    kept = _file(context, task)
    if kept.is_file():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    scored = _ask_wiki(context, model) if task == WIKI else _run_task(context, task, model)
    write_json(kept, scored)
    return scored


def _run_task(context: Context, task: str, model: AskedModel) -> dict[str, Any]:
    settings, benchmark = context.params.general, BENCHMARKS[task]
    dataset = find_dataset(benchmark)
    folder, output = context.resume / "tasks" / task, context.resume / "output" / task
    shutil.rmtree(output, ignore_errors=True)  # of a process that was killed
    command = evaluation_command(
        _runner(context, model),
        write_task(task, find_package(), dataset, folder),
        folder,
        output,
        settings.max_tokens,
        asked_at_most(benchmark, settings.limit),
    )
    log = context.resume / f"{task}.log"
    run_harness(command, log, partial(_show, task))
    context.log_file(log)
    return {
        "figures": read_figures(task, output),
        "dataset": f"{benchmark.dataset}@{dataset.name}",
        "by": f"lmms-eval {VERSION}",
        "command": _portable(command, context),
    }


def _ask_wiki(context: Context, model: AskedModel) -> dict[str, Any]:
    from finer1.engines.store import GenerationStore

    params = context.params
    file, questions = _wiki_questions(context)
    engine = start_engine(context, model, {})
    store = GenerationStore(context.store, params.runtime.batch_size, context.is_live)
    system = SYSTEM_PROMPTS[params.prompt.system]
    samples = ask_wiki(engine, questions, system, params.general.max_tokens, store)
    bootstrap = Bootstrap(params.score.bootstrap_samples, params.score.confidence, params.seed)
    return {
        "figures": score_wiki(questions, samples, bootstrap),
        "dataset": f"{file.name}, SHA-256 {sha256_file(file)}",
        "by": engine.identity,
        "command": "",
    }


def _wiki_questions(context: Context) -> tuple[Path, list[WikiQuestion]]:
    file = find_file(context.home / context.params.paths.raw / WIKI)
    return file, read_questions(file, context.params.general.limit)


def _runner(context: Context, model: AskedModel) -> Runner:
    from finer1.policy.folder import pick_device

    params = context.params
    return choose_runner(
        model,
        params.runtime.engine,
        pick_device(params.runtime.device),
        SYSTEM_PROMPTS[params.prompt.system],
        context.home,
        context.store,
        context.resume.absolute(),
    )


def _portable(command: Sequence[str], context: Context) -> str:
    """The command as it reads on any machine, to be run in the project's folder."""
    text = shlex.join(["python", *command[1:]]).replace(f"{Path.cwd()}/", "")
    for name, path in (("STORE", context.store), ("HOME", context.home)):
        text = text.replace(str(path.absolute()), f"$FINER1_{name}")
    return text


def _show(task: str, line: str) -> None:
    print(f"{task}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tasks.general NAME", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(f"general@{sys.argv[1]}", partial(general, name=sys.argv[1]))
