import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from finer1.evaluation.metrics import model_pairs
from finer1.report.inputs import read_inputs
from finer1.report.names import MODEL_NAMES
from finer1.report.page import TEMPLATE_WARNING, collect_curves, hash_params, render_page
from finer1.report.published import DATASETS, published_names
from finer1.report.results import collect_results
from finer1.report.results_file import result_rows, rows_as_csv
from finer1.teacher.yields import ClassYield
from tests.finer1.report.made_up_metrics import everything

VOID = {"meta", "link", "img", "br", "input", "hr"}


@pytest.fixture(scope="module")
def page(params):
    return render_page(read_inputs(params))


@pytest.fixture(scope="module")
def other(further):
    """A page that differs in all that a page can say otherwise."""
    changes = {
        "download": {"datasets": ("moths",)},
        "tapo": {"negative_image": "blackened"},
    }
    sections = {
        name: getattr(further, name).model_copy(update=values) for name, values in changes.items()
    }
    inputs = read_inputs(further)
    rationales = [replace(row, engine="template-abc") for row in inputs.rationales]
    params = further.model_copy(update=sections)
    return render_page(replace(inputs, params=params, rationales=rationales))


def test_equal_inputs_give_equal_bytes(params, page):
    assert render_page(read_inputs(params)) == page


def test_nothing_from_data_is_markup(page):
    # The hostile text is a class name, an answer, a concept and the name of a metric.
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10


def test_nothing_is_loaded_from_outside(page):
    links = re.findall(r"""(?:src|href)=["']([^"']*)|url\(([^)]*)\)""", page)
    targets = [first or second for first, second in links]
    assert targets
    assert all(target.startswith(("data:", "#")) for target in targets)


@pytest.mark.parametrize("name", ["page", "other"])
def test_elements_are_closed_in_order(name, request):
    class Checker(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag not in VOID:
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(request.getfixturevalue(name))
    assert checker.open == []


def test_ids_are_unique(page):
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_the_sheet_of_triplets_is_in_the_page_with_its_encoder(params, page):
    content = (params.paths.logs / "triplets.jpg").read_bytes()
    assert f"data:image/jpeg;base64,{base64.b64encode(content).decode()}" in page
    assert "encoder <code>base_model</code>" in page


def test_every_caveat_stands_in_the_section_of_the_result_table(params, page):
    section = page.split('<section id="results">')[1].split("</section>")[0]
    assert section.count("<li>") == len(params.report.caveats["world"]) > 0


def test_another_dataset_has_none_of_the_worlds_caveats(params, other):
    assert "Read these figures with care" not in other
    assert params.report.caveats["world"][0] not in other


def test_rationales_from_templates_are_called_so(other):
    assert TEMPLATE_WARNING in other


def test_the_page_says_what_the_negatives_are(page, other):
    assert "negative of the nearest other seen sub-category;" in page
    assert "TAPO takes as negative" not in page
    assert "TAPO takes as negative the anchor with 60 % of its patches black instead." in other


def test_further_models_stand_in_the_tables(other):
    section = other.split('<section id="results">')[1].split("</section>")[0]
    assert "TAPO \N{MINUS SIGN} CLIP-L" in section
    assert section.count("not asked") == 2  # CLIP-L, open-world
    assert "This run has one (siblings)." in section
    assert "clip-hash" in other.split("<footer>")[1]


def test_votes_have_a_section_of_their_own(other):
    section = other.split('<section id="certainty">')[1].split("</section>")[0]
    assert "How sure, and how right" in section
    assert '<th scope="row">TAPO</th>' in section


def test_a_mark_stays_beside_the_name(page):
    assert '<span class="marked"><i class="key tapo"></i>TAPO</span>' in page


def test_the_result_table_prints_accuracy_and_difference(page):
    section = page.split('<section id="results">')[1].split("</section>")[0]
    # tapo is always right; sft names elm wren always: right on 2 of 6 seen, 0 of 2 unseen.
    values = re.findall(r'<span class="value">([^<]*)</span>', section)
    assert values[:12] == ["0.0"] * 4 + ["33.3", "0.0"] * 2 + ["100.0"] * 4
    assert values[16:20] == ["+66.7", "+100.0"] * 2  # tapo - sft


def test_paper_accuracy_stands_beside(page):
    # base writes no tag but the hostile name in its output: open-world right on that class, 2 of 6.
    assert page.count("inclusion 33.3") >= 2


def test_closed_columns_say_the_order_of_the_options(metrics, page):
    section = page.split('<section id="results">')[1].split("</section>")[0]
    assert section.count("options shuffled") == 2  # seen and unseen
    stored = collect_results(metrics, MODEL_NAMES, 4, "truth first")
    assert [column.order for column in stored.columns] == ["", "", "truth first", "truth first"]


def test_an_ordinary_teacher_gives_no_warning(page):
    assert TEMPLATE_WARNING not in page


def test_identities_of_models_and_parameters_are_in_the_footer(params, page):
    footer = page.split("<footer>")[1]
    assert all(f"{model}-hash" in footer for model in ("base", "sft", "tapo"))
    assert hash_params(params) in footer


def test_machine_settings_do_not_change_the_identity_of_parameters(params):
    moved = params.runtime.model_copy(update={"threads": 7})
    assert hash_params(params.model_copy(update={"runtime": moved})) == hash_params(params)
    assert hash_params(params.model_copy(update={"seed": 7})) != hash_params(params)


def test_a_stage_without_a_log_says_so(page):
    assert "Nothing was logged over steps." in page  # the fabricated tapo has no log


def test_telling_curves_come_first():
    series = dict.fromkeys(("zeta", "lr", "reward/accuracy", "loss/total"), ((1, 0.5), (2, 0.6)))
    curves = collect_curves("tapo", "TAPO", series)
    assert [name for name, _, _ in curves.charts] == ["loss/total", "reward/accuracy", "lr", "zeta"]


def test_surplus_curves_are_named():
    series = {f"metric_{number:02}": ((1, 0.5), (2, 0.6)) for number in range(11)}
    assert collect_curves("sft", "SFT", series).others == ("metric_09", "metric_10")


def test_a_run_without_a_clip_model_says_nothing_of_it(page):
    assert "better than CLIP" not in page


def test_the_published_tables_are_folded_away_without_their_datasets(page):
    section = page.split('<section id="published">')[1].split("</section>")[0]
    assert "there is nothing to compare" in section
    assert section.count("<details>") == 1
    assert "Tables 1, 2 and 6 as published" in section
    assert section.count(">not run<") == 18 + 14 + 14
    assert "Table 1: Closed-world accuracy, not run" in section


def test_the_encoder_is_named_with_what_it_knows(page):
    assert "by char_ngrams: spelling alone;" in page


@pytest.mark.slow
def test_six_datasets_and_eighteen_models_fit_into_five_megabytes(further, with_titles):
    names, metrics = dict(MODEL_NAMES), {"confidence": 0.95}
    titles = [name for name in published_names() if not name.startswith("openPangu")]
    models = {f"m{number}": title for number, title in enumerate(titles)}
    names |= models
    for model in names:
        metrics |= everything(model, DATASETS, 0.5, is_closed_only=model in ("m0", "m1"))
    for model, base in model_pairs(tuple(names)):
        for cell in ("open/seen", "open/unseen", "closed/seen", "closed/unseen"):
            key = f"{model}-{base}/{cell}"
            metrics |= {f"{key}/difference": 0.1, f"{key}/low": 0.0, f"{key}/high": 0.2}
    inputs = read_inputs(further)
    params = with_titles(inputs.params, models)
    yields = {
        (dataset, dataset, f"{dataset} number {number} of a long name"): ClassYield(4, 4, 0, 9, 90)
        for dataset in DATASETS
        for number in range(76)  # 456 seen sub-categories
    }
    full = replace(
        inputs,
        params=params,
        names=names,
        metrics=metrics,
        yields=yields,
        verdicts=dict.fromkeys(names, inputs.verdicts["base"]) | dict(inputs.verdicts),
        asked=dict.fromkeys(names, inputs.asked["base"]),
    )
    page = render_page(full)
    assert len(page.encode()) < 5_000_000
    section = page.split('<section id="published">')[1].split("</section>")[0]
    assert section.count('<tr class="run">') == 18 + 3 + 16 + 3 + 16 + 3
    assert ">not run<" not in section
    assert len(rows_as_csv(result_rows(full)).encode()) < 5_000_000
