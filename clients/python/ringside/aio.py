# SPDX-License-Identifier: Apache-2.0
"""The same for asyncio."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from .batch import Batch
from .subscription import Stats, Subscription, attach

_STREAK = 64  # batches without a look at the rest of the loop


class AsyncSubscription:
    """Reads a ring in an event loop: ``async for batch in ringside.attach_async(...)``,
    best within ``async with``, which closes it. One task reads."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._sub: Subscription | None = None
        self._streak = 0

    async def attach(self) -> Subscription:
        """Attaches now, in a thread; else the first batch does it."""
        if self._sub is None:
            loop = asyncio.get_running_loop()
            self._sub = await loop.run_in_executor(None, partial(attach, **self._options))
        return self._sub

    def __aiter__(self) -> AsyncSubscription:
        return self

    async def __anext__(self) -> Batch:
        sub = self._sub or await self.attach()
        while True:
            if sub.closed:
                raise StopAsyncIteration
            self._streak += 1
            if self._streak >= _STREAK:
                self._streak = 0
                await asyncio.sleep(0)
                continue
            batch = sub._next(0)
            if batch is not None:
                return batch
            self._streak = 0
            if not sub.arm():
                await self._readable(sub)

    @staticmethod
    async def _readable(sub: Subscription) -> None:
        loop, fd = asyncio.get_running_loop(), sub.fileno()
        readable = loop.create_future()

        def ready() -> None:
            if not readable.done():
                readable.set_result(None)

        loop.add_reader(fd, ready)
        try:
            await readable
        finally:
            loop.remove_reader(fd)

    def stats(self) -> Stats:
        """The counters."""
        if self._sub is None:
            raise ValueError("not attached yet")
        return self._sub.stats()

    def close(self) -> None:
        """Gives everything back. While a task waits for a batch, cancel it before."""
        if self._sub is not None:
            self._sub.close()

    async def __aenter__(self) -> AsyncSubscription:
        await self.attach()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.close()


def attach_async(ring: str | None = None, source: str | None = None, **options: Any) -> AsyncSubscription:
    """As :func:`ringside.attach`, whose options it has; it attaches when the first
    batch is awaited, or at ``async with``."""
    return AsyncSubscription(ring=ring, source=source, **options)
