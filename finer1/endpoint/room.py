"""Room for what requests hold in memory: whoever finds none waits for its turn."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass


class Room:
    """A number of units that is lent out, in the order in which they were asked for."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def hold(self, amount: int) -> "Held":
        """Units of one's own, once there are so many; given back by Held."""
        if self._waiting or amount > self._free:
            await self._wait(amount)
        else:
            self._free -= amount
        return Held(self, amount)

    def give_back(self, amount: int) -> None:
        """Take units back, and hand them to those who wait."""
        self._free += amount
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if wanted > self._free:
                    return
                self._free -= wanted
                turn.set_result(None)
            self._waiting.popleft()

    async def _wait(self, amount: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        place = (amount, turn)
        self._waiting.append(place)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came in the same moment
                self.give_back(amount)
            else:
                with suppress(ValueError):  # passed over already
                    self._waiting.remove(place)
                self.give_back(0)
            raise


@dataclass
class Held:
    """Units of a room, until the end of the block."""

    room: Room
    amount: int

    def keep(self, amount: int) -> None:
        """Give back all but `amount`."""
        self.room.give_back(self.amount - amount)
        self.amount = amount

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *error: object) -> None:
        self.keep(0)
