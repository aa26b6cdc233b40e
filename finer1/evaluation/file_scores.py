"""What the completions of a file score: accuracies, similarities, form, places, lengths.

Rates are shares in 0..1, intervals a bootstrap over classes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean, median

from finer1.evaluation.file_verdicts import JudgedFile, JudgedRow, Protocol
from finer1.evaluation.released_rules import OTHER
from finer1.evaluation.scored_file import ScoredRow
from finer1.evaluation.statistics import Bootstrap, macro_mean, mean_interval
from finer1.evaluation.taxonomy import Taxonomy, level_scores


def score_file(
    judged: JudgedFile, bootstrap: Bootstrap, taxonomy: Taxonomy | None
) -> dict[str, object]:
    """Every number of the file, then the same of each dataset and side that is known (`groups`)."""
    everything = range(len(judged.rows))
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(judged.rows):
        for name in _group_names(row):
            groups[name].append(place)
    scores = _scores(judged, everything, bootstrap, taxonomy)
    scores["groups"] = {
        name: _scores(judged, places, bootstrap, taxonomy)
        for name, places in sorted(groups.items())
    }
    return scores


def find_warnings(given: Sequence[ScoredRow], judged: JudgedFile) -> list[str]:
    """What a reader of the numbers must know about the file; given: its rows."""
    rows, found = judged.rows, []
    if judged.setting == "closed" and all(row.truth_place == 1 for row in rows):
        found.append(
            "the truth is the first option of every row, so that always naming the first one "
            "scores 100 %; scoring shuffles nothing: shuffle the options when the model is asked"
        )
    if num_repeated := len(given) - len({(row.image_path, row.question) for row in given}):
        found.append(
            f"{num_repeated} of {len(given)} rows repeat the image and question of another row, "
            "and count beside it; leave them out unless they are meant"
        )
    num_wordless = sum(not (row.category or row.released_dataset) for row in given)
    if judged.setting == "open" and num_wordless:
        found.append(
            f"{num_wordless} of {len(given)} rows name no category: compared with `{OTHER}` in "
            "the headline similarity; add `category`"
        )
    if num_without := sum(not row.is_answered for row in rows):
        reading = (
            "scored on the whole output"
            if (judged.setting, judged.protocol) == ("open", "paper")
            else "wrong"
        )
        found.append(f"{num_without} of {len(rows)} completions have no answer in tags: {reading}")
    return found


def _group_names(row: JudgedRow) -> list[str]:
    side = None if row.seen is None else "seen" if row.seen else "unseen"
    names = [name for name in (row.dataset, side) if name is not None]
    return [*names, "/".join(names)] if len(names) > 1 else names


def _scores(
    judged: JudgedFile, places: Sequence[int], bootstrap: Bootstrap, taxonomy: Taxonomy | None
) -> dict[str, object]:
    rows = [judged.rows[place] for place in places]
    classes = [row.class_name for row in rows]
    rules: dict[Protocol, list[float]] = {
        "paper": [float(row.is_paper) for row in rows],
        "shuffled": [float(row.is_exact) for row in rows],
    }
    right = rules[judged.protocol]
    accuracy = mean_interval(right, classes, bootstrap)
    scores: dict[str, object] = {
        "n": len(rows),
        "classes": len(set(classes)),
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "macro_accuracy": macro_mean(right, classes),
        "accuracy_exact": fmean(rules["shuffled"]),
        "accuracy_paper": fmean(rules["paper"]),
        **{name: fmean(map(float, map(rate, rows))) for name, rate in _RATES.items()},
        "words_median": median(row.num_words for row in rows),
    }
    if taxonomy is not None:
        answers = [(row.dataset or "", row.label, row.answer) for row in rows]
        scores |= level_scores(taxonomy, answers)
    if judged.setting == "closed":
        return scores | {"position": _positions(rows, right)}
    return scores | {
        "text_inclusion": accuracy.value,
        "text_inclusion_exact": scores["accuracy_exact"],
        "text_inclusion_paper": scores["accuracy_paper"],
        **(_similarities(judged, places, classes, bootstrap) if judged.similarity else {}),
    }


def _similarities(
    judged: JudgedFile, places: Sequence[int], classes: Sequence[str], bootstrap: Bootstrap
) -> dict[str, object]:
    values = {
        name: [scores[place] for place in places] for name, scores in judged.similarity.items()
    }
    interval = mean_interval(values[judged.protocol], classes, bootstrap)
    return {
        "semantic_similarity": interval.value,
        "semantic_similarity_low": interval.low,
        "semantic_similarity_high": interval.high,
        "semantic_similarity_exact": fmean(values["shuffled"]),
        "semantic_similarity_paper": fmean(values["paper"]),
    }


_RATES: dict[str, Callable[[JudgedRow], float]] = {
    "answered_rate": lambda row: row.is_answered,
    "format_rate": lambda row: row.is_tagged,
    "sectioned_rate": lambda row: row.is_sectioned,
    "hedge_rate": lambda row: row.is_hedged,
    "characters_mean": lambda row: row.num_characters,
    "words_mean": lambda row: row.num_words,
}


def _positions(rows: Sequence[JudgedRow], right: Sequence[float]) -> dict[str, object]:
    """Accuracy where the truth stands at each place, and how often each place is answered."""
    truths = Counter(row.truth_place for row in rows)
    answered = Counter(row.answer_place for row in rows)
    at = defaultdict(list)
    for row, value in zip(rows, right, strict=True):
        at[row.truth_place].append(value)
    return {
        "always_first": truths[1] / len(rows),
        "answered_none": answered[None] / len(rows),
        "places": {
            str(place): {
                "n": truths[place],
                "accuracy": fmean(at[place]) if at[place] else None,
                "answered": answered[place] / len(rows),
            }
            for place in range(1, max(row.num_options for row in rows) + 1)
        },
    }
