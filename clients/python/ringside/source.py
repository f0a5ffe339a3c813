# SPDX-License-Identifier: Apache-2.0
"""One map in a ring."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Callable

from .types import Decoder, Type

_PER_CPU, _EVENTS, _CHANGES = 1, 16, 32


class Source:
    """A map, as the ring's catalog describes it. It never changes, and stays when
    the ring goes: a map that is replaced under its pin is another source of the
    same name."""

    def __init__(
        self,
        name: str,
        number: int,
        map_id: int,
        map_type: int,
        max_entries: int,
        key_size: int,
        value_size: int,
        cpus: int,
        slot_size: int,
        map_value_size: int,
        flags: int,
        created_ns: int,
        schema: str | None,
        key: tuple | None,
        value: tuple | None,
    ) -> None:
        self.name = name
        self.number = number
        self.map_id = map_id
        self.map_type = map_type
        self.max_entries = max_entries
        self.key_size = key_size
        self.value_size = value_size  #: in the ring: of all CPUs together
        self.cpus = cpus  #: slots of a value if per CPU, else 0
        self.slot_size = slot_size
        self.map_value_size = map_value_size
        self.flags = flags
        self.created_ns = created_ns
        self.schema = schema  #: JSON text
        self.key = Type(key) if key else None  #: None: bytes
        self.value = Type(value) if value else None  #: of one CPU's slot, or of an event

    def __repr__(self) -> str:
        return f"<ringside.Source {self.name!r}, number {self.number}>"

    @property
    def per_cpu(self) -> bool:
        return bool(self.flags & _PER_CPU)

    @property
    def events(self) -> bool:
        return bool(self.flags & _EVENTS)

    @property
    def changes(self) -> bool:
        return bool(self.flags & _CHANGES)

    @cached_property
    def key_dtype(self) -> Any:
        """numpy's dtype of ``batch.keys``."""
        from . import arrays

        return self.key.dtype if self.key else arrays.raw(self.key_size)

    @cached_property
    def value_dtype(self) -> Any:
        """numpy's dtype of ``batch.values``, and of one slot if per CPU."""
        from . import arrays

        return self.value.dtype if self.value else arrays.raw(self.map_value_size)

    @cached_property
    def _key_array(self) -> Callable[[Any, int, int, int], Any]:
        """Makes ``batch.keys``: see arrays.maker."""
        from . import arrays

        return arrays.maker(self.key_dtype, None)

    @cached_property
    def _value_array(self) -> Callable[[Any, int, int, int], Any]:
        from . import arrays

        return arrays.maker(self.value_dtype, (self.cpus, self.slot_size) if self.per_cpu else None)

    @cached_property
    def decode_key(self) -> Decoder:
        """Makes a Python object of a key that begins at an offset of a buffer."""
        return self.key.decoder if self.key else _bytes(self.key_size)

    @cached_property
    def decode_value(self) -> Decoder:
        """The same of a value: a list, one for each CPU, if per CPU."""
        one = self.value.decoder if self.value else _bytes(self.map_value_size)
        if not self.per_cpu:
            return one
        offsets = range(0, self.cpus * self.slot_size, self.slot_size) if self.slot_size else ()
        return lambda buffer, at: [one(buffer, at + offset) for offset in offsets]

    def encode_key(self, key: Any) -> bytes:
        """The bytes of a key that is given as bytes, a number or a dict."""
        if self.key:
            return self.key.encode(key)
        raw = bytes(key) if not isinstance(key, int) else b""
        if len(raw) != self.key_size:
            raise ValueError(f"source {self.name!r} has keys of {self.key_size} bytes, and no type for them")
        return raw


def _bytes(size: int) -> Callable[[Any, int], bytes]:
    return lambda buffer, at: bytes(buffer[at : at + size])
