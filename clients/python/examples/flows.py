# SPDX-License-Identifier: Apache-2.0
"""Prints the rows of a map of flows: the same program in every language."""

import sys

import ringside

for batch in ringside.attach(source="flows"):  # an error names the socket, the cause and the remedy
    if batch.kind == "lost":
        print(f"lost {batch.lost.rows} rows", file=sys.stderr)
    for flow, stats in batch.rows() if batch.kind == "rows" else ():  # dicts, by the map's own types
        print(f"{flow['src']:08x} {flow['dst']:08x} {stats['bytes']}")
