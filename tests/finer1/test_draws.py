from finer1.draws import derive_seed, draw


def test_draws_depend_on_seed_and_names():
    values = {draw(0, "a"), draw(1, "a"), draw(0, "b"), draw(0, "a", ""), draw(0, "a", "b")}
    assert len(values) == 5


def test_names_do_not_run_together():
    assert draw(0, "ab", "c") != draw(0, "a", "bc")


def test_seeds_fit_every_engine():
    seeds = [derive_seed(0, str(i)) for i in range(1000)]
    assert max(seeds) < 2**31
    # uniform on [0, 2^31): the mean of 1000 is 2^30 with a standard error of 2 %
    assert abs(sum(seeds) / 1000 / 2**30 - 1) < 0.1
