/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How it is seen that rows were moved: that a key was put into another element than it was in.
 *
 * Overwriting a key of a hash, from user space or by bpf_map_update_elem, puts a spare element of that
 * CPU into the list and makes the old one the spare.
 *
 * In an LRU hash every update takes a free element, and the old one, if there is one, becomes free. What
 * was taken is put at the head of a list of that CPU: of those that are pending, or, if each CPU has a
 * list of its own (BPF_F_NO_COMMON_LRU), of the inactive. So these heads tell. They change when a key is
 * new, too; from here that looks the same.
 *
 * Either way a key that is overwritten an even number of times on one CPU may leave things as they were.
 */
#ifndef RINGSIDE_MOVES_H
#define RINGSIDE_MOVES_H

#include "buckets.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct bpf_lru_locallist {
	struct list_head lists[2]; /* free, pending */
};

struct bpf_lru_locallist___named { /* in later kernels */
	struct list_head pending_list;
};

struct bpf_lru_list {
	struct list_head lists[3]; /* active, inactive, free */
};

struct bpf_common_lru {
	struct bpf_lru_locallist *local_list;
};

struct bpf_lru {
	struct bpf_common_lru common_lru;
	struct bpf_lru_list *percpu_lru;
};

struct bpf_htab___lru {
	struct bpf_lru lru;
};

#pragma clang attribute pop

/* Where the map has the kernel's name of a per-CPU place, and in which word of it one has to look. */
struct trace {
	__u64 place;
	__u64 word;
};

static __always_inline struct trace trace_of_map(void)
{
	struct trace t = {};

	if (lru == LRU_OF_CPUS) {
		t.place = bpf_core_field_offset(struct bpf_htab___lru, lru.percpu_lru);
		t.word = bpf_core_field_offset(struct bpf_lru_list, lists[1]);
	} else if (lru) {
		t.place = bpf_core_field_offset(struct bpf_htab___lru, lru.common_lru.local_list);
		if (bpf_core_field_exists(struct bpf_lru_locallist___named, pending_list))
			t.word = bpf_core_field_offset(struct bpf_lru_locallist___named, pending_list);
		else
			t.word = bpf_core_field_offset(struct bpf_lru_locallist, lists[1]);
	} else {
		t.place = bpf_core_field_offset(struct bpf_htab, extra_elems);
	}
	return t;
}

/* Where the spares are, or the elements taken last, in one number. */
static __attribute__((noinline)) __u64 spares(struct here *h)
{
	__u32 n = spare_cpus;
	__u64 at, sum = 0;
	struct trace t;

	if (!h || !n)
		return 0;
	t = trace_of_map();
	at = WORD(cast(&target) + t.place, 0) + t.word + h->mine;
#pragma clang loop unroll(disable)
	for (__u32 cpu = 0; cpu < n; cpu++)
		sum = sum * 31 + WORD(cast(at + h->distance[cpu]), 0);
	return sum;
}

#endif
