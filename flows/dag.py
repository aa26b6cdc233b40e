"""The graph of stages as DVC reads it from dvc.yaml. The only module that imports dvc."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml."""

    name: str
    """As `dvc repro` takes it: `sft`, `predict@base`."""
    needs: tuple[str, ...]
    """Stages whose outputs this one reads."""
    retries: int
    gpu: bool
    seconds: float
    """Expected duration on two cores with the embedded default."""


def load_stages(root: Path) -> list[Stage]:
    """All stages, each after the ones that it needs, otherwise in the order of dvc.yaml.

    Raises ValueError when DVC cannot read the graph.
    """
    with _repository(root) as repository:
        graph = repository.index.graph
        stages = [
            Stage(
                name=item.name,
                needs=tuple(sorted(other.name for other in graph.successors(item))),
                retries=int((item.meta or {}).get("retries", 0)),
                gpu=bool((item.meta or {}).get("gpu", False)),
                seconds=float((item.meta or {}).get("seconds", 0)),
            )
            for item in repository.index.stages
        ]
    return _in_order(stages)


def changed_stages(root: Path) -> set[str]:
    """Stages whose command, parameters, inputs or outputs differ from dvc.lock.

    A stage that only follows a changed one is not among them, one that runs is; see
    `with_followers`. Raises ValueError when DVC cannot read graph or lock.
    """
    with _repository(root) as repository, repository.lock:
        # Without DVC's locks on single files, which a stage that runs holds. Outside of the
        # project's folder DVC puts `<path>/dvc.yaml:` before the name.
        return {
            name.rpartition(":")[2]
            for stage in repository.index.stages
            for name in type(stage).status.__wrapped__(stage)
        }


def with_followers(stages: list[Stage], names: set[str]) -> set[str]:
    """`names` and every stage that reads, directly or not, what one of them writes."""
    reached: set[str] = set()
    for stage in stages:
        if stage.name in names or reached.intersection(stage.needs):
            reached.add(stage.name)
    return reached


def with_ancestors(stages: list[Stage], names: set[str]) -> set[str]:
    """`names` and every stage that they need, directly or not."""
    reached = set(names)
    for stage in reversed(stages):
        if stage.name in reached:
            reached.update(stage.needs)
    return reached


def experiment_revisions(root: Path, names: set[str]) -> dict[str, str]:
    """Name -> commit of the newest DVC experiment of that name; those that exist alone."""
    from dvc.repo.experiments.utils import exp_refs_by_names

    with _repository(root) as repository:
        found = exp_refs_by_names(repository.scm, names)
        return {
            name: str(repository.scm.get_ref(str(references[-1])))
            for name, references in found.items()
            if references
        }


def experiment_texts(root: Path, revisions: Sequence[str], path: Path) -> list[str]:
    """Content of the output `path` as each experiment, known by its commit, left it.

    Raises ValueError when an experiment has no such output, or DVC's cache lost it.
    """
    from dvc.exceptions import DvcException

    texts = []
    with _repository(root) as repository:
        for revision in revisions:
            try:
                with repository.switch(revision):
                    texts.append(repository.dvcfs.read_text(path.as_posix(), encoding="utf-8"))
            except (OSError, DvcException) as error:
                raise ValueError(f"experiment {revision[:8]} has no {path}: {error}") from error
    return texts


def cache_folder(root: Path) -> Path:
    """Where DVC keeps outputs by their MD5: `files/md5/<2 digits>/<30 digits>`."""
    with _repository(root) as repository:
        return Path(repository.cache.local_cache_dir)


def is_readable_lock(path: Path) -> bool:
    """True when dvc.lock is whole; DVC writes it in place, so that a kill can leave a half."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


@contextmanager
def _repository(root: Path) -> Iterator[Any]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repository:
            yield repository
    except DvcException as error:
        raise ValueError(f"DVC: {error}") from error


def _in_order(stages: list[Stage]) -> list[Stage]:
    """Stable topological order; DVC has refused cycles before."""
    placed: dict[str, Stage] = {}
    while len(placed) < len(stages):
        ready = next(
            stage
            for stage in stages
            if stage.name not in placed and all(name in placed for name in stage.needs)
        )
        placed[ready.name] = ready
    return list(placed.values())
