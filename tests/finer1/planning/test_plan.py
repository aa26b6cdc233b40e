from dataclasses import replace
from pathlib import Path

import pytest

from finer1.params import check_params, load_values, with_differences
from finer1.planning.counts import count, published_sizes, tapo_epochs
from finer1.planning.fit import Machine, Phase, refusals
from finer1.planning.generating import vllm_remark
from finer1.planning.plan import Resources, plan_run, plan_text
from finer1.planning.stage_training import sft_rows, update_shape
from finer1.reference.classes import released_classes
from flows.differences import differences_on

ONE = Resources("h200", 1, None, "fsdp2", None, None)
FULL_SCALE = ("fine_r1_3b", "fine_r1_7b", "qwen2_vl_2b")


@pytest.fixture(scope="module")
def values(repository):
    return load_values(repository / "params.yaml")


@pytest.fixture
def settings(values):
    def load(name, **changes):
        params = check_params(values, "params.yaml")
        differences = differences_on(values, params.experiments, name, None)
        return check_params(with_differences(values, differences | changes), name)

    return load


@pytest.fixture
def planned(settings):
    def plan(name, resources=ONE, **changes):
        params = settings(name, **changes)
        return plan_run(name, params, params.paths.base, resources)

    return plan


def totals(plan):
    return {(phase.stage, phase.name): phase.total / 2**30 for phase in plan.phases}


@pytest.mark.parametrize("name", FULL_SCALE)
def test_full_scale_settings_count_as_the_paper_does(settings, name):
    params = settings(name)
    counts = count(params, params.paths.base)
    assert sum(size.seen for size in counts.datasets.values()) == 452
    assert sum(size.unseen for size in counts.datasets.values()) == 303
    assert counts.sft_rows == 404
    assert counts.sft_steps == 64  # 10 x 404 / 64 = 63.1
    assert counts.tapo_prompts == 4 * 452
    assert counts.image.longest == 1280  # 1,003,520 pixels of 28 x 28
    assert counts.questions == 2 * 35_566


@pytest.mark.parametrize(("name", "epochs"), [("fine_r1_3b", 10), ("fine_r1_7b", 5)])
def test_the_steps_make_the_papers_epochs(settings, name, epochs):
    params = settings(name)
    tapo = params.tapo
    assert tapo.steps == round(epochs * 4 * 452 / tapo.prompts_per_step)
    passes = tapo_epochs(params, count(params, params.paths.base))
    assert passes == pytest.approx(epochs, rel=0.005)
    assert tapo.prompts_per_step // tapo.minibatches == {"fine_r1_3b": 128, "fine_r1_7b": 64}[name]


def test_published_sizes_fit_the_readers_and_the_released_lists():
    from finer1.datasets import aircraft, bird, car, dog, flower, pet

    for module in (aircraft, bird, car, dog, flower, pet):
        name, size = module.__name__.rpartition(".")[2], None
        size, official = published_sizes()[name], module.OFFICIAL
        assert size.seen + size.unseen == official["classes"] == len(released_classes(name))
        assert size.train + size.test == official.get("images", size.train + size.test)
        if "test images" in official:
            assert size.test == official["test images"]
    assert sum(size.rationales for size in published_sizes().values()) == 404


def test_the_3b_fits_one_h200(planned):
    plan = planned("fine_r1_3b")
    assert plan.refused == []
    parts = next(p.parts for p in plan.phases if (p.stage, p.name) == ("tapo", "optimizer"))
    # 3,754,622,976 parameters: 4 bytes of weights, 4 of gradients, 8 of moments.
    assert parts["weights"] == parts["gradients"] == 4 * 3_754_622_976
    assert parts["moments"] == 8 * 3_754_622_976


def test_the_7b_takes_one_gpu_for_stage_1_and_two_for_stage_2(planned):
    alone = planned("fine_r1_7b")
    assert {sentence.split(":")[0] for sentence in alone.refused} == {
        "tapo, rollouts",
        "tapo, forward and backward",
    }
    assert "--gpus 2 or more with --strategy fsdp2" in alone.refused[0]
    assert planned("fine_r1_7b", replace(ONE, gpus=2)).refused == []


def test_two_gpus_halve_what_is_spread_in_stage_1(planned):
    alone, two = planned("fine_r1_7b"), planned("fine_r1_7b", replace(ONE, gpus=2))
    one, half = (
        next(p.parts for p in plan.phases if (p.stage, p.name) == ("sft", "optimizer"))
        for plan in (alone, two)
    )
    # 8,292,166,656 parameters, of which the tower's 676,550,144 are frozen in stage 1.
    assert one["weights"] == 4 * 8_292_166_656
    assert one["moments"] == 8 * 7_615_616_512
    for name in ("weights", "gradients", "moments"):
        assert half[name] == one[name] // 2
    assert two.host["processes"] == 2 * alone.host["processes"]


def test_a_batch_of_stage_1_is_shared_out_equally(planned):
    (sentence,) = planned("fine_r1_3b", replace(ONE, gpus=3)).refused
    assert sentence.startswith("sft: sft.batch_size (64) is no multiple of 3 processes")


def test_ddp_spreads_nothing(planned):
    two = planned("fine_r1_7b", replace(ONE, gpus=2, strategy="ddp"))
    alone = planned("fine_r1_7b")
    # A copy of the gradients: 4 bytes of each of 8,292,166,656 parameters are 30.9 GiB; of those
    # that stage 1 trains, 7,615,616,512, 28.4 GiB.
    for key, copy in ((("sft", "optimizer"), 28.4), (("tapo", "forward and backward"), 30.9)):
        assert totals(two)[key] == pytest.approx(totals(alone)[key] + copy, abs=0.1)


def test_a_smaller_gpu_is_refused_with_what_to_change(planned):
    plan = planned(
        "fine_r1_3b", replace(ONE, gpu="a100"), **{"runtime.gradient_checkpointing": False}
    )
    (sentence,) = [s for s in plan.refused if s.startswith("tapo, forward and backward")]
    assert "most of it for activations" in sentence
    assert "set runtime.gradient_checkpointing to true" in sentence
    assert "set tapo.lora_rank to 16" in sentence


def test_adapters_make_stage_2_of_the_7b_fit_one_gpu(planned):
    plan = planned("fine_r1_7b", **{"tapo.lora_rank": 16})
    assert plan.refused == []


def test_memory_of_vllm_is_taken_at_its_word(planned):
    small = planned("fine_r1_3b", **{"runtime.vllm.memory_share": 0.05})
    (sentence,) = small.refused
    assert sentence.startswith("vLLM: runtime.vllm.memory_share 0.05 has no room")
    large = planned("fine_r1_3b", **{"runtime.vllm.memory_share": 0.9})
    assert any("set runtime.vllm.memory_share below 0.9" in text for text in large.refused)


def test_the_least_share_that_vllm_is_told_is_enough(published):
    model = published["Qwen2.5-VL-3B-Instruct"]
    sentence = vllm_remark(model, 0.01, 80 * 2**30, 4000)
    share = float(sentence.split("set it to ")[1].split()[0])
    assert vllm_remark(model, share, 80 * 2**30, 4000) is None


def test_host_memory_and_disk_are_refused_when_they_are_known(planned):
    plan = planned("fine_r1_3b", replace(ONE, host_memory_gib=32, disk_gib=100))
    assert [sentence.split(":")[0] for sentence in plan.refused] == ["host memory", "disk"]


def test_checkpoints_on_disk_are_three_of_weights_and_moments(planned):
    # 12 bytes a parameter, two kept and one being written.
    assert planned("fine_r1_3b").disk["checkpoints"] == 36 * 3_754_622_976


def test_a_teacher_in_the_process_is_a_phase(planned):
    changes = {"cot.source": "teacher", "cot.engine": "vllm:models/teacher"}
    plan = planned("fine_r1_3b", **changes, **{"runtime.teacher.memory_share": 0.5})
    (phase,) = [item for item in plan.phases if item.stage == "cot"]
    assert phase.total == int(0.5 * plan.machine.gpu_bytes)
    changes["cot.engine"] = "transformers:models/base/Qwen2.5-VL-7B-Instruct"
    (phase,) = [item for item in planned("fine_r1_3b", **changes).phases if item.stage == "cot"]
    assert phase.parts["weights"] == 2 * 8_292_166_656


def test_an_experiment_without_stage_2_has_no_phase_of_it(planned):
    plan = planned("cot_sft_4shot")
    assert {phase.stage for phase in plan.phases} == {"sft", "triplets", "predict"}
    assert {effort.stage for effort in plan.efforts} == {"concepts", "cot", "sft", "predict"}


def test_steps_and_rationales_are_those_that_are_asked_for(settings):
    def counted(**changes):
        params = settings("tapo", **changes)
        return count(params, params.paths.base)

    assert counted(**{"sft.steps": 91}).sft_steps == 91
    few = counted(**{"split.sft_shots": 3, "cot.per_class": 2})
    assert (few.rationales_asked, few.sft_rows) == (84, 84)  # of 42 seen classes
    assert counted(**{"split.sft_shots": 3, "cot.total": 100}).rationales_asked == 100


def test_an_experiment_that_keeps_the_base_has_no_phase_of_stage_1(planned):
    plan = planned("cls_rl")
    assert "sft" not in {phase.stage for phase in plan.phases}
    assert "sft" not in {effort.stage for effort in plan.efforts}


def test_vllm_that_never_sleeps_is_there_while_the_policy_is_trained(planned):
    asleep, awake = (
        totals(planned("fine_r1_3b", **{"runtime.vllm.sleep_level": level})) for level in (1, 0)
    )
    share = 0.3 * planned("fine_r1_3b").machine.gpu_bytes / 2**30
    for name in ("forward and backward", "optimizer"):
        assert awake["tapo", name] == pytest.approx(asleep["tapo", name] + share, abs=0.01)
    assert awake["tapo", "rollouts"] == asleep["tapo", "rollouts"]


def test_micro_batches_are_those_of_the_stages(settings):
    params = settings("fine_r1_3b", **{"runtime.micro_batch": 25})
    one, four = (Machine(gpus, 1, "fsdp2") for gpus in (1, 4))
    assert sft_rows(params, one) == 16  # the largest divisor of 64
    assert sft_rows(params, four) == 16  # all that each of four has
    assert sft_rows(params, replace(four, gpus=8)) == 8
    assert update_shape(params, count(params, Path("none"))).groups == 2
    few = settings("fine_r1_3b", **{"runtime.micro_batch": 4})
    assert update_shape(few, count(few, Path("none"))).groups == 1


def test_the_negative_doubles_the_row_only_where_it_has_a_gradient(settings):
    for changes, conditions in (
        ({}, 2),
        ({"tapo.negative_gradient": False}, 1),
        ({"tapo.inter_class_coef": 0.0, "tapo.negative_entropy_coef": 0.0}, 1),
    ):
        params = settings("fine_r1_3b", **changes)
        assert update_shape(params, count(params, Path("none"))).conditions == conditions


def test_a_dataset_of_ones_own_is_not_known(settings):
    params = settings("fine_r1_3b", **{"download.datasets": ["beetles"]})
    with pytest.raises(ValueError, match=r"how large beetles is"):
        count(params, params.paths.base)


def test_a_refusal_names_the_phase_the_part_and_the_remedy():
    phase = Phase("tapo", "rollouts", {"weights": 2**30, "cache": 9 * 2**30}, 1, ("set x to 1",))
    (sentence,) = refusals([phase], Machine(1, 8 * 2**30, "ddp"))
    assert sentence == (
        "tapo, rollouts: needs 10 GiB of a GPU, most of it for cache, and 8 GiB can be had; "
        "set x to 1"
    )
    assert refusals([phase], Machine(1, 10 * 2**30, "ddp")) == []


def test_the_text_says_computed_and_names_what_is_assumed(planned):
    text = plan_text(planned("fine_r1_3b"))
    assert "computed, not measured on a GPU" in text
    assert "the published config.json of Qwen/Qwen2.5-VL-3B-Instruct" in text
    assert "45% MFU" in text.split("assumed:")[1]
