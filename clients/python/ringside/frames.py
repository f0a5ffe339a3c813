# SPDX-License-Identifier: Apache-2.0
"""A table as a pandas DataFrame."""

from __future__ import annotations

from typing import Any, Iterator

import numpy
import pandas  # type: ignore[import]  # not everywhere with types

from .types import Type


def of(table: Any) -> pandas.DataFrame:
    """See Table.to_pandas."""
    source = table.source
    if source is None:
        return pandas.DataFrame()
    keys, values = table.arrays()
    levels = dict(columns("key", keys, source.key))
    if source.per_cpu:
        levels = {name: numpy.repeat(level, source.cpus) for name, level in levels.items()}
        levels["cpu"] = numpy.tile(numpy.arange(source.cpus), len(keys))
        values = values.reshape(-1)
    index = pandas.MultiIndex.from_arrays(list(levels.values()), names=list(levels))
    if len(levels) == 1:
        index = index.get_level_values(0)
    return pandas.DataFrame(dict(columns("value", values, source.value)), index=index)


def columns(name: str, array: Any, t: Type | None) -> Iterator[tuple[str, Any]]:
    """Columns of one dimension. What has more, or no number, is a column of objects."""
    if t is None or t.kind not in ("struct", "union"):
        yield name, one(array, t)
        return
    for f in t.named():
        part = f.of(array)
        if f.type.kind in ("struct", "union"):
            for inner, column in columns(f.name, part, f.type):
                yield f"{f.name}.{inner}", column
        else:
            yield f.name, one(part, f.type)


def one(array: Any, t: Type | None) -> Any:
    """A column, whose memory is pandas' own."""
    if array.ndim > 1 or array.dtype.kind == "V":
        column = numpy.empty(len(array), object)
        column[:] = [part.tobytes() if array.dtype.kind == "V" else part.tolist() for part in array]
        return column
    return array.astype(object) if array.dtype.kind == "S" else array.copy()
