//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Changes of TCP state, counted by from and to.
 *
 * Addresses and ports stay in the kernel: whoever may attach to the demo learns that connections come
 * and go, not whose. That also leaves no kernel struct to be read, so it works without kernel BTF.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

/* net/tcp_states.h. MPTCP, SCTP and DCCP report theirs through the same tracepoint. */
enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
	TCP_NEW_SYN_RECV,
	TCP_BOUND_INACTIVE,
};

struct tcp_change {
	enum tcp_state from;
	enum tcp_state to;
};

struct tcp_changes {
	__u64 changes;
	__u64 last_ns; /* CLOCK_MONOTONIC */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct tcp_change);
	__type(value, struct tcp_changes);
} tcp_states SEC(".maps");

/* args: sock, old state, new state. */
SEC("raw_tp/inet_sock_set_state")
int count_change(struct bpf_raw_tracepoint_args *ctx)
{
	struct tcp_change key = { .from = ctx->args[1], .to = ctx->args[2] };
	struct tcp_changes none = {};
	struct tcp_changes *seen;

	seen = bpf_map_lookup_elem(&tcp_states, &key);
	if (!seen) {
		/* Another CPU may be first; then this fails and its row is found. */
		bpf_map_update_elem(&tcp_states, &key, &none, BPF_NOEXIST);
		seen = bpf_map_lookup_elem(&tcp_states, &key);
		if (!seen)
			return 0;
	}
	seen->last_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&seen->changes, 1);
	return 0;
}
