# SPDX-License-Identifier: Apache-2.0
"""Views live as long as somebody looks, and never longer than their bytes are good for."""

from __future__ import annotations

import gc
import unittest

import golden
import ringside

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]


def opened() -> ringside.Subscription:
    return ringside.open_file(golden.IMAGES / "two-sources.ring", start="beginning")


class Lifetimes(unittest.TestCase):
    def test_batches_stay(self) -> None:
        """Every batch at once, read when the subscription has long gone."""
        want = (golden.IMAGES / "two-sources.json").read_text(encoding="utf-8").splitlines()[:-1]
        sub = opened()
        batches = list(sub)
        sub.close()
        del sub
        gc.collect()
        self.assertEqual([golden.describe(batch) for batch in batches], want)

    def test_columns_stay(self) -> None:
        """Without their batch, too."""
        columns, wants = [], []
        for _ in range(3):
            with opened() as sub:
                for batch in sub:
                    if batch.keys is not None and len(batch) > 0:
                        columns.append(batch.keys)
                        wants.append([bytes(batch.key(i)) for i in range(len(batch))])
        for column, want in zip(columns, wants):
            self.assertEqual([key.tobytes() for key in column], want)

    def test_read_only(self) -> None:
        batch = next(iter(opened()))
        self.assertTrue(batch.key(0).readonly)
        with self.assertRaises(TypeError):
            batch.key(0)[0] = 1
        if numpy:
            self.assertFalse(batch.values.flags.writeable)
            with self.assertRaises(ValueError):
                batch.values.flags.writeable = True

    def test_lease_ends(self) -> None:
        with opened() as sub:
            with sub.lease() as batch:
                key = batch.key(0)
                part = key[:1]
                part.release()
                bytes(key)
            with self.assertRaises(ValueError):
                bytes(key)
            for look in (lambda: batch.key(0), lambda: list(batch.rows())):
                with self.assertRaises(BufferError):
                    look()

    @unittest.skipUnless(numpy, "needs numpy")
    def test_arrays_of_a_lease(self) -> None:
        """An array cannot be taken back. So it is an error to keep one, and its memory
        stays until it is gone."""
        sub = opened()
        with sub.lease() as batch:
            total = int(batch.values.view(numpy.uint8).sum()) if batch.values.flags.c_contiguous else 0
        self.assertGreaterEqual(total, 0)
        with self.assertRaises(BufferError):
            with sub.lease() as batch:
                kept = batch.values
        for use in (lambda: sub.next(0), lambda: sub.lease(0), lambda: sub.wait(0)):
            with self.assertRaises(BufferError):
                use()
        sub.close()
        kept.tobytes()  # still mapped
        with self.assertRaises(ValueError):
            sub.next(0)
        del kept
        self.assertEqual(sub.stats().frames, 2)

    @unittest.skipUnless(numpy, "needs numpy")
    def test_closed_within_a_lease(self) -> None:
        sub = opened()
        batch = sub.lease()
        kept = batch.keys
        with self.assertRaises(BufferError):
            sub.close()
        with self.assertRaises(ValueError):
            sub.next()
        kept.tobytes()
        del kept
        with self.assertRaises(BufferError):
            batch.key(0)
        with self.assertRaises(ValueError), batch:
            pass  # nobody can say any more whether what was seen was whole
        sub.close()

    def test_sub_views_of_a_lease(self) -> None:
        sub = opened()
        with self.assertRaises(BufferError):
            with sub.lease() as batch:
                part = batch.key(0)[:1]
        bytes(part)
        part.release()
        self.assertIsNotNone(sub.next(0))

    def test_lease_given_up(self) -> None:
        """Without with: the lease ends with its batch."""
        with opened() as sub:
            batch = sub.lease()
            with self.assertRaises(RuntimeError):
                sub.next()
            del batch
            gc.collect()
            sub.next()
            batch = sub.lease()
        with self.assertRaises(BufferError):
            batch.key(0)
        with self.assertRaises(ValueError):
            batch.__exit__(None, None, None)

    def test_exceptions_in_a_lease(self) -> None:
        with opened() as sub, self.assertRaises(ZeroDivisionError):
            with sub.lease() as batch:
                _view = memoryview(batch.key(0))
                1 / 0

    def test_closed(self) -> None:
        sub = opened()
        sub.next()
        sub.close()
        sub.close()
        self.assertTrue(sub.closed)
        self.assertEqual(list(sub), [])
        self.assertEqual(sub.stats().frames, 1)
        with self.assertRaises(ValueError):
            sub.next()

    def test_end_of_file(self) -> None:
        sub = opened()
        for _ in sub:
            pass
        with self.assertRaises(EOFError):
            sub.next()
        with self.assertRaises(EOFError):
            sub.lease()


class Tables(unittest.TestCase):
    def test_owner(self) -> None:
        sub, other = opened(), opened()
        name = next(iter(sub.sources))
        table = ringside.Table(sub, name)
        with self.assertRaises(RuntimeError):
            sub.close()
        old, foreign = sub.next(), other.next()
        other.next()
        sub.next()
        for wrong in (old, foreign):
            with self.assertRaises(ValueError):
                table.apply(wrong)
        with sub.lease() as batch, self.assertRaises(ValueError):
            table.apply(batch)
        table.close()
        with self.assertRaises(ValueError):
            len(table)
        sub.close()

    def test_content(self) -> None:
        with ringside.open_file(golden.IMAGES / "changes.ring", start="beginning") as sub:
            name = next(iter(sub.sources))
            with ringside.Table(sub, name) as table:
                self.assertFalse(table.fresh)
                rows = {}
                for _ in table.updates():
                    rows = dict(table.items())
                self.assertEqual(len(table), len(rows))
                self.assertGreater(len(rows), 0)
                for key, value in rows.items():
                    self.assertEqual(table[key], value)
                    self.assertIn(key, table)
                self.assertIsNone(table.get(b"\xee" * table.source.key_size))
                if numpy:
                    keys, _ = table.arrays()
                    self.assertEqual({key.tobytes() for key in keys}, set(rows))
                    self.assertEqual(len(table.to_pandas()), len(rows))


class Errors(unittest.TestCase):
    def test_classes(self) -> None:
        with self.assertRaises(FileNotFoundError) as caught:
            ringside.open_file("/nonexistent/ring")
        self.assertIsInstance(caught.exception, ringside.NotFound)
        self.assertIn("/nonexistent/ring", str(caught.exception))
        with self.assertRaises(ringside.Error):
            ringside.attach(socket="/nonexistent/socket")
        for wrong in ({"start": "middle"}, {"source": "x\0y"}):
            with self.assertRaises(ValueError):
                ringside.attach(socket="/nonexistent/socket", **wrong)
        with self.assertRaises(OSError):
            golden.ringside.open_file(golden.IMAGES / "one-frame.ring").fileno()


if __name__ == "__main__":
    unittest.main()
