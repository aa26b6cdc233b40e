import pytest

from finer1.evaluation.taxonomy import group_taxonomy, level_scores, read_taxonomy
from finer1.records import ImageRecord

KNOWN = {"bird": ("Elm Wren", "Oak Wren", "Reed Tern", "Puffin"), "car": ("Kei 1990",)}
ROWS = """dataset,order,genus,label
bird,Passeriformes,Wren,Elm Wren
bird,Passeriformes,Wren,Oak Wren
bird,Charadriiformes,Tern,Reed Tern
bird,Charadriiformes,,Puffin
"""


@pytest.fixture
def written(tmp_path):
    """Write a taxonomy file and read it."""

    def make(text, known=KNOWN, **more):
        path = tmp_path / "taxonomy.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_taxonomy(path, known, **more)

    return make


@pytest.mark.parametrize(
    ("truth", "answer", "order", "genus", "leaf", "prefix"),
    [
        ("Elm Wren", "elm wren", 1, 1, 1, 1),
        ("Elm Wren", "Oak Wren", 1, 1, 0, 2 / 3),
        ("Elm Wren", "a wren", 1, 1, 0, 2 / 3),
        ("Elm Wren", "passeriformes", 1, 0, 0, 1 / 3),
        ("Elm Wren", "Reed Tern", 0, 0, 0, 0),
        ("Elm Wren", "some wren", 0, 0, 0, 0),
        ("Elm Wren", None, 0, 0, 0, 0),
    ],
)
def test_an_answer_counts_where_it_has_the_ancestor(
    written, truth, answer, order, genus, leaf, prefix
):
    scores = level_scores(written(ROWS), [("bird", truth, answer)])
    assert scores["level_order"] == order
    assert scores["level_genus"] == genus
    assert scores["level_label"] == leaf
    assert scores["common_prefix"] == pytest.approx(prefix)


def test_a_level_that_a_truth_has_not_is_not_counted(written):
    # Puffin has order and itself: order right, leaf wrong, 1 of 2 levels.
    scores = level_scores(written(ROWS), [("bird", "Puffin", "reed tern")])
    assert "level_genus" not in scores
    assert (scores["level_order"], scores["common_prefix"]) == (1, 0.5)


def test_questions_about_other_sub_categories_are_counted_and_left_out(written):
    rows = [("bird", "Elm Wren", "Elm Wren"), ("car", "Kei 1990", "Kei 1990")]
    scores = level_scores(written(ROWS), rows)
    assert (scores["levels_n"], scores["levels_missing"], scores["level_label"]) == (1, 1, 1)


def test_without_any_question_in_the_taxonomy_only_the_missing_are_counted(written):
    assert level_scores(written(ROWS), [("car", "Kei 1990", None)]) == {"levels_missing": 1}


def test_a_name_of_a_genus_and_of_a_sub_category_may_mean_both(written):
    # Petunia is a sub-category of another family and a genus of the truth.
    text = "family,genus,label\nf1,petunia,mexican petunia\nf2,g2,petunia\n"
    taxonomy = written(text, {"flower": ("mexican petunia", "petunia")})
    scores = level_scores(taxonomy, [("flower", "mexican petunia", "petunia")])
    assert (scores["level_family"], scores["level_genus"], scores["level_label"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("answer", "family", "genus"), [("l2", 0, 0), ("f2", 0, 0), ("g1", 1, 1), ("l3", 1, 1)]
)
def test_a_genus_of_another_family_is_another_whatever_its_name(written, answer, family, genus):
    # l2 has a genus of the same name as l1 in another family; l3 has no family on record.
    text = "family,genus,label\nf1,g1,l1\nf2,g1,l2\n,g1,l3\n"
    scores = level_scores(written(text, {"x": ("l1", "l2", "l3")}), [("x", "l1", answer)])
    found = scores["level_family"], scores["level_genus"]
    assert found == ((0, 1) if answer == "l3" else (family, genus))


def test_a_file_may_have_more_sub_categories_where_the_caller_says_so(written):
    rows = ROWS + "bird,Alcidae,,Auk\ndog,Carnivora,Canis,Boxer\n"
    taxonomy = written(rows, may_have_more=True)
    assert taxonomy.paths["bird", "auk"] == ("alcidae", "", "auk")
    assert {dataset for dataset, _ in taxonomy.paths} == {"bird"}
    # Without the column of datasets: where it is known, else everywhere.
    taxonomy = written("genus,label\nwren,Elm Wren\nalca,Auk\n", may_have_more=True)
    assert set(taxonomy.paths) == {("bird", "elm wren"), ("bird", "auk"), ("car", "auk")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"genus,label\nwren,\xe9lan\n", "taxonomy.csv is not UTF-8; write the file as UTF-8"),
        ('genus,label\nwren,"' + "x" * 140_000, "taxonomy.csv:2: this is no CSV (field larger"),
    ],
)
def test_a_file_that_is_no_text_table_is_named(written, text, message):
    with pytest.raises(ValueError) as error:
        written(text)
    assert message in str(error.value)


def test_without_the_column_dataset_a_row_holds_wherever_its_sub_category_is(written):
    taxonomy = written("genus,label\nwren,Elm Wren\n")
    assert taxonomy.paths == {("bird", "elm wren"): ("wren", "elm wren")}


@pytest.mark.parametrize("text", ["dataset,group,label\n", "dataset,group,label\n\n , ,\n"])
def test_a_file_without_rows_is_no_taxonomy(written, text):
    assert written(text) is None


def test_rows_about_datasets_that_are_not_here_are_left_out(written):
    taxonomy = written(ROWS + "dog,Carnivora,Canis,Boxer\n")
    assert {dataset for dataset, _ in taxonomy.paths} == {"bird"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("bird,Passeriformes,Elm Wren", "3 cells, but the header has 4"),
        ("bird,a,b,Blue Jay", "'blue jay' is no sub-category of bird"),
        ("bird,Passeriformes,Tern,Elm Wren", "already there under other names"),
        ("bird,,,Puffin", "all levels above it are empty"),
        ("bird,a,b,", "sub-category or all"),
    ],
)
def test_a_bad_row_is_named_with_its_line(written, row, reason):
    with pytest.raises(ValueError, match=rf"taxonomy\.csv:6: .*{reason}"):
        written(ROWS + row + "\n")


def test_the_same_row_twice_is_one(written):
    assert len(written(ROWS + "bird,Passeriformes,Wren,elm_wren\n").paths) == 4


@pytest.mark.parametrize(
    "header", ["", "label", "dataset,label", "genus,species", "Genus,label", "genus,genus,label"]
)
def test_a_header_without_levels_is_refused(written, header):
    with pytest.raises(ValueError, match=r"taxonomy\.csv:1: the header is .*such as dataset,fam"):
        written(f"{header}\n")


def test_groups_of_the_records_are_one_level():
    images = [
        ImageRecord(f"bird/{label}", "bird", "bird", label, group, "0" * 64, "0" * 16, "test")
        for label, group in (("Elm Wren", "wren"), ("Oak Wren", "wren"), ("Puffin", None))
    ]
    taxonomy = group_taxonomy(images)
    assert taxonomy.levels == ("group", "label")
    rows = [("bird", "Elm Wren", "Oak Wren"), ("bird", "Puffin", "Puffin")]
    scores = level_scores(taxonomy, rows)
    # Elm wren: the group is right; puffin has none.
    assert (scores["level_group"], scores["level_label"], scores["levels_missing"]) == (1, 0, 1)
