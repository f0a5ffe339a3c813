/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How the values of all CPUs are reached from the one of this CPU.
 *
 * bpf_map_lookup_percpu_elem would look the key up once a CPU, find another element if the key was
 * deleted and put back meanwhile, and, in an LRU map, mark every row as just used: reading would decide
 * what the owner keeps. But per-CPU memory lies at the same distances everywhere. They are measured on
 * a map of our own, and added to the address of this CPU's value.
 */
#ifndef RINGSIDE_PERCPU_H
#define RINGSIDE_PERCPU_H

#include "rows.h"

/* Programs that use it are not migrated while they run. */
struct here {
	__u64 mine;  /* from the kernel's name of a per-CPU place to this CPU's part of it */
	__u64 measured;
	__u64 words[SUMS_MAX];  /* one CPU's value, to be added up */
	__u64 distance[1];      /* from here to each CPU; the loader makes room for all */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct here);
} here SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_array {
	void *pptrs[0];
};

#pragma clang attribute pop

/* This CPU's corner, with the distances measured; NULL if the kernel plays no part in it. */
static __always_inline struct here *measure(void)
{
	__u32 zero = 0, n = cpus ? cpus : spare_cpus;
	struct here *h = bpf_map_lookup_elem(&here, &zero);

	if (!h || h->measured) /* distances never change */
		return h;
#pragma clang loop unroll(disable)
	for (__u32 cpu = 0; cpu < n; cpu++) {
		void *there = bpf_map_lookup_percpu_elem(&here, &zero, cpu);

		if (!there)
			return 0;
		h->distance[cpu] = there - (void *)h;
	}
	if (direct)
		h->mine = number(h) - WORD(cast(&here) + bpf_core_field_offset(struct bpf_array, pptrs), 0);
	h->measured = 1;
	return h;
}

/* Adds the fields of one CPU's value to a row's. */
QUIET void add_fields(__u64 *sum, const void *value)
{
	__u32 n = sums;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SUMS_MAX && i < n; i++) {
		const volatile struct sum_field *f = &sum_fields[i];
		const void *at = value + f->offset;
		__u32 size = f->size, is_signed = f->is_signed;
		__u64 v;

		if (size == 8)
			v = *(volatile __u64 *)at;
		else if (size == 4)
			v = is_signed ? (__u64)(__s64) * (volatile __s32 *)at : *(volatile __u32 *)at;
		else if (size == 2)
			v = is_signed ? (__u64)(__s64) * (volatile __s16 *)at : *(volatile __u16 *)at;
		else
			v = is_signed ? (__u64)(__s64) * (volatile __s8 *)at : *(volatile __u8 *)at;
		sum[i] += v;
	}
}

/* The same for values that are nothing but words: a straight line. */
QUIET void add_words(void *sum, const void *value)
{
	__u32 words = value_size / 8;

#define ADD(i) if (words > (i)) WORD(sum, i) += WORD(value, i);
	EIGHT(ADD, 0)
	EIGHT(ADD, 8)
	EIGHT(ADD, 16)
	EIGHT(ADD, 24)
}

QUIET void clear_fields(__u64 *sum)
{
	__u32 n = sums;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SUMS_MAX && i < n; i++)
		WORD(sum, i) = 0;
}

/* Takes all CPUs' values, or their sums, given the address of this CPU's. One copy of it for all. */
static __attribute__((noinline)) int take_cpus(void *dst, __u64 address, struct here *h)
{
	__u32 size = value_size, stride = round_up8(size), n = cpus;

	if (sums && !(direct && sum_words))
		clear_fields(dst);
#pragma clang loop unroll(disable)
	for (__u32 cpu = 0; cpu < n; cpu++) {
		const void *there = (const void *)(address + h->distance[cpu]);

		if (direct) {
			there = bpf_rdonly_cast((void *)there, 0);
			if (!sums)
				copy_value(dst + cpu * stride, there);
			else if (sum_words && !cpu)
				copy_value(dst, there);
			else if (sum_words)
				add_words(dst, there);
			else
				add_fields(dst, there);
			continue;
		}
		if (!sums) {
			if (bpf_probe_read_kernel(dst + cpu * stride, size, there))
				return 1;
			continue;
		}
		if (bpf_probe_read_kernel(h->words, size, there))
			return 1;
		add_fields(dst, h->words);
	}
	return 0;
}

#endif
