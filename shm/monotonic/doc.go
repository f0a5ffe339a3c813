// SPDX-License-Identifier: Apache-2.0

// Package monotonic reads CLOCK_MONOTONIC, the clock of frames, heartbeats and of
// bpf_ktime_get_ns, without a system call.
package monotonic
