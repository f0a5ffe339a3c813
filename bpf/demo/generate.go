// SPDX-License-Identifier: Apache-2.0

package demo

// Little endian only, and one object for every architecture: none of the programs looks at registers.
// The instruction set is named so that the output does not follow the compiler's default.

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem syscalls syscalls syscalls.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem sched_latency schedLatency sched_latency.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem tcp_states tcpStates tcp_states.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem processes processes processes.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
