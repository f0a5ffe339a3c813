/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who is running, in the numbers the loading process sees.
 *
 * In a container the kernel's own numbers mean nothing to anyone inside: gettid() there returns the
 * number of the container's pid namespace. The loader names its namespace here; in the initial one it
 * leaves both words zero, and the verifier removes the branch (so kernels before 5.7, which lack the
 * helper, load it too).
 */
#ifndef RINGSIDE_CURRENT_H
#define RINGSIDE_CURRENT_H

#include "kernel.h"

const volatile __u64 pidns_dev = 0;
const volatile __u64 pidns_ino = 0;

/*
 * Process (tgid) in the upper half, thread in the lower. 0 is the idle thread, and every thread that
 * the loader's namespace cannot see.
 */
static __always_inline __u64 current_ids(void)
{
	struct bpf_pidns_info seen = {};

	if (!pidns_ino)
		return bpf_get_current_pid_tgid();
	if (bpf_get_ns_current_pid_tgid(pidns_dev, pidns_ino, &seen, sizeof(seen)))
		return 0;
	return (__u64)seen.tgid << 32 | seen.pid;
}

#endif
