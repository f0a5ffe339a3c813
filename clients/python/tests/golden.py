# SPDX-License-Identifier: Apache-2.0
"""Prints what is read from golden images, as clients/testdata/README.md fixes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Iterator

import ringside

IMAGES = Path(__file__).resolve().parents[2] / "testdata"


def line(**members: object) -> str:
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


def row(batch: ringside.Batch, i: int) -> list[str]:
    if batch.kind == "events":
        return [batch.event(i).hex()]
    key = batch.key(i).hex()
    return [key] if batch.kind == "deletes" else [key, batch.value(i).hex()]


def describe(batch: ringside.Batch) -> str:
    if batch.kind == "lost":
        return line(kind="lost", **batch.lost._asdict())
    return line(
        kind=batch.kind,
        source=batch.source.name,
        seq=batch.seq,
        scan=batch.scan,
        first=batch.first,
        last=batch.last,
        keyframe=batch.keyframe,
        rows=[row(batch, i) for i in range(len(batch))],
    )


def end(stats: ringside.Stats | None, error: str) -> str:
    frames, rows, lost_frames, lost_rows, laps = stats[:5] if stats else (0,) * 5
    return line(
        kind="end", frames=frames, rows=rows, lost_frames=lost_frames, lost_rows=lost_rows, laps=laps, error=error
    )


def read(path: Path) -> Iterator[str]:
    error = ""
    try:
        sub = ringside.open_file(path, start="beginning")
    except ringside.Incompatible:
        yield end(None, "refused")
        return
    with sub:
        try:
            for batch in sub:
                yield describe(batch)
        except ringside.Corrupt:
            error = "corrupt"
        except ringside.Lapped:
            error = "lapped"
    yield end(sub.stats(), error)


if __name__ == "__main__":
    for arg in sys.argv[1:]:
        print(*read(Path(arg)), sep="\n")
