import pytest

from finer1.evaluation.decision import decide
from finer1.evaluation.experiments import Column, Difference, Summary
from finer1.evaluation.statistics import Bootstrap, Interval
from finer1.report.experiment_table import ExperimentTable
from finer1.report.places import EXPERIMENTS_PAGE
from flows.comparing import write_tables

COLUMN = Column("closed", "unseen", "accuracy")


@pytest.fixture
def table():
    decision = decide([1, 0, 1, 0], list("abab"), [0, 0, 1, 1], Bootstrap(100, 0.95, 0), 0.02)
    interval = Interval(0.5, 0.0, 1.0)

    def make(name, setting=None):
        return ExperimentTable(
            name=name,
            paper="Figure 3a",
            about=f"about {name}",
            setting=setting,
            columns=(COLUMN,),
            titles=("RL", "SFT"),
            summaries=(Summary("RL", COLUMN, (0, 1), (0.5, 0.5), interval),),
            differences=(Difference("RL", "SFT", COLUMN, (0, 1), (0.5, 0.5), decision),),
            published={},
            missing={},
            notes=(),
        )

    return make


def test_tables_of_earlier_calls_stay_on_the_page(table, tmp_path):
    write_tables([table("first")], 0.95, tmp_path)
    *made, page = write_tables([table("second"), table("first", "large")], 0.95, tmp_path)
    assert [path.name for path in made] == ["second.md", "large-first.md"]
    assert page == tmp_path / EXPERIMENTS_PAGE
    text = page.read_text()
    assert text.index("about first") < text.index("about second") < text.rindex("about first")
    assert "large, seeds 0, 1" in text
    assert '<section id="large-first">' in text
    assert "finer1 experiments first --on large" in text


def test_a_kept_table_is_the_same_again(table, tmp_path):
    write_tables([table("first")], 0.95, tmp_path)
    before = (tmp_path / EXPERIMENTS_PAGE).read_bytes()
    write_tables([], 0.95, tmp_path)
    assert (tmp_path / EXPERIMENTS_PAGE).read_bytes() == before


def test_a_table_of_another_version_is_left_out_and_named(table, tmp_path, capsys):
    (tmp_path / "old.json").write_text('{"name": "old"}')
    write_tables([table("first")], 0.95, tmp_path)
    assert "old.json is of another version" in capsys.readouterr().out
    assert "about first" in (tmp_path / EXPERIMENTS_PAGE).read_text()
