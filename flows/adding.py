"""A dataset of one's own into the project: its images, and the settings that run on it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finer1.datasets.interface import ListedImage
    from finer1.own.intake import Intake
    from finer1.params import Params

_EMBEDDED = "embedded_photos"
"""The experiment whose values `add` sets while the embedded model is the base."""

_FOR_THE_EMBEDDED = (
    "values other than those of the data are for the embedded model ({base}); to take all of them "
    "back: git checkout params.yaml; to leave one: finer1 run -S key=value"
)


def write(intake: "Intake", source: Path, folder: Path, replace: bool, here: Path) -> None:
    """The dataset and its settings, and what they mean in words."""
    from finer1.own.dataset import Addition, OwnDataset, write_dataset
    from finer1.own.plan import differing
    from finer1.params import load_params
    from finer1.progress import Progress
    from flows.processes import as_typed
    from flows.values import set_values
    from flows.workspace import hold

    assert intake.plan is not None, "a source without a plan has an error"
    seen = zip(intake.images, intake.inspected, strict=True)
    additions = [Addition(image, inspected.sha256) for image, inspected in seen]
    about = OwnDataset(intake.images[0].category, source.resolve().name)
    params = load_params(here / "params.yaml")
    embedded = _embedded(params)
    settings = differing(params, {**embedded, **intake.plan.wanted})
    with hold(here):
        progress = Progress("copy", len(additions), "images")
        write_dataset(folder, about, additions, replace, progress)
        set_values(here / "params.yaml", _in_one_line(settings))
    print(f"{_below(here, folder)}: {counted(intake.images)}")
    for sentence in intake.plan.sentences:
        print(f"  * {sentence}")
    for key, value in settings.items():
        print(f"params.yaml  {key}: {_as_yaml(value)}")
    if embedded.keys() & settings.keys():
        print(_FOR_THE_EMBEDDED.format(base=params.paths.base))
    print(f"next: {as_typed('finer1 run', here)}")


def counted(images: "Iterable[ListedImage]") -> str:
    listed = list(images)
    sides = Counter(image.official for image in listed)
    parts = ", ".join(f"{sides[s]} {s}" for s in ("train", "validation", "test") if sides[s])
    return f"{len({image.label for image in listed})} classes, {len(listed)} images ({parts})"


def _embedded(params: "Params") -> dict[str, object]:
    """The settings that carry the embedded model through photographs.

    Empty when another model is the base, whose settings are the user's.
    """
    from flows.differences import experiment_differences

    wanted = experiment_differences(params.experiments, _EMBEDDED)
    return wanted if wanted.pop("paths.base") == str(params.paths.base) else {}


def _below(here: Path, folder: Path) -> Path:
    """The folder as seen from the project; paths.own may lie elsewhere."""
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _in_one_line(settings: Mapping[str, object]) -> dict[str, object]:
    """Lists in the form [a, b], which params.yaml has."""
    from ruamel.yaml.comments import CommentedSeq

    written = {key: CommentedSeq(x) for key, x in settings.items() if isinstance(x, list)}
    for value in written.values():
        value.fa.set_flow_style()
    return {**settings, **written}


def _as_yaml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
