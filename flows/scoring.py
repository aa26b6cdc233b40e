"""`finer1 score`: a file of released rows with completions, of any harness, scored and written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finer1.evaluation.file_verdicts import Protocol
    from finer1.evaluation.statistics import Bootstrap
    from finer1.evaluation.taxonomy import Taxonomy
    from finer1.records import Setting

DEFAULT_ENCODER = "char_ngrams"
_SIDES = {"seen", "unseen"}
_RULES = {
    ("closed", "shuffled"): "the answer in tags equals the truth; options as they stand",
    ("closed", "paper"): "the answer in tags contains the truth; options as they stand",
    ("open", "shuffled"): "the answer in tags equals the truth",
    ("open", "paper"): "the answer, or the whole output without one, contains the truth",
}


@dataclass(frozen=True)
class ScoreRequest:
    """What is scored, and how."""

    file: Path
    setting: "Setting"
    protocol: "Protocol"
    output: Path | None
    encoder: str | None
    taxonomy: Path | None
    bootstrap: "Bootstrap"


def score_rows(request: ScoreRequest, here: Path) -> dict[str, Any]:
    """All numbers of the file, printed as a table and written to the output, whole or not at all.

    Raises ValueError, before anything is written, for bad rows and settings that do not fit.
    """
    from tasks.stage import settle_libraries

    settle_libraries(threads=0, is_online=False)  # before any of them is imported
    from finer1.evaluation.file_scores import find_warnings, score_file
    from finer1.evaluation.file_verdicts import judge_file, known_labels
    from finer1.evaluation.scored_file import read_scored
    from finer1.evaluation.similarity import load_similarity
    from finer1.files import sha256_file, write_json

    _check(request)
    rows = read_scored(request.file, request.setting)
    taxonomy = _taxonomy(request.taxonomy, known_labels(rows)) if request.taxonomy else None
    similarity = None
    if request.setting == "open":
        similarity = load_similarity(request.encoder or DEFAULT_ENCODER, here, "auto")
    judged = judge_file(rows, request.setting, request.protocol, similarity)
    scores = score_file(judged, request.bootstrap, taxonomy)
    notes = find_warnings(rows, judged)
    _print(request, scores, similarity.name if similarity else None, notes)
    result = {
        **scores,
        "mode": request.setting,
        "protocol": request.protocol,
        "rule": _RULES[request.setting, request.protocol],
        "warnings": notes,
        "sha256": {
            role: sha256_file(file)
            for role, file in (("file", request.file), ("taxonomy", request.taxonomy))
            if file
        },
        "version": version("finer1"),
        "confidence": request.bootstrap.confidence,
        "bootstrap_samples": request.bootstrap.samples,
        "seed": request.bootstrap.seed,
    }
    if similarity:
        result["encoder"] = similarity.name
    if request.output:
        write_json(request.output, result)
        print(f"written to {request.output}")
    return result


def _taxonomy(path: Path, labels: Mapping[str, Sequence[str]]) -> "Taxonomy":
    """The levels of a file, which may be about more sub-categories than the rows."""
    from finer1.evaluation.taxonomy import read_taxonomy

    if not path.is_file():
        raise ValueError(f"--taxonomy {path} is no file; name a CSV file")
    taxonomy = read_taxonomy(path, labels, may_have_more=True)
    if taxonomy is None:
        raise ValueError(f"--taxonomy {path} holds no row; fill it in, or leave it out")
    return taxonomy


def _check(request: ScoreRequest) -> None:
    output = request.output
    if request.setting == "closed" and request.encoder is not None:
        raise ValueError("--encoder is for open questions; leave it out, or take --mode open")
    if output is None:
        return
    if output.exists() and not output.is_file():
        raise ValueError(f"--json {output} is there and is no regular file; name another one")
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ValueError(f"--json {output}: {above} is no folder; name another file")
    for given in (request.file, request.taxonomy):
        if given is not None and output.exists() and given.exists() and output.samefile(given):
            raise ValueError(f"--json {output} would replace {given}; name another file")


def _print(
    request: ScoreRequest, scores: Mapping[str, Any], encoder: str | None, notes: Sequence[str]
) -> None:
    setting, protocol = request.setting, request.protocol
    print(f"{request.file}: {setting} questions, protocol {protocol}:")
    print(f"{_RULES[setting, protocol]}\n")
    datasets = {name.partition("/")[0] for name in scores["groups"]} - _SIDES
    # Of a file about one dataset, its own numbers are those of all.
    shown = scores["groups"] if len(datasets) > 1 else _SIDES & set(scores["groups"])
    parts = [("all", scores), *((name, scores["groups"][name]) for name in sorted(shown))]
    print("\n".join(aligned(_table(setting, parts))))
    if setting == "closed":
        print()
        print("\n".join(aligned(_positions(scores["position"]))))
    if "levels_missing" in scores:
        print("\n" + _levels(scores))
    level = f"{100 * request.bootstrap.confidence:g} %"
    print(
        f"\n{scores['words_mean']:.0f} words a completion (median {scores['words_median']:g}); "
        f"{_percent(scores['sectioned_rate'])} % hold the four sections"
    )
    print(f"shares in %; in brackets the {level} interval, bootstrap over sub-categories")
    if encoder:
        print(f"similarity (Eq. 5, 0 to 100) by {encoder}")
    for note in notes:
        print(f"warning: {note}")


def _table(setting: str, parts: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[str]]:
    head = ["", "n", "classes", "accuracy", "interval", "macro", "exact", "paper"]
    lines = []
    for name, part in parts:
        low, high = _percent(part["low"]), _percent(part["high"])
        shares = ("macro_accuracy", "accuracy_exact", "accuracy_paper", "format_rate", "hedge_rate")
        macro, exact, paper, form, hedge = (_percent(part[key]) for key in shares)
        cells = [name, f"{part['n']}", f"{part['classes']}", _percent(part["accuracy"])]
        cells += [f"[{low}, {high}]", macro, exact, paper]
        if setting == "open":
            cells.append(_percent(part["semantic_similarity"]))
        lines.append([*cells, form, hedge])
    tail = ["similarity", "format", "hedge"] if setting == "open" else ["format", "hedge"]
    return [[*head, *tail], *lines]


def _positions(position: Mapping[str, Any]) -> list[list[str]]:
    """Of each place: how often the truth stands there, what is scored then, how often answered."""
    places = position["places"]
    total = sum(at["n"] for at in places.values())
    none = _percent(position["answered_none"])
    return [
        ["place", *places, "none"],
        ["truth", *(_percent(at["n"] / total) for at in places.values()), ""],
        ["answered", *(_percent(at["answered"]) for at in places.values()), none],
        ["accuracy", *(_percent(at["accuracy"]) for at in places.values()), ""],
    ]


def _levels(scores: Mapping[str, Any]) -> str:
    """The answers that are right at each level, as far as the taxonomy has the truth."""
    shares = [
        f"{name.removeprefix('level_')} {_percent(share)}"
        for name, share in scores.items()
        if name.startswith("level_")
    ]
    missing = f"{scores['levels_missing']} rows are about sub-categories that it has not"
    if not shares:
        return f"levels: {missing}"
    prefix = _percent(scores["common_prefix"])
    return f"levels: {', '.join(shares)}, longest common prefix {prefix}; {missing}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
