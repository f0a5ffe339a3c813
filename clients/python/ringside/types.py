# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a key, a value or an event mean."""

from __future__ import annotations

import re
import struct
from functools import cached_property
from typing import Any, Callable, Iterator, NamedTuple

#: Turns the bytes at an offset of a buffer into a Python object.
Decoder = Callable[[Any, int], Any]

_KINDS = ("", "int", "uint", "bool", "char", "float", "enum", "pointer", "array", "struct", "union", "bytes")
_NUMBERS = frozenset(("int", "uint", "bool", "char", "enum", "pointer"))
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d{1,9})\]")


class Constant(NamedTuple):
    """A constant of an enum."""

    name: str
    value: int


class Field(NamedTuple):
    """A part of a struct or union; ``bit_size`` is 0 unless it is a bitfield.

    ``name`` may be empty: then the fields of its type are the enclosing type's.
    Of a field that :meth:`Type.find` found, ``offset`` counts from that type's start.
    """

    name: str
    offset: int
    bit_offset: int
    bit_size: int
    type: Type

    def of(self, array: Any) -> Any:
        """This field of a numpy array of the type that it was found in: a view, and
        for bitfields numbers of their own."""
        from . import arrays

        return arrays.field_of(self, array)

    def decoder(self, at: int = 0) -> Decoder:
        """Reads this field of a type that begins at an offset."""
        at += self.offset
        if not self.bit_size:
            decode = self.type.decoder
            return lambda buffer, start: decode(buffer, start + at)
        low, bits = self.bit_offset, self.bit_size
        size, negative = (low + bits + 7) // 8, self.type.signed

        def decode_bits(buffer: Any, start: int) -> int:
            whole = int.from_bytes(buffer[start + at : start + at + size], "little")
            n = whole >> low & (1 << bits) - 1
            return n - (1 << bits) if negative and n >> bits - 1 else n

        return decode_bits


class Type:
    """A type of C: what ``ringside schema`` prints, as a tree."""

    def __init__(self, node: tuple) -> None:
        kind, self.size, self.name, signed, self.count, elem, members = node
        self.kind: str = _KINDS[kind]
        self.signed: bool = self.kind == "int" or bool(signed)
        self.elem: Type | None = Type(elem) if elem else None
        self.fields: tuple[Field, ...] = ()
        self.constants: tuple[Constant, ...] = ()
        if self.kind == "enum":
            self.constants = tuple(Constant(*c) for c in members)
        elif members:
            self.fields = tuple(Field(name, offset, bit, bits, Type(t)) for name, offset, bit, bits, t in members)

    def __repr__(self) -> str:
        return f"<ringside.Type {self.name or self.kind}, {self.size} bytes>"

    def named(self, at: int = 0) -> Iterator[Field]:
        """All fields that have names, those of anonymous members included."""
        for f in self.fields:
            f = f._replace(offset=f.offset + at)
            if f.name:
                yield f
            elif not f.bit_size:
                yield from f.type.named(f.offset)

    def find(self, path: str) -> Field:
        """Where a field lies in the whole; path is as in C: ``addr.ip[1]``. KeyError: there is none."""
        found, at = Field("", 0, 0, 0, self), 0
        while at < len(path):
            step = _STEP.match(path, at)
            if not step or (step[1] and (at == 0) == path.startswith(".", at)):
                raise KeyError(path)
            found, at = found.type._step(found, step[1], step[2], path), step.end()
        return found

    def _step(self, whole: Field, name: str | None, index: str | None, path: str) -> Field:
        if index is not None and self.elem and int(index) < self.count:
            return Field(index, whole.offset + int(index) * self.elem.size, 0, 0, self.elem)
        for f in self.named(whole.offset) if name and not whole.bit_size else ():
            if f.name == name:
                return f
        raise KeyError(path)

    @cached_property
    def dtype(self) -> Any:
        """The numpy dtype; bitfields are in it as the bytes that hold them."""
        from . import arrays

        return arrays.dtype(self)

    @cached_property
    def decoder(self) -> Decoder:
        """Numbers are numbers, structs and unions dicts, arrays lists, and arrays of
        characters bytes without the NULs at their end."""
        size = self.size
        if self.kind == "float":
            number = struct.Struct("<d" if size == 8 else "<f")
            return lambda buffer, at: number.unpack_from(buffer, at)[0]
        if self.kind == "array" and self.elem:
            return self._array_decoder(self.elem)
        if self.kind in ("struct", "union"):
            fields = [(f.name, f.decoder()) for f in self.named()]
            return lambda buffer, at: {name: decode(buffer, at) for name, decode in fields}
        if self.kind == "bool":
            return lambda buffer, at: any(buffer[at : at + size])
        if self.kind in _NUMBERS and self.kind != "char":
            signed = self.signed
            return lambda buffer, at: int.from_bytes(buffer[at : at + size], "little", signed=signed)
        return lambda buffer, at: bytes(buffer[at : at + size])

    def _array_decoder(self, elem: Type) -> Decoder:
        size, step = self.size, elem.size
        if elem.kind == "char":
            return lambda buffer, at: bytes(buffer[at : at + size]).rstrip(b"\0")
        if step == 0:
            return lambda buffer, at: []
        decode = elem.decoder
        return lambda buffer, at: [decode(buffer, i) for i in range(at, at + size, step)]

    def encode(self, what: Any) -> bytes:
        """The bytes of a number, of bytes, of a list, or of a dict: the rest of it is zero."""
        if isinstance(what, (bytes, bytearray, memoryview)):
            raw = bytes(what)
            if len(raw) > self.size or (len(raw) < self.size and self.kind not in ("array", "bytes", "char")):
                raise ValueError(f"{len(raw)} bytes for {self!r}")
            return raw.ljust(self.size, b"\0")
        if self.kind == "float":
            return struct.pack("<d" if self.size == 8 else "<f", what)
        if self.kind in _NUMBERS:
            return int(what).to_bytes(self.size, "little", signed=int(what) < 0)
        if self.kind == "array" and self.elem and len(what) == self.count:
            return b"".join(self.elem.encode(w) for w in what)
        if self.fields and isinstance(what, dict):
            return self._encode_fields(what)
        raise ValueError(f"{what!r} for {self!r}")

    def _encode_fields(self, what: dict) -> bytes:
        number, known = 0, {f.name: f for f in self.named()}
        for name, value in what.items():
            f = known.get(name)
            if f is None:
                raise ValueError(f"{self!r} has no field {name}")
            at = f.offset * 8 + f.bit_offset
            if f.bit_size:
                number |= (int(value) & (1 << f.bit_size) - 1) << at
            else:
                number |= int.from_bytes(f.type.encode(value), "little") << at
        return number.to_bytes(self.size, "little")
