//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Puts in and takes out keys of a hash at random, as fast as it can, from within the kernel.
 *
 * Each value says which key it was put in for, and each word of it can be seen to be whole.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 first = 0; /* key that is touched */
const volatile __u32 keys = 1;  /* how many are */
const volatile __u32 flags = 0; /* of an update */

#define WORDS 4

struct churned {
	__u64 words[WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct churned);
} target SEC(".maps");

static long step(__u32 i, void *ctx)
{
	__u32 random = bpf_get_prandom_u32();
	__u32 key = first + random % keys;
	struct churned value;

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
	bpf_loop(20000, step, 0, 0);
	return 0;
}
