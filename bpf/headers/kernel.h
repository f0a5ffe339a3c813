/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What our programs need to know of the kernel, kept by hand.
 *
 * A vmlinux.h would say the same in 130,000 lines and change with every kernel it is dumped from;
 * the uapi headers would tie the output to the machine it is generated on. So: the types
 * <bpf/bpf_helpers.h> expects, the few constants in use, and of kernel structs only the fields that
 * are read. Their offsets are relocated at load (CO-RE), so order and neighbours do not matter here.
 */
#ifndef RINGSIDE_KERNEL_H
#define RINGSIDE_KERNEL_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;

/* uapi/linux/bpf.h: fixed numbers, part of the kernel's ABI. */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_EXIST 2
#define BPF_F_MMAPABLE (1U << 10)
#define BPF_RB_NO_WAKEUP (1ULL << 0)

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

struct bpf_pidns_info {
	__u32 pid;
	__u32 tgid;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct {
	int pid; /* the thread's number in the initial pid namespace */
};

#pragma clang attribute pop

/* After the types: the helpers' prototypes are written in them. */
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#endif
