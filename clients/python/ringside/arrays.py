# SPDX-License-Identifier: Apache-2.0
"""numpy's view of rows. The rest of the package does without numpy."""

from __future__ import annotations

from typing import Any, Callable

import numpy

from .types import Field, Type

#: of memory, rows, the offset of the first and the stride from one to the next
Maker = Callable[[Any, int, int, int], numpy.ndarray]

_RAW = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}


def dtype(t: Type) -> numpy.dtype:
    """As ``ringside schema --lang python`` prints it."""
    if t.kind in ("struct", "union"):
        try:
            return _structure(t)
        except (ValueError, TypeError):
            return raw(t.size)  # more than numpy can describe
    if t.kind == "array" and t.elem and t.elem.kind == "char":
        return numpy.dtype(f"S{t.size}") if t.size else raw(0)
    if t.kind == "array" and t.elem and t.size:
        return numpy.dtype((dtype(t.elem), (t.count,)))
    if t.kind == "float":
        return numpy.dtype(f"<f{t.size}")
    if t.kind == "bool" and t.size == 1:
        return numpy.dtype("?")
    if t.kind == "char":
        return numpy.dtype("S1")
    if t.kind == "bytes" or t.size not in _RAW:
        return raw(t.size)
    return numpy.dtype(f"<{'i' if t.signed else 'u'}{t.size}")


def raw(size: int) -> numpy.dtype:
    """Bytes of which nothing is known."""
    return numpy.dtype(f"V{size}") if size else numpy.dtype([])


def _structure(t: Type) -> numpy.dtype:
    parts: dict[str, tuple[Any, int]] = {}
    spans: list[list[int]] = []  # of bytes with bitfields
    for f in sorted(t.named(), key=lambda f: f.offset):
        if f.bit_size:
            end = f.offset + (f.bit_offset + f.bit_size + 7) // 8
            if spans and f.offset < spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([f.offset, end])
        elif f.type.size and f.name not in parts:
            parts[f.name] = (dtype(f.type), f.offset)
    for start, end in spans:
        name = f"at{start}"
        while name in parts:
            name += "_"
        parts[name] = (_RAW.get(end - start, f"V{end - start}"), start)
    return numpy.dtype(
        {
            "names": list(parts),
            "formats": [form for form, _ in parts.values()],
            "offsets": [offset for _, offset in parts.values()],
            "itemsize": t.size,
        }
    )


def _at(array: numpy.ndarray, form: Any, offset: int) -> numpy.ndarray:
    one: Any = {"names": ["f"], "formats": [form], "offsets": [offset], "itemsize": array.dtype.itemsize}
    return array.view(numpy.dtype(one))["f"]


def field_of(f: Field, array: numpy.ndarray) -> numpy.ndarray:
    """See Field.of."""
    if not f.bit_size:
        return _at(array, dtype(f.type), f.offset)
    size = (f.bit_offset + f.bit_size + 7) // 8
    octets = _at(array, ("u1", (size,)), f.offset).astype(numpy.uint64)
    number = numpy.zeros(octets.shape[:-1], numpy.uint64)
    for i in range(size):
        shift = 8 * i - f.bit_offset
        number |= octets[..., i] << numpy.uint64(shift) if shift >= 0 else octets[..., i] >> numpy.uint64(-shift)
    up = numpy.uint64(64 - f.bit_size)
    number <<= up
    if f.type.signed:
        return number.view(numpy.int64) >> up.astype(numpy.int64)
    return number >> up


def maker(form: numpy.dtype, slots: tuple[int, int] | None) -> Maker:
    """What makes an array of rows that lie in memory: a view, which keeps the memory
    alive. slots: how many values each row has, one for each CPU, and how far they are
    apart."""
    if slots:
        cpus, apart = slots
        if form.itemsize == 0:
            return lambda memory, rows, at, stride: numpy.empty((rows, cpus), form)
        return lambda memory, rows, at, stride: numpy.ndarray((rows, cpus), form, memory, at, (stride, apart))
    if form.itemsize == 0:
        return lambda memory, rows, at, stride: numpy.empty(rows, form)
    return lambda memory, rows, at, stride: numpy.ndarray((rows,), form, memory, at, (stride,))
