# SPDX-License-Identifier: Apache-2.0
"""Golden images: as they are, in leases, and mutated."""

from __future__ import annotations

import random
import tempfile
import unittest
from pathlib import Path
from typing import Iterator

import golden
import ringside


def images() -> Iterator[tuple[Path, str]]:
    for path in sorted(golden.IMAGES.glob("*.ring")):
        yield path, path.with_suffix(".json").read_text(encoding="utf-8")


class Golden(unittest.TestCase):
    def test_conformance(self) -> None:
        count = 0
        for path, want in images():
            with self.subTest(path.name):
                self.assertEqual("\n".join(golden.read(path)) + "\n", want)
            count += 1
        self.assertGreater(count, 50)

    def test_starts(self) -> None:
        """Where the reading of a file begins, of which the ring has lost 20 frames."""
        path = golden.IMAGES / "lapped-into-scan.ring"
        for start, want in {
            "": ("rows", 20),
            "oldest": ("rows", 20),
            "keyframe": ("rows", 33),
            "head": None,
            "beginning": ("lost", 0),
        }.items():
            with self.subTest(start), ringside.open_file(path, start=start) as sub:
                batch = next(iter(sub), None)
                self.assertEqual((batch.kind, batch.seq) if batch is not None else None, want)
                self.assertTrue(start != "keyframe" or (batch.first and batch.keyframe))

    def test_leases_say_the_same(self) -> None:
        """In place and as copies, as long as nothing is wrong with the ring."""
        for path, want in images():
            if not want.endswith('"error":""}\n'):
                continue
            got = []
            with self.subTest(path.name), ringside.open_file(path, start="beginning") as sub:
                for batch in sub.leases():
                    with batch:
                        got.append(golden.describe(batch))
                got.append(golden.end(sub.stats(), ""))
                self.assertEqual("\n".join(got) + "\n", want)

    def test_mutated(self) -> None:
        """Whatever is in a file: an exception at worst, and an end."""
        chance = random.Random(1)
        seeds = [path.read_bytes() for path, _ in images()]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ring"
            for i in range(600):
                image = bytearray(seeds[i % len(seeds)])
                for _ in range(chance.randrange(1, 12) if image else 0):
                    # Headers and the catalog are in the first pages, frames behind.
                    at = chance.randrange(min(len(image), chance.choice((1024, 16384, 1 << 20))))
                    image[at] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
                path.write_bytes(image)
                self.survives(path)

    def survives(self, path: Path) -> None:
        for way in (self.look, self.look_in_place):
            try:
                with ringside.open_file(path, start="beginning") as sub:
                    way(sub)
            except ringside.Error:
                pass

    def look(self, sub: ringside.Subscription) -> None:
        for batch in sub:
            self.touch(batch)

    def look_in_place(self, sub: ringside.Subscription) -> None:
        for batch in sub.leases():
            with batch:
                self.touch(batch)

    def touch(self, batch: ringside.Batch) -> None:
        for _ in zip(range(100), batch.rows()):
            pass
        for _ in zip(range(100), batch.decoded()):
            pass
        for column in (batch.keys, batch.values):
            if column is not None and len(column) > 0:
                column[len(column) - 1].tobytes()


if __name__ == "__main__":
    unittest.main()
