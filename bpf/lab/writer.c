//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Changes a map from within the kernel as fast as it can, at random keys: counts in place, as most
 * programs do, or puts keys in and takes them out.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 first = 0; /* key that is touched */
const volatile __u32 keys = 1;  /* how many are */
const volatile __u32 flags = 0; /* of an update */

#define WORDS 4
#define STEPS 4000 /* a run: about a millisecond */

/* Each value says which key it was put in for, and each word of it can be seen to be whole. */
struct telling {
	__u64 words[WORDS];
};

/* Replaced by the map to be changed. Only to churn must its values have WORDS words. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct telling);
} target SEC(".maps");

static long count_one(__u32 i, void *ctx)
{
	__u32 key = first + bpf_get_prandom_u32() % keys;
	__u64 *word = bpf_map_lookup_elem(&target, &key);

	if (word)
		__sync_fetch_and_add(word, 1);
	return 0;
}

SEC("syscall")
int count(void *ctx)
{
	bpf_loop(STEPS, count_one, 0, 0);
	return 0;
}

static long churn_one(__u32 i, void *ctx)
{
	__u32 random = bpf_get_prandom_u32();
	__u32 key = first + random % keys;
	struct telling value;

	if (random >> 31 && flags != BPF_EXIST) {
		bpf_map_delete_elem(&target, &key);
		return 0;
	}
	for (__u32 w = 0; w < WORDS; w++)
		value.words[w] = (__u64)(key + w) << 32 | (__u32)~(key + w);
	bpf_map_update_elem(&target, &key, &value, flags);
	return 0;
}

SEC("syscall")
int churn(void *ctx)
{
	bpf_loop(STEPS, churn_one, 0, 0);
	return 0;
}
