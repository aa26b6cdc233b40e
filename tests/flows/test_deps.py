import pytest

from flows.deps import code_deps

TEACHERS = {f"finer1/engines/{name}.py" for name in ("oracle", "template", "openai")}
EITHER = {f"finer1/engines/{name}.py" for name in ("transformers", "vllm")}


@pytest.mark.parametrize("stage", ["concepts", "cot"])
def test_a_stage_with_a_teacher_depends_on_every_teacher(repository, stage):
    deps = set(code_deps(stage, repository))
    assert deps >= TEACHERS | EITHER
    assert "finer1/engines/vllm_server.py" not in deps


def test_a_stage_that_runs_the_projects_models_depends_on_no_teacher(repository):
    deps = set(code_deps("predict", repository))
    assert deps >= EITHER | {"finer1/engines/vllm_server.py"}
    assert not deps & TEACHERS


def test_a_stage_that_asks_models_of_the_zoo_depends_on_what_reaches_a_server(repository):
    deps = set(code_deps("baseline", repository))
    assert deps >= EITHER | {"finer1/engines/openai.py", "finer1/zoo/loading.py"}
    assert "finer1/engines/oracle.py" not in deps
    assert "finer1/evaluation/imagenet80.txt" in deps


@pytest.mark.parametrize("stage", ["sft", "tapo", "triplets"])
def test_a_stage_that_trains_depends_on_every_family(repository, stage):
    names = ("internvl", "llava_onevision", "qwen2_5_vl", "qwen2_vl", "qwen3_vl")
    deps = set(code_deps(stage, repository))
    assert {f"finer1/policy/families/{name}.py" for name in names} <= deps


def test_a_stage_that_serves_depends_on_what_vllm_loads_by_name(repository):
    assert "finer1/serving/worker.py" in code_deps("tapo", repository)


def test_download_depends_on_what_any_reader_imports(repository):
    deps = code_deps("download", repository)
    readers = ("aircraft", "bird", "car", "dog", "flower", "pet", "world")
    assert {f"finer1/datasets/{name}.py" for name in readers} <= set(deps)
    assert "finer1/world/drawing.py" in deps
    assert {f"finer1/reference/{name}_classes.tsv" for name in ("car", "dog", "flower")} <= set(
        deps
    )


def test_every_list_of_reference_data_is_read_by_a_stage(repository):
    folder = repository / "finer1/reference"
    lists = {path.relative_to(repository).as_posix() for path in folder.glob("*.tsv")}
    # For `finer1 plan` and `finer1 check`, which are no stages.
    lists -= {"finer1/reference/datasets.tsv", "finer1/reference/advisories.tsv"}
    stages = ("download", "split", "questions", "cot")
    assert lists <= set().union(*(code_deps(stage, repository) for stage in stages))
