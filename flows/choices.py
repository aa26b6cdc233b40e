"""Choices of the forms of the Prefect UI, read from the project's own lists.

Prefect makes a flow's form while it imports the flow, from the folder that it then works in; a
folder without a project gives a form in which anything can be typed. What is typed is checked
again where it is used.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import GetJsonSchemaHandler

from finer1.data_params import QuestionsParams
from finer1.experiment_params import ExperimentGroup
from finer1.params import load_params
from flows.dag import load_stages


class Choice:
    """Metadata of a text parameter: its form offers these names of the project in a folder."""

    def __init__(self, names: Callable[[Path], Sequence[str]]) -> None:
        self._names = names
        self._known: dict[Path, list[str]] = {}

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The schema of a text with the names as its `enum`."""
        schema = handler(core_schema)
        root = Path.cwd()
        if not _is_project(root):
            return schema
        # Several forms of one import ask for the same names, and a graph is slow to read.
        if root not in self._known:
            self._known[root] = list(self._names(root))
        return {**schema, "enum": self._known[root]}


def stage_names(root: Path) -> list[str]:
    """Stages of dvc.yaml, each after those that it needs."""
    return [stage.name for stage in load_stages(root)]


def experiment_names(root: Path) -> list[str]:
    """Entries of params.yaml's `experiments`; groups, which are the tables, first."""
    entries = load_params(root / "params.yaml").experiments
    return sorted(entries, key=lambda name: not isinstance(entries[name], ExperimentGroup))


def setting_names(root: Path) -> list[str]:
    """Settings that some group of experiments can run on."""
    entries = load_params(root / "params.yaml").experiments.values()
    groups = [entry for entry in entries if isinstance(entry, ExperimentGroup)]
    return list(dict.fromkeys(setting for group in groups for setting in group.settings))


def question_values(field: str) -> Callable[[Path], Sequence[str]]:
    """Values that a setting of the section `questions` can have, as its type has them."""
    return lambda root: get_args(QuestionsParams.model_fields[field].annotation)


def _is_project(root: Path) -> bool:
    return (root / "dvc.yaml").exists() and (root / "params.yaml").exists()


StageName = Annotated[str, Choice(stage_names)]
ExperimentName = Annotated[str, Choice(experiment_names)]
SettingName = Annotated[str, Choice(setting_names)]
QuestionsPart = Annotated[str, Choice(question_values("part"))]
QuestionsOrder = Annotated[str, Choice(question_values("order"))]
