// SPDX-License-Identifier: Apache-2.0

// Package schema says what one row looks like: the C types of a map's key and
// value, resolved into a tree of offsets and sizes that needs no further
// lookups, and the JSON form in which that tree travels in the ring's schema
// heap.
//
// Who writes: package reader, from a map's BTF. Who reads: every client, in any
// language, and the command line, which prints rows by it.
//
// The tree describes memory as the kernel lays it out: little-endian, 64-bit.
// Offsets count bytes from the start of the enclosing type. A bitfield is the
// BitSize bits that start BitOffset bits above byte Offset, lowest bit first.
// A member without a name is an anonymous struct or union: its fields belong
// to the enclosing type's namespace, as in C.
//
// What may go wrong: a schema arrives from another process, so [Decode] trusts
// nothing in it. Depth, number of nodes, sizes and the work one value can cost
// are bounded, and every field lies inside its parent. After that no data,
// however short, makes [Type.Append] read out of bounds.
package schema
