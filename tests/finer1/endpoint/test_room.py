import asyncio

from finer1.endpoint.room import Room


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_finds_no_room_waits_and_nobody_overtakes():
    async def run():
        room, order = Room(10), []

        async def caller(name, amount):
            with await room.hold(amount):
                order.append(name)

        first = await room.hold(8)
        tasks = [asyncio.ensure_future(caller(*who)) for who in (("big", 9), ("small", 1))]
        await settle()
        before = list(order)
        first.keep(0)
        await asyncio.gather(*tasks)
        return before, order

    assert asyncio.run(run()) == ([], ["big", "small"])


def test_what_is_not_kept_is_there_for_the_next():
    async def run():
        room = Room(10)
        held = await room.hold(10)
        held.keep(4)
        await asyncio.wait_for(room.hold(6), 1)
        return True

    assert asyncio.run(run())


def test_one_that_gives_up_waiting_lets_the_next_in():
    async def run(is_handed):
        room = Room(10)
        first = await room.hold(8)
        gone = asyncio.ensure_future(room.hold(9))
        await settle()
        if is_handed:  # its turn comes, and before it runs it is cancelled
            first.keep(0)
        gone.cancel()
        await settle()
        await asyncio.wait_for(room.hold(10 if is_handed else 2), 1)
        return True

    assert asyncio.run(run(True))
    assert asyncio.run(run(False))
