"""`finer1 data export`: the run's questions in the form of another harness."""

from pathlib import Path


def export_lmms_eval(here: Path, folder: Path) -> None:
    """Write the questions of the run in `here` as an lmms-eval task folder, and say how to run it.

    The tasks of an earlier export in `folder` go first. Raises ValueError when the run has no
    questions or images yet, or the folder holds other files or is none.
    """
    import shlex

    from finer1.general.task_folder import GROUP, RULE, write_task_folder
    from finer1.images import ImageArchive
    from finer1.params import load_params
    from finer1.prompts import SYSTEM_PROMPTS
    from finer1.records import Question, read_jsonl

    params = load_params(here / "params.yaml")
    file, images = here / params.paths.questions, here / params.paths.images
    for path in (file, images):
        if not path.exists():
            raise ValueError(f"{path} is not there; run finer1 run questions first")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a new or an empty folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / f"{RULE}.py").is_file():
        raise ValueError(f"{folder} holds other files; name a new or an empty folder")
    counts = write_task_folder(
        read_jsonl(file, Question),
        ImageArchive(images),
        SYSTEM_PROMPTS[params.prompt.system],
        params.predict.max_tokens,
        folder,
    )
    for task, count in counts.items():
        print(f"{task:<40}{count:>8,} questions")
    model = shlex.quote(f"model={params.paths.tapo}")
    print(f"""next, where lmms-eval is installed (docs/general.md):
  python -m lmms_eval --include_path {shlex.quote(str(folder))} --tasks {GROUP} \\
      --model finer1 --model_args {model} --output_path OUT --log_samples""")
