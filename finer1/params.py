"""params.yaml as typed values: loading, checking, and the experiments that differ from it.

What the values mean stands in paths.py, data_params.py, model_params.py, evaluation_params.py and
experiment_params.py.
There are no defaults; unknown keys fail at load, and the message names the nearest known key.
"""

import copy
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Self, get_origin

import yaml
from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from rapidfuzz import process

from finer1.data_params import (
    ConceptsParams,
    CotParams,
    DownloadParams,
    QuestionsParams,
    ReviewParams,
    SplitParams,
    TripletsParams,
)
from finer1.evaluation_params import (
    AnalysisParams,
    GeneralParams,
    PredictParams,
    ReportParams,
    RobustnessParams,
    ScoreParams,
)
from finer1.experiment_params import ComparisonParams, ExperimentGroup
from finer1.model_params import (
    PretrainParams,
    PromptParams,
    RuntimeParams,
    SftParams,
    TapoParams,
)
from finer1.paths import Paths
from finer1.section import Section

LONGEST_FILE = 1 << 20
"""Bytes of a file of values."""
_DEEPEST = 30
"""Collections within each other in one."""


def _kind(entry: object) -> str | None:
    if isinstance(entry, ExperimentGroup):
        return "group"
    if not isinstance(entry, Mapping):
        return None
    return "group" if "rows" in entry else "differences"


Experiment = Annotated[
    Annotated[ExperimentGroup, Tag("group")] | Annotated[dict[str, object], Tag("differences")],
    Discriminator(
        _kind,
        custom_error_type="no_mapping",
        custom_error_message="write dotted keys with values, or an empty mapping for none",
    ),
]


class Params(Section):
    """The whole of params.yaml; a field per stage, of the stage's name."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    paths: Paths
    prompt: PromptParams
    pretrain: PretrainParams
    download: DownloadParams
    split: SplitParams
    concepts: ConceptsParams
    cot: CotParams
    review: ReviewParams
    sft: SftParams
    triplets: TripletsParams
    questions: QuestionsParams
    tapo: TapoParams
    predict: PredictParams
    robustness: RobustnessParams
    general: GeneralParams
    analysis: AnalysisParams
    score: ScoreParams
    report: ReportParams
    runtime: RuntimeParams
    comparison: ComparisonParams
    experiments: dict[str, Experiment]
    """Name -> dotted key -> value: differences from the values above (flows/differences.py has the
    words that are no keys); or a group of such names."""

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        """Stage 2 rewards a form that stage 1 teaches."""
        if self.sft.target in ("prose", "free") and self.tapo.format_rule == "sections":
            raise PydanticCustomError(
                "other_form",
                "sft.target is {target}, rationales without inner tags, but tapo.format_rule is "
                "sections, which rewards the inner tags; set tapo.format_rule to tags, or "
                "sft.target to rationale",
                {"target": self.sft.target},
            )
        return self

    @model_validator(mode="after")
    def _check_teacher(self) -> Self:
        """What is asked of a teacher changes nothing where none is asked."""
        cot = self.cot
        for key, is_usual in (
            ("show_concepts", cot.show_concepts),
            ("filter", cot.filter),
            ("per_class", cot.per_class is None),
        ):
            if cot.source == "released" and not is_usual:
                raise PydanticCustomError(
                    "no_teacher",
                    "cot.{key} changes what a teacher writes, but cot.source is released, "
                    "which asks none; set cot.source to teacher",
                    {"key": key},
                )
        return self

    def caveats(self) -> tuple[str, ...]:
        """What the report must say about the datasets of the run."""
        return tuple(
            caveat
            for dataset in self.download.datasets
            for caveat in self.report.caveats.get(dataset, ())
        )


def load_params(path: Path) -> Params:
    """Read and check params.yaml.

    Raises ValueError with one sentence per wrong or missing key.
    """
    return check_params(load_values(path), str(path))


def load_values(path: Path) -> dict[str, Any]:
    """Content of a YAML file of sections, not yet checked.

    Raises ValueError when it is no such file, when a key comes twice, or when it holds what a file
    of values never needs and what can exhaust a reader: aliases, tags, more than LONGEST_FILE.
    """
    try:
        size = path.stat().st_size
        if size > LONGEST_FILE:
            raise ValueError(f"{path} has {size} bytes, more than {LONGEST_FILE}; shorten it")
        values = yaml.load(path.read_text(encoding="utf-8"), _PlainValues)
    except RecursionError as error:
        raise ValueError(f"{path} cannot be read: it is nested too deeply") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no sections")
    return values


def check_params(values: object, source: str) -> Params:
    """The typed form of `values`; `source` names them in messages."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = [_sentence(list(item["loc"]), item["type"], item["msg"]) for item in error.errors()]
        raise ValueError("\n".join(f"{source}: {line}" for line in lines)) from error


def with_differences(
    values: MutableMapping[str, Any], differences: Mapping[str, object]
) -> MutableMapping[str, Any]:
    """A copy of params.yaml's content in which some dotted keys have other values.

    A key may also be an entry of a mapping: `report.caveats.bird`.
    Raises ValueError for an unknown key, naming the nearest known one, and for a missing section.
    """
    changed = copy.deepcopy(values)
    kinds = _kinds(Params, "")
    for key, value in differences.items():
        *sections, name = key.split(".")
        parent = ".".join(sections)
        if key not in kinds and get_origin(kinds.get(parent)) is not dict:
            raise ValueError(f"{key} is not a known key; the nearest one is {nearest_key(key)}")
        target: Any = changed
        for section in sections:
            target = target.get(section) if isinstance(target, Mapping) else None
        if not isinstance(target, MutableMapping):
            raise ValueError(f"params.yaml: the section {parent} is missing")
        target[name] = value
    return changed


def known_keys() -> list[str]:
    """Every dotted key that params.yaml has outside `experiments`."""
    return sorted(_kinds(Params, ""))


def nearest_key(key: str) -> str:
    """The known dotted key most like `key`."""
    return process.extractOne(key, known_keys())[0]


def _kinds(section: type[BaseModel], prefix: str) -> dict[str, Any]:
    """Dotted key -> type."""
    kinds: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kinds.update(_kinds(kind, f"{prefix}{name}."))
        elif name != "experiments":
            kinds[f"{prefix}{name}"] = kind
    return kinds


class _PlainValues(yaml.SafeLoader):
    """Refuses a key that comes twice, of which PyYAML takes the last one silently, and aliases.

    A few aliases of aliases stand for billions of values, and whoever copies them runs out of
    memory. So it does over what lies too deep.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            message = f"the alias *{event.anchor}; write the value out"
            raise yaml.composer.ComposerError(None, None, message, event.start_mark)
        if self.depth == _DEEPEST:
            raise RecursionError
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                message = "a key that is no text"
                raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
            if key.value in names:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} comes twice", key.start_mark
                )
            names.add(key.value)
        return super().construct_mapping(node, deep)


def _sentence(location: list[int | str], kind: str, message: str) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"{key} is not a known key; the nearest one is {nearest_key(key)}"
    if kind == "missing":
        return f"{key} is missing"
    return f"{key}: {message}" if key else message
