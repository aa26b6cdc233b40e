"""All that the card of an exported model says, put together."""

from dataclasses import dataclass
from pathlib import Path

from finer1.asking import Asking
from finer1.export.card import ModelFacts
from finer1.export.example import Example, drawn_example, run_example
from finer1.export.folder import Source, adapted_model, count_parameters
from finer1.export.golden import golden_answer
from finer1.export.licence import read_licence
from finer1.export.results import hub_dataset
from finer1.export.training import describe_training, describe_writing
from finer1.images import decode_image
from finer1.manifest import model_identity
from finer1.params import Params
from finer1.recognition.reading import asked_about
from flows.run_facts import LIMITS, RunFacts

_WEIGHTS = {"merged": "weights (SHA-256)", "separate": "merged weights (SHA-256)"}
_TAGS = ("finer1", "fine-grained", "visual-recognition")
_ELSEWHERE = "it was exported outside of the project that made it"


@dataclass(frozen=True)
class Shown:
    """What the card's example shows, and where it is asked."""

    image: Path | None
    """None: a drawn image of the run, else a drawing."""
    category: str | None
    device: str
    """auto, cpu or cuda."""


def licensed_folder(source: Source, run: RunFacts | None) -> Path:
    """Folder of the model whose licence holds: the source where it has a card, else its base."""
    if run is None or run.stage is None or (source.model / "README.md").is_file():
        return source.model
    return run.params.paths.base


def model_facts(
    name: str,
    source: Source,
    weights: str,
    asking: Asking,
    run: RunFacts | None,
    hub_base: str | None,
    shown: Shown,
) -> ModelFacts:
    """The facts; of a model that the run did not train, nothing of the run but results.

    weights: SHA-256 of the model. hub_base: id of the hub of its base, as the user gave it. The
    model answers once for the example.
    Raises ValueError when it is not known with which word to ask, and for what is no image.
    """
    stage = run.stage if run else None
    params = run.params if run and run.stage else None
    example = _example(shown, asking, params)
    if hub_base is None and params is not None and source.lora == "merged":
        hub_base = hub_id(params.paths.base)
    ids = [hub_dataset(params, one)[0] for one in params.download.datasets] if params else []
    made_from = params.paths.base if params else source.model
    tried_on: tuple[str, str] | None = None
    if source.lora == "separate":
        made_from = adapted_model(source.model)
        tried_on = (made_from.name, model_identity(made_from))
    return ModelFacts(
        name=name,
        relation="finetune" if source.lora == "merged" else "adapter",
        base=hub_base or f"{made_from.name}, a model that is not on the hub",
        hub_base=hub_base,
        tried_on=tried_on,
        writes=describe_writing(params, stage, asking.strategy),
        training=describe_training(params, stage),
        licence=read_licence(licensed_folder(source, run)),
        datasets=[item for item in ids if not item.startswith("local/")],
        tags=_TAGS,
        num_parameters=count_parameters(source.model),
        asked=asked_about(asking, (), example.category),
        max_tokens=asking.max_tokens,
        categories=asking.categories,
        example=example,
        golden=golden_answer(source.model, example.image, example.category, asking, shown.device),
        measured=run.measured if run else None,
        unmeasured=run.unmeasured if run else _ELSEWHERE,
        untold=run.untold if run else _ELSEWHERE,
        audit=run.audit if run else (),
        limits=run.limits if run else LIMITS,
        identity=[(_WEIGHTS[source.lora], weights), *(run.identity if run else ())],
    )


def _example(shown: Shown, asking: Asking, params: Params | None) -> Example:
    if shown.image is not None:
        image = decode_image(shown.image.read_bytes(), str(shown.image))
        return Example(image, asking.category(shown.category), "an image given with the export")
    if params is not None and shown.category is None:
        found = run_example(params)
        if found is not None:
            return found
    first = asking.categories[0] if asking.categories else None
    return drawn_example(asking.category(shown.category or first))


def hub_id(base: Path) -> str | None:
    """Id of the hub of a base, where the zoo has one of its name."""
    import finer1.zoo
    from finer1.zoo.entry import read_entry

    (folder,) = finer1.zoo.__path__
    ids = [read_entry(path).model for path in sorted(Path(folder).glob("*.yaml"))]
    return next((i for i in ids if i.rpartition("/")[2].lower() == base.name.lower()), None)
