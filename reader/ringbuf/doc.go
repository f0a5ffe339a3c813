// SPDX-License-Identifier: Apache-2.0

// Package ringbuf reads the memory of a BPF_MAP_TYPE_RINGBUF: one consumer
// position, one producer position, and records between the two.
//
//	consumer page   u64 position: written by the one who reads, looked at by
//	                the kernel, which overwrites nothing from there on
//	producer page   u64 position: written by the kernel
//	data            records, 8-byte aligned; mapped twice in a row, so that one
//	                that goes round the end lies in one piece
//
//	record   u32 length | busy 1<<31 | discarded 1<<30,  u32 (the kernel's)
//	         length bytes, rounded up to 8
//
// Who writes: BPF programs of others, through the kernel. Who reads: a [Ring],
// used by one goroutine. A record that was reserved and not yet submitted is
// busy, and holds back everything behind it. Reading moves the ring's own
// position; the kernel learns of it by [Ring.Release], not before, so that what
// was taken and not passed on is still there for whoever comes next.
//
// What may go wrong. A ringbuf has room for one reader. Any other process that
// may map it can move the position, too: records are then shared out between
// the two, or are overwritten while they are copied. That can be noticed and not
// prevented; see [Ring.Foreign]. Nothing that is found in the memory makes a
// Ring read outside of it.
package ringbuf
