from finer1.report.figures import Place
from finer1.report.positions import model_places, position_charts, spread

METRICS = {
    f"tapo/closed/position_{place}/{name}": value
    for place, answered in ((1, 0.5), (2, 0.3), (3, 0.2))
    for name, value in (("n", 10.0), ("accuracy", 0.9), ("answered", answered))
}


def test_places_are_read_as_far_as_they_go():
    places = model_places(METRICS, "tapo", 4)
    assert places[0] == Place(1, 0.5, 0.9)
    assert [place.number for place in places] == [1, 2, 3]


def test_spread_is_between_the_most_and_the_least_answered():
    assert spread(model_places(METRICS, "tapo", 4)) == "30.0"  # 50 less 20


def test_a_chart_per_model_with_closed_questions():
    names = {"base": "base", "tapo": "TAPO"}
    ((model, name, told, chart),) = position_charts(METRICS, names, 4)
    assert (model, name, told) == ("tapo", "TAPO", "within 30.0 points")
    assert chart.count("var(--tapo)") >= 6  # three places, two bars each


def test_a_right_option_that_never_moves_has_no_chart():
    stored = {key: value for key, value in METRICS.items() if "position_1" in key}
    assert position_charts(stored, {"tapo": "TAPO"}, 4) == []
