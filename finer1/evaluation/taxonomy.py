"""Hierarchical scores: how near a wrong answer is, by the levels above the sub-categories.

The levels come from a CSV file (paths.taxonomy),

    dataset,order,family,genus,label
    bird,Procellariiformes,Diomedeidae,Phoebastria,Laysan Albatross

from coarse to fine, the sub-category last; the column `dataset` may be missing. A cell may be
empty where a sub-category has no such level. Without a file's rows there is one level, `group`,
from the images' records (genus, maker, family).
"""

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finer1.evaluation.answers import normalise
from finer1.records import ImageRecord

LEAF = "label"
"""Header of the last column, and name of the finest level."""
_DATASET = "dataset"
_LEVEL = re.compile(r"[a-z][a-z0-9_]*")
_MAX_FINDINGS = 20

Lineage = tuple[str, ...]
"""Names from coarse to fine, normalised; empty strings where there is no such level."""
Key = tuple[str, str]
"""Dataset and normalised sub-category."""
Answered = tuple[str, str, str | None]
"""Dataset, true sub-category, answer if there is one."""


@dataclass(frozen=True)
class Taxonomy:
    """The levels above the sub-categories."""

    levels: tuple[str, ...]
    """Names from coarse to fine; the sub-category itself, LEAF, is the last."""
    paths: Mapping[Key, Lineage]
    """Sub-category -> its names at all levels, itself the last."""
    nodes: Mapping[Key, tuple[Lineage, ...]]
    """Dataset and name of a node of any level -> the paths that end there; one may be a genus in
    two families."""


def read_taxonomy(
    path: Path, known: Mapping[str, Collection[str]], may_have_more: bool = False
) -> Taxonomy | None:
    """The taxonomy of a CSV file; None when it holds no row but the header.

    known: dataset -> its sub-categories, of all that is at hand; rows about other datasets are
    left out. may_have_more: the file may be about sub-categories of theirs that are not known.
    Raises ValueError, with a line per bad row: another number of cells than the header, a
    sub-category that the dataset has not, or that comes twice under other names, or that has no
    level above it. Also for a file that is no CSV or not UTF-8.
    """
    (_, header), *rows = _read_rows(path)
    has_dataset = _check_header(path, header)
    if not rows:
        return None
    names = {
        dataset: {normalise(label) for label in labels} for dataset, labels in sorted(known.items())
    }
    paths: dict[Key, Lineage] = {}
    wrong = []
    for number, cells in rows:
        if len(cells) != len(header):
            wrong.append(f"{path}:{number}: {len(cells)} cells, but the header has {len(header)}")
            continue
        datasets = [cells[0]] if has_dataset else list(names)
        found = tuple(map(normalise, cells[1:] if has_dataset else cells))
        reasons = _enter(paths, datasets, names, found, may_have_more)
        wrong.extend(f"{path}:{number}: {text}" for text in reasons)
    if wrong:
        more = len(wrong) - _MAX_FINDINGS
        tail = [f"... and {more} more"] if more > 0 else []
        raise ValueError("\n".join([*wrong[:_MAX_FINDINGS], *tail]))
    return _taxonomy(tuple(header[1:] if has_dataset else header), paths)


def group_taxonomy(images: Iterable[ImageRecord]) -> Taxonomy:
    """One level above the sub-categories: the group of the images' records, where there is one."""
    paths = {
        (image.dataset, normalise(image.label)): (normalise(image.group), normalise(image.label))
        for image in images
        if image.group
    }
    return _taxonomy(("group", LEAF), paths)


def level_scores(taxonomy: Taxonomy, rows: Sequence[Answered]) -> dict[str, float]:
    """Share of answers that are right at each level, of those whose truth has the level.

    `level_<name>`: the sub-category that an answer names, or the name itself, lies under the
    truth's ancestor of that level; one of the same name elsewhere is another. `common_prefix`:
    mean share of the truth's levels, from the coarsest on, up to the first where the answer is
    wrong. `levels_n` and `levels_missing`: questions whose truth the taxonomy has, and has not. No
    key but the last without such questions.
    """
    covered = [row for row in rows if (row[0], normalise(row[1])) in taxonomy.paths]
    counts: dict[str, float] = {"levels_missing": len(rows) - len(covered)}
    if not covered:
        return counts
    right: dict[str, list[bool]] = defaultdict(list)
    prefixes = []
    for dataset, label, answer in covered:
        truth = taxonomy.paths[dataset, normalise(label)]
        agrees = _agreement(truth, _answer_paths(taxonomy, dataset, answer), taxonomy.levels)
        for level, is_right in agrees.items():
            right[level].append(is_right)
        prefixes.append(_prefix(list(agrees.values())))
    shares = {
        f"level_{level}": sum(right[level]) / len(right[level])
        for level in taxonomy.levels
        if level in right
    }
    prefix = sum(prefixes) / len(prefixes)
    return {**shares, "common_prefix": prefix, "levels_n": len(covered), **counts}


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of the header, which may be empty, and of each row that is not."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            rows = [
                (reader.line_num, [" ".join(cell.split()) for cell in row])
                for row in reader
                if any(cell.strip() for cell in row)
            ]
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8; write the file as UTF-8") from None
        except csv.Error as error:
            raise ValueError(
                f"{path}:{reader.line_num}: this is no CSV ({error}); correct the file"
            ) from None
    return [(1, header), *rows]


def _check_header(path: Path, header: Sequence[str]) -> bool:
    """True when the first column is the dataset; raises ValueError when it is no header."""
    has_dataset = header[:1] == [_DATASET]
    levels = header[1:] if has_dataset else header
    is_named = all(_LEVEL.fullmatch(level) for level in levels)
    if len(levels) < 2 or levels[-1] != LEAF or not is_named or len(set(levels)) < len(levels):
        raise ValueError(
            f"{path}:1: the header is {','.join(header) or 'missing'}; it must name the levels "
            f"from coarse to fine in lower case, such as {_DATASET},family,genus,{LEAF}"
        )
    return has_dataset


def _enter(
    paths: dict[Key, Lineage],
    datasets: Iterable[str],
    names: Mapping[str, Collection[str]],
    found: Lineage,
    may_have_more: bool,
) -> list[str]:
    """Add a row to `paths`, under each dataset that has its sub-category; what is wrong with it.

    Under all of the datasets where none is known to have it but they may.
    """
    label = found[-1]
    here = [dataset for dataset in datasets if dataset in names]
    fitting = [dataset for dataset in here if label in names[dataset]]
    if may_have_more and not fitting:
        fitting = here
    if not label or not any(found[:-1]):
        return ["the sub-category or all levels above it are empty; fill them in"]
    if here and not fitting:
        return [f"{label!r} is no sub-category of {', '.join(here)}; correct or remove it"]
    return [
        f"{label!r} is already there under other names; keep one of the rows"
        for dataset in fitting
        if paths.setdefault((dataset, label), found) != found
    ]


def _taxonomy(levels: tuple[str, ...], paths: Mapping[Key, Lineage]) -> Taxonomy:
    nodes: dict[Key, set[Lineage]] = defaultdict(set)
    for (dataset, _), path in paths.items():
        for depth, name in enumerate(path[:-1], 1):
            if name:
                nodes[dataset, name].add(path[:depth])
    return Taxonomy(levels, paths, {key: tuple(sorted(found)) for key, found in nodes.items()})


def _answer_paths(taxonomy: Taxonomy, dataset: str, answer: str | None) -> tuple[Lineage, ...]:
    """The paths that an answer may mean: a sub-category, and a node above that has its name."""
    key = dataset, normalise(answer or "")
    leaf = (taxonomy.paths[key],) if key in taxonomy.paths else ()
    return (*leaf, *taxonomy.nodes.get(key, ()))


def _agreement(
    truth: Lineage, answers: Sequence[Lineage], levels: Sequence[str]
) -> dict[str, bool]:
    """Level -> is the answer right there; only levels that the truth has."""
    return {
        level: any(_shares(truth[: place + 1], answer) for answer in answers)
        for place, (level, name) in enumerate(zip(levels, truth, strict=True))
        if name
    }


def _shares(node: Lineage, answer: Lineage) -> bool:
    """True when the answer lies under the node, all levels above compared that both have."""
    *above, name = node
    place = len(above)
    return answer[place : place + 1] == (name,) and all(
        not mine or not other or mine == other
        for mine, other in zip(above, answer[:place], strict=True)
    )


def _prefix(agrees: Sequence[bool]) -> float:
    """Share of the levels before the first that is wrong."""
    right = next((place for place, is_right in enumerate(agrees) if not is_right), len(agrees))
    return right / len(agrees)
