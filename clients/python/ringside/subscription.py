# SPDX-License-Identifier: Apache-2.0
"""Attaching and reading."""

from __future__ import annotations

import os
import sys
from typing import Any, Iterator, NamedTuple

from . import _ringside
from .batch import Batch, LeasedBatch
from .source import Source

_STARTS = {"": 0, "keyframe": 1, "oldest": 2, "head": 3, "beginning": 4}


class Stats(NamedTuple):
    """Counted since attach, over all restarts."""

    frames: int  #: delivered
    rows: int
    lost_frames: int  #: missed, as far as it can be counted
    lost_rows: int
    laps: int  #: how often the ring overtook this reader
    restarts: int
    lag_frames: int  #: published and not yet read
    lag_rows: int
    epoch: int  #: of the ring; 0 while there is none
    away: int  #: 0, or the errno of why there is no sidecar just now


def _start(start: str) -> int:
    if start not in _STARTS:
        raise ValueError(f"start {start!r}: use keyframe, oldest or head, and for files beginning, too")
    return _STARTS[start]


def _ms(timeout: float | None) -> int:
    if timeout is None:
        return -1
    return min(max(int(timeout * 1000 + 0.999), 0), 1 << 31)


class Subscription:
    """Reads one ring, and the one that takes its place, and so on. Made by
    :func:`attach` and :func:`open_file`; iterate over it, or call :meth:`next`."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        #: The next batch: ``next_batch(ms)``, -1 for ever. next() without its comforts.
        self._next = reader.next

    def __iter__(self) -> Iterator[Batch]:
        """Every batch, waiting for it. Ends with a file, and when the subscription is
        closed."""
        return iter(self._reader)

    def next(self, timeout: float | None = None) -> Batch | None:
        """The next batch. None: there was none for timeout seconds. EOFError: a file
        has ended."""
        return self._next(_ms(timeout))

    def lease(self, timeout: float | None = None) -> LeasedBatch:
        """The next batch in place, for ``with``. TimeoutError: there was none. What the
        block saw may be believed if the block ends without :class:`Overwritten`."""
        batch = self._reader.lease(_ms(timeout))
        if batch is None:
            raise TimeoutError("nothing was published")
        return batch

    def leases(self) -> Iterator[LeasedBatch]:
        """Every batch in place: ``for batch in sub.leases(): with batch: ...``"""
        lease = self._reader.lease
        while True:
            try:
                batch = lease(-1)
            except EOFError:
                return
            yield batch
            del batch

    def wait(self, timeout: float | None = None) -> bool:
        """Whether there is something to read, within timeout seconds."""
        return self._reader.wait(_ms(timeout))

    def fileno(self) -> int:
        """A descriptor for event loops, never to be read from: it becomes readable when
        there may be something to read. Before it is polled :meth:`arm` must say False,
        behind it call ``wait(0)``."""
        return self._reader.fd()

    def arm(self) -> bool:
        """True: do not sleep, there is something to read already."""
        return self._reader.arm()

    @property
    def sources(self) -> dict[str, Source]:
        """The newest source of each name."""
        return {source.name: source for source in self._reader.sources()}

    def stats(self) -> Stats:
        """The counters; from any thread, and after close those at close."""
        return Stats(*self._reader.stats())

    def ask(self, source: str | None = None) -> None:
        """Asks for a keyframe of a source, or of all. It comes with a later scan."""
        self._reader.ask(source)

    def realtime_ns(self, time_ns: int) -> int:
        """Time of day in ns of a batch's ``time_ns``."""
        return self._reader.realtime_ns(time_ns)

    @property
    def closed(self) -> bool:
        return self._reader.closed

    def close(self) -> None:
        """Gives everything back, but for memory that is still referred to. From another
        thread: ends the loop of the one that waits. BufferError: a lease was open, and
        there are views of it."""
        self._reader.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            self.close()
        except BufferError:
            if error is None:  # whose traceback may hold the views
                raise


def _program() -> str:
    return os.path.basename(sys.argv[0] if sys.argv else "") or "python"


def attach(
    ring: str | None = None,
    source: str | None = None,
    *,
    socket: str | None = None,
    name: str | None = None,
    start: str = "",
    timeout: float = 5.0,
) -> Subscription:
    """Asks the sidecar for a ring.

    ring: "main" unless another is named. source: only batches of that source.
    socket: ``$RINGSIDE_SOCKET``, or /run/ringside/ringside.sock. name: this
    consumer's own, for ``ringside status``. start: ``keyframe`` (the newest complete
    scan that is still there), ``oldest`` or ``head``; also where to go on after a
    loss. timeout: how long attaching may take.
    """
    name = (name or _program()).encode()[:63].decode(errors="ignore")
    ms = min(max(_ms(timeout), 1), (1 << 31) - 1)
    return Subscription(_ringside.attach(Source, Batch, LeasedBatch, socket, ring, name, source, _start(start), ms))


def open_file(path: str | os.PathLike[str], source: str | None = None, *, start: str = "") -> Subscription:
    """Reads a recorded ring from a file, into memory: see ``ringside record``.

    start: ``oldest``, or as for :func:`attach`, or ``beginning``: position 0,
    overwritten or not.
    """
    return Subscription(_ringside.open_file(Source, Batch, LeasedBatch, path, source, _start(start)))
