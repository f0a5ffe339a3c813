# SPDX-License-Identifier: Apache-2.0
"""One step of the stream."""

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple, Sequence

from . import _ringside
from .errors import Overwritten

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
    and ``time_ns`` is the CLOCK_MONOTONIC time when its rows had been read.
    """

    __slots__ = ("_keys", "_values")

    def __repr__(self) -> str:
        name = f" of {self.source.name!r}" if self.source else ""
        return f"<ringside.{type(self).__name__} {self.kind}{name}, {len(self)} rows>"

    @property
    def lost(self) -> Loss | None:
        """What ``lost`` and ``restart`` tell of."""
        lost = self._lost
        return Loss(*lost) if lost else None

    @property
    def keys(self) -> Any:
        """The keys of rows and deletes: a structured array, or without numpy a sequence
        of memoryviews. None: this kind has none."""
        try:
            return self._keys
        except AttributeError:
            pass
        place = self._key_column
        if place and not arrays:
            return Column(self, self.key)
        self._keys = arrays.column(self._hold(), len(self), place, self.source.key_dtype, None) if place else None
        return self._keys

    @property
    def values(self) -> Any:
        """The values of rows, as :attr:`keys`; of a per-CPU map with the CPUs as a second
        axis."""
        try:
            return self._values
        except AttributeError:
            pass
        place, source = self._value_column, self.source
        if place and not arrays:
            return Column(self, self.value)
        self._values = arrays.column(self._hold(), len(self), place, source.value_dtype, source._slots) if place else None
        return self._values

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

    def _view(self, at: int, size: int) -> memoryview:
        return memoryview(self._frame)[at : at + size]


class LeasedBatch(Batch):
    """A batch of :meth:`Subscription.lease`: its bytes are the ring's own, which the
    sidecar goes on writing. Expect nonsense until the block has ended."""

    __slots__ = ("_views",)

    def _view(self, at: int, size: int) -> memoryview:
        view = super()._view(at, size)
        try:
            self._views.append(view)
        except AttributeError:
            self._views = [view]
        return view

    def __enter__(self) -> LeasedBatch:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._keys = self._values = None
        for view in getattr(self, "_views", ()):
            try:
                view.release()
            except BufferError:  # somebody has a view of it: counted below
                pass
        self._views = []
        whole, left = self._end()
        if not whole and (error is None or isinstance(error, Exception)):
            raise Overwritten(116, "the sidecar has overwritten what was looked at: throw away what was computed from it")
        if left and error is None:
            raise BufferError(
                f"{left} views outlive their lease: give arrays no names that are left at the end of the block, or copy them"
            )
