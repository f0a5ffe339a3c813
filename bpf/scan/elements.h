/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How the elements of a hash are taken where they lie.
 *
 * A hash that was not created with BPF_F_NO_PREALLOC keeps all its elements in one piece of memory, in
 * no order. Following the lists from bucket to bucket waits for one element after the other, each
 * anywhere in that memory; going through the memory from end to end, the processor has the next ones
 * ready before they are asked for.
 *
 * What tells an element that is in the map from one that is free is its back link. The kernel stores it
 * last, when key and value are complete: the place of the pointer that leads to it, in a bucket or in
 * another element. On removal the same word becomes a poisoned address at once, then a link of the list
 * of free elements, which never has the place of an element. An element that nobody removes never moves,
 * so it is taken exactly once, whatever happens around it.
 *
 * "Last" is where the store stands, and no more: what the kernel releases is the pointer that leads to
 * the element, for those who follow it (hlist_nulls_add_head_rcu). So this is for machines on which
 * stores stay in order; on others the back link may be seen before the value is (Target.InPlace).
 *
 * One that is removed may look linked for a moment: BPF_MAP_LOOKUP_AND_DELETE_BATCH chains the elements of
 * a bucket through this word before it frees them (batch_flink). Their keys and values are as they were
 * until they are freed, and then the word is overwritten: a row that was there just now.
 *
 * In an LRU map that batch leaves the word as it is, long after the elements are free and even while they
 * are being filled anew. So there it is not enough that the word leads to another element: following it
 * has to end in a bucket, and each element on the way has to lead back. What is left of a batch never
 * does: its first element has nothing in that word. For the rest an LRU is like any hash: an element that
 * is thrown out leaves its list before it gets another key, and enters one with key and value complete.
 *
 * One thing moves rows: overwriting a key by an update puts it into another element (moves.h). A key may
 * thus go from where the scan has yet to come to where it has been. So what tells of it is looked at
 * before and after: if it is not the same, rows may have been missed, and the map is read bucket by bucket
 * instead. Values changed in place, as counters are, move nothing; nor do the values of per-CPU hashes,
 * LRU or not, which updates change in place.
 */
#ifndef RINGSIDE_ELEMENTS_H
#define RINGSIDE_ELEMENTS_H

#include "moves.h"

#define ELEMS_OFFSET bpf_core_field_offset(struct bpf_htab, elems)
#define ELEM_SIZE_OFFSET bpf_core_field_offset(struct bpf_htab, elem_size)

/* Where elements and buckets are. */
struct extent {
	__u64 elems;
	__u64 inverse; /* of the odd part of an element's size, modulo 2^64 */
	__u64 twos;    /* the rest of that size, less one */
	__u64 parts;   /* how many odd parts all elements have */
	struct heads heads;
};

struct element_walk {
	__u64 node;
	__u64 index;
	__u64 size; /* of one */
	struct here *here;
	struct extent all;
};

/*
 * A multiple of an odd number times its inverse is the quotient, which is small; any other number gives
 * a large one. So one multiplication tells whether an address is the place of an element: no division.
 */
static __always_inline void divide_by(struct extent *all, __u64 size)
{
	__u64 odd = size, twos = 1, inverse;

	while (twos < 1ULL << 31 && !(odd & 1)) { /* size has 32 bits */
		odd >>= 1;
		twos <<= 1;
	}
	inverse = odd * 3 ^ 2; /* right in 5 bits; each step doubles them */
	inverse *= 2 - odd * inverse;
	inverse *= 2 - odd * inverse;
	inverse *= 2 - odd * inverse;
	inverse *= 2 - odd * inverse;
	all->inverse = inverse;
	all->twos = twos - 1;
	all->parts = entries * twos;
}

/* Whether a back link is one: without jumps that would be guessed wrong. */
static __always_inline __u64 linked(const struct extent *all, __u64 link)
{
	__u64 off = link - all->elems;

	return in_head(&all->heads, link) | ((off * all->inverse < all->parts) & !(off & all->twos));
}

/* Takes the element at a place. 0: go on. */
static __always_inline int take_element(struct element_walk *walk)
{
	__u32 key_stride = round_up8(key_size);
	const void *node = cast(walk->node), *key = node + KEY_OFFSET;
	__u64 at = control.position;
	void *row = room(at);
	__u64 link;

	if (!row)
		return 1;
	/* The key before the link: behind one that is linked now, the value is complete and stays its own. */
	copy_key(row, key);
	fence();
	link = WORD(node, LINK_OFFSET / 8);
	if (!linked(&walk->all, link))
		return 0;
	if (lru && !in_head(&walk->all.heads, link) && !chained(&walk->all.heads, walk->node))
		return 0;
	fence();
	if (!cpus)
		copy_value(row + key_stride, key + key_stride);
	else if (!walk->here || take_cpus(row + key_stride, WORD(key, key_stride / 8) + walk->here->mine, walk->here)) {
		control.stopped = STOPPED_ODD;
		return 1;
	}
	fence();
	/* Removed meanwhile, or given to another key? The link alone changes with the neighbours. */
	if (!linked(&walk->all, WORD(node, LINK_OFFSET / 8)) || key_changed(row, key))
		control.discarded++;
	else
		control.position = at + row_size;
	control.visited++;
	return 0;
}

static long element_steps(__u32 i, struct element_walk *walk)
{
#pragma clang loop unroll(disable)
	for (__u32 step = 0; step < STEPS; step++) {
		if (walk->index >= entries)
			return 1;
		if (take_element(walk))
			return 1;
		walk->index++;
		walk->node += walk->size;
	}
	if (i % CALLS_A_LOOK || bpf_ktime_get_ns() - control.begin_ns < control.budget_ns)
		return 0;
	control.stopped = STOPPED_LATE;
	return 1;
}

#endif
