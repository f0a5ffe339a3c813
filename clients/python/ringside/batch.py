# SPDX-License-Identifier: Apache-2.0
"""One step of the stream."""

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple, Sequence

from . import _ringside

try:
    from . import arrays
except ImportError:  # numpy is not here: columns are memoryviews
    arrays = None  # type: ignore[assignment]


class Loss(NamedTuple):
    """What a reader did not get: of the ring, whose frames belong to all sources."""

    frames: int
    rows: int
    exact: bool  #: False: more may be missing than can be counted


class Column(Sequence):
    """Keys or values without numpy: each a memoryview."""

    def __init__(self, batch: Batch, one: Callable[[int], memoryview]) -> None:
        self._batch, self._one = batch, one

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        rows = len(self)
        if not -rows <= i < rows:
            raise IndexError("no such row in this batch")
        return self._one(i % rows)


class Batch(_ringside.Batch):
    """A frame of the ring, or a remark about the stream. ``len(batch)`` is the number
    of rows, deleted keys or events.

    ``kind`` is

    - ``rows``: keys with their values, as one read of the map gave them
    - ``deletes``: keys that are no longer in the map
    - ``events``: records of a ring buffer
    - ``lost``: the ring overtook this reader: :attr:`lost`, before what follows
    - ``gone``: the sidecar is gone; ``restart`` will follow
    - ``hangs``: the sidecar is there and shows no life; told once
    - ``restart``: attached to a new ring; :attr:`lost` says what is missing
    - ``evicted``: held a lossless ring up for too long: loss is possible from here on

    ``first``, ``last`` and ``keyframe`` say where in a scan it is, ``source`` is its
    :class:`Source` (None of a remark), ``seq``, ``scan`` and ``source_seq`` number it,
    and ``time_ns`` is the CLOCK_MONOTONIC time when its rows had been read, or its
    events were published.

    ``keys`` (of rows and deletes) and ``values`` (of rows) are structured arrays, values
    of a per-CPU map with the CPUs as a second axis; without numpy they are sequences of
    memoryviews. None: this kind has none.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        name = f" of {self.source.name!r}" if self.source else ""
        return f"<ringside.{type(self).__name__} {self.kind}{name}, {len(self)} rows>"

    @property
    def lost(self) -> Loss | None:
        """What ``lost`` and ``restart`` tell of."""
        lost = self._lost
        return Loss(*lost) if lost else None

    if not arrays:

        @property
        def keys(self) -> Any:
            return Column(self, self.key) if self._key_column else None

        @property
        def values(self) -> Any:
            return Column(self, self.value) if self._value_column else None

    def key(self, i: int) -> memoryview:
        """The bytes of one key."""
        return self._cell(self._key_column, i, self.source and self.source.key_size)

    def value(self, i: int) -> memoryview:
        """The bytes of one value, of all CPUs if per CPU."""
        return self._cell(self._value_column, i, self.source and self.source.value_size)

    def _cell(self, place: tuple[int, int] | None, i: int, size: Any) -> memoryview:
        if not place or not 0 <= i < len(self):
            raise IndexError("no such row in this batch")
        return self._view(place[0] + i * place[1], size)

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """Keys and values (of deletes None) as Python objects: dicts, numbers, lists,
        bytes."""
        keys, values = self._key_column, self._value_column
        if not keys:
            return
        (key_at, key_stride), (value_at, value_stride) = keys, values or (0, 0)
        decode_key, decode_value = self.source.decode_key, self.source.decode_value
        with memoryview(self._frame) as frame:
            for i in range(len(self)):
                key = decode_key(frame, key_at + i * key_stride)
                yield key, decode_value(frame, value_at + i * value_stride) if values else None

    def events(self) -> Iterator[memoryview]:
        """The events of a batch of events, as bytes."""
        for i in range(len(self) if self.kind == "events" else 0):
            yield self.event(i)

    def event(self, i: int) -> memoryview:
        """The bytes of one event."""
        return self._view(*self._event(i))

    def decoded(self) -> Iterator[Any]:
        """The events as Python objects; bytes where the type is unknown or longer."""
        t = self.source.value if self.source else None
        for event in self.events():
            yield t.decoder(event, 0) if t and t.size <= len(event) else bytes(event)


class LeasedBatch(Batch):
    """A batch of :meth:`Subscription.lease`: its bytes are the ring's own, which the
    sidecar goes on writing. Expect nonsense until the block has ended."""

    __slots__ = ()

    __enter__ = _ringside.Batch._enter
    __exit__ = _ringside.Batch._exit
