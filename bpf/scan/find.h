/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How keys are looked up without anybody noticing.
 *
 * bpf_map_lookup_elem marks the element of an LRU map as just used: asking for keys that a scan has
 * missed would decide which of them the owner keeps. So there the bucket's list is followed, as in
 * buckets.h, and the bucket found by the kernel's own hash (jhash of the key; htab_map_hash). Whether it
 * still is that one is not believed but seen: every element carries its hash.
 */
#ifndef RINGSIDE_FIND_H
#define RINGSIDE_FIND_H

#include "buckets.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct htab_elem___hash {
	__u32 hash;
};

struct bpf_htab___rnd {
	__u32 hashrnd;
};

#pragma clang attribute pop

#define HASH_OFFSET bpf_core_field_offset(struct htab_elem___hash, hash)
#define HASHRND_OFFSET bpf_core_field_offset(struct bpf_htab___rnd, hashrnd)

#define ELEMENTS_MAX (1 << 16) /* of one bucket, to be passed */
#define WITNESSES 16           /* elements that may show the hash */

#define HALF(at, i) (((volatile __u32 *)(at))[i])
#define ROTATE(x, k) ((x) << (k) | (x) >> (32 - (k)))

struct jhash {
	__u32 a, b, c;
};

QUIET void jhash_mix(struct jhash *h)
{
	h->a -= h->c; h->a ^= ROTATE(h->c, 4); h->c += h->b;
	h->b -= h->a; h->b ^= ROTATE(h->a, 6); h->a += h->c;
	h->c -= h->b; h->c ^= ROTATE(h->b, 8); h->b += h->a;
	h->a -= h->c; h->a ^= ROTATE(h->c, 16); h->c += h->b;
	h->b -= h->a; h->b ^= ROTATE(h->a, 19); h->a += h->c;
	h->c -= h->b; h->c ^= ROTATE(h->b, 4); h->b += h->a;
}

QUIET void jhash_final(struct jhash *h)
{
	h->c ^= h->b; h->c -= ROTATE(h->b, 14);
	h->a ^= h->c; h->a -= ROTATE(h->c, 11);
	h->b ^= h->a; h->b -= ROTATE(h->a, 25);
	h->c ^= h->b; h->c -= ROTATE(h->b, 16);
	h->a ^= h->c; h->a -= ROTATE(h->c, 4);
	h->b ^= h->a; h->b -= ROTATE(h->a, 14);
	h->c ^= h->b; h->c -= ROTATE(h->b, 24);
}

/* The words of a key that follow each other from one on; behind its end they are zero. */
QUIET __u32 key_half(const void *row, __u32 i)
{
	return i < (key_size + 3) / 4 ? HALF(row, i) : 0;
}

/* The kernel's jhash of a key. It is in a row, zero up to its next 8 bytes. */
static __attribute__((noinline)) __u32 hash_of(const __u64 *row, __u32 seed)
{
	__u32 left = key_size, i = 0;
	struct jhash h;

	if (!row)
		return 0;
	h.a = h.b = h.c = 0xdeadbeef + key_size + seed;
#pragma clang loop unroll(disable)
	for (__u32 step = 0; step < KEY_WORDS_MAX && left > 12; step++) {
		h.a += HALF(row, i);
		h.b += HALF(row, i + 1);
		h.c += HALF(row, i + 2);
		jhash_mix(&h);
		i += 3;
		left -= 12;
	}
	h.a += key_half(row, i);
	h.b += key_half(row, i + 1);
	h.c += key_half(row, i + 2);
	jhash_final(&h);
	return h.c;
}

struct find_walk {
	struct bucket_walk list;
	__u64 bucket;
	__u32 seed;
	__u32 hash; /* of the key that is looked for */
	__u64 at;   /* where it stands */
	__u64 found;
};

static __always_inline __u32 hash_at(__u64 node)
{
	return HALF(cast(node + HASH_OFFSET), 0);
}

/* Opaque to the compiler, which else adds the address to an offset, and not the offset to the address. */
static __always_inline const void *key_at(__u64 node)
{
	const void *key = cast(node) + KEY_OFFSET;

	asm volatile("" : "+r"(key));
	return key;
}

/* Takes the first element there is, to see whether we know how the kernel hashes. */
static long witness_step(__u32 i, struct find_walk *w)
{
	__u64 node = w->list.node;
	void *row = room(row_limit); /* behind the keys that are asked for */

	if (!row)
		return 1;
	if (node & 1) {
		control.bucket++;
		if (control.bucket >= w->list.n_buckets)
			return 1;
		w->list.node = first_of(&w->list, control.bucket);
		return 0;
	}
	copy_key(row, key_at(node));
	control.witness = hash_of(row, w->seed) == hash_at(node);
	w->list.node = WORD(cast(node), 0);
	/* One that is being given to another key proves nothing: a few more are looked at. */
	control.visited++;
	return control.witness || control.visited >= WITNESSES;
}

/* Passes an element of the bucket, or its end. */
static long find_step(__u32 i, struct find_walk *w)
{
	__u64 node = w->list.node;
	void *row = room(w->at);

	if (!row)
		return 1;
	if (node & 1) {
		if (node >> 1 == w->bucket)
			return 1;
		w->list.node = first_of(&w->list, w->bucket); /* led astray, as in the kernel's own lookup */
		return 0;
	}
	if (hash_at(node) == w->hash && !key_changed(row, key_at(node))) {
		w->found = 1;
		return 1;
	}
	w->list.node = WORD(cast(node), 0);
	return 0;
}

#endif
