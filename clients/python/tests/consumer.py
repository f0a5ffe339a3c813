# SPDX-License-Identifier: Apache-2.0
"""Plays a consumer in the tests of clients/python: it checks every row, says what
happens, and ends with its input.

consumer.py ROLE SOCKET
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from typing import Any, Callable

import ringside

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

ODD, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def say(*words: Any) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def wrong(*what: Any) -> None:
    say("wrong", *what)
    os._exit(1)


def word(row: int, i: int) -> int:
    n = (row * ODD + i) & MASK
    return (n << i * 7 | n >> 64 - i * 7) & MASK


def check(batch: ringside.Batch) -> None:
    """Every row proves itself: see clienttest/feed.go."""
    if not whole(batch):
        wrong("torn rows in", batch)


def whole(batch: ringside.Batch) -> bool:
    if numpy is None:
        return all(
            key == value["row"] & 0xFFFFFFFF
            and (value["packets"], value["bytes"], value["errors"]) == tuple(word(value["row"], i) for i in (1, 2, 3))
            for key, value in batch.rows()
        )
    values = batch.values
    rows, good = values["row"].copy(), True
    for i, name in enumerate(("packets", "bytes", "errors"), 1):
        n = rows * numpy.uint64(ODD) + numpy.uint64(i)
        turned = n << numpy.uint64(i * 7) | n >> numpy.uint64(64 - i * 7)
        good &= bool((values[name] == turned).all())
    return good and bool((batch.keys == rows.astype(numpy.uint32)).all())


def report(batch: ringside.Batch, batches: int) -> int:
    """Says what there is to say about a batch; how many batches of rows there were."""
    if batch.kind == "rows":
        check(batch)
        batches += 1
        if batches % 100 == 1:
            say("reading", batches)
    elif batch.kind == "restart":
        say("restart", str(batch.lost.exact).lower())
    elif batch.kind == "lost":
        say("lost", batch.lost.frames, batch.lost.rows, str(batch.lost.exact).lower())
    else:
        say(batch.kind)
    return batches


def account(stats: ringside.Stats) -> None:
    say("end", stats.frames, stats.rows, stats.lost_frames, stats.lost_rows, stats.restarts)


def read(socket: str) -> None:
    """Ends when another thread, which reads the input, closes the subscription."""
    sub = ringside.attach(socket=socket, start="oldest")
    say("attached")
    threading.Thread(target=lambda: (sys.stdin.read(), sub.close())).start()
    batches = 0
    for batch in sub:
        batches = report(batch, batches)
    account(sub.stats())


def aio(socket: str) -> None:
    async def follow() -> None:
        batches = 0
        async with ringside.attach_async(socket=socket, start="oldest") as sub:
            say("attached")
            async for batch in sub:
                batches = report(batch, batches)

    async def main() -> None:
        task = asyncio.create_task(follow())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            say("end")

    asyncio.run(main())


def fire(socket: str) -> None:
    """Looks at rows in place until the sidecar has gone. What a lease vouches for is whole."""
    overwritten = 0
    with ringside.attach(socket=socket, start="oldest") as sub:
        say("attached")
        while True:
            try:
                with sub.lease() as batch:
                    kind = batch.kind
                    good = kind != "rows" or whole(batch)
            except ringside.Overwritten:
                overwritten += 1
                continue
            if not good:
                wrong("torn rows")
            if kind == "gone":
                break
        say("gone", sub.stats().rows, sub.stats().lost_rows, overwritten)


def table(socket: str) -> None:
    with ringside.attach(socket=socket, start="oldest") as sub, ringside.Table(sub, "flows") as flows:
        say("attached")
        for _ in flows.updates():
            rows = sorted((key, value["bytes"]) for key, value in flows.items())
            if numpy:
                frame = flows.to_pandas()
                if sorted(zip(frame.index.tolist(), frame["bytes"].tolist())) != rows:
                    wrong("to_pandas", frame, rows)
            say("table", str(flows.fresh).lower(), flows.scan, rows)


def ask(socket: str) -> None:
    with ringside.attach(socket=socket) as sub:
        sub.ask("flows")
        try:
            sub.ask("nothing")
        except KeyError:
            say("asked")
        sys.stdin.readline()
        sub.ask()
        say("asked all")
        sys.stdin.readline()


def count(socket: str) -> None:
    """Between two lines of input it only reads: what is left in the ring, one half
    copied, one half in place."""
    sub = ringside.attach(socket=socket, start="oldest")
    total = 0
    for _ in range(200):  # whatever is set up once
        with sub.lease() as batch:
            total += look(batch)
        total += look(sub.next())
    gc.collect()
    gc.freeze()
    before, frames = sub.stats().rows, sub.stats().lag_frames
    say("ready", os.getpid(), frames)
    sys.stdin.readline()
    for batch in sub:
        total += look(batch)
        frames -= 1
        if frames % 2 == 0:
            if frames == 0:
                break
            with sub.lease() as batch:
                total += look(batch)
            frames -= 1
    say("done", sub.stats().rows - before, total & MASK)
    sys.stdin.readline()


def look(batch: ringside.Batch) -> int:
    if numpy is None:
        return sum(value["bytes"] for _, value in batch.rows())
    return int(batch.values["bytes"].sum()) + int(batch.keys.sum())


def opened() -> tuple[int, int]:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return len(os.listdir("/proc/self/fd")), sum("memfd:" in line for line in maps)


def use(sub: ringside.Subscription) -> None:
    """In every way, and gives up in the middle of each."""
    table = ringside.Table(sub, "flows")
    batch = sub.next(0)
    if batch is not None:
        table.apply(batch)
    kept = [batch and batch.keys]
    try:
        with sub.lease(0) as batch:
            kept.append(batch.values)
    except (BufferError, TimeoutError):
        pass
    kept.clear()
    sub.arm()
    sub.wait(0)


def leaks(socket: str) -> None:
    use(ringside.attach(socket=socket, start="oldest"))  # whatever is set up once
    before = opened()
    for i in range(50):
        sub = ringside.attach(socket=socket, start="oldest")
        if opened()[1] <= before[1]:
            wrong("nothing is mapped")
        use(sub)
        if i % 2:
            sub.close()
        for refused in (dict(ring="no such ring"), dict(socket=socket + "-nobody")):
            try:
                ringside.attach(**{"socket": socket, **refused})
                wrong("attached to", refused)
            except ringside.Error:
                pass
    del sub
    say("before", *before)
    say("after", *opened())


ROLES: dict[str, Callable[[str], None]] = {
    f.__name__: f for f in (read, aio, fire, table, ask, count, leaks)
}

if __name__ == "__main__":
    try:
        ROLES[sys.argv[1]](sys.argv[2])
    except ringside.Error as e:
        say("error", type(e).__name__, e.errno, e)
        sys.exit(1)
