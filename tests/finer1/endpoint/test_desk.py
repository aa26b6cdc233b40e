import asyncio

import pytest

from finer1.endpoint.desk import Desk
from finer1.endpoint.limits import Limits, Refused
from finer1.engines.interface import Request, Sampling
from finer1.serving.protocol import RequestRefused

GREEDY = Sampling(1, 0.0, 1.0, 6)
DRAWN = Sampling(2, 1.0, 1.0, 6)


async def begun(engine, count):
    while len(engine.batches) < count:
        await asyncio.sleep(0.01)


def test_what_waits_is_generated_together_what_is_drawn_alone(slow):
    engine, make = slow
    desk = make(batch=2)

    async def run():
        first = asyncio.ensure_future(desk.generate(Request("0"), GREEDY))
        await begun(engine, 1)
        rest = [desk.generate(Request(name), GREEDY) for name in "123"]
        rest += [desk.generate(Request("drawn"), DRAWN)]
        waiting = asyncio.gather(*rest)
        await asyncio.sleep(0.05)
        engine.go.set()
        return [samples[0].text for samples in [await first, *await waiting]]

    assert asyncio.run(run()) == ["0", "1", "2", "3", "drawn"]
    assert engine.batches == [["0"], ["1", "2"], ["3"], ["drawn"]]


def test_a_full_queue_refuses_and_a_late_answer_is_given_up(slow):
    engine, make = slow
    desk = make(queued=1, answer_s=0.2)

    async def run():
        first = asyncio.ensure_future(desk.generate(Request("0"), GREEDY))
        await begun(engine, 1)
        with pytest.raises(Refused) as full:
            await desk.generate(Request("1"), GREEDY)
        with pytest.raises(Refused) as late:
            await first
        return full.value.status, late.value.status

    assert asyncio.run(run()) == (429, 504)
    assert desk.under_way == 0


def test_a_caller_that_goes_is_not_worked_for(slow):
    engine, make = slow
    desk = make()

    async def run():
        first = asyncio.ensure_future(desk.generate(Request("0"), GREEDY))
        await begun(engine, 1)
        gone = asyncio.ensure_future(desk.generate(Request("gone"), GREEDY))
        await asyncio.sleep(0.05)
        gone.cancel()
        last = asyncio.ensure_future(desk.generate(Request("2"), GREEDY))
        await asyncio.sleep(0.05)
        engine.go.set()
        await asyncio.gather(first, last)

    asyncio.run(run())
    assert engine.batches == [["0"], ["2"]]


def test_an_engine_that_fails_is_said_and_the_next_is_answered(slow):
    engine, make = slow
    engine.go.set()
    desk = make()

    async def run():
        with pytest.raises(Refused, match="the model failed") as failed:
            await desk.generate(Request("broken"), GREEDY)
        (sample,) = await desk.generate(Request("1"), GREEDY)
        return failed.value.status, sample.text

    assert asyncio.run(run()) == (500, "1")


@pytest.mark.parametrize(("theirs", "ours"), [(400, 400), (413, 400), (401, 502), (404, 502)])
def test_what_a_server_behind_refuses_is_the_callers_fault_or_the_servers(slow, theirs, ours):
    engine, make = slow
    engine.go.set()
    engine.error = RequestRefused("http://127.0.0.1:1/v1", theirs, "too long")

    async def run():
        with pytest.raises(Refused) as refused:
            await make().generate(Request("broken"), GREEDY)
        return refused.value.status

    assert asyncio.run(run()) == ours


def test_one_that_fails_does_not_take_those_beside_it_along(slow):
    engine, make = slow
    desk = make()

    async def run():
        first = asyncio.ensure_future(desk.generate(Request("0"), GREEDY))
        await begun(engine, 1)
        names = ("1", "broken", "2")
        waiting = [asyncio.ensure_future(desk.generate(Request(n), GREEDY)) for n in names]
        await asyncio.sleep(0.05)
        engine.go.set()
        found = await asyncio.gather(first, *waiting, return_exceptions=True)
        return [item.status if isinstance(item, Refused) else item[0].text for item in found]

    assert asyncio.run(run()) == ["0", "1", 500, "2"]
    assert desk.under_way == 0


def test_what_is_given_up_leaves_the_queue_and_a_second_call_has_its_room(slow):
    engine, make = slow
    desk = make(queued=2)

    async def run():
        first = asyncio.ensure_future(desk.generate(Request("0"), GREEDY))
        await begun(engine, 1)
        for _ in range(5):
            gone = asyncio.ensure_future(desk.generate(Request("gone"), GREEDY))
            await asyncio.sleep(0.01)
            gone.cancel()
            await asyncio.sleep(0.01)
        waiting = len(desk._waiting)
        engine.go.set()
        await first
        return waiting, desk.under_way

    assert asyncio.run(run()) == (0, 0)


def test_a_closed_desk_takes_nothing(slow):
    _, make = slow
    desk = make()
    desk.close()
    with pytest.raises(Refused, match="closing"):
        asyncio.run(desk.generate(Request("0"), GREEDY))


def test_what_is_written_makes_the_greedy_completion(engine):
    desk = Desk(engine, Limits())

    async def run():
        *pieces, end = [piece async for piece in desk.write(Request("What?"), GREEDY)]
        (sample,) = await desk.generate(Request("What?"), GREEDY)
        return ("".join(pieces), end.name), (sample.text, sample.finish_reason)

    try:
        written, whole = asyncio.run(run())
    finally:
        desk.close()
    assert written == whole
