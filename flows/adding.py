"""A dataset of one's own into the project: its images, and the settings that run on it."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finer1.datasets.interface import ListedImage
    from finer1.own.intake import Intake

_EMBEDDED = "embedded_photos"
"""The experiment whose values `add` sets while the embedded model is the base."""


def write(intake: "Intake", source: Path, folder: Path, replace: bool, here: Path) -> None:
    """The dataset and its settings, and what they mean in words."""
    from finer1.own.dataset import Addition, OwnDataset, write_dataset
    from finer1.progress import Progress
    from flows.processes import as_typed
    from flows.values import set_values
    from flows.workspace import hold

    assert intake.plan is not None, "a source without a plan has an error"
    seen = zip(intake.images, intake.inspected, strict=True)
    additions = [Addition(image, inspected.sha256) for image, inspected in seen]
    about = OwnDataset(intake.images[0].category, source.resolve().name)
    settings = {**_embedded(here / "params.yaml"), **intake.plan.settings}
    with hold(here):
        progress = Progress("copy", len(additions), "images")
        write_dataset(folder, about, additions, replace, progress)
        set_values(here / "params.yaml", _in_one_line(settings))
    print(f"{folder.relative_to(here)}: {counted(intake.images)}")
    for sentence in intake.plan.sentences:
        print(f"  * {sentence}")
    for key, value in settings.items():
        print(f"params.yaml  {key}: {_as_yaml(value)}")
    print(f"next: {as_typed('finer1 run', here)}")


def counted(images: "Iterable[ListedImage]") -> str:
    listed = list(images)
    sides = Counter(image.official for image in listed)
    parts = ", ".join(f"{sides[s]} {s}" for s in ("train", "validation", "test") if sides[s])
    return f"{len({image.label for image in listed})} classes, {len(listed)} images ({parts})"


def _embedded(path: Path) -> dict[str, object]:
    """What differs from the settings that carry the embedded model through photographs.

    Empty when another model is the base, whose settings are the user's.
    """
    from finer1.params import load_params, load_values
    from flows.plan import experiment_differences

    values = load_values(path)
    wanted = experiment_differences(load_params(path).experiments, _EMBEDDED)
    if values["paths"]["base"] != wanted.pop("paths.base"):
        return {}
    parts = {key: key.split(".") for key in wanted}
    return {key: wanted[key] for key, (a, b) in parts.items() if values[a][b] != wanted[key]}


def _in_one_line(settings: dict[str, object]) -> dict[str, object]:
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
