# SPDX-License-Identifier: Apache-2.0
"""Types: what they find, decode, encode, and how numpy sees them."""

from __future__ import annotations

import struct
import unittest

from ringside import Type

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

INT, UINT, BOOL, CHAR, FLOAT, ENUM, POINTER, ARRAY, STRUCT, UNION, BYTES = range(1, 12)


def scalar(kind: int, size: int, signed: bool = False) -> tuple:
    return (kind, size, "", signed, 0, None, ())


def array(elem: tuple, count: int) -> tuple:
    return (ARRAY, elem[1] * count, "", False, count, elem, ())


def compound(kind: int, size: int, *fields: tuple) -> tuple:
    """Fields are (name, offset, type) or (name, offset, type, bit_offset, bit_size)."""
    members = tuple((f[0], f[1], *(f[3:] or (0, 0)), f[2]) for f in fields)
    return (kind, size, "struct t", False, len(fields), None, members)


U8, U16, U32, U64, S32 = (scalar(UINT, 1), scalar(UINT, 2), scalar(UINT, 4), scalar(UINT, 8), scalar(INT, 4))

#: Packed, with everything in it.
NODE = compound(
    STRUCT,
    49,
    ("kind", 0, U8),
    ("id", 1, U32),
    ("comm", 5, array(scalar(CHAR, 1), 8)),
    ("", 13, compound(UNION, 4, ("v4", 0, U32), ("half", 0, array(U16, 2)))),
    ("low", 17, U32, 3, 5),
    ("mid", 18, U32, 0, 12),
    ("sign", 19, S32, 4, 4),
    ("ratio", 20, scalar(FLOAT, 8)),
    ("state", 28, (ENUM, 4, "enum e", True, 1, None, (("A", -1),))),
    ("ok", 32, scalar(BOOL, 1)),
    ("wide", 33, scalar(UINT, 16)),
)
RAW = (
    b"\x07" + struct.pack("<I", 0x01020304) + b"sshd\0\0\0\0" + struct.pack("<HH", 1, 2)
    + bytes([0xA8, 0xBC, 0xEA]) + struct.pack("<di?", 2.5, -1, True) + (1 << 100).to_bytes(16, "little")
)
DECODED = {
    "kind": 7, "id": 0x01020304, "comm": b"sshd", "v4": 0x00020001, "half": [1, 2], "low": 0x15, "mid": 0xABC,
    "sign": -2, "ratio": 2.5, "state": -1, "ok": True, "wide": 1 << 100,
}


class Types(unittest.TestCase):
    def setUp(self) -> None:
        self.type = Type(NODE)

    def test_decode(self) -> None:
        self.assertEqual(self.type.decoder(RAW, 0), DECODED)
        self.assertEqual(self.type.decoder(b"xyz" + RAW, 3), DECODED)

    def test_encode(self) -> None:
        del DECODED["half"]  # the other name of v4
        try:
            self.assertEqual(self.type.encode(DECODED), RAW)
        finally:
            DECODED["half"] = [1, 2]
        self.assertEqual(Type(S32).encode(-2), b"\xfe\xff\xff\xff")
        self.assertEqual(Type(U32).encode(b"abcd"), b"abcd")
        for t, wrong in ((U32, b"abc"), (U32, b"abcde"), (array(U8, 2), [1]), (NODE, {"none": 1}), (NODE, 3)):
            with self.assertRaises((ValueError, TypeError)):
                Type(t).encode(wrong)

    def test_find(self) -> None:
        half = self.type.find("half[1]")
        self.assertEqual((half.offset, half.type.size), (15, 2))
        self.assertEqual(self.type.find("").type, self.type)
        outer = Type(compound(STRUCT, 100, ("in", 10, array(NODE, 1))))
        self.assertEqual(outer.find("in[0].state").offset, 38)
        for path in ("none", "half[2]", "half.", ".half", "half[x]", "low.x", "id[0]", "half[1]x"):
            with self.assertRaises(KeyError, msg=path):
                self.type.find(path)

    @unittest.skipUnless(numpy, "needs numpy")
    def test_numpy(self) -> None:
        rows = numpy.frombuffer(RAW * 3, self.type.dtype)
        self.assertEqual(rows.dtype.itemsize, 49)
        for name in ("kind", "id", "comm", "v4", "ratio", "state", "ok"):
            self.assertEqual(rows[name].tolist(), [DECODED[name]] * 3, name)
            self.assertTrue(numpy.array_equal(self.type.find(name).of(rows), rows[name]), name)
        for name in ("low", "mid", "sign"):
            self.assertEqual(self.type.find(name).of(rows).tolist(), [DECODED[name]] * 3, name)
        self.assertEqual(rows["half"].tolist(), [[1, 2]] * 3)
        self.assertEqual(self.type.find("half[1]").of(rows).tolist(), [2] * 3)
        self.assertEqual(rows["at17"].tolist(), [0xA8] * 3)
        self.assertEqual(rows["at18"].tolist(), [0xEABC] * 3)

    @unittest.skipUnless(numpy, "needs numpy")
    def test_numpy_takes_anything(self) -> None:
        """What numpy cannot say is bytes."""
        for node in (
            compound(STRUCT, 8, ("a", 0, U64), ("a", 0, U32)),
            compound(STRUCT, 0),
            compound(STRUCT, 8, ("e", 0, compound(STRUCT, 0)), ("n", 0, U64)),
            array(compound(STRUCT, 0), 5),
            array(scalar(CHAR, 1), 0),
            scalar(BYTES, 3),
            compound(STRUCT, 16, ("b", 0, U64, 7, 64)),
        ):
            t = Type(node)
            self.assertEqual(t.dtype.itemsize, t.size)
            t.decoder(bytes(t.size), 0)
        nine = Type(compound(STRUCT, 16, ("b", 0, U64, 7, 64)))
        number = 0xFEDCBA9876543210
        rows = numpy.frombuffer((number << 7).to_bytes(16, "little"), nine.dtype)
        self.assertEqual(nine.find("b").of(rows).tolist(), [number])


if __name__ == "__main__":
    unittest.main()
