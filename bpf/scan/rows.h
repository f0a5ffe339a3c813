/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How one row is taken out of a map.
 *
 * Everything here is written for two readers. The verifier knows the constants below before it starts,
 * follows one path through each chain of ifs and removes the rest, so that what runs is a straight line
 * of 8-byte loads and stores: half the time of a loop. And aligned words are never torn, which holds
 * only as long as each is one load.
 */
#ifndef RINGSIDE_ROWS_H
#define RINGSIDE_ROWS_H

#include "kernel.h"

/* Replaced by the map to be read; only then its type and sizes mean anything. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} target SEC(".maps");

/* The map's shape, set before loading. Sizes are bytes. */
const volatile __u32 key_size = 4;
const volatile __u32 value_size = 8; /* one CPU's, where there are several */
const volatile __u32 lists = 1;      /* elements are in the lists of buckets: it is a hash */
const volatile __u32 row_size = 16;  /* what one row takes in `rows`, a multiple of 8 */
const volatile __u32 row_limit = 0;  /* the last place in `rows` where a row begins */
const volatile __u32 cpus = 0;       /* possible ones; 0 unless the map is per-CPU */
const volatile __u32 entries = 0;    /* of an array; of a hash, what it has memory for */
const volatile __u32 spare_cpus = 0; /* of a hash: possible CPUs, if updates may move its rows */
const volatile __u32 lru = 0;        /* of a hash: LRU_..., if it is one */
const volatile __u32 weak_order = 0; /* loads may pass loads on this machine */

#define LRU_COMMON 1
#define LRU_OF_CPUS 2 /* each has its own */

/* Per-CPU values added up: which integers, in row order. 0: every CPU's value as it is. */
#define SUMS_MAX 64
const volatile __u32 sums = 0;
const volatile __u32 sum_words = 0; /* they are the value's words, one by one */
const volatile struct sum_field {
	__u16 offset;
	__u8 size;
	__u8 is_signed;
} sum_fields[SUMS_MAX] = {};

/*
 * Gives an address the right to be read: a load that faults there reads zero, as in the kernel's own
 * copy, but without four calls for each CPU. Since 6.17 for memory of no type; the loader finds out.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
const volatile __u32 direct = 0;

#define cast(address) ((const void *)bpf_rdonly_cast((const void *)(address), 0))

/* What is asked, and what came of it. User space maps it; one run at a time. */
struct control {
	__u64 budget_ns; /* asked: stop after this long */
	__u64 first;     /* asked: first index, and how many, of an array */
	__u64 count;
	__u64 begin_ns; /* came: stay in the kernel, by its own clock */
	__u64 end_ns;
	__u64 position;  /* came: bytes of rows */
	__u64 visited;   /* came: elements looked at */
	__u64 discarded; /* came: elements that were in no list, or another, when they had been copied */
	__u64 bucket;    /* came: the first bucket that was not taken */
	__u64 mark;      /* the position at that bucket's begin */
	__u64 buckets;   /* came: how many there are */
	__u64 astray;    /* came: walks that ended in another bucket and were begun again */
	__u64 witness;   /* an element has shown that its hash is what we believe; stays */
	__u64 spares[2]; /* came: what the spare elements were, before and after */
	__u64 pointer;   /* an address on its way to becoming a number */
	__u32 stopped;   /* came: STOPPED_... */
	__u32 fence;
} control = {};

#define STOPPED_FULL 1 /* no room for another row */
#define STOPPED_LATE 2 /* the budget is spent */
#define STOPPED_ODD 3  /* asked for what the map does not have, or a helper failed */

/* Where rows go. The loader makes it as large as it needs to be. */
__u8 rows[8] SEC(".data.rows") = {};

/*
 * What is inlined many times over carries no line numbers: they would be most of the object, and the
 * privileged binary contains it.
 */
#define QUIET static __always_inline __attribute__((nodebug))

/* Room for one row, at the position; NULL: full. */
QUIET void *room(__u64 at)
{
	__u8 *base = rows;

	if (at > row_limit) {
		control.stopped = STOPPED_FULL;
		return 0;
	}
	/* The compiler believes that rows has 8 bytes. */
	asm volatile("" : "+r"(base));
	return base + at;
}

/* Beyond this, a call of the kernel's copy costs less than what it saves in code. */
#define WORDS_STRAIGHT 32
#define KEY_WORDS_STRAIGHT 8
#define KEY_WORDS_MAX 64 /* the kernel allows no longer keys in a hash: 512 bytes */

#define WORD(at, i) (((volatile __u64 *)(at))[i])

#define EIGHT(f, i) f((i)) f((i) + 1) f((i) + 2) f((i) + 3) f((i) + 4) f((i) + 5) f((i) + 6) f((i) + 7)

/*
 * Loads around it stay in order, on every machine. Exchanging a word is the only full barrier that the
 * instruction set we compile for has; where loads stay in order anyway, none is needed.
 */
QUIET void fence(void)
{
	asm volatile("" ::: "memory");
	if (weak_order)
		(void)__sync_lock_test_and_set(&control.fence, 1);
}

/* The address behind a pointer as a number, which can be calculated with. */
QUIET __u64 number(const void *pointer)
{
	control.pointer = (__u64)pointer;
	asm volatile("" ::: "memory");
	return *(volatile __u64 *)&control.pointer;
}

/* The word at an address; 0 if there is none to be read. */
QUIET __u64 word_at(__u64 address)
{
	__u64 word = 0;

	if (direct)
		return WORD(cast(address), 0);
	bpf_probe_read_kernel(&word, sizeof(word), (const void *)address);
	return word;
}

/* The bytes behind the last whole word, in the low end of a word. */
QUIET __u64 tail(const void *src, __u32 size)
{
	const __u8 *at = src + (size & ~7U);
	__u64 word = 0;
	__u32 shift = 0;

	if (size & 4) {
		word = *(volatile __u32 *)at;
		at += 4;
		shift = 32;
	}
	if (size & 2) {
		word |= (__u64) * (volatile __u16 *)at << shift;
		at += 2;
		shift += 16;
	}
	if (size & 1)
		word |= (__u64) * (volatile __u8 *)at << shift;
	return word;
}

QUIET void copy_key(void *dst, const void *key)
{
	__u32 size = key_size, words = size / 8;

#define COPY(i) if (words > (i)) WORD(dst, i) = WORD(key, i);
	EIGHT(COPY, 0)
#pragma clang loop unroll(disable)
	for (__u32 i = KEY_WORDS_STRAIGHT; i < KEY_WORDS_MAX && i < words; i++)
		WORD(dst, i) = WORD(key, i);
	if (size & 7)
		WORD(dst, words) = tail(key, size);
}

/* Whether the element has been given to another key since its key was copied. */
QUIET int key_changed(const void *row, const void *key)
{
	__u32 size = key_size, words = size / 8;
	__u64 differ = 0;

#define COMPARE(i) if (words > (i)) differ |= WORD(row, i) ^ WORD(key, i);
	EIGHT(COMPARE, 0)
#pragma clang loop unroll(disable)
	for (__u32 i = KEY_WORDS_STRAIGHT; i < KEY_WORDS_MAX && i < words; i++)
		differ |= WORD(row, i) ^ WORD(key, i);
	if (size & 7)
		differ |= WORD(row, words) ^ tail(key, size);
	return differ != 0;
}

/* The kernel's copy moves aligned words whole, too. */
QUIET void copy_value(void *dst, const void *value)
{
	__u32 size = value_size, words = size / 8;

	if (words > WORDS_STRAIGHT) {
		bpf_probe_read_kernel(dst, size, value);
		return;
	}
#define COPY_VALUE(i) if (words > (i)) WORD(dst, i) = WORD(value, i);
	EIGHT(COPY_VALUE, 0)
	EIGHT(COPY_VALUE, 8)
	EIGHT(COPY_VALUE, 16)
	EIGHT(COPY_VALUE, 24)
	if (size & 7)
		WORD(dst, words) = tail(value, size);
}

QUIET __u32 round_up8(__u32 n)
{
	return (n + 7) & ~7U;
}

#endif
