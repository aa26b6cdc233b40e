"""Changes to params.yaml that keep its comments, checked before anything is written."""

import io
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, RoundTripRepresenter, YAMLError
from yaml import ScalarNode
from yaml.resolver import Resolver

from finer1.datasets.catalogue import content_hash, places
from finer1.files import write_atomic
from finer1.params import Params, check_params, load_params, load_values, with_differences


def parse_assignments(texts: Sequence[str]) -> dict[str, object]:
    """`["sft.lr=1e-4"]` as {"sft.lr": 0.0001}; values are written as in YAML.

    Raises ValueError when there is no `=` or the value is no YAML.
    """
    values: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"-S {text}: write it as key=value, for instance -S sft.epochs=3")
        try:
            values[key.strip()] = _plain(YAML(typ="safe", pure=True).load(value))
        except YAMLError as error:
            raise ValueError(f"-S {text}: {value} is no value as in YAML") from error
        except RecursionError as error:
            raise ValueError(f"-S {key}: the value is nested too deeply") from error
    return values


def configure(path: Path, texts: Sequence[str], data_root: Path | None) -> Params:
    """Write assignments, and the content of the data's folders, into params.yaml; returns it all.

    data_root: folder of datasets in their official layout, or None.

    Raises ValueError, and writes nothing, as `parse_assignments`, `data_differences` and
    `set_values` do.
    """
    assigned = parse_assignments(texts)
    values = with_differences(load_values(path), assigned)
    params = check_params(values, str(path))
    return set_values(path, {**data_differences(data_root, params, path.parent), **assigned})


def set_values(path: Path, differences: Mapping[str, object]) -> Params:
    """Write other values into params.yaml; returns the parameters as they then are.

    Raises ValueError, and writes nothing, when a key is unknown, a value not allowed, or the file
    no YAML.
    """
    if not differences:
        return load_params(path)
    writer = YAML()
    writer.Representer = _PlainlyWritten
    writer.preserve_quotes = True
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    try:
        document = writer.load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    changed = with_differences(document, differences)
    params = check_params(changed, str(path))
    with io.StringIO() as text:
        writer.dump(changed, text)
        write_atomic(path, text.getvalue().encode())
    return params


def inspections(home: Path) -> Path:
    """Folder where what was seen in image files is kept; as in Context.store."""
    return Path(environ.get("FINER1_STORE", home / "models/.generations")) / "inspections"


def data_differences(data_root: Path | None, params: Params, home: Path) -> dict[str, object]:
    """The setting that stands for the folders of the run's datasets: content, never place.

    home: the project's folder. Raises ValueError when a folder is not there or empty.
    """
    where = places(data_root, params.paths, home)
    content = content_hash(params.download, where, inspections(home))
    return {} if content == params.download.content else {"download.content": content}


class _PlainlyWritten(RoundTripRepresenter):
    """Writes `null` where ruamel would leave the value empty, quotes around a text that YAML 1.1,
    which reads params.yaml, would take for something else: no, on, 1:30, and no aliases, which
    are refused there."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(representer: RoundTripRepresenter, value: str) -> Any:
    is_text = Resolver().resolve(ScalarNode, value, (True, False)) == _TEXT
    return representer.represent_scalar(_TEXT, value, style=None if is_text else "'")


_TEXT = "tag:yaml.org,2002:str"
_PlainlyWritten.add_representer(
    type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
)
_PlainlyWritten.add_representer(str, _text)


def _plain(value: object) -> object:
    """Small floats in a form that YAML 1.1, which reads params.yaml, takes for a number, too."""
    if isinstance(value, float) and "e" in repr(value) and "." not in repr(value):
        return YAML().load(repr(value).replace("e", ".0e"))
    return value
