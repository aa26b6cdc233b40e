"""Position bias: which places of the options a model answers with, and where it is right."""

from collections.abc import Mapping

from markupsafe import Markup

from finer1.report.figures import Place, position_chart
from finer1.report.table import percent


def position_charts(
    metrics: Mapping[str, float], names: Mapping[str, str], num_options: int
) -> list[tuple[str, str, str, Markup]]:
    """(model, its name, how uneven its answers are, SVG); models with closed questions alone.

    A model none of whose answers names an option has no chart.
    """
    charts = []
    for model, name in names.items():
        places = model_places(metrics, model, num_options)
        if places:
            told = f"within {spread(places)} points"
            if unnamed := metrics[_unnamed_key(model)]:
                told += f", {percent(unnamed)} % name none"
            # The chart holds numbers only.
            svg = Markup(position_chart(model, model, places, 1 / num_options))
            charts.append((model, name, told, svg))
    return charts


def model_places(metrics: Mapping[str, float], model: str, num_options: int) -> list[Place]:
    """The places of the options, as the metrics of `score` have them; none where none is named."""
    unnamed = metrics.get(_unnamed_key(model), 1.0)
    if unnamed == 1:
        return []
    keys = {place: f"{model}/closed/position_{place}" for place in range(1, num_options + 1)}
    return [
        Place(
            place,
            # `score` gives the share of all questions.
            metrics.get(f"{key}/answered", 0.0) / (1 - unnamed),
            metrics.get(f"{key}/accuracy"),
        )
        for place, key in keys.items()
    ]


def unnamed_share(metrics: Mapping[str, float], model: str) -> float | None:
    """Share of a model's closed answers that name none of the options; None without any."""
    return metrics.get(_unnamed_key(model))


def spread(places: list[Place]) -> str:
    """Largest share of answers that a place gets less the smallest, points."""
    shares = [place.answered for place in places]
    return percent(max(shares) - min(shares))


def _unnamed_key(model: str) -> str:
    return f"{model}/closed/position_none/answered"
