import base64
import re
from html.parser import HTMLParser

import pytest

from finer1.report.inputs import read_inputs
from finer1.report.page import TEMPLATE_WARNING, collect_curves, hash_params, render_page

VOID = {"meta", "link", "img", "br", "input", "hr"}


@pytest.fixture(scope="module")
def page(params):
    return render_page(read_inputs(params))


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


def test_elements_are_closed_in_order(page):
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
    checker.feed(page)
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


def test_another_dataset_has_none_of_the_worlds_caveats(params):
    download = params.download.model_copy(update={"datasets": ("moths",)})
    page = render_page(read_inputs(params.model_copy(update={"download": download})))
    assert "Read these figures with care" not in page
    assert params.report.caveats["world"][0] not in page


def test_the_result_table_prints_accuracy_and_difference(page):
    section = page.split('<section id="results">')[1].split("</section>")[0]
    # tapo is always right; sft names elm wren always: right on 2 of 6 seen, 0 of 2 unseen.
    values = re.findall(r'<span class="value">([^<]*)</span>', section)
    assert values[:12] == ["0.0"] * 4 + ["33.3", "0.0"] * 2 + ["100.0"] * 4
    assert values[16:20] == ["+66.7", "+100.0"] * 2  # tapo - sft


def test_paper_accuracy_stands_beside(page):
    # base writes no tag but the hostile name in its output: open-world right on that class, 2 of 6.
    assert page.count("paper 33.3") >= 2


def test_an_ordinary_teacher_gives_no_warning(page):
    assert TEMPLATE_WARNING not in page


def test_rationales_from_templates_are_called_so(make_run):
    assert TEMPLATE_WARNING in render_page(read_inputs(make_run("template-abc")))


def test_identities_of_models_and_parameters_are_in_the_footer(params, page):
    footer = page.split("<footer>")[1]
    assert all(f"{model}-hash" in footer for model in ("base", "sft", "tapo"))
    assert hash_params(params) in footer


def test_machine_settings_do_not_change_the_identity_of_parameters(params):
    moved = params.runtime.model_copy(update={"threads": 7})
    assert hash_params(params.model_copy(update={"runtime": moved})) == hash_params(params)
    assert hash_params(params.model_copy(update={"seed": 7})) != hash_params(params)


def test_the_page_says_what_the_negatives_are(params, page):
    assert "negative of the nearest other seen sub-category;" in page
    assert "TAPO takes as negative" not in page
    changed = params.tapo.model_copy(update={"negative_image": "blackened"})
    other = render_page(read_inputs(params.model_copy(update={"tapo": changed})))
    assert "TAPO takes as negative the anchor with 60 % of its patches black instead." in other


def test_a_stage_without_a_log_says_so(page):
    assert "Nothing was logged over steps." in page  # the fabricated tapo has no log


def test_telling_curves_come_first():
    series = dict.fromkeys(("zeta", "lr", "reward/accuracy", "loss/total"), ((1, 0.5), (2, 0.6)))
    curves = collect_curves("tapo", "TAPO", series)
    assert [name for name, _, _ in curves.charts] == ["loss/total", "reward/accuracy", "lr", "zeta"]


def test_surplus_curves_are_named():
    series = {f"metric_{number:02}": ((1, 0.5), (2, 0.6)) for number in range(11)}
    assert collect_curves("sft", "SFT", series).others == ("metric_09", "metric_10")
