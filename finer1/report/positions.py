"""Position bias: which places of the options a model answers with, and where it is right."""

from collections.abc import Mapping

from markupsafe import Markup

from finer1.report.figures import Place, position_chart
from finer1.report.table import percent


def position_charts(
    metrics: Mapping[str, float], names: Mapping[str, str], num_options: int
) -> list[tuple[str, str, str, Markup]]:
    """(model, its name, how uneven its answers are, SVG); models with closed questions alone.

    Where the right option always stands at one place there is nothing to compare, and no chart.
    """
    charts = []
    for model, name in names.items():
        places = model_places(metrics, model, num_options)
        if len(places) > 1:
            told = f"within {spread(places)} points"
            # The chart holds numbers only.
            svg = Markup(position_chart(model, model, places, 1 / num_options))
            charts.append((model, name, told, svg))
    return charts


def model_places(metrics: Mapping[str, float], model: str, num_options: int) -> list[Place]:
    """The places at which right options stand, as the metrics of `score` have them."""
    keys = {place: f"{model}/closed/position_{place}" for place in range(1, num_options + 1)}
    return [
        Place(place, metrics[f"{key}/answered"], metrics[f"{key}/accuracy"])
        for place, key in keys.items()
        if f"{key}/n" in metrics
    ]


def spread(places: list[Place]) -> str:
    """Largest share of answers that a place gets less the smallest, points."""
    shares = [place.answered for place in places]
    return percent(max(shares) - min(shares))
