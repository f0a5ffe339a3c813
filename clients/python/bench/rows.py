# SPDX-License-Identifier: Apache-2.0
"""What a row costs a consumer that sums one field of every value: rows of 4 and 32
bytes that lie in the ring already, read in leases and as copies, beside numpy on
arrays of its own with the same number of rows and the same stride.

``rows.py SOCKET [PASSES]`` attaches to a ring that nobody writes at the moment and
reads all of it, again and again. It prints the fastest pass of each way as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Callable

import numpy

import ringside


def leases(sub: ringside.Subscription, frames: int) -> int:
    total = 0
    for _ in range(frames):
        with sub.lease() as batch:
            total += int(batch.values["bytes"].sum())
    return total


def copies(sub: ringside.Subscription, frames: int) -> int:
    total = 0
    for _, batch in zip(range(frames), sub):
        total += int(batch.values["bytes"].sum())
    return total


def attached(socket: str) -> tuple[ringside.Subscription, int]:
    sub = ringside.attach(socket=socket, start="oldest")
    sub.next()  # with the first batch of a source its types are looked up
    return sub, sub.stats().lag_frames


def timed(what: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter_ns()
    total = what()
    return time.perf_counter_ns() - began, total


def main(socket: str, passes: int) -> None:
    sub, frames = attached(socket)
    rows = [batch.values.copy() for _, batch in zip(range(frames), sub)]
    sub.close()
    whole = numpy.concatenate(rows)
    count = len(whole)
    parts = numpy.split(whole, numpy.cumsum([len(part) for part in rows])[:-1])
    del rows
    want = int(whole["bytes"].sum())
    best: dict[str, float] = {}
    for _ in range(passes):
        for name, read in (("lease", leases), ("copies", copies)):
            sub, frames = attached(socket)
            with sub:
                took, total = timed(lambda: read(sub, frames))
            if (total - want) % (1 << 64):  # numpy wraps
                raise SystemExit(f"{name}: {total}, expected {want}")
            best[name] = min(best.get(name, took), took)
        for name, own in (("numpy", lambda: int(whole["bytes"].sum())), ("numpy_by_frame", lambda: sum(int(part["bytes"].sum()) for part in parts))):
            took, total = timed(own)
            best[name] = min(best.get(name, took), took)
    figures = {f"{name}_ns_per_row": round(took / count, 3) for name, took in best.items()}
    print(json.dumps({"client": "python", "rows": count, "frames": frames, **figures}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
