# SPDX-License-Identifier: Apache-2.0
"""The current content of a map."""

from __future__ import annotations

from typing import Any, Iterator

from . import _ringside
from .batch import Batch
from .source import Source
from .subscription import Subscription

try:
    from . import arrays
except ImportError:
    arrays = None  # type: ignore[assignment]


class Table:
    """The current content of one map, built from the stream. It holds what was last
    known for sure: a scan is applied when its last batch has come, all at once. A
    loss, a restart or a scan that broke off makes it stale until the next complete
    keyframe, for which it asks by itself::

        with ringside.attach() as sub, ringside.Table(sub, "flows") as flows:
            for _ in flows.updates():
                print(flows.to_pandas().nlargest(10, "bytes"))

    or with a loop of one's own, every batch of which is given to :meth:`apply`.
    Keys are looked up as bytes, numbers or dicts.
    """

    def __init__(self, sub: Subscription, source: str, *, max_bytes: int = 0) -> None:
        self._sub, self._name = sub, source
        self._table = _ringside.open_table(sub._reader, source, max_bytes)
        self._source: Source | None = None

    def __repr__(self) -> str:
        return f"<ringside.Table {self._name!r}>"

    def apply(self, batch: Batch) -> bool:
        """Takes a batch of the subscription, before the next one is read. True: the
        content or its freshness has changed."""
        source = batch.source
        if source is not None and source.name == self._name:
            self._source = source
        return self._table.apply(batch)

    def updates(self) -> Iterator[Table]:
        """Reads the subscription, and yields this table whenever it has changed."""
        for batch in self._sub:
            if self.apply(batch):
                yield self

    def wait(self, timeout: float | None = None) -> bool:
        """Reads until the table is fresh; False: it was not for timeout seconds of
        silence."""
        while not self.fresh:
            batch = self._sub.next(timeout)
            if batch is None:
                return False
            self.apply(batch)
        return True

    @property
    def source(self) -> Source | None:
        """The source of the content; None before the first batch."""
        return self._source

    @property
    def fresh(self) -> bool:
        """Whether the content is that of the newest scan."""
        return self._table.fresh

    @property
    def scan(self) -> int:
        """The number of the scan that was applied last."""
        return self._table.scan

    @property
    def time_ns(self) -> int:
        """Its CLOCK_MONOTONIC time."""
        return self._table.time_ns

    def __len__(self) -> int:
        return len(self._table)

    def __bool__(self) -> bool:
        return True  # an empty map is a map

    def _find(self, key: Any) -> bytes | None:
        if not len(self) or not self._source:
            return None
        return self._table.get(self._source.encode_key(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key as a Python object, or default."""
        value = self._find(key)
        return default if value is None or not self._source else self._source.decode_value(value, 0)

    def __getitem__(self, key: Any) -> Any:
        value = self._find(key)
        if value is None or not self._source:
            raise KeyError(key)
        return self._source.decode_value(value, 0)

    def __contains__(self, key: Any) -> bool:
        return self._find(key) is not None

    def items(self) -> Iterator[tuple[Any, Any]]:
        """All rows of this moment as Python objects, in no order."""
        keys, values = self._table.copy()
        source = self._source
        if not source:
            return
        for i in range(len(self)):
            yield (
                source.decode_key(keys, i * source.key_size),
                source.decode_value(values, i * source.value_size),
            )

    def __iter__(self) -> Iterator[Any]:
        """The keys, as in a dict."""
        return (key for key, _ in self.items())

    def arrays(self) -> tuple[Any, Any]:
        """Keys and values of this moment as numpy arrays of their own."""
        if not arrays:
            raise ImportError("needs numpy; items() does not")
        source, (keys, values) = self._source, self._table.copy()
        if not source:
            return arrays.numpy.empty(0), arrays.numpy.empty(0)
        rows = len(self)
        return (
            source._key_array(keys, rows, 0, source.key_size),
            source._value_array(values, rows, 0, source.value_size),
        )

    def to_pandas(self) -> Any:
        """A DataFrame: the key's fields are its index, the value's its columns, as
        ``a.b``; of a per-CPU map ``cpu`` is the last level of the index."""
        from . import frames

        return frames.of(self)

    def close(self) -> None:
        """Gives its memory back."""
        self._table.close()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
