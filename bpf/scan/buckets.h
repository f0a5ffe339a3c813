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

/*
 * How many elements and ends of lists one call passes, and how many calls go by between looks at the
 * clock. The verifier follows each step of a call, so more of them make loading slower.
 */
#define STEPS 8
#define CALLS_A_LOOK 4
#define MAX_STEPS (1 << 23)

struct bucket_walk {
	__u64 buckets;
	__u64 n_buckets;
	struct here *here; /* if there is one value a CPU */
	__u64 node;        /* what is next: an element, or, odd, the end of a list */
};

static __always_inline __u64 first_of(struct bucket_walk *walk, __u64 bucket)
{
	return WORD(cast(walk->buckets + bucket * BUCKET_SIZE), 0);
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
