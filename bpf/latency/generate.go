// SPDX-License-Identifier: Apache-2.0

package latency

// One object for every architecture: where a register holds what is relocated at load.

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem latency latency latency.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
