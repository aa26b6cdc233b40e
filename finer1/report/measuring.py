"""How the models of a run were asked and their answers measured, in sentences."""

from collections import Counter, defaultdict

from finer1.params import Params
from finer1.report.inputs import Described
from finer1.report.table import describe_encoder


def describe_measuring(inputs: Described) -> list[tuple[str, str]]:
    """(heading, sentence) pairs."""
    params = inputs.params
    return [
        ("Questions", _questions(inputs)),
        ("Decoding", _decoding(inputs)),
        (
            "Strict rule (headline)",
            "Right means: exactly one closed answer element that equals the label after "
            "normalisation of case, separators, leading article and final punctuation. Of a model "
            "asked for the name alone, all that it wrote is the answer where it wrote no tags.",
        ),
        (
            "Released rule (paper)",
            "Right means: the label is contained in what stands between the first opening and the "
            "last closing answer tag, underscores read as spaces; open-world, without tags, in the "
            "whole output, and of a car without the last two words of its name. An answer that "
            "lists names can pass this rule.",
        ),
        ("Similarity", _similarity(params)),
        (
            "Intervals",
            f"Percentile bootstrap with {params.score.bootstrap_samples} resamples of whole "
            "classes, since questions about one class stand or fall together. Differences are "
            "paired: both models answer the same questions. One training seed: the intervals do "
            "not cover what another seed would give.",
        ),
    ]


def _questions(inputs: Described) -> str:
    settings = inputs.params.questions
    closed = [item for item in inputs.questions if item.setting == "closed"]
    sources = Counter(item.source for item in closed)
    origin = ", ".join(f"{name} {count}" for name, count in sorted(sources.items()))
    order = f"in an order drawn per question by seed {inputs.params.seed}"
    if settings.order == "stored":
        order = "with the right option first"
    wording = "the released wording" if settings.source == "released" else "ten wordings"
    return (
        f"{len(closed)} closed-world and {len(inputs.questions) - len(closed)} open-world "
        f"questions in {wording}. Closed-world: {settings.num_options} options "
        f"from all sub-categories of the category, seen and unseen (source: {origin}), {order}; "
        "the released evaluation always puts the right option first."
    )


def _decoding(inputs: Described) -> str:
    settings = inputs.params.predict
    way = (
        f"temperature {settings.temperature:g}, top-p {settings.top_p:g}"
        if settings.temperature
        else "greedy"
    )
    by_strategy: dict[str, list[str]] = defaultdict(list)
    for model, asked in inputs.asked.items():
        for strategy in asked.strategies:
            by_strategy[strategy].append(inputs.names[model])
    strategies = "; ".join(
        f"asked by strategy {strategy}: {', '.join(models)}"
        for strategy, models in by_strategy.items()
    )
    votes = [
        f"{settings.votes.samples} more for {asked.votes} questions of {inputs.names[model]}"
        for model, asked in inputs.asked.items()
        if asked.votes
    ]
    more = f" For the share of votes, {', '.join(votes)}, at {settings.votes.temperature:g}."
    return (
        f"{way}, at most {settings.max_tokens} tokens, system prompt "
        f"{inputs.params.prompt.system}; one completion per question and model; "
        f"{strategies}.{more if votes else ''}"
    )


def _similarity(params: Params) -> str:
    return (
        "Open-world, max(0, (sim(c, c*) - sim(s, c*)) / (1 - sim(s, c*))): c the answer, c* the "
        "truth, s the word of its category, so that the category alone is worth 0 and no answer is "
        "0; under the released rule an answer without tags is the whole output. sim is the cosine "
        f"of text embeddings by {describe_encoder(params.score.encoder)}."
    )
