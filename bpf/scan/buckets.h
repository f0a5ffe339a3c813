/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How the buckets of a hash are walked without the kernel's help.
 *
 * bpf_for_each_map_elem calls back for each element and cannot be resumed. The lists themselves can be
 * followed by loads: in any range of buckets, so that no run takes long and no memory need hold the
 * whole map. And, as in the kernel's own lookup, the end of a list tells which bucket it is of: a walk
 * that followed an element to another bucket is begun again, where bpf_for_each_map_elem would miss the
 * rest. Elements are not freed to others while a program runs; offsets are relocated at load, and a
 * kernel that has other structures refuses the program.
 */
#ifndef RINGSIDE_BUCKETS_H
#define RINGSIDE_BUCKETS_H

#include "percpu.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_nulls_node;

struct hlist_nulls_head {
	struct hlist_nulls_node *first;
};

struct bucket {
	struct hlist_nulls_head head;
};

struct htab_elem {
	char key[0];
};

struct bpf_htab {
	struct bucket *buckets;
	void *elems;
	struct htab_elem **extra_elems;
	__u32 n_buckets;
	__u32 elem_size;
};

#pragma clang attribute pop

#define KEY_OFFSET bpf_core_field_offset(struct htab_elem, key)
#define BUCKETS_OFFSET bpf_core_field_offset(struct bpf_htab, buckets)
#define N_BUCKETS_OFFSET bpf_core_field_offset(struct bpf_htab, n_buckets)
#define BUCKET_SIZE bpf_core_type_size(struct bucket)

#define LINK_OFFSET 8 /* of an element's back link: its second word, in every hlist_nulls_node */

/* Where a hash has its buckets, each the head of a list. */
struct heads {
	__u64 at;
	__u64 bytes;
};

static __always_inline struct heads heads_of_map(void)
{
	__u64 map = number(&target);
	struct heads h;

	h.at = word_at(map + BUCKETS_OFFSET);
	h.bytes = (__u32)word_at(map + N_BUCKETS_OFFSET) * (__u64)BUCKET_SIZE;
	return h;
}

static __always_inline __u64 in_head(const struct heads *h, __u64 link)
{
	return link - h->at < h->bytes;
}

/* An element that follows so many others in a bucket is believed to be there. */
#define CHAIN_MAX 32
/* A neighbour that leaves the list breaks the chain for a moment: so often it is followed again. */
#define CHAIN_TRIES 8

/*
 * Whether the back links from an element on end in a bucket, and each place on the way leads to the
 * element whose link led there. Not static, so that it is verified once and not on every path to it.
 */
__attribute__((noinline)) int chained(struct heads *h, __u64 node)
{
	if (!h)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 try = 0; try < CHAIN_TRIES; try++) {
		__u64 at = node;
		__u32 hop = 0;

#pragma clang loop unroll(disable)
		for (; hop < CHAIN_MAX; hop++) {
			__u64 link = word_at(at + LINK_OFFSET), head = in_head(h, link);

			if (head && !weak_order)
				return 1;
			fence();
			if (word_at(link) != at)
				break;
			if (head)
				return 1;
			at = link;
		}
		if (hop == CHAIN_MAX)
			return 1;
	}
	return 0;
}

/*
 * Whether an element is in a list. The kernel puts it there when its key and value are complete, and
 * takes it out before it gives it to another key: one that has a new key, and the value of the old one
 * still, is in none. So this is asked behind the key and ahead of the value; if the key is the same
 * behind the value, they belong together.
 *
 * What tells is the back link: the place of the pointer that leads to the element, in a bucket or in
 * another element. The kernel stores it after the value, and on removal it becomes a poisoned address at
 * once, later perhaps a link of the list of free elements. One thing looks alike: BPF_MAP_LOOKUP_AND_
 * DELETE_BATCH chains what it removes through this word, and leaves it in elements that are given away.
 * But its chain ends in nothing, and not in a bucket, unless its parts are put in again just then.
 *
 * Where stores may pass each other, the link of the first element of a bucket may be seen before the value
 * is. What the kernel releases is the pointer that leads there, so that is looked at, too. Other links were
 * stored by whoever put another element in front, under the bucket's lock, and so behind all of it.
 */
static __always_inline int listed(struct heads *h, __u64 node)
{
	if (!weak_order && in_head(h, word_at(node + LINK_OFFSET)))
		return 1;
	return chained(h, node);
}

/*
 * How many elements and ends of lists one call passes, and how many calls go by between looks at the
 * clock. The verifier follows each step of a call, so more of them make loading slower.
 */
#define STEPS 8
#define CALLS_A_LOOK 4
#define MAX_STEPS (1 << 23)

struct bucket_walk {
	struct heads all;
	__u64 n_buckets;
	struct here *here; /* if there is one value a CPU */
	__u64 node;        /* what is next: an element, or, odd, the end of a list */
};

static __always_inline __u64 first_of(struct bucket_walk *walk, __u64 bucket)
{
	return WORD(cast(walk->all.at + bucket * BUCKET_SIZE), 0);
}

static __always_inline struct bucket_walk walk_of_map(void)
{
	struct bucket_walk walk = {.all = heads_of_map()};

	walk.n_buckets = walk.all.bytes / BUCKET_SIZE;
	return walk;
}

/* Begins a bucket again: an element has left it, and is perhaps in another place of the list. */
static __always_inline __u64 bucket_again(struct bucket_walk *walk)
{
	control.discarded++;
	control.position = control.mark;
	return first_of(walk, control.bucket);
}

/* The end of a list, by which one knows where one is. Not 0: it was the last. */
static __always_inline long end_of_list(struct bucket_walk *walk, __u64 end)
{
	__u64 bucket = control.bucket;

	if (end >> 1 != bucket) {
		control.position = control.mark;
		control.astray++;
		return 0;
	}
	control.mark = control.position;
	control.bucket = bucket + 1;
	return bucket + 1 >= walk->n_buckets;
}

#endif
