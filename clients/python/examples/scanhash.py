# SPDX-License-Identifier: Apache-2.0
"""A line for each whole scan of a map: how many rows it had, and a hash of them
that does not depend on their order. It does so in every language, so the lines of
two readers of one ring can be compared: scanhash.py MAP
"""

import sys

import ringside


def fnv1a(row: bytes) -> int:
    hash = 0xCBF29CE484222325
    for byte in row:
        hash = (hash ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return hash


def follow(source: str) -> None:
    whole, rows, hash = False, 0, 0  # of the scan so far
    seen, lost = 0, 0  # rows since attach
    for batch in ringside.attach(source=source):
        if batch.kind != "rows":
            lost += batch.lost.rows if batch.lost else 0
            whole = False
            continue
        if batch.first:
            whole, rows, hash = True, 0, 0
        for i in range(len(batch)):
            hash += fnv1a(bytes(batch.key(i)) + bytes(batch.value(i)))
        rows += len(batch)
        seen += len(batch)
        if batch.last and whole:
            hash &= 0xFFFFFFFFFFFFFFFF
            print(f'{{"scan":{batch.scan},"rows":{rows},"hash":"{hash:016x}","seen":{seen},"lost":{lost}}}', flush=True)


if len(sys.argv) != 2:
    sys.exit("usage: scanhash.py MAP")
follow(sys.argv[1])
