from flows.dag import (
    Stage,
    cache_folder,
    changed_stages,
    is_readable_lock,
    load_stages,
    with_ancestors,
    with_followers,
)


def stage(name, *needs):
    return Stage(name, needs, retries=0, gpu=False, seconds=0)


# a -> b -> d and a -> c
DIAMOND = [stage("a"), stage("b", "a"), stage("c", "a"), stage("d", "b")]


def test_stages_carry_order_and_meta(project):
    assert load_stages(project) == [
        Stage("first", (), retries=1, gpu=False, seconds=30),
        Stage("second", ("first",), retries=0, gpu=True, seconds=120),
    ]


def test_everything_has_changed_before_the_first_run(project):
    assert changed_stages(project) == {"first", "second"}


def test_followers_are_found_through_others():
    assert with_followers(DIAMOND, {"b"}) == {"b", "d"}


def test_ancestors_are_found_through_others():
    assert with_ancestors(DIAMOND, {"d"}) == {"a", "b", "d"}


def test_an_empty_lock_is_unreadable(tmp_path):
    (tmp_path / "dvc.lock").write_text("")
    assert not is_readable_lock(tmp_path / "dvc.lock")


def test_a_whole_lock_is_readable(tmp_path):
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  a:\n    cmd: echo\n")
    assert is_readable_lock(tmp_path / "dvc.lock")


def test_the_cache_is_the_folder_above_the_kind_of_hash(project):
    assert cache_folder(project) == project / ".dvc/cache"
