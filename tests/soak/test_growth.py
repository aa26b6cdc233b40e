import os
import random
import time

import psutil
import pytest

from tests.soak.growth import Sample, Sampler, growths

MB = 1_000_000


def hour(rss_per_min=0.0, handles_per_min=0.0, noise=3 * MB):
    """A sample every ten seconds for an hour, of a process that has 300 MB and 40 handles."""
    draw = random.Random(0)
    return [
        Sample(
            10.0 * place,
            "server",
            int(300 * MB + rss_per_min * place / 6 + draw.gauss(0, noise)),
            int(40 + handles_per_min * place / 6 + draw.randrange(3)),
        )
        for place in range(360)
    ]


def too_much(samples):
    return [growth.what for growth in growths(samples) if growth.is_too_much]


def test_what_swings_does_not_grow():
    assert too_much(hour()) == []


def test_what_fills_up_in_the_warm_up_does_not_grow():
    samples = hour()
    # 200 MB in the first 20 minutes, which is a third.
    early = [
        Sample(s.seconds, s.name, s.rss - 200 * MB + s.seconds / 1200 * 200 * MB, s.handles)
        if s.seconds < 1200
        else s
        for s in samples
    ]
    assert too_much(early) == []


# In the 40 minutes after the warm-up 300 MB may grow by 30 MB: 0.75 MB a minute.
@pytest.mark.parametrize(("per_min", "expected"), [(0.5 * MB, []), (1.0 * MB, ["rss"])])
def test_a_leak_of_memory_is_seen(per_min, expected):
    assert too_much(hour(rss_per_min=per_min)) == expected


# 5 handles in 40 minutes: one in 8 minutes.
@pytest.mark.parametrize(("per_min", "expected"), [(0.05, []), (0.25, ["handles"])])
def test_a_leak_of_handles_is_seen(per_min, expected):
    assert too_much(hour(handles_per_min=per_min)) == expected


def test_a_burst_of_work_is_no_growth():
    samples = hour()
    burst = [
        Sample(s.seconds, s.name, s.rss + 500 * MB, s.handles) if 3000 < s.seconds < 3300 else s
        for s in samples
    ]
    assert too_much(burst) == []


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="take longer"):
        growths(hour()[:25])


def test_the_sampler_reads_this_process_and_writes_what_it_reads(tmp_path):
    own = psutil.Process(os.getpid())
    start = time.monotonic()
    sampler = Sampler(
        lambda: {"own": [own]}, tmp_path / "a.csv", lambda: time.monotonic() - start, 0.02
    )
    sampler.start()
    until = time.monotonic() + 30

    def wait_for(number):
        while len(sampler.samples) < number and time.monotonic() < until:
            time.sleep(0.02)

    wait_for(1)
    held = [(tmp_path / "a.csv").open() for _ in range(9)]
    wait_for(len(sampler.samples) + 2)
    sampler.end()
    last = sampler.samples[-1]
    assert last.handles == own.num_fds() + 1  # less the CSV file, which is closed by now
    assert last.rss > 10 * MB
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "seconds,name,rss,handles"
    assert len(lines) == 1 + len(sampler.samples)
    for file in held:
        file.close()
